"""The consumer against a real server: what it reads, where it goes on, and what it does with shards that end."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.clients.aws import Connection
from penstock.consumer import (
    Batch,
    Begin,
    Checkpoint,
    Checkpointer,
    Consumer,
    Pace,
    Prometheus,
    Record,
    RecordProcessor,
    Retry,
    Rhythm,
)
from penstock.consumer.store import LeaseStore
from penstock.consumer.stores.sqlite import SqliteStore
from penstock.testing import PenstockServer
from penstock.wire.aggregate import Aggregate

STREAM = "orders"
SOON_S = 60.0


class Watchful(Rhythm, frozen=True):
    """Leases are looked at often, and yet outlast whatever holds up a busy machine."""

    @property
    def scan_ms(self) -> int:
        return 50


QUICK = Watchful(failover_ms=60_000, handoff_ms=60_000)


def connection(server: PenstockServer) -> Connection:
    return Connection(
        endpoint=server.endpoint_url, region=server.region, access_key_id="test", secret_access_key="test"
    )


def make_stream(server: PenstockServer, shards: int = 2) -> Any:
    kinesis = server.client()
    kinesis.create_stream(StreamName=STREAM, ShardCount=shards)
    until_active(kinesis)
    return kinesis


def until_active(kinesis: Any) -> None:
    while kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
        pass


def put(kinesis: Any, first: int, count: int, keys: int = 10) -> None:
    entries = [
        {"Data": b"%d" % number, "PartitionKey": f"key{number % keys}"} for number in range(first, first + count)
    ]
    answer = kinesis.put_records(StreamName=STREAM, Records=entries)
    assert answer["FailedRecordCount"] == 0


class Seen:
    """What was processed, in order."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def __call__(self, records: list[Record]) -> None:
        self.add(records)

    def add(self, records: list[Record]) -> None:
        self.records += records
        for truth, waiting in self._waiting:
            if truth() and not waiting.done():
                waiting.set_result(None)

    async def until(self, truth: Callable[[], bool]) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not truth():
            self._waiting.append((truth, waiting))
            await asyncio.wait_for(waiting, SOON_S)

    async def all(self, count: int) -> None:
        await self.until(lambda: len(self.numbers) >= count)

    @property
    def numbers(self) -> set[int]:
        return {int(record.data) for record in self.records}

    def in_order(self) -> bool:
        """Whether the numbers of each key were first seen in their order."""
        last: dict[str, int] = {}
        for record in self.records:
            number = int(record.data)
            if number > last.get(record.partition_key, -1):
                if number - last.get(record.partition_key, number - 10) != 10:
                    return False
                last[record.partition_key] = number
        return True


class Fleet:
    """Consumers of one application."""

    def __init__(self, server: PenstockServer, tmp_path: Path) -> None:
        self.server = server
        self.path = tmp_path / "leases.db"
        self.seen = Seen()

    def consumer(self, processor: Any = None, **options: Any) -> Consumer:
        chosen: dict[str, Any] = {
            "stream": STREAM,
            "application": "billing",
            "processor": self.process if processor is None else processor,
            "connection": connection(self.server),
            "store": self.store(),
            "rhythm": QUICK,
            "pace": Pace(idle_ms=20),
        }
        return Consumer(**{**chosen, **options})

    async def process(self, records: list[Record]) -> None:
        await self.seen(records)

    def store(self) -> LeaseStore:
        return SqliteStore(self.path, "billing")


@pytest.fixture
def fleet(tmp_path: Path) -> Any:
    with PenstockServer() as server:
        yield Fleet(server, tmp_path)


FanOut = pytest.mark.parametrize("fan_out", [None, "billing"])


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        await asyncio.wait_for(work(), 2 * SOON_S)

    asyncio.run(within())


@FanOut
def test_consumer_when_it_begins_then_everything_is_processed_once_in_the_order_of_each_key(
    fleet: Fleet, fan_out: str | None
) -> None:
    kinesis = make_stream(fleet.server)
    put(kinesis, 0, 500)

    async def work() -> None:
        async with fleet.consumer(fan_out=fan_out):
            await fleet.seen.all(500)
            put(kinesis, 500, 500)
            await fleet.seen.all(1000)

    run(work)
    assert len(fleet.seen.records) == 1000
    assert fleet.seen.in_order()


@FanOut
def test_consumer_when_it_comes_back_then_it_goes_on_behind_its_checkpoint(fleet: Fleet, fan_out: str | None) -> None:
    kinesis = make_stream(fleet.server)

    async def work() -> None:
        for turn in range(3):
            put(kinesis, 100 * turn, 100)
            async with fleet.consumer(fan_out=fan_out):
                await fleet.seen.all(100 * (turn + 1))
            fleet.server.clock.advance(seconds=6)  # until then AWS refuses another subscription

    run(work)
    assert len(fleet.seen.records) == 300


