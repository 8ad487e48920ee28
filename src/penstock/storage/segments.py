"""Verification of one segment: every byte of it against its checksums, its index against its blocks and the manifest.

Theory.  Blocks stand back to back from the header to the index, each behind its checksum and length; so they can be walked without the
index, and where the index is damaged they are.
Rules of this file: memory holds one block; whatever is wrong, the walk goes on where the next block can be found.
"""

from collections.abc import Iterator
from typing import Final

import google_crc32c

from penstock.engines.local import columns, segment
from penstock.engines.local.columns import Block, Damaged
from penstock.engines.local.manifest import SegmentRow
from penstock.engines.local.segment import BlockRow
from penstock.storage.directory import Advance, DataDirectory, ReadOnlyFile
from penstock.storage.finding import Finding

PREFIX_BYTES: Final = 8  # of a block: checksum and length


class BadIndex(Damaged):
    """The index or the trailer of a segment is not what was written."""

    def __init__(self, what: str, span: tuple[int, int]) -> None:
        super().__init__(what)
        self.span = span


class SegmentCheck:
    """One segment under the glass."""

    def __init__(self, row: SegmentRow, data_id: str, log_names: dict[int, str], advance: Advance) -> None:
        self._row = row
        self._data_id = data_id
        self._log_names = log_names
        self._advance = advance
        self.records = 0
        self.blocks = 0

    def run(self, directory: DataDirectory) -> Iterator[Finding]:
        """Verify it; yield what is wrong.  Raises FileNotFoundError."""
        with directory.open(self._row.path) as file:
            size = file.size_bytes
            if size != self._row.size_bytes:
                yield self._finding(f"has {size} bytes; the manifest says {self._row.size_bytes}")
            wanted = segment.MAGIC + self._data_id.encode().ljust(16, b"\0")[:16] + bytes(8)
            if file.read(0, segment.HEADER_BYTES) != wanted:
                yield self._finding("its header is damaged, or of another data directory", (0, segment.HEADER_BYTES))
            try:
                rows, end = read_index(file, self._row)
            except BadIndex as error:
                yield self._finding(f"{error}: none of its records can be read", error.span)
                yield from self._walk(file, size - segment.TRAILER_BYTES)
                return
            yield from self._blocks(file, rows, end)
            self._advance(size - end)

    def _blocks(self, file: ReadOnlyFile, rows: list[BlockRow], end: int) -> Iterator[Finding]:
        """Each block of the index, and that nothing lies between them."""
        at = segment.HEADER_BYTES
        before: BlockRow | None = None
        for row in rows:
            if row.at != at + PREFIX_BYTES:
                span = (min(at, row.at), max(at, row.at))
                yield self._finding("a gap between blocks, or blocks on top of each other", span)
            yield from self._block(file, row)
            yield from self._neighbours(before, row)
            self._count(row)
            at, before = row.at + row.length, row
        if at != end:
            yield self._finding("bytes between the last block and the index", (at, end))

    def _block(self, file: ReadOnlyFile, row: BlockRow) -> Iterator[Finding]:
        prefix, body = file.read(row.at - PREFIX_BYTES, PREFIX_BYTES), file.read(row.at, row.length)
        self._advance(PREFIX_BYTES + len(body))
        if prefix != row.checksum.to_bytes(4, "little") + row.length.to_bytes(4, "little"):
            yield self._finding("the checksum or length before a block is damaged", (row.at - PREFIX_BYTES, row.at))
        try:
            block = segment.decode_block(body, row)
        except Damaged as error:
            yield self._lost(row.log_no, (row.first_offset, row.end), str(error), (row.at, row.at + row.length))
            return
        yield from self._arrivals(block, row)

    def _arrivals(self, block: Block, row: BlockRow) -> Iterator[Finding]:
        times = [run.arrival_ms for run in block.runs]
        span, records = (row.at, row.at + row.length), (row.first_offset, row.end)
        if times != sorted(times):
            yield self._lost(row.log_no, records, "arrival times go down within a block", span)
        if (times[0], times[-1]) != (row.first_arrival_ms, row.last_arrival_ms):
            yield self._lost(row.log_no, records, "arrival times differ between index and block", span)

    def _neighbours(self, before: BlockRow | None, row: BlockRow) -> Iterator[Finding]:
        if before is None or before.log_no != row.log_no:
            return
        span = (row.at, row.at + row.length)
        if row.first_offset > before.end:
            yield self._lost(row.log_no, (before.end, row.first_offset), "records are missing before a block", span)
        elif row.first_offset < before.end:
            yield self._lost(row.log_no, (row.first_offset, before.end), "records that lie in two blocks", span)
        if row.first_arrival_ms < before.last_arrival_ms:
            yield self._lost(row.log_no, (row.first_offset, row.end), "arrival times go down between blocks", span)

    def _count(self, row: BlockRow) -> None:
        self.records += row.records
        self.blocks += 1

    def _walk(self, file: ReadOnlyFile, end: int) -> Iterator[Finding]:
        """Blocks without their index: which of them are sound, for whoever repairs it."""
        at, sound, held = segment.HEADER_BYTES, 0, 0
        while at + PREFIX_BYTES < end:
            prefix = file.read(at, PREFIX_BYTES)
            checksum, length = int.from_bytes(prefix[:4], "little"), int.from_bytes(prefix[4:], "little")
            if at + PREFIX_BYTES + length > end:
                break
            body = file.read(at + PREFIX_BYTES, length)
            try:
                if google_crc32c.value(body) != checksum:
                    break
                held += columns.decode(body).records
            except Damaged:
                break
            sound += 1
            at += PREFIX_BYTES + length
        self._advance(file.size_bytes)
        what = f"{sound} blocks before it, of {held} records, are sound: they could be had back with a new index"
        yield self._finding(what, (segment.HEADER_BYTES, at), harmless=True)

    def _finding(self, what: str, span: tuple[int, int] | None = None, *, harmless: bool = False) -> Finding:
        return Finding(self._row.path, what, span, harmless=harmless)

    def _lost(self, log_no: int, records: tuple[int, int], what: str, span: tuple[int, int] | None = None) -> Finding:
        name = self._log_names.get(log_no)  # None: dropped; then nobody misses them
        return Finding(self._row.path, what, span, name, records, harmless=name is None)


def read_index(file: ReadOnlyFile, noted: SegmentRow | None = None) -> tuple[list[BlockRow], int]:
    """The index of a segment, and where it begins; held against what a manifest notes of it.  Raises BadIndex."""
    size = file.size_bytes
    span = (max(0, size - segment.TRAILER_BYTES), size)
    trailer = file.read(span[0], segment.TRAILER_BYTES)
    try:
        at, length, checksum = segment.index_place(trailer, size)
        if noted is not None and noted.index_checksum not in (None, checksum):
            raise Damaged("an index that is not the one that the manifest notes")
        span = (at, at + length)
        return segment.decode_index(file.read(at, length), checksum), at
    except Damaged as error:
        raise BadIndex(str(error), span) from None
