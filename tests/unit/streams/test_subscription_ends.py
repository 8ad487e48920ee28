"""Subscriptions: who may begin one, and every way to end."""

import asyncio

import pytest
from fan_out_world import Shard, data, on_shard
from msgspec.structs import replace
from streams_world import begin, turns

from penstock.core import limits
from penstock.core.errors import ServiceError
from penstock.engines.api import LogId, Position
from penstock.engines.memory import MemoryLog
from penstock.services.streams.subscription import Subscription


async def ending(subscription: Subscription) -> ServiceError | None:
    """How it ends: with an error, or (None) in good order."""
    try:
        while True:
            await subscription.__anext__()
    except StopAsyncIteration:
        return None
    except ServiceError as error:
        return error


def test_end_when_five_minutes_are_over_then_it_is_in_good_order() -> None:
    async def scenario(shard: Shard) -> None:
        end = begin(ending(await shard.subscribe()))
        await shard.world.clock.advance(limits.SUBSCRIPTION_MS - 1000)
        assert not end.done()
        await shard.world.clock.advance(2000)
        assert await end is None

    on_shard(scenario)


def test_open_when_another_is_less_than_five_seconds_old_then_it_is_refused_even_if_that_was_closed() -> None:
    async def scenario(shard: Shard) -> None:
        first = await shard.subscribe()
        await shard.world.clock.advance(limits.TAKEOVER_MS - 1)
        for _ in range(2):
            with pytest.raises(ServiceError, match="ResourceInUseException: Another active subscription exists"):
                await shard.subscribe()
            await first.aclose()

    on_shard(scenario)


def test_open_when_another_is_five_seconds_old_then_it_takes_over_and_the_old_one_is_told() -> None:
    async def scenario(shard: Shard) -> None:
        end = begin(ending(await shard.subscribe()))
        other = await shard.subscribe("other")
        await shard.world.clock.advance(limits.TAKEOVER_MS)
        second = await shard.subscribe()
        error = await end
        assert error is not None
        assert error.code == "ResourceInUseException"
        await shard.put(b"a")
        assert data(await second.__anext__()) == [b"a"]
        assert data(await other.__anext__())[-1:] in ([], [b"a"])

    on_shard(scenario)


def test_end_when_its_consumer_is_deregistered_then_it_is_told_that_there_is_none() -> None:
    async def scenario(shard: Shard) -> None:
        end = begin(ending(await shard.subscribe()))
        other = begin(ending(await shard.subscribe("other")))
        await turns(5)
        await shard.streams.registration.deregister(shard.view, await shard.consumer())
        assert shard.view.consumers["c"].consumer.status == "DELETING"
        shard.streams.subscriptions.sweep()
        error = await end
        assert error is not None
        assert error.code == "ResourceNotFoundException"
        assert not other.done()
        other.cancel()

    on_shard(scenario)


def test_end_when_the_stream_is_deleted_then_it_is_told_that_there_is_none() -> None:
    async def scenario(shard: Shard) -> None:
        end = begin(ending(await shard.subscribe()))
        await turns(5)
        await shard.streams.lifecycle.forget(shard.view)
        error = await end
        assert error is not None
        assert error.code == "ResourceNotFoundException"

    on_shard(scenario)


def test_end_when_the_service_stops_then_it_is_in_good_order_and_at_once() -> None:
    async def scenario(shard: Shard) -> None:
        end = begin(ending(await shard.subscribe()))
        await turns(5)
        await shard.world.stop()
        assert await end is None

    on_shard(scenario)


def test_end_when_the_log_breaks_then_the_fault_is_told_to_each() -> None:
    class Broken(MemoryLog):
        async def wait(self, log: LogId, position: Position) -> None:
            await turns(3)
            raise RuntimeError("a bug")

    async def scenario(shard: Shard) -> None:
        subscription = await shard.subscribe()
        with pytest.raises(RuntimeError):
            await subscription.__anext__()

    on_shard(scenario, log_type=Broken)


async def close_shard(shard: Shard) -> None:
    """Split it, as the directory shows it once its log is sealed."""
    old = shard.held.shard
    children = [replace(old, no=number, parent_no=0, created_s=old.created_s + 1) for number in (1, 2)]
    middle = int(old.hash_end) // 2
    children = [replace(children[0], hash_end=str(middle)), replace(children[1], hash_start=str(middle + 1))]
    closed = replace(old, closed_ms=shard.world.clock.now_ms())
    await shard.streams.directory.reshard(shard.view, shard.view.stream, [closed], children)


def test_last_event_when_the_shard_is_closed_then_it_names_the_children_and_nothing_to_continue_from() -> None:
    async def scenario(shard: Shard) -> None:
        await shard.put(b"a")
        behind, caught_up = await shard.subscribe("behind", Position(0, 0)), await shard.subscribe("caught up")
        waiting = begin(caught_up.__anext__())
        await turns(5)
        await shard.world.log.seal(shard.held.log)
        await turns(10)
        assert not waiting.done()  # sealed, but there is nowhere to go yet
        await close_shard(shard)
        [last] = await waiting
        assert [child.no for child in last.value.children] == [1, 2]
        assert last.value.continuation is None
        assert data(await behind.__anext__()) == [b"a"]
        [also_last] = await behind.__anext__()
        assert also_last.value.continuation is None
        assert await ending(behind) is None
        assert await ending(caught_up) is None

    on_shard(scenario)


def test_check_when_limits_are_enforced_then_one_call_a_second_is_admitted() -> None:
    async def scenario(shard: Shard) -> None:
        consumer = await shard.consumer()
        shard.streams.subscriptions.check(shard.view, consumer, shard.held)
        with pytest.raises(ServiceError, match="LimitExceededException"):
            shard.streams.subscriptions.check(shard.view, consumer, shard.held)
        await shard.world.clock.advance(1000)
        shard.streams.subscriptions.check(shard.view, consumer, shard.held)

    on_shard(scenario, enforce_limits=True)


def test_hub_when_the_last_subscriber_leaves_then_it_ends_with_the_next_record_and_another_can_begin() -> None:
    async def scenario(shard: Shard) -> None:
        first = await shard.subscribe("a")
        await turns(3)
        await first.aclose()
        await shard.put(b"a")
        await turns(5)
        assert first.hub.closed
        second = await shard.subscribe("b")
        await shard.put(b"b")
        assert data(await second.__anext__()) == [b"b"]
        await second.aclose()
        await shard.world.clock.advance(limits.TAKEOVER_MS + 1000)
        assert shard.streams.subscriptions._seats == {}

    on_shard(scenario)


def test_cancel_when_one_who_waits_goes_then_the_others_are_not_disturbed() -> None:
    async def scenario(shard: Shard) -> None:
        leaving, staying = await shard.subscribe("a"), await shard.subscribe("b")
        tasks = begin(leaving.__anext__()), begin(staying.__anext__())
        await turns(5)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        await leaving.aclose()
        await shard.put(b"a")
        assert data(await tasks[1]) == [b"a"]

    on_shard(scenario)


def test_last_event_when_it_begins_on_a_closed_shard_then_it_comes_after_what_is_there() -> None:
    async def scenario(shard: Shard) -> None:
        await shard.put(b"a")
        await shard.world.log.seal(shard.held.log)
        await close_shard(shard)
        subscription = await shard.subscribe(position=Position(0, 0))
        assert data(await subscription.__anext__()) == [b"a"]
        [last] = await subscription.__anext__()
        assert last.value.continuation is None
        assert await ending(subscription) is None

    on_shard(scenario)