@FanOut
def test_consumer_when_shards_split_and_merge_then_keys_stay_in_order(fleet: Fleet, fan_out: str | None) -> None:
    kinesis = make_stream(fleet.server, 2)

    async def work() -> None:
        put(kinesis, 0, 500)
        async with fleet.consumer(fan_out=fan_out) as consumer:
            for turn, count in enumerate((4, 2, 3), start=1):
                kinesis.update_shard_count(StreamName=STREAM, TargetShardCount=count, ScalingType="UNIFORM_SCALING")
                put(kinesis, 500 * turn, 500)
                until_active(kinesis)
            put(kinesis, 2000, 500)
            await fleet.seen.all(2500)
            assert len(consumer.shards) <= 7

    run(work)
    assert len(fleet.seen.records) == 2500
    assert fleet.seen.in_order()


def test_fleet_when_it_reads_in_both_ways_then_it_shares_the_shards(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 6)

    async def work() -> None:
        async with fleet.consumer() as one, fleet.consumer(fan_out="billing") as other:
            turn = 0
            while sorted((len(one.shards), len(other.shards))) != [3, 3]:
                put(kinesis, 100 * turn, 100)
                turn += 1
                await fleet.seen.all(100 * turn)
            put(kinesis, 100 * turn, 100)
            await fleet.seen.all(100 * turn + 100)
            assert not set(one.shards) & set(other.shards)

    run(work)
    assert len(fleet.seen.records) == len(fleet.seen.numbers)  # every hand-over was graceful
    assert fleet.seen.in_order()


