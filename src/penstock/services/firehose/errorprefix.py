"""The error prefix: where what could not be delivered goes, and source records where a backup is asked for.

Theory.  Both are stages whose work is writing one object, and both are tried until they succeed: what is in neither place would be lost.
"""

from collections.abc import Sequence
from typing import Final

from penstock.core.ids import UUID_BYTES, uuid_text
from penstock.core.ports import Clock, Entropy
from penstock.services.firehose.backoff import wait_ms
from penstock.services.firehose.buffers import Ready
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.errorobjects import error_body
from penstock.services.firehose.objects import NotWritten, ObjectWriter, Told
from penstock.services.firehose.prefix import (
    Prefix,
    TooLong,
    Values,
    default_error_prefix,
    read_error_prefix,
    read_prefix,
)
from penstock.services.firehose.report import Report
from penstock.services.firehose.rows import joined, pieces_of
from penstock.services.firehose.shapes import S3
from penstock.services.firehose.site import Site

BACKUP: Final = "backup"


def error_prefix_of(s3: S3) -> Prefix:
    """Where the error objects of a configuration go."""
    return read_error_prefix(s3.error_output_prefix) if s3.error_output_prefix else default_error_prefix(s3.prefix)


class Persistent:
    """Writes objects, each until it is there."""

    def __init__(self, name: str, s3: S3, site: Site, report: Report) -> None:
        self._name = name
        self._s3 = s3
        self._writer = ObjectWriter(s3, site)
        self._report = report
        self._clock: Clock = site.clock
        self._entropy: Entropy = site.entropy

    def values(self, at_ms: int) -> Values:
        """What prefixes are evaluated with."""
        return self._writer.values(at_ms)

    async def write(self, prefix: Prefix, values: Values, at_ms: int, pieces: Sequence[bytes], *, packed: bool) -> int:
        """Write an object; the bytes that it has."""
        told, attempts = Told(at_ms, uuid_text(self._entropy.bytes(UUID_BYTES)), ""), 0
        while True:
            try:
                return await self._writer.write(prefix, values, told, pieces, packed=packed)
            except TooLong:
                prefix = default_error_prefix("")  # it must go somewhere
            except NotWritten as problem:
                attempts += 1
                if self._name == BACKUP:
                    self._report.tally.count("BackupToS3.Success", 0)
                self._report.trouble(self._name, problem.code, str(problem), self._s3.cloudwatch_logging_options)
                await self._clock.sleep(wait_ms(attempts, self._entropy.fraction()))


class ErrorPrefix:
    """Writes failures, of one kind each time."""

    def __init__(self, s3: S3, site: Site, report: Report) -> None:
        self._objects = Persistent("errors", s3, site, report)
        self._prefix = error_prefix_of(s3)
        self._report = report
        self._clock = site.clock

    async def write(self, ready: Ready[str, Failure]) -> None:
        """Write an object of error objects."""
        failures = [failure for piece in ready.pieces for failure in piece.records]
        body = error_body(failures, self._clock.now_ms())
        values = self._objects.values(ready.oldest_ms)._replace(failure=ready.key)
        await self._objects.write(self._prefix, values, ready.oldest_ms, [body], packed=False)
        self._report.failed_records += len(failures)


class Backup:
    """Writes source records as they came."""

    def __init__(self, s3: S3, site: Site, report: Report) -> None:
        self._objects = Persistent(BACKUP, s3, site, report)
        self._prefix = read_prefix(s3.prefix)
        self._report = report
        self._clock = site.clock

    async def write(self, ready: Ready[None, Entry]) -> None:
        """Write an object of records."""
        pieces = pieces_of(joined([piece.records for piece in ready.pieces]))
        values = self._objects.values(ready.oldest_ms)
        size_bytes = await self._objects.write(self._prefix, values, ready.oldest_ms, pieces, packed=True)
        tally = self._report.tally
        tally.add("BackupToS3.Bytes", "Bytes", size_bytes)
        tally.count("BackupToS3.Records", ready.records)
        tally.count("BackupToS3.Success")
        tally.add("BackupToS3.DataFreshness", "Seconds", max(self._clock.now_ms() - ready.oldest_ms, 0) // 1000)
