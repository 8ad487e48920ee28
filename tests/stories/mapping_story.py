"""Stories of one shard of a mapping, told by its pure part: what happens, and what is done about it.

    > mapping BatchSize=2 MaximumRetryAttempts=1      the mapping; `destination` gives it one, `shards` are one
    > put a b                                         records, each its own data and partition key
    > advance 5s                                      time
    > succeed / succeed {"state": 1}                  the function answers the oldest invocation
    > grow 100                                        it answers with a state of so many bytes
    > fail / report b / throttle / deliver / lose     it fails; names records that failed; is throttled; a delivery ends
    > end                                             the shard is closed

Beneath a call stand the effects, what is counted, and how far the shard has come where that changed.
"""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Final

from penstock.services.functions.mapping.answer import Failed, read_answer
from penstock.services.functions.mapping.document import describe
from penstock.services.functions.mapping.event import Source, Wording
from penstock.services.functions.mapping.lane import Answer, Deliver, Effect, Invoke
from penstock.services.functions.mapping.rows import Rows, number_of
from penstock.services.functions.mapping.shard import ReadPage, Shard
from penstock.services.functions.mapping.state import LanePlace, Policy

BEGAN_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
RETENTION_MS: Final = 24 * 3_600_000
STREAM: Final = "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
FUNCTION: Final = "arn:aws:lambda:us-east-1:123456789012:function:work"
SOURCE: Final = Source(STREAM, "us-east-1", "arn:aws:iam::123456789012:role/work", 0, 2 << 184)
POLICY: Final = {
    "BatchSize": "batch_size",
    "MaximumBatchingWindowInSeconds": "batching_window_s",
    "ParallelizationFactor": "parallelization_factor",
    "MaximumRetryAttempts": "retries_max",
    "MaximumRecordAgeInSeconds": "record_age_max_s",
    "BisectBatchOnFunctionError": "bisect",
    "TumblingWindowInSeconds": "tumbling_window_s",
    "ReportBatchItemFailures": "reports_items",
}


def play_mapping(text: str) -> str:
    """Play a story; answer it with what happens now."""
    teller = _Teller()
    lines = []
    for line in text.splitlines():
        if line.startswith("> "):
            lines += [line, *(f"  {row}" for row in teller.call(line.removeprefix("> ")))]
        elif not line.startswith("  "):
            lines.append(line)
    return "\n".join(lines) + "\n"


