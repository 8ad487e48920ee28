"""A spread in Python: the native part's twin, for tests that hold engines, and the native part itself, against it."""

from collections.abc import Sequence
from typing import NamedTuple

from penstock.engines.api import Appended, AppendError, Batch, Fan, Position, RecordLog, Scattered
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.engines.local import columns, frame
from penstock.engines.local.frame import Kind


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
        return len(self.frames(0, 0, 0, [0] * len(self), [0] * len(self)))

    def __len__(self) -> int:
        return len(self._groups)

    def owners(self) -> list[int]:
        return [group.owner for group in self._groups]

    def counts(self) -> list[int]:
        return [len(group.data) for group in self._groups]

    def sizes(self) -> list[int]:
        return [group.keys.size_bytes + group.data.size_bytes for group in self._groups]

    def frames(self, file_no: int, group: int, arrival_ms: int, log_nos: Sequence[int], firsts: Sequence[int]) -> bytes:
        return b"".join(
            piece
            for each, log_no, first in zip(self._groups, log_nos, firsts, strict=True)
            for piece in frame.encode(
                Kind.RECORDS, file_no, group, columns.encode_rows(log_no, first, arrival_ms, each.keys, each.data)
            )
        )


async def scatter(log: RecordLog, batches: Sequence[Batch]) -> Sequence[Appended | AppendError]:
    """As `append`, of at most one batch a log, through `scatter` where the engine takes it."""
    fan = Fan([batch.log for batch in batches])
    outcome = await log.scatter(fan, PlainSpread([(at, each.keys, each.data) for at, each in enumerate(batches)]))
    if outcome is None:
        return await log.append(batches)
    if isinstance(outcome, Scattered):
        return [Appended(Position(0, first), outcome.arrival_ms) for first in outcome.firsts]
    return [outcome] * len(batches)
