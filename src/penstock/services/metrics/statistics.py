"""Statistics: figures of periods, from the minutes that they hold.

Theory.  A period begins at the request's start, cut to the minute, or at a whole number of periods after it; it has a point where it holds
data.  Source: boto/boto3#3457 (periods are counted from the start that was asked for).
Rule of this file: pure.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from penstock.services.metrics.aggregate import Aggregate

Statistic = Callable[[Aggregate], float | None]  # None: it is not known
Points = dict[int, float]  # by minute since the epoch, ascending

_PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{1,10})?|100(\.0{1,10})?)", re.ASCII)
_PLAIN: Final[Mapping[str, Statistic]] = {
    "SampleCount": lambda data: data.count,
    "Sum": lambda data: data.total,
    "Average": lambda data: data.total / data.count,
    "Minimum": lambda data: data.low,
    "Maximum": lambda data: data.high,
}


def statistic_of(text: str) -> Statistic | None:
    """The statistic that a text means; None for one that there is not.  Trimmed and ranked statistics are among those."""
    plain = _PLAIN.get(text)
    if plain is not None:
        return plain
    match = _PERCENTILE.fullmatch(text)
    if match is None:
        return None
    share = float(match[1]) / 100
    return lambda data: data.percentile(share)


def periods(minutes: Mapping[int, Aggregate], start: int, length: int) -> dict[int, Aggregate]:
    """The periods of `length` minutes from `start` on that hold data."""
    found: dict[int, Aggregate] = {}
    for minute, data in minutes.items():
        begin = minute - (minute - start) % length
        held = found.get(begin)
        if held is None:
            held = found[begin] = Aggregate()
        held.merge(data)
    return found


def points(data: Mapping[int, Aggregate], statistic: Statistic) -> Points:
    """A statistic of each period, where it is known."""
    return {begin: value for begin, each in data.items() if (value := statistic(each)) is not None}
