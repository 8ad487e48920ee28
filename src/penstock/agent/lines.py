"""From the bytes of a file to records, each with the offset behind it.

Theory.  `Cutter` turns chunks into lines, `Records` with their end in the file.  What has no line end yet is held, up to the size of a
record; of a longer line the rest is passed over, and the line ends in the terminator.  `Gatherer` joins lines into multi-line records: one
begins with a line that matches, and is whole when the next one begins.
Rules of this file:
  1. Pure, and linear in the bytes fed; memory is bounded by one chunk and one record.
  2. The offsets are those of the file, whatever was cut off or passed over: reading on from an end repeats and loses nothing.
"""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from penstock.agent.expression import Expression

NEWLINE: Final = b"\n"


@dataclass(slots=True)
class Records:
    """Records in the order of the file."""

    datas: list[bytes] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)  # for each, the offset behind it
    truncated: int = 0  # how many were too long

    def __len__(self) -> int:
        return len(self.datas)

    def add(self, data: bytes, end: int) -> None:
        """One more."""
        self.datas.append(data)
        self.ends.append(end)


class Cutter:
    """Lines of one file, read in order from some offset."""

    def __init__(self, offset: int, max_bytes: int, terminator: bytes, *, skip_lines: int = 0) -> None:
        """`terminator` ends what is cut off at `max_bytes`; the first `skip_lines` are passed over if `offset` is 0."""
        assert len(terminator) < max_bytes
        self.begin = offset  # of the line that is held
        self._held = bytearray()
        self._passed_over = 0  # bytes of the held line that are not kept
        self._max_bytes = max_bytes
        self._terminator = terminator
        self._skip_lines = skip_lines if offset == 0 else 0

    def feed(self, chunk: bytes) -> Records:
        """The lines that the next bytes of the file complete."""
        first, *others = chunk.split(NEWLINE)
        self._hold(first)
        if not others:
            return Records()
        begun = self._end_line()
        rest = others.pop()
        datas = [line + NEWLINE for line in others]
        ends = list(accumulate(map(len, datas), initial=begun.ends[0]))
        records = Records(begun.datas + datas, ends, begun.truncated)
        self.begin = ends[-1]
        self._hold(rest)
        if datas and max(map(len, datas)) > self._max_bytes:
            self._cut_long(records)
        return self._skip(records)

    def rest(self) -> Records:
        """The line that has no end, as far as it is there; for a file that is finished."""
        if not self._held:
            return Records()
        records = self._end_line(b"")
        self.begin = records.ends[-1]
        return self._skip(records)

    @property
    def safe(self) -> int:
        """The offset from which another cutter would go on as this one does; behind the header, or 0."""
        return 0 if self._skip_lines else self.begin

    @property
    def holds_part(self) -> bool:
        """Whether a line without its end is held."""
        return bool(self._held)

    def _hold(self, piece: bytes) -> None:
        room = self._max_bytes + 1 - len(self._held)  # one more shows that it is too long
        self._held += piece[:room] if len(piece) > room else piece
        self._passed_over += max(0, len(piece) - room)

    def _end_line(self, newline: bytes = NEWLINE) -> Records:
        end = self.begin + len(self._held) + self._passed_over + len(newline)
        records = Records([bytes(self._held) + newline], [end])
        self._held.clear()
        self._passed_over = 0
        if len(records.datas[0]) > self._max_bytes:
            self._cut_long(records)
        return records

    def _cut_long(self, records: Records) -> None:
        for index, data in enumerate(records.datas):
            if len(data) > self._max_bytes:
                records.datas[index] = truncate(data, self._max_bytes, self._terminator)
                records.truncated += 1

    def _skip(self, records: Records) -> Records:
        if not self._skip_lines:
            return records
        count = min(self._skip_lines, len(records))
        self._skip_lines -= count
        return Records(records.datas[count:], records.ends[count:], records.truncated)


def truncate(data: bytes, max_bytes: int, terminator: bytes) -> bytes:
    """What fits of a record that is too long, with the terminator."""
    return data[: max_bytes - len(terminator)] + terminator


class Gatherer:
    """Multi-line records of one file."""

    def __init__(self, offset: int, start: Expression, max_bytes: int, terminator: bytes) -> None:
        """`offset` is where the first line begins."""
        self._start = start
        self._max_bytes = max_bytes
        self._terminator = terminator
        self._parts: list[bytes] = []
        self._bytes = 0  # of the parts
        self._begin = 0
        self._end = offset
        self._too_long = False

    def feed(self, lines: Records) -> Records:
        """The records that more lines complete; lines before the first that matches are one of their own."""
        made = Records(truncated=lines.truncated)
        for line, end in zip(lines.datas, lines.ends, strict=True):
            if self._parts and self._start.match(line) is not None:
                self._close(made)
            self._take(line)
            self._end = end
        return made

    def flush(self) -> Records:
        """The record that is under way, taken for whole."""
        made = Records()
        if self._parts:
            self._close(made)
        return made

    @property
    def begin(self) -> int | None:
        """Where the record that is under way begins, or None if there is none."""
        return self._begin if self._parts else None

    def _take(self, line: bytes) -> None:
        room = self._max_bytes + 1 - self._bytes
        if len(line) > room:
            self._too_long = True
            line = line[:room]
        if not self._parts:
            self._begin = self._end
        if line or not self._parts:
            self._parts.append(line)
            self._bytes += len(line)

    def _close(self, made: Records) -> None:
        data = b"".join(self._parts)
        if self._too_long or len(data) > self._max_bytes:
            data = truncate(data, self._max_bytes, self._terminator)
            made.truncated += 1
        made.add(data, self._end)
        self._parts, self._bytes, self._too_long = [], 0, False


def without(lines: Records, footer: Expression) -> Records:
    """Lines but for those that match the footer's pattern."""
    made = Records(truncated=lines.truncated)
    for line, end in zip(lines.datas, lines.ends, strict=True):
        if footer.match(line) is None:
            made.add(line, end)
    return made
