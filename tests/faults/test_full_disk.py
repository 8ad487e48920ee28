"""A full disk, on a small file system: writes are refused and nothing else; when there is space again, so are there writes.

The file system is a tmpfs of our own where this process may mount one; elsewhere a disk that counts.  Both say ENOSPC.
"""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from data_directory import SetClock, engine, payload, put, read_all
from disks import Counted

from penstock.core.ports import Disk
from penstock.engines.api import Appended, AppendError, Batch, LogId, Unavailable
from penstock.engines.local.log import LocalLog
from penstock.host.clock import SystemClock
from penstock.storage.check import check
from penstock.storage.directory import DataDirectory

SIZE_BYTES: Final = 24 << 20
LOG: Final = LogId("orders00000000000000-000/0")
BATCH: Final = 200
RETRY_MS: Final = 1000
PATIENCE_S: Final = 60


@contextmanager
def mounted(path: Path) -> Iterator[bool]:
    """A small file system at `path`; False where there can be none."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "penstock-test", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        done = False
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", path], check=True)


class Hasty(SetClock):
    """A clock on which waits are short."""

    async def sleep(self, duration_ms: int) -> None:
        await SystemClock().sleep(duration_ms // 20)


@pytest.mark.parametrize("kind", ["mounted", "counted"])
def test_a_full_disk_refuses_writes_and_nothing_else(kind: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "small") as real:
        directory, filler = tmp_path / "small" / "data", tmp_path / "small" / "filler"
        disk = None if real and kind == "mounted" else Counted(directory, SIZE_BYTES)
        if disk is None:
            filler.write_bytes(bytes(SIZE_BYTES // 2))
        else:
            disk.taken_bytes = SIZE_BYTES // 2

        def free() -> None:
            if disk is None:
                filler.unlink()
            else:
                disk.taken_bytes = 0

        acknowledged = asyncio.run(fill_free_and_go_on(directory, disk, free))
        if disk is not None:
            disk.close()
        assert asyncio.run(reopened(directory)) == acknowledged
        damage = check(DataDirectory(directory), lambda _count: None).damage
        assert [finding for finding in damage if finding.path != "meta.sqlite"] == []


async def fill_free_and_go_on(directory: Path, disk: Disk | None, free: Callable[[], None]) -> int:
    """Write until nothing goes any more, free space, write on; how many records were acknowledged."""
    clock = Hasty()
    async with engine(directory, disk, clock) as log:
        await log.create([LOG])
        full = await append_until_refused(log, clock)
        assert full > 10 * BATCH
        assert (await log.bounds(LOG)).end.offset == full, "what was refused is not there"
        assert await matching(log) == full, "reads go on"
        free()
        async with asyncio.timeout(PATIENCE_S):
            while not isinstance(await append(log), Appended):
                await clock.sleep(RETRY_MS)
        for _ in range(30):
            await put(log, LOG, BATCH)
        assert await matching(log) == full + 31 * BATCH
        return full + 31 * BATCH


async def append(log: LocalLog) -> Appended | AppendError:
    first = (await log.bounds(LOG)).end.offset
    data = [payload(LOG, offset) for offset in range(first, first + BATCH)]
    [outcome] = await log.append([Batch(LOG, [b"key"] * BATCH, data)])
    return outcome


async def append_until_refused(log: LocalLog, clock: Hasty) -> int:
    """Write until it is refused for good: settling makes room for a while.  How many records were acknowledged."""
    refused = count = 0
    while refused < 5:
        outcome = await append(log)
        if isinstance(outcome, Appended):
            refused, count = 0, count + BATCH
        else:
            assert isinstance(outcome, Unavailable), outcome
            refused += 1
            await clock.sleep(RETRY_MS)
    return count


async def matching(log: LocalLog) -> int:
    """How many records are served; each is the right one."""
    found = await read_all(log, LOG)
    assert all(data == payload(LOG, offset) for offset, data in found.items())
    return len(found)


async def reopened(directory: Path) -> int:
    async with engine(directory) as log:
        assert log.damage == []
        return await matching(log)
