"""Events of log streams against a sorted list, whatever order they come in, and however small chunks, pages and looks are."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.ids import Millis
from penstock.engines.api import KEY_END, Write
from penstock.engines.memory import MemoryMeta
from penstock.services.logs import events as events_module
from penstock.services.logs import search as search_module
from penstock.services.logs.events import Events
from penstock.services.logs.search import Cursor, read_cursor, search, write_cursor
from penstock.services.logs.state import EVENTS, LogStream, Place, decode_chunk, decode_stream, encode

TIMES = st.integers(0, 40)
BATCHES = st.lists(st.lists(TIMES, min_size=1, max_size=12).map(sorted), max_size=8)


def small(chunk_bytes: int, read_bytes: int = 16 << 20) -> Callable[..., Any]:
    """Run a test with these bounds."""

    def wrap(test: Callable[[], Any]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(events_module, "CHUNK_BYTES", chunk_bytes)
            patch.setattr(events_module, "CHUNKS_AT_ONCE", 2)
            patch.setattr(search_module, "READ_MAX_BYTES", read_bytes)
            asyncio.run(test())

    return wrap


async def made(meta: MemoryMeta, name: str, number: int) -> LogStream:
    stream = LogStream(group_uid="g", name=name, uid=f"{number:016x}", created_ms=Millis(0))
    await meta.commit([Write(stream.key, encode(stream), 0)])
    return stream


async def filled(
    meta: MemoryMeta, events: Events, stream: LogStream, batches: list[list[int]]
) -> list[tuple[Place, str]]:
    """Append batches; what the stream must hold, in order."""
    expected = []
    sequence = 0
    for batch in batches:
        told = [(at_ms, f"{sequence + place}") for place, at_ms in enumerate(batch)]
        expected += [(Place(at_ms, int(text)), text) for at_ms, text in told]
        sequence += len(batch)
        await events.append(stream.key, told, Millis(99))
    return sorted(expected)


@given(BATCHES, st.tuples(TIMES, st.integers(0, 60)).map(lambda pair: Place(*pair)), st.integers(30, 200))
def test_events_when_read_from_any_place_then_they_are_those_of_a_sorted_list(
    batches: list[list[int]], place: Place, chunk_bytes: int
) -> None:
    @small(chunk_bytes)
    async def _() -> None:
        meta = MemoryMeta()
        events = Events(meta)
        stream = await made(meta, "s", 1)
        expected = await filled(meta, events, stream, batches)
        assert [(event.place, event.message) async for event in events.forward(stream, place)] == [
            each for each in expected if each[0] >= place
        ]
        assert [(event.place, event.message) async for event in events.backward(stream, place)] == [
            each for each in reversed(expected) if each[0] < place
        ]
        held = await meta.get(stream.key)
        assert held is not None
        record = decode_stream(held.value)
        assert record.next_sequence == len(expected)
        assert (record.first_ms, record.last_ms) == (
            (expected[0][0].at_ms, expected[-1][0].at_ms) if expected else (None, None)
        )
        chunks = [decode_chunk(held.value) for _, held in await meta.page(EVENTS, EVENTS + KEY_END, 1000)]
        assert all(sum(event.size_bytes for event in chunk) <= chunk_bytes or len(chunk) == 1 for chunk in chunks)
        assert sum(event.size_bytes for chunk in chunks for event in chunk) == record.stored_bytes


@given(BATCHES, TIMES)
def test_events_when_they_expire_then_only_whole_chunks_of_old_ones_go(
    batches: list[list[int]], horizon_ms: int
) -> None:
    @small(60)
    async def _() -> None:
        meta = MemoryMeta()
        events = Events(meta)
        stream = await made(meta, "s", 1)
        expected = await filled(meta, events, stream, batches)
        held = await meta.get(stream.key)
        assert held is not None
        await events.expire(decode_stream(held.value), horizon_ms)
        left = [(event.place, event.message) async for event in events.forward(stream, Place(0, 0))]
        assert left == expected[len(expected) - len(left) :]
        assert [each for each in expected if each[0].at_ms >= horizon_ms] == [
            each for each in left if each[0].at_ms >= horizon_ms
        ]
        held = await meta.get(stream.key)
        assert held is not None
        assert decode_stream(held.value).first_ms == (left[0][0].at_ms if left else None)


@given(
    st.lists(BATCHES, min_size=1, max_size=4),
    st.integers(1, 7),
    st.integers(60, 600),
    st.integers(0, 30),
    st.integers(1, 60),
)
def test_search_when_paged_through_then_each_match_comes_once_in_order(
    streams: list[list[list[int]]], limit: int, read_bytes: int, start_ms: int, end_ms: int
) -> None:
    @small(80, read_bytes)
    async def _() -> None:
        meta = MemoryMeta()
        events = Events(meta)
        names = [f"s{number}" for number in range(len(streams))]
        expected = []
        for number, (name, batches) in enumerate(zip(names, streams, strict=True)):
            for place, text in await filled(meta, events, await made(meta, name, number), batches):
                if start_ms <= place.at_ms < end_ms and "3" not in text:
                    expected.append((place.at_ms, name, place.sequence))

        async def all_streams() -> AsyncIterator[LogStream]:
            for _, held in await meta.scan("logs/stream/"):
                yield decode_stream(held.value)

        found = []
        cursor: Cursor | None = Cursor(start_ms)
        for _ in range(500):
            assert cursor is not None
            result = await search(events, all_streams, cursor, end_ms, lambda message: "3" not in message, limit)
            assert len(result.found) <= limit
            found += [(each.event.at_ms, each.stream.name, each.event.sequence) for each in result.found]
            if result.next is None:
                break
            assert result.next > cursor
            cursor = read_cursor(write_cursor(result.next))
        assert found == sorted(expected)
