"""Buffers: records that wait to be delivered together, one buffer for each key.

Theory.  A buffer opens with its first record.  It is ready when its size reaches the hint or its age the interval, whichever comes first.
Its content is pieces: runs of records that share a hold, whose end lets the source's checkpoint move on.  What is handed over as ready is
out of the buffers; a size that would be passed is kept by cutting the piece that comes in.
Rules of this file:
  1. Pure: time comes as an argument; where it went back, what was opened later than now is ready.
  2. No record is in two parcels, none is lost, and within a key they keep their order.
  3. A parcel is at most the hint's size and count, or one record that is larger by itself.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate
from typing import Final, Generic, NamedTuple, TypeVar

from penstock.services.firehose.holds import Hold

LINGER_MS: Final = 500  # how long zero buffering waits for company; AWS says "within seconds"

Key = TypeVar("Key", bound=Hashable)
Record = TypeVar("Record", covariant=True)


class Piece(NamedTuple, Generic[Record]):
    """Records that came together."""

    hold: Hold  # one of its counts is this piece's
    records: Sequence[Record]  # at least one
    lengths: Sequence[int]  # of each, in bytes
    oldest_ms: int  # the earliest arrival
    each_bytes: int = 0  # what a record takes in memory beside its data

    @property
    def size_bytes(self) -> int:
        """Of the records' data."""
        return sum(self.lengths)


class Limits(NamedTuple):
    """When a buffer is ready."""

    size_bytes: int
    interval_ms: int
    records_max: int | None = None


class Ready(NamedTuple, Generic[Key, Record]):
    """What is to be delivered together."""

    key: Key
    pieces: Sequence[Piece[Record]]
    size_bytes: int
    records: int
    oldest_ms: int
    held_bytes: int  # in memory


class _Buffer(Generic[Record]):
    """One open buffer."""

    __slots__ = ("held_bytes", "opened_ms", "pieces", "records", "size_bytes")

    def __init__(self, now_ms: int) -> None:
        self.opened_ms = now_ms
        self.pieces: list[Piece[Record]] = []
        self.size_bytes = self.records = self.held_bytes = 0


class Buffers(Generic[Key, Record]):
    """Open buffers by key, the oldest first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._interval_ms = limits.interval_ms or LINGER_MS
        self._open: dict[Key, _Buffer[Record]] = {}
        self.held_bytes = 0  # by all, in memory

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: Key) -> bool:
        return key in self._open

    def due_in_ms(self, now_ms: int) -> int | None:
        """How long until the next buffer is ready by its age, where nothing happens to the clock; None if there is none."""
        if not self._open:
            return None
        first_ms = min(held.opened_ms for held in self._open.values())
        return min(max(first_ms + self._interval_ms - now_ms, 0), self._interval_ms)

    def add(self, key: Key, piece: Piece[Record], now_ms: int) -> Iterator[Ready[Key, Record]]:
        """Put records in; whatever is ready by that comes out.  The iterator must be exhausted."""
        while True:
            held = self._open.get(key) or _Buffer(now_ms)
            taken = self._fitting(held, piece.lengths)
            if taken:
                self._open[key] = held
                self._put(held, _cut(piece, 0, taken))
            if taken < len(piece.lengths) or self._is_full(held):
                yield self._close(key)
            if taken == len(piece.lengths):
                return
            if taken:
                piece.hold.retain()  # the piece is two now
                piece = _cut(piece, taken, len(piece.lengths))

    def due(self, now_ms: int) -> Iterator[Ready[Key, Record]]:
        """Whatever is ready by its age."""
        for key, held in list(self._open.items()):
            if not held.opened_ms <= now_ms < held.opened_ms + self._interval_ms:
                yield self._close(key)

    def oldest(self) -> Ready[Key, Record]:
        """The oldest buffer, ready or not: where memory runs short."""
        return self._close(next(iter(self._open)))

    def everything(self) -> Iterator[Ready[Key, Record]]:
        """All, ready or not."""
        while self._open:
            yield self.oldest()

    def _fitting(self, held: _Buffer[Record], lengths: Sequence[int]) -> int:
        """How many of the records fit; the first one always does into an empty buffer."""
        room = self._limits.size_bytes - held.size_bytes
        ends = list(accumulate(lengths))
        taken = len(lengths) if ends[-1] <= room else bisect_right(ends, room)
        if self._limits.records_max is not None:
            taken = min(taken, self._limits.records_max - held.records)
        return taken or (1 if not held.records else 0)

    def _is_full(self, held: _Buffer[Record]) -> bool:
        most = self._limits.records_max
        return held.size_bytes >= self._limits.size_bytes or (most is not None and held.records >= most)

    def _put(self, held: _Buffer[Record], piece: Piece[Record]) -> None:
        size_bytes, records = piece.size_bytes, len(piece.lengths)
        held_bytes = size_bytes + records * piece.each_bytes
        held.pieces.append(piece)
        held.size_bytes += size_bytes
        held.records += records
        held.held_bytes += held_bytes
        self.held_bytes += held_bytes

    def _close(self, key: Key) -> Ready[Key, Record]:
        held = self._open.pop(key)
        self.held_bytes -= held.held_bytes
        oldest_ms = min(piece.oldest_ms for piece in held.pieces)
        return Ready(key, held.pieces, held.size_bytes, held.records, oldest_ms, held.held_bytes)


def _cut(piece: Piece[Record], start: int, stop: int) -> Piece[Record]:
    if (start, stop) == (0, len(piece.lengths)):
        return piece
    # the earliest arrival of the whole is at most a page's age too early for a part of it
    return piece._replace(records=piece.records[start:stop], lengths=piece.lengths[start:stop])
