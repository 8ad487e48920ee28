"""What runners stand on: clocks, randomness, tasks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.core.ports import Clock, Entropy, Tasks


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The ports of a runner."""

    clock: Clock
    steady: Clock  # of deadlines: it does not jump, unless a test makes it
    wall: Clock  # as functions see it
    entropy: Entropy
    tasks: Tasks
    seconds: Callable[[], float]  # for durations


def time_text(at_ms: int) -> str:
    """A time as the platform's own lines have it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"
