"""Subscriptions: pushed from the commit, one read for all who have caught up, nothing lost and nothing repeated."""

import pytest
from fan_out_world import Shard, continued, data, on_shard
from streams_world import begin, turns

from penstock.core import limits
from penstock.engines.api import LogId, Page, Position
from penstock.engines.memory import MemoryLog
from penstock.services.streams.hub import SHELF_MAX_BYTES


class CountingLog(MemoryLog):
    """A RecordLog that counts what is read of it."""

    reads = 0

    async def read(self, log: LogId, position: Position, max_records: int, max_bytes: int) -> Page:
        self.reads += 1
        return await super().read(log, position, max_records, max_bytes)


def test_next_when_a_record_is_committed_then_it_is_pushed_without_the_clock_moving() -> None:
    async def scenario(shard: Shard) -> None:
        subscription = await shard.subscribe()
        waiting = begin(subscription.__anext__())
        await turns(5)
        assert not waiting.done()
        await shard.put(b"a", b"b")
        await turns(5)
        assert data(waiting.result()) == [b"a", b"b"]

    on_shard(scenario)


def test_next_when_twenty_have_caught_up_then_one_read_feeds_them_all_and_the_event_is_one() -> None:
    async def scenario(shard: Shard) -> None:
        log = shard.world.log
        assert isinstance(log, CountingLog)
        everyone = [await shard.subscribe(f"c{number}") for number in range(20)]
        await turns(5)
        before = log.reads
        for turn in (1, 2):
            waiting = [begin(each.__anext__()) for each in everyone]
            await turns(5)
            await shard.put(b"a")
            await turns(5)
            [first] = waiting[0].result()
            assert all(task.result()[0] is first for task in waiting)
            assert log.reads <= before + 2 * turn  # the record, and then that there are no more

    on_shard(scenario, log_type=CountingLog)


def test_next_when_it_starts_behind_then_it_scans_up_to_the_tip_and_is_pushed_from_there() -> None:
    async def scenario(shard: Shard) -> None:
        await shard.put(b"a")
        subscription = await shard.subscribe(position=Position(0, 0))
        assert data(await subscription.__anext__()) == [b"a"]
        waiting = begin(subscription.__anext__())
        await turns(5)
        await shard.put(b"b")
        assert data(await waiting) == [b"b"]

    on_shard(scenario)


def test_next_when_it_is_slow_then_it_gets_all_in_order_and_holds_nothing_meanwhile() -> None:
    big = bytes(limits.MIB - 10)
    count = 12

    async def scenario(shard: Shard) -> None:
        slow, quick = await shard.subscribe("slow"), await shard.subscribe("quick")
        for number in range(count):
            await shard.put(bytes([number]) + big)
            assert data(await quick.__anext__()) == [bytes([number]) + big]
        assert shard.streams.subscriptions._hubs[shard.held.log]._shelf_bytes <= SHELF_MAX_BYTES
        found = [blob[0] for _ in range(count) for blob in data(await slow.__anext__())]
        assert found == list(range(count))

    on_shard(scenario)


def test_next_when_many_small_events_wait_then_they_are_taken_together() -> None:
    async def scenario(shard: Shard) -> None:
        subscription = await shard.subscribe()
        for number in range(50):
            await shard.put(bytes([number]))
            await turns(3)
        events = await subscription.__anext__()
        assert len(events) == 50
        assert data(events) == [bytes([number]) for number in range(50)]
        await shard.put(b"next")
        assert data(await subscription.__anext__()) == [b"next"]

    on_shard(scenario)


def test_shelf_when_all_have_taken_then_it_is_empty_again() -> None:
    async def scenario(shard: Shard) -> None:
        first, second = await shard.subscribe("a"), await shard.subscribe("b")
        await shard.put(bytes(1000))
        await first.__anext__()
        await second.__anext__()
        hub = first.hub
        await shard.world.clock.advance(1000)
        assert (hub._shelf, hub._shelf_bytes) == ({}, 0)

    on_shard(scenario)


def test_heartbeat_when_nothing_is_written_then_it_comes_after_five_seconds_and_again() -> None:
    async def scenario(shard: Shard) -> None:
        subscription = await shard.subscribe()
        waiting = begin(subscription.__anext__())
        await shard.world.clock.advance(4000)
        assert not waiting.done()
        for _ in range(2):
            await shard.world.clock.advance(5000)
            [beat] = await waiting
            assert (list(beat.value.page.data), beat.value.millis_behind_latest) == ([], 0)
            waiting = begin(subscription.__anext__())
        waiting.cancel()

    on_shard(scenario)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_continuation_when_only_a_heartbeat_was_told_then_nothing_is_lost_or_repeated(before: int, after: bool) -> None:
    async def scenario(shard: Shard) -> None:
        await shard.put(*[b"old"] * before) if before else None
        subscription = await shard.subscribe()
        waiting = begin(subscription.__anext__())
        await shard.world.clock.advance(6000)
        [beat] = await waiting
        await subscription.aclose()
        await shard.put(b"between")
        again = await shard.subscribe(position=continued(beat.value, after=after))
        assert data(await again.__anext__()) == [b"between"]

    on_shard(scenario)


@pytest.mark.parametrize("after", [False, True])
def test_continuation_when_records_were_told_then_the_next_are_the_others(after: bool) -> None:
    async def scenario(shard: Shard) -> None:
        subscription = await shard.subscribe()
        await shard.put(b"a", b"b")
        [event] = await subscription.__anext__()
        await shard.put(b"c")
        await shard.world.clock.advance(limits.TAKEOVER_MS)
        again = await shard.subscribe(position=continued(event.value, after=after))
        assert data(await again.__anext__()) == [b"c"]

    on_shard(scenario)


def test_next_when_records_have_expired_then_they_are_passed_over() -> None:
    async def scenario(shard: Shard) -> None:
        await shard.put(b"old")
        await shard.world.clock.advance(limits.RETENTION_MIN_HOURS * limits.HOUR_MS + 1)
        await shard.put(b"new")
        subscription = await shard.subscribe(position=Position(0, 0))
        assert data(await subscription.__anext__()) == [b"new"]

    on_shard(scenario)


def test_pace_when_limits_are_enforced_then_two_mebibytes_a_second_are_given_and_no_error() -> None:
    async def scenario(shard: Shard) -> None:
        subscription = await shard.subscribe()
        for _ in range(6):
            await shard.put(bytes(limits.MIB - 1))
        taken = 0

        async def take_all() -> None:
            nonlocal taken
            while True:
                taken += sum(map(len, data(await subscription.__anext__())))

        taking = begin(take_all())
        await turns(30)
        assert taken <= 3 * limits.MIB  # the bucket, and what goes into debt
        first = taken
        await shard.world.clock.advance(1000)
        assert first < taken <= first + 3 * limits.MIB
        await shard.world.clock.advance(2000)
        assert taken == 6 * (limits.MIB - 1)
        taking.cancel()

    on_shard(scenario, enforce_limits=True)


def test_push_when_a_record_is_there_then_the_follower_and_who_waits_have_it_in_one_turn() -> None:
    """Woken by the follower it would come a turn later, behind the answers of all puts of the commit."""

    async def scenario(shard: Shard) -> None:
        subscription = await shard.subscribe()
        events = begin(subscription.__anext__())
        await turns(5)
        await shard.put(b"a")
        await turns(1)
        assert events.done()
        assert data(await events) == [b"a"]

    on_shard(scenario)
