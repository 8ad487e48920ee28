"""Autoscale: how many shards a stream should have, and where they begin, given what its traffic was.

Theory.  The load of a shard is the share of its write capacity (1 MiB/s and 1,000 records/s, unless it has a quota of its own) that was
used in a full minute.  A stream keeps room: its shards times the target utilisation are no less than the highest minute of the window
(on demand: 50% and 30 days, which is AWS's "double the peak of the last 30 days").  Against uneven traffic a shard that is hot by
itself is cut in the middle, room or not.
    room    shards needed = peak / target, between floor and ceiling, in steps of about a quarter; the widest shards are cut until then
    hot     a shard over (1 + target) / 2, halfway from the target to its capacity: 75% on demand
    narrow  a shard of less than 1/8 of the even width is not cut for heat: one hot key stays hot however narrow its shard is
    quiet   a shard that was below 0.4 of `hot` for 72 h, which is longer than a weekend; two quiet neighbours are merged while there
            are more shards than needed.  Together they are below 0.8 of `hot`
Why this comes to rest under a steady load: room never asks for less than it did; heat cuts a shard at most until it is narrow, and
merges only ever raise that width; a merged shard is below `hot`, and merging stops at what room asks for.  (Where the ceiling keeps a hot
shard from being cut, merging quiet ones makes room for it, until it is narrow.)
Rules of this file:
  1. Pure: values in, values out; no clock, no I/O.
  2. The answer is a tiling, written as the ascending first hash keys of its ranges, that differs from the present one, or None.
  3. One decision either cuts (each shard at most once) or merges (each at most with one neighbour), never both.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from penstock.core.limits import HOUR_MS, ON_DEMAND_SHARDS, SHARDS_MAX
from penstock.services.streams.state import Stream
from penstock.services.streams.topology import HASH_KEY_MAX, HashRange

MIN_TAG: Final = "penstock:autoscale-min"
MAX_TAG: Final = "penstock:autoscale-max"
TARGET_TAG: Final = "penstock:autoscale-target"

ON_DEMAND_TARGET: Final = 0.5  # of the capacity: room for double the peak
ON_DEMAND_WINDOW_DAYS: Final = 30  # Source: the developer guide, "On-demand mode"
PROVISIONED_TARGET: Final = 0.7
PROVISIONED_WINDOW_DAYS: Final = 7  # a week's rhythm
TARGET_PERCENT: Final = range(10, 91)  # of the tag

QUIET_MS: Final = 72 * HOUR_MS
QUIET_SHARE: Final = 0.4  # of `hot`
NARROW: Final = 8  # how many times narrower than the even width a shard may become by heat

assert 2 * QUIET_SHARE < 1, "two quiet shards together stay below hot"


class Policy(NamedTuple):
    """What a stream is scaled by."""

    floor: int  # shards, at least
    ceiling: int  # shards, at most; >= floor
    target: float  # utilisation of the shards together at the peak, 0 .. 1
    window_days: int  # how long a peak counts

    @property
    def hot(self) -> float:
        """A shard with more load than this is cut."""
        return (1 + self.target) / 2

    @property
    def quiet(self) -> float:
        """Shards with less load than this may be merged later."""
        return self.hot * QUIET_SHARE


class ShardLoad(NamedTuple):
    """An open shard."""

    hash_range: HashRange
    load: float  # of its capacity, in the busiest minute since the last decision
    quiet_ms: int  # for how long every minute was below the policy's `quiet`; 0: it is not

    @property
    def width(self) -> int:
        """How many hash keys it owns."""
        return self.hash_range.end - self.hash_range.start + 1


class BadTags(ValueError):
    """Tags of an autoscale policy that mean none; the text says why."""


def policy_of(stream: Stream) -> Policy | None:
    """The policy of a stream, or None if its shards are its owner's business.

    A warm throughput of an on-demand stream is room that it keeps, as a floor of one shard for each MiB/s.

    Raises BadTags.
    """
    tags = stream.tags
    if stream.mode == "ON_DEMAND":
        floor = min(max(ON_DEMAND_SHARDS, stream.warm_throughput_mibps or 0), SHARDS_MAX)
        return Policy(floor, SHARDS_MAX, ON_DEMAND_TARGET, ON_DEMAND_WINDOW_DAYS)
    if MIN_TAG not in tags or MAX_TAG not in tags:
        return None
    floor, ceiling = _number(tags, MIN_TAG), _number(tags, MAX_TAG)
    percent = _number(tags, TARGET_TAG) if TARGET_TAG in tags else round(PROVISIONED_TARGET * 100)
    if not 1 <= floor <= ceiling <= SHARDS_MAX:
        raise BadTags(f"{MIN_TAG} {floor} and {MAX_TAG} {ceiling} must be 1 <= min <= max <= {SHARDS_MAX}")
    if percent not in TARGET_PERCENT:
        raise BadTags(f"{TARGET_TAG} {percent} must be from {TARGET_PERCENT[0]} to {TARGET_PERCENT[-1]} percent")
    return Policy(floor, ceiling, percent / 100, PROVISIONED_WINDOW_DAYS)


def _number(tags: Mapping[str, str], key: str) -> int:
    text = tags[key].strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadTags(f"{key} {text[:40]!r} is not a whole number")
    return int(text)


def needed(peak_load: float, policy: Policy) -> int:
    """How many shards have room for a peak of `peak_load` shards' worth of writes, in steps of about a quarter from 8 on."""
    count = max(1, math.ceil(peak_load / policy.target))
    step = 1 << max(0, count.bit_length() - 3)
    return min(max(-(-count // step) * step, policy.floor), policy.ceiling)


def decide(shards: Sequence[ShardLoad], peak_load: float, policy: Policy) -> list[int] | None:
    """Where the shards to come begin, or None if they are good as they are.

    `shards` are the open ones, in any order; `peak_load` is the highest minute of the window, in shards' worth of writes.
    """
    aim = needed(peak_load, policy)
    if _rests(shards, aim, policy):
        return None
    ordered = sorted(shards)
    starts = {shard.hash_range.start for shard in ordered}
    if cuts := _cuts(ordered, aim, policy):
        return sorted(starts | cuts)
    if seams := _seams(ordered, aim, policy):
        return sorted(starts - seams)
    return None


def _rests(shards: Sequence[ShardLoad], aim: int, policy: Policy) -> bool:
    """Whether nothing can be asked for, as nearly always: seen without putting thousands of shards in order."""
    if not aim <= len(shards) <= policy.ceiling or any(shard.load > policy.hot for shard in shards):
        return False
    return aim == len(shards) or sum(shard.quiet_ms >= QUIET_MS for shard in shards) < 2


def _cuts(ordered: Sequence[ShardLoad], aim: int, policy: Policy) -> set[int]:
    """New boundaries: the middles of hot shards, hottest first, then of the widest while there are fewer shards than needed."""
    count = len(ordered)
    narrowest = HASH_KEY_MAX // (NARROW * count) + 1
    hot = [shard for shard in ordered if shard.load > policy.hot and shard.width >= narrowest]
    hot.sort(key=lambda shard: -shard.load)
    taken = {shard.hash_range.start for shard in hot}
    rest = [shard for shard in ordered if shard.hash_range.start not in taken and shard.width > 1]
    rest.sort(key=lambda shard: (-shard.width, -shard.load))
    chosen = hot + rest[: max(0, aim - count - len(hot))]
    chosen = chosen[: max(0, policy.ceiling - count)]
    return {shard.hash_range.start + shard.width // 2 for shard in chosen}


def _seams(ordered: Sequence[ShardLoad], aim: int, policy: Policy) -> set[int]:
    """Boundaries to be taken out: between quiet neighbours, the narrowest first; above the ceiling between any, the coolest first."""
    forced = len(ordered) > policy.ceiling
    pairs = [
        (left.load + right.load if forced else 0.0, left.width + right.width, place)
        for place, (left, right) in enumerate(itertools.pairwise(ordered), 1)
        if forced or min(left.quiet_ms, right.quiet_ms) >= QUIET_MS
    ]
    spare = len(ordered) - (policy.ceiling if forced else aim)
    taken: dict[int, int] = {}  # place of a pair's right one: its start
    for _, _, place in sorted(pairs):
        if len(taken) < spare and place - 1 not in taken and place + 1 not in taken:
            taken[place] = ordered[place].hash_range.start
    return set(taken.values())
