"""Resharding: on through restarts, lost races and failing storage, and what writers meet meanwhile."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from streams_world import START_MS, TRANSITION_MS, World, active, begin, data_in, run, status_of, turns

from penstock.core.errors import ServiceError
from penstock.engines.api import Batch, LogId, MetaUnavailable, Position, Write
from penstock.engines.memory import MemoryLog, MemoryMeta
from penstock.services.streams.directory import StreamView
from penstock.services.streams.service import Streams
from penstock.services.streams.topology import check_tiling
from penstock.services.streams.writer import Written

HALF = 2**127


class FailingMeta(MemoryMeta):
    """A MetaStore that refuses its next commits of shards."""

    refusals = 0

    async def commit(self, writes: Sequence[Write]) -> None:
        if self.refusals and any("/shard/" in write.key for write in writes):
            self.refusals -= 1
            raise MetaUnavailable("full")
        await super().commit(writes)


class StuckLog(MemoryLog):
    """A log that can be told to stop in the middle of a seal."""

    stuck = False

    async def seal(self, log: LogId) -> Position:
        end = await super().seal(log)
        if self.stuck:
            await turns(10**6)
        return end


async def split(streams: Streams, view: StreamView) -> None:
    """Take a stream of one shard to two halves."""
    await streams.lifecycle.reshard(view, view.stream, [0, HALF])


async def put(streams: Streams, view: StreamView, *data: bytes) -> list[Written | ServiceError]:
    """Write records with one key."""
    return await streams.writer.write(view, [b"k"] * len(data), list(data), [0] * len(data))


def test_reshard_when_a_restart_interrupts_it_then_it_is_carried_to_its_end() -> None:
    async def scenario() -> None:
        world = World(log_type=StuckLog)
        assert isinstance(world.log, StuckLog)
        before = await world.start()
        view = await active(before)
        await put(before, view, b"1")
        world.log.stuck = True
        await split(before, view)
        await world.clock.advance(TRANSITION_MS)
        assert (await world.log.bounds(view.shards[0].log)).sealed
        assert status_of(before) == "UPDATING"
        await world.stop()
        world.log.stuck = False
        after = await world.start()
        await world.clock.advance(TRANSITION_MS)
        assert status_of(after) == "ACTIVE"
        [view] = after.directory.all()
        assert [held.shard.no for held in view.open_shards()] == [1, 2]
        assert view.stream.target == ()
        assert await world.log.names() == sorted(held.log for held in view.shards.values())
        await world.stop()

    run(scenario())


def test_write_when_its_shard_is_sealed_then_it_waits_and_goes_to_the_child() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        await put(streams, view, b"1")
        await split(streams, view)
        await world.log.seal(view.shards[0].log)
        writing = begin(put(streams, view, b"2", b"3"))
        await turns(20)
        assert not writing.done()
        await world.clock.advance(TRANSITION_MS)
        results = await writing
        assert [isinstance(result, Written) and result.shard_id[-1] for result in results] == ["1", "1"]
        assert await data_in(world.log, view.shards[0].log) == [b"1"]
        assert await data_in(world.log, view.shards[1].log) == [b"2", b"3"]
        await world.stop()

    run(scenario())


def test_write_when_the_children_cannot_open_then_it_is_refused_until_they_can() -> None:
    async def scenario() -> None:
        meta = FailingMeta()
        world = World(meta=meta)
        streams = await world.start()
        view = await active(streams)
        meta.refusals = 1
        await split(streams, view)
        await world.clock.advance(TRANSITION_MS)
        assert status_of(streams) == "UPDATING"
        [refused] = await put(streams, view, b"lost")
        assert isinstance(refused, ServiceError)
        assert refused.code == "InternalFailure"
        await world.clock.advance(2000)
        assert status_of(streams) == "ACTIVE"
        assert isinstance((await put(streams, view, b"kept"))[0], Written)
        assert await data_in(world.log, view.shards[1].log) == [b"kept"]
        await world.stop()

    run(scenario())


def test_reshard_when_a_tag_is_added_meanwhile_then_both_changes_are_there() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        await split(streams, view)
        await streams.directory.update(view, replace(view.stream, tags={"a": "b"}))
        await world.clock.advance(TRANSITION_MS)
        assert (view.stream.status, view.stream.tags) == ("ACTIVE", {"a": "b"})
        assert len(view.open_shards()) == 2
        await world.stop()

    run(scenario())


def test_reshard_when_the_clock_was_set_back_then_children_begin_after_their_parents_records() -> None:
    async def scenario() -> None:
        world = World(transition_ms=0)
        streams = await world.start()
        view = await active(streams)
        world.clock.ms = START_MS + 5000
        [written] = await put(streams, view, b"1")
        world.clock.ms = START_MS
        await split(streams, view)
        parent, *children = [held.shard for held in view.shards.values()]
        assert parent.closed_ms == START_MS + 5000
        assert all(child.created_ms == START_MS + 5000 for child in children)
        [later] = await put(streams, view, b"2")
        assert isinstance(written, Written)
        assert isinstance(later, Written)
        assert int(later.sequence_number) > int(written.sequence_number)
        await world.stop()

    run(scenario())


def test_reshard_when_many_happen_in_one_second_then_each_generation_is_of_a_later_second() -> None:
    async def scenario() -> None:
        world = World(transition_ms=0)
        streams = await world.start()
        view = await active(streams)
        for starts in ([0, HALF], [0], [0, 5, HALF], [0, HALF]):
            await streams.lifecycle.reshard(view, view.stream, starts)
            assert sorted(held.shard.hash_range.start for held in view.open_shards()) == starts
            assert check_tiling([held.shard.hash_range for held in view.open_shards()])
        for held in view.shards.values():
            for parent in (held.shard.parent_no, held.shard.adjacent_parent_no):
                assert parent is None or view.shards[parent].shard.created_s < held.shard.created_s
        await world.stop()

    run(scenario())


@pytest.mark.parametrize("transition_ms", [0, TRANSITION_MS])
def test_reshard_when_the_target_is_there_already_then_nothing_is_closed(transition_ms: int) -> None:
    async def scenario() -> None:
        world = World(transition_ms=transition_ms)
        streams = await world.start()
        view = await active(streams)
        await streams.lifecycle.reshard(view, view.stream, [0])
        await world.clock.advance(TRANSITION_MS)
        assert status_of(streams) == "ACTIVE"
        assert [held.shard.no for held in view.open_shards()] == [0]
        [outcome] = await world.log.append([Batch(view.shards[0].log, [b"k"], [b"1"])])
        assert not isinstance(outcome, Exception)
        await world.stop()

    run(scenario())
