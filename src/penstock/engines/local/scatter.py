"""A scatter: the records of one call for many logs, which cost next to nothing a log.

Theory.  The frames of all its groups are written by the native part at once, and are those that the committer would write of each batch.
What is left to do for a log is to give it offsets and to tell it where its block lies; records are cut from the frames by who reads them.
Rules of this file: all or nothing; offsets are given in the order of the queue, and seen by readers when the frames are durable.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from penstock.engines.api import AppendError, Scattered
from penstock.engines.local.blocks import Kept, ScatteredBlocks, Scatters
from penstock.engines.local.cache import TailCache
from penstock.engines.local.journal import JournalFile
from penstock.engines.local.state import LogState
from penstock.wire.nativeparts import Spread


class ScatterEntry(NamedTuple):
    """A spread that waits, and who waits for it."""

    states: Sequence[LogState]  # of each group its log
    spread: Spread
    done: "asyncio.Future[Scattered | AppendError | None]"

    @property
    def size_bytes(self) -> int:
        """In the journal."""
        return self.spread.frames_bytes


class Scatter:
    """A spread in a group that is being built."""

    def __init__(self, entry: ScatterEntry, arrival_ms: int, firsts: Sequence[int], counts: Sequence[int]) -> None:
        self._states = entry.states
        self._spread = entry.spread
        self._firsts = firsts
        self._counts = counts
        self._content = b""
        self._log_nos: Sequence[int] = ()
        self.arrival_ms = arrival_ms
        self.size_bytes = entry.size_bytes

    @property
    def outcome(self) -> Scattered:
        """What it is answered once it is durable."""
        return Scattered(self._firsts, self.arrival_ms)

    def encode(self, file: JournalFile, group: int) -> list[bytes]:
        """Its frames."""
        self._log_nos = [state.log_no for state in self._states]
        self._content = self._spread.frames(file.file_no, group, self.arrival_ms, self._log_nos, self._firsts)
        return [self._content]

    def apply(self, file: JournalFile, at: int, scatters: Scatters, tail: TailCache) -> None:
        """Let readers see what is durable, from `at` on in the file.  Cost: 0.1 us a log."""
        kept, arrival_ms = Kept(self._content, at), self.arrival_ms
        sizes = self._spread.sizes()
        scatters.add(ScatteredBlocks(file, kept, arrival_ms, self._log_nos, self._firsts, self._counts, sizes))
        tail.add(kept, self.size_bytes)
        woken = []
        for state, first, count in zip(self._states, self._firsts, self._counts, strict=True):
            state.end = first + count
            state.last_arrival_ms = arrival_ms
            if state.watchers or state.grown is not None:
                woken.append(state)
        for state in woken:
            state.wake()

    def roll_back(self) -> None:
        """It was not written."""
        for state in self._states:
            state.next_offset = state.end


def plan(entry: ScatterEntry, now_ms: int) -> Scatter | None:
    """Give a spread its offsets; None, and nothing given, where one of its logs takes no records.

    All of it arrives together, so at the latest arrival of any of its logs where the clock went back.
    """
    arrival_ms = now_ms
    for state in entry.states:
        if state.sealed or state.closing is not None:
            return None
        if state.last_arrival_ms > arrival_ms:
            arrival_ms = state.last_arrival_ms
    counts = entry.spread.counts()
    firsts = [state.next_offset for state in entry.states]
    for state, count in zip(entry.states, counts, strict=True):
        state.next_offset += count
    return Scatter(entry, arrival_ms, firsts, counts)
