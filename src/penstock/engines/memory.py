"""The engine in memory: the simplest that keeps every rule of api.py but durability.  It is what tests run on.

Theory.  A log is a list of chunks, each the columns of one appended batch; finding a place is a bisection over the chunks' first
offsets or arrival times.  The MetaStore is a dictionary; scans sort.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from penstock.core.ports import Clock
from penstock.engines.api import (
    Appended,
    AppendError,
    Batch,
    Bounds,
    Change,
    Conflict,
    Fan,
    LogId,
    NoSuchLog,
    Page,
    Position,
    Sealed,
    Versioned,
    Watcher,
    Write,
)
from penstock.engines.buckets import (
    PLAIN,
    Body,
    NoSuchBucket,
    NoSuchObject,
    ObjectEntry,
    ObjectHead,
    ObjectTooLarge,
    check_bucket,
    check_object,
    whole,
)
from penstock.engines.page import fit
from penstock.wire.nativeparts import Spread

_INCARNATION: Final = 0  # offsets of a memory log never begin again


class _Chunk(NamedTuple):
    """One batch as it was appended."""

    offset: int  # of its first record
    arrival_ms: int
    keys: Sequence[bytes]
    data: Sequence[bytes]
    size_bytes: int  # of all keys and data


_chunk_offset = attrgetter("offset")
_chunk_arrival = attrgetter("arrival_ms")


class _Log:
    """One log.  `start` <= `end`; chunks cover at least [start, end)."""

    __slots__ = ("chunks", "end", "grown", "last_arrival_ms", "sealed", "start", "watchers")

    def __init__(self) -> None:
        self.chunks: list[_Chunk] = []
        self.start = 0
        self.end = 0
        self.last_arrival_ms: int | None = None
        self.sealed = False
        self.grown: asyncio.Event | None = None  # made by the first who waits; set and forgotten by the next append
        self.watchers: tuple[Callable[[], None], ...] = ()

    def wake(self) -> None:
        if self.grown is not None:
            self.grown.set()
            self.grown = None
        for watcher in self.watchers:
            watcher()


class MemoryLog:
    """RecordLog in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logs: dict[LogId, _Log] = {}

    async def create(self, logs: Sequence[LogId]) -> None:
        """Begin empty logs."""
        for log in logs:
            self._logs.setdefault(log, _Log())

    async def drop(self, logs: Sequence[LogId]) -> None:
        """Forget logs."""
        for log in logs:
            found = self._logs.pop(log, None)
            if found is not None:
                found.wake()

    async def names(self) -> Sequence[LogId]:
        """Every log that exists."""
        return sorted(self._logs)

    async def append(self, batches: Sequence[Batch]) -> Sequence[Appended | AppendError]:
        """Append each batch to its log."""
        now_ms = self._clock.now_ms()
        return [self._append(batch, now_ms) for batch in batches]

    async def scatter(self, fan: Fan, spread: Spread) -> None:
        """There is no shorter way."""

    def _append(self, batch: Batch, now_ms: int) -> Appended | AppendError:
        assert len(batch.keys) == len(batch.data) > 0
        log = self._logs.get(batch.log)
        if log is None:
            return NoSuchLog(batch.log)
        if log.sealed:
            return Sealed(Position(_INCARNATION, log.end))
        arrival_ms = max(now_ms, log.last_arrival_ms or 0)
        first = Position(_INCARNATION, log.end)
        size_bytes = sum(map(len, batch.keys)) + sum(map(len, batch.data))
        log.chunks.append(_Chunk(log.end, arrival_ms, batch.keys, batch.data, size_bytes))
        log.end += len(batch.data)
        log.last_arrival_ms = arrival_ms
        log.wake()
        return Appended(first, arrival_ms)

    async def read(self, log: LogId, position: Position, max_records: int, max_bytes: int) -> Page:
        """Records from a position on."""
        found = self._find(log)
        first = offset = _clamp(found, position)
        keys: list[bytes] = []
        data: list[bytes] = []
        arrivals: list[int] = []
        left_bytes = max_bytes
        for index in range(max(0, bisect_right(found.chunks, offset, key=_chunk_offset) - 1), len(found.chunks)):
            chunk = found.chunks[index]
            skip = offset - chunk.offset
            taken, used = _fit(chunk, skip, max_records - len(data), left_bytes, empty=not data)
            left_bytes -= used
            keys.extend(chunk.keys[skip : skip + taken])
            data.extend(chunk.data[skip : skip + taken])
            arrivals.extend([chunk.arrival_ms] * taken)
            offset += taken
            if skip + taken < len(chunk.data):
                break
        return Page(
            Position(_INCARNATION, first), keys, data, arrivals,
            Position(_INCARNATION, offset), Position(_INCARNATION, found.end), found.sealed,
        )  # fmt: skip

    async def find_time(self, log: LogId, at_ms: int) -> Position:
        """The first record that arrived at or after a moment."""
        found = self._find(log)
        index = bisect_left(found.chunks, at_ms, key=_chunk_arrival)
        offset = found.chunks[index].offset if index < len(found.chunks) else found.end
        return Position(_INCARNATION, max(offset, found.start))

    async def bounds(self, log: LogId) -> Bounds:
        """What the log holds."""
        found = self._find(log)
        return Bounds(
            Position(_INCARNATION, found.start), Position(_INCARNATION, found.end), found.last_arrival_ms, found.sealed
        )

    async def size_bytes(self, log: LogId) -> int:
        """What its keys and data take."""
        return sum(chunk.size_bytes for chunk in self._find(log).chunks)

    async def seal(self, log: LogId) -> Position:
        """End the log."""
        found = self._find(log)
        found.sealed = True
        found.wake()
        return Position(_INCARNATION, found.end)

    async def trim(self, log: LogId, before: Position) -> None:
        """Forget the records before a position; chunks that still hold a later record stay whole."""
        found = self._find(log)
        found.start = _clamp(found, before)
        gone = bisect_right(found.chunks, found.start, key=_chunk_offset) - 1
        if gone >= 0 and found.start == found.end:
            gone += 1
        del found.chunks[: max(gone, 0)]

    async def wait(self, log: LogId, position: Position) -> None:
        """Return when there is something at or after a position, or never will be."""
        found = self._find(log)
        while not found.sealed and found.end <= _clamp(found, position):
            if found.grown is None:
                found.grown = asyncio.Event()
            await found.grown.wait()
            if self._logs.get(log) is not found:  # dropped, and perhaps begun again
                raise NoSuchLog(log)

    def watch(self, log: LogId, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have `watcher` called when the log has grown, was sealed or dropped."""
        found = self._find(log)
        found.watchers += (watcher,)

        def stop() -> None:
            found.watchers = tuple(each for each in found.watchers if each is not watcher)

        return stop

    def _find(self, log: LogId) -> _Log:
        found = self._logs.get(log)
        if found is None:
            raise NoSuchLog(log)
        return found


def _clamp(log: _Log, position: Position) -> int:
    if position.incarnation != _INCARNATION:
        return log.start if position.incarnation < _INCARNATION else log.end
    return min(max(position.offset, log.start), log.end)


def _fit(chunk: _Chunk, skip: int, most: int, left_bytes: int, *, empty: bool) -> tuple[int, int]:
    """How many records of a chunk, after `skip`, still fit, and their bytes.  The first of an empty page always fits."""
    count = len(chunk.data)
    if skip == 0 and count <= most and chunk.size_bytes <= left_bytes:
        return count, chunk.size_bytes
    return fit(chunk.keys, chunk.data, skip, most, left_bytes, empty=empty)


class MemoryMeta:
    """MetaStore in memory."""

    def __init__(self) -> None:
        self._values: dict[str, Versioned] = {}
        self._watchers: list[tuple[str, Watcher]] = []
        self._version = 0

    async def get(self, key: str) -> Versioned | None:
        """A key's value."""
        return self._values.get(key)

    async def scan(self, prefix: str) -> Sequence[tuple[str, Versioned]]:
        """Every key with a prefix, in order."""
        return sorted((key, value) for key, value in self._values.items() if key.startswith(prefix))

    async def page(
        self, start: str, end: str, limit: int, *, backwards: bool = False
    ) -> Sequence[tuple[str, Versioned]]:
        """The first or last keys of a range."""
        found = sorted((key for key in self._values if start <= key < end), reverse=backwards)
        return [(key, self._values[key]) for key in found[:limit]]

    async def commit(self, writes: Sequence[Write]) -> None:
        """Apply all writes or none."""
        for write in writes:
            held = self._values.get(write.key)
            if (held.version if held is not None else 0) != write.expected:
                raise Conflict(write.key)
        self._version += 1
        changes = [self._apply(write) for write in writes]
        for prefix, watcher in list(self._watchers):
            seen = [change for change in changes if change.key.startswith(prefix)]
            if seen:
                watcher(seen)

    def _apply(self, write: Write) -> Change:
        if write.value is None:
            self._values.pop(write.key, None)
            return Change(write.key, None)
        # Versions are drawn from one counter, so that a key deleted and written again never repeats one.
        self._values[write.key] = Versioned(write.value, self._version)
        return Change(write.key, self._values[write.key])

    def watch(self, prefix: str, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` with each commit's changes under a prefix."""
        entry = (prefix, watcher)
        self._watchers.append(entry)
        return lambda: self._watchers.remove(entry)


class MemoryBuckets:
    """Buckets in memory, each made when it is first written to; what was put is found in `objects`."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, tuple[bytes, ObjectHead]]] = {}

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        """Store or replace an object."""
        check_object(bucket, key)
        self.objects.setdefault(bucket, {})[key] = (whole(body), head)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """An object's bytes."""
        check_object(bucket, key)
        if bucket not in self.objects:
            raise NoSuchBucket(bucket)
        if key not in self.objects[bucket]:
            raise NoSuchObject(f"{bucket}/{key}")
        body, _ = self.objects[bucket][key]
        if len(body) > max_bytes:
            raise ObjectTooLarge(f"{bucket}/{key} has {len(body):,} bytes; more than {max_bytes:,}")
        return body

    async def list(self, bucket: str, prefix: str) -> AsyncIterator[ObjectEntry]:
        """The objects under a prefix, in order."""
        check_bucket(bucket)
        if bucket not in self.objects:
            raise NoSuchBucket(bucket)
        for key, (body, _) in sorted(self.objects[bucket].items()):
            if key.startswith(prefix):
                yield ObjectEntry(key, len(body))

    async def close(self) -> None:
        """Nothing is under way."""
