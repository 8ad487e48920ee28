"""Ratios against kept ones: which fell too far, and in which room.

Theory.  A ratio is how much work fits into a fixed reference work's CPU time; higher is better, and a busy machine slows both.
A regression is a ratio below `KEPT_SHARE_MIN` of the kept one.
Rules of this file: pure.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

KEPT_SHARE_MIN: Final = 0.75

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
        return self.name.partition("/")[0]

    def __str__(self) -> str:
        less = (1 - self.found / self.kept) * 100
        return (
            f"{self.room}: {self.name.partition('/')[2]} fell by {less:.0f}%, from {self.kept:.4g} to {self.found:.4g}"
        )


def medians(rounds: Sequence[Ratios]) -> dict[str, float]:
    """The median of each ratio over the rounds that have it."""
    names = dict.fromkeys(name for each in rounds for name in each)
    return {name: statistics.median(each[name] for each in rounds if name in each) for name in names}


def falls(kept: Ratios, found: Ratios) -> list[Fall]:
    """What fell too far.  What was not found counts as fallen to nothing; what is new is no fall."""
    return [
        Fall(name, value, found.get(name, 0.0))
        for name, value in kept.items()
        if found.get(name, 0.0) < KEPT_SHARE_MIN * value
    ]


def rooms(found: Iterable[Fall]) -> list[str]:
    """The rooms of falls, each once."""
    return list(dict.fromkeys(each.room for each in found))
