"""The reader: pages, expiry at the read, following to the end, and how far behind a page lies."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from msgspec.structs import replace
from streams_world import START_MS, World, active, begin, close_shard, run, turns

from penstock.core.errors import ServiceError
from penstock.core.limits import HOUR_MS
from penstock.engines.api import Batch, Page, Position
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.reader import Reader, horizon_ms, millis_behind
from penstock.services.streams.service import Streams

START = Position(0, 0)
MUCH = 10**9


async def put(world: World, held: ShardView, *data: bytes) -> None:
    """Append one batch."""
    await world.log.append([Batch(held.log, [b"k"] * len(data), list(data))])


async def shard_of(streams: Streams) -> tuple[StreamView, ShardView]:
    """An active stream and its one shard."""
    view = await active(streams)
    return view, view.shards[0]


def test_scan_when_records_expire_then_each_is_gone_exactly_at_its_time() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        await world.stop()  # no retention task: the reader decides by itself
        view, held = await shard_of(streams)
        for number in range(3):
            await put(world, held, b"%d" % number)
            world.clock.ms += 1000
        for age_ms, kept in ((0, 3), (1, 2), (1000, 2), (1001, 1), (2000, 1), (2001, 0)):
            world.clock.ms = START_MS + 24 * HOUR_MS + age_ms
            page = await streams.reader.scan(view, held, START, MUCH, MUCH)
            assert len(page.data) == kept, age_ms
            assert page.next == page.end == Position(0, 3)
        assert len((await world.log.read(held.log, START, MUCH, MUCH)).data) == 3  # the engine holds them still

    run(scenario())


def test_scan_when_the_position_is_later_than_the_horizon_then_it_begins_there() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view, held = await shard_of(streams)
        await put(world, held, *(b"%d" % number for number in range(6)))
        page = await streams.reader.scan(view, held, Position(0, 2), 3, MUCH)
        assert list(page.data) == [b"2", b"3", b"4"]
        assert list((await streams.reader.scan(view, held, page.next, 3, MUCH)).data) == [b"5"]
        await world.stop()

    run(scenario())


def test_trim_horizon_when_records_expire_then_it_moves_to_the_first_that_is_left() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view, held = await shard_of(streams)
        assert await streams.reader.trim_horizon(view, held) == START
        await put(world, held, b"0", b"1")
        world.clock.ms += 5
        await put(world, held, b"2")
        found = []
        for now_ms in (START_MS, START_MS + 24 * HOUR_MS, START_MS + 24 * HOUR_MS + 1, START_MS + 25 * HOUR_MS):
            world.clock.ms = now_ms
            found.append((await streams.reader.trim_horizon(view, held)).offset)
        assert found == [0, 0, 2, 3]
        await world.stop()

    run(scenario())


def test_tip_and_find_time_when_records_lie_there_then_places_are_theirs() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view, held = await shard_of(streams)
        await put(world, held, b"0", b"1")
        world.clock.ms += 5
        await put(world, held, b"2")
        assert await streams.reader.tip(view, held) == Position(0, 3)
        places = [(await streams.reader.find_time(view, held, START_MS + after)).offset for after in (0, 1, 5, 6)]
        assert places == [0, 2, 2, 3]
        await world.stop()

    run(scenario())


async def _followed(pages: AsyncIterator[Page]) -> Page:
    return await anext(pages)


CALLS: dict[str, Callable[[Reader, StreamView, ShardView], Coroutine[Any, Any, object]]] = {
    "scan": lambda reader, view, held: reader.scan(view, held, START, 1, 1),
    "follow": lambda reader, view, held: _followed(reader.follow(view, held, START, 1, 1)),
    "trim_horizon": lambda reader, view, held: reader.trim_horizon(view, held),
    "find_time": lambda reader, view, held: reader.find_time(view, held, 0),
    "tip": lambda reader, view, held: reader.tip(view, held),
}


@pytest.mark.parametrize("name", CALLS)
def test_reader_when_the_stream_was_deleted_then_the_shard_does_not_exist(name: str) -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view, held = await shard_of(streams)
        await world.log.drop([held.log])
        with pytest.raises(ServiceError) as refused:
            await CALLS[name](streams.reader, view, held)
        assert refused.value.code == "ResourceNotFoundException"
        assert refused.value.message == (
            "Shard shardId-000000000000 in stream orders under account 123456789012 does not exist"
        )
        await world.stop()

    run(scenario())


def test_follow_when_records_come_then_each_is_given_and_the_end_of_the_shard_ends_it() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view, held = await shard_of(streams)
        await put(world, held, b"0", b"1", b"2")
        pages: list[Page] = []

        async def follow() -> None:
            async for page in streams.reader.follow(view, held, Position(0, 1), 10, MUCH):
                pages.append(page)  # noqa: PERF401 - what came until now is looked at meanwhile

        following = begin(follow())
        await turns(10)
        assert [list(page.data) for page in pages] == [[b"1", b"2"]]
        await put(world, held, b"3")
        await turns(10)
        assert [list(page.data) for page in pages] == [[b"1", b"2"], [b"3"]]
        await world.log.seal(held.log)
        await turns(10)
        assert [list(page.data) for page in pages] == [[b"1", b"2"], [b"3"]]  # its children are not open yet
        await close_shard(world, streams, view, held)
        await following
        assert [list(page.data) for page in pages] == [[b"1", b"2"], [b"3"], []]
        assert pages[-1].sealed
        assert pages[-1].next == pages[-1].end == Position(0, 4)
        await world.stop()

    run(scenario())


@pytest.mark.parametrize("first", [0, 3, 5, 99])
def test_follow_when_the_shard_is_closed_already_then_it_gives_what_is_left_and_ends(first: int) -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view, held = await shard_of(streams)
        await put(world, held, *(b"%d" % number for number in range(5)))
        await close_shard(world, streams, view, held)
        pages = [page async for page in streams.reader.follow(view, held, Position(0, first), 2, MUCH)]
        assert [data for page in pages for data in page.data] == [b"%d" % number for number in range(first, 5)]
        assert [page.next == page.end for page in pages] == [False] * (len(pages) - 1) + [True]
        await world.stop()

    run(scenario())


def test_follow_when_the_stream_is_deleted_meanwhile_then_it_raises() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view, held = await shard_of(streams)
        following = begin(_followed(streams.reader.follow(view, held, START, 1, 1)))
        await turns(10)
        await world.log.drop([held.log])
        with pytest.raises(ServiceError, match="does not exist"):
            await following
        await world.stop()

    run(scenario())


def test_follow_when_all_it_was_behind_with_has_expired_then_it_waits_for_new_records() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view, held = await shard_of(streams)
        await put(world, held, b"old")
        world.clock.ms += 25 * HOUR_MS
        following = begin(_followed(streams.reader.follow(view, held, START, 10, MUCH)))
        await turns(10)
        assert not following.done()
        await put(world, held, b"new")
        assert list((await following).data) == [b"new"]
        await world.stop()

    run(scenario())


def page_of(count: int, behind: int, arrived_ms: int = 1000) -> Page:
    """A page of records, with more behind it."""
    end = Position(0, count + behind)
    return Page(START, [b"k"] * count, [b"x"] * count, [arrived_ms] * count, Position(0, count), end, False)


# records in the page, records after it, now, milliseconds behind
BEHIND = [(1, 0, 9000, 0), (0, 0, 9000, 0), (1, 1, 9000, 8000), (2, 5, 1000, 0), (1, 1, 500, 0), (1, 1, 1001, 1)]


@pytest.mark.parametrize(("count", "behind", "now_ms", "expected"), BEHIND)
def test_millis_behind_when_records_follow_the_page_then_it_is_the_age_of_its_last(
    count: int, behind: int, now_ms: int, expected: int
) -> None:
    assert millis_behind(page_of(count, behind), now_ms) == expected


def test_millis_behind_when_records_of_a_page_differ_in_age_then_the_last_counts() -> None:
    page = page_of(3, 1)._replace(arrivals_ms=[1000, 2000, 3000])
    assert millis_behind(page, 9000) == 6000


def test_horizon_when_the_retention_period_changes_then_it_moves() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view, _ = await shard_of(streams)
        assert horizon_ms(view, START_MS) == START_MS - 24 * HOUR_MS
        await streams.directory.update(view, replace(view.stream, retention_hours=8760))
        assert horizon_ms(view, START_MS) == START_MS - 8760 * HOUR_MS
        await world.stop()

    run(scenario())
