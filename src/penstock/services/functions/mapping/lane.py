"""A lane: the records of one shard that are given to the function in their order, one batch after the other.

Theory.  A lane gathers records, cuts a batch from them, and has one effect under way at most: an invocation, or the delivery of what it
gave up.  What failed stays in front: a batch is tried again, cut in two, or given up, and nothing behind it is begun before that.  With
a tumbling window, a batch lies in one window, and a window ends with an invocation of its own.
Rules of this file:
  1. Pure: events in, effects out.  Time and chance come with the event.
  2. `place` never passes a record that was neither taken by the function nor given up and delivered.
  3. Tries are counted where the function itself failed and the batch was not cut: a throttle, and what prevents an invocation, count
     nothing, and neither does a cut.
  4. A record that is older than it may be is given up before anything else is done with it, with those before it in its batch.
Source: developer guide, "Using AWS Lambda with Amazon Kinesis"; the intervals between tries are ours (see `pause_ms`).
"""

from bisect import bisect_left, bisect_right
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from penstock.core.ids import Millis
from penstock.core.limits import SECOND_MS
from penstock.services.functions.mapping.answer import STATE_MAX_BYTES, Done, Failed, FailedFrom, Outcome
from penstock.services.functions.mapping.document import Verdict
from penstock.services.functions.mapping.event import PAYLOAD_MAX_BYTES, WindowCall, Wording
from penstock.services.functions.mapping.rows import NO_ROWS, Rows, joined
from penstock.services.functions.mapping.state import LanePlace, Policy, WindowState

# UNVERIFIED: the intervals are not published.  A recorded mapping made 8 invocations in 60 seconds; 1, 2, 4, 8, 12, 12, 12 does too.
PAUSE_FIRST_MS: Final = SECOND_MS
PAUSE_MAX_MS: Final = 12 * SECOND_MS
PAUSE_SPREAD: Final = 0.2  # of a pause, at random
WINDOW_GRACE_MS: Final = SECOND_MS  # a record of a window may still be on its way when the window ends

NoteKind = Literal["retry", "cut", "refused", "dropped", "invoked", "failed", "delivered", "undelivered", "early"]


class Invoke(NamedTuple):
    """Give a batch to the function."""

    lane: int
    rows: Rows
    window: WindowCall | None


class Deliver(NamedTuple):
    """Send what was given up to the destination."""

    lane: int
    rows: Rows
    window: WindowCall | None
    verdict: Verdict


Effect = Invoke | Deliver


class Note(NamedTuple):
    """Something that is to be counted, and perhaps logged."""

    kind: NoteKind
    records: int
    why: str = ""


class Answer(NamedTuple):
    """What came of an invocation that the function was begun for."""

    outcome: Outcome
    request_id: str
    version: str
    function_error: str | None = None


class _Batch:
    """Records that are tried together; without any, the end of a window."""

    __slots__ = ("early", "last", "rows", "tries", "verdict")

    def __init__(self, rows: Rows, tries: int = 0, *, early: bool = False) -> None:
        self.rows = rows
        self.tries = tries
        self.early = early  # the window ends before its time
        self.last: Answer | None = None
        self.verdict: Verdict | None = None  # it is being given up


class Times(NamedTuple):
    """What a lane must know of its shard to go on."""

    now_ms: int
    retention_ms: int
    at_tip: bool  # every record of the shard has been read
    ended: bool  # and no further one will come


