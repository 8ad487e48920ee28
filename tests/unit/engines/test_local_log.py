"""The durable log across restarts, where the conformance suite cannot look."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from penstock.engines.api import Appended, Batch, LogId, NoSuchLog, Overloaded, Position, TooLarge, Unavailable
from penstock.engines.local import log as local_log
from penstock.engines.local.log import LocalLog, Options, open_log
from penstock.engines.local.recovery import Recovered
from penstock.host.clock import SystemClock
from penstock.host.disk import SystemDisk, SystemFile
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks

FILE_BYTES = 64 * 1024
A, B = LogId("aaaa/0"), LogId("bbbb/0")


@asynccontextmanager
async def opened(folder: Path, options: Options | None = None) -> AsyncIterator[tuple[LocalLog, Recovered]]:
    """The log of a folder, and what recovery found."""
    disk, tasks = SystemDisk(folder), LoopTasks()
    chosen = options or Options(journal_file_bytes=FILE_BYTES, tail_cache_bytes=0, block_cache_bytes=0)
    log, found = await open_log(disk, SystemClock(), SystemEntropy(), tasks, chosen)
    try:
        yield log, found
    finally:
        await log.close()
        disk.close()


async def put(log: LocalLog, name: LogId, count: int, size_bytes: int = 1000) -> list[bytes]:
    """Append `count` records one by one; answer their data."""
    data = [b"%06d" % number + bytes(size_bytes) for number in range(count)]
    for blob in data:
        [outcome] = await log.append([Batch(name, [b"k"], [blob])])
        assert isinstance(outcome, Appended), outcome
    return data


async def read_all(log: LocalLog, name: LogId) -> list[bytes]:
    """Everything that a log holds."""
    found: list[bytes] = []
    position = Position(0, 0)
    while True:
        page = await log.read(name, position, 7, 5000)
        found += page.data
        if page.next == page.end:
            return found
        position = page.next


class Gated(SystemDisk):
    """A disk that writes no journal file before it is let."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = asyncio.Event()

    async def create(self, path: str, size_bytes: int = 0) -> SystemFile:
        if size_bytes:
            await self.gate.wait()
        return await super().create(path, size_bytes)


