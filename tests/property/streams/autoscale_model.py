"""What the laws and the simulated month of autoscale run on: a stream whose traffic lies over the hash keys as a density, and whose policy is obeyed."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock.core.limits import DAY_MS, MINUTE_MS
from penstock.services.streams.autoscale import Policy, ShardLoad, decide
from penstock.services.streams.topology import HASH_KEY_MAX, HashRange, check_tiling, tiling, uniform

ON_DEMAND = Policy(4, 20_000, 0.5, 30)


class Load(NamedTuple):
    """Traffic in shards' worth of writes: some of it even over all keys, some of it on single hot keys."""

    even: float = 0.0
    hot_keys: tuple[tuple[int, float], ...] = ()  # hash key, its load

    @property
    def total(self) -> float:
        return self.even + sum(load for _, load in self.hot_keys)

    def on(self, held: HashRange) -> float:
        """What of it falls into a range."""
        width = (held.end - held.start + 1) / (HASH_KEY_MAX + 1)
        return self.even * width + sum(load for key, load in self.hot_keys if held.start <= key <= held.end)


class Reshard(NamedTuple):
    """What was decided, and when."""

    at_ms: int
    before: int
    after: int


@dataclass
class Model:
    """A stream under a policy, as the autoscaler keeps it."""

    policy: Policy = ON_DEMAND
    shards: list[HashRange] = field(default_factory=lambda: uniform(4))
    now_ms: int = 0
    reshards: list[Reshard] = field(default_factory=list)
    days: dict[int, float] = field(default_factory=dict)  # peak by day
    since_ms: dict[HashRange, int] = field(
        default_factory=dict
    )  # since when a shard is quiet; from the beginning if it is not here

    @property
    def peak(self) -> float:
        oldest = self.now_ms // DAY_MS - self.policy.window_days
        return max((peak for day, peak in self.days.items() if day >= oldest), default=0.0)

    def step(self, load: Load, duration_ms: int = MINUTE_MS) -> bool:
        """Let time pass under a load, and obey what is decided then; whether anything was."""
        self.now_ms += duration_ms
        day = self.now_ms // DAY_MS
        self.days[day] = max(self.days.get(day, 0.0), load.total)
        seen = [self._look(held, load.on(held)) for held in self.shards]
        starts = decide(seen, self.peak, self.policy)
        if starts is None:
            return False
        self._obey(starts)
        return True

    def _look(self, held: HashRange, load: float) -> ShardLoad:
        if load > self.policy.quiet:
            self.since_ms[held] = self.now_ms
        return ShardLoad(held, load, self.now_ms - self.since_ms.get(held, 0))

    def _obey(self, starts: Sequence[int]) -> None:
        before = self.shards
        self.shards = tiling(starts)
        assert check_tiling(self.shards)
        assert starts == sorted(set(starts))
        assert set(self.shards) != set(before)
        kept = set(before)
        for held in self.shards:
            if held not in kept:
                self.since_ms[held] = self.now_ms
        self.reshards.append(Reshard(self.now_ms, len(before), len(self.shards)))


def flips(reshards: Sequence[Reshard]) -> int:
    """How often growing turned into shrinking or shrinking into growing."""
    signs = [one.after > one.before for one in reshards]
    return sum(first != second for first, second in itertools.pairwise(signs))
