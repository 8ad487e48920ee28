"""Deadlines: what rings when its time has come, for as many as there are.

Theory.  Most deadlines are never reached.  One sleeper waits for the nearest; what is over by then is passed over, and the next sleeper
waits for what is nearest then.  Those that were cancelled are swept out when they are the greater part.
Rule of this file: time that a clock jumps over counts, so it is given one that does not jump.
"""

import heapq
from collections.abc import Callable
from typing import Final

from penstock.core.ports import Clock, Tasks

CANCELLED_KEPT: Final = 1000  # deadlines that are over and may stay among the others


class Deadline:
    """One deadline."""

    __slots__ = ("_all", "ring")

    def __init__(self, ring: Callable[[], None], among: "Deadlines") -> None:
        self.ring: Callable[[], None] | None = ring
        self._all = among

    def cancel(self) -> None:
        """It does not ring any more."""
        if self.ring is not None:
            self.ring = None
            self._all.cancelled()


class Deadlines:
    """All of one owner."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self._clock = clock
        self._tasks = tasks
        self._heap: list[tuple[int, int, Deadline]] = []
        self._count = 0
        self._cancelled = 0  # of those in the heap, about
        self._waking: list[int] = []  # when sleepers wake; a heap

    def after(self, duration_ms: int, ring: Callable[[], None]) -> Deadline:
        """Ring in so long, unless it is cancelled."""
        self._count += 1
        at_ms, deadline = self._clock.now_ms() + duration_ms, Deadline(ring, self)
        heapq.heappush(self._heap, (at_ms, self._count, deadline))
        self._see_to(at_ms)
        return deadline

    def cancelled(self) -> None:
        """One more of them is over."""
        self._cancelled += 1
        if self._cancelled > max(CANCELLED_KEPT, len(self._heap) // 2):
            self._heap = [each for each in self._heap if each[2].ring is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    @property
    def held(self) -> int:
        """How many there are, those that are over and not yet swept out among them."""
        return len(self._heap)

    def _see_to(self, at_ms: int) -> None:
        if not self._waking or at_ms < self._waking[0]:
            heapq.heappush(self._waking, at_ms)
            self._tasks.spawn(self._sleep(at_ms), "deadlines")

    async def _sleep(self, until_ms: int) -> None:
        try:
            while (left_ms := until_ms - self._clock.now_ms()) > 0:
                await self._clock.sleep(left_ms)
        finally:
            self._waking.remove(until_ms)
            heapq.heapify(self._waking)
        self._ring()

    def _ring(self) -> None:
        now_ms = self._clock.now_ms()
        while self._heap and (self._heap[0][0] <= now_ms or self._heap[0][2].ring is None):
            deadline = heapq.heappop(self._heap)[2]
            ring, deadline.ring = deadline.ring, None
            if ring is not None:
                ring()
        if self._heap:
            self._see_to(self._heap[0][0])
