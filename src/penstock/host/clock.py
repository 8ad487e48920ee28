"""Clocks: the machine's, and one that a test can advance.

Rule of this file: the only readers of time in the package.
"""

import asyncio
import heapq
import time
from typing import Final

from penstock.core.ids import Millis

_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS has no other, and counts suspends in it


class SystemClock:
    """The machine's wall clock."""

    def now_ms(self) -> Millis:
        """Milliseconds since the epoch."""
        return Millis(time.time_ns() // 1_000_000)

    async def sleep(self, duration_ms: int) -> None:
        """Return when `duration_ms` have passed."""
        await asyncio.sleep(duration_ms / 1000)


class SteadyClock(SystemClock):
    """The machine's clock as durations and leases need it: it never jumps, counts suspends, and its zero means nothing."""

    def now_ms(self) -> Millis:
        """Milliseconds since some moment."""
        return Millis(time.clock_gettime_ns(_STEADY) // 1_000_000)


class TestClock:
    """The machine's wall clock plus an offset that only grows: sleepers whose time an advance skips over wake at once, in order.

    Use it on one event loop; `advance` may be called on that loop only.
    """

    __test__ = False  # not a pytest class

    def __init__(self) -> None:
        self._system = SystemClock()
        self._offset_ms = 0
        self._stands_at_ms: int | None = None
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def now_ms(self) -> Millis:
        """Milliseconds since the epoch, on the advanced clock."""
        machine_ms = self._system.now_ms() if self._stands_at_ms is None else self._stands_at_ms
        return Millis(machine_ms + self._offset_ms)

    def stand(self) -> None:
        """Stand still until the next reset: from now on only `advance` moves this clock, however long the machine takes."""
        self._stands_at_ms = self._system.now_ms()
        self._wake()

    def advance(self, duration_ms: int) -> None:
        """Move the clock forward and wake who slept until then."""
        assert duration_ms >= 0
        self._offset_ms += duration_ms
        self._wake()

    def reset(self) -> None:
        """Go back to the machine's time.  Nobody may be asleep."""
        self._offset_ms = 0
        self._stands_at_ms = None

    async def sleep(self, duration_ms: int) -> None:
        """Return when `duration_ms` have passed on this clock."""
        if duration_ms <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_ms() + duration_ms, self._count, woken))
        self._wake()
        await woken

    def _wake(self) -> None:
        now = self.now_ms()
        while self._sleepers and (self._sleepers[0][0] <= now or self._sleepers[0][2].done()):
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sleepers and self._stands_at_ms is None:
            delay_ms = self._sleepers[0][0] - now
            self._timer = asyncio.get_running_loop().call_later(delay_ms / 1000, self._wake)


def monotonic_s() -> float:
    """Seconds on a clock that never jumps, for durations; its zero means nothing."""
    return time.perf_counter()
