"""RecordLog: wait wakes whoever it should, and loses nobody."""

import asyncio

import pytest
from engine_table import MUCH, A, B, World, begin, filled, moved, on_every_engine, put, turns

from penstock.engines.api import LogId, NoSuchLog, Position, RecordLog


@on_every_engine
async def test_wait_when_the_record_is_there_then_it_returns(world: World) -> None:
    start = await filled(world.log, A, 3)
    for skip in range(3):
        await world.log.wait(A, moved(start, skip))
    await world.log.wait(A, Position(start.incarnation - 1, 10**6))


@on_every_engine
async def test_wait_when_a_record_is_appended_then_it_wakes(world: World) -> None:
    start = await filled(world.log, A, 3)
    waiter = begin(world.log.wait(A, moved(start, 3)))
    await turns(5)
    assert not waiter.done()
    await put(world.log, A, b"x")
    await waiter


@on_every_engine
async def test_wait_when_the_log_is_sealed_then_it_wakes_and_so_does_whoever_comes_later(world: World) -> None:
    start = await filled(world.log, A, 3)
    waiters = [begin(world.log.wait(A, moved(start, ahead))) for ahead in (3, 4, 1000)]
    await turns(5)
    await world.log.seal(A)
    for waiter in waiters:
        await waiter
    await world.log.wait(A, moved(start, 3))


@on_every_engine
async def test_wait_when_the_log_is_dropped_then_it_raises(world: World) -> None:
    start = await filled(world.log, A, 3)
    waiters = [begin(world.log.wait(A, moved(start, 3))) for _ in range(3)]
    await turns(5)
    await world.log.drop([A])
    for waiter in waiters:
        with pytest.raises(NoSuchLog):
            await waiter


@on_every_engine
async def test_wait_when_the_log_is_dropped_and_created_again_then_it_raises(world: World) -> None:
    """The position that is waited for was one of the dropped log."""
    start = await filled(world.log, A, 3)
    waiter = begin(world.log.wait(A, moved(start, 3)))
    await turns(5)
    await world.log.drop([A])
    await world.log.create([A])
    await turns(50)
    await world.log.seal(A)  # so that an engine that missed the drop does not hang
    with pytest.raises(NoSuchLog):
        await waiter


@on_every_engine
async def test_wait_when_an_append_does_not_reach_the_position_then_it_goes_on_waiting(world: World) -> None:
    start = await filled(world.log, A, 3)
    waiter = begin(world.log.wait(A, moved(start, 5)))
    for _ in range(2):
        await put(world.log, A, b"x")
        await turns(20)
        assert not waiter.done()
    await put(world.log, A, b"x")
    await waiter


@on_every_engine
async def test_wait_when_the_incarnation_is_newer_then_no_record_of_this_one_wakes_it(world: World) -> None:
    start = await filled(world.log, A, 3)
    waiter = begin(world.log.wait(A, Position(start.incarnation + 1, 0)))
    await put(world.log, A, b"x")
    await turns(20)
    assert not waiter.done()
    await world.log.seal(A)
    await waiter


@on_every_engine
async def test_wait_when_everything_was_trimmed_then_it_waits_for_the_next_record(world: World) -> None:
    start = await filled(world.log, A, 3)
    await world.log.trim(A, moved(start, 3))
    waiter = begin(world.log.wait(A, start))
    await turns(20)
    assert not waiter.done()
    await put(world.log, A, b"x")
    await waiter


@on_every_engine
async def test_wait_when_another_log_grows_then_it_goes_on_waiting(world: World) -> None:
    start = await filled(world.log, A, 3)
    await filled(world.log, B, 3)
    waiter = begin(world.log.wait(A, moved(start, 3)))
    await put(world.log, B, b"x")
    await turns(20)
    assert not waiter.done()
    await put(world.log, A, b"x")
    await waiter


@on_every_engine
async def test_wait_when_many_wait_then_one_append_wakes_them_all(world: World) -> None:
    start = await filled(world.log, A, 3)
    waiters = [begin(world.log.wait(A, moved(start, 3))) for _ in range(500)]
    await turns(5)
    await put(world.log, A, b"x")
    await asyncio.gather(*waiters)


@on_every_engine
async def test_wait_when_some_waiters_give_up_then_the_others_are_woken(world: World) -> None:
    start = await filled(world.log, A, 3)
    waiters = [begin(world.log.wait(A, moved(start, 3))) for _ in range(10)]
    await turns(5)
    for waiter in waiters[::2]:
        waiter.cancel()
    await turns(5)
    await put(world.log, A, b"x")
    await asyncio.gather(*waiters[1::2])
    assert all(waiter.cancelled() for waiter in waiters[::2])


@on_every_engine
async def test_watch_when_the_log_grows_or_ends_then_the_watcher_is_called_before_the_writer_goes_on(
    world: World,
) -> None:
    start = await filled(world.log, A, 3)
    await filled(world.log, B, 1)
    seen: list[int] = []

    def look() -> None:
        seen.append(len(seen))

    stop = world.log.watch(A, look)
    await put(world.log, B, b"x")
    assert seen == [], "another log is not looked at"
    await put(world.log, A, b"x")
    assert seen == [0]
    await world.log.wait(A, moved(start, 3))
    await world.log.seal(A)
    assert seen == [0, 1]
    stop()
    stop()
    await world.log.drop([A])
    assert seen == [0, 1], "who stopped is told no more"


@on_every_engine
async def test_watch_when_the_log_is_dropped_or_not_there_then_that_is_told(world: World) -> None:
    await filled(world.log, A, 3)
    seen: list[str] = []
    world.log.watch(A, lambda: seen.append("first"))
    world.log.watch(A, lambda: seen.append("second"))
    await world.log.drop([A])
    assert seen == ["first", "second"]
    with pytest.raises(NoSuchLog):
        world.log.watch(A, lambda: None)


async def _follow(log: RecordLog, name: LogId, at: Position, pause: int) -> list[bytes]:
    """Read and wait in turn until the seal, with a pause between read and wait, where a wake-up could be lost."""
    found: list[bytes] = []
    while True:
        page = await log.read(name, at, MUCH, MUCH)
        found.extend(page.data)
        at = page.next
        if page.sealed and page.next == page.end:
            return found
        await turns(pause)
        await log.wait(name, at)


@on_every_engine
async def test_wait_when_appends_fall_between_read_and_wait_then_no_follower_misses_one(world: World) -> None:
    await world.log.create([A])
    start = (await world.log.bounds(A)).start
    followers = [begin(_follow(world.log, A, start, pause)) for pause in range(8)]
    for number in range(60):
        await put(world.log, A, b"%d" % number)
        await turns(number % 5)
    await world.log.seal(A)
    expected = [b"%d" % number for number in range(60)]
    for follower in followers:
        assert await follower == expected
