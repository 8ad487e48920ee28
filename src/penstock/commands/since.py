"""Where in time a reading begins: `--from`.

    trim, latest                             the oldest record kept; what comes from now on
    -10m, -1h30m, -2d                        so long ago
    2026-11-20, 2026-11-20T10:00, ...T10:00:00.250Z, ...+01:00      a moment; without a zone it is UTC
    1763632800, 1763632800.250, 1763632800250                       seconds or milliseconds since the epoch

Rule of this file: pure; the caller says what time it is.
"""

import re
from datetime import UTC, datetime
from typing import Final

from penstock.consumer.position import Begin

MILLISECONDS_FROM: Final = (
    10**11
)  # an epoch at or above it counts milliseconds: as seconds it would lie beyond the year 5000
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_AGO: Final = re.compile(r"-((?:[0-9]{1,12}(?:ms|s|m|h|d|w))+)", re.ASCII)
_PART: Final = re.compile(r"([0-9]+)([a-z]+)", re.ASCII)
_EPOCH: Final = re.compile(r"[0-9]{1,13}(\.[0-9]{1,9})?", re.ASCII)


class BadTime(ValueError):
    """A text that means no moment; its own text is the one line to show."""


def parse(text: str, now_ms: int) -> Begin:
    """Read a `--from`.  Raises BadTime."""
    word = text.strip().lower()
    if word in ("trim", "trim_horizon"):
        return Begin("TRIM_HORIZON")
    if word in ("latest", "now"):
        return Begin("LATEST")
    at_ms = _moment_ms(word, now_ms)
    if at_ms is None:
        raise BadTime(
            f"--from: {text[:80]!r} is no time; say trim, latest, -10m (also s, h, d), or 2026-11-20T10:00:00Z"
        )
    if at_ms > now_ms:
        raise BadTime(f"--from: {text} lies in the future; for what comes from now on say latest")
    return Begin("AT_TIMESTAMP", max(0, at_ms))


def _moment_ms(word: str, now_ms: int) -> int | None:
    if match := _AGO.fullmatch(word):
        return now_ms - sum(int(count) * _UNIT_MS[unit] for count, unit in _PART.findall(match[1]))
    if _EPOCH.fullmatch(word):
        number = float(word)
        return round(number if number >= MILLISECONDS_FROM else number * 1000)
    try:
        moment = datetime.fromisoformat(word.upper())
    except ValueError:
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
