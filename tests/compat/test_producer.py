"""The producer against a real server: nothing is lost to throttling, failures and resharding, whichever face is used."""

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from penstock.clients.aws import Connection
from penstock.core.hashkeys import HashRange
from penstock.host.clock import SystemClock
from penstock.producer import AsyncProducer, Producer, ProducerClosed, UserRecordFailed, UserRecordResult
from penstock.testing import PenstockServer
from penstock.wire.aggregate import UserRecord, user_records

STREAM = "orders"
QUICK = {"RecordMaxBufferedTime": 20, "RateLimit": 100_000, "RecordTtl": 600_000}


@pytest.fixture(scope="module")
def running() -> Iterator[PenstockServer]:
    with PenstockServer() as started:
        yield started


@pytest.fixture
def server(running: PenstockServer) -> PenstockServer:
    running.reset()
    running.client().create_stream(StreamName=STREAM, ShardCount=2)
    return running


def connection(server: PenstockServer) -> Connection:
    key, secret = server.credentials
    return Connection(endpoint=server.endpoint_url, region=server.region, access_key_id=key, secret_access_key=secret)


def read(server: PenstockServer) -> dict[str, list[UserRecord]]:
    """What a consumer of each shard is given, by KCL's rules."""
    client, found = server.client(), {}
    for shard in client.list_shards(StreamName=STREAM)["Shards"]:
        told = shard["HashKeyRange"]
        held = HashRange(int(told["StartingHashKey"]), int(told["EndingHashKey"]))
        place = {"StreamName": STREAM, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(**place)["ShardIterator"]
        records: list[Any] = []
        while iterator and (page := client.get_records(ShardIterator=iterator)):
            records += page["Records"]
            iterator = page.get("NextShardIterator") if page["Records"] else None
        found[shard["ShardId"]] = [
            each for record in records for each in user_records(record["PartitionKey"], record["Data"], held)
        ]
    return found


def everything(server: PenstockServer) -> list[UserRecord]:
    return [record for records in read(server).values() for record in records]


def data(number: int) -> bytes:
    return b"%06d" % number


def key(number: int) -> str:
    return f"key-{number % 50}"


async def put_all(producer: AsyncProducer, count: int) -> list[asyncio.Future[UserRecordResult]]:
    return [await producer.put(key(number), data(number)) for number in range(count)]


def test_records_when_all_goes_well_arrive_once_where_their_results_say(server: PenstockServer) -> None:
    async def run() -> list[UserRecordResult]:
        async with AsyncProducer(STREAM, QUICK, connection=connection(server)) as producer:
            futures = await put_all(producer, 1000)
            await producer.flush_sync()
            assert producer.outstanding_records == 0
            return [future.result() for future in futures]

    results = asyncio.run(run())
    found = read(server)
    assert Counter(record.data for record in everything(server)) == Counter(map(data, range(1000)))
    for number in (0, 500, 999):
        shard_id = results[number].shard_id
        assert shard_id is not None
        assert data(number) in [record.data for record in found[shard_id]]
    assert all(len(result.attempts) == 1 for result in results)


def test_records_put_together_when_all_goes_well_have_their_results_in_their_order(server: PenstockServer) -> None:
    async def run() -> list[UserRecordResult]:
        async with AsyncProducer(STREAM, QUICK, connection=connection(server)) as producer:
            batches = [[(key(number), data(number)) for number in range(at, at + 100)] for at in range(0, 1000, 100)]
            futures = [await producer.put_many(batch) for batch in batches]
            return [result for future in futures for result in await future]

    results = asyncio.run(run())
    places = {record.data: shard_id for shard_id, records in read(server).items() for record in records}
    assert [result.shard_id for result in results] == [places[data(number)] for number in range(1000)]
    assert Counter(record.data for record in everything(server)) == Counter(map(data, range(1000)))


def test_records_put_together_when_some_fail_are_told_so_among_the_others(server: PenstockServer) -> None:
    low, high = "0", str(2**128 - 1)
    server.faults.throttle(STREAM, "shardId-000000000001")
    config = {**QUICK, "FailIfThrottled": True}
    with Producer(STREAM, config, connection=connection(server)) as producer:
        future = producer.put_many([("a", b"taken", low), ("b", b"refused", high), ("c", b"taken too", int(low))])
        results = future.result(30)
    server.faults.clear()
    assert [result.successful for result in results] == [True, False, True]
    assert results[1].attempts[-1].error_code == "ProvisionedThroughputExceededException"
    assert sorted(record.data for record in everything(server)) == [b"taken", b"taken too"]


def test_records_put_together_when_one_can_never_be_put_are_refused_whole_by_its_place(server: PenstockServer) -> None:
    with Producer(STREAM, QUICK, connection=connection(server)) as producer:
        for bad, error in (
            (("", b"x"), ValueError),
            (("k", "text"), TypeError),
            (("k", b"x", "x"), ValueError),
            (("k",), ValueError),
        ):
            with pytest.raises(error, match=r"^record 1: "):
                producer.put_many([("k", b"good"), bad])  # type: ignore[list-item]
        assert producer.put_many([]).result(0) == []
    assert everything(server) == []
    with pytest.raises(ProducerClosed):
        producer.put_many([("k", b"late")])


def test_records_when_one_request_is_under_way_at_a_time_keep_the_order_of_each_key(server: PenstockServer) -> None:
    with Producer(STREAM, {**QUICK, "MaxConnections": 1}, connection=connection(server)) as producer:
        wait([producer.put("warm", b"up")])  # so that the shard map is there
        for number in range(3000):
            producer.put(key(number), data(number))
    by_key = defaultdict(list)
    for record in everything(server):
        by_key[record.partition_key].append(record.data)
    assert len(by_key) == 51
    assert all(each == sorted(each) for each in by_key.values())


def test_records_when_puts_fail_at_random_all_arrive_and_unique_ids_tell_copies(server: PenstockServer) -> None:
    server.faults.fail_puts(STREAM, 0.3)
    with Producer(
        STREAM, {**QUICK, "idempotent": True, "AggregationMaxCount": 20}, connection=connection(server)
    ) as producer:
        futures = [producer.put(key(number), data(number)) for number in range(2000)]
    results = [future.result(0) for future in futures]
    assert any(len(result.attempts) > 1 for result in results)
    assert {record.data for record in everything(server)} == set(map(data, range(2000)))
    by_id = defaultdict(set)
    for record in everything(server):
        assert record.unique_id is not None
        by_id[record.unique_id].add(record.data)
    assert sorted(by_id.values(), key=min) == [{data(number)} for number in range(2000)]


def test_records_when_the_stream_is_resharded_under_them_all_arrive(server: PenstockServer) -> None:
    client = server.client()

    async def run() -> list[UserRecordResult]:
        async with AsyncProducer(STREAM, QUICK, connection=connection(server)) as producer:
            futures = await put_all(producer, 500)
            await producer.flush_sync()
            await asyncio.to_thread(reshard)
            futures += [await producer.put(key(number), data(number)) for number in range(500, 3000)]
            await producer.flush_sync()
            return [future.result() for future in futures]

    def reshard() -> None:
        client.split_shard(StreamName=STREAM, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**126))
        client.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})

    results = asyncio.run(run())
    assert {record.data for record in everything(server)} == set(map(data, range(3000)))
    assert {result.shard_id for result in results} >= {f"shardId-00000000000{number}" for number in (0, 1, 2, 3)}
    wrong = [result for result in results if result.attempts[0].error_code == "Wrong Shard"]
    assert wrong
    assert all(result.successful for result in wrong)


