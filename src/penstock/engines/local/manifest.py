"""The manifest: what the engine knows without reading the journal or any segment.

Theory.  A manifest is a snapshot: which logs exist, where each stood when the journal was last settled, and which segments hold their
settled records.  It is written whole under a new number and put in place by a rename; the journal files from `first_file_no` on say what
happened since.  The newest one that is sound is the truth; whatever file it does not name is rubbish of a crash and is deleted.  So the
one before would not do in its place: each is stored twice, and damage to one copy costs nothing.
It is written at every settling, so it has logs in columns, and leaves to each segment's index which records of which log are in it.
Rules of this file: fields are added with defaults and never renamed or reordered; a version that was released is read for ever.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Self

import google_crc32c
import msgspec
from msgspec.structs import replace

from penstock.core.ports import Disk
from penstock.engines.local.columns import Damaged

FORMAT_VERSION: Final = 2
FOLDER: Final = "manifest"
_CHECKSUM_BYTES: Final = 4


class LogRow(NamedTuple):
    """A log as it stood at the snapshot."""

    log_no: int
    name: str
    start: int  # records before it are gone
    end: int  # records before it are settled
    last_arrival_ms: int  # -1: never appended to
    sealed: bool


class LogTable(msgspec.Struct, frozen=True, array_like=True):
    """Logs in columns of eight bytes a log, little-endian."""

    names: list[str] = msgspec.field(default_factory=list)
    log_nos: bytes = b""
    starts: bytes = b""
    ends: bytes = b""
    last_arrivals_ms: bytes = b""
    sealed: bytes = b""  # a byte a log

    def __post_init__(self) -> None:
        if any(len(column) != 8 * len(self.names) for column in self._numbers()) or len(self.sealed) != len(self.names):
            raise ValueError("columns of logs that differ in length")

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        log_nos: Iterable[int],
        starts: Iterable[int],
        ends: Iterable[int],
        last_arrivals_ms: Iterable[int],
        sealed: Iterable[bool],
    ) -> Self:
        """The table of these columns."""
        numbers = array("Q", log_nos).tobytes(), array("Q", starts).tobytes(), array("Q", ends).tobytes()
        return cls(list(names), *numbers, array("q", last_arrivals_ms).tobytes(), bytes(sealed))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[LogRow]:
        log_nos, starts, ends, arrivals = map(array, "QQQq", self._numbers())
        return map(LogRow, log_nos, self.names, starts, ends, arrivals, map(bool, self.sealed))

    def _numbers(self) -> Sequence[bytes]:
        return self.log_nos, self.starts, self.ends, self.last_arrivals_ms


class SegmentRow(msgspec.Struct, frozen=True, array_like=True):
    """A segment."""

    path: str
    size_bytes: int
    index_checksum: int | None = None  # crc32c; None: version 1 did not note it


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The snapshot."""

    data_id: str  # of the data directory; every file carries it
    format_version: int = FORMAT_VERSION
    number: int = 0
    first_file_no: int = 0  # journal files before it are settled
    next_log_no: int = 1
    next_segment_no: int = 1
    logs: LogTable = LogTable()
    segments: list[SegmentRow] = msgspec.field(default_factory=list)


class NewerFormat(Exception):
    """A data directory that a newer release wrote."""


def path_of(number: int) -> str:
    """Where a manifest lies."""
    return f"{FOLDER}/manifest-{number:012d}"


def encode(manifest: Manifest) -> bytes:
    """The bytes of a manifest: a crc32c of the rest, then MessagePack."""
    packed = msgspec.msgpack.encode(manifest)
    return int(google_crc32c.value(packed)).to_bytes(_CHECKSUM_BYTES, "little") + packed


def decode(content: bytes) -> Manifest:
    """A manifest from its bytes.  Raises Damaged, NewerFormat."""
    packed = content[_CHECKSUM_BYTES:]
    if int.from_bytes(content[:_CHECKSUM_BYTES], "little") != google_crc32c.value(packed) or not packed:
        raise Damaged("a manifest whose checksum is wrong")
    try:
        version = msgspec.msgpack.decode(packed, type=_Version).format_version
        if version > FORMAT_VERSION:
            raise NewerFormat(f"the data directory has format {version}; this release reads {FORMAT_VERSION}")
        if version == 1:
            return msgspec.msgpack.decode(packed, type=_Manifest1).today()
        return msgspec.msgpack.decode(packed, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Damaged(f"a manifest that does not decode: {error}") from None


class _Version(msgspec.Struct):
    format_version: int


class _LogRow1(msgspec.Struct, array_like=True):
    log_no: int
    name: str
    start: int
    end: int
    last_arrival_ms: int
    sealed: bool


class _SegmentRow1(msgspec.Struct, array_like=True):
    path: str
    size_bytes: int
    # then what the segment holds of each log; its index says the same


class _Manifest1(msgspec.Struct, kw_only=True):
    data_id: str
    number: int
    first_file_no: int
    next_log_no: int
    next_segment_no: int
    logs: list[_LogRow1]
    segments: list[_SegmentRow1]

    def today(self) -> Manifest:
        """The same in today's form."""
        return Manifest(
            data_id=self.data_id,
            number=self.number,
            first_file_no=self.first_file_no,
            next_log_no=self.next_log_no,
            next_segment_no=self.next_segment_no,
            logs=LogTable.of(
                [row.name for row in self.logs],
                [row.log_no for row in self.logs],
                [row.start for row in self.logs],
                [row.end for row in self.logs],
                [row.last_arrival_ms for row in self.logs],
                [row.sealed for row in self.logs],
            ),
            segments=[SegmentRow(row.path, row.size_bytes) for row in self.segments],
        )


async def publish(disk: Disk, manifest: Manifest) -> None:
    """Put a manifest in place, durably and twice: under its number and the one after it; and forget those before."""
    copies = {path_of(number): replace(manifest, number=number) for number in (manifest.number, manifest.number + 1)}
    for path, copy in copies.items():
        await disk.store(path + ".new", [encode(copy)])
    for path in copies:
        await disk.rename(path + ".new", path)
    await disk.sync_folder(FOLDER)
    for name in await disk.names(FOLDER):
        if f"{FOLDER}/{name}" not in copies:
            await disk.remove(f"{FOLDER}/{name}")


async def load(disk: Disk) -> tuple[Manifest | None, list[str]]:
    """The newest sound manifest, or None in a new directory; and a line for each that is damaged.

    Raises NewerFormat, and Damaged if there are manifests and none is sound.
    """
    complaints: list[str] = []
    names = [name for name in await disk.names(FOLDER) if not name.endswith(".new")]
    for name in reversed(names):
        file = await disk.open(f"{FOLDER}/{name}")
        try:
            return decode(await file.read(0, file.size_bytes)), complaints
        except Damaged as error:
            complaints.append(f"{FOLDER}/{name}: {error}")
        finally:
            await file.close()
    if names:
        raise Damaged("; ".join(complaints))
    return None, complaints
