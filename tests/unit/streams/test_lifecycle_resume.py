"""Lifecycle: on from wherever a restart found a stream."""

import logging

import pytest
from msgspec.structs import replace
from streams_world import TRANSITION_MS, SlowMeta, World, active, run, status_of, turns

from penstock.engines.api import Batch, LogId, NoSuchLog, Position
from penstock.engines.memory import MemoryLog


@pytest.mark.parametrize("status", ["CREATING", "UPDATING"])
def test_resume_when_a_restart_finds_a_stream_between_states_then_it_becomes_active(status: str) -> None:
    async def scenario() -> None:
        world = World()
        before = await world.start()
        view = await active(before)
        await before.directory.update(view, replace(view.stream, status=status))
        await world.stop()
        await world.clock.advance(10 * TRANSITION_MS)
        after = await world.start()
        assert status_of(after) == status
        await world.clock.advance(TRANSITION_MS)
        assert status_of(after) == "ACTIVE"
        await world.stop()

    run(scenario())


def test_resume_when_a_restart_finds_a_stream_deleting_then_it_and_its_records_go() -> None:
    async def scenario() -> None:
        world = World()
        before = await world.start()
        view = await active(before, "gone")
        await active(before, "kept")
        await before.lifecycle.delete(view)
        await world.stop()
        after = await world.start()
        assert status_of(after, "gone") == "DELETING"
        await world.clock.advance(TRANSITION_MS)
        assert (status_of(after, "gone"), status_of(after, "kept")) == (None, "ACTIVE")
        with pytest.raises(NoSuchLog):
            await world.log.bounds(view.shards[0].log)
        await world.stop()

    run(scenario())


def test_resume_when_logs_were_dropped_but_the_stream_was_not_then_the_rest_goes_too() -> None:
    async def scenario() -> None:
        world = World()
        before = await world.start()
        view = await active(before)
        await before.lifecycle.delete(view)
        await world.stop()
        await world.log.drop([view.shards[0].log])
        after = await world.start()
        await world.clock.advance(TRANSITION_MS)
        assert status_of(after) is None
        await world.stop()

    run(scenario())


class _StuckLog(MemoryLog):
    """A log that the machine loses power in the middle of a drop of."""

    stuck = True

    async def drop(self, logs: object) -> None:
        if self.stuck:
            await turns(10**6)
        await super().drop(logs)  # type: ignore[arg-type]


def test_resume_when_it_stopped_between_dropping_logs_and_forgetting_the_stream_then_no_log_is_left_behind() -> None:
    async def scenario() -> None:
        world = World(log_type=_StuckLog)
        log, clock = world.log, world.clock
        assert isinstance(log, _StuckLog)
        before = await world.start()
        view = await active(before)
        await log.append([Batch(view.shards[0].log, [b"k"], [b"x"])])
        await before.lifecycle.delete(view)
        await clock.advance(TRANSITION_MS)
        await world.stop()
        log.stuck = False
        await world.start()
        await clock.advance(10 * TRANSITION_MS)
        with pytest.raises(NoSuchLog):
            await log.read(view.shards[0].log, Position(0, 0), 1, 1)
        await world.stop()

    run(scenario())


def test_resume_when_two_processes_find_the_same_streams_then_both_finish(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        world = World(meta=SlowMeta())
        before = await world.start()
        await active(before, "begun", status="CREATING")
        await active(before, "changed", status="UPDATING")
        await active(before, "gone", status="DELETING")
        await world.stop()
        both = [(await world.start(), world.tasks) for _ in range(2)]
        await world.clock.advance(TRANSITION_MS)
        await turns(1000)
        for streams, tasks in both:
            found = [status_of(streams, name) for name in ("begun", "changed", "gone")]
            assert found == ["ACTIVE", "ACTIVE", None]
            await tasks.stop()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert caplog.records == []


def test_resume_when_a_log_with_records_has_no_owner_then_it_is_kept_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only lost metadata leaves one; dropping it would make the loss whole."""

    async def scenario() -> None:
        world = World()
        lost, empty = LogId("lost/0"), LogId("empty/0")
        await world.log.create([lost, empty])
        await world.log.append([Batch(lost, [b"k"], [b"data"])])
        await world.start()
        assert (await world.log.bounds(lost)).end == Position(0, 1)
        with pytest.raises(NoSuchLog):
            await world.log.bounds(empty)
        await world.stop()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert "lost/0" in caplog.text
