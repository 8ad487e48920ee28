"""One shard of a mapping: what is read of it, how its records are spread over lanes, and how far all of them have come.

Theory.  Pages are read in order.  A record is passed over if no filter matches it, else it goes to the lane of its partition key.  The
checkpoint of a lane is its first unfinished record; that of the shard the lowest of them: what is read again after a crash, and given
only to lanes that had not come that far.
Rules of this file:
  1. Pure: events in, effects out; every event is followed by `advance`.
  2. Nothing is read ahead that is more than one batch for each lane, or more than READ_AHEAD_BYTES.
  3. While it drains, it begins nothing; what is under way may end, and counts.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from zlib import crc32

from penstock.services.functions.mapping.event import Wording
from penstock.services.functions.mapping.lane import Answer, Effect, Lane, Note, Times
from penstock.services.functions.mapping.rows import Rows
from penstock.services.functions.mapping.state import LanePlace, Policy

READ_AHEAD_BYTES: Final = 5 * 1024 * 1024  # what a batch of 6 MB of JSON takes, and more
PAGE_MAX_BYTES: Final = READ_AHEAD_BYTES

Match = Callable[[Rows], Sequence[int]]  # the indices of the rows that a mapping's filters let through


class ReadPage(NamedTuple):
    """What was read."""

    rows: Rows
    next: int  # the place behind it
    at_tip: bool
    ended: bool


class Shard:
    """One shard."""

    def __init__(
        self, policy: Policy, wording: Wording, lanes: Sequence[LanePlace], *, match: Match | None, delivers: bool
    ) -> None:
        """`lanes`: the checkpoint; one of another number of lanes counts from its lowest."""
        self.read = min(lane.place for lane in lanes)
        count = policy.parallelization_factor
        same = len(lanes) == count
        self.lanes = [
            Lane(no, policy, wording, lanes[no] if same else LanePlace(self.read), delivers) for no in range(count)
        ]
        self._ahead = [lanes[no].place if same else 0 for no in range(count)]  # what a lane has had already
        self._policy = policy
        self._match = match
        self.at_tip = self.ended = self.draining = False
        self.polled = self.filtered = 0  # since they were last taken away

    @property
    def finished(self) -> bool:
        """Whether the shard has ended and nothing is left of it."""
        return self.ended and all(lane.done for lane in self.lanes)

    @property
    def busy(self) -> bool:
        """Whether an effect is under way."""
        return any(lane.busy for lane in self.lanes)

    @property
    def size_bytes(self) -> int:
        """About what it holds in memory."""
        return sum(lane.size_bytes for lane in self.lanes)

    def wants(self) -> int:
        """How many records to read now; 0 while there are enough."""
        if self.ended or self.draining:
            return 0
        waiting = sum(lane.pending.records for lane in self.lanes)
        full = sum(lane.pending.size_bytes for lane in self.lanes) >= READ_AHEAD_BYTES
        return 0 if full else max(0, self._policy.batch_size * len(self.lanes) - waiting)

    def on_page(self, page: ReadPage, now_ms: int) -> None:
        """Records that were read, or news of the end."""
        self.read, self.at_tip, self.ended = page.next, page.at_tip, page.ended
        rows = page.rows
        self.polled += rows.records
        if self._match is not None and rows.records:
            rows = rows.pick(self._match(rows))
            self.filtered += page.rows.records - rows.records
        for lane, share in zip(self.lanes, self._shares(rows), strict=True):
            fresh = self._fresh(lane.no, share)
            if fresh.records:
                lane.add(fresh, now_ms)

    def advance(self, now_ms: int, retention_ms: int) -> list[Effect]:
        """What to do now."""
        if self.draining:
            return []
        times = self.times(now_ms, retention_ms)
        return [effect for lane in self.lanes if (effect := lane.advance(times)) is not None]

    def on_answer(self, lane: int, answer: Answer, now_ms: int, retention_ms: int, chance: float) -> None:
        """An invocation ended."""
        self.lanes[lane].on_answer(answer, self.times(now_ms, retention_ms), chance)

    def on_refused(self, lane: int, why: str, now_ms: int, retention_ms: int, chance: float) -> None:
        """An invocation could not begin."""
        self.lanes[lane].on_refused(why, self.times(now_ms, retention_ms), chance)

    def on_delivered(self, lane: int, why_not: str | None) -> None:
        """A delivery ended."""
        self.lanes[lane].on_delivered(why_not)

    def wake_ms(self, now_ms: int, retention_ms: int) -> int | None:
        """When to look again, if nothing happens before."""
        if self.draining:
            return None
        times = self.times(now_ms, retention_ms)
        return min((at for lane in self.lanes if (at := lane.wake_ms(times)) is not None), default=None)

    def checkpoint(self) -> tuple[LanePlace, ...]:
        """How far the lanes have come."""
        return tuple(lane.checkpoint(max(self.read, self._ahead[lane.no])) for lane in self.lanes)

    def take_notes(self) -> list[Note]:
        """What there is to be counted; taken away."""
        notes = [note for lane in self.lanes for note in lane.notes]
        if notes:
            for lane in self.lanes:
                lane.notes.clear()
        return notes

    def times(self, now_ms: int, retention_ms: int) -> Times:
        """What lanes must know."""
        return Times(now_ms, retention_ms, self.at_tip, self.ended)

    def _shares(self, rows: Rows) -> list[Rows]:
        count = len(self.lanes)
        if count == 1:
            return [rows]
        indices: list[list[int]] = [[] for _ in range(count)]
        for index, key in enumerate(rows.keys):
            indices[crc32(key) % count].append(index)
        return [rows.pick(mine) for mine in indices]

    def _fresh(self, lane: int, rows: Rows) -> Rows:
        """Without what the lane has had."""
        had = self._ahead[lane]
        if not rows.records or rows.places[0] >= had:
            return rows
        return rows.cut(sum(place < had for place in rows.places), rows.records)