def page(server: PenstockServer) -> str:
    """The server's metrics."""
    with urlopen(server.endpoint_url + "/metrics") as told:
        return str(told.read(), "utf-8")


def refused_writes(server: PenstockServer) -> int:
    return server._running.streams.metrics.refused_writes.value


def test_records_when_a_shard_is_throttled_wait_and_arrive(server: PenstockServer) -> None:
    server.faults.throttle(STREAM, "shardId-000000000000")
    refused_before = refused_writes(server)
    with Producer(STREAM, QUICK, connection=connection(server)) as producer:
        wait([producer.put("warm", b"up", 2**127)])
        stuck = producer.put("a", b"stuck", 0)
        free = producer.put("a", b"free", 2**127)
        assert free.result(60).successful
        assert not stuck.done()
        while refused_writes(server) == refused_before:  # until it has been tried
            producer.put("a", b"free", 2**127).result(60)
        server.faults.clear()
        result = stuck.result(60)
    assert {attempt.error_code for attempt in result.attempts[:-1]} == {"ProvisionedThroughputExceededException"}


def test_records_when_they_are_throttled_for_too_long_expire(server: PenstockServer) -> None:
    server.faults.throttle(STREAM)
    with Producer(STREAM, {**QUICK, "RecordTtl": 150}, connection=connection(server)) as producer:
        future = producer.put("a", b"never")
        error = future.exception(60)
    assert isinstance(error, UserRecordFailed)
    assert error.result.attempts[-1].error_code == "Expired"


