"""What deliveries hold in memory: every byte that Python allocates is counted, not what the process has."""

import asyncio
import tracemalloc

import pytest
from delivery_world import DeliveryWorld, FailingBuckets, Scripted, Told, delivered, refused
from streams_world import run, turns

from penstock.core.limits import MIB
from penstock.engines.api import LogId, Page, Position
from penstock.engines.buckets import PLAIN, Body, ObjectHead
from penstock.engines.column import DATA_WIDTH, Column
from penstock.engines.memory import MemoryLog
from penstock.services.firehose import fleet
from penstock.services.firehose.spare import Spare

HINT_BYTES = 4 * MIB
SPARE_BYTES = 4 * MIB
RECORDS = 1000  # that wait in each delivery stream
RECORD_BYTES = 20_000
ON_ITS_WAY_BYTES = 2 * MIB  # of each: a page that comes in beyond the room, what compression is at
WORLD_BYTES = MIB


class ReadingLog(MemoryLog):
    """Gives away copies, as a log on a disk does."""

    async def read(self, log: LogId, position: Position, max_records: int, max_bytes: int) -> Page:
        page = await super().read(log, position, max_records, max_bytes)
        return page._replace(data=Column.of([*page.data, b""], DATA_WIDTH)[: len(page.data)])


class SlowBuckets(FailingBuckets):
    """Takes a piece of an object now and then, and keeps none."""

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        assert not isinstance(body, bytes)
        for _ in body:
            await turns(5)


class Untold(Told):
    """Nothing is told of metrics."""

    def take(self, *_: object) -> None:
        pass


async def backlog(world: DeliveryWorld, names: list[str], compression: str) -> None:
    """Records that wait in the logs of delivery streams, none of which is at work."""
    world.log = ReadingLog(world.clock)
    await world.start()
    for name in names:
        hints = {"SizeInMBs": HINT_BYTES // MIB, "IntervalInSeconds": 60}
        await world.create(name=name, BufferingHints=hints, CompressionFormat=compression)
    await world.firehose.fleet.close()
    batch = [bytes([number]) * RECORD_BYTES for number in range(100)]
    for name in names:
        for _ in range(RECORDS // 100):
            await world.put(*batch, name=name)
    await world.stop()


@pytest.mark.parametrize("compression", ["UNCOMPRESSED", "GZIP", "ZIP", "Snappy"])
@pytest.mark.parametrize("count", [1, 4])
def test_memory_when_a_backlog_is_delivered_then_it_is_the_sum_of_the_buffers_and_the_spare(
    count: int, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> int:
        monkeypatch.setattr(fleet, "SPARE_BYTES", SPARE_BYTES)
        world = DeliveryWorld(buckets=SlowBuckets(), told=Untold())
        names = [f"d{number}" for number in range(count)]
        await backlog(world, names, compression)
        tracemalloc.start()
        await world.start()
        crews = world.firehose.fleet.crews.values
        while sum(position.offset for crew in crews() for _, _, position in crew.source.lanes) < count * RECORDS:
            await turns(100)
        await world.clock.advance(61_000)
        while any(stage.held_bytes for crew in crews() for stage in crew.runner.stages):
            await turns(100)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(crew.report.delivered_records for crew in crews()) == count * RECORDS
        await world.stop()
        return peak_bytes

    found: list[int] = []

    async def measured() -> None:
        found.append(await story())

    run(measured())
    lent_bytes = SPARE_BYTES if count > 1 else SPARE_BYTES // 2
    assert found[0] < count * (HINT_BYTES + ON_ITS_WAY_BYTES) + lent_bytes + WORLD_BYTES


def test_memory_when_a_destination_is_stuck_then_its_source_is_read_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(fleet, "SPARE_BYTES", 2 * MIB)
        world = DeliveryWorld(destination=Scripted(otherwise=refused, retry_ms=10**9))
        await world.start()
        await world.create_scripted()
        for _ in range(20):
            await world.put(*[b"x" * 1000] * 500)
        progress = await world.progress()
        [stage] = [stage for stage in progress.stages if stage.name == "delivery"]
        assert stage.held_bytes <= 3 << 20  # its parcel, half of the spare memory, a page that was being read
        assert progress.lanes[0].unread_records > 5000
        world.destination.otherwise = delivered
        await world.clock.advance(300_000)
        assert len(world.destination.got) == 10_000
        await world.stop()

    run(story())


def test_memory_when_a_delivery_stream_is_deleted_then_what_it_borrowed_is_there_again() -> None:
    async def story() -> None:
        world = DeliveryWorld(destination=Scripted(otherwise=refused, retry_ms=10**9))
        await world.start()
        await world.create_scripted()
        for _ in range(10):
            await world.put(*[b"x" * 1000] * 500)
        [crew] = world.firehose.fleet.crews.values()
        assert crew.runner.main.held_bytes > 2 * MIB
        await world.firehose.fleet.close()
        assert world.firehose.fleet.spare.left_bytes == fleet.SPARE_BYTES
        await world.stop()

    run(story())


def test_spare_when_some_never_give_back_then_the_next_finds_half_of_what_they_found() -> None:
    spare = Spare(1024)
    for left_bytes in (512, 256, 128, 64):
        borrowed = 0
        while spare.lends(borrowed):
            spare.move(1)
            borrowed += 1
        assert spare.left_bytes == left_bytes


def test_spare_when_something_is_given_back_then_who_waits_is_woken() -> None:
    async def story() -> None:
        spare, woken = Spare(10), asyncio.Event()
        spare.move(10)
        spare.wait(woken.set)
        spare.move(1)
        assert not woken.is_set()
        spare.move(-1)
        assert woken.is_set()
        woken.clear()
        spare.leave(woken.set)
        spare.move(-1)
        assert not woken.is_set()

    run(story())
