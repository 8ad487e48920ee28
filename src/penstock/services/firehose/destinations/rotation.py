"""Index rotation: which index of OpenSearch a document belongs to, by the time at which its record arrived.

Rules of this file: pure; UTC.  Weeks begin on Sunday, and week 1 of a year is the one that has the year's first Saturday: a week counts
for the year of its Saturday, so that the last days of December may belong to week 1 of the next year.
Source: developer guide, "Configure index rotation for OpenSearch Service".  UNVERIFIED: its table names 2016-02-25 w08, which its
text makes w09 (Java's weeks of the US, which the text describes); the text is followed.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from penstock.services.firehose.destinations.shapes import Rotation

_HOUR_MS: Final = 3_600_000
_SATURDAY: Final = 5  # as datetime counts, from Monday on
_DAYS: Final = 7


def index_name(name: str, rotation: Rotation, arrival_ms: int) -> str:
    """The index that a document goes to: `logs`, `logs-2016-02-25`, ..."""
    return name if rotation == "NoRotation" else f"{name}-{_suffix(rotation, arrival_ms // _HOUR_MS)}"


@lru_cache(maxsize=256)
def _suffix(rotation: Rotation, hour: int) -> str:
    """What is appended for an hour since the epoch, the shortest that an index lasts."""
    return _SUFFIXES[rotation](datetime.fromtimestamp(hour * _HOUR_MS // 1000, UTC))


def _week(at: datetime) -> str:
    saturday = at + timedelta(days=(_SATURDAY - at.weekday()) % _DAYS)
    return f"{saturday.year:04d}-w{(saturday.timetuple().tm_yday - 1) // _DAYS + 1:02d}"


_SUFFIXES: Final[Mapping[Rotation, Callable[[datetime], str]]] = {
    "OneHour": lambda at: f"{at:%Y-%m-%d-%H}",
    "OneDay": lambda at: f"{at:%Y-%m-%d}",
    "OneWeek": _week,
    "OneMonth": lambda at: f"{at:%Y-%m}",
}
