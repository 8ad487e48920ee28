"""Batches: records gathered until a request is full or its oldest record has waited long enough.

Theory.  A `Batch` is one request's worth of records and what its acknowledgement means: for each file it has records of, an offset up to
which everything is then delivered (a `Place`).  `Buffer` fills one batch at a time, so batches are in the order of reading.
Rules of this file:
  1. Pure; time is an argument.
  2. No batch is above the limits of the request, but for one record, which may have any size that was let through before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple

from penstock.agent.lines import Records

MARK_BYTES: Final = 64  # of a file before a place, by which it is known again


class Place(NamedTuple):
    """Up to where a file is delivered."""

    offset: int
    mark: bytes  # what stands in the file before the offset, up to MARK_BYTES of it; empty where that is not at hand


class Window(NamedTuple):
    """A part of a file that is in memory, to take marks from."""

    begin: int  # its offset in the file
    data: bytes

    def place(self, offset: int) -> Place:
        """The place at an offset."""
        behind = max(0, offset - self.begin)
        return Place(offset, self.data[max(0, behind - MARK_BYTES) : behind])


@dataclass(slots=True)
class Batch:
    """The records of one request."""

    born_ms: int  # when the first came
    records: list[bytes] = field(default_factory=list)
    bytes: int = 0  # as the request counts them
    places: dict[int, Place] = field(default_factory=dict)  # by the number of the source
    done: bool = False  # every record was taken


class Buffer:
    """The batch that is being filled."""

    def __init__(self, max_records: int, max_bytes: int, max_age_ms: int, key_bytes: int) -> None:
        """`key_bytes`: what a request counts for each record beside its data."""
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._max_age_ms = max_age_ms
        self._key_bytes = key_bytes
        self._open: Batch | None = None

    def add(self, records: Records, source: int, window: Window, now_ms: int) -> list[Batch]:
        """Take records of one source; the batches that are full now."""
        full: list[Batch] = []
        begin = 0
        while begin < len(records):
            batch = self._open or Batch(now_ms)
            self._open = batch
            count = self._fitting(batch, records.datas, begin)
            taken = records.datas[begin : begin + count]
            batch.records += taken
            batch.bytes += sum(map(len, taken)) + count * self._key_bytes
            begin += count
            if count:
                batch.places[source] = window.place(records.ends[begin - 1])
            if begin < len(records) or len(batch.records) >= self._max_records:
                full.append(batch)
                self._open = None
        return full

    def passed(self, source: int, place: Place) -> Batch | None:
        """Everything before a place was read; answers a batch without records if there is nothing to wait for."""
        if self._open is not None:
            self._open.places[source] = place
            return None
        return Batch(0, places={source: place}, done=True)

    def due(self, now_ms: int) -> Batch | None:
        """The batch, if its first record has waited long enough; a clock that was set back makes it due, too."""
        if self._open is None or 0 <= now_ms - self._open.born_ms < self._max_age_ms:
            return None
        return self.take()

    def take(self) -> Batch | None:
        """The batch, if there is one."""
        batch, self._open = self._open, None
        return batch

    def _fitting(self, batch: Batch, datas: Sequence[bytes], begin: int) -> int:
        """How many records the batch can take; at least one into an empty batch."""
        room = self._max_records - len(batch.records)
        candidates = datas[begin : begin + room]
        free_bytes = self._max_bytes - batch.bytes
        if sum(map(len, candidates)) + len(candidates) * self._key_bytes <= free_bytes:
            return len(candidates)
        sizes = accumulate(len(data) + self._key_bytes for data in candidates)
        count = sum(1 for size in sizes if size <= free_bytes)
        return count or int(not batch.records)


class Ledger:
    """The batches of one flow that are not delivered yet, in order.  Acknowledgements come in any order; places move in this one."""

    def __init__(self, moved: Callable[[int, Place], None]) -> None:
        """`moved` is told each source's new place, in order."""
        self._waiting: list[Batch] = []
        self._moved = moved

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def records(self) -> int:
        """The records in them."""
        return sum(len(batch.records) for batch in self._waiting)

    def begin(self, batch: Batch) -> None:
        """A batch is about to be sent."""
        self._waiting.append(batch)
        self._settle()

    def done(self, batch: Batch) -> None:
        """Every record of a batch was taken."""
        batch.done = True
        batch.records = []  # one that waits for an earlier batch holds its places alone
        self._settle()

    def _settle(self) -> None:
        count = 0
        for batch in self._waiting:
            if not batch.done:
                break
            for source, place in batch.places.items():
                self._moved(source, place)
            count += 1
        del self._waiting[:count]


def aggregated(records: Records, max_bytes: int) -> Records:
    """Records joined one behind the other as long as they fit into `max_bytes`."""
    made = Records(truncated=records.truncated)
    parts: list[bytes] = []
    size = end = 0
    for data, data_end in zip(records.datas, records.ends, strict=True):
        if parts and size + len(data) > max_bytes:
            made.add(b"".join(parts), end)
            parts, size = [], 0
        parts.append(data)
        size += len(data)
        end = data_end
    if parts:
        made.add(b"".join(parts), end)
    return made