def test_consumer_when_records_are_aggregates_then_user_records_come_out(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    aggregate = Aggregate(51200)
    for number in range(100):
        aggregate.add(f"key{number % 10}", b"%d" % number)
    packed = aggregate.pack()
    entry = {"Data": packed.data, "PartitionKey": packed.partition_key, "ExplicitHashKey": packed.explicit_hash_key}
    kinesis.put_records(StreamName=STREAM, Records=[entry])

    async def work() -> None:
        async with fleet.consumer():
            await fleet.seen.all(100)

    run(work)
    assert [int(record.data) for record in fleet.seen.records] == list(range(100))
    assert [record.sub_sequence_number for record in fleet.seen.records] == list(range(100))
    assert {record.sequence_number for record in fleet.seen.records} == {fleet.seen.records[0].sequence_number}


def test_consumer_when_it_stopped_within_an_aggregate_then_the_rest_comes_next(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    aggregate = Aggregate(51200)
    for number in range(10):
        aggregate.add("key", b"%d" % number)
    kinesis.put_record(StreamName=STREAM, Data=aggregate.pack().data, PartitionKey="a")

    class Careful(RecordProcessor):
        async def process_records(self, batch: Batch) -> None:
            if not fleet.seen.records:
                await batch.checkpoint(batch.records[3])
            fleet.seen.add(batch.records)

    async def work() -> None:
        async with fleet.consumer(Careful):
            await fleet.seen.all(10)
        async with fleet.consumer(Careful):
            await fleet.seen.until(lambda: len(fleet.seen.records) > 10)

    run(work)
    assert [int(record.data) for record in fleet.seen.records[10:]] == [4, 5, 6, 7, 8, 9]


def test_consumer_when_it_begins_at_the_latest_then_what_was_there_is_left_out(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    put(kinesis, 0, 10)

    class Waits(RecordProcessor):
        automatic = True

        async def initialize(self, shard_id: str, at: Checkpoint) -> None:
            assert at.sequence == "LATEST"

        async def process_records(self, batch: Batch) -> None:
            fleet.seen.add(batch.records)

    async def work() -> None:
        async with fleet.consumer(Waits, begin="LATEST"):
            turn = 1
            while not fleet.seen.records:
                put(kinesis, 10 * turn, 10)
                turn += 1
                await asyncio.sleep(0.05)  # noqa: TID251  # until the iterator is there

    run(work)
    assert min(fleet.seen.numbers) >= 10


def test_consumer_when_it_begins_at_a_time_then_older_records_are_left_out(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    put(kinesis, 0, 10)
    fleet.server.clock.advance(minutes=10)
    at_ms = fleet.server.clock.now_ms
    fleet.server.clock.advance(seconds=1)
    put(kinesis, 10, 10)

    async def work() -> None:
        async with fleet.consumer(begin=Begin("AT_TIMESTAMP", at_ms)):
            await fleet.seen.all(10)

    run(work)
    assert fleet.seen.numbers == set(range(10, 20))


@FanOut
def test_consumer_when_iterators_and_subscriptions_expire_then_nothing_is_missed(
    fleet: Fleet, fan_out: str | None
) -> None:
    kinesis = make_stream(fleet.server, 2)

    async def work() -> None:
        async with fleet.consumer(fan_out=fan_out):
            for turn in range(3):
                put(kinesis, 100 * turn, 100)
                await fleet.seen.all(100 * (turn + 1))
                fleet.server.clock.advance(minutes=6)

    run(work)
    assert len(fleet.seen.records) == 300


def test_consumer_when_reads_are_refused_for_a_while_then_it_goes_on(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    put(kinesis, 0, 10)

    async def work() -> None:
        async with fleet.consumer():
            await fleet.seen.all(10)
            put(kinesis, 10, 10)
            fleet.server.faults.throttle(STREAM)
            await asyncio.sleep(0.3)  # noqa: TID251  # real refusals
            fleet.server.faults.clear()
            await fleet.seen.all(20)

    run(work)
    assert len(fleet.seen.records) == 20


def test_processor_when_it_raises_then_the_batch_comes_again(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    put(kinesis, 0, 10)
    failures: list[int] = []

    async def process(records: list[Record]) -> None:
        if len(failures) < 3:
            failures.append(len(records))
            raise RuntimeError("not yet")
        fleet.seen.add(records)

    async def work() -> None:
        async with fleet.consumer(process, retry=Retry(first_ms=5)):
            await fleet.seen.all(10)

    run(work)
    assert len(failures) == 3
    assert len(fleet.seen.records) == 10


def test_processor_when_it_never_succeeds_then_the_dead_letters_have_the_batch(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    put(kinesis, 0, 1)
    dead: list[tuple[str, list[Record], str]] = []

    async def process(records: list[Record]) -> None:
        if int(records[0].data) == 0:
            raise RuntimeError("poison")
        fleet.seen.add(records)

    async def bury(shard_id: str, records: list[Record], error: Exception) -> None:
        dead.append((shard_id, records, str(error)))
        put(kinesis, 1, 10)

    async def work() -> None:
        retry = Retry(first_ms=5, attempts=2)
        async with fleet.consumer(process, retry=retry, dead_letters=bury):
            await fleet.seen.all(10)

    run(work)
    assert [(shard, [record.data for record in records], text) for shard, records, text in dead] == [
        ("shardId-000000000000", [b"0"], "poison")
    ]


def test_processor_when_it_is_a_plain_function_then_it_is_run_beside_the_loop(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    put(kinesis, 0, 10)

    async def work() -> None:
        loop = asyncio.get_running_loop()

        def process(records: list[Record]) -> None:
            loop.call_soon_threadsafe(fleet.seen.add, records)

        async with fleet.consumer(process):
            await fleet.seen.all(10)

    run(work)


def test_processor_when_its_shard_ends_then_it_is_told_so_and_the_children_come(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    put(kinesis, 0, 10)
    told: list[str] = []

    class Tells(RecordProcessor):
        async def initialize(self, shard_id: str, at: Checkpoint) -> None:
            self.shard_id = shard_id
            told.append(f"begin {shard_id[-1]} {at}")

        async def process_records(self, batch: Batch) -> None:
            fleet.seen.add(batch.records)
            await batch.checkpoint()

        async def shard_ended(self, checkpointer: Checkpointer) -> None:
            told.append(f"end {self.shard_id[-1]}")

        async def shutdown_requested(self, checkpointer: Checkpointer) -> None:
            told.append(f"leave {self.shard_id[-1]}")

    async def work() -> None:
        async with fleet.consumer(Tells):
            await fleet.seen.all(10)
            kinesis.update_shard_count(StreamName=STREAM, TargetShardCount=2, ScalingType="UNIFORM_SCALING")
            until_active(kinesis)
            put(kinesis, 10, 30)
            await fleet.seen.all(40)

    run(work)
    assert told[:2] == ["begin 0 TRIM_HORIZON", "end 0"]
    assert sorted(told[2:4]) == ["begin 1 TRIM_HORIZON", "begin 2 TRIM_HORIZON"]
    assert sorted(told[4:]) == ["leave 1", "leave 2"]


def test_consumer_when_a_signal_comes_then_it_lets_go_of_its_leases(fleet: Fleet) -> None:
    kinesis = make_stream(fleet.server, 1)
    put(kinesis, 0, 10)

    async def work() -> None:
        consumer = fleet.consumer()
        async with consumer:
            await fleet.seen.all(10)
            asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGTERM)
            await consumer.until_stopped()
        store = fleet.store()
        await store.open()
        assert [(lease.holder, lease.checkpoint.begun) for lease in await store.leases()] == [(None, True)]
        await store.close()

    run(work)


def test_page_when_its_first_program_is_run_then_it_prints_records_until_told_to_stop(
    fleet: Fleet, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "consumer.md").read_text()
    program = page.partition("```python\n")[2].partition("```")[0]
    put(make_stream(fleet.server, 1), 0, 3)
    environment = os.environ | fleet.server.environment() | {"XDG_STATE_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert [running.stdout.readline() for _ in range(3)] == [f"key{number} b'{number}'\n" for number in range(3)]
        running.send_signal(signal.SIGTERM)
        assert running.wait(SOON_S) == 0
    assert (tmp_path / "penstock" / "leases.db").exists()


def test_consumer_when_prometheus_is_asked_for_then_kcls_metrics_are_there(fleet: Fleet) -> None:
    put(make_stream(fleet.server, 1), 0, 10)
    shown = Prometheus("billing")

    async def work() -> None:
        async with fleet.consumer(metrics=shown):
            await fleet.seen.all(10)

    run(work)
    samples = {sample.name: sample for family in shown.collect() for sample in family.samples}
    processed = samples["billing_records_processed_sum"]
    assert (processed.value, processed.labels["shard_id"]) == (10, "shardId-000000000000")
    assert samples["billing_current_leases_count"].value >= 1
