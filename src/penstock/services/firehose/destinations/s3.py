"""S3: each parcel is an object.

Theory.  A parcel's key is made from its id, so that an attempt whose answer was lost is repeated as the same object.  Partitioned parcels
have one set of keys each, that their prefix is evaluated with.
"""

from collections.abc import Sequence
from typing import Final

from penstock.core.errors import ServiceError
from penstock.core.limits import DAY_MS, MIB, SECOND_MS
from penstock.services.firehose.destinations.api import (
    Again,
    Delivered,
    Hints,
    Mixed,
    Outcome,
    Parcel,
    Refused,
)
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.errorobjects import PROCESSING
from penstock.services.firehose.objects import NotWritten, ObjectWriter, Told
from penstock.services.firehose.prefix import TooLong, read_prefix
from penstock.services.firehose.processing.api import Converter
from penstock.services.firehose.rows import pieces_of
from penstock.services.firehose.shapes import S3, BufferingHints, ExtendedS3
from penstock.services.firehose.site import Site

RETRY_MS: Final = DAY_MS  # source: developer guide; then the data is lost
CONCURRENCY: Final = 16  # objects at a time, as far as memory goes; 167 a second, where each takes 90 ms
PARTITIONS_BYTES: Final = 256 * MIB  # of the records of all partitions


def hints_of(hints: BufferingHints) -> Hints:
    """Buffering hints as the engine takes them."""
    size_bytes = hints.size_in_mbs * MIB
    return Hints(size_bytes, hints.interval_in_seconds * SECOND_MS, CONCURRENCY, own_bytes=size_bytes)


class S3Destination:
    """Objects in a bucket."""

    name = "S3"

    def __init__(self, s3: S3, site: Site, converter: Converter | None = None) -> None:
        self._writer = ObjectWriter(s3, site)
        self._prefix = read_prefix(s3.prefix)
        self._converter = converter
        partitioning = s3.dynamic_partitioning_configuration if isinstance(s3, ExtendedS3) else None
        on = partitioning is not None and partitioning.enabled
        self.partition_keys = self._prefix.partition_keys if on else ()
        hints = hints_of(s3.buffering_hints)
        self.hints = hints._replace(own_bytes=PARTITIONS_BYTES) if on else hints
        self.retry_ms = RETRY_MS
        if partitioning is not None and on:
            self.retry_ms = partitioning.retry_options.duration_in_seconds * SECOND_MS
        self._gives_up_to_errors = on

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Write the parcel's object."""
        if self._converter is None:
            return await self._write(parcel, pieces_of(parcel.entries), "", len(parcel.entries))
        try:
            converted = await self._converter.convert(parcel.entries)
        except ServiceError as error:
            return Again(f"DataFormatConversion.{error.code}", str(error.message), parcel.entries)
        if not converted.body:
            return Refused(converted.failed)
        outcome = await self._write(parcel, [converted.body], converted.extension, converted.converted)
        if isinstance(outcome, Delivered) and converted.failed:
            return Mixed(outcome, None, converted.failed)
        return outcome

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        """Partitions go to the error prefix; a plain object is lost after 24 hours, as on AWS."""
        if not self._gives_up_to_errors:
            return ()
        return [_failure(entry, again.code, again.message, parcel.attempts + 1) for entry in again.entries]

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _write(self, parcel: Parcel, pieces: Sequence[bytes], extension: str, records: int) -> Outcome:
        values = self._writer.values(parcel.oldest_ms)._replace(keys=parcel.keys)
        told = Told(parcel.oldest_ms, parcel.id, extension)
        try:
            return Delivered(await self._writer.write(self._prefix, values, told, pieces), records)
        except TooLong as problem:
            return Refused([_failure(entry, "S3.PrefixTooLong", str(problem), 1) for entry in parcel.entries])
        except NotWritten as problem:
            return Again(problem.code, str(problem), parcel.entries)


def _failure(entry: Entry, code: str, message: str, attempts: int) -> Failure:
    return Failure(entry, PROCESSING, code, message, attempts)
