"""Frames: the entries of the journal, and how a journal file is read back after a crash.

Theory.  The journal is a sequence of files of one size.  Each commit appends a group: frames back to back, padded to a whole number of
sectors, so that no sector that was acknowledged is ever written again.  A frame names its file and its group; a file that is used
again gets a new number, so that frames of its earlier life are recognised as stale.  Group n + 1 is written only after group n is
durable, and that tells a torn tail from damage: a bad frame with a later group behind it was acknowledged once.
Rules of this file: pure.  A frame is trusted only if magic, file number and checksum are right.

Header (little-endian, 32 bytes): magic u32, crc32c u32 of all that follows it, body length u32, kind u8 and 3 zeros, file number u64,
group u64.  The first sector of a file holds a HEADER frame, whose body is the data directory's id.
"""

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

import google_crc32c

from penstock.engines.local.columns import Damaged

SECTOR_BYTES: Final = 4096
JOINED_MAX_BYTES: Final = (
    16 * 1024
)  # up to here copying a body costs less than having its pieces summed and written one by one
MAGIC: Final = 0x4B545350  # "PSTK"
_HEADER: Final = struct.Struct("<IIIBxxxQQ")
HEADER_BYTES: Final = _HEADER.size
_CHECKED_FROM: Final = 8  # the checksum covers the header after itself
assert HEADER_BYTES == 32


class Kind(IntEnum):
    """What a frame holds.  On disk: never renumbered."""

    HEADER = 1  # body: data directory id
    RECORDS = 2  # body: a block of columns
    CREATE = 3  # body: u64 log number, name
    DROP = 4  # body: u64 log number
    SEAL = 5  # body: u64 log number, u64 end
    TRIM = 6  # body: u64 log number, u64 start


_KINDS: Final = frozenset(Kind)


class Frame(NamedTuple):
    """One entry of the journal."""

    kind: Kind
    group: int
    body_at: int  # of its body in the file
    length: int  # of its body


class Tail(NamedTuple):
    """How a journal file ended."""

    end: int  # where its good frames end
    last_group: int  # of its good frames; 0 when there are none
    damaged: Sequence[tuple[int, int]]  # byte ranges that were acknowledged once and cannot be read
    torn: bool  # whether bytes that were never acknowledged were cut


def encode(kind: Kind, file_no: int, group: int, body: Sequence[bytes]) -> list[bytes]:
    """The bytes of a frame, in pieces: nothing is copied but what is small."""
    length = sum(map(len, body))
    if length <= JOINED_MAX_BYTES:
        body = [b"".join(body)]
    header = _HEADER.pack(MAGIC, 0, length, kind, file_no, group)
    checksum = google_crc32c.value(header[_CHECKED_FROM:])
    for piece in body:
        checksum = google_crc32c.extend(checksum, piece)
    return [header[:4] + checksum.to_bytes(4, "little") + header[_CHECKED_FROM:], *body]


def pad(length: int) -> int:
    """Bytes that fill up the last sector of `length` bytes."""
    return -length % SECTOR_BYTES


def encode_control(kind: Kind, *numbers: int, name: str = "") -> list[bytes]:
    """The body of a frame that holds numbers, and perhaps a name."""
    return [struct.pack(f"<{len(numbers)}Q", *numbers), name.encode()]


def decode_control(body: bytes, count: int) -> tuple[list[int], str]:
    """Numbers and name of such a body.  Raises Damaged."""
    try:
        return list(struct.unpack_from(f"<{count}Q", body)), body[8 * count :].decode()
    except (struct.error, UnicodeDecodeError):
        raise Damaged("a control frame that is none") from None


def frame_at(content: bytes, at: int, file_no: int) -> Frame | None:
    """The frame that begins at `at`, or None if there is no good one."""
    found = frame_and_body(content, at, file_no)
    return None if found is None else found[0]


def frame_and_body(content: bytes, at: int, file_no: int) -> tuple[Frame, bytes] | None:
    """The frame that begins at `at` and its body, copied once; or None if there is no good one."""
    body_at = at + HEADER_BYTES
    if body_at > len(content):
        return None
    magic, checksum, length, kind, owner, group = _HEADER.unpack_from(content, at)
    if magic != MAGIC or owner != file_no or body_at + length > len(content) or kind not in _KINDS:
        return None
    body = content[body_at : body_at + length]
    if google_crc32c.extend(google_crc32c.value(content[at + _CHECKED_FROM : body_at]), body) != checksum:
        return None
    return Frame(Kind(kind), group, body_at, length), body


def scan(content: bytes, file_no: int, last_group: int) -> tuple[list[Frame], Tail]:
    """Every good frame of a journal file after its header, and how it ended.  `last_group` is the header's: the one before the file."""
    frames: list[Frame] = []
    damaged: list[tuple[int, int]] = []
    at, group = SECTOR_BYTES, last_group
    while True:
        frame = frame_at(content, at, file_no)
        if frame is None and at % SECTOR_BYTES and _blank(content[at : at + pad(at)]):
            at += pad(at)
            frame = frame_at(content, at, file_no)
        if frame is not None:
            frames.append(frame)
            at, group = frame.body_at + frame.length, frame.group
            continue
        resumed = _behind_damage(content, at, file_no, group)
        if resumed is None:
            return frames, Tail(at + pad(at), group, damaged, begins(content, at, file_no))
        damaged.append((at, resumed))
        at = resumed


def _behind_damage(content: bytes, at: int, file_no: int, group: int) -> int | None:
    """Where good frames go on behind bad bytes that were acknowledged once; None if what is behind may be a torn group.

    Within a group the bad bytes are its own; on a sector they may be the first of the next group, of which later sectors may have
    reached the disk before the crash.
    """
    unsure = group if at % SECTOR_BYTES else group + 1
    first: int | None = None
    for sector in range(at + pad(at) if at % SECTOR_BYTES else at + SECTOR_BYTES, len(content), SECTOR_BYTES):
        frame = frame_at(content, sector, file_no)
        if frame is not None:
            first = sector if first is None else first
            if frame.group > unsure:
                return first
    return None


def begins(content: bytes, at: int, file_no: int) -> bool:
    """Whether a frame of this file was begun at `at`, be it whole or not."""
    if at + HEADER_BYTES > len(content):
        return False
    magic, _, _, _, owner, _ = _HEADER.unpack_from(content, at)
    return bool(magic == MAGIC and owner == file_no)


def _blank(content: bytes) -> bool:
    return content.count(0) == len(content)


def group(frames: Iterable[Sequence[bytes]]) -> list[bytes]:
    """Frames of one group as they are written, in pieces: back to back, padded to whole sectors."""
    pieces = [piece for encoded in frames for piece in encoded if piece]
    return [*pieces, bytes(pad(sum(map(len, pieces))))]