def test_stream_when_it_does_not_exist_is_told_by_each_record(running: PenstockServer) -> None:
    with Producer("nobody", QUICK, connection=connection(running)) as producer:
        future = producer.put("a", b"x")
        while 'operation="PutRecords",outcome="ResourceNotFoundException"' not in page(running):
            assert not future.done()
        running.client().create_stream(StreamName="nobody", ShardCount=1)
        result = future.result(60)
    assert result.attempts[0].error_code == "ResourceNotFoundException"


def test_stream_may_be_named_by_its_arn(server: PenstockServer) -> None:
    summary = server.client().describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]
    with Producer(stream_arn=summary["StreamARN"], config=QUICK, connection=connection(server)) as producer:
        assert producer.put("a", b"x").result(60).successful
    with Producer(stream_id=summary["StreamId"], config=QUICK, connection=connection(server)) as producer:
        assert producer.put("a", b"y").result(60).successful


def test_puts_when_much_is_under_way_wait_and_memory_stays_bounded(server: PenstockServer) -> None:
    server.faults.throttle(STREAM)
    most = 50_000

    async def run() -> int:
        config = {**QUICK, "outstanding_max_bytes": most}
        async with AsyncProducer(STREAM, config, connection=connection(server)) as producer:
            loop = asyncio.get_running_loop()
            peak, tasks = 0, [loop.create_task(producer.put("k", bytes(1000))) for _ in range(200)]
            for _ in range(20):
                await SystemClock().sleep(5)
                peak = max(peak, producer.outstanding_records)
            assert sum(task.done() for task in tasks) < 50
            tasks[-1].cancel()  # who gives up does not hold up the others
            server.faults.clear()
            futures = await asyncio.gather(*tasks[:-1])
            await asyncio.gather(*futures)
            return peak

    assert asyncio.run(run()) <= most // 1000


def test_puts_of_threads_when_much_is_under_way_wait_too(server: PenstockServer) -> None:
    server.faults.throttle(STREAM)
    config = {**QUICK, "outstanding_max_bytes": 20_000}
    with Producer(STREAM, config, connection=connection(server)) as producer:
        done: list[int] = []

        def put_some(first: int) -> None:
            for number in range(first, first + 50):
                producer.put("k", bytes(1000))
                done.append(number)

        threads = [threading.Thread(target=put_some, args=(first,)) for first in (0, 100)]
        for thread in threads:
            thread.start()
        threads[0].join(0.2)
        assert len(done) <= 20
        server.faults.clear()
        for thread in threads:
            thread.join(30)
        assert len(done) == 100


def test_callback_of_a_result_may_put_but_not_wait(server: PenstockServer) -> None:
    with Producer(STREAM, {**QUICK, "outstanding_max_bytes": 1}, connection=connection(server)) as producer:
        seen: list[object] = []

        def again(_: object) -> None:
            seen.append(producer.put("k", b"again"))
            try:
                producer.flush_sync()
            except RuntimeError as error:
                seen.append(error)

        producer.put("k", b"first").add_done_callback(again)
        producer.flush_sync()
        producer.flush_sync()
    assert "cannot wait for the producer" in str(seen[1])
    assert sorted(record.data for record in everything(server)) == [b"again", b"first"]


