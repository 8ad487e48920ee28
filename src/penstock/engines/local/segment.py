"""Segments: immutable files that hold the settled records of one stream, grouped by shard.

Theory.  A segment is a header, blocks of columns, an index, and a trailer that says where the index is.  Each block and the index carry a
crc32c.  Records of one log lie in offset order in consecutive blocks of about a megabyte, so a reader finds its block by bisection in
the index and fetches it with one read.
Rules of this file: pure; what is read is checked before it is believed.

Header (32 bytes): magic "PSTKSEG1", data directory id (16 bytes of hex text), 8 zeros.
Block: crc32c u32 of the body, body length u32, body (columns.py).
Index: MessagePack of a list of BlockRow.  Trailer (24 bytes): index offset u64, index length u64, crc32c u32, magic u32 "GSKP".
"""

import struct
from array import array
from collections.abc import Iterable, Sequence
from operator import lt
from typing import Final, NamedTuple

import google_crc32c
import msgspec

from penstock.engines.local import columns
from penstock.engines.local.columns import Block, Damaged
from penstock.engines.local.ranges import RangeRow, Ranges
from penstock.wire.nativeparts import JoinedBlocks

MAGIC: Final = b"PSTKSEG1"
_TRAILER: Final = struct.Struct("<QQII")
_TRAILER_MAGIC: Final = 0x504B5347
_BLOCK: Final = struct.Struct("<II")
HEADER_BYTES: Final = 32
TRAILER_BYTES: Final = _TRAILER.size
BLOCK_TARGET_BYTES: Final = 1 << 20
BLOCK_ALONE_BYTES: Final = 256 << 10  # a block as large as this is not joined with others: it would have to be copied
assert BLOCK_ALONE_BYTES <= BLOCK_TARGET_BYTES


class BlockRow(msgspec.Struct, frozen=True, array_like=True):
    """One block, in the index."""

    log_no: int
    first_offset: int
    records: int
    first_arrival_ms: int
    last_arrival_ms: int
    at: int  # of its body in the file
    length: int
    checksum: int

    @property
    def end(self) -> int:
        """One past its last offset."""
        return self.first_offset + self.records


class Built(NamedTuple):
    """A segment ready to be written."""

    parts: Sequence[Iterable[bytes]]  # pieces, once: what the native part joins is made when it is asked for
    size_bytes: int
    index_checksum: int
    ranges: Ranges


class Builder:
    """A segment in the making: the blocks of one log after the other, each log's in offset order."""

    def __init__(self, data_id: str) -> None:
        self._parts: list[Iterable[bytes]] = [[_header(data_id)]]
        self._index: list[bytes] = []  # rows, in MessagePack
        self._rows = 0
        self._ranges = Ranges()
        self._held: list[tuple[Block, bytes]] = []  # to become one block, with their bodies
        self._held_bytes = 0
        self.size_bytes = HEADER_BYTES  # so far, without what is held

    @property
    def empty(self) -> bool:
        """Whether it holds no block."""
        return not self._rows and not self._held

    def takes(self, block_bytes: int, most_bytes: int) -> bool:
        """Whether a block more keeps the segment within `most_bytes`; an empty one takes any block."""
        return self.empty or self.size_bytes + self._held_bytes + block_bytes <= most_bytes

    def add(self, body: bytes) -> None:
        """Take a block; small ones are joined to about BLOCK_TARGET_BYTES, but not over a gap in the offsets.  Raises Damaged."""
        block = columns.decode(memoryview(body))
        if self._held and (
            max(self._held[0][0].size_bytes, block.size_bytes) >= BLOCK_ALONE_BYTES
            or self._held_bytes + block.size_bytes > BLOCK_TARGET_BYTES
            or (self._held[-1][0].log_no, self._held[-1][0].end) != (block.log_no, block.first_offset)
        ):
            self._join()
        self._held.append((block, body))
        self._held_bytes += block.size_bytes

    def finish(self) -> Built:
        """The segment."""
        if self._held:
            self._join()
        index = b"".join([_array_head(self._rows), *self._index])
        checksum = google_crc32c.value(index)
        trailer = _TRAILER.pack(self.size_bytes, len(index), checksum, _TRAILER_MAGIC)
        size_bytes = self.size_bytes + len(index) + TRAILER_BYTES
        return Built([*self._parts, [index, trailer]], size_bytes, checksum, self._ranges)

    def _join(self) -> None:
        [block, body], *others = self._held
        pieces = [body]  # one alone is passed on as it is
        if others:
            block = columns.join([block for block, _ in self._held])
            pieces = columns.encode(block)
        self._held, self._held_bytes = [], 0
        length, checksum = sum(map(len, pieces)), 0
        for piece in pieces:
            checksum = google_crc32c.extend(checksum, piece)
        self._parts.append([_BLOCK.pack(checksum, length), *pieces])
        row = _row(block, self.size_bytes + _BLOCK.size, length, checksum)
        self._index.append(msgspec.msgpack.encode(row))
        self._rows += 1
        self._ranges.add(_range(row))
        self.size_bytes += _BLOCK.size + length


