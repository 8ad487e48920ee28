"""How long to wait before something is tried again, and when to stop trying.

Rule of this file: pure; chance is handed in.
"""

from collections.abc import Callable

from msgspec import Struct


class Retry(Struct, frozen=True):
    """Waits that grow by a factor up to a bound, each shortened by chance to no less than half."""

    first_ms: int = 100
    factor: float = 2.0
    longest_ms: int = 10_000
    attempts: int | None = None  # in all; None: for ever

    def wait_ms(self, failures: int, draw: Callable[[], float]) -> int:
        """The wait after so many failures in a row, 1 or more."""
        steps = min(failures - 1, 64)
        full_ms = min(self.first_ms * self.factor**steps, self.longest_ms)
        return max(1, round(full_ms * (0.5 + draw() / 2)))

    def exhausted(self, failures: int) -> bool:
        """Whether it is not to be tried again."""
        return self.attempts is not None and failures >= self.attempts


CALLS: Retry = Retry(first_ms=100, longest_ms=5_000)  # of Kinesis and of the store
