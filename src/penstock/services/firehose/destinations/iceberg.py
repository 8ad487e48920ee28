"""Iceberg: records as rows of tables, inserted, updated or deleted.

Theory.  Each record is a JSON object, and has a route: a database, a table and an operation, that a query or a function gave it; without
one it goes to the only table that is configured.  A parcel is sorted by table, and each table takes its part in one commit.  A commit has
the parcel's id in its history, so that an attempt whose answer was lost is not repeated.
Rules of this file:
  1. A record that a table cannot take fails alone; a table that cannot be had makes its part of the parcel wait.
  2. Within a table, changes keep the order of the parcel (Firehose promises none).
Source: developer guide, "Deliver data to Apache Iceberg Tables"; UNVERIFIED: the error-output-type and most of the codes.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from penstock.core.lakehouse import BadChange, Batch, CatalogPlace, Change, LakehouseFailed, Operation
from penstock.services.firehose.destinations.api import Again, Delivered, Hints, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.shapes import Iceberg
from penstock.services.firehose.destinations.told import concealed, given_up
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.site import Site

KIND: Final = "iceberg-failed"
PARSE_BESIDE_BYTES: Final = 64 * 1024
_MIB: Final = 1024 * 1024
_S3: Final = "s3://"
_NOT_JSON: Final = ("Iceberg.InvalidRecord", "The record is not a JSON object.")
_NO_ROUTE: Final = ("Iceberg.MissingRoute", "The record names no table, and not exactly one table is configured.")

_row_of: Final = msgspec.json.Decoder(dict[str, Any])

Name = tuple[str, str]


class _Routed(NamedTuple):
    """A record on its way into a table."""

    entry: Entry
    change: Change


class IcebergDestination:
    """One catalog."""

    name = "Iceberg"

    def __init__(self, shape: Iceberg, site: Site) -> None:
        self._shape = shape
        self._site = site
        self._tables = {
            (one.destination_database_name, one.destination_table_name): one
            for one in shape.destination_table_configuration_list
        }
        self._place = _place(shape, site)

    @property
    def hints(self) -> Hints:
        """As configured; commits to one table would only meet each other."""
        hints = self._shape.buffering_hints
        return Hints(hints.size_in_mbs * _MIB, hints.interval_in_seconds * 1000)

    @property
    def retry_ms(self) -> int:
        """As configured."""
        return self._shape.retry_options.duration_in_seconds * 1000

    async def deliver(self, parcel: Parcel) -> Outcome:
        """One commit for each table."""
        routed, failures = await self._sort(parcel)
        records, size, commits = 0, 0, 0
        again: Again | None = None
        for name, rows in routed.items():
            entries = [row.entry for row in rows]
            try:
                bad = await self._apply(name, rows, parcel)
            except LakehouseFailed as error:
                waiting = [*(again.entries if again is not None else ()), *entries]
                first = (again.code, again.message) if again is not None else (error.code, concealed(str(error)))
                again = Again(*first, waiting)
                continue
            failures += [self._failed(rows[one.at].entry, one, parcel) for one in bad]
            records += len(rows) - len(bad)
            size += sum(len(entry.data) for entry in entries)
            commits += 1
        delivered = Delivered(size if records else 0, records, commits)
        if again is None and not failures:
            return delivered
        if not records and not failures and again is not None:
            return again
        return Refused(failures) if not records and again is None else Mixed(delivered, again, failures)

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        """Their error objects."""
        return given_up(KIND, parcel, again)

    async def close(self) -> None:
        """Catalogs are the lakehouse's."""

    async def _apply(self, name: Name, rows: Sequence[_Routed], parcel: Parcel) -> Sequence[BadChange]:
        assert self._site.lakehouse is not None
        table = self._tables.get(name)
        partitions = table.partition_spec.identity if table is not None and table.partition_spec is not None else ()
        batch = Batch(
            *name,
            [row.change for row in rows],
            keys=table.unique_keys if table is not None else (),
            partitions=[field.source_name for field in partitions],
            creates=self._shape.table_creation_configuration.enabled,
            evolves=self._shape.schema_evolution_configuration.enabled,
            mark=f"{parcel.id}/{len(rows)}",
        )
        return await self._site.lakehouse.apply(self._place, batch)

    async def _sort(self, parcel: Parcel) -> tuple[dict[Name, list[_Routed]], list[Failure]]:
        """The records by table, and those that go nowhere."""

        def read() -> list[dict[str, Any] | None]:
            return [_row(entry.data) for entry in parcel.entries]

        large = sum(len(entry.data) for entry in parcel.entries) > PARSE_BESIDE_BYTES
        documents = await self._site.threads.run(read) if large else read()
        routed: dict[Name, list[_Routed]] = {}
        failures: list[Failure] = []
        for entry, row in zip(parcel.entries, documents, strict=True):
            where = self._route(entry)
            if row is None or where is None:
                problem = BadChange(0, *(_NOT_JSON if row is None else _NO_ROUTE))
                failures.append(self._failed(entry, problem, parcel))
                continue
            name, operation = where
            routed.setdefault(name, []).append(_Routed(entry, Change(operation, row)))
        return routed, failures

    def _route(self, entry: Entry) -> tuple[Name, Operation] | None:
        route = entry.route
        if route is None:
            return (next(iter(self._tables)), "insert") if len(self._tables) == 1 else None
        operation = "insert" if self._shape.append_only else route.operation
        return (route.database, route.table), operation

    def _failed(self, entry: Entry, problem: BadChange, parcel: Parcel) -> Failure:
        return Failure(entry, KIND, problem.code, concealed(problem.text), parcel.attempts + 1)


def _row(data: bytes) -> dict[str, Any] | None:
    try:
        return _row_of.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _place(shape: Iceberg, site: Site) -> CatalogPlace:
    """The catalog of a configuration.  Locations in S3 are the server's own buckets where those are files."""
    arn = shape.catalog_configuration.catalog_arn or ""
    warehouse = shape.catalog_configuration.warehouse_location or f"{_S3}iceberg"
    root = site.places.buckets_root
    if root and warehouse.startswith(_S3):
        warehouse = f"file://{root}/{warehouse.removeprefix(_S3)}"
    return CatalogPlace(arn.rpartition("/")[2] or "penstock", warehouse.rstrip("/"))