def test_close_waits_for_results_and_then_nothing_is_taken(server: PenstockServer) -> None:
    async def run() -> None:
        producer = await AsyncProducer(STREAM, {"RecordMaxBufferedTime": 60_000}, connection=connection(server)).start()
        future = await producer.put("k", b"x")
        await producer.close()
        assert future.result().successful
        with pytest.raises(ProducerClosed):
            await producer.put("k", b"x")
        await producer.close()

    asyncio.run(run())
    blocking = Producer(STREAM, connection=connection(server))
    with pytest.raises(ProducerClosed):
        blocking.put("k", b"x")
    with blocking:
        future = blocking.put("k", b"y")
    assert future.result(0).successful
    with pytest.raises(ProducerClosed):
        blocking.put("k", b"x")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("", b"x"), "1 to 256 characters"),
        (("k" * 257, b"x"), "1 to 256 characters"),
        (("\ud800", b"x"), "surrogates not allowed"),
        (("k", b"x" * 2**20), "at most 1048576 bytes"),
        (("k", b"x", 2**128), "0 to 2\\*\\*128 - 1"),
        (("k", b"x", -1), "0 to 2\\*\\*128 - 1"),
        (("k", b"x", "seven"), "0 to 2\\*\\*128 - 1"),
        (("k", "text"), "data must be bytes"),
        ((b"k", b"x"), "a partition key must be a string"),
    ],
)
def test_record_when_it_can_never_be_put_is_refused_at_once(
    running: PenstockServer, arguments: tuple[Any, ...], why: str
) -> None:
    with Producer(STREAM, connection=connection(running)) as producer:
        with pytest.raises((ValueError, TypeError), match=why):
            producer.put(*arguments)
        assert producer.outstanding_records == 0


def test_data_may_be_any_bytes_and_is_taken_as_it_is_now(server: PenstockServer) -> None:
    buffer = bytearray(b"now")
    with Producer(STREAM, QUICK, connection=connection(server)) as producer:
        producer.put("k", buffer)
        buffer[:] = b"new"
        producer.put("k", memoryview(b"view"))
    assert sorted(record.data for record in everything(server)) == [b"now", b"view"]


def test_metrics_when_prometheus_wants_them_are_in_its_registry_until_the_end(server: PenstockServer) -> None:
    registry = CollectorRegistry()
    with Producer(
        STREAM, {**QUICK, "metrics_to": "prometheus"}, connection=connection(server), registry=registry
    ) as producer:
        producer.put("k", b"x")
        producer.flush_sync()
        shown = producer._core._reporter
        asyncio.run(shown.report())
        text = generate_latest(registry).decode()
    assert 'kinesis_producer_library_user_records_put_sum{shard_id="shardId-' in text
    assert generate_latest(registry) == b""


def test_metrics_when_the_producer_ends_are_in_cloudwatch(server: PenstockServer) -> None:
    config = {**QUICK, "cloudwatch_endpoint": server.endpoint_url}
    with Producer(STREAM, config, connection=connection(server)) as producer:
        for number in range(10):
            producer.put(key(number), data(number))
    cloudwatch = server.client("cloudwatch")
    told = cloudwatch.get_metric_statistics(
        Namespace="KinesisProducerLibrary",
        MetricName="UserRecordsPut",
        Dimensions=[{"Name": "StreamName", "Value": STREAM}],
        StartTime=server.clock.now_ms / 1000 - 600,
        EndTime=server.clock.now_ms / 1000 + 600,
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert (sum(each["Sum"] for each in told), sum(each["SampleCount"] for each in told)) == (10, 10)


def test_oldest_record_tells_how_long_it_has_waited(server: PenstockServer) -> None:
    server.faults.throttle(STREAM)
    with Producer(STREAM, QUICK, connection=connection(server)) as producer:
        assert producer.oldest_record_ms == 0
        future = producer.put("k", b"x")
        wait([future], timeout=0.05)
        assert 40 <= producer.oldest_record_ms < 10_000
        server.faults.clear()
