"""Finders of blocks, as tests make them."""

from collections.abc import Mapping, Sequence
from typing import Final

from penstock.engines.local import segment
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import BlockFinder, JournalMemory

SIZES: Final = (segment.HEADER_BYTES, 1 << 30, segment.BLOCK_TARGET_BYTES, segment.BLOCK_ALONE_BYTES)


def finder_of(
    size_bytes: int,
    file_no: int,
    streams: Sequence[Sequence[int]],
    settled: Mapping[int, int] | None = None,
    sizes: tuple[int, int, int, int] = SIZES,
    memory: JournalMemory | None = None,
) -> BlockFinder:
    """A finder for a file; numbers of logs by stream, and up to where they are settled."""
    assert NATIVE is not None
    tips, log_nos = NATIVE.Tips(), [log_no for held in streams for log_no in held]
    places = [tips.add() for _ in log_nos]
    for place, log_no in zip(places, log_nos, strict=True):
        tips.settle_to(place, (settled or {}).get(log_no, 0))
    roster = NATIVE.Roster(places, log_nos, [len(held) for held in streams])
    return NATIVE.BlockFinder(memory or NATIVE.JournalMemory(), size_bytes, file_no, roster, tips, sizes)
