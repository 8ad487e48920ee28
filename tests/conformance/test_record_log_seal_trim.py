"""RecordLog, rules 5 and 6: a seal ends a log for ever, a trim is never undone."""

import asyncio

from engine_table import MUCH, A, B, World, begin, filled, moved, on_every_engine, put, read_all

from penstock.engines.api import Appended, Batch, Position, Sealed


@on_every_engine
async def test_seal_when_repeated_then_it_answers_the_same_end(world: World) -> None:
    start = await filled(world.log, A, 5)
    ends = [await world.log.seal(A) for _ in range(3)]
    assert ends == [moved(start, 5)] * 3


@on_every_engine
async def test_seal_when_it_has_returned_then_nothing_is_appended(world: World) -> None:
    await filled(world.log, A, 5)
    end = await world.log.seal(A)
    for _ in range(3):
        [outcome] = await world.log.append([Batch(A, [b"k"], [b"late"])])
        assert isinstance(outcome, Sealed)
        assert outcome.end == end
    bounds = await world.log.bounds(A)
    assert (bounds.end, bounds.sealed) == (end, True)
    assert await read_all(world.log, A) == [b"0", b"1", b"2", b"3", b"4"]


@on_every_engine
async def test_seal_when_the_log_is_empty_then_it_ends_where_it_began(world: World) -> None:
    await world.log.create([A])
    start = (await world.log.bounds(A)).start
    assert await world.log.seal(A) == start
    page = await world.log.read(A, start, MUCH, MUCH)
    assert (page.sealed, page.next, page.end) == (True, start, start)


@on_every_engine
async def test_seal_when_another_log_is_written_then_that_one_goes_on(world: World) -> None:
    await filled(world.log, A, 3)
    await filled(world.log, B, 3)
    await world.log.seal(A)
    await put(world.log, B, b"more")
    assert (await world.log.bounds(B)).sealed is False


@on_every_engine
async def test_seal_when_appends_race_with_it_then_those_refused_are_not_there_and_the_others_are(world: World) -> None:
    await world.log.create([A])
    before = [begin(world.log.append([Batch(A, [b"k"], [b"%d" % number])])) for number in range(20)]
    sealing = begin(world.log.seal(A))
    after = [begin(world.log.append([Batch(A, [b"k"], [b"%d" % number])])) for number in range(20, 40)]
    end = await sealing
    outcomes = [outcome for [outcome] in await asyncio.gather(*before, *after)]
    written = [
        (outcome.first, b"%d" % number) for number, outcome in enumerate(outcomes) if isinstance(outcome, Appended)
    ]
    assert all(first < end for first, _ in written)
    assert all(isinstance(outcome, Appended | Sealed) for outcome in outcomes)
    assert await read_all(world.log, A) == [data for _, data in sorted(written)]
    assert await world.log.seal(A) == end


@on_every_engine
async def test_seal_when_a_page_ends_below_the_end_then_it_says_sealed_all_the_same(world: World) -> None:
    start = await filled(world.log, A, 5)
    assert (await world.log.read(A, start, 2, MUCH)).sealed is False
    await world.log.seal(A)
    page = await world.log.read(A, start, 2, MUCH)
    assert page.sealed
    assert page.next < page.end


@on_every_engine
async def test_trim_when_the_position_is_in_a_batch_then_exactly_what_precedes_it_is_gone(world: World) -> None:
    start = await filled(world.log, A, 10, per_batch=4)
    for keep_from in range(11):
        await world.log.trim(A, moved(start, keep_from))
        bounds = await world.log.bounds(A)
        assert (bounds.start, bounds.end) == (moved(start, keep_from), moved(start, 10))
        assert await read_all(world.log, A, start) == [b"%d" % number for number in range(keep_from, 10)]


@on_every_engine
async def test_trim_when_an_earlier_position_follows_then_nothing_comes_back(world: World) -> None:
    start = await filled(world.log, A, 10)
    await world.log.trim(A, moved(start, 7))
    for position in (moved(start, 3), start, Position(start.incarnation - 1, 10**6)):
        await world.log.trim(A, position)
        assert (await world.log.bounds(A)).start == moved(start, 7)
    assert await read_all(world.log, A, start) == [b"7", b"8", b"9"]


@on_every_engine
async def test_trim_when_everything_goes_then_start_is_the_end_and_offsets_go_on(world: World) -> None:
    start = await filled(world.log, A, 10)
    await world.log.trim(A, moved(start, 10))
    bounds = await world.log.bounds(A)
    assert bounds.start == bounds.end == moved(start, 10)
    assert bounds.last_arrival_ms == world.clock.ms  # of the newest record ever appended
    assert (await put(world.log, A, b"x")).first == moved(start, 10)
    assert await read_all(world.log, A, start) == [b"x"]


@on_every_engine
async def test_trim_when_the_position_is_past_the_end_then_later_records_are_kept(world: World) -> None:
    start = await filled(world.log, A, 4)
    await world.log.trim(A, moved(start, 100))
    await put(world.log, A, b"x", b"y")
    assert (await world.log.bounds(A)).start == moved(start, 4)
    assert await read_all(world.log, A, start) == [b"x", b"y"]


@on_every_engine
async def test_trim_when_the_incarnation_is_newer_then_everything_held_is_gone(world: World) -> None:
    """A newer incarnation lies past the end, and everything before it."""
    start = await filled(world.log, A, 4)
    await world.log.trim(A, Position(start.incarnation + 1, 0))
    assert (await world.log.bounds(A)).start == moved(start, 4)


@on_every_engine
async def test_trim_when_the_log_is_sealed_then_the_seal_stays(world: World) -> None:
    start = await filled(world.log, A, 4)
    end = await world.log.seal(A)
    await world.log.trim(A, end)
    bounds = await world.log.bounds(A)
    assert (bounds.start, bounds.end, bounds.sealed) == (end, end, True)
    page = await world.log.read(A, start, MUCH, MUCH)
    assert (list(page.data), page.next, page.sealed) == ([], end, True)
