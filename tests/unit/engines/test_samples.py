"""Every storage format that was released can be read for ever: the kept sample directories."""

import asyncio
import shutil
from pathlib import Path

import pytest

from penstock.engines.api import LogId, NoSuchLog, Position, RecordLog
from penstock.engines.local.log import Options, open_log
from penstock.engines.local.meta import SqliteMeta
from penstock.host.clock import SystemClock
from penstock.host.disk import SystemDisk
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks

SAMPLES = Path(__file__).parent.parent.parent / "samples"


async def _records(log: RecordLog, name: str) -> list[tuple[bytes, bytes]]:
    page = await log.read(LogId(name), Position(0, 0), 10_000, 10_000_000)
    found = list(zip(page.keys, page.data, strict=True))
    while page.next != page.end:
        page = await log.read(LogId(name), page.next, 10_000, 10_000_000)
        found += zip(page.keys, page.data, strict=True)
    return found


def _written(number: int) -> tuple[bytes, bytes]:
    return b"key-%d" % (number % 7), b"%04d" % number + bytes(number)


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("format-*")), ids=lambda sample: sample.name)
def test_sample_directory_when_it_is_opened_then_all_it_holds_is_there(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(sample, folder)

    async def scenario() -> None:
        disk, tasks = SystemDisk(folder), LoopTasks()
        options = Options(journal_file_bytes=64 * 1024)
        log, found = await open_log(disk, SystemClock(), SystemEntropy(), tasks, options)
        assert (found.damage, found.torn) == ([], False)
        late = [row for number in range(200, 210) for row in (("ключ".encode(), b"%04d" % number), (b"", b"\xff\x00"))]
        for _ in range(2):  # before and after everything is settled
            assert await _records(log, "one/0") == [_written(number) for number in range(200)] + late
            assert await _records(log, "one/1") == [_written(number) for number in range(100)]
            assert await _records(log, "two/0") == [_written(number) for number in range(150, 200)]
            await log.settle()
        assert (await log.bounds(LogId("one/1"))).sealed
        bounds = await log.bounds(LogId("two/0"))
        assert (bounds.start, bounds.end) == (Position(0, 150), Position(0, 200))
        first = await log.read(LogId("one/0"), Position(0, 0), 1, 1)
        assert 1_800_000_000_000 < first.arrivals_ms[0] < 1_800_000_020_000
        with pytest.raises(NoSuchLog):
            await log.bounds(LogId("two/1"))
        meta = await SqliteMeta.open(folder / "meta.sqlite")
        assert [(key, held.value) for key, held in await meta.scan("")] == [("b", b"2"), ("c", b"3")]
        assert await meta.check() == []
        await meta.close()
        await log.close()
        disk.close()

    asyncio.run(scenario())
