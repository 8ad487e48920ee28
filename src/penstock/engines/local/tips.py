"""Where each log ends, and up to where it is settled: what changes of it with every write and every settling.

Theory.  A log has a place here for as long as the process runs, and no other log is ever given it: who holds a place writes to its log
or, once that is closed, to nothing.  Kept by the native part where there is one, which tells hundreds of logs of a scatter,
or thousands of a segment, at once.
"""

from array import array
from collections.abc import Sequence
from typing import NamedTuple, cast

import msgspec

from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import Fanned, RosterRows, Tips


class _Tip(msgspec.Struct, gc=False):
    end: int = 0
    next_offset: int = 0
    last_arrival_ms: int = -1
    closed: bool = False
    sealed: bool = False
    start: int = 0
    settled_end: int = 0
    gap: range | None = None
    scatters: list[tuple[int, int]] = []


class _PlainRoster(NamedTuple):
    places: Sequence[int]
    by_number: dict[int, int]  # where logs stand


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

    def start(self, place: int) -> int:
        """Records before it are gone."""
        return self._tips[place].start

    def set_start(self, place: int, start: int) -> None:
        """Change it."""
        self._tips[place].start = start

    def settled_end(self, place: int) -> int:
        """Records before it are in segments, or gone; those from it on are in the journal."""
        return self._tips[place].settled_end

    def settle_to(self, place: int, end: int) -> None:
        """No records before `end` are in the journal any more; nor, once it reaches a gap, any in that."""
        tip = self._tips[place]
        if tip.gap is not None and end >= tip.gap.start:
            end = max(end, tip.gap.stop)
        tip.settled_end = max(tip.settled_end, end)

    def set_gap(self, place: int, first: int, end: int) -> None:
        """Offsets that recovery left out, since damage may have taken them."""
        self._tips[place].gap = range(first, end)

    def is_sealed(self, place: int) -> bool:
        """Whether the log has ended."""
        return self._tips[place].sealed

    def seal(self, place: int) -> None:
        """It has, and is closed."""
        self._tips[place].sealed = self._tips[place].closed = True

    def settle(self, roster: RosterRows, numbers: bytes, ends: bytes) -> list[int]:
        """Records of logs, by their numbers, up to some ends are in a segment; where those logs stand that need it: were not trimmed."""
        rows, needing = cast(_PlainRoster, roster), []
        for number, end in zip(array("Q", numbers), array("Q", ends), strict=True):
            at = rows.by_number.get(number)
            if at is not None:
                if end > self._tips[rows.places[at]].start:
                    needing.append(at)
                self.settle_to(rows.places[at], end)
        return needing

    def columns(self, roster: RosterRows) -> tuple[bytes, bytes, bytes, bytes]:
        """Starts, settled ends and last arrivals, eight bytes each, little-endian; whether logs are sealed, a byte each."""
        tips = [self._tips[place] for place in cast(_PlainRoster, roster).places]
        starts, ends = array("Q", [tip.start for tip in tips]), array("Q", [tip.settled_end for tip in tips])
        arrivals_ms, sealed = array("q", [tip.last_arrival_ms for tip in tips]), bytes([tip.sealed for tip in tips])
        return starts.tobytes(), ends.tobytes(), arrivals_ms.tobytes(), sealed


class _PlainFanned(NamedTuple):
    places: Sequence[int]
    log_nos: Sequence[int]


def fanned(places: Sequence[int], log_nos: Sequence[int]) -> Fanned:
    """Logs in the order of a ring, by the places of their tips and their numbers."""
    return _PlainFanned(places, log_nos) if NATIVE is None else NATIVE.Fanned(places, log_nos)


def rostered(places: Sequence[int], log_nos: Sequence[int], counts: Sequence[int]) -> RosterRows:
    """Logs by the places of their tips and their numbers; how many of them each stream has."""
    if NATIVE is None:
        return _PlainRoster(places, {log_no: at for at, log_no in enumerate(log_nos)})
    return NATIVE.Roster(places, log_nos, counts)


def no_tips() -> Tips:
    """Tips of no logs yet."""
    return PlainTips() if NATIVE is None else NATIVE.Tips()
