"""Spreads in the queue of the durable log, between other appends, and across restarts."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from engine_table import begin, turns
from plain_spread import PlainPlaced, PlainSpread, scatter
from test_local_log import FILE_BYTES, opened, read_all

from penstock.core.ids import Millis
from penstock.engines.api import Appended, Batch, Fan, LogId, Position, TooLarge
from penstock.engines.local.log import LocalLog, Options

LOGS = tuple(LogId(f"aaaa/{number}") for number in range(4))
CACHED = Options(journal_file_bytes=FILE_BYTES)


def batches(told: bytes, *logs: LogId, count: int = 2) -> list[Batch]:
    return [Batch(log, [b"k"] * count, [b"%s %d" % (told, place) for place in range(count)]) for log in logs]


def told(*words: bytes) -> list[bytes]:
    return [b"%s %d" % (word, place) for word in words for place in (0, 1)]


def test_scatter_when_it_is_read_from_memory_the_journal_and_segments_then_it_is_as_it_was_written(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, CACHED) as (log, _):
            await log.create(LOGS)
            for number in range(3):
                await scatter(log, batches(b"%d" % number, *LOGS[number:]))
            assert [await read_all(log, name) for name in LOGS[1:3]] == [told(b"0", b"1"), told(b"0", b"1", b"2")]
        async with opened(tmp_path) as (log, found):  # without caches
            assert found.replayed_records == (4 + 3 + 2) * 2
            assert await read_all(log, LOGS[3]) == told(b"0", b"1", b"2")
            await scatter(log, batches(b"3", LOGS[0], LOGS[3]))
            assert await read_all(log, LOGS[3]) == told(b"0", b"1", b"2", b"3")
        async with opened(tmp_path) as (log, found):
            await log.settle()
            assert found.damage == []
            assert [await read_all(log, name) for name in LOGS[::3]] == [told(b"0", b"3"), told(b"0", b"1", b"2", b"3")]

    asyncio.run(scenario())


def test_scatter_when_its_log_is_read_between_writes_of_both_kinds_then_nothing_is_out_of_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, CACHED) as (log, _):
            await log.create(LOGS)
            for number in range(0, 8, 4):
                await scatter(log, batches(b"%d" % number, LOGS[0], LOGS[1]))
                await log.append(batches(b"%d" % (number + 1), LOGS[0]))
                await scatter(log, batches(b"%d" % (number + 2), LOGS[0]))
                await log.append(batches(b"%d" % (number + 3), LOGS[0]))
                assert await read_all(log, LOGS[0]) == told(*[b"%d" % each for each in range(number + 4)])

    asyncio.run(scenario())


def test_scatter_when_it_queues_between_appends_then_records_lie_in_the_order_of_the_queue(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, CACHED) as (log, _):
            await log.create(LOGS)
            outcomes = await asyncio.gather(
                log.append(batches(b"a", LOGS[0])),
                scatter(log, batches(b"b", LOGS[0], LOGS[1])),
                log.append(batches(b"c", LOGS[0])),
                scatter(log, batches(b"d", LOGS[0])),
            )
            firsts = [outcome[0].first.offset for outcome in outcomes if isinstance(outcome[0], Appended)]
            assert firsts == [0, 2, 4, 6]
            assert await read_all(log, LOGS[0]) == told(b"a", b"b", b"c", b"d")
        async with opened(tmp_path) as (log, _):
            assert await read_all(log, LOGS[0]) == told(b"a", b"b", b"c", b"d")

    asyncio.run(scenario())


def test_scatter_when_a_log_is_sealed_or_dropped_then_nothing_of_it_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create(LOGS)
            fan, spread = Fan(LOGS[:2]), PlainSpread([(0, [b"k"], [b"d"]), (1, [b"k"], [b"d"])])
            placed = await log.scatter(fan, spread)
            assert isinstance(placed, PlainPlaced)
            assert placed.firsts == [0, 0]
            sealing = begin(log.seal(LOGS[1]))
            await turns(1)  # the seal is queued first
            assert await log.scatter(fan, spread) is None
            await sealing
            assert await log.scatter(fan, spread) is None
            await log.drop([LOGS[1]])
            await log.create([LOGS[1]])  # another log of that name
            assert await log.scatter(fan, spread) is None
            assert [(await log.bounds(name)).end.offset for name in LOGS[:2]] == [1, 0]
            assert await log.scatter(Fan([LogId("no/0")]), PlainSpread([(0, [b"k"], [b"d"])])) is None

    asyncio.run(scenario())


def test_scatter_when_a_log_was_sealed_before_a_restart_then_nothing_of_it_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create(LOGS)
            await log.seal(LOGS[1])
        for _ in range(2):  # known from the journal, and then from a manifest
            async with opened(tmp_path) as (log, _):
                spread = PlainSpread([(0, [b"k"], [b"d"]), (1, [b"k"], [b"d"])])
                assert await log.scatter(Fan(LOGS[:2]), spread) is None
                assert [(await log.bounds(name)).end.offset for name in LOGS[:2]] == [0, 0]
                for _ in range(4):
                    await log.append([Batch(LOGS[3], [b"k"], [bytes(FILE_BYTES // 3)])])
                await log.settle()
                assert log._ledger.first_file_no > 0

    asyncio.run(scenario())


def test_scatter_when_it_is_larger_than_the_journal_takes_then_it_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create(LOGS)
            [outcome] = await scatter(log, [Batch(LOGS[0], [b"k"], [bytes(FILE_BYTES)])])
            assert isinstance(outcome, TooLarge)

    asyncio.run(scenario())


class _Back(NamedTuple):
    """A clock that is behind."""

    ms: int

    def now_ms(self) -> Millis:
        return Millis(self.ms)

    async def sleep(self, _duration_ms: int) -> None:
        await turns(1)


def test_scatter_when_the_clock_went_back_then_it_arrives_with_the_latest_of_its_logs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create(LOGS)
            [late] = await log.append(batches(b"a", LOGS[1]))
            assert isinstance(late, Appended)
            log._committer._clock = _Back(late.arrival_ms - 50)
            together = await asyncio.gather(
                scatter(log, batches(b"b", LOGS[0], LOGS[1])),
                log.append(batches(b"c", LOGS[0])),  # in the same commit, and not before what was there
            )
            arrivals = [outcome.arrival_ms for call in together for outcome in call if isinstance(outcome, Appended)]
            assert arrivals == [late.arrival_ms] * 3
            assert await _arrivals(log, LOGS[0]) == [late.arrival_ms] * 4

    asyncio.run(scenario())


async def _arrivals(log: LocalLog, name: LogId) -> list[int]:
    page = await log.read(name, Position(0, 0), 100, 10_000)
    return list(page.arrivals_ms)


def test_scatter_when_somebody_waits_for_a_log_then_he_and_nobody_else_is_woken(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create(LOGS)
            called: list[int] = []
            for number, name in enumerate(LOGS):
                log.watch(name, lambda number=number: called.append(number))  # type: ignore[misc]
            waits = [begin(log.wait(name, Position(0, 0))) for name in LOGS]
            await turns(1)
            await scatter(log, batches(b"a", LOGS[0], LOGS[2]))
            await turns(1)
            assert called == [0, 2]
            assert [wait.done() for wait in waits] == [True, False, True, False]
            for wait in waits:
                wait.cancel()

    asyncio.run(scenario())


def test_scatter_when_its_file_is_settled_before_anybody_read_it_then_nothing_is_lost_or_given_twice(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, CACHED) as (log, _):
            await log.create(LOGS)
            await scatter(log, batches(b"0", *LOGS))
            await scatter(log, batches(b"1", *LOGS[:2]))
            await log.append(batches(b"2", LOGS[1]))
            for _ in range(3):  # the file is full
                assert isinstance((await log.append([Batch(LOGS[3], [b"k"], [bytes(FILE_BYTES // 3)])]))[0], Appended)
            await scatter(log, batches(b"3", *LOGS[:2]))
            await log.settle()
            assert [len(held.ranges) for held in log._ledger.segments] == [4]
            assert await read_all(log, LOGS[0]) == told(b"0", b"1", b"3")
            assert await read_all(log, LOGS[1]) == told(b"0", b"1", b"2", b"3")
            noted = log._commons.tips.scatters_since(log._logs[LOGS[0]].place, 0)
            assert log._commons.scatters.blocks(noted) == log._logs[LOGS[0]].blocks
        async with opened(tmp_path) as (log, found):
            assert found.damage == []
            assert [(await log.bounds(name)).end.offset for name in LOGS[:3]] == [6, 8, 2]
            assert await read_all(log, LOGS[1]) == told(b"0", b"1", b"2", b"3")

    asyncio.run(scenario())


def test_scatter_when_it_was_read_and_its_file_is_settled_then_none_of_its_blocks_is_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, CACHED) as (log, _):
            await log.create(LOGS)
            await scatter(log, batches(b"0", *LOGS))
            states = [log._logs[name] for name in LOGS[:2]]
            assert [len(state.blocks) for state in states] == [1, 1]
            for _ in range(4):  # the file is full
                await log.append([Batch(LOGS[3], [b"k"], [bytes(FILE_BYTES // 3)])])
            await log.settle()
            assert [state.blocks for state in states] == [[], []]
            assert await read_all(log, LOGS[0]) == told(b"0")

    asyncio.run(scenario())


def test_scatter_when_a_log_is_trimmed_or_dropped_then_its_blocks_are_not_found_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, CACHED) as (log, _):
            await log.create(LOGS)
            for word in (b"0", b"1"):
                await scatter(log, batches(word, *LOGS))
            state = log._logs[LOGS[1]]
            await log.trim(LOGS[0], Position(0, 2))
            assert [block.end for block in log._logs[LOGS[0]].blocks] == [4]
            assert await read_all(log, LOGS[0]) == told(b"1")
            await log.drop([LOGS[1]])
            assert (state.piece_at(0), state.blocks) == (None, [])

    asyncio.run(scenario())


def test_find_time_when_records_came_by_scatter_then_it_finds_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create(LOGS)
            [first] = await scatter(log, batches(b"0", LOGS[0]))
            [other] = await scatter(log, batches(b"1", LOGS[1]))
            assert isinstance(first, Appended)
            assert isinstance(other, Appended)
            assert await log.find_time(LOGS[0], first.arrival_ms) == Position(0, 0)
            assert await log.find_time(LOGS[0], first.arrival_ms + 1) == Position(0, 2)

    asyncio.run(scenario())
