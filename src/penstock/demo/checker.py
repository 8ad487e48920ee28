"""The checker: whether every record sent was read, once, and in order within its key.

Theory.  The records of a key are counted 1, 2, 3 ... as they are made, and each carries its key and count.  Of a key the checker keeps
two numbers, the last count sent and the next count to be read, so its memory grows with keys and not with records.  A count above the
next leaves a gap.  A count from a gap is a record out of order, any other count below the next a record read twice, and what is still
in a gap at the end is lost.
Rules of this file:
  1. Pure, and not safe for threads: the caller takes turns.
  2. A verdict is good only if every count of every key was met in turn; a bound on memory may blur what went wrong, never that it did.
"""

from dataclasses import dataclass
from typing import Final

GAP_MAX_RECORDS: Final = 10_000  # counts remembered as skipped; one beyond that which comes late passes for read twice


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the records."""

    keys: int
    sent: int
    lost: int  # sent, never read
    doubled: int  # readings beyond the first of a record
    reordered: int  # read after a later record of their key
    foreign: int  # read, but never sent
    repeated: int  # read twice, and rightly so: their put was answered by a broken connection, and they were sent again
    first: str | None  # the first thing that was wrong

    @property
    def good(self) -> bool:
        """Whether every record was read once and in order, and there was one."""
        return self.first is None and self.sent > 0

    def __str__(self) -> str:
        if self.good:
            again = f" ({self.repeated:,} twice after a broken connection, as may be)" if self.repeated else ""
            return f"{self.sent:,} records of {self.keys:,} keys read back once each{again} and in order"
        if self.first is None:
            return "not one record was sent"
        wrongs = [
            f"{count:,} {what}"
            for count, what in (
                (self.lost, "lost"),
                (self.doubled, "read twice"),
                (self.reordered, "out of order"),
                (self.foreign, "never sent"),
            )
            if count
        ]
        return f"of {self.sent:,} records of {self.keys:,} keys: {', '.join(wrongs)}; first, {self.first}"


class Checker:
    """Compares what is read with what was sent, record by record."""

    def __init__(self) -> None:
        self._sent: dict[str, int] = {}  # last count sent, by key
        self._next: dict[str, int] = {}  # next count to be read, by key
        self._gaps: set[tuple[str, int]] = set()
        self._maybe_twice: set[tuple[str, int]] = set()
        self._sent_total = 0
        self._distinct = 0
        self._doubled = self._reordered = self._foreign = self._repeated = 0
        self._first: str | None = None

    @property
    def outstanding(self) -> int:
        """Records sent and not yet read."""
        return self._sent_total - self._distinct

    @property
    def keys(self) -> int:
        """Keys seen so far."""
        return len(self._sent)

    def sent(self, key: str) -> int:
        """Note one more record of a key; its count, which it must carry."""
        count = self._sent[key] = self._sent.get(key, 0) + 1
        self._sent_total += 1
        return count

    def maybe_twice(self, key: str, count: int) -> None:
        """Allow one record to be read a second time: nobody knows whether its put succeeded, so it is sent again."""
        self._maybe_twice.add((key, count))

    def read(self, key: str, count: int) -> None:
        """Note one record read, in the order in which its shard gave it."""
        if not 1 <= count <= self._sent.get(key, 0):
            self._foreign += 1
            self._blame(f"a record {count:,} of {key} that was never sent")
            return
        expected = self._next.get(key, 1)
        if count >= expected:
            self._next[key] = count + 1
            self._distinct += 1
            if count > expected:
                self._skip(key, expected, count)
        elif (key, count) in self._gaps:
            self._gaps.remove((key, count))
            self._reordered += 1
            self._distinct += 1
        elif (key, count) in self._maybe_twice:
            self._maybe_twice.remove((key, count))
            self._repeated += 1
        else:
            self._doubled += 1
            self._blame(f"record {count:,} of {key} again after record {expected - 1:,}")

    def foreign(self, what: str) -> None:
        """Note a record that is none of ours."""
        self._foreign += 1
        self._blame(what)

    def verdict(self) -> Verdict:
        """The judgement, once nothing more will be read."""
        unread = ((key, self._next.get(key, 1)) for key, last in self._sent.items() if self._next.get(key, 1) <= last)
        for key, count in unread:
            self._blame(f"no record of {key} from {count:,} on")
            break
        assert (self.outstanding == 0 and not self._gaps) or self._first is not None
        return Verdict(
            keys=len(self._sent),
            sent=self._sent_total,
            lost=self.outstanding,
            doubled=self._doubled,
            reordered=self._reordered,
            foreign=self._foreign,
            repeated=self._repeated,
            first=self._first,
        )

    def _skip(self, key: str, expected: int, count: int) -> None:
        self._blame(f"record {count:,} of {key} where {expected:,} was due")
        room = GAP_MAX_RECORDS - len(self._gaps)
        self._gaps.update((key, skipped) for skipped in range(expected, min(count, expected + room)))

    def _blame(self, what: str) -> None:
        if self._first is None:
            self._first = what