def joined(data_id: str, blocks: JoinedBlocks) -> Built:
    """The segment that the native part made, as a builder does."""
    ranges = Ranges()
    ranges.extend(blocks.ranges())
    return Built([[_header(data_id)], blocks], HEADER_BYTES + blocks.left, blocks.index_checksum, ranges)


def _header(data_id: str) -> bytes:
    return MAGIC + data_id.encode().ljust(16, b"\0")[:16] + bytes(8)


def index_place(trailer: bytes, size_bytes: int) -> tuple[int, int, int]:
    """Offset, length and checksum of the index, from a segment's last bytes.  Raises Damaged."""
    if len(trailer) != TRAILER_BYTES:
        raise Damaged("a segment is shorter than its trailer")
    at, length, checksum, magic = _TRAILER.unpack(trailer)
    if magic != _TRAILER_MAGIC or at + length + TRAILER_BYTES != size_bytes:
        raise Damaged("a segment without a sound trailer")
    return at, length, checksum


def decode_index(content: bytes, checksum: int) -> list[BlockRow]:
    """The index from its bytes.  Raises Damaged."""
    if google_crc32c.value(content) != checksum:
        raise Damaged("a segment index whose checksum is wrong")
    try:
        return msgspec.msgpack.decode(content, type=list[BlockRow])
    except msgspec.MsgspecError as error:
        raise Damaged(f"a segment index that does not decode: {error}") from None


def decode_block(body: bytes, row: BlockRow) -> Block:
    """A block from its bytes.  Raises Damaged."""
    if google_crc32c.value(body) != row.checksum:
        raise Damaged("a block whose checksum is wrong")
    block = columns.decode(body)
    if (block.log_no, block.first_offset, block.records) != (row.log_no, row.first_offset, row.records):
        raise Damaged("a block that is not the one its index names")
    return block


def _row(block: Block, at: int, length: int, checksum: int) -> BlockRow:
    first, last = block.runs[0].arrival_ms, block.runs[-1].arrival_ms
    return BlockRow(block.log_no, block.first_offset, block.records, first, last, at, length, checksum)


def ranges_of(rows: Sequence[BlockRow]) -> Ranges:
    """What a segment with this index holds of each log.  Raises Damaged."""
    log_nos = [row.log_no for row in rows]
    try:
        if not all(map(lt, log_nos, log_nos[1:])):
            return Ranges.of([_range(row) for row in rows])
        found = Ranges()  # many logs, a block each: in columns, in a fifth of the time
        numbers = log_nos, [row.first_offset for row in rows], [row.end for row in rows]
        moments = [row.first_arrival_ms for row in rows], [row.last_arrival_ms for row in rows]
        found.extend(
            [array(kind, column).tobytes() for kind, columns in (("Q", numbers), ("q", moments)) for column in columns]
        )
    except OverflowError:
        raise Damaged("a segment index with numbers that none has") from None
    return found


def _range(row: BlockRow) -> RangeRow:
    return RangeRow(row.log_no, row.first_offset, row.end, row.first_arrival_ms, row.last_arrival_ms)


def _array_head(length: int) -> bytes:
    """How an array of so many begins in MessagePack."""
    if length < 16:
        return bytes([0x90 | length])
    return b"\xdc" + length.to_bytes(2, "big") if length < 1 << 16 else b"\xdd" + length.to_bytes(4, "big")
