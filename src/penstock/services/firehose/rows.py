"""Rows: entries that are still columns of pages.

Theory.  Most records are delivered as they came, and then nobody needs an object for each.  Rows look like a sequence of entries and make
one only when it is asked for; their data can be had as a whole.
Rules of this file: pure; rows never change; a part is a run of consecutive records of one page.
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple, overload

from penstock.engines.api import Position
from penstock.engines.column import Column, lengths_of
from penstock.services.firehose.buffers import Piece
from penstock.services.firehose.entries import Entry, Origin
from penstock.services.firehose.holds import Hold
from penstock.services.streams import sequence

ROW_BYTES: Final = 24  # that a record in a column takes beside its data: its key, its arrival, lengths of both
ENTRY_BYTES: Final = 450  # that one takes as an object, with its id and its keys


def record_id(number: int, subsequence_number: int = 0) -> str:
    """The RecordId of a record, from its sequence number."""
    return f"{number}{subsequence_number:06d}"


class Lane(NamedTuple):
    """Where records were read from, as far as their entries tell."""

    number_base: int  # sequence.base of the shard
    shard_id: str | None  # None: direct puts


class Part(NamedTuple):
    """Consecutive records of one page."""

    lane: Lane
    first: Position
    keys: Sequence[bytes]
    data: Sequence[bytes]
    arrivals_ms: Sequence[int]

    def entry(self, at: int) -> Entry:
        """One of them."""
        lane, arrival_ms = self.lane, self.arrivals_ms[at]
        position = Position(self.first.incarnation, self.first.offset + at)
        number = lane.number_base + sequence.tail(position, arrival_ms)
        origin = None
        if lane.shard_id is not None:
            key = self.keys[at].decode("utf-8", "replace")
            origin = Origin(lane.shard_id, key, str(number), 0, arrival_ms)
        return Entry(self.data[at], arrival_ms, record_id(number), position.offset, origin)

    def entries(self) -> Iterator[Entry]:
        """All of them.  Cost: 2 us each."""
        whole = self._replace(keys=list(self.keys), data=list(self.data))  # a column is slow to index
        return map(whole.entry, range(len(whole.data)))

    def cut(self, start: int, stop: int) -> "Part":
        """Those from `start` to `stop`."""
        first = Position(self.first.incarnation, self.first.offset + start)
        keys, data, arrivals_ms = self.keys[start:stop], self.data[start:stop], self.arrivals_ms[start:stop]
        return Part(self.lane, first, keys, data, arrivals_ms)


class Rows(Sequence[Entry]):
    """Entries in parts."""

    __slots__ = ("_count", "parts")

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._count = sum(len(part.data) for part in parts)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        return chain.from_iterable(part.entries() for part in self.parts)

    @overload
    def __getitem__(self, at: int) -> Entry: ...

    @overload
    def __getitem__(self, at: slice) -> "Rows": ...

    def __getitem__(self, at: int | slice) -> "Entry | Rows":
        if isinstance(at, slice):
            start, stop, step = at.indices(self._count)
            assert step == 1, "rows are cut in steps of 1"
            return Rows(list(self._cut(start, stop)))
        place = range(self._count)[at]
        return next(self._cut(place, place + 1)).entry(0)

    def lengths(self) -> Sequence[int]:
        """Of each record's data."""
        return array("I", chain.from_iterable(lengths_of(part.data) for part in self.parts))

    def pieces(self) -> Iterator[bytes]:
        """The data, end to end, in as few pieces as it lies in."""
        for part in self.parts:
            if isinstance(part.data, Column):
                yield from (span.body for span in part.data.spans)
            else:
                yield from part.data

    def _cut(self, start: int, stop: int) -> Iterator[Part]:
        first = 0
        for part in self.parts:
            low, high = max(start - first, 0), min(stop - first, len(part.data))
            if low < high:
                yield part if (low, high) == (0, len(part.data)) else part.cut(low, high)
            first += len(part.data)


def joined(runs: Sequence[Sequence[Entry]]) -> Sequence[Entry]:
    """Runs of entries as one: rows where all are, a list otherwise."""
    if len(runs) == 1:
        return runs[0]
    rows = [run for run in runs if isinstance(run, Rows)]
    if len(rows) == len(runs):
        return Rows([part for run in rows for part in run.parts])
    return [entry for run in runs for entry in run]


def pieces_of(entries: Sequence[Entry]) -> list[bytes]:
    """The data of entries, end to end, in as few pieces as it lies in; nothing is copied."""
    return list(entries.pieces()) if isinstance(entries, Rows) else [entry.data for entry in entries]


def piece_of(hold: Hold, entries: Sequence[Entry], oldest_ms: int) -> Piece[Entry]:
    """Entries as buffers take them."""
    if isinstance(entries, Rows):
        return Piece(hold, entries, entries.lengths(), oldest_ms, ROW_BYTES)
    return Piece(hold, entries, array("I", [len(entry.data) for entry in entries]), oldest_ms, ENTRY_BYTES)
