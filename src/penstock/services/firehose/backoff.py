"""Back-off: how long to wait before the next attempt.

Rules of this file: pure; randomness comes as a fraction.
Source: developer guide, "HTTP endpoint delivery specifications": 1 s, doubled, up to 120 s, with 15 % of jitter.
"""

from typing import Final

from penstock.core.limits import SECOND_MS

FIRST_MS: Final = SECOND_MS
MOST_MS: Final = 120 * SECOND_MS
JITTER: Final = 0.15
_DOUBLINGS: Final = 7  # enough to reach the most


def wait_ms(attempts: int, fraction: float) -> int:
    """Before the next attempt after `attempts` that failed (1 or more); `fraction` is in [0, 1)."""
    base_ms = min(FIRST_MS << min(attempts - 1, _DOUBLINGS), MOST_MS)
    return round(base_ms * (1 + JITTER * (2 * fraction - 1)))
