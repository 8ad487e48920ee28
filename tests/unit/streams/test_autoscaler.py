"""The autoscaler: from traffic to shards, minute by minute, and what it leaves alone."""

import itertools
import logging
from typing import Any

import pytest
from msgspec.structs import replace
from streams_world import TRANSITION_MS, World, active, begin, run, status_of, turns

from penstock.core.limits import DAY_MS, HOUR_MS, KIB, MINUTE_MS
from penstock.engines.memory import MemoryMeta
from penstock.services.streams.directory import StreamView
from penstock.services.streams.peaks import TRAFFIC_ROOT
from penstock.services.streams.service import Streams
from penstock.services.streams.topology import HASH_KEY_MAX, check_tiling
from penstock.services.streams.traffic import SHARDS_A_TURN
from penstock.services.streams.writer import Written

LOW = "penstock:autoscale-min"
HIGH = "penstock:autoscale-max"
DATA = bytes(64 * KIB - 1)  # with a key of one byte, 64 KiB


class CountingMeta(MemoryMeta):
    """A MetaStore that counts its commits."""

    commits = 0

    async def commit(self, writes: Any) -> None:
        self.commits += 1
        await super().commit(writes)


async def load(
    world: World, streams: Streams, view: StreamView, kib_per_s: int, minutes: int = 1, at: int | None = None
) -> None:
    """Write for whole minutes, a batch of large records every 10 seconds, to one hash key or evenly over all."""
    count = kib_per_s * 10 // 64
    places = [HASH_KEY_MAX // count * number for number in range(count)] if at is None else [at] * count
    for _ in range(minutes * 6):
        results = await streams.writer.write(view, [b"k"] * count, [DATA] * count, places)
        assert all(isinstance(result, Written) for result in results)
        await world.clock.advance(10_000)


async def to_next_minute(world: World) -> None:
    """Let the clock come to the beginning of a minute."""
    await world.clock.advance(MINUTE_MS - world.clock.ms % MINUTE_MS)


async def restarted(world: World, days: int) -> Streams:
    """The service after days of standing still."""
    await world.stop()
    world.clock._sleepers.clear()  # of those who were stopped
    world.clock.ms += days * DAY_MS
    return await world.start()


def tiles(view: StreamView) -> bool:
    return check_tiling([held.shard.hash_range for held in view.open_shards()])


def test_run_when_one_shard_is_overloaded_for_a_minute_then_it_is_cut_within_the_next() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, mode="ON_DEMAND", shards=4)
        await to_next_minute(world)
        await load(world, streams, view, 800, at=5)
        await world.clock.advance(TRANSITION_MS)
        assert status_of(streams) == "ACTIVE"
        assert view.shards[0].shard.closed_ms is not None
        children = [held.shard for held in view.open_shards() if held.shard.parent_no == 0]
        assert [int(child.hash_start) for child in children] == [0, 2**125]
        assert len(view.open_shards()) == 5
        assert tiles(view)
        await world.stop()

    run(scenario())


def test_run_when_load_needs_more_room_then_it_is_there_for_double_and_nothing_changes_while_the_load_stays() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, mode="ON_DEMAND", shards=4)
        await to_next_minute(world)
        await load(world, streams, view, 3000, minutes=2)
        await world.clock.advance(TRANSITION_MS)
        assert len(view.open_shards()) == 6
        assert tiles(view)
        before = dict(view.shards)
        await load(world, streams, view, 3000, minutes=5)
        assert view.shards.keys() == before.keys()
        await world.stop()

    run(scenario())


def test_run_when_it_is_quiet_for_days_then_what_one_hot_hour_cut_is_merged_back_to_four() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, mode="ON_DEMAND", shards=4)
        await to_next_minute(world)
        await load(world, streams, view, 900, at=5)
        await world.clock.advance(71 * HOUR_MS)
        assert len(view.open_shards()) == 5
        await world.clock.advance(2 * HOUR_MS)
        assert len(view.open_shards()) == 4
        assert tiles(view)
        await world.stop()

    run(scenario())


def test_run_when_a_peak_is_in_its_window_then_its_room_outlasts_a_restart() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, mode="ON_DEMAND", shards=4)
        await to_next_minute(world)
        await load(world, streams, view, 3000, minutes=2)
        await world.clock.advance(MINUTE_MS)
        for days, shards in ((29, 6), (2, 4)):  # from the peak on
            streams = await restarted(world, days)
            await world.clock.advance(2 * HOUR_MS)
            [view] = streams.directory.all()
            assert len(view.open_shards()) == shards
        await world.stop()

    run(scenario())


def test_run_when_it_restarts_then_nothing_is_merged_before_an_hour_has_shown_that_it_is_quiet() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, mode="ON_DEMAND", shards=8)
        streams = await restarted(world, 10)
        [view] = streams.directory.all()
        await world.clock.advance(59 * MINUTE_MS)
        assert len(view.open_shards()) == 8
        await world.clock.advance(3 * MINUTE_MS)
        assert len(view.open_shards()) == 4
        await world.stop()

    run(scenario())


@pytest.mark.parametrize("stream", [{}, {"tags": {LOW: "2"}}, {"tags": {HIGH: "20"}}])
def test_run_when_a_provisioned_stream_has_no_policy_then_it_is_left_alone(stream: dict[str, Any]) -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=1, **stream)
        await load(world, streams, view, 2000, minutes=3)
        await world.clock.advance(2 * MINUTE_MS)
        assert len(view.shards) == 1
        await world.stop()

    run(scenario())


