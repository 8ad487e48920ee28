"""RecordLog: where a read begins, how much it returns, and what find_time finds."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from engine_table import ABSENT, MUCH, A, B, World, check_page, filled, moved, on_every_engine, put, read_all

from penstock.engines.api import AppendError, Batch, NoSuchLog, Position, RecordLog


@on_every_engine
async def test_read_when_records_are_limited_then_pages_join_without_gap(world: World) -> None:
    at = await filled(world.log, A, 10)
    found: list[bytes] = []
    while len(found) < 10:
        page = await world.log.read(A, at, 4, MUCH)
        check_page(page)
        assert page.first == at
        assert 1 <= len(page.data) <= 4
        found.extend(page.data)
        at = page.next
    assert found == [b"%d" % number for number in range(10)]


# Records of 10 bytes (key included) but for the marked sizes; (sizes, max_bytes, how many the first page may hold at most).
BYTE_LIMITS = [
    ([10, 10, 10], 30, 3),
    ([10, 10, 10], 29, 2),
    ([10, 10, 10], 10, 1),
    ([10, 10, 10], 9, 1),  # one larger record comes alone
    ([10, 10, 10], 1, 1),
    ([1000, 10, 10], 100, 1),
    ([10, 1000, 10], 100, 1),
    ([10, 90, 10], 100, 2),
    ([1, 1, 1000], 2, 2),
]


@on_every_engine
async def test_read_when_bytes_are_limited_then_a_page_holds_no_more_or_one_larger_record(world: World) -> None:
    for sizes, max_bytes, most in BYTE_LIMITS:
        for in_one_batch in (True, False):
            await world.log.drop([A])
            await world.log.create([A])
            data = [b"x" * (size - 1) for size in sizes]
            for batch in [data] if in_one_batch else [[record] for record in data]:
                await put(world.log, A, *batch)
            page = await world.log.read(A, (await world.log.bounds(A)).start, MUCH, max_bytes)
            check_page(page)
            assert 1 <= len(page.data) <= most, (sizes, max_bytes, in_one_batch)


@on_every_engine
async def test_read_when_an_empty_record_precedes_a_larger_one_then_the_larger_one_is_not_in_its_page(
    world: World,
) -> None:
    await world.log.create([A])
    [outcome] = await world.log.append([_batch([b"", b"x" * 1000])])
    page = await world.log.read(A, (await world.log.bounds(A)).start, MUCH, 100)
    assert list(page.data) == [b""], outcome


def _batch(data: list[bytes]) -> Batch:
    return Batch(A, [b""] * len(data), data)


@on_every_engine
async def test_read_when_the_position_is_in_the_middle_of_a_batch_then_it_begins_there(world: World) -> None:
    start = await filled(world.log, A, 9, per_batch=4)
    for skip in range(9):
        page = await world.log.read(A, moved(start, skip), 1, MUCH)
        assert (list(page.data), page.first, page.next) == ([b"%d" % skip], moved(start, skip), moved(start, skip + 1))


@on_every_engine
async def test_read_when_the_position_is_before_the_oldest_record_then_it_begins_there(world: World) -> None:
    start = await filled(world.log, A, 9)
    await world.log.trim(A, moved(start, 4))
    for skip in (0, 1, 3, 4):
        page = await world.log.read(A, moved(start, skip), 2, MUCH)
        assert (page.first, page.data[0]) == (moved(start, 4), b"4")


@on_every_engine
async def test_read_when_the_position_is_past_the_end_then_the_page_is_empty_at_the_end(world: World) -> None:
    start = await filled(world.log, A, 5)
    end = moved(start, 5)
    for position in (end, moved(end, 1), moved(end, 10**6)):
        page = await world.log.read(A, position, MUCH, MUCH)
        assert (list(page.data), page.first, page.next, page.end, page.sealed) == ([], end, end, end, False)


@on_every_engine
async def test_read_when_the_incarnation_is_older_then_it_begins_at_the_start(world: World) -> None:
    start = await filled(world.log, A, 5)
    for offset in (0, 3, 10**6):
        page = await world.log.read(A, Position(start.incarnation - 1, offset), 2, MUCH)
        assert page.first == start
        assert page.data[0] == b"0"


@on_every_engine
async def test_read_when_the_incarnation_is_newer_then_the_page_is_empty_at_the_end(world: World) -> None:
    """A newer incarnation lies past the end, however small its offset: positions are ordered."""
    start = await filled(world.log, A, 5)
    page = await world.log.read(A, Position(start.incarnation + 1, 0), MUCH, MUCH)
    assert list(page.data) == []
    assert page.next == moved(start, 5)


@on_every_engine
async def test_read_when_the_log_is_empty_then_the_page_is_empty_at_its_start(world: World) -> None:
    await world.log.create([A])
    bounds = await world.log.bounds(A)
    page = await world.log.read(A, bounds.start, MUCH, MUCH)
    assert (list(page.data), page.first, page.next, page.end) == ([], bounds.start, bounds.start, bounds.end)


@on_every_engine
async def test_read_when_the_log_grows_later_then_an_earlier_page_is_unchanged(world: World) -> None:
    start = await filled(world.log, A, 3)
    page = await world.log.read(A, start, MUCH, MUCH)
    await put(world.log, A, b"x")
    assert list(page.data) == [b"0", b"1", b"2"]
    assert page.end == moved(start, 3)


@on_every_engine
async def test_find_time_when_batches_arrived_at_different_times_then_the_first_not_older_is_found(
    world: World,
) -> None:
    await world.log.create([A])
    zero = world.clock.ms
    start = (await world.log.bounds(A)).start
    for after_ms, size in ((0, 2), (100, 3), (100, 1), (250, 2)):
        world.clock.ms = zero + after_ms
        await put(world.log, A, *[b"x"] * size)
    expected = [(-1, 0), (0, 0), (1, 2), (99, 2), (100, 2), (101, 6), (250, 6), (251, 8), (10**9, 8)]
    found = [(at, (await world.log.find_time(A, zero + at)).offset - start.offset) for at, _ in expected]
    assert found == expected


@on_every_engine
async def test_find_time_when_the_start_was_trimmed_then_nothing_before_it_is_found(world: World) -> None:
    start = await filled(world.log, A, 9, per_batch=4)
    await world.log.trim(A, moved(start, 5))
    assert await world.log.find_time(A, 0) == moved(start, 5)
    await world.log.trim(A, moved(start, 9))
    assert await world.log.find_time(A, 0) == moved(start, 9)


@on_every_engine
async def test_find_time_when_the_log_is_empty_then_it_is_the_end(world: World) -> None:
    await world.log.create([A])
    assert await world.log.find_time(A, world.clock.ms) == (await world.log.bounds(A)).end


CALLS: dict[str, Callable[[RecordLog], Coroutine[Any, Any, object]]] = {
    "read": lambda log: log.read(ABSENT, Position(0, 0), 1, 1),
    "find_time": lambda log: log.find_time(ABSENT, 0),
    "bounds": lambda log: log.bounds(ABSENT),
    "seal": lambda log: log.seal(ABSENT),
    "trim": lambda log: log.trim(ABSENT, Position(0, 0)),
    "wait": lambda log: log.wait(ABSENT, Position(0, 0)),
}


@on_every_engine
async def test_record_log_when_the_log_does_not_exist_then_every_call_but_append_raises(world: World) -> None:
    for call in CALLS.values():
        with pytest.raises(NoSuchLog):
            await call(world.log)
    await filled(world.log, ABSENT, 3)
    await world.log.drop([ABSENT])
    for call in CALLS.values():
        with pytest.raises(NoSuchLog):
            await call(world.log)


@on_every_engine
async def test_read_when_logs_are_many_then_each_holds_its_own_records(world: World) -> None:
    names = [type(A)(f"stream/{number}") for number in range(50)]
    await world.log.create(names)
    for name in names:
        await put(world.log, name, name.encode())
    assert [await read_all(world.log, name) for name in names] == [[name.encode()] for name in names]


@on_every_engine
async def test_size_when_records_come_and_go_then_it_follows_about(world: World) -> None:
    await world.log.create([A, B])
    assert await world.log.size_bytes(A) == 0
    for _ in range(8):  # more than one journal file of the durable engine
        outcomes = await world.log.append([Batch(A, [b"k"] * 100, [bytes(2000)] * 100), Batch(B, [b""], [b"x"])])
        assert not [outcome for outcome in outcomes if isinstance(outcome, AppendError)]
    assert 1_600_000 <= await world.log.size_bytes(A) <= 2_000_000
    await world.log.trim(A, (await world.log.bounds(A)).end)
    assert await world.log.size_bytes(A) <= 400_000
    await world.log.drop([A])
    with pytest.raises(NoSuchLog):
        await world.log.size_bytes(A)
