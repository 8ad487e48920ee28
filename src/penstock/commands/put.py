"""`penstock put`: records from arguments, lines or a file into a stream, each until it was taken.

Theory.  A request may take some of its records and refuse the others; those go again, after a pause, before anything that follows.  So
order holds between requests; within one, a refused record lands behind those of its request that were taken.  A request without an
answer may have been carried out: its records go again and may then be there twice, and the summary says so.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from penstock.clients.calls import CALL_ERRORS, NOBODY_THERE, Fate, Patience, error_code, error_text, fate_of
from penstock.commands.batch import BadLine, Entry, Maker, batches
from penstock.commands.lines import LineTooLong, read_lines
from penstock.commands.paper import complain, ended_by_signals
from penstock.commands.place import CommandError, Server, Where, pause
from penstock.core.ids import parse_shard_id
from penstock.core.limits import KIB, RECORD_MAX_MAX_KIB
from penstock.core.sizes import size_text
from penstock.host.clock import monotonic_s
from penstock.host.entropy import SystemEntropy

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import PutRecordsOutputTypeDef, PutRecordsRequestEntryTypeDef

KEY_BYTES: Final = 8
SHARDS_SHOWN: Final = 8
RATED_RECORDS: Final = 100  # the rate of fewer says nothing
EXIT_INTERRUPTED: Final = 130
CANNOT_BEGIN: Final = ("ResourceNotFoundException", "UnrecognizedClientException", "AccessDeniedException")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `penstock put`."""

    stream: str
    data: tuple[str, ...] = ()
    file: str | None = None  # "-": standard input
    key: str | None = None
    hash_key: str | None = None
    as_json: bool = False
    key_field: str | None = None


@dataclass(slots=True)
class Tally:
    """What became of the records."""

    records: int = 0
    bytes: int = 0
    shards: Counter[str] = field(default_factory=Counter)
    again: int = 0  # refusals after which a record was put again
    doubtful: int = 0  # put again after a request without an answer
    last_number: str = ""  # the sequence number of the last record

    def summary(self, stream: str, seconds: float) -> str:
        """The line that tells it."""
        if not self.records:
            return f"nothing was put into {stream}"
        rate = f", {self.records / max(seconds, 0.001):,.0f} records/s" if self.records >= RATED_RECORDS else ""
        parts = [
            f"{self.records:,} record{'s' * (self.records != 1)} ({size_text(self.bytes)}) put into {stream}"
            f" in {seconds:.2f} s{rate}: {self._shards_text()}"
        ]
        if self.records == 1:
            parts.append(f"sequence number {self.last_number}")
        if self.again:
            parts.append(f"{self.again:,} put again after a refusal")
        if self.doubtful:
            parts.append(f"up to {self.doubtful:,} may be there twice: an answer was lost")
        return "; ".join(parts)

    def _shards_text(self) -> str:
        if len(self.shards) > SHARDS_SHOWN:
            return f"{len(self.shards):,} shards"
        ordered = sorted((parse_shard_id(shard_id) or 0, count) for shard_id, count in self.shards.items())
        return ", ".join(f"shard {number}: {count:,}" for number, count in ordered)


class NotPut(Exception):
    """Records were refused for good, or for too long; the text is the one line to show."""


def run(where: Where, options: Options) -> int:
    """Put everything; the exit code: 0 when all was taken.  Raises CommandError."""
    sender = Sender(Server(where), options.stream)
    maker = Maker(
        lambda: SystemEntropy().bytes(KEY_BYTES).hex(),
        options.key,
        options.hash_key,
        options.key_field,
        as_json=options.as_json,
    )
    began_s = monotonic_s()
    code = 0
    try:
        with ended_by_signals(), ExitStack() as stack:
            for batch in batches(_entries(maker, _input(options, stack))):
                sender.send(batch)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except (NotPut, BadLine, LineTooLong) as error:
        code = complain(str(error))
    except OSError as error:
        code = complain(f"cannot read {options.file or 'standard input'}: {error.strerror}")
    if sender.tally.records or not code:
        with suppress(BrokenPipeError):  # nobody reads it
            click.echo(sender.tally.summary(options.stream, monotonic_s() - began_s))
    return code


