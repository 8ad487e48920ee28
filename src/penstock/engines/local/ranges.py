"""Which records of each log a segment holds, in columns: a segment of many logs costs few objects.

Theory.  A segment's index says it (segment.py); here it is by log, as the engine keeps it in memory while the segment lives.
Rule of this file: logs are in the order of their numbers, each once.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self


class RangeRow(NamedTuple):
    """The records of one log in a segment."""

    log_no: int
    first_offset: int
    end: int
    first_arrival_ms: int
    last_arrival_ms: int


class Ranges:
    """What a segment holds of each log.  Cost: 40 bytes a log."""

    __slots__ = ("_began_ms", "_ended_ms", "_firsts", "ends", "log_nos")

    def __init__(self) -> None:
        self.log_nos = array("Q")
        self._firsts = array("Q")
        self.ends = array("Q")
        self._began_ms = array("q")
        self._ended_ms = array("q")

    @classmethod
    def of(cls, rows: Sequence[RangeRow]) -> Self:
        """Ranges in any order; of one log, what is from the first to the last.  Raises OverflowError where a number is none of ours."""
        found = cls()
        for row in sorted(rows):
            found.add(row)
        return found

    @property
    def records(self) -> int:
        """How many, of all logs."""
        return sum(self.ends) - sum(self._firsts)

    def add(self, row: RangeRow) -> None:
        """Take in more records of the last log, or of one behind it."""
        if self.log_nos and self.log_nos[-1] == row.log_no:
            self.ends[-1], self._ended_ms[-1] = row.end, row.last_arrival_ms
            return
        for column, number in zip(self._columns(), row, strict=True):
            column.append(number)

    def extend(self, columns: Sequence[bytes]) -> None:
        """Take in ranges of logs behind the last one, as columns of eight bytes a row, little-endian, in the order of RangeRow."""
        for column, more in zip(self._columns(), columns, strict=True):
            column.frombytes(more)

    def find(self, log_no: int) -> RangeRow | None:
        """The records of a log."""
        at = bisect_left(self.log_nos, log_no)
        if at == len(self.log_nos) or self.log_nos[at] != log_no:
            return None
        return RangeRow(log_no, self._firsts[at], self.ends[at], self._began_ms[at], self._ended_ms[at])

    def __len__(self) -> int:
        return len(self.log_nos)

    def __iter__(self) -> Iterator[RangeRow]:
        return map(RangeRow, *self._columns())

    def _columns(self) -> "tuple[array[int], ...]":
        return self.log_nos, self._firsts, self.ends, self._began_ms, self._ended_ms
