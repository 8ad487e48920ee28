"""A segment on the disk: opened when it is first read, its index read once and kept by log."""

import asyncio
from bisect import bisect_left, bisect_right
from operator import attrgetter

from msgspec.structs import replace

from penstock.core.ports import Disk, File
from penstock.engines.local import segment
from penstock.engines.local.columns import Block, Damaged
from penstock.engines.local.manifest import SegmentRow
from penstock.engines.local.ranges import Ranges
from penstock.engines.local.segment import BlockRow

_end = attrgetter("end")
_last_arrival = attrgetter("last_arrival_ms")


class SegmentFile:
    """One segment.  Every read raises Damaged where the bytes are not what was written."""

    def __init__(self, disk: Disk, row: SegmentRow, ranges: Ranges) -> None:
        self.row = row
        self._disk = disk
        self._file: File | None = None
        self._index: dict[int, list[BlockRow]] | None = None
        self._opening = asyncio.Lock()
        self._readers = 0
        self._resting = False  # to be closed by its last reader
        self.given_up = False  # no log needs it any more
        self.needed = 0  # logs that still have records in it
        self.hold(ranges)

    async def block_at(self, log_no: int, offset: int) -> BlockRow | None:
        """The first block of a log that ends after `offset`."""
        rows = (await self.index()).get(log_no, [])
        at = bisect_right(rows, offset, key=_end)
        return rows[at] if at < len(rows) else None

    async def block_since(self, log_no: int, at_ms: int) -> BlockRow | None:
        """The first block of a log with a record that arrived at or after `at_ms`."""
        rows = (await self.index()).get(log_no, [])
        at = bisect_left(rows, at_ms, key=_last_arrival)
        return rows[at] if at < len(rows) else None

    async def read_block(self, row: BlockRow) -> Block:
        """A block: one read."""
        return segment.decode_block(await self._read(row.at, row.length), row)

    async def index(self) -> dict[int, list[BlockRow]]:
        """The blocks of each log, in offset order."""
        if self._index is None:
            index: dict[int, list[BlockRow]] = {}
            for row in await self._index_rows():
                index.setdefault(row.log_no, []).append(row)
            self._index = index
            return index
        return self._index

    async def find_ranges(self) -> None:
        """Learn from its index what it holds."""
        self.hold(segment.ranges_of(await self._index_rows()))
        await self.rest()

    def hold(self, ranges: Ranges) -> None:
        """Hold these records."""
        self.ranges = ranges
        self._records: int | None = None

    @property
    def records(self) -> int:
        """How many it holds, of all logs; counted when it is first asked for."""
        if self._records is None:
            self._records = self.ranges.records
        return self._records

    async def _index_rows(self) -> list[BlockRow]:
        size = self.row.size_bytes
        trailer = await self._read(max(0, size - segment.TRAILER_BYTES), segment.TRAILER_BYTES)
        at, length, checksum = segment.index_place(trailer, size)
        if self.row.index_checksum not in (None, checksum):
            raise Damaged("a segment whose index is not the one that the manifest notes")
        rows = segment.decode_index(await self._read(at, length), checksum)
        self.row = replace(self.row, index_checksum=checksum)
        return rows

    async def rest(self) -> None:
        """Give back the index and the open file; the next read opens it again."""
        self._index = None
        self._resting = self._readers > 0
        if self._file is not None and not self._resting:
            file, self._file = self._file, None
            await file.close()

    async def _read(self, at: int, length: int) -> bytes:
        self._readers += 1
        try:
            return await (await self._opened()).read(at, length)
        finally:
            self._readers -= 1
            if self._resting or self.given_up:
                await self.rest()

    async def _opened(self) -> File:
        async with self._opening:
            if self._file is None:
                try:
                    self._file = await self._disk.open(self.row.path)
                except FileNotFoundError:
                    raise Damaged(f"{self.row.path} is missing") from None
            return self._file
