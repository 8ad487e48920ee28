"""Rows: records of one shard on their way to a function, in columns.

Theory.  A place is a position as one number, `incarnation << 48 | offset`: ordered, and the index of the record's sequence number but for
one.  Pages come as rows; batches are cut from them, and cut again where one fails.
Rules of this file: pure; rows never change; places ascend.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from penstock.engines.api import Page, Position
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column, size_of
from penstock.services.streams import sequence

OFFSET_BITS: Final = 48
NUMBER_SHIFT: Final = 80  # of a place in a sequence number
ROW_BYTES: Final = 64  # about what a record costs beside its key and data


def place_of(position: Position) -> int:
    """A position as one number."""
    return position.incarnation << OFFSET_BITS | position.offset


def position_of(place: int) -> Position:
    """The position that a place means."""
    return Position(place >> OFFSET_BITS, place & (1 << OFFSET_BITS) - 1)


class Rows(NamedTuple):
    """Records in columns of one length."""

    places: Sequence[int]
    keys: Sequence[bytes]
    data: Sequence[bytes]
    arrivals_ms: Sequence[int]

    @property
    def records(self) -> int:
        """How many; `len` counts columns."""
        return len(self.places)

    @property
    def size_bytes(self) -> int:
        """About what they take of the memory."""
        return size_of(self.keys) + size_of(self.data) + ROW_BYTES * len(self.places)

    def cut(self, start: int, stop: int) -> "Rows":
        """The rows [start, stop)."""
        if start == 0 and stop >= len(self.places):
            return self
        return Rows(self.places[start:stop], self.keys[start:stop], self.data[start:stop], self.arrivals_ms[start:stop])

    def pick(self, at: Sequence[int]) -> "Rows":
        """The rows at some ascending indices."""
        if len(at) == len(self.places):
            return self
        keys, data = list(self.keys), list(self.data)  # a value of a column costs more
        return Rows(
            [self.places[index] for index in at],
            [keys[index] for index in at],
            [data[index] for index in at],
            [self.arrivals_ms[index] for index in at],
        )


NO_ROWS: Final = Rows((), (), (), ())


def rows_of(page: Page) -> Rows:
    """A page's records."""
    first = place_of(page.first)
    return Rows(range(first, first + len(page.arrivals_ms)), page.keys, page.data, page.arrivals_ms)


def joined(before: Rows, after: Rows) -> Rows:
    """Rows one behind the other."""
    if not before.places or not after.places:
        return before if before.places else after
    return Rows(
        _places(before.places, after.places),
        _column(before.keys, after.keys, KEY_WIDTH),
        _column(before.data, after.data, DATA_WIDTH),
        [*before.arrivals_ms, *after.arrivals_ms],
    )


def number_of(number_base: int, place: int, arrival_ms: int) -> int:
    """The sequence number of a record; `number_base` is its shard's."""
    return number_base + (place + 1 << NUMBER_SHIFT) + sequence.arrived(arrival_ms)


def _places(before: Sequence[int], after: Sequence[int]) -> Sequence[int]:
    if isinstance(before, range) and isinstance(after, range) and before.stop == after.start:
        return range(before.start, after.stop)
    return [*before, *after]


def _column(before: Sequence[bytes], after: Sequence[bytes], width: int) -> Sequence[bytes]:
    if type(before) is Column and type(after) is Column:
        return Column.joined((before, after), width)
    return [*before, *after]