def test_start_when_journal_files_take_long_to_write_then_writes_wait_for_them_and_nothing_else_does(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        disk, tasks = Gated(tmp_path), LoopTasks()
        opening = open_log(disk, SystemClock(), SystemEntropy(), tasks, Options(journal_file_bytes=FILE_BYTES))
        log, _ = await asyncio.wait_for(opening, 60)
        creating = asyncio.get_running_loop().create_task(log.create([A]))
        assert await log.names() == []
        assert not creating.done()
        disk.gate.set()
        await creating
        data = await put(log, A, 3)
        assert await read_all(log, A) == data
        await log.close()
        disk.close()

    asyncio.run(scenario())


def test_restart_when_records_lie_in_segments_and_journal_then_all_are_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create([A])
            data = await put(log, A, 100)
            await log.settle()
            data += await put(log, A, 30)
        async with opened(tmp_path) as (log, found):
            assert found.damage == []
            assert await read_all(log, A) == data
            await log.settle()
            assert await read_all(log, A) == data
        segments = list((tmp_path / "segments" / "aaaa").iterdir())
        assert len(segments) >= 2

    asyncio.run(scenario())


def test_restart_when_everything_was_trimmed_and_settled_then_offsets_are_not_used_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create([A])
            await put(log, A, 60)
            await log.trim(A, Position(0, 60))
            await put(log, A, 60)
            await log.trim(A, Position(0, 120))
            await log.settle()
        async with opened(tmp_path) as (log, _):
            await log.settle()
        async with opened(tmp_path) as (log, _):
            bounds = await log.bounds(A)
            assert (bounds.start, bounds.end) == (Position(0, 120), Position(0, 120))
            assert bounds.last_arrival_ms is not None
        assert [file for stream in (tmp_path / "segments").iterdir() for file in stream.iterdir()] == []

    asyncio.run(scenario())


def test_drop_when_its_records_are_settled_then_their_space_is_free(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create([A, B])
            kept = await put(log, A, 60)
            await put(log, B, 60)
            await log.settle()
            before = log.disk_bytes
            await log.drop([B])
            await log.settle()
            assert log.disk_bytes < before - 40_000
            assert list((tmp_path / "segments" / "bbbb").iterdir()) == []
            with pytest.raises(NoSuchLog):
                await log.read(B, Position(0, 0), 1, 1)
            kept += await put(log, A, 120)  # the journal file that tells of it is used again
            await log.settle()
        async with opened(tmp_path) as (log, _):
            assert await log.names() == [A]
            assert await read_all(log, A) == kept

    asyncio.run(scenario())


def test_create_when_a_drop_of_that_name_is_under_way_then_it_is_a_new_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create([A])
            await put(log, A, 3)
            await asyncio.gather(log.drop([A]), log.create([A]))
            assert (await log.bounds(A)).end == Position(0, 0)
        async with opened(tmp_path) as (log, _):
            assert await read_all(log, A) == []

    asyncio.run(scenario())


def test_append_when_the_soft_limit_is_reached_then_writes_are_refused_and_reads_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        limit = 4 * FILE_BYTES
        options = Options(journal_file_bytes=FILE_BYTES, max_disk_bytes=limit)
        async with opened(tmp_path, options) as (log, _):
            await log.create([A])
            written = 0
            outcome: object = None
            for _ in range(1000):
                [outcome] = await log.append([Batch(A, [b"k"], [bytes(1000)])])
                if not isinstance(outcome, Appended):
                    break
                written += 1
            assert isinstance(outcome, Unavailable)
            assert len(await read_all(log, A)) == written > 0
            await log.trim(A, Position(0, written))
            await log.settle()
            [outcome] = await log.append([Batch(A, [b"k"], [b"again"])])
            assert isinstance(outcome, Appended)

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert "--max-disk" in caplog.text


def test_append_when_it_is_too_large_for_a_journal_file_then_it_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create([A])
            outcomes = await log.append([Batch(A, [b"k"], [bytes(FILE_BYTES)]), Batch(A, [b"k"], [b""])])
            assert all(isinstance(outcome, TooLarge) for outcome in outcomes)

    asyncio.run(scenario())


def test_append_when_settling_lags_behind_then_writers_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_log, "UNSETTLED_FILES_MAX", 0)

    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create([A])
            outcomes = await asyncio.gather(*(log.append([Batch(A, [b"k"], [bytes(9000)])]) for _ in range(40)))
            assert all(isinstance(outcome, Appended) for [outcome] in outcomes)
            assert len(await read_all(log, A)) == 40

    asyncio.run(scenario())


def test_append_when_settling_fails_then_it_is_put_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_log, "UNSETTLED_FILES_MAX", 0)

    async def fail(_self: SystemDisk, path: str) -> None:
        raise OSError(f"cannot make {path}")

    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create([A])
            monkeypatch.setattr(SystemDisk, "make_folder", fail)
            outcome: object = None
            for _ in range(40):
                [outcome] = await log.append([Batch(A, [b"k"], [bytes(9000)])])
                if not isinstance(outcome, Appended):
                    break
            assert isinstance(outcome, Overloaded)
            monkeypatch.undo()

    asyncio.run(scenario())


def test_a_commit_waits_for_others_when_told_to(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = Options(journal_file_bytes=FILE_BYTES, commit_wait_ms=20)
        async with opened(tmp_path, options) as (log, _):
            await log.create([A])
            outcomes = await asyncio.gather(*(log.append([Batch(A, [b"k"], [b"%d" % n])]) for n in range(5)))
            assert [outcome.first.offset for [outcome] in outcomes if isinstance(outcome, Appended)] == list(range(5))

    asyncio.run(scenario())


def test_restart_when_the_newest_records_of_a_log_are_damaged_then_their_offsets_are_not_given_again(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as (log, _):
            await log.create([A, B])
            data = await put(log, A, 10)
            await put(log, B, 2)
        journal = next(file for file in (tmp_path / "journal").iterdir() if data[9] in file.read_bytes())
        content = journal.read_bytes()
        journal.write_bytes(content.replace(data[9], b"x" + data[9][1:]))
        async with opened(tmp_path) as (log, found):
            assert len(found.damage) == 1
            assert await read_all(log, A) == data[:9]
            [outcome] = await log.append([Batch(A, [b"k"], [b"later"])])
            assert isinstance(outcome, Appended)
            assert outcome.first.offset > 9
            assert await read_all(log, A) == [*data[:9], b"later"]
            assert (await log.read(A, Position(0, 9), 10, 1000)).data == [b"later"]
            assert (await log.read(A, outcome.first, 10, 1000)).data == [b"later"]

    asyncio.run(scenario())
