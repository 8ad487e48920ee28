"""Lifecycle: from state to state as the clock advances, whatever else is changed meanwhile."""

import logging

import pytest
from msgspec.structs import replace
from streams_world import (
    CALLER,
    TRANSITION_MS,
    SlowLog,
    SlowMeta,
    World,
    active,
    begin,
    data_in,
    make_shards,
    make_stream,
    run,
    status_of,
    turns,
)

from penstock.core.errors import ServiceError
from penstock.engines.api import Batch, LogId, NoSuchLog
from penstock.services.streams.ops.setting import RetentionRequest, increase_stream_retention_period
from penstock.services.streams.ops.tag import AddTagsRequest, add_tags_to_stream
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Stream


async def create(streams: Streams, stream: Stream | None = None, shards: int = 2) -> None:
    """Begin a stream."""
    stream = stream or make_stream(status="CREATING")
    await streams.lifecycle.create(stream, make_shards(stream, shards))


def test_create_when_the_transition_is_over_then_the_stream_is_active_and_not_before() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        await create(streams)
        assert status_of(streams) == "CREATING"
        await world.clock.advance(TRANSITION_MS - 1)
        assert status_of(streams) == "CREATING"
        await world.clock.advance(1)
        assert status_of(streams) == "ACTIVE"
        await world.clock.advance(10 * TRANSITION_MS)
        assert status_of(streams) == "ACTIVE"
        await world.stop()

    run(scenario())


def test_create_when_the_transition_takes_no_time_then_creating_is_seen_by_others_and_not_by_who_created() -> None:
    async def scenario() -> None:
        world = World(transition_ms=0)
        streams = await world.start()
        seen: list[str | None] = []
        stop = world.meta.watch("streams/stream/", lambda _: seen.append(status_of(streams)))
        await create(streams)
        stop()
        assert seen == ["CREATING", "ACTIVE"]
        assert status_of(streams) == "ACTIVE"
        await world.stop()

    run(scenario())


def test_create_when_the_name_is_taken_then_its_logs_are_dropped_and_the_others_kept() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        await create(streams, make_stream(uid="u1", status="CREATING"))
        with pytest.raises(ServiceError, match="already exists"):
            await create(streams, make_stream(uid="u2", status="CREATING"))
        await world.log.bounds(LogId("u1/0"))
        for number in range(2):
            with pytest.raises(NoSuchLog):
                await world.log.bounds(LogId(f"u2/{number}"))
        await world.stop()

    run(scenario())


def test_delete_when_the_transition_is_over_then_stream_and_records_are_gone() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=2)
        log = view.shards[1].log
        await world.log.append([Batch(log, [b"k"], [b"x"])])
        await streams.lifecycle.delete(view)
        await world.clock.advance(TRANSITION_MS - 1)
        assert status_of(streams) == "DELETING"
        assert await data_in(world.log, log) == [b"x"]
        await world.clock.advance(1)
        assert status_of(streams) is None
        assert [key for key, _ in await world.meta.scan("streams/s") if "secret" not in key] == []
        for held in view.shards.values():
            with pytest.raises(NoSuchLog):
                await world.log.bounds(held.log)
        await world.stop()

    run(scenario())


def test_delete_when_over_then_the_name_is_free_again() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        await streams.lifecycle.delete(await active(streams))
        with pytest.raises(ServiceError, match="already exists"):
            await create(streams, make_stream(uid="u2", status="CREATING"))
        await world.clock.advance(TRANSITION_MS)
        await create(streams, make_stream(uid="u2", status="CREATING"))
        await world.clock.advance(TRANSITION_MS)
        assert status_of(streams) == "ACTIVE"
        await world.stop()

    run(scenario())


def test_change_when_the_transition_is_over_then_the_stream_is_active_with_the_change() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        await streams.lifecycle.change(view, replace(view.stream, max_record_kib=2048))
        assert (status_of(streams), view.stream.max_record_kib) == ("UPDATING", 2048)
        await world.clock.advance(TRANSITION_MS)
        assert (status_of(streams), view.stream.max_record_kib) == ("ACTIVE", 2048)
        await world.stop()

    run(scenario())


def test_change_when_tags_are_added_meanwhile_then_both_are_kept() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        await streams.lifecycle.change(view, replace(view.stream, max_record_kib=2048))
        await add_tags_to_stream(streams, CALLER, AddTagsRequest(stream_name="orders", tags={"k": "v"}))
        await world.clock.advance(TRANSITION_MS)
        assert (view.stream.status, view.stream.max_record_kib, view.stream.tags) == ("ACTIVE", 2048, {"k": "v"})
        await world.stop()

    run(scenario())


def test_change_when_a_tag_is_added_as_the_transition_ends_then_the_stream_still_becomes_active(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whichever of the two commits comes second, the stream must not stay in UPDATING for ever."""

    async def scenario() -> None:
        world = World(meta=SlowMeta())
        streams = await world.start()
        view = await active(streams)
        await streams.lifecycle.change(view, replace(view.stream, max_record_kib=2048))
        await world.clock.advance(TRANSITION_MS - 1)
        tagging = begin(add_tags_to_stream(streams, CALLER, AddTagsRequest(stream_name="orders", tags={"k": "v"})))
        await turns(1)
        await world.clock.advance(1)
        await tagging
        await turns(500)
        await world.clock.advance(10 * TRANSITION_MS)
        assert view.stream.status == "ACTIVE"
        await world.stop()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert caplog.records == []


def test_delete_when_a_tag_is_added_as_the_transition_ends_then_the_stream_still_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        world = World(meta=SlowMeta())
        streams = await world.start()
        view = await active(streams)
        await streams.lifecycle.delete(view)
        await world.clock.advance(TRANSITION_MS - 1)
        tagging = begin(add_tags_to_stream(streams, CALLER, AddTagsRequest(stream_name="orders", tags={"k": "v"})))
        await turns(1)
        await world.clock.advance(1)
        await tagging
        await turns(500)
        await world.clock.advance(10 * TRANSITION_MS)
        assert status_of(streams) is None
        await world.stop()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert caplog.records == []


def test_increase_retention_when_the_stream_is_deleted_meanwhile_then_it_is_refused() -> None:
    """The stream was ACTIVE when it was looked at, but is DELETING by the time of the commit."""

    async def scenario() -> None:
        world = World(log_type=SlowLog)
        streams = await world.start()
        view = await active(streams)
        request = RetentionRequest(stream_name="orders", retention_period_hours=48)
        increasing = begin(increase_stream_retention_period(streams, CALLER, request))
        await turns(1)
        await streams.lifecycle.delete(view)
        with pytest.raises(ServiceError) as refused:
            await increasing
        assert refused.value.code == "ResourceInUseException"
        assert status_of(streams) == "DELETING"
        await world.stop()

    run(scenario())
