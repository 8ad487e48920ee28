"""The events of one stream: written into chunks, and read from any place in both directions.

Theory.  A batch is cut at the borders of the chunks that cover its times.  Each part is merged into its chunk, which is split where it has
become too large: so chunks never overlap, whatever order events come in.  Most batches come last and touch one chunk.
Rules of this file:
  1. The chunks and the stream's record change in one commit: after a crash an event is there, with its number, or not.
  2. Of a batch whose events lie in many chunks at most CHUNKS_AT_ONCE are written in one commit, in order.
  3. Memory: a batch, the chunks of one commit, or one page of chunks.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final
from weakref import WeakValueDictionary

from msgspec.structs import replace

from penstock.core.ids import Millis
from penstock.core.log_errors import LogError
from penstock.engines.api import KEY_END, Conflict, MetaStore, Versioned, Write
from penstock.services.logs.state import (
    CHUNK_BYTES,
    EVENTS,
    Event,
    LogStream,
    Place,
    chunk_key,
    decode_chunk,
    decode_stream,
    encode,
)

CHUNKS_AT_ONCE: Final = 32
CHUNKS_READ: Final = 4
TRIES: Final = 5
SEQUENCE_MAX: Final = 10**15 - 1

Told = tuple[int, str]  # an event as it comes: its time and message


class Events:
    """The events of every stream."""

    def __init__(self, meta: MetaStore) -> None:
        self._meta = meta
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def append(self, key: str, told: Sequence[Told], now_ms: Millis) -> None:
        """Write events, in the order of their times, to the stream whose record is under `key`.  Raises NO_STREAM."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            while told:
                told = await self._append_some(key, told, now_ms)

    async def _append_some(self, key: str, told: Sequence[Told], now_ms: Millis) -> Sequence[Told]:
        """Write the first events of a batch in one commit; answer the others."""
        for _ in range(TRIES):
            held = await self._meta.get(key)
            if held is None:
                raise LogError.NO_STREAM()
            stream = decode_stream(held.value)
            writes, rest = await self._placed(stream, told, now_ms)
            grown = _grown(stream, told[: len(told) - len(rest)], now_ms)
            try:
                await self._meta.commit([*writes, Write(key, encode(grown), held.version)])
            except Conflict:  # another process writes, or the stream is being deleted
                continue
            return rest
        raise LogError.GROUP_CHANGED()

    async def _placed(
        self, stream: LogStream, told: Sequence[Told], now_ms: Millis
    ) -> tuple[list[Write], Sequence[Told]]:
        """The writes of chunks for the first events, and the events that they leave."""
        writes: list[Write] = []
        sequence, rest = stream.next_sequence, told
        while rest and len(writes) < CHUNKS_AT_ONCE:
            held, border_ms = await self._covering(stream.uid, rest[0][0])
            count = next((number for number, (at_ms, _) in enumerate(rest) if at_ms >= border_ms), len(rest))
            new = [Event(at_ms, sequence + number, now_ms, text) for number, (at_ms, text) in enumerate(rest[:count])]
            writes += _merged(stream.uid, held, new)
            sequence, rest = sequence + count, rest[count:]
        return writes, rest

    async def _covering(self, uid: str, at_ms: int) -> tuple[tuple[str, Versioned] | None, int]:
        """The chunk that events of a moment belong into, and the moment from which on they belong into the next."""
        first, end = f"{EVENTS}{uid}/", f"{EVENTS}{uid}/{KEY_END}"
        behind = chunk_key(uid, Place(at_ms, SEQUENCE_MAX))
        found = await self._meta.page(first, behind, 1, backwards=True)
        following = await self._meta.page(behind, end, 1)
        return found[0] if found else None, _moment(following[0][0]) if following else 1 << 62

    # Reading

    async def forward(self, stream: LogStream, start: Place) -> AsyncIterator[Event]:
        """The events from a place on, in order."""
        uid = stream.uid
        covering = await self._meta.page(f"{EVENTS}{uid}/", chunk_key(uid, start) + "\0", 1, backwards=True)
        at = covering[0][0] if covering else chunk_key(uid, start)
        while rows := await self._meta.page(at, f"{EVENTS}{uid}/{KEY_END}", CHUNKS_READ):
            for _, held in rows:
                for event in decode_chunk(held.value):
                    if event.place >= start:
                        yield event
            at = rows[-1][0] + "\0"

    async def backward(self, stream: LogStream, end: Place) -> AsyncIterator[Event]:
        """The events before a place, the last first."""
        uid, at = stream.uid, chunk_key(stream.uid, end)
        while rows := await self._meta.page(f"{EVENTS}{uid}/", at, CHUNKS_READ, backwards=True):
            for _, held in rows:
                for event in reversed(decode_chunk(held.value)):
                    if event.place < end:
                        yield event
            at = rows[-1][0]

    # Expiry

    async def expire(self, stream: LogStream, horizon_ms: int) -> None:
        """Delete the chunks all of whose events are older than a moment."""
        if stream.first_ms is None or stream.first_ms >= horizon_ms:
            return
        async with self._locks.setdefault(stream.key, asyncio.Lock()):
            while await self._expire_some(stream.key, horizon_ms):
                pass

    async def _expire_some(self, key: str, horizon_ms: int) -> bool:
        """Delete some; whether there may be more."""
        held = await self._meta.get(key)
        if held is None:
            return False
        stream = decode_stream(held.value)
        first, end = f"{EVENTS}{stream.uid}/", f"{EVENTS}{stream.uid}/{KEY_END}"
        rows = await self._meta.page(first, end, CHUNKS_AT_ONCE + 1)
        chunks = [(row, decode_chunk(row[1].value)) for row in rows]
        dead = [(row, chunk) for row, chunk in chunks[:CHUNKS_AT_ONCE] if chunk[-1].at_ms < horizon_ms]
        left = chunks[len(dead)][1][0].at_ms if len(dead) < len(chunks) else None
        freed = sum(event.size_bytes for _, chunk in dead for event in chunk)
        changed = replace(stream, first_ms=left, stored_bytes=stream.stored_bytes - freed)
        if not dead:
            return False
        writes = [Write(row[0], None, row[1].version) for row, _ in dead]
        try:
            await self._meta.commit([*writes, Write(key, encode(changed), held.version)])
        except Conflict:
            return False  # the next time
        return len(dead) == CHUNKS_AT_ONCE


