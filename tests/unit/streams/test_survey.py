"""The survey: what it tells of streams, and of the shards of one."""

import pytest
from streams_world import CALLER, START_MS, World, active, begin, run, turns

from penstock.core.ids import Millis
from penstock.core.limits import KIB, MINUTE_MS
from penstock.engines.api import Position
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.record import (
    GetRecordsRequest,
    GetShardIteratorRequest,
    get_records,
    get_shard_iterator,
)
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Consumer
from penstock.services.streams.survey import ShardSurvey, StreamDetail, StreamSurvey, survey
from penstock.services.streams.topology import HASH_KEY_MAX
from penstock.services.streams.traffic import SHARDS_A_TURN


async def put(streams: Streams, view: StreamView, count: int, at: int = 0) -> None:
    """Write records of 1 KiB to one hash key."""
    await streams.writer.write(view, [b"k"] * count, [bytes(KIB - 1)] * count, [at] * count)


async def read(streams: Streams, name: str, limit: int) -> None:
    """Read a page from the first shard's beginning."""
    issued = await get_shard_iterator(
        streams,
        CALLER,
        GetShardIteratorRequest(stream_name=name, shard_id="0", shard_iterator_type="TRIM_HORIZON"),
    )
    await get_records(streams, CALLER, GetRecordsRequest(shard_iterator=issued.shard_iterator, limit=limit))


def test_survey_when_no_stream_is_named_then_each_is_told_of_without_its_shards() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        await active(streams, "idle", shards=3, retention_hours=48)
        view = await active(streams, "busy", shards=2, mode="ON_DEMAND")
        await put(streams, view, 100)
        await put(streams, view, 50, HASH_KEY_MAX)
        await world.clock.advance(2000)
        await read(streams, "busy", 20)
        await world.clock.advance(1000)
        page = await survey(streams, 10, None)
        assert (page.now_ms, page.window_s) == (START_MS + 3000, 10)
        busy, idle = page.streams
        assert type(busy) is StreamSurvey
        assert (busy.name, busy.account, busy.region, busy.status) == ("busy", CALLER.account, CALLER.region, "ACTIVE")
        assert (busy.mode, busy.open_shards, busy.consumers, busy.retention_hours) == ("ON_DEMAND", 2, 0, 24)
        assert (busy.in_records_per_s, busy.in_bytes_per_s) == (15, 15 * KIB)
        assert (busy.out_records_per_s, busy.out_bytes_per_s) == (2, 2 * KIB)
        assert busy.iterator_age_ms == 2000
        assert (idle.mode, idle.open_shards, idle.retention_hours) == ("PROVISIONED", 3, 48)
        assert (idle.in_records_per_s, idle.iterator_age_ms, idle.peak_in_bytes_per_s_30d) == (0, None, 0)
        await world.stop()

    run(scenario())


def test_survey_when_a_stream_is_named_then_its_shards_are_told_of_too() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        await active(streams, "other")
        view = await active(streams, shards=2)
        await world.clock.advance(MINUTE_MS - world.clock.ms % MINUTE_MS)
        await put(streams, view, 512, HASH_KEY_MAX)
        await world.clock.advance(1000)
        [told] = (await survey(streams, 1, "orders")).streams
        assert isinstance(told, StreamDetail)
        first, second = told.shards
        assert first == ShardSurvey(
            shard_id="shardId-000000000000",
            open=True,
            hash_start="0",
            hash_end=str(2**127 - 1),
            parent=None,
            adjacent_parent=None,
            created_ms=START_MS,
            closed_ms=None,
            records=0,
            bytes=0,
            heat=0,
            iterator_age_ms=None,
            **dict.fromkeys(
                [
                    "in_bytes_per_s", "in_records_per_s", "out_bytes_per_s", "out_records_per_s",
                    "refused_writes_per_s", "refused_reads_per_s",
                ], 0,
            ),
        )  # fmt: skip
        assert (second.records, second.bytes, second.in_records_per_s, second.heat) == (512, 512 * KIB, 512, 0.512)
        assert (told.minutes, told.days) == ([], [])
        await world.clock.advance(MINUTE_MS)
        [told] = (await survey(streams, 1, "orders")).streams
        assert isinstance(told, StreamDetail)
        assert [(minute.in_records_per_s, minute.begin_ms % MINUTE_MS) for minute in told.minutes] == [(8.533, 0)]
        assert [day.in_records_per_s for day in told.days] == [9]
        assert told.peak_in_bytes_per_s_30d == told.days[0].in_bytes_per_s
        await world.stop()

    run(scenario())


def test_survey_when_shards_were_resharded_then_it_tells_who_came_from_whom() -> None:
    async def scenario() -> None:
        world = World(transition_ms=0)
        streams = await world.start()
        view = await active(streams, shards=2)
        await put(streams, view, 3)
        await streams.lifecycle.reshard(view, view.stream, [0])
        [told] = (await survey(streams, 10, "orders")).streams
        assert isinstance(told, StreamDetail)
        assert [(one.shard_id[-1], one.open, one.parent, one.adjacent_parent, one.records) for one in told.shards] == [
            ("0", False, None, None, 3),
            ("1", False, None, None, 0),
            ("2", True, "shardId-000000000000", "shardId-000000000001", 0),
        ]
        assert told.shards[0].closed_ms is not None
        assert told.open_shards == 1
        await world.stop()

    run(scenario())


def test_survey_when_shards_refuse_then_refusals_are_told() -> None:
    async def scenario() -> None:
        world = World(enforce_limits=True)
        streams = await world.start()
        view = await active(streams)
        await put(streams, view, 500)
        await put(streams, view, 500)
        await put(streams, view, 100)
        streams.traffic.refused_read(view.shards[0], Millis(world.clock.ms))
        await world.clock.advance(1000)
        [told] = (await survey(streams, 1, None)).streams
        assert (told.in_records_per_s, told.refused_writes_per_s, told.refused_reads_per_s) == (1000, 100, 1)
        await world.stop()

    run(scenario())


def test_survey_when_nobody_has_that_name_then_no_stream_is_told_of() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        await active(streams)
        assert list((await survey(streams, 10, "order")).streams) == []
        await world.stop()

    run(scenario())


def test_survey_when_records_are_pushed_to_a_consumer_then_they_count_as_read() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        consumer = Consumer(uid=view.stream.uid, name="c", created_ms=Millis(START_MS), status="ACTIVE")
        await streams.directory.register(consumer)
        await put(streams, view, 3)
        pushed = await streams.subscriptions.open(view, view.shards[0], consumer, Position(0, 0))
        await pushed.__anext__()
        await world.clock.advance(1000)
        [told] = (await survey(streams, 1, None)).streams
        assert (told.out_records_per_s, told.out_bytes_per_s) == (3, 3 * KIB)
        assert (told.consumers, told.iterator_age_ms) == (1, 0)
        await world.stop()

    run(scenario())


@pytest.mark.parametrize("name", [None, "orders"])
def test_survey_when_shards_are_many_then_others_run_meanwhile(name: str | None) -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=3 * SHARDS_A_TURN)
        for held in view.shards.values():
            streams.traffic.wrote(held, 10, 100, world.clock.now_ms())
        world.clock.ms += 1000
        looking = begin(survey(streams, 1, name))
        for _ in range(3):
            assert not looking.done()
            await turns(1)
        found = (await looking).streams[0]
        assert found.in_records_per_s == 10 * 3 * SHARDS_A_TURN
        await world.stop()

    run(scenario())
