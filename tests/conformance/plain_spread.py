"""A spread in Python: the native part's twin, for tests that hold engines, and the native part itself, against it."""

from collections.abc import Sequence
from typing import NamedTuple

from penstock.engines.api import Appended, AppendError, Batch, Fan, Position, RecordLog
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.engines.local import columns, frame
from penstock.engines.local.frame import Kind
from penstock.wire.nativecalls import PutAnswer, PutCall
from penstock.wire.nativeparts import Fanned, Format, ShardNames, Tips


class _Group(NamedTuple):
    """The records of one shard."""

    owner: int
    keys: Column
    data: Column


class PlainSpread:
    """Records by shard; see penstock.wire.nativeparts.Spread."""

    def __init__(self, groups: Sequence[tuple[int, Sequence[bytes], Sequence[bytes]]]) -> None:
        self._groups = [
            _Group(owner, Column.of(keys, KEY_WIDTH), Column.of(data, DATA_WIDTH)) for owner, keys, data in groups
        ]
        self.size_bytes = sum(self.sizes())

    @property
    def frames_bytes(self) -> int:
        none = [0] * len(self)
        return len(PlainPlaced(self._groups, none, none, none, 0).frames(0, 0))

    def __len__(self) -> int:
        return len(self._groups)

    def owners(self) -> list[int]:
        return [group.owner for group in self._groups]

    def counts(self) -> list[int]:
        return [len(group.data) for group in self._groups]

    def sizes(self) -> list[int]:
        return [group.keys.size_bytes + group.data.size_bytes for group in self._groups]

    def place(self, fanned: Fanned, tips: Tips, now_ms: int) -> "PlainPlaced | None":
        logs = [(fanned.places[group.owner], fanned.log_nos[group.owner]) for group in self._groups]
        places, log_nos = [place for place, _ in logs], [log_no for _, log_no in logs]
        if any(map(tips.is_closed, places)):
            return None
        firsts = list(map(tips.next_offset, places))
        for place, first, count in zip(places, firsts, self.counts(), strict=True):
            tips.set_next_offset(place, first + count)
        arrival_ms = max(now_ms, *map(tips.last_arrival_ms, places))
        return PlainPlaced(self._groups, places, log_nos, firsts, arrival_ms)


class PlainPlaced(NamedTuple):
    """The same with its offsets; see penstock.wire.nativeparts.Placed."""

    groups: Sequence[_Group]
    places: list[int]
    log_nos: list[int]
    firsts: list[int]
    arrival_ms: int

    def frames(self, file_no: int, group: int) -> bytes:
        return b"".join(self._frames(file_no, group))

    def show(self, tips: Tips, number: int) -> None:
        for row, (place, first, group) in enumerate(zip(self.places, self.firsts, self.groups, strict=True)):
            tips.set_end(place, first + len(group.data))
            tips.set_last_arrival_ms(place, self.arrival_ms)
            tips.note_scatter(place, number, row)

    def roll_back(self, tips: Tips) -> None:
        for place in self.places:
            tips.set_next_offset(place, tips.end(place))

    def blocks(self) -> "PlainPlaced":
        return self

    def row(self, group: int) -> tuple[int, int, int, int] | None:
        if group >= len(self.groups):
            return None
        lengths = list(map(len, self._frames(0, 0)))
        end = self.firsts[group] + len(self.groups[group].data)
        return self.firsts[group], end, sum(lengths[:group]), lengths[group] - frame.HEADER_BYTES

    def write_written(self, form: Format, head: bytes, names: ShardNames, tail: bytes) -> bytes:
        raise AssertionError("no engine asks for an answer")

    def answer_calls(self, calls: Sequence[PutCall], names: ShardNames, drawn: bytes) -> list[PutAnswer | None]:
        raise AssertionError("no engine asks for an answer")

    def _frames(self, file_no: int, group: int) -> list[bytes]:
        bodies = [
            columns.encode_rows(log_no, first, self.arrival_ms, each.keys, each.data)
            for each, log_no, first in zip(self.groups, self.log_nos, self.firsts, strict=True)
        ]
        return [b"".join(frame.encode(Kind.RECORDS, file_no, group, body)) for body in bodies]


async def scatter(log: RecordLog, batches: Sequence[Batch]) -> Sequence[Appended | AppendError]:
    """As `append`, of at most one batch a log, through `scatter` where the engine takes it."""
    fan = Fan([batch.log for batch in batches])
    outcome = await log.scatter(fan, PlainSpread([(at, each.keys, each.data) for at, each in enumerate(batches)]))
    if outcome is None:
        return await log.append(batches)
    if isinstance(outcome, AppendError):
        return [outcome] * len(batches)
    return [Appended(Position(0, first), outcome.arrival_ms) for first in outcome.firsts]
