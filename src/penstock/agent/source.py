"""One file that is followed: how far it was read, how far it was delivered, and the bytes in between.

Rule of this file: pure; whoever reads the file feeds the bytes, in order.
"""

from dataclasses import dataclass
from typing import NamedTuple

from penstock.agent.buffers import MARK_BYTES, Place, Window
from penstock.agent.expression import Expression
from penstock.agent.lines import Cutter, Gatherer, Records, without
from penstock.agent.tracking import Row, Seen


@dataclass(frozen=True, slots=True)
class Rules:
    """How the bytes of a flow's files become records."""

    max_bytes: int  # of a record
    terminator: bytes  # of one that was longer
    header_lines: int = 0
    footer: Expression | None = None
    multi_line_start: Expression | None = None


class Fed(NamedTuple):
    """What a chunk has given."""

    records: Records
    window: Window


class Source:
    """A file by its key, from one start to the next: one that is truncated becomes another source."""

    def __init__(self, number: int, seen: Seen, rules: Rules, place: Place, now_ms: int) -> None:
        self.number = number
        self.key = seen.key
        self.name: str | None = seen.name  # in the directory; None: it has none any more
        self.covered = seen.covered
        self.modified_ms = seen.modified_ms
        self.size = seen.size
        self.position = place.offset  # up to here it was read
        self.tail = place.mark  # what stands before the position
        self.delivered = place
        self.moved_ms = now_ms  # when it gave bytes last, or was found
        self.changed = True  # something may be there that was not read
        self._rules = rules
        self._cutter = Cutter(place.offset, rules.max_bytes, rules.terminator, skip_lines=rules.header_lines)
        start = rules.multi_line_start
        self._gatherer = Gatherer(place.offset, start, rules.max_bytes, rules.terminator) if start is not None else None

    def feed(self, chunk: bytes, now_ms: int) -> Fed:
        """The records that the bytes behind the position complete."""
        window = Window(self.position - len(self.tail), self.tail + chunk)
        self.position += len(chunk)
        self.size = max(self.size, self.position)
        self.tail = window.data[-MARK_BYTES:]
        self.moved_ms = now_ms
        return Fed(self._gather(self._cutter.feed(chunk)), window)

    def finish(self) -> Fed:
        """What is held, taken for whole: for a file to which nothing more comes, or a multi-line record that has waited."""
        records = self._gather(self._cutter.rest())
        self._join(records, self.flush())
        return Fed(records, self.window)

    def flush(self) -> Records:
        """The multi-line record that is under way, without a line that has no end yet."""
        return self._gatherer.flush() if self._gatherer else Records()

    @property
    def lasting(self) -> bool:
        """Whether the pattern means it, so that it is followed as long as it is there."""
        return self.name is not None and self.covered

    @property
    def window(self) -> Window:
        """The last bytes that were read."""
        return Window(self.position - len(self.tail), self.tail)

    @property
    def safe(self) -> int:
        """The offset before which nothing is held: reading on from there loses nothing."""
        held = self._gatherer.begin if self._gatherer else None
        return self._cutter.safe if held is None else min(held, self._cutter.safe)

    @property
    def holds_record(self) -> bool:
        """Whether a multi-line record is under way."""
        return self._gatherer is not None and self._gatherer.begin is not None

    @property
    def holds_part(self) -> bool:
        """Whether anything is held."""
        return self._cutter.holds_part or self.holds_record

    @property
    def row(self) -> Row | None:
        """What the checkpoints keep of it; nothing of a file without a name."""
        if self.name is None:
            return None
        return Row(self.name, self.key, self.modified_ms, self.size, self.delivered)

    def _gather(self, lines: Records) -> Records:
        if self._rules.footer is not None:
            lines = without(lines, self._rules.footer)
        return self._gatherer.feed(lines) if self._gatherer else lines

    @staticmethod
    def _join(records: Records, more: Records) -> None:
        records.datas += more.datas
        records.ends += more.ends
        records.truncated += more.truncated
