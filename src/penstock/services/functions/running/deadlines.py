"""Deadlines: what rings when its time has come, for as many as there are invocations under way.

Theory.  Most deadlines are never reached.  One sleeper waits for the nearest; what is over by then is passed over, and the next sleeper
waits for what is nearest then.
Rule of this file: time that a clock jumps over counts, so it is given one that does not jump.
"""

import heapq
from collections.abc import Callable

from penstock.core.ports import Clock, Tasks


class Deadline:
    """One deadline."""

    __slots__ = ("ring",)

    def __init__(self, ring: Callable[[], None]) -> None:
        self.ring: Callable[[], None] | None = ring

    def cancel(self) -> None:
        """It does not ring any more."""
        self.ring = None


class Deadlines:
    """All of one server."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self._clock = clock
        self._tasks = tasks
        self._heap: list[tuple[int, int, Deadline]] = []
        self._count = 0
        self._waking: list[int] = []  # when sleepers wake; a heap

    def after(self, duration_ms: int, ring: Callable[[], None]) -> Deadline:
        """Ring in so long, unless it is cancelled."""
        self._count += 1
        at_ms, deadline = self._clock.now_ms() + duration_ms, Deadline(ring)
        heapq.heappush(self._heap, (at_ms, self._count, deadline))
        self._see_to(at_ms)
        return deadline

    def _see_to(self, at_ms: int) -> None:
        if not self._waking or at_ms < self._waking[0]:
            heapq.heappush(self._waking, at_ms)
            self._tasks.spawn(self._sleep(at_ms), "deadlines of functions")

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
            if deadline.ring is not None:
                deadline.ring()
        if self._heap:
            self._see_to(self._heap[0][0])
