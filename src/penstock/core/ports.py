"""The ports to the world: time, randomness and tasks.  `host/` implements them; everything else asks for them.

Rules: no module outside `host/` reads a clock, draws a random number or spawns a task in any other way, so that a
simulation or a user's test can own all three.
"""

from collections.abc import Coroutine
from typing import Any, Protocol

from penstock.core.ids import Millis


class Clock(Protocol):
    """Wall time in milliseconds.  It may be advanced by a test; it may jump where the machine's clock jumps."""

    def now_ms(self) -> Millis:
        """Milliseconds since the epoch."""
        ...

    async def sleep(self, duration_ms: int) -> None:
        """Return when `duration_ms` have passed on this clock; at once, after one turn of the loop, for 0."""
        ...


class Entropy(Protocol):
    """Randomness that may be a seed's."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes, fit for keys and nonces."""
        ...

    def fraction(self) -> float:
        """A number in [0, 1)."""
        ...


class Tasks(Protocol):
    """Background work, owned: each task ends with its owner, and none fails unseen."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start `work` on the loop.  An exception that leaves it is logged under `name`; the others go on."""
        ...

    async def stop(self) -> None:
        """Cancel what still runs, in the order of its start, and wait for it."""
        ...