def _merged(uid: str, held: tuple[str, Versioned] | None, new: list[Event]) -> list[Write]:
    """The writes that put events into a chunk: it keeps its key, and what does not fit becomes chunks of their own."""
    old = decode_chunk(held[1].value) if held is not None else []
    if old and (sum(event.size_bytes for event in old) >= CHUNK_BYTES) and new[0].place > old[-1].place:
        held, old = None, []  # it is full, and nothing belongs into it
    pieces = _cut(sorted([*old, *new], key=_order))
    writes = [] if held is None else [Write(held[0], encode(pieces.pop(0)), held[1].version)]
    return [*writes, *(Write(chunk_key(uid, piece[0].place), encode(piece), 0) for piece in pieces)]


def _cut(events: list[Event]) -> list[list[Event]]:
    """Events in pieces of CHUNK_BYTES, or of a single larger one."""
    pieces: list[list[Event]] = [[]]
    size_bytes = 0
    for event in events:
        if pieces[-1] and size_bytes + event.size_bytes > CHUNK_BYTES:
            pieces.append([])
            size_bytes = 0
        pieces[-1].append(event)
        size_bytes += event.size_bytes
    return pieces


def _order(event: Event) -> Place:
    return event.place


def _moment(key: str) -> int:
    """The time that a chunk's key names."""
    return int(key.rpartition("/")[2].partition("-")[0])


def _grown(stream: LogStream, told: Sequence[Told], now_ms: Millis) -> LogStream:
    """A stream's record with more events."""
    first, last = told[0][0], told[-1][0]
    return replace(
        stream,
        first_ms=Millis(first if stream.first_ms is None else min(first, stream.first_ms)),
        last_ms=Millis(last if stream.last_ms is None else max(last, stream.last_ms)),
        ingested_ms=now_ms,
        next_sequence=stream.next_sequence + len(told),
        stored_bytes=stream.stored_bytes + sum(Event(0, 0, 0, text).size_bytes for _, text in told),
    )
