"""Where measurements go: requests to CloudWatch within their bounds, Prometheus' text, and what a failed upload keeps."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from penstock.clients.aws import Connection, Service
from penstock.clients.metric_sinks import (
    DATUMS_MAX,
    REQUEST_MAX_BYTES,
    CloudWatch,
    Nowhere,
    Prometheus,
    Reporter,
    requests,
    snake,
)
from penstock.clients.metrics import Datum, Level, Meter, Metric, Statistics
from penstock.host.clock import SystemClock

PUT = Metric("UserRecordsPut", "Count", Level.SUMMARY)


def data(count: int, padding: str = "") -> list[Datum]:
    return [Datum(PUT, (("ShardId", f"{number}{padding}"),), Statistics(1, 2.0, 2.0, 2.0)) for number in range(count)]


def test_requests_when_there_are_many_datums_hold_twenty_each() -> None:
    assert [len(batch) for batch in requests(data(2 * DATUMS_MAX + 1))] == [DATUMS_MAX, DATUMS_MAX, 1]
    assert list(requests([])) == []


def test_requests_when_datums_are_large_stay_below_their_bound() -> None:
    large = data(DATUMS_MAX, "x" * 5000)
    batches = list(requests(large))
    assert [datum for batch in batches for datum in batch] == large
    assert len(batches) == 3
    assert all(len(msgspec.json.encode(batch)) <= REQUEST_MAX_BYTES for batch in batches)


class Failing:
    """A sink that takes every other delivery."""

    def __init__(self) -> None:
        self.seen: list[Sequence[Datum]] = []

    async def deliver(self, data: Sequence[Datum]) -> Sequence[Datum]:
        self.seen.append(data)
        return data if len(self.seen) % 2 else ()


def test_reporter_when_a_delivery_fails_then_the_next_one_holds_both() -> None:
    meter, sink = Meter(Level.SUMMARY, rolls_up=True), Failing()
    reporter = Reporter(meter, sink, SystemClock(), 1000)
    for value in (1, 2):
        meter.put(PUT, value, (("StreamName", "s"),))
        asyncio.run(reporter.report())
    meter.put(PUT, 4)
    asyncio.run(reporter.report())
    totals = [{datum.dimensions: datum.statistics.total for datum in data} for data in sink.seen]
    stream = (("StreamName", "s"),)
    assert totals == [{(): 1, stream: 1}, {(): 3, stream: 3}, {(): 4}]


def test_reporter_when_nothing_was_measured_delivers_nothing() -> None:
    sink = Failing()
    asyncio.run(Reporter(Meter(Level.SUMMARY, rolls_up=True), sink, SystemClock(), 1000).report())
    assert sink.seen == []


def test_cloudwatch_when_it_cannot_be_reached_gives_everything_back(caplog: pytest.LogCaptureFixture) -> None:
    service = Service(
        "cloudwatch", Connection(endpoint="http://127.0.0.1:9", region="x", access_key_id="a", secret_access_key="b")
    )
    held = data(3)
    assert asyncio.run(CloudWatch(service, "Test", SystemClock()).deliver(held)) == held
    assert "metrics were not uploaded" in caplog.text
    service.close()


def test_cloudwatch_when_it_puts_sends_statistic_sets() -> None:
    class Recording(Service):
        async def call(self, operation: str, /, **arguments: object) -> dict[str, Any]:
            sent.append((operation, arguments))
            return {}

    sent: list[tuple[str, Any]] = []
    service = Recording("cloudwatch", Connection(region="x"))
    assert asyncio.run(CloudWatch(service, "Test", SystemClock()).deliver(data(1))) == []
    ((operation, arguments),) = sent
    assert operation == "put_metric_data"
    assert arguments["Namespace"] == "Test"
    (entry,) = arguments["MetricData"]
    del entry["Timestamp"]
    assert entry == {
        "MetricName": "UserRecordsPut",
        "Dimensions": [{"Name": "ShardId", "Value": "0"}],
        "Unit": "Count",
        "StatisticValues": {"SampleCount": 1, "Sum": 2.0, "Minimum": 2.0, "Maximum": 2.0},
    }


def test_prometheus_when_scraped_shows_all_that_was_delivered() -> None:
    sink, registry = Prometheus("KinesisProducerLibrary"), CollectorRegistry()
    sink.register(registry)
    for _ in range(2):
        asyncio.run(sink.deliver(data(1)))
    text = generate_latest(registry).decode()
    assert 'kinesis_producer_library_user_records_put_count{shard_id="0"} 2.0' in text
    assert 'kinesis_producer_library_user_records_put_sum{shard_id="0"} 4.0' in text


def test_nowhere_takes_everything() -> None:
    assert asyncio.run(Nowhere().deliver(data(1))) == ()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("UserRecordsPut", "user_records_put"),
        ("RenewLease.Time", "renew_lease_time"),
        ("AWSKinesisAgent", "awskinesis_agent"),
    ],
)
def test_snake_when_a_name_is_ours_or_kcls(name: str, shown: str) -> None:
    assert snake(name) == shown
