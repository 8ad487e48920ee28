"""Snowflake: records as rows of a table, by its streaming interface.

Theory.  A parcel is appended to a channel under its id as the offset token; it is delivered when the table has committed the token.  One
channel takes one parcel at a time, for its last token is all that it remembers.
Rules of this file:
  1. A record that cannot be a row fails before it is sent.
  2. Snowflake counts the rows that a table rejected, but does not name them: then all of the parcel's records have error objects, so that
     none is lost, and those that were taken are there twice.
Source: developer guide, "Deliver data to Snowflake"; API reference, SnowflakeDestinationConfiguration.  UNVERIFIED: the codes and the
error-output-type.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from penstock.core.snowpipe import SnowflakeTable, SnowpipeFailed
from penstock.services.firehose.destinations.api import Again, Delivered, Hints, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.credentials import NoSecret, members
from penstock.services.firehose.destinations.shapes import Snowflake
from penstock.services.firehose.destinations.told import concealed, failures, given_up, with_failures
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.site import Site

KIND: Final = "snowflake-failed"
_MIB: Final = 1024 * 1024
_NOT_JSON: Final = "The record is not a JSON object."
_NOT_TEXT: Final = "The record is neither JSON nor UTF-8."

Row = Mapping[str, Any]


class SnowflakeDestination:
    """One table."""

    name = "Snowflake"

    def __init__(self, shape: Snowflake, site: Site) -> None:
        self._shape = shape
        self._site = site
        self._one = asyncio.Lock()

    @property
    def hints(self) -> Hints:
        """As configured."""
        hints = self._shape.buffering_hints
        return Hints(hints.size_in_mbs * _MIB, hints.interval_in_seconds * 1000)

    @property
    def retry_ms(self) -> int:
        """As configured."""
        return self._shape.retry_options.duration_in_seconds * 1000

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Append the parcel's rows, and wait for their commit."""
        good, rows, failed = await self._site.threads.run(lambda: self._rows(parcel))
        if not rows:
            return Refused(failed)
        outcome: Outcome
        try:
            outcome = await self._append(parcel, good, rows)
        except SnowpipeFailed as error:
            outcome = Again(error.code, concealed(str(error)), good)
        except NoSecret as error:
            outcome = Again("Snowflake.InvalidCredentials", concealed(str(error)), good)
        return with_failures(outcome, failed)

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        """Their error objects."""
        return given_up(KIND, parcel, again)

    async def close(self) -> None:
        """Channels are the pipe's."""

    async def _append(self, parcel: Parcel, entries: list[Entry], rows: list[Row]) -> Outcome:
        assert self._site.snowpipe is not None
        table = await self._table()
        token = f"{parcel.id}/{len(rows)}"
        async with self._one:
            taken = await self._site.snowpipe.append(table, self._site.stream, rows, token)
        size = sum(len(entry.data) for entry in entries)
        if not taken.rejected:
            return Delivered(size, len(entries))
        said = concealed(
            f"The table rejected {taken.rejected} of {len(rows)} rows, and does not tell which: {taken.reason}"
        )
        told = failures(entries, KIND, "Snowflake.RowsRejected", said, parcel.attempts + 1)
        kept = max(len(rows) - taken.rejected, 0)
        return Mixed(Delivered(size, kept), None, told) if kept else Refused(told)

    async def _table(self) -> SnowflakeTable:
        shape = self._shape
        secret = await members(shape.secrets_manager_configuration, self._site, ("user", "private_key"))
        role = shape.snowflake_role_configuration
        return SnowflakeTable(
            url=shape.account_url,
            user=secret["user"] if secret is not None else shape.user or "",
            private_key=secret["private_key"] if secret is not None else shape.private_key or "",
            passphrase=shape.key_passphrase or "",
            role=role.snowflake_role or "" if role is not None and role.enabled else "",
            database=shape.database,
            schema=shape.schema,
            table=shape.table,
        )

    def _rows(self, parcel: Parcel) -> tuple[list[Entry], list[Row], list[Failure]]:
        """The entries that are rows, those rows, and the entries that are none."""
        good, rows, failed = [], [], []
        mapped = self._shape.data_loading_option == "JSON_MAPPING"
        for entry in parcel.entries:
            value = _read(entry.data, as_text=not mapped)
            if value is None or (mapped and not isinstance(value, dict)):
                said = _NOT_JSON if mapped else _NOT_TEXT
                failed.append(Failure(entry, KIND, "Snowflake.InvalidRecord", said, parcel.attempts + 1))
                continue
            good.append(entry)
            rows.append(value if mapped else self._variant(entry, value))
        return good, rows, failed

    def _variant(self, entry: Entry, value: Any) -> Row:
        shape = self._shape
        row = {shape.content_column_name or "": value}
        if shape.data_loading_option == "VARIANT_CONTENT_AND_METADATA_MAPPING":
            row[shape.meta_data_column_name or ""] = self._metadata(entry)
        return row

    def _metadata(self, entry: Entry) -> dict[str, str]:
        arrived = datetime.fromtimestamp(entry.arrival_ms / 1000, UTC).isoformat(timespec="milliseconds")
        if entry.origin is None:
            return {"firehoseDeliveryStreamName": self._site.stream, "IngestionTime": arrived}
        return {
            "kinesisStreamName": (self._site.source_arn or "").rpartition("/")[2],
            "kinesisShardId": entry.origin.shard_id,
            "kinesisPartitionKey": entry.origin.partition_key,
            "kinesisSequenceNumber": entry.origin.sequence_number,
            "subsequenceNumber": str(entry.origin.subsequence_number),
            "IngestionTime": arrived,
        }


def _read(data: bytes, *, as_text: bool) -> Any:
    """The value of a record: its JSON, or where that may be, its text; None for neither."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return data.decode() if as_text else None
    except UnicodeDecodeError:
        return None
