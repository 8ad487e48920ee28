"""The files of the journal: the next one has its name before it is needed, and nothing else."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from penstock.engines.api import Appended, AppendError, Batch, LogId, Position, Unavailable
from penstock.engines.local import journal
from penstock.engines.local.log import LocalLog, Options, open_log
from penstock.engines.local.recovery import Recovered
from penstock.host.clock import SystemClock
from penstock.host.disk import SystemDisk
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks
from penstock.storage.directory import DataDirectory

FILE_BYTES = 64 * 1024
RECORD_BYTES = 10_000
OF_A_FILE = 4  # with what else is in the first; a second takes as many
A = LogId("aaaa/0")


class WatchedFolder(SystemDisk):
    """A disk that tells when the journal's folder was synced, and waits, or fails, when it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.synced = asyncio.Semaphore(0)
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails_once = 0  # at the sync of that number
        self.failed = asyncio.Event()

    async def sync_folder(self, path: str) -> None:
        if path == journal.FOLDER:
            await self.gate.wait()
            self.fails_once -= 1
            if self.fails_once == 0:
                self.failed.set()
                raise OSError(errno.EIO, "the folder is broken")
        await super().sync_folder(path)
        if path == journal.FOLDER:
            self.synced.release()


@asynccontextmanager
async def opened(disk: SystemDisk) -> AsyncIterator[tuple[LocalLog, Recovered]]:
    options = Options(journal_file_bytes=FILE_BYTES)
    log, found = await open_log(disk, SystemClock(), SystemEntropy(), LoopTasks(), options)
    try:
        yield log, found
    finally:
        await log.close()
        disk.close()


async def put(log: LocalLog, count: int) -> list[Appended | AppendError]:
    outcomes: list[Appended | AppendError] = []
    for _ in range(count):
        outcomes += await log.append([Batch(A, [b"k"], [bytes(RECORD_BYTES)])])
    return outcomes


def test_going_on_to_the_next_file_waits_for_no_folder(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = WatchedFolder(tmp_path)
        async with opened(disk) as (log, _):
            await log.create([A])
            try:
                async with asyncio.timeout(30):
                    for _ in ("the first file", "the next one"):
                        await disk.synced.acquire()
                    disk.gate.clear()
                    outcomes = await put(log, 2 * OF_A_FILE)
            finally:
                disk.gate.set()
            assert all(isinstance(outcome, Appended) for outcome in outcomes)
            assert len(DataDirectory(tmp_path).journal_numbers(0)) == 2

    asyncio.run(scenario())


def test_restart_when_a_file_has_only_its_name_then_it_is_a_spare_and_the_name_is_given_again(tmp_path: Path) -> None:
    async def run_once(count: int) -> None:
        disk = WatchedFolder(tmp_path)
        async with opened(disk) as (log, found):
            assert found.damage == []
            if not await log.names():
                await log.create([A])
            await put(log, count)
            await disk.synced.acquire()
            await disk.synced.acquire()

    asyncio.run(run_once(1))
    [first] = DataDirectory(tmp_path).journal_numbers(0)
    names = [path.name for path in sorted((tmp_path / "journal").iterdir())]
    assert names[:2] == [f"{first:016d}", f"{first + 1:016d}"]
    asyncio.run(run_once(1))
    manifest = DataDirectory(tmp_path).find_manifest().manifest
    assert manifest.first_file_no == first + 1, "what is recovered is settled"
    assert DataDirectory(tmp_path).journal_numbers(manifest.first_file_no) == [first + 1]


def test_append_when_the_folder_could_not_be_synced_then_the_file_is_not_used_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        disk = WatchedFolder(tmp_path)
        async with opened(disk) as (log, _):
            disk.fails_once = 2
            await log.create([A])
            await disk.failed.wait()
            outcomes = await put(log, 3 * OF_A_FILE)
            assert isinstance(outcomes[-1], Unavailable)
            count = sum(isinstance(outcome, Appended) for outcome in outcomes)
            assert 0 < count < 3 * OF_A_FILE
        disk = WatchedFolder(tmp_path)
        async with opened(disk) as (log, found):
            assert found.damage == []
            page = await log.read(A, Position(0, 0), 100, 1 << 20)
            assert len(page.data) == count

    asyncio.run(scenario())


def test_close_when_a_file_is_being_named_closes_it_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = WatchedFolder(tmp_path)
        async with opened(disk) as (log, _):
            await log.create([A])
            for _ in ("the first file", "the next one"):
                await disk.synced.acquire()
            disk.gate.clear()
            await put(log, OF_A_FILE + 1)  # takes the next: another is to be named, and waits

    asyncio.run(scenario())
    held = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert not [path for path in held if path.is_relative_to(tmp_path)]
