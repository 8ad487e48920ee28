"""RecordLog against a list: any sequence of calls, with a clock that goes forward and backward, on every engine."""

import asyncio
import tempfile
from collections.abc import Coroutine, Set
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from engine_table import ENGINES, Open, SetClock, begin, check_page, turns
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from plain_spread import scatter

from penstock.engines.api import (
    Appended,
    AppendError,
    Batch,
    Bounds,
    LogId,
    NoSuchLog,
    Page,
    Position,
    RecordLog,
    Sealed,
)

Result = TypeVar("Result")

LOGS = tuple(LogId(f"stream/{number}") for number in range(3))
# A run finds more where most happens to one log, and that one is seldom sealed or dropped.
log_names = st.sampled_from((*[LOGS[0]] * 4, LOGS[1], LOGS[2]))
ended_logs = st.sampled_from((LOGS[0], LOGS[1], *[LOGS[2]] * 4))
several_logs = st.lists(log_names, min_size=1, max_size=3)
records = st.sampled_from(((b"", b""), (b"k", b""), (b"", b"d"), (b"key", b"d" * 10), (b"k", b"d" * 300)))
batches = st.tuples(log_names, st.lists(records, min_size=1, max_size=6))


class Record(NamedTuple):
    """One record as the model keeps it."""

    key: bytes
    data: bytes
    arrival_ms: int


@dataclass
class Model:
    """One log: every record ever appended, and from which on they are still held."""

    base: Position  # of the first record
    records: list[Record] = field(default_factory=list)
    start: int = 0
    sealed: bool = False

    def at(self, index: int) -> Position:
        return Position(self.base.incarnation, self.base.offset + index)

    def index(self, position: Position) -> int:
        """Where reading from a position begins."""
        if position < self.at(self.start):
            return self.start
        if position > self.at(len(self.records)):
            return len(self.records)
        return position.offset - self.base.offset

    def bounds(self) -> Bounds:
        newest_ms = self.records[-1].arrival_ms if self.records else None
        return Bounds(self.at(self.start), self.at(len(self.records)), newest_ms, self.sealed)


# A position: incarnations further, and a number that is folded onto the records that the log holds, and a little beyond.
places = st.tuples(st.sampled_from((*[0] * 8, -1, 1)), st.integers(0, 2**16))


