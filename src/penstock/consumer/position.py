"""Positions in a shard: how far an application has come, and where it begins.

Theory.  A checkpoint names the last user record that was processed: the sequence number of the Kinesis record that carried it and, for
an aggregate, its place within.  Before the first there is one of three sentinels, after the last there is SHARD_END.  The texts are
KCL's own, because they stand in tables that KCL reads.
Rules of this file:
  1. Pure.
  2. Every sentinel that begins is below every number, SHARD_END is above all.  Sentinels that begin do not pass each other.
"""

from typing import Final

from msgspec import Struct

TRIM_HORIZON: Final = "TRIM_HORIZON"
LATEST: Final = "LATEST"
AT_TIMESTAMP: Final = "AT_TIMESTAMP"
SHARD_END: Final = "SHARD_END"
BEGINNINGS: Final = frozenset({TRIM_HORIZON, LATEST, AT_TIMESTAMP})


class BadPosition(ValueError):
    """A text that is neither a sequence number nor a sentinel."""


class Checkpoint(Struct, frozen=True, order=False):
    """How far a shard was processed."""

    sequence: str  # a sequence number in decimal digits, or a sentinel
    sub: int = 0  # place in the aggregate that the number names; 0 for a plain record

    def __post_init__(self) -> None:
        if self.sequence not in BEGINNINGS and self.sequence != SHARD_END and not _is_number(self.sequence):
            raise BadPosition(f"{self.sequence[:40]!r} is neither a sequence number nor a position")
        if self.sub < 0:
            raise BadPosition(f"the sub-sequence number {self.sub} is below 0")

    @property
    def ended(self) -> bool:
        """Whether nothing is left to read."""
        return self.sequence == SHARD_END

    @property
    def begun(self) -> bool:
        """Whether a record was processed."""
        return self.sequence not in BEGINNINGS

    @property
    def rank(self) -> tuple[int, int]:
        """What positions of a shard are ordered by."""
        if self.ended:
            return (1 << 200, 0)
        return (int(self.sequence), self.sub) if self.begun else (-1, 0)

    def passes(self, other: "Checkpoint") -> bool:
        """Whether this is farther than the other."""
        return self.rank > other.rank

    def __str__(self) -> str:
        return f"{self.sequence}/{self.sub}" if self.sub else self.sequence


ENDED: Final = Checkpoint(SHARD_END)
FROM_OLDEST: Final = Checkpoint(TRIM_HORIZON)


class Begin(Struct, frozen=True):
    """Where an application begins that has no leases yet."""

    kind: str = TRIM_HORIZON  # one of BEGINNINGS
    at_ms: int | None = None  # of AT_TIMESTAMP, since the epoch

    def __post_init__(self) -> None:
        if self.kind not in BEGINNINGS:
            raise BadPosition(f"{self.kind!r} is no initial position; there is {', '.join(sorted(BEGINNINGS))}")
        if (self.kind == AT_TIMESTAMP) != (self.at_ms is not None):
            raise BadPosition("a time belongs to AT_TIMESTAMP, and to nothing else")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 60
