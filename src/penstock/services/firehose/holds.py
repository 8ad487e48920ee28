"""Holds: who still needs a run of the source, so that its checkpoint must not pass.

Theory.  A run of records that was read from a lane is one hold.  Whatever is made of it - pieces in buffers, copies for the backup, error
objects - counts on it; when the last of them is done, the run is accounted for.  A lane's checkpoint moves over the runs at its beginning
that are.  So a run in the middle may be done long before, and a crash costs at most a second delivery.
Rules of this file: pure; a hold that was released is never counted again.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Mark = TypeVar("Mark")


class Hold:
    """A count that calls back when it comes to nothing."""

    __slots__ = ("_count", "_released")

    def __init__(self, released: Callable[[], None]) -> None:
        self._count = 1
        self._released = released

    def retain(self, count: int = 1) -> None:
        """Count so many more."""
        assert self._count > 0
        self._count += count

    def drop(self) -> None:
        """One less."""
        assert self._count > 0
        self._count -= 1
        if not self._count:
            self._released()


class _Run(Generic[Mark]):
    """One run of a lane."""

    __slots__ = ("done", "end")

    def __init__(self, end: Mark) -> None:
        self.end = end
        self.done = False


class Ledger(Generic[Mark]):
    """The runs of a lane, in order, and how far it is accounted for."""

    def __init__(self, start: Mark, moved: Callable[[], None]) -> None:
        self.accounted = start  # everything before it is
        self._runs: deque[_Run[Mark]] = deque()
        self._moved = moved

    def __len__(self) -> int:
        return len(self._runs)

    def open(self, end: Mark) -> Hold:
        """Begin the next run, which ends before `end`."""
        run = _Run(end)
        self._runs.append(run)
        return Hold(lambda: self._finish(run))

    def _finish(self, run: _Run[Mark]) -> None:
        run.done = True
        before = len(self._runs)
        while self._runs and self._runs[0].done:
            self.accounted = self._runs.popleft().end
        if len(self._runs) < before:
            self._moved()
