"""Data directories for tests: made by the real engine on the real disk, with metadata as the streams service writes it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from penstock.core.ids import AccountId, Millis, Region, StreamName, StreamUid
from penstock.core.ports import Clock, Disk
from penstock.engines.api import Appended, Batch, LogId, Position, Write
from penstock.engines.local.log import LocalLog, Options, open_log
from penstock.engines.local.meta import SqliteMeta
from penstock.host.clock import SystemClock
from penstock.host.disk import SystemDisk
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks
from penstock.services.streams.state import Shard, Stream, encode
from penstock.services.streams.topology import uniform

FILE_BYTES: Final = 1 << 20  # of a journal file
ORDERS: Final = StreamUid("orders00000000000000-000")
CLICKS: Final = StreamUid("clicks00000000000000-000")
NAMES: Final = {ORDERS: "orders", CLICKS: "clicks"}
CREATED_S: Final = 1_700_000_000


class SetClock:
    """A clock that goes on by itself, a millisecond a look."""

    def __init__(self) -> None:
        self.ms = CREATED_S * 1000

    def now_ms(self) -> Millis:
        self.ms += 1
        return Millis(self.ms)

    async def sleep(self, duration_ms: int) -> None:
        await SystemClock().sleep(duration_ms)


def log_of(uid: StreamUid, number: int) -> LogId:
    """The log of a shard."""
    return LogId(f"{uid}/{number}")


def payload(log: LogId, offset: int, length: int = 500) -> bytes:
    """What the record at an offset of a log holds: so that every record tells whether it is the right one."""
    told = f"{log} {offset} ".encode()
    noise = hashlib.sha256(told).digest()
    return told + (noise * (length // len(noise) + 1))[: max(0, length - len(told))]


@asynccontextmanager
async def engine(
    path: Path, disk: Disk | None = None, clock: Clock | None = None, options: Options | None = None
) -> AsyncIterator[LocalLog]:
    """The engine on a directory, stopped in order at the end."""
    own = SystemDisk(path) if disk is None else None
    tasks = LoopTasks()
    await asyncio.to_thread(path.mkdir, exist_ok=True)
    log, _ = await open_log(
        disk or own or SystemDisk(path),
        clock or SystemClock(),
        SystemEntropy(),
        tasks,
        options or Options(journal_file_bytes=FILE_BYTES),
    )
    try:
        yield log
    finally:
        await log.close()
        await tasks.stop()
        if own is not None:
            own.close()


async def put(log: LocalLog, name: LogId, count: int) -> None:
    """Append records that say where they lie."""
    first = (await log.bounds(name)).end.offset
    offsets = range(first, first + count)
    [outcome] = await log.append([Batch(name, [b"key"] * count, [payload(name, offset) for offset in offsets])])
    assert isinstance(outcome, Appended), outcome
    assert outcome.first == Position(0, first)


async def read_all(log: LocalLog, name: LogId) -> dict[int, bytes]:
    """Every record that the engine serves, by offset."""
    bounds = await log.bounds(name)
    at, found = bounds.start, dict[int, bytes]()
    while at < bounds.end:
        page = await log.read(name, at, 1000, 10 << 20)
        found |= {page.first.offset + number: data for number, data in enumerate(page.data)}
        assert page.next > at, "a page below the end makes progress"
        at = page.next
    return found


async def write_metadata(path: Path, shards: Sequence[tuple[StreamUid, int]]) -> None:
    """meta.sqlite for streams of so many shards each."""
    meta = await SqliteMeta.open(path / "meta.sqlite")
    for uid, count in shards:
        stream = Stream(
            account=AccountId("123456789012"),
            region=Region("us-east-1"),
            name=StreamName(NAMES[uid]),
            uid=uid,
            created_ms=Millis(CREATED_S * 1000),
            status="ACTIVE",
            mode="PROVISIONED",
        )
        held = [
            Shard(
                uid=uid,
                no=number,
                hash_start=str(span.start),
                hash_end=str(span.end),
                created_ms=Millis(CREATED_S * 1000),
                created_s=CREATED_S,
            )
            for number, span in enumerate(uniform(count))
        ]
        writes = [Write(shard.key, encode(shard), 0) for shard in held]
        await meta.commit([Write(stream.key, encode(stream), 0), *writes])
    await meta.close()


async def fill(path: Path, *, settled: int = 6, tail: int = 4) -> list[LogId]:
    """A directory of two streams, with records in segments and in the journal; answers its logs.  Batches hold 100 records."""
    logs = [log_of(ORDERS, 0), log_of(ORDERS, 1), log_of(CLICKS, 0)]
    await asyncio.to_thread(path.mkdir, exist_ok=True)
    await write_metadata(path, [(ORDERS, 2), (CLICKS, 1)])
    async with engine(path, clock=SetClock()) as log:
        await log.create(logs)
        for _ in range(settled):
            for name in logs:
                await put(log, name, 100)
                await put(log, name, 100)
    async with engine(path, clock=SetClock()) as log:  # what the journal held is settled now
        await log.settle()
        for _ in range(tail):
            for name in logs:
                await put(log, name, 100)
    return logs
