"""The history of a simulated world: what was asked, what was answered, what was read, and whether all of it can be true.

Theory.  Every record carries the number of its batch and its place in it, so that one record found says where its whole batch lies.  A
fact - an acknowledgement, a record read, an end seen - is never taken back, by whatever crash.  What was under way when the world ended
is open; the first reading after the restart decides it, for ever.
Rules of this file: it knows the contract of engines/api.py and nothing of any engine; `Wrong` is raised at the first contradiction.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final

from penstock.engines.api import Appended, AppendError, Bounds, Indeterminate, LogId, Page, Sealed

NEVER: Final = -1


class Wrong(AssertionError):
    """The history contradicts itself: a bug."""


def expect(truth: bool, *what: object) -> None:
    """Raise Wrong unless something holds."""
    if not truth:
        raise Wrong(" ".join(map(str, what)))


class Fate(Enum):
    """What is known of a batch."""

    OPEN = "open"  # under way, or its outcome is unknown
    WRITTEN = "written"  # acknowledged or read
    REFUSED = "refused"  # certainly not written


class Sent:
    """A batch that was given to the engine."""

    __slots__ = ("arrival_ms", "data", "fate", "first", "keys", "number")

    def __init__(self, number: int, keys: list[bytes], data: list[bytes]) -> None:
        self.number = number
        self.keys = keys
        self.data = data
        self.fate = Fate.OPEN
        self.first: int | None = None
        self.arrival_ms: int | None = None


class Life:
    """One log, from its creation to its drop."""

    def __init__(self, name: LogId) -> None:
        self.name = name
        self.sent: dict[int, Sent] = {}
        self.owners: dict[int, int] = {}  # offset: the batch that lies there
        self.arrivals: dict[int, int] = {}  # offset: when it arrived
        self.start = 0  # highest start known: acknowledged trims, starts seen
        self.trim_most = 0  # highest start that was ever asked for
        self.end = 0  # highest end known
        self.last_arrival_ms = NEVER
        self.sealed_end: int | None = None
        self.sealing = False  # a seal is under way or its outcome is unknown
        self.creating = False
        self.dropping = False
        self.dropped = False

    # Batches.

    def send(self, number: int, keys: list[bytes], data: list[bytes]) -> Sent:
        """A batch is on its way."""
        made = self.sent[number] = Sent(number, keys, data)
        return made

    def answered(self, batch: Sent, outcome: Appended | AppendError) -> None:
        """The engine has answered for a batch."""
        if isinstance(outcome, Appended):
            expect(outcome.first.incarnation == 0, "an incarnation that never was", outcome)
            self._place(batch, outcome.first.offset, outcome.arrival_ms)
            self.end = max(self.end, outcome.first.offset + len(batch.data))
            self.last_arrival_ms = max(self.last_arrival_ms, outcome.arrival_ms)
        elif isinstance(outcome, Indeterminate):
            expect(batch.fate is not Fate.WRITTEN, self.name, "batch", batch.number, "was read, then left open")
        else:
            expect(batch.fate is not Fate.WRITTEN, self.name, "batch", batch.number, "was read, then refused", outcome)
            batch.fate = Fate.REFUSED
            if isinstance(outcome, Sealed):
                self.seal_seen(outcome.end.offset)

    def saw(self, offset: int, key: bytes, data: bytes, arrival_ms: int) -> None:
        """A record was read."""
        number, index = _label(data)
        batch = self.sent.get(number)
        where = f"{self.name} offset {offset}: batch {number} record {index}"
        expect(batch is not None, where, "was never sent to this log")
        assert batch is not None
        expect(index < len(batch.data) and batch.data[index] == data, where, "has other bytes than were sent")
        expect(batch.keys[index] == key, where, "has another key than was sent")
        self._place(batch, offset - index, arrival_ms)
        self.end = max(self.end, offset + 1)
        self.last_arrival_ms = max(self.last_arrival_ms, arrival_ms)

    def _place(self, batch: Sent, first: int, arrival_ms: int) -> None:
        if batch.first is not None:
            expect(batch.first == first, self.name, "batch", batch.number, "lies at", batch.first, "and at", first)
            expect(
                batch.arrival_ms == arrival_ms,
                self.name,
                "batch",
                batch.number,
                "arrived at",
                batch.arrival_ms,
                "and at",
                arrival_ms,
            )
            return
        expect(batch.fate is not Fate.REFUSED, self.name, "batch", batch.number, "was refused, and is there at", first)
        expect(first >= 0, self.name, "batch", batch.number, "begins before the log")
        batch.fate, batch.first, batch.arrival_ms = Fate.WRITTEN, first, arrival_ms
        for offset in range(first, first + len(batch.data)):
            owner = self.owners.setdefault(offset, batch.number)
            expect(owner == batch.number, self.name, "offset", offset, "holds batches", owner, "and", batch.number)
            self.arrivals[offset] = arrival_ms
        if self.sealed_end is not None:
            expect(first + len(batch.data) <= self.sealed_end, self.name, "batch", batch.number, "lies behind the seal")
        before, after = self.arrivals.get(first - 1), self.arrivals.get(first + len(batch.data))
        expect(before is None or before <= arrival_ms, self.name, "arrivals go down at", first, before, arrival_ms)
        expect(after is None or arrival_ms <= after, self.name, "arrivals go down behind", first, arrival_ms, after)

    # The log.

    def seal_seen(self, end: int) -> None:
        """It is sealed, at `end`."""
        expect(self.sealing or self.sealed_end is not None, self.name, "is sealed, and nobody asked for it")
        expect(self.sealed_end in (None, end), self.name, "is sealed at", self.sealed_end, "and at", end)
        expect(self.end <= end, self.name, "is sealed at", end, "and has an end of", self.end)
        self.sealed_end = self.end = end

    def bounds_seen(self, bounds: Bounds, began: tuple[int, int]) -> None:
        """Bounds were read; `began` is what `now` said when the reading began."""
        self._stands(bounds.start.offset, bounds.end.offset, began)
        last = NEVER if bounds.last_arrival_ms is None else bounds.last_arrival_ms
        expect(last >= self.last_arrival_ms, self.name, "last arrival", last, "is before", self.last_arrival_ms)
        self.sealing_seen(bounds.sealed, bounds.end.offset)

    def sealing_seen(self, sealed: bool, end: int) -> None:
        """Whether it is sealed was read."""
        if sealed:
            self.seal_seen(end)
        else:
            expect(self.sealed_end is None, self.name, "was sealed and is open")

    def now(self) -> tuple[int, int]:
        """Start and end as they are known."""
        return self.start, self.end

    def _stands(self, start: int, end: int, began: tuple[int, int]) -> None:
        expect(began[0] <= start, self.name, "start", start, "went down from", began[0])
        expect(start <= self.trim_most, self.name, "start", start, "is above what was trimmed,", self.trim_most)
        expect(began[1] <= end, self.name, "end", end, "went down from", began[1])
        expect(start <= end, self.name, "start", start, "is above the end", end)
        self.start, self.end = max(self.start, start), max(self.end, end)

    def page_seen(self, page: Page, position: int, began: tuple[int, int], most: tuple[int, int]) -> None:
        """A page was read from `position`, of at most so many records and bytes."""
        first = page.first.offset
        count = len(page.data)
        what = f"{self.name} page at {position}: {first} to {page.next.offset} of {page.end.offset}"
        expect(len(page.keys) == count == len(page.arrivals_ms), what, "has columns of different lengths")
        expect(page.next.offset == first + count, what, "holds", count)
        expect(began[1] <= page.end.offset, what, "while the end was at", began[1])
        expect(count <= most[0], what, "is longer than asked", most[0])
        size = sum(map(len, page.data)) + sum(map(len, page.keys))
        expect(count <= 1 or size <= most[1], what, "is larger than asked", size, most[1])
        if position >= page.end.offset:
            expect(count == 0 and page.next == page.end == page.first, what, "behind the end is not empty")
        elif position >= self.trim_most:
            expect(first == position, what, "does not begin where it was asked to")
            expect(count > 0, what, "is empty")
        else:
            expect(first >= max(position, began[0]), what, "begins before the start", began[0])
            expect(first <= max(position, self.trim_most), what, "leaves out records up to", self.trim_most)
        for at, (key, data, arrival_ms) in enumerate(zip(page.keys, page.data, page.arrivals_ms, strict=True)):
            self.saw(first + at, key, data, arrival_ms)
        self.end = max(self.end, page.end.offset)
        if page.sealed:
            self.seal_seen(page.end.offset)

    def decided(self) -> None:
        """Everything was read after a restart: what is open and was not found is not there, and never will be."""
        for batch in self.sent.values():
            if batch.fate is Fate.OPEN:
                batch.fate = Fate.REFUSED
            elif batch.first is not None:
                end = batch.first + len(batch.data)
                expect(end <= self.end, self.name, "batch", batch.number, "ends at", end, "behind the end", self.end)
        self.trim_most = self.start
        self.sealing = False
        for offset in range(self.start, self.end):
            expect(offset in self.owners, self.name, "offset", offset, "is nobody's")


def label(number: int, index: int, filler: bytes) -> bytes:
    """A record's data."""
    return b"%d.%d|" % (number, index) + filler


def _label(data: bytes) -> tuple[int, int]:
    try:
        number, _, index = data.partition(b"|")[0].partition(b".")
        return int(number), int(index)
    except ValueError:
        raise Wrong(f"a record that nobody wrote: {data[:60]!r}") from None


class History:
    """All logs of a world."""

    def __init__(self) -> None:
        self.lives: dict[LogId, Life] = {}  # the present one of each name; absent: there is none
        self.batches = 0

    def next_batch(self) -> int:
        """A number for a batch."""
        self.batches += 1
        return self.batches

    def names(self) -> Sequence[LogId]:
        """Every log that there is, or may be."""
        return list(self.lives)
