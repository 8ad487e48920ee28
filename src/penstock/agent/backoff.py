"""How long a flow waits before it sends again.

Theory.  Each failure doubles the wait, up to a longest; each success divides it by ten, and below the first wait there is none.  Jitter
of three tenths keeps agents from coming back together.
Rule of this file: pure; randomness comes from the caller.
"""

from typing import Final

FACTOR: Final = 2
RECOVERY: Final = 10
JITTER: Final = 0.3


class Backoff:
    """The waits of one flow."""

    def __init__(self, first_ms: int, longest_ms: int) -> None:
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self._wait_ms = 0.0
        self._raised = 0  # how often

    def begin(self) -> int:
        """A request begins; what to tell `failed`."""
        return self._raised

    def failed(self, begun: int) -> None:
        """A request, or a part of one, was not taken; those that were under way together count as one."""
        if begun != self._raised:
            return
        self._raised += 1
        self._wait_ms = min(max(self._first_ms, self._wait_ms * FACTOR), self._longest_ms)

    def succeeded(self) -> None:
        """A request was taken whole."""
        self._wait_ms /= RECOVERY
        if self._wait_ms < self._first_ms:
            self._wait_ms = 0.0

    def wait_ms(self, fraction: float) -> int:
        """The wait before the next attempt; `fraction` in [0, 1) spreads it."""
        return round(self._wait_ms * (1 + JITTER * (2 * fraction - 1)))
