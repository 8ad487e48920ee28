"""RecordLog, rules 1 to 3: what append promises."""

import asyncio

from engine_table import (
    ABSENT,
    MUCH,
    A,
    B,
    World,
    begin,
    check_page,
    filled,
    moved,
    on_every_engine,
    put,
    read_all,
    turns,
)

from penstock.engines.api import Appended, Batch, NoSuchLog, Sealed


@on_every_engine
async def test_append_when_batches_follow_each_other_then_offsets_are_dense(world: World) -> None:
    await world.log.create([A])
    start = (await world.log.bounds(A)).start
    firsts = [(await put(world.log, A, *[b"x"] * size)).first for size in (1, 3, 2, 5)]
    assert firsts == [moved(start, 0), moved(start, 1), moved(start, 4), moved(start, 6)]
    assert (await world.log.bounds(A)).end == moved(start, 11)


@on_every_engine
async def test_append_when_the_log_is_new_then_positions_are_those_of_its_bounds(world: World) -> None:
    await world.log.create([A])
    bounds = await world.log.bounds(A)
    assert bounds.start == bounds.end
    assert (bounds.last_arrival_ms, bounds.sealed) == (None, False)
    assert bounds.start.incarnation >= 0
    assert bounds.start.offset >= 0


@on_every_engine
async def test_append_when_several_logs_are_given_then_each_batch_is_answered_in_order(world: World) -> None:
    await world.log.create([A, B])
    end = await world.log.seal(B)
    outcomes = await world.log.append(
        [Batch(ABSENT, [b"k"], [b"1"]), Batch(A, [b"k"], [b"2"]), Batch(B, [b"k"], [b"3"]), Batch(A, [b"k"], [b"4"])]
    )
    assert [type(outcome) for outcome in outcomes] == [NoSuchLog, Appended, Sealed, Appended]
    assert isinstance(outcomes[2], Sealed)
    assert outcomes[2].end == end
    assert await read_all(world.log, A) == [b"2", b"4"]


@on_every_engine
async def test_append_when_no_batch_is_given_then_nothing_is_answered(world: World) -> None:
    assert list(await world.log.append([])) == []


@on_every_engine
async def test_append_when_refused_then_no_record_of_the_batch_is_written(world: World) -> None:
    await filled(world.log, A, 4)
    await world.log.seal(A)
    [outcome] = await world.log.append([Batch(A, [b"k"] * 3, [b"x", b"y", b"z"])])
    assert isinstance(outcome, Sealed)
    assert await read_all(world.log, A) == [b"0", b"1", b"2", b"3"]


@on_every_engine
async def test_append_when_two_callers_write_at_once_then_batches_stay_whole(world: World) -> None:
    await world.log.create([A])
    batches = [Batch(A, [b"k"] * 4, [b"%d.%d" % (writer, part) for part in range(4)]) for writer in range(20)]
    outcomes = await asyncio.gather(*(world.log.append([batch]) for batch in batches))
    found = await read_all(world.log, A)
    start = (await world.log.bounds(A)).start
    assert len(found) == 80
    for batch, [outcome] in zip(batches, outcomes, strict=True):
        assert isinstance(outcome, Appended)
        at = outcome.first.offset - start.offset
        assert found[at : at + 4] == list(batch.data)


@on_every_engine
async def test_append_when_keys_and_data_are_odd_then_they_come_back_unchanged(world: World) -> None:
    await world.log.create([A])
    keys = [b"", b"\x00", "\U0001f600".encode() * 64, b"k" * 1024]
    data = [b"", bytes(range(256)), b"\xff" * 70_000, b""]
    await world.log.append([Batch(A, keys, data)])
    page = await world.log.read(A, (await world.log.bounds(A)).start, MUCH, MUCH)
    assert (list(page.keys), list(page.data)) == (keys, data)


@on_every_engine
async def test_append_when_the_clock_moves_on_then_arrivals_are_its_time(world: World) -> None:
    await world.log.create([A])
    before = world.clock.ms
    first = await put(world.log, A, b"1", b"2")
    world.clock.ms += 1234
    second = await put(world.log, A, b"3")
    assert (first.arrival_ms, second.arrival_ms) == (before, before + 1234)
    page = await world.log.read(A, first.first, MUCH, MUCH)
    check_page(page)
    assert list(page.arrivals_ms) == [before, before, before + 1234]
    assert (await world.log.bounds(A)).last_arrival_ms == before + 1234


@on_every_engine
async def test_append_when_the_clock_steps_back_then_arrivals_do_not(world: World) -> None:
    await world.log.create([A, B])
    before = world.clock.ms
    await put(world.log, A, b"1")
    world.clock.ms -= 60_000
    assert (await put(world.log, A, b"2")).arrival_ms == before
    assert (await put(world.log, B, b"1")).arrival_ms == before - 60_000  # each log is a law to itself


@on_every_engine
async def test_append_when_everything_was_trimmed_then_arrivals_still_do_not_go_down(world: World) -> None:
    await filled(world.log, A, 3)
    before = world.clock.ms
    await world.log.trim(A, (await world.log.bounds(A)).end)
    world.clock.ms -= 60_000
    assert (await put(world.log, A, b"x")).arrival_ms == before


@on_every_engine
async def test_create_when_the_log_exists_then_it_is_left_as_it_is(world: World) -> None:
    await filled(world.log, A, 3)
    await world.log.seal(A)
    before = await world.log.bounds(A)
    await world.log.create([A, B])
    assert await world.log.bounds(A) == before
    assert (await world.log.bounds(B)).sealed is False


@on_every_engine
async def test_drop_when_a_log_is_absent_then_the_others_are_dropped_all_the_same(world: World) -> None:
    await filled(world.log, A, 3)
    await world.log.drop([ABSENT, A])
    await world.log.drop([A])
    [outcome] = await world.log.append([Batch(A, [b"k"], [b"x"])])
    assert isinstance(outcome, NoSuchLog)


@on_every_engine
async def test_drop_when_the_log_is_created_again_then_it_is_empty_and_open(world: World) -> None:
    await filled(world.log, A, 3)
    await world.log.seal(A)
    await world.log.drop([A])
    await world.log.create([A])
    bounds = await world.log.bounds(A)
    assert (bounds.start, bounds.last_arrival_ms, bounds.sealed) == (bounds.end, None, False)
    assert await read_all(world.log, A) == []


@on_every_engine
async def test_append_when_a_reader_sees_a_record_then_that_append_succeeds(world: World) -> None:
    """Rule 4: what was read is never taken back."""
    await world.log.create([A])
    start = (await world.log.bounds(A)).start
    writers = [begin(world.log.append([Batch(A, [b"k"], [b"%d" % number])])) for number in range(30)]
    seen: set[bytes] = set()
    while not all(writer.done() for writer in writers):
        seen.update((await world.log.read(A, start, MUCH, MUCH)).data)
        await turns(1)
    outcomes = [(await writer)[0] for writer in writers]
    written = {b"%d" % number for number, outcome in enumerate(outcomes) if isinstance(outcome, Appended)}
    assert len(written) == 30
    assert seen <= written
