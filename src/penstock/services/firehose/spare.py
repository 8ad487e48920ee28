"""Spare memory: what all delivery streams together may hold beyond what each has for itself.

Theory.  A stage has room for its own bytes always, so that nobody waits for another's destination.  With more it reads ahead while a parcel
is delivered; that it borrows here.  It may borrow while it has borrowed less than is left: so nobody takes more than half of what it finds,
and whoever never gives back leaves the other half.
Source: dynamic thresholds of shared-memory switches (Choudhury and Hahne, 1998).
Rules of this file: pure; what is borrowed may pass what is left by what is in hand already.
"""

from collections.abc import Callable
from typing import Final

from penstock.core.limits import MIB

SPARE_BYTES: Final = 24 * MIB


class Spare:
    """The memory that is shared."""

    def __init__(self, size_bytes: int) -> None:
        self.left_bytes = size_bytes
        self._waiting: set[Callable[[], None]] = set()

    def lends(self, borrowed_bytes: int) -> bool:
        """Whether somebody who has borrowed so much may borrow more."""
        return borrowed_bytes < self.left_bytes

    def move(self, more_bytes: int) -> None:
        """Borrow so much, or give it back where it is negative."""
        self.left_bytes -= more_bytes
        if more_bytes < 0:
            for wake in list(self._waiting):
                wake()

    def wait(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever something is given back."""
        self._waiting.add(wake)

    def leave(self, wake: Callable[[], None]) -> None:
        """No more."""
        self._waiting.discard(wake)
