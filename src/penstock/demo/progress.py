"""Progress: what feeder, readers and screen tell each other, and the two ways to end.

Theory.  The threads share one `Progress`, and its lock, and nothing else.  `fed` says that no more records will be made: who reads goes
on to the end.  `halt` says that everybody stops where they are.
"""

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.demo.checker import Checker, Verdict
from penstock.demo.outbox import Stamp


@dataclass(slots=True)
class Shard:
    """What passed through one shard."""

    put_records: int = 0
    put_bytes: int = 0
    read_records: int = 0
    read_bytes: int = 0
    age_ms: int = 0  # MillisBehindLatest of the last page
    latest: bytes = b""  # one of the newest records read
    closed: bool = False  # by a reshard, and read to its end
    holder: int | None = None  # the consumer that reads it


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of things at one moment."""

    shards: dict[str, Shard] = field(default_factory=dict)
    keys: int = 0
    outstanding: int = 0  # sent, not yet read
    refused: int = 0  # entries that were put again
    waiting: str | None = None  # why something is being tried again
    failure: str | None = None  # why everything ended
    event: str | None = None  # what has happened to a consumer
    again: int = 0  # records that a successor has read again

    @property
    def total(self) -> Shard:
        """All shards as one."""
        total = Shard()
        for shard in self.shards.values():
            total.put_records += shard.put_records
            total.put_bytes += shard.put_bytes
            total.read_records += shard.read_records
            total.read_bytes += shard.read_bytes
            total.age_ms = max(total.age_ms, shard.age_ms)
        return total


class Progress:
    """The shared state; every method may be called from any thread."""

    def __init__(self) -> None:
        self.stop_feeding = threading.Event()
        self.fed = threading.Event()
        self.halt = threading.Event()
        self._lock = threading.Lock()
        self._checker = Checker()
        self._shards: dict[str, Shard] = {}
        self._refused = 0
        self._waiting: dict[str, str] = {}
        self._failure: str | None = None
        self._event: str | None = None
        self._again = 0

    def made(self, key: str) -> int:
        """Note a record made; its count."""
        with self._lock:
            return self._checker.sent(key)

    def put(self, shard_ids: Sequence[str], sizes: Sequence[int]) -> None:
        """Note entries that the stream took."""
        with self._lock:
            for shard_id, size in zip(shard_ids, sizes, strict=True):
                shard = self._shard(shard_id)
                shard.put_records += 1
                shard.put_bytes += size

    def refused(self, count: int) -> None:
        """Note entries that will be put again, and were surely not written."""
        with self._lock:
            self._refused += count

    def unanswered(self, records: Sequence[tuple[str, int]]) -> None:
        """Note records, by key and count, that will be put again although they may have been written."""
        with self._lock:
            self._refused += len(records)
            for key, count in records:
                self._checker.maybe_twice(key, count)

    def read(self, shard_id: str, stamps: Sequence[Stamp | str], size: int, age_ms: int, latest: bytes | None) -> None:
        """Note a page read: stamps in the order of the page; a text is a record that bore none, and says so."""
        with self._lock:
            shard = self._shard(shard_id)
            shard.read_records += len(stamps)
            shard.read_bytes += size
            shard.age_ms = age_ms
            shard.latest = latest or shard.latest
            for stamp in stamps:
                if isinstance(stamp, str):
                    self._checker.foreign(stamp)
                else:
                    self._checker.read(stamp.key, stamp.count)

    def closed(self, shard_id: str) -> None:
        """Note that a shard has been read to its end."""
        with self._lock:
            self._shard(shard_id).closed = True

    def held(self, shard_id: str, consumer: int) -> None:
        """Note which consumer reads a shard."""
        with self._lock:
            self._shard(shard_id).holder = consumer

    def happened(self, event: str) -> None:
        """Note what has happened to a consumer."""
        with self._lock:
            self._event = event

    def read_again(self, count: int) -> None:
        """Note records that were read before, by a consumer that was killed before it could checkpoint them."""
        with self._lock:
            self._again += count

    def waiting(self, who: str, why: str | None) -> None:
        """Note why a thread tries again, or that it need no longer."""
        with self._lock:
            if why is None:
                self._waiting.pop(who, None)
            else:
                self._waiting[who] = why

    def fail(self, text: str) -> None:
        """End everything; the first text is the one that is told."""
        with self._lock:
            self._failure = self._failure or text
        self.halt.set()

    @property
    def outstanding(self) -> int:
        """Records made and not yet read."""
        with self._lock:
            return self._checker.outstanding

    def snapshot(self) -> Snapshot:
        """How things stand."""
        with self._lock:
            shards = {shard_id: copy.copy(self._shards[shard_id]) for shard_id in sorted(self._shards)}
            return Snapshot(
                shards,
                keys=self._checker.keys,
                outstanding=self._checker.outstanding,
                refused=self._refused,
                waiting=next(iter(self._waiting.values()), None),
                failure=self._failure,
                event=self._event,
                again=self._again,
            )

    def verdict(self) -> Verdict:
        """The checker's judgement; ask once every thread has ended."""
        with self._lock:
            return self._checker.verdict()

    def _shard(self, shard_id: str) -> Shard:
        return self._shards.setdefault(shard_id, Shard())