class LogMachine(RuleBasedStateMachine):
    """An engine's RecordLog beside lists."""

    def __init__(self, opened: Open, folder: Path) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = SetClock()
        self.engine = opened(self.clock, Path(tempfile.mkdtemp(dir=folder)))
        self.log: RecordLog = self.runner.run(self.engine.__aenter__()).log
        self.models: dict[LogId, Model] = {}
        self.create(list(LOGS))

    def teardown(self) -> None:
        self.runner.run(self.engine.__aexit__(None, None, None))
        self.runner.close()

    def _ask(self, name: LogId, call: Coroutine[Any, Any, Result]) -> tuple[Model, Result] | None:
        """The model of a log and what the engine answered; None once the engine has refused for want of the log."""
        model = self.models.get(name)
        if model is not None:
            return model, self.runner.run(call)
        with pytest.raises(NoSuchLog):
            self.runner.run(call)
        return None

    def _place(self, name: LogId, place: tuple[int, int]) -> Position:
        model = self.models.get(name, Model(Position(0, 0)))
        base, first = model.base, model.start - 2
        offset = first + place[1] % (len(model.records) + 3 - first)
        return Position(base.incarnation + place[0], base.offset + offset)

    @rule(names=several_logs)
    def create(self, names: list[LogId]) -> None:
        self.runner.run(self.log.create(names))
        for name in names:
            if name not in self.models:
                self.models[name] = Model(self.runner.run(self.log.bounds(name)).start)

    @rule(names=st.lists(ended_logs, min_size=1, max_size=2))
    def drop(self, names: list[LogId]) -> None:
        self.runner.run(self.log.drop(names))
        for name in names:
            self.models.pop(name, None)

    @rule(given=st.lists(batches, max_size=5))
    def append(self, given: list[tuple[LogId, list[tuple[bytes, bytes]]]]) -> None:
        call = [Batch(name, [key for key, _ in rows], [data for _, data in rows]) for name, rows in given]
        outcomes = self.runner.run(self.log.append(call))
        assert len(outcomes) == len(call)
        for batch, outcome in zip(call, outcomes, strict=True):
            self._check_outcome(batch, outcome)

    @rule(name=log_names, rows=st.lists(records, min_size=1, max_size=6), later_ms=st.sampled_from((0, 1, 50, -50)))
    def append_one(self, name: LogId, rows: list[tuple[bytes, bytes]], later_ms: int) -> None:
        """As `append`, at another time; a run in which logs often grow finds more."""
        self.clock.ms += later_ms
        self.append([(name, rows)])

    @rule(given=st.lists(batches, min_size=1, max_size=3, unique_by=lambda batch: batch[0]))
    def scatter(self, given: list[tuple[LogId, list[tuple[bytes, bytes]]]]) -> None:
        call = [Batch(name, [key for key, _ in rows], [data for _, data in rows]) for name, rows in given]
        outcomes = self.runner.run(scatter(self.log, call))
        together = {outcome.arrival_ms for outcome in outcomes if isinstance(outcome, Appended)}
        for batch, outcome in zip(call, outcomes, strict=True):
            self._check_outcome(batch, outcome, together)

    def _check_outcome(self, batch: Batch, outcome: Appended | AppendError, together: Set[int] = frozenset()) -> None:
        """`together`: when a call's batches arrived; it may be later than each of them would have by itself."""
        model = self.models.get(batch.log)
        if model is None:
            assert isinstance(outcome, NoSuchLog)
            return
        end = model.at(len(model.records))
        if model.sealed:
            assert isinstance(outcome, Sealed)
            assert outcome.end == end
            return
        newest_ms = model.records[-1].arrival_ms if model.records else 0
        assert isinstance(outcome, Appended)
        arrivals = {max(newest_ms, self.clock.ms), *together}
        assert outcome == Appended(end, outcome.arrival_ms)
        assert outcome.arrival_ms in arrivals
        assert outcome.arrival_ms >= max(newest_ms, self.clock.ms)
        model.records.extend(
            Record(key, data, outcome.arrival_ms) for key, data in zip(batch.keys, batch.data, strict=True)
        )

    @rule(
        name=log_names,
        place=places,
        max_records=st.integers(1, 20),
        max_bytes=st.sampled_from((1, 12, 30, 310, 9999, 9999, 9999)),
    )
    def read(self, name: LogId, place: tuple[int, int], max_records: int, max_bytes: int) -> None:
        position = self._place(name, place)
        asked = self._ask(name, self.log.read(name, position, max_records, max_bytes))
        if asked is not None:
            _check_read(*asked, position, max_records, max_bytes)

    @rule(name=log_names, age_ms=st.sampled_from((0, 0, 1, -1, 10**6)) | st.integers(-200, 300))
    def find_time(self, name: LogId, age_ms: int) -> None:
        at_ms = self.clock.ms - age_ms
        if (asked := self._ask(name, self.log.find_time(name, at_ms))) is not None:
            model, found = asked
            held = range(model.start, len(model.records))
            first = next((index for index in held if model.records[index].arrival_ms >= at_ms), len(model.records))
            assert found == model.at(first)

    @rule(name=ended_logs)
    def seal(self, name: LogId) -> None:
        if (asked := self._ask(name, self.log.seal(name))) is not None:
            model, end = asked
            model.sealed = True
            assert end == model.at(len(model.records))

    @rule(name=log_names, place=places, few=st.booleans())
    def trim(self, name: LogId, place: tuple[int, int], few: bool) -> None:
        position = self._place(name, (place[0], place[1] % 6) if few else place)
        if (asked := self._ask(name, self.log.trim(name, position))) is not None:
            model, _ = asked
            model.start = model.index(position)

    @rule(name=log_names, place=places)
    def wait(self, name: LogId, place: tuple[int, int]) -> None:
        position = self._place(name, place)
        if (asked := self._ask(name, _waited(self.log, name, position))) is not None:
            model, at_once = asked
            assert at_once == (model.sealed or model.index(position) < len(model.records))

    @rule(by_ms=st.integers(-200, 200))
    def set_clock(self, by_ms: int) -> None:
        self.clock.ms += by_ms

    @invariant()
    def bounds_and_records_are_those_of_the_models(self) -> None:
        for name, model in self.models.items():
            assert self.runner.run(self.log.bounds(name)) == model.bounds()
            position = model.at(-1)
            for limits in cycle(((3, 9999), (100, 40), (1, 1), (100, 9999))):
                page = self.runner.run(self.log.read(name, position, *limits))
                _check_read(model, page, position, *limits)
                position = page.next
                if position == page.end:
                    break
            for arrival_ms in {record.arrival_ms for record in model.records[-20:]}:
                self.find_time(name, self.clock.ms - arrival_ms)
        for name in set(LOGS) - set(self.models):
            self._ask(name, self.log.bounds(name))


async def _waited(log: RecordLog, name: LogId, position: Position) -> bool:
    """Whether a wait returns with nothing more happening."""
    waiting = begin(log.wait(name, position))
    await turns(10)
    if waiting.done():
        waiting.result()
        return True
    waiting.cancel()
    return False


def _check_read(model: Model, page: Page, position: Position, max_records: int, max_bytes: int) -> None:
    check_page(page)
    first = model.index(position)
    count = len(page.data)
    expected = model.records[first : first + count]
    found = [Record(*row) for row in zip(page.keys, page.data, page.arrivals_ms, strict=True)]
    assert found == expected
    assert (page.first, page.next) == (model.at(first), model.at(first + count))
    assert (page.end, page.sealed) == (model.at(len(model.records)), model.sealed)
    assert min(1, len(model.records) - first) <= count <= max_records  # where there is something, something comes
    assert count <= 1 or sum(len(row.key) + len(row.data) for row in found) <= max_bytes


@pytest.mark.parametrize("opened", ENGINES.values(), ids=list(ENGINES))
def test_record_log_when_used_in_any_way_then_it_behaves_as_a_list(opened: Open, tmp_path: Path) -> None:
    run_state_machine_as_test(
        partial(LogMachine, opened, tmp_path),  # type: ignore[arg-type]  # any way to make one will do
        settings=settings(
            max_examples=80,
            stateful_step_count=40,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
