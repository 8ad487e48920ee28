"""Retention: expired records give their space back, and never return."""

from msgspec.structs import replace
from streams_world import CALLER, TRANSITION_MS, World, active, data_in, run, turns

from penstock.core.limits import HOUR_MS
from penstock.engines.api import Batch, LogId, Position, Write
from penstock.services.streams.ops.setting import (
    RetentionRequest,
    decrease_stream_retention_period,
    increase_stream_retention_period,
)
from penstock.services.streams.retention import SWEEP_MS
from penstock.services.streams.state import encode


async def put(world: World, log: LogId, data: bytes) -> None:
    """Append one record."""
    await world.log.append([Batch(log, [b"k"], [data])])


def test_trim_when_records_have_expired_then_the_engine_forgets_exactly_those() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=2)
        logs = [held.log for held in view.shards.values()]
        await put(world, logs[0], b"old")
        world.clock.ms += 1
        for log in logs:
            await put(world, log, b"new")
        world.clock.ms += 24 * HOUR_MS
        await streams.retention.trim(view)
        assert [await data_in(world.log, log) for log in logs] == [[b"new"], [b"new"]]
        world.clock.ms += 1
        await streams.retention.trim(view)
        assert [await data_in(world.log, log) for log in logs] == [[], []]
        assert (await world.log.bounds(logs[0])).start == Position(0, 2)
        await world.stop()

    run(scenario())


def test_run_when_a_sweep_is_due_then_every_stream_is_trimmed_by_its_own_period() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        day = (await active(streams, "day")).shards[0].log
        two = (await active(streams, "two", retention_hours=48)).shards[0].log
        for log in (day, two):
            await put(world, log, b"x")
        world.clock.ms += 24 * HOUR_MS + 1
        await world.clock.advance(SWEEP_MS)
        assert (await data_in(world.log, day), await data_in(world.log, two)) == ([], [b"x"])
        world.clock.ms += 24 * HOUR_MS
        await world.clock.advance(SWEEP_MS)
        assert await data_in(world.log, two) == []
        await world.stop()

    run(scenario())


def test_run_when_a_stream_is_deleted_under_it_then_the_sweep_goes_on_with_the_others() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        gone = (await active(streams, "a")).shards[0].log
        kept = (await active(streams, "b")).shards[0].log
        await put(world, kept, b"x")
        await world.log.drop([gone])
        world.clock.ms += 25 * HOUR_MS
        await world.clock.advance(2 * SWEEP_MS)
        assert await data_in(world.log, kept) == []
        await world.stop()

    run(scenario())


def test_increase_when_records_have_expired_then_they_do_not_come_back() -> None:
    """No sweep has come by yet: the operation itself must see to it."""

    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        held = view.shards[0]
        await put(world, held.log, b"expired")
        world.clock.ms += 2 * HOUR_MS
        await put(world, held.log, b"kept")
        world.clock.ms += 23 * HOUR_MS
        request = RetentionRequest(stream_name="orders", retention_period_hours=48)
        await increase_stream_retention_period(streams, CALLER, request)
        await turns(1)
        assert view.stream.retention_hours == 48
        page = await streams.reader.scan(view, held, Position(0, 0), 10, 10**6)
        assert list(page.data) == [b"kept"]
        world.clock.ms += 24 * HOUR_MS
        assert list((await streams.reader.scan(view, held, Position(0, 0), 10, 10**6)).data) == [b"kept"]
        await world.stop()

    run(scenario())


def test_decrease_when_over_then_older_records_are_unreadable_at_once() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, retention_hours=48)
        held = view.shards[0]
        await put(world, held.log, b"x")
        world.clock.ms += 24 * HOUR_MS + 1
        assert len((await streams.reader.scan(view, held, Position(0, 0), 10, 10**6)).data) == 1
        request = RetentionRequest(stream_name="orders", retention_period_hours=24)
        await decrease_stream_retention_period(streams, CALLER, request)
        assert len((await streams.reader.scan(view, held, Position(0, 0), 10, 10**6)).data) == 0
        await world.clock.advance(TRANSITION_MS)
        assert (view.stream.status, view.stream.retention_hours) == ("ACTIVE", 24)
        await world.stop()

    run(scenario())


def test_decrease_and_increase_when_records_expired_between_then_they_do_not_come_back() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, retention_hours=48)
        held = view.shards[0]
        await put(world, held.log, b"x")
        world.clock.ms += 24 * HOUR_MS + 1
        for hours, change in ((24, decrease_stream_retention_period), (48, increase_stream_retention_period)):
            await change(streams, CALLER, RetentionRequest(stream_name="orders", retention_period_hours=hours))
            await world.clock.advance(TRANSITION_MS)
        assert view.stream.retention_hours == 48
        assert list((await streams.reader.scan(view, held, Position(0, 0), 10, 10**6)).data) == []
        await world.stop()

    run(scenario())


def test_trim_when_the_last_record_of_a_closed_shard_expires_then_the_shard_vanishes() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=2)
        held = view.shards[0]
        await put(world, held.log, b"last")
        closed = replace(held.shard, closed_ms=world.clock.now_ms())
        await world.meta.commit([Write(closed.key, encode(closed), held.version)])
        world.clock.ms += 24 * HOUR_MS
        await streams.retention.trim(view)
        assert list(view.shards) == [0, 1]
        world.clock.ms += 1
        await streams.retention.trim(view)
        assert list(view.shards) == [1]
        assert await world.log.names() == [view.shards[1].log]
        await world.stop()

    run(scenario())
