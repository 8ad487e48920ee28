"""A wall clock on virtual time, which a simulation may set back or forward."""

import asyncio
from typing import Final

from penstock.core.ids import Millis
from penstock.host.sim.loop import SimLoop

EPOCH_MS: Final = 1_700_000_000_000


class SimClock:
    """Virtual time plus whatever jumps were made.  Sleepers sleep by the loop's time, as they do on a machine whose clock is set."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._jumped_ms = EPOCH_MS

    def now_ms(self) -> Millis:
        """Milliseconds since the epoch."""
        return Millis(self._jumped_ms + self._loop.now_us // 1000)

    def jump(self, by_ms: int) -> None:
        """Set the clock forward, or back."""
        self._jumped_ms += by_ms

    async def sleep(self, duration_ms: int) -> None:
        """Return when `duration_ms` of virtual time have passed."""
        await asyncio.sleep(duration_ms / 1000)
