"""Where each log ends: what changes of it with every write.

Theory.  A log has a place here for as long as the process runs, and no other log is ever given it: who holds a place writes to its log
or, once that is closed, to nothing.  Kept by the native part where there is one, which tells hundreds of logs of a scatter at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import Fanned, Tips


class _Tip(msgspec.Struct, gc=False):
    end: int = 0
    next_offset: int = 0
    last_arrival_ms: int = -1
    closed: bool = False
    scatters: list[tuple[int, int]] = []


class PlainTips:
    """Tips in Python."""

    def __init__(self) -> None:
        self._tips: list[_Tip] = []

    def add(self) -> int:
        """A place for one more log."""
        self._tips.append(_Tip())
        return len(self._tips) - 1

    def end(self, place: int) -> int:
        """One past the newest durable record."""
        return self._tips[place].end

    def set_end(self, place: int, end: int) -> None:
        """Change it."""
        self._tips[place].end = end

    def next_offset(self, place: int) -> int:
        """What the next batch gets; ahead of the end while a commit is under way."""
        return self._tips[place].next_offset

    def set_next_offset(self, place: int, offset: int) -> None:
        """Change it."""
        self._tips[place].next_offset = offset

    def last_arrival_ms(self, place: int) -> int:
        """When the newest durable record arrived; -1: there never was one."""
        return self._tips[place].last_arrival_ms

    def set_last_arrival_ms(self, place: int, arrival_ms: int) -> None:
        """Change it."""
        self._tips[place].last_arrival_ms = arrival_ms

    def last_arrivals_ms(self, places: Sequence[int]) -> list[int]:
        """The same of many logs."""
        return [self._tips[place].last_arrival_ms for place in places]

    def note_scatter(self, place: int, number: int, group: int) -> None:
        """A scatter has records of a log: those of one of its groups.  Numbers ascend."""
        self._tips[place].scatters.append((number, group))

    def scatters_since(self, place: int, since: int) -> list[tuple[int, int]]:
        """The scatters from number `since` on that have records of a log, and which group those are."""
        return [each for each in self._tips[place].scatters if each[0] >= since]

    def forget_scatters(self, before: int) -> None:
        """Those before a number are settled, of all logs."""
        for tip in self._tips:
            if tip.scatters:
                tip.scatters = [each for each in tip.scatters if each[0] >= before]

    def is_closed(self, place: int) -> bool:
        """Whether the log takes no more records."""
        return self._tips[place].closed

    def set_closed(self, place: int, closed: bool) -> None:
        """Change it."""
        self._tips[place].closed = closed


class _PlainFanned(NamedTuple):
    places: Sequence[int]
    log_nos: Sequence[int]


def fanned(places: Sequence[int], log_nos: Sequence[int]) -> Fanned:
    """Logs in the order of a ring, by the places of their tips and their numbers."""
    return _PlainFanned(places, log_nos) if NATIVE is None else NATIVE.Fanned(places, log_nos)


def no_tips() -> Tips:
    """Tips of no logs yet."""
    return PlainTips() if NATIVE is None else NATIVE.Tips()
