"""Measures: what CloudWatch and the log are told of mappings.

Theory.  Notes of shards are added up and told once in MEASURE_MS, while there is anything to tell; the task that tells them ends when
there is nothing.  Of what goes wrong a line is logged, at most one in LOG_MS for each mapping, with how many were left out.
Source: developer guide, "Types of metrics for Lambda functions" and "Event source mapping metrics".
"""

import logging
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

from penstock.core.ids import AccountId, Millis, Region
from penstock.core.limits import SECOND_MS
from penstock.core.ports import Clock, Tasks
from penstock.services.functions.mapping.lane import Note, NoteKind
from penstock.services.functions.mapping.state import Mapping
from penstock.services.streams.tally import Figure, Sample

logger = logging.getLogger(__name__)

MEASURE_MS: Final = 10 * SECOND_MS
LOG_MS: Final = 10 * SECOND_MS

EVENT_COUNTS: Final[Dictionary[NoteKind, str]] = {
    "invoked": "InvokedEventCount",
    "failed": "FailedInvokeEventCount",
    "refused": "FailedInvokeEventCount",
    "dropped": "DroppedEventCount",
    "undelivered": "DroppedEventCount",
    "delivered": "OnFailureDestinationDeliveredEventCount",
}
_LOGGED: Final[Dictionary[NoteKind, str]] = {
    "retry": "will be tried again",
    "cut": "were cut and will be tried again",
    "refused": "could not be given to the function yet",
    "dropped": "were given up",
    "delivered": "were given up and sent to the destination",
    "undelivered": "were given up and could not be sent to the destination",
    "early": "the window ends early",
}


class Measure(NamedTuple):
    """One figure."""

    name: str
    unit: Literal["Count", "Milliseconds"]
    sample: Sample


class Sink(Protocol):
    """Who keeps metrics."""

    def take(
        self, account: AccountId, region: Region, dimensions: Dictionary[str, str], at_ms: Millis, measure: Measure
    ) -> None:
        """Keep a figure of the minute of `at_ms`."""
        ...


class _Tally:
    """What happened with one mapping since it was last told."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.age_ms = Figure()
        self.counts: dict[str, Figure] = {}
        self.failures = Figure()  # of deliveries


class Measures:
    """The metrics and log lines of mappings."""

    def __init__(self, sink: Sink | None, clock: Clock, tasks: Tasks) -> None:
        self._sink = sink
        self._clock = clock
        self._tasks = tasks
        self._tallies: dict[str, _Tally] = {}
        self._since_ms = Millis(0)
        self._telling = False
        self._logged: dict[str, tuple[int, int]] = {}  # of a mapping: when, and how many were left out since

    def batch_ended(self, mapping: Mapping, last_arrival_ms: int) -> None:
        """IteratorAge: how old the last record of a batch was when the function was done with it."""
        self._tally(mapping).age_ms.add(max(0, self._clock.now_ms() - last_arrival_ms))

    def polled(self, mapping: Mapping, records: int, filtered: int) -> None:
        """What was read, and how much of it no filter let through."""
        if mapping.counts_events:
            self._count(mapping, "PolledEventCount", records)
            self._count(mapping, "FilteredOutEventCount", filtered)

    def note(self, mapping: Mapping, shard_id: str, notes: Sequence[Note]) -> None:
        """What a shard notes."""
        for note in notes:
            name = EVENT_COUNTS.get(note.kind)
            if name is not None and mapping.counts_events:
                self._count(mapping, name, note.records)
            if note.kind == "undelivered":
                self._tally(mapping).failures.add(1)
            if note.kind in _LOGGED:
                self._log(mapping, shard_id, note)

    def collect(self) -> None:
        """Tell what was added up."""
        tallies, self._tallies = self._tallies, {}
        if self._sink is None:
            return
        for tally in tallies.values():
            self._tell(tally)

    def _tell(self, tally: _Tally) -> None:
        mapping = tally.mapping
        function = {"FunctionName": mapping.function.split(":")[6]}
        if tally.age_ms.count:
            self._take(mapping, function, Measure("IteratorAge", "Milliseconds", tally.age_ms.sample))
        if tally.failures.count:
            self._take(mapping, function, Measure("DestinationDeliveryFailures", "Count", tally.failures.sample))
        for name, figure in tally.counts.items():
            self._take(mapping, {"EventSourceMappingUUID": mapping.uuid}, Measure(name, "Count", figure.sample))

    def _take(self, mapping: Mapping, dimensions: Dictionary[str, str], measure: Measure) -> None:
        assert self._sink is not None
        self._sink.take(mapping.account, mapping.region, dimensions, self._since_ms, measure)

    def _count(self, mapping: Mapping, name: str, records: int) -> None:
        if records:
            self._tally(mapping).counts.setdefault(name, Figure()).add(records)

    def _tally(self, mapping: Mapping) -> _Tally:
        tally = self._tallies.get(mapping.uuid)
        if tally is None:
            tally = self._tallies[mapping.uuid] = _Tally(mapping)
            if not self._telling:
                self._telling = True
                self._tasks.spawn(self._run(), "measures of mappings")
        return tally

    async def _run(self) -> None:
        try:
            while self._tallies:
                self._since_ms = self._clock.now_ms()
                await self._clock.sleep(MEASURE_MS - self._since_ms % MEASURE_MS)
                self.collect()
        finally:
            self._telling = False
            self.collect()

    def _log(self, mapping: Mapping, shard_id: str, note: Note) -> None:
        now_ms = self._clock.now_ms()
        at_ms, left_out = self._logged.get(mapping.uuid, (now_ms - LOG_MS, 0))
        if 0 <= now_ms - at_ms < LOG_MS:
            self._logged[mapping.uuid] = (at_ms, left_out + 1)
            return
        self._logged[mapping.uuid] = (now_ms, 0)
        more = f" ({left_out} lines like this left out)" if left_out else ""
        logger.warning(
            "mapping %s, %s: %d records %s: %s%s",
            mapping.uuid, shard_id, note.records, _LOGGED[note.kind], note.why or "no reason was given", more,
        )  # fmt: skip
