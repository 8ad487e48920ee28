"""Shard topology: which shard a hash key belongs to, and how the hash space is cut.

Theory.  The hash space 0 .. 2**128-1 is tiled by the ranges of a stream's OPEN shards.  A closed shard keeps its range for its
readers, but owns no key.  A record's hash key is the MD5 of its partition key, or the one that its producer names.
A reshard is a target: the tiling that is to come.  It is reached in rounds of splits and merges, one shard in two or two neighbours in
one, each of them real: first every boundary that is missing is cut, then every boundary that is too many is taken out.
Rules of this file:
  1. Pure: values in, values out; no clock, no I/O.
  2. Every public function that returns ranges returns a tiling; `check_tiling` is asserted by whoever stores one.
  3. A tiling is written as the ascending first hash keys of its ranges; the first of them is 0.
  4. Steps of one round are strangers to each other: no shard is in two of them, so they may be carried out together.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from penstock.core.hashkeys import HASH_KEY_MAX as HASH_KEY_MAX
from penstock.core.hashkeys import HashRange as HashRange
from penstock.core.hashkeys import hash_key as hash_key
from penstock.wire import native, nativeparts

BOUNDARY_SLACK: Final = 2**40  # hash keys: more than any roundings add up to, and nothing beside a range

Owner = TypeVar("Owner")


def uniform(count: int) -> list[HashRange]:
    """Cut the hash space into `count` >= 1 ranges of one width; the last takes the remainder.

    Source: recorded answers (range i starts at i * floor(2**128 / count)).
    """
    width = 2**128 // count
    starts = [number * width for number in range(count)]
    return [HashRange(start, start + width - 1) for start in starts[:-1]] + [HashRange(starts[-1], HASH_KEY_MAX)]


class Step(NamedTuple):
    """One split (a parent, two children) or one merge (two parents, a child)."""

    parents: tuple[HashRange, ...]  # ascending, adjacent
    children: tuple[HashRange, ...]  # ascending; they cover what the parents cover


def tiling(starts: Sequence[int]) -> list[HashRange]:
    """The ranges that begin at `starts`, ascending from 0."""
    assert starts[0] == 0, "a tiling begins at 0"
    ends = [*(start - 1 for start in starts[1:]), HASH_KEY_MAX]
    return [HashRange(start, end) for start, end in zip(starts, ends, strict=True)]


def next_round(held: Sequence[HashRange], target: Sequence[int]) -> list[Step]:
    """The steps that may be taken now on the way from the tiling `held` to the tiling that begins at `target`; none when it is reached.

    A range that lacks several boundaries is cut at the middle one, and neighbours are merged in pairs, so that the number of rounds
    grows with the logarithm of what lies between.
    """
    ordered = sorted(held)
    return _splits(ordered, target) or _merges(ordered, frozenset(target))


def _splits(ordered: Sequence[HashRange], target: Sequence[int]) -> list[Step]:
    steps = []
    for parent in ordered:
        first, last = bisect_right(target, parent.start), bisect_right(target, parent.end)
        if first < last:
            cut = target[(first + last) // 2]
            steps.append(Step((parent,), (HashRange(parent.start, cut - 1), HashRange(cut, parent.end))))
    return steps


def _merges(ordered: Sequence[HashRange], target: frozenset[int]) -> list[Step]:
    steps = []
    left: HashRange | None = None  # a range that the next one may be merged with
    for right in ordered:
        if left is not None and right.start not in target:
            steps.append(Step((left, right), (HashRange(left.start, right.end),)))
            left = None
        else:
            left = right
    return steps


def uniform_target(count: int, held: Sequence[HashRange]) -> list[int]:
    """Where `count` even ranges begin, for a stream that has the tiling `held`.

    A boundary that exists within BOUNDARY_SLACK of its even place is kept: the roundings of two counts must not cut ranges of a few keys.
    """
    existing = sorted(one.start for one in held)
    starts = []
    for start in (even.start for even in uniform(count)):
        at = bisect_right(existing, start)
        near = min(existing[max(0, at - 1) : at + 1], key=lambda one: abs(one - start))
        starts.append(near if abs(near - start) <= BOUNDARY_SLACK else start)
    return starts


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


class Ring(Generic[Owner]):
    """The open shards in the order of their ranges, for lookups by hash key."""

    def __init__(self, owners: Sequence[tuple[HashRange, Owner]]) -> None:
        assert check_tiling([held for held, _ in owners]), "the open shards of a stream tile the hash space"
        ordered = sorted(owners, key=lambda entry: entry[0])
        self._starts = [held.start for held, _ in ordered]
        self.owners = [owner for _, owner in ordered]
        self._native: nativeparts.Ring | None = None

    def find(self, key: int) -> Owner:
        """The owner of a hash key in 0 .. HASH_KEY_MAX.  Cost: 0.2 us at 10,000 shards."""
        return self.owners[bisect_right(self._starts, key) - 1]

    @property
    def native(self) -> nativeparts.Ring:
        """The same for the native part, which answers places in `owners`; asked for only where there is one."""
        if self._native is None:
            assert native.NATIVE is not None
            self._native = native.NATIVE.Ring(b"".join(start.to_bytes(16, "big") for start in self._starts))
        return self._native
