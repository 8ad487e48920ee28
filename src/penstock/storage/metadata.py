"""The metadata of a data directory, read from a copy.

Theory.  A running server holds SQLite's lock on meta.sqlite, and opening the file would write to it.  So the tools copy it, and look at
the copy.  Between two checkpoints SQLite only appends to its write-ahead log, and a checkpoint only writes pages into the file that
are in the log; the log begins again (with another header) at the first commit after that.  So the file, copied first, and then the
log are one consistent moment, if the log's header is the same before and after: whatever a checkpoint did to the file meanwhile, the
copy of the log does again.
Rule of this file: never call it in a process that has the file open through SQLite: POSIX drops all of a process's locks on a file
when it closes any descriptor of it.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from penstock.engines.api import LogId, MetaUnavailable, Versioned
from penstock.engines.local.meta import SqliteMeta
from penstock.engines.local.walfile import HEADER_BYTES, find_rot
from penstock.services.functions.mapping.state import ROOT as MAPPING_ROOT
from penstock.services.functions.mapping.state import check as check_mapping
from penstock.services.iam.records import ROOT as IAM_ROOT
from penstock.services.iam.records import decode as decode_identity
from penstock.services.metrics.series import SERIES, decode_series
from penstock.services.streams.peaks import TRAFFIC_ROOT, decode_traffic
from penstock.services.streams.state import (
    DATA_KEYS,
    ROOT,
    Consumer,
    Shard,
    Stream,
    decode_consumer,
    decode_data_key,
    decode_shard,
    decode_stream,
)
from penstock.services.streams.topology import HashRange, check_tiling
from penstock.storage.directory import META_FILE, PIECE_BYTES, TRIES, DataDirectory
from penstock.storage.finding import Finding, Names

WAL_SUFFIX: Final = "-wal"


@dataclass(slots=True)
class Metadata:
    """What the metadata says of streams, and what is wrong with it."""

    streams: dict[str, Stream] = field(default_factory=dict)  # by uid
    shards: dict[LogId, Shard] = field(default_factory=dict)  # by the log of their records
    consumers: list[Consumer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    readable: bool = True

    @property
    def names(self) -> Names:
        """What people call the logs."""
        return Names({uid: stream.name for uid, stream in self.streams.items()})


def copy_metadata(directory: DataDirectory, target: Path) -> bool:
    """Copy one moment of the metadata to `target` and its log beside it; False if there is none.

    Raises TimeoutError when a server commits so fast that no moment can be had.
    """
    source = directory.root / META_FILE
    for _ in range(TRIES):
        before = _generation(source)
        if before is None:
            return False
        with suppress(FileNotFoundError):  # its log went as the server closed it
            _copy(source, target)
            if before[0]:
                _copy(_log(source), _log(target))
            if _generation(source) == before:
                return True
        _log(target).unlink(missing_ok=True)
    raise TimeoutError(f"{source}: is being written too fast to be copied")


def read_metadata(directory: DataDirectory) -> Metadata:
    """The metadata as it is now, verified."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        copy = Path(folder) / META_FILE
        if not copy_metadata(directory, copy):
            missing = Finding(META_FILE, "is missing: which streams there are is not known")
            return Metadata(findings=[missing], readable=False)
        return read_copy(copy)


def read_copy(path: Path) -> Metadata:
    """The metadata in a copy, verified.  The copy's log is merged into it."""
    found = Metadata()
    with _opened(_log(path)) as log:
        if log is not None:
            rotten = find_rot(lambda at, length: os.pread(log, length, at), os.fstat(log).st_size)
            if rotten is not None:
                what = "damaged, and commits behind it are lost"
                found.findings.append(Finding(META_FILE + WAL_SUFFIX, what, (rotten.start, rotten.end)))
    try:
        complaints, entries = asyncio.run(_read(path))
    except MetaUnavailable as error:
        found.findings.append(Finding(META_FILE, _told(str(error), path)))
        found.readable = False
        return found
    found.findings += [Finding(META_FILE, complaint) for complaint in complaints]
    found.readable = not complaints
    for key, held in entries:
        _take(found, key, held.value)
    if found.readable:
        found.findings += _tiling(found)
    return found


async def _read(path: Path) -> tuple[list[str], Sequence[tuple[str, Versioned]]]:
    meta = await SqliteMeta.open(path)
    try:
        complaints = await meta.check()
        try:
            # the hours of metrics may be gigabytes; their checksums were looked at
            prefixes = (ROOT, IAM_ROOT, SERIES, MAPPING_ROOT)
            return complaints, [entry for prefix in prefixes for entry in await meta.scan(prefix)]
        except MetaUnavailable as error:
            return complaints or [str(error)], []
    finally:
        with suppress(MetaUnavailable):
            await meta.close()


def _take(found: Metadata, key: str, value: bytes) -> None:
    try:
        if key.startswith(ROOT + "stream/"):
            stream = decode_stream(value)
            found.streams[stream.uid] = stream
        elif key.startswith(ROOT + "shard/"):
            shard = decode_shard(value)
            found.shards[shard.log] = shard
        elif key.startswith(ROOT + "consumer/"):
            found.consumers.append(decode_consumer(value))
        elif key.startswith(DATA_KEYS):
            decode_data_key(value)
        elif key.startswith(TRAFFIC_ROOT):
            decode_traffic(value)
        elif key.startswith(IAM_ROOT):
            decode_identity(key, value)
        elif key.startswith(SERIES):
            decode_series(value)
        elif key.startswith(MAPPING_ROOT):
            check_mapping(key, value)
    except msgspec.MsgspecError as error:
        found.findings.append(Finding(META_FILE, f"the value of {key!r} does not decode: {error}"))


def _tiling(found: Metadata) -> Iterator[Finding]:
    """Shards and consumers without a stream, and streams whose open shards do not cover every hash key once."""
    ranges: dict[str, list[HashRange]] = {uid: [] for uid in found.streams}
    for log, shard in found.shards.items():
        if shard.uid not in ranges:
            yield Finding(META_FILE, "a shard of no stream", log=log)
        elif shard.closed_ms is None:
            ranges[shard.uid].append(shard.hash_range)
    for consumer in found.consumers:
        if consumer.uid not in ranges:
            yield Finding(META_FILE, f"consumer {consumer.name} of no stream")
    for uid, held in ranges.items():
        if not check_tiling(held):
            name = found.streams[uid].name
            yield Finding(META_FILE, f"the {len(held)} open shards of stream {name} do not cover the hash keys")


def _log(path: Path) -> Path:
    return path.with_name(path.name + WAL_SUFFIX)


def _told(text: str, path: Path) -> str:
    return text.removeprefix(f"{path}: ")


def _generation(source: Path) -> tuple[bytes, int] | None:
    """What stays the same from one beginning of the log to the next; None if there is no metadata."""
    with _opened(source) as file, _opened(_log(source)) as log:
        if file is None:
            return None
        header = os.pread(log, HEADER_BYTES, 0) if log is not None else b""
        return header, 0 if header else os.fstat(file).st_mtime_ns


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, open_private(target) as written:
        while piece := read.read(PIECE_BYTES):
            written.write(piece)


def open_private(path: Path) -> BinaryIO:
    """A new file that only its owner may read: what it is a copy of holds secrets."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