class Lane:
    """One lane of one shard."""

    def __init__(self, no: int, policy: Policy, wording: Wording, start: LanePlace, delivers: bool) -> None:
        """`start`: how far the lane had come."""
        self.no = no
        self.pending = NO_ROWS
        self.window = start.window if policy.tumbling_window_s else None
        self.busy = False
        self.notes: list[Note] = []
        self._policy = policy
        self._wording = wording
        self._delivers = delivers
        self._work: list[_Batch] = []  # the first is the one being tried
        self._waiting_ms: int | None = None  # since when the oldest pending record waits
        self._pause: tuple[int, int] | None = None  # from, until: between tries
        self._failures = 0  # in a row
        self._tried = start if start.tries else None  # until its batch is here again

    # What it holds.

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do, but for a window that is open."""
        return not self.busy and not self._work and not self.pending.records

    @property
    def done(self) -> bool:
        """Whether nothing at all is left to do."""
        return self.idle and self.window is None

    @property
    def place(self) -> int | None:
        """The first record that is unfinished; None where all that it was given are finished."""
        for batch in self._work:
            if batch.rows.records:
                return batch.rows.places[0]
        return self.pending.places[0] if self.pending.records else None

    @property
    def size_bytes(self) -> int:
        """About what it holds in memory."""
        return self.pending.size_bytes + sum(batch.rows.size_bytes for batch in self._work)

    def checkpoint(self, read: int) -> LanePlace:
        """How far it has come, when the shard was read up to a place."""
        place = self.place
        begun = LanePlace(read if place is None else place, self.window)
        if self._tried is not None:
            return replace(begun, tries=self._tried.tries, until=self._tried.until)
        batch = self._work[0] if self._work else None
        if batch is None or not batch.rows.records or not batch.tries:
            return begun
        return replace(begun, tries=batch.tries, until=batch.rows.places[-1])

    # Events.

    def add(self, rows: Rows, now_ms: int) -> None:
        """Records that were read."""
        if not self.pending.records:
            self._waiting_ms = now_ms
        self.pending = joined(self.pending, rows)

    def advance(self, times: Times) -> Effect | None:
        """The next thing to do, if there is one and nothing is under way."""
        if self.busy:
            return None
        while True:
            if not self._work:
                self._gather(times)
            if not self._work:
                return None
            self._expire(self._work[0], times)
            batch = self._work[0]
            if batch.verdict is None or (self._delivers and batch.rows.records):
                return self._effect(batch, times)
            self._drop(self._work.pop(0))

    def on_answer(self, answer: Answer, times: Times, chance: float) -> None:
        """The function was begun, and ended so."""
        batch, outcome = self._work[0], answer.outcome
        self.busy, batch.last = False, answer
        self._note("invoked", batch.rows.records)
        match outcome:
            case Done(state):
                self._finish(batch, state)
            case FailedFrom(first, state) if first:
                self._keep_state(state)
                batch.rows = batch.rows.cut(first, batch.rows.records)
                self._failures = 0
                self._fail(batch, "the function reported failures", times, chance, cut=self._policy.bisect)
            case FailedFrom():
                self._fail(batch, "the function reported failures", times, chance)
            case Failed(why):
                self._fail(batch, why, times, chance)

    def on_refused(self, why: str, times: Times, chance: float) -> None:
        """The function could not be begun: throttled, or not there, or not allowed."""
        self.busy = False
        self._rest(times, chance)
        self._note("refused", self._work[0].rows.records, why)

    def on_delivered(self, why_not: str | None) -> None:
        """What was given up has been sent; or could not be, and is lost."""
        self.busy = False
        self._failures, self._pause = 0, None
        batch = self._work.pop(0)
        self._note("delivered" if why_not is None else "undelivered", batch.rows.records, why_not or "")

    def wake_ms(self, times: Times) -> int | None:
        """When to look again, if nothing happens before; None where time changes nothing."""
        if self.busy:
            return None
        if self._work:
            batch, until = self._work[0], self._pause[1] if self._pause is not None else times.now_ms
            return min(until, batch.rows.arrivals_ms[0] + self._age_max_ms(times) + 1) if batch.rows.records else until
        if self.pending.records and self._waiting_ms is not None:
            return self._waiting_ms + self._policy.batching_window_s * SECOND_MS
        if self.window is not None and times.at_tip:
            return self._window_end(self.window) + WINDOW_GRACE_MS
        return None

    # Gathering.

    def _gather(self, times: Times) -> None:
        if self.window is not None and self._is_over(self.window, times):
            self._work.append(_Batch(NO_ROWS))
            return
        count = self._ready(times)
        if not count:
            return
        if self._policy.tumbling_window_s and self.window is None:
            span_ms = self._policy.tumbling_window_s * SECOND_MS
            self.window = WindowState(Millis(self.pending.arrivals_ms[0] // span_ms * span_ms))
            count = min(count, self._in_window())
        count, tries = self._again(count)
        self._work.append(_Batch(self.pending.cut(0, count), tries))
        self.pending = self.pending.cut(count, self.pending.records)
        self._waiting_ms = times.now_ms if self.pending.records else None

    def _again(self, count: int) -> tuple[int, int]:
        """How many records the next batch has, and its tries: what was tried before a restart is tried on alone."""
        tried, self._tried = self._tried, None
        within = 0 if tried is None else bisect_right(self.pending.places, tried.until)
        return (min(count, within), tried.tries) if tried is not None and within else (count, 0)

    def _ready(self, times: Times) -> int:
        """How many of the pending records make a batch now."""
        policy, within = self._policy, self._in_window()
        if not within:
            return 0
        most = min(within, policy.batch_size)
        state_bytes = 0 if self.window is None else len(self.window.state)
        count = self._wording.fitting(self.pending.cut(0, most), PAYLOAD_MAX_BYTES - state_bytes)
        full = count == policy.batch_size or count < within or within < self.pending.records
        return count if full or times.ended or self._has_waited(times.now_ms) else 0

    def _has_waited(self, now_ms: int) -> bool:
        since_ms = self._waiting_ms
        return since_ms is None or not 0 <= now_ms - since_ms < self._policy.batching_window_s * SECOND_MS

    def _in_window(self) -> int:
        """How many of the pending records lie in the window that is open."""
        if self.window is None:
            return self.pending.records
        return bisect_left(self.pending.arrivals_ms, self._window_end(self.window))

    def _window_end(self, window: WindowState) -> int:
        return window.start_ms + self._policy.tumbling_window_s * SECOND_MS

    def _is_over(self, window: WindowState, times: Times) -> bool:
        if self.pending.records:
            return self.pending.arrivals_ms[0] >= self._window_end(window)
        quiet = times.at_tip and times.now_ms >= self._window_end(window) + WINDOW_GRACE_MS
        return times.ended or quiet

    # Trying.

    def _effect(self, batch: _Batch, times: Times) -> Effect | None:
        window = self._window_call(batch)
        if batch.verdict is not None:
            self.busy = True
            return Deliver(self.no, batch.rows, window, batch.verdict)
        if self._pause is not None and self._pause[0] <= times.now_ms < self._pause[1]:
            return None
        self.busy, self._pause = True, None
        return Invoke(self.no, batch.rows, window)

    def _window_call(self, batch: _Batch) -> WindowCall | None:
        if self.window is None:
            return None
        end, final = self._window_end(self.window), not batch.rows.records
        return WindowCall(self.window.start_ms, end, self.window.state, final=final, early=batch.early)

    def _finish(self, batch: _Batch, state: bytes | None) -> None:
        self._failures, self._pause = 0, None
        self._work.pop(0)
        if not batch.rows.records:
            self.window = None
            return
        self._keep_state(state)
        if state is not None and len(state) > STATE_MAX_BYTES and self.window is not None:
            self._work.insert(0, _Batch(NO_ROWS, early=True))
            self._note("early", 0, f"the state of the window is larger than {STATE_MAX_BYTES} bytes")

    def _keep_state(self, state: bytes | None) -> None:
        if self.window is not None and state is not None:
            self.window = WindowState(self.window.start_ms, state)

    def _fail(self, batch: _Batch, why: str, times: Times, chance: float, *, cut: bool = False) -> None:
        count, half = batch.rows.records, batch.rows.records // 2
        self._note("failed", count)
        if cut or (self._policy.bisect and count > 1):
            self._note("cut", count, why)
            self._failures = 0  # what is left is another batch
        if not cut and self._policy.bisect and count > 1:
            halves = batch.rows.cut(0, half), batch.rows.cut(half, count)
            self._work[:1] = [_Batch(rows, batch.tries) for rows in halves]
        elif not cut:
            batch.tries += 1
            if 0 <= self._policy.retries_max < batch.tries:
                batch.verdict = _verdict("RetryAttemptsExhausted", batch)
                return
            self._note("retry", count, why)
        self._rest(times, chance)

    def _rest(self, times: Times, chance: float) -> None:
        self._failures += 1
        self._pause = (times.now_ms, times.now_ms + pause_ms(self._failures, chance))

    # Giving up.

    def _expire(self, batch: _Batch, times: Times) -> None:
        """Split off what is too old."""
        if batch.verdict is not None or not batch.rows.records:
            return
        oldest_ms = times.now_ms - self._age_max_ms(times)
        count = bisect_left(batch.rows.arrivals_ms, oldest_ms)
        if not count:
            return
        expired = _Batch(batch.rows.cut(0, count), batch.tries)
        expired.last = batch.last
        expired.verdict = _verdict("RecordAgeExceeded", expired)
        batch.rows = batch.rows.cut(count, batch.rows.records)
        self._work[:1] = [expired, batch] if batch.rows.records else [expired]

    def _age_max_ms(self, times: Times) -> int:
        """UNVERIFIED: records that leave the stream while they are retried are given up as those that are too old."""
        most_s = self._policy.record_age_max_s
        return times.retention_ms if most_s < 0 else min(most_s * SECOND_MS, times.retention_ms)

    def _drop(self, batch: _Batch) -> None:
        assert batch.verdict is not None
        self._failures, self._pause = 0, None
        if not batch.rows.records:
            self.window = None
        self._note("dropped", batch.rows.records, batch.verdict.condition)

    def _note(self, kind: NoteKind, records: int, why: str = "") -> None:
        self.notes.append(Note(kind, records, why))


def pause_ms(failures: int, chance: float) -> int:
    """How long to wait after so many failures in a row; `chance` in [0, 1) spreads those of many shards."""
    full = min(PAUSE_FIRST_MS << min(failures - 1, 16), PAUSE_MAX_MS)
    return round(full * (1 + PAUSE_SPREAD * (chance - 0.5)))


def _verdict(condition: Literal["RetryAttemptsExhausted", "RecordAgeExceeded"], batch: _Batch) -> Verdict:
    last = batch.last
    if last is None:
        return Verdict(condition, max(batch.tries, 1), None, "$LATEST", None)
    return Verdict(condition, max(batch.tries, 1), last.request_id, last.version, last.function_error)