def _entries(maker: Maker, lines: Iterator[bytes | None]) -> Iterator[Entry | None]:
    """Records of lines.  What came before a line that cannot be used is put first."""
    try:
        for line in lines:
            if line is None:
                yield None
            elif (entry := maker.make(line)) is not None:
                yield entry
    except (BadLine, LineTooLong, OSError):
        yield None
        raise


def _input(options: Options, stack: ExitStack) -> Iterator[bytes | None]:
    """The lines to put.  Raises CommandError for a file that cannot be opened."""
    if options.data:
        return iter([text.encode(errors="surrogateescape") for text in options.data])
    if options.file in (None, "-"):
        descriptor, total = sys.stdin.fileno(), None
        if sys.stdin.isatty():
            click.echo("A line is a record; Ctrl-D ends.", err=True)
    else:
        assert options.file is not None
        file = stack.enter_context(_opened(Path(options.file)))
        descriptor, total = file.fileno(), os.fstat(file.fileno()).st_size or None
    return _watched(read_lines(descriptor, RECORD_MAX_MAX_KIB * KIB), total, stack)


def _opened(path: Path) -> FileIO:
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None


def _watched(lines: Iterator[bytes | None], total: int | None, stack: ExitStack) -> Iterator[bytes | None]:
    """The same lines, with a bar on a terminal that counts their bytes."""
    if not sys.stderr.isatty() or (sys.stdin.isatty() and total is None):
        yield from lines
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn())
    bar = stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
    task = bar.add_task("putting", total=total)
    for line in lines:
        if line is not None:
            bar.advance(task, len(line) + 1)
        yield line


class Sender:
    """Puts batches into one stream, each until it was taken whole."""

    def __init__(self, server: Server, stream: str) -> None:
        self.tally = Tally()
        self._server = server
        self._stream = stream
        self._patience = Patience()

    def send(self, batch: list[Entry]) -> None:
        """Put a batch.  Raises NotPut; CommandError where the very first request shows that nothing can be put."""
        waiting = batch
        while waiting:
            try:
                answer = self._server.client.put_records(
                    StreamName=self._stream, Records=[_wire(entry) for entry in waiting]
                )
            except CALL_ERRORS as error:
                self._failed(error, len(waiting))
                reason = error_text(error)
            else:
                waiting, reason = self._settle(waiting, answer)
            if waiting:
                self._wait(reason, len(waiting))

    def _settle(self, batch: list[Entry], answer: "PutRecordsOutputTypeDef") -> tuple[list[Entry], str]:
        """Note what was taken; what was not, and why."""
        refused: list[Entry] = []
        reason = ""
        for entry, result in zip(batch, answer["Records"], strict=True):
            if code := result.get("ErrorCode"):
                refused.append(entry)
                reason = f"{code}: {result.get('ErrorMessage', '')}"
                continue
            self.tally.records += 1
            self.tally.bytes += entry.size
            self.tally.shards[result["ShardId"]] += 1
            self.tally.last_number = result["SequenceNumber"]
        self.tally.again += len(refused)
        if len(refused) < len(batch):
            self._patience.worked()
        return refused, reason

    def _failed(self, error: Exception, count: int) -> None:
        first = not self.tally.records
        if first and (isinstance(error, NOBODY_THERE) or error_code(error) in CANNOT_BEGIN):
            raise self._server.complaint(error, self._stream) from None
        match fate_of(error):
            case Fate.REFUSED:
                self.tally.again += count
            case Fate.UNKNOWN:
                self.tally.doubtful += count
            case Fate.FAILED:
                raise NotPut(f"{count:,} records were not put: {error_text(error)}") from None

    def _wait(self, reason: str, count: int) -> None:
        wait_s = self._patience.wait_s()
        if wait_s is None:
            raise NotPut(f"{count:,} records were not put, after many tries: {reason}")
        pause(wait_s)


def _wire(entry: Entry) -> "PutRecordsRequestEntryTypeDef":
    if entry.hash_key is None:
        return {"Data": entry.data, "PartitionKey": entry.key}
    return {"Data": entry.data, "PartitionKey": entry.key, "ExplicitHashKey": entry.hash_key}