def test_run_when_a_provisioned_stream_has_a_policy_then_it_is_kept_between_its_bounds() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=1, tags={LOW: "2", HIGH: "5"})
        await world.clock.advance(MINUTE_MS + TRANSITION_MS)
        assert len(view.open_shards()) == 2
        await to_next_minute(world)
        await load(world, streams, view, 4000, minutes=6)
        assert len(view.open_shards()) == 5
        await world.stop()

    run(scenario())


def test_run_when_tags_mean_no_policy_then_it_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, tags={LOW: "2", HIGH: "many"})
        await world.clock.advance(5 * MINUTE_MS)
        assert [entry.getMessage() for entry in caplog.records] == [
            "stream orders is not scaled: penstock:autoscale-max 'many' is not a whole number"
        ]
        await streams.directory.replace(view, replace(view.stream, tags={LOW: "2", HIGH: "few"}))
        await world.clock.advance(2 * MINUTE_MS)
        assert len(caplog.records) == 2
        assert len(view.shards) == 1
        await world.stop()

    with caplog.at_level(logging.WARNING):
        run(scenario())


def test_run_when_a_stream_is_busy_with_another_change_then_it_is_scaled_after_it() -> None:
    async def scenario() -> None:
        world = World(transition_ms=3 * MINUTE_MS)
        streams = await world.start()
        view = await active(streams, shards=1, tags={LOW: "2", HIGH: "5"})
        await streams.lifecycle.change(view, replace(view.stream, retention_hours=48))
        await world.clock.advance(2 * MINUTE_MS + 30_000)
        assert (status_of(streams), view.stream.target) == ("UPDATING", ())
        await world.clock.advance(2 * MINUTE_MS)
        assert len(view.stream.target) == 2
        await world.clock.advance(3 * MINUTE_MS)
        assert (status_of(streams), len(view.open_shards())) == ("ACTIVE", 2)
        assert view.stream.retention_hours == 48
        await world.stop()

    run(scenario())


def test_look_when_the_account_is_full_then_a_stream_grows_only_into_what_is_left() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        await active(streams, "other", shards=14)
        view = await active(streams, shards=1, tags={LOW: "6", HIGH: "9"})
        streams.autoscaler._account_shards = 17
        await world.clock.advance(5 * MINUTE_MS)
        assert len(view.open_shards()) == 3
        assert tiles(view)
        await world.stop()

    run(scenario())


def test_run_when_nothing_happens_then_nothing_is_written_or_remembered() -> None:
    async def scenario() -> None:
        meta = CountingMeta()
        world = World(meta=meta)
        streams = await world.start()
        for name, mode in itertools.product("ab", ("PROVISIONED", "ON_DEMAND")):
            await active(streams, name + mode[0].lower(), shards=4, mode=mode)
        before = meta.commits
        await world.clock.advance(3 * HOUR_MS)
        assert meta.commits == before
        assert streams.traffic.by_stream() == {}
        await world.stop()

    run(scenario())


def test_run_when_traffic_ends_or_its_stream_is_deleted_then_it_is_forgotten() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        kept, gone = await active(streams, "kept"), await active(streams, "gone")
        for view in (kept, gone):
            await load(world, streams, view, 10)
        await world.clock.advance(2 * MINUTE_MS)
        assert len(await world.meta.scan(TRAFFIC_ROOT)) == 2
        await streams.lifecycle.delete(gone)
        await world.clock.advance(2 * MINUTE_MS)
        assert [key for key, _ in await world.meta.scan(TRAFFIC_ROOT)] == [TRAFFIC_ROOT + kept.stream.uid]
        assert list(streams.traffic.by_stream()) == [kept.stream.uid]
        await world.clock.advance(62 * MINUTE_MS)
        assert streams.traffic.by_stream() == {}
        assert streams.peaks.peak(kept.stream.uid, world.clock.ms).in_records > 0
        await world.stop()

    run(scenario())


@pytest.mark.parametrize("turn", range(7))
def test_look_when_a_stream_of_many_shards_changes_at_any_turn_of_it_then_the_change_stays(turn: int) -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, mode="ON_DEMAND", shards=2 * SHARDS_A_TURN)
        for held in view.shards.values():
            streams.traffic.wrote(held, 100_000, 100, world.clock.now_ms())
        world.clock.ms += MINUTE_MS
        looking = begin(streams.autoscaler.look())
        await turns(turn)
        assert not looking.done(), "others run meanwhile"
        await streams.directory.replace(view, replace(view.stream, tags={"a": "b"}))
        await looking
        assert view.stream.tags == {"a": "b"}
        world.clock.ms += MINUTE_MS
        await streams.autoscaler.look()
        assert status_of(streams) == "UPDATING", "the next minute decides anew"
        assert view.stream.tags == {"a": "b"}
        await world.stop()

    run(scenario())


def test_run_when_the_store_is_away_then_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    from penstock.engines.api import MetaUnavailable

    class Away(MemoryMeta):
        away = False

        async def commit(self, writes: Any) -> None:
            if self.away:
                raise MetaUnavailable("the disk is full")
            await super().commit(writes)

    async def scenario() -> None:
        meta = Away()
        world = World(meta=meta)
        streams = await world.start()
        view = await active(streams, shards=4, mode="ON_DEMAND")
        meta.away = True
        await load(world, streams, view, 3000, minutes=3)
        assert len(view.open_shards()) == 4
        meta.away = False
        await world.clock.advance(2 * MINUTE_MS)
        assert len(view.open_shards()) == 6
        assert len(await meta.scan(TRAFFIC_ROOT)) == 1
        await world.stop()

    run(scenario())
    assert "peaks of traffic are not stored for now: the disk is full" in caplog.text