class _Teller:
    """Tells one story."""

    def __init__(self) -> None:
        self._now_ms = BEGAN_MS
        self._next = 0
        self._under_way: list[Effect] = []
        self._place = ""
        self._calls = 0

    def call(self, line: str) -> list[str]:
        """Let something happen."""
        verb, *words = shlex.split(line)
        try:
            getattr(self, f"_do_{verb}")(*words)
        except StopIteration:
            return ["there is none"]
        return [*self._advance(), *self._told()]

    # What happens.

    def _do_mapping(self, *words: str) -> None:
        given = dict(word.split("=") for word in words if "=" in word)
        values = {POLICY[key]: json.loads(value) for key, value in given.items()}
        self._policy = Policy(**values)
        self._wording = Wording(SOURCE)
        start = [LanePlace(0)] * self._policy.parallelization_factor
        self._shard = Shard(self._policy, self._wording, start, match=None, delivers="destination" in words)
        self._shard.at_tip = True

    def _do_put(self, *data: str) -> None:
        values = [value.encode() for value in data]
        rows = Rows(range(self._next, self._next + len(data)), values, values, [self._now_ms] * len(data))
        self._next += len(data)
        self._shard.on_page(ReadPage(rows, self._next, at_tip=True, ended=False), self._now_ms)

    def _do_end(self) -> None:
        rows = Rows((), (), (), ())
        self._shard.on_page(ReadPage(rows, self._next, at_tip=True, ended=True), self._now_ms)

    def _do_advance(self, text: str) -> None:
        number, unit = re.fullmatch(r"([\d.]+)(ms|s|min)", text).groups()  # type: ignore[union-attr]
        self._now_ms += round(float(number) * {"ms": 1, "s": 1000, "min": 60_000}[unit])

    def _do_succeed(self, payload: str = "null") -> None:
        self._answer(payload.encode())

    def _do_grow(self, size: str) -> None:
        self._answer(b'{"state": "%s"}' % (b"x" * (int(size) - 2)))

    def _do_report(self, *names: str) -> None:
        effect = self._under_way[0]
        items = [{"itemIdentifier": self._number(effect.rows, name)} for name in names]
        self._answer(json.dumps({"batchItemFailures": items}).encode())

    def _do_fail(self) -> None:
        effect = self._pop(Invoke)
        answer = Answer(Failed("the function returned an error"), self._request_id(), "$LATEST", "Unhandled")
        self._shard.on_answer(effect.lane, answer, self._now_ms, RETENTION_MS, 0.5)

    def _do_throttle(self) -> None:
        self._shard.on_refused(self._pop(Invoke).lane, "TooManyRequestsException", self._now_ms, RETENTION_MS, 0.5)

    def _do_deliver(self) -> None:
        self._shard.on_delivered(self._pop(Deliver).lane, None)

    def _do_lose(self) -> None:
        self._shard.on_delivered(self._pop(Deliver).lane, "QueueDoesNotExist")

    def _answer(self, payload: bytes) -> None:
        effect = self._pop(Invoke)
        windowed = effect.window is not None and not effect.window.final
        outcome = read_answer(
            payload, effect.rows, SOURCE.number_base, reports=self._policy.reports_items, windowed=windowed
        )
        answer = Answer(outcome, self._request_id(), "$LATEST")
        self._shard.on_answer(effect.lane, answer, self._now_ms, RETENTION_MS, 0.5)

    def _pop(self, kind: type[Effect]) -> Effect:
        return self._under_way.pop(next(at for at, effect in enumerate(self._under_way) if isinstance(effect, kind)))

    def _request_id(self) -> str:
        self._calls += 1
        return f"request {self._calls}"

    # What is told.

    def _advance(self) -> Iterator[str]:
        for effect in self._shard.advance(self._now_ms, RETENTION_MS):
            self._under_way.append(effect)
            yield from self._effect(effect)

    def _told(self) -> Iterator[str]:
        for note in self._shard.take_notes():
            yield f"({note.kind} {note.records}{': ' + note.why if note.why else ''})"
        wake_ms = self._shard.wake_ms(self._now_ms, RETENTION_MS)
        if wake_ms is not None:
            yield f"wakes in {(wake_ms - self._now_ms) / 1000:g} s"
        place = ", ".join(str(lane.place) for lane in self._shard.checkpoint())
        if place != self._place:
            self._place = place
            yield f"checkpoint {place}"
        if self._shard.finished:
            yield "finished"

    def _effect(self, effect: Effect) -> Iterator[str]:
        lane = f" in lane {effect.lane}" if self._policy.parallelization_factor > 1 else ""
        names = " ".join(data.decode() for data in effect.rows.data)
        if isinstance(effect, Invoke):
            yield f"invoke [{names}]{lane}"
            if effect.window is not None:
                event = json.loads(self._wording.payload(effect.rows, effect.window))
                yield from (
                    f"  {key}: {json.dumps(value)[:80]}" for key, value in event.items() if key in WINDOW_MEMBERS
                )
            return
        yield f"send [{names}]{lane}"
        document = describe(
            effect.verdict,
            effect.rows,
            SOURCE,
            function=FUNCTION,
            stream=STREAM,
            at_ms=self._now_ms,
            request_id="a new one",
        )
        yield from (f"  {row}" for row in json.dumps(document, indent=2).splitlines())

    def _number(self, rows: Rows, name: str) -> str | None:
        """The number of a record; `""`, `null` and numbers stand for themselves."""
        data = [value.decode() for value in rows.data]
        if name not in data:
            return None if name == "null" else name
        at = data.index(name)
        return str(number_of(SOURCE.number_base, rows.places[at], rows.arrivals_ms[at]))


WINDOW_MEMBERS: Final = ("window", "state", "isFinalInvokeForWindow", "isWindowTerminatedEarly")
