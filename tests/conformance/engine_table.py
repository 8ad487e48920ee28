"""The engines that the conformance suite runs on, and the decorator that runs a scenario on each.

To hold a new engine to the contract of penstock/engines/api.py, add a row to ENGINES: how to open it on a clock and an empty folder.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from penstock.core.ids import Millis
from penstock.core.ports import Clock
from penstock.engines.api import Appended, Batch, LogId, MetaStore, Page, Position, RecordLog
from penstock.engines.local.log import Options, open_log
from penstock.engines.local.meta import SqliteMeta
from penstock.engines.memory import MemoryLog, MemoryMeta
from penstock.host.disk import SystemDisk
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks

HANG_S: Final = 60  # longest that a scenario may take before it counts as hanging


class Engine(NamedTuple):
    """The stores of one opened engine."""

    log: RecordLog
    meta: MetaStore


SMALL_FILES: Final = Options(journal_file_bytes=1 << 20, tail_cache_bytes=1000)  # so that reads go to every place
Open = Callable[[Clock, Path], AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def _open_memory(clock: Clock, _folder: Path) -> AsyncIterator[Engine]:
    yield Engine(MemoryLog(clock), MemoryMeta())


@asynccontextmanager
async def _open_local(clock: Clock, folder: Path) -> AsyncIterator[Engine]:
    disk, tasks = SystemDisk(folder), LoopTasks()
    log, _ = await open_log(disk, clock, SystemEntropy(), tasks, SMALL_FILES)
    meta = await SqliteMeta.open(folder / "meta.sqlite")
    yield Engine(log, meta)
    await log.close()
    await meta.close()
    disk.close()


ENGINES: Final[dict[str, Open]] = {
    "memory": _open_memory,
    "local": _open_local,
}


class SetClock:
    """A clock that stands where a test puts it."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def now_ms(self) -> Millis:
        return Millis(self.ms)

    async def sleep(self, duration_ms: int) -> None:
        raise AssertionError("an engine that the suite runs on needs no sleep")


class World(NamedTuple):
    """What a scenario is given: an empty engine, and its clock."""

    log: RecordLog
    meta: MetaStore
    clock: SetClock


Scenario = Callable[[World], Coroutine[Any, Any, None]]


def on_every_engine(scenario: Scenario) -> Callable[[Open, Path], None]:
    """Make a test of a coroutine function: one run an engine, on an engine of its own."""

    @pytest.mark.parametrize("opened", ENGINES.values(), ids=list(ENGINES))
    def test(opened: Open, tmp_path: Path) -> None:
        async def run() -> None:
            clock = SetClock()
            async with asyncio.timeout(HANG_S), opened(clock, tmp_path) as engine:
                await scenario(World(engine.log, engine.meta, clock))

        asyncio.run(run())

    test.__name__ = scenario.__name__
    test.__module__ = scenario.__module__
    return test


A: Final = LogId("aaaaaaaaaaaaaaaaaaaa-aaa/0")
B: Final = LogId("aaaaaaaaaaaaaaaaaaaa-aaa/1")
ABSENT: Final = LogId("zzzzzzzzzzzzzzzzzzzz-zzz/0")
MUCH: Final = 10**9  # more records or bytes than any scenario writes


async def put(log: RecordLog, name: LogId, *data: bytes) -> Appended:
    """Append one batch, each record under the key `k`."""
    [outcome] = await log.append([Batch(name, [b"k"] * len(data), list(data))])
    assert isinstance(outcome, Appended)
    return outcome


async def filled(log: RecordLog, name: LogId, count: int, per_batch: int = 3) -> Position:
    """Create a log that holds the records b"0", b"1", ...; answer where the first lies."""
    await log.create([name])
    for first in range(0, count, per_batch):
        await put(log, name, *(b"%d" % number for number in range(first, min(first + per_batch, count))))
    return (await log.bounds(name)).start


async def read_all(log: RecordLog, name: LogId, position: Position | None = None) -> list[bytes]:
    """The data of every record from a position (or the start) to the end as it is at first, page by page."""
    at = position if position is not None else (await log.bounds(name)).start
    end = (await log.bounds(name)).end
    found: list[bytes] = []
    while True:
        page = await log.read(name, at, MUCH, MUCH)
        found.extend(page.data)
        if page.next >= end:
            return found
        assert page.next > at, "a page below the end makes progress"
        at = page.next


def check_page(page: Page) -> None:
    """What holds of every page: columns of one length, dense offsets, arrivals that never go down."""
    assert len(page.keys) == len(page.data) == len(page.arrivals_ms)
    if page.first.incarnation == page.next.incarnation:
        assert page.next.offset - page.first.offset == len(page.data)
    assert page.first <= page.next <= page.end
    assert list(page.arrivals_ms) == sorted(page.arrivals_ms)


def moved(position: Position, by: int) -> Position:
    """A position some records on."""
    return Position(position.incarnation, position.offset + by)


async def turns(count: int) -> None:
    """Let everything else on the loop run, `count` times."""
    for _ in range(count):
        await _Turn()


class _Turn:
    """One turn of the loop."""

    def __await__(self) -> Any:
        yield


def begin(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start work beside the scenario, which must await it."""
    return asyncio.get_running_loop().create_task(work)


def data_of(batches: Sequence[Batch]) -> list[bytes]:
    """The data of several batches, in order."""
    return [data for batch in batches for data in batch.data]
