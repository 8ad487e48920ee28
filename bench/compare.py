"""Ratios against kept ones: which fell too far, and in which room.

Theory.  A ratio is how much work fits into a fixed reference work's CPU time; higher is better, and a busy machine slows both.
A regression is a ratio below a share of the kept one.  Rooms in one process hold still, so theirs is 3/4 and the median of the rounds
counts.  A whole server does not: on a busy machine its batches are smaller and its caches cold, up to a third more CPU for the same
work.  What disturbs it only ever costs, so of a server the best round counts, against 3/5.
Rules of this file: pure.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

KEPT_SHARE_MIN: Final = 0.75
SERVER: Final = "server"
SERVER_SHARE_MIN: Final = 0.6

Ratios = Mapping[str, float]  # by "room/name"


class Kept(msgspec.Struct, kw_only=True):
    """What bench/results/quick.json holds."""

    date: str
    commit: str
    processor: str
    ratios: dict[str, float]


class Fall(NamedTuple):
    """A ratio that fell too far."""

    name: str
    kept: float
    found: float

    @property
    def room(self) -> str:
        """Where to look."""
        return room_of(self.name)

    def __str__(self) -> str:
        less = (1 - self.found / self.kept) * 100
        return (
            f"{self.room}: {self.name.partition('/')[2]} fell by {less:.0f}%, from {self.kept:.4g} to {self.found:.4g}"
        )


def room_of(name: str) -> str:
    """The room of a ratio."""
    return name.partition("/")[0]


def share_min(name: str) -> float:
    """The share of the kept ratio, below which one has fallen."""
    return SERVER_SHARE_MIN if room_of(name) == SERVER else KEPT_SHARE_MIN


def settled(rounds: Sequence[Ratios]) -> dict[str, float]:
    """What counts of each ratio, over the rounds that have it."""
    names = dict.fromkeys(name for each in rounds for name in each)
    found = {name: [each[name] for each in rounds if name in each] for name in names}
    return {name: max(each) if room_of(name) == SERVER else statistics.median(each) for name, each in found.items()}


def falls(kept: Ratios, found: Ratios) -> list[Fall]:
    """What fell too far.  What was not found counts as fallen to nothing; what is new is no fall."""
    return [
        Fall(name, value, found.get(name, 0.0))
        for name, value in kept.items()
        if found.get(name, 0.0) < share_min(name) * value
    ]


def rooms(found: Iterable[Fall]) -> list[str]:
    """The rooms of falls, each once."""
    return list(dict.fromkeys(each.room for each in found))
