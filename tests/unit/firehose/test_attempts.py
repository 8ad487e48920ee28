"""What attempts are counted as, whatever the destination."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from penstock.host.clock import TestClock
from penstock.host.entropy import SeededEntropy
from penstock.services.firehose.buffers import Piece, Ready
from penstock.services.firehose.delivery import Delivery
from penstock.services.firehose.destinations.api import Again, Delivered, Destination, Outcome, Parcel
from penstock.services.firehose.entries import Entry, Failure, PartitionKey
from penstock.services.firehose.holds import Hold
from penstock.services.firehose.report import Report
from penstock.services.firehose.shapes import CloudWatchLoggingOptions
from penstock.services.firehose.tally import Tally

ENTRIES = [Entry(b"abc", 0, "1", 1), Entry(b"de", 0, "2", 2)]


class Told:
    """A report that only counts."""

    delivered_records = delivered_bytes = objects = 0

    def __init__(self) -> None:
        self.tally = Tally()

    def trouble(self, *_: object) -> None:
        """Nobody is told."""


class Scripted:
    """A destination whose answers are given."""

    retry_ms = 60_000

    def __init__(self, name: str, outcomes: list[Outcome]) -> None:
        self.name = name
        self._outcomes = outcomes

    async def deliver(self, parcel: Parcel) -> Outcome:
        return self._outcomes.pop(0)


def counted(name: str, *outcomes: Outcome) -> dict[str, float]:
    """The totals of a delivery's metrics."""
    told, clock = Told(), TestClock()

    def fail(failures: Sequence[Failure], ready: Ready[PartitionKey, Entry]) -> None:
        raise AssertionError(failures)

    async def run() -> None:
        destination = cast("Destination", cast("Any", Scripted(name, list(outcomes))))
        delivery = Delivery(
            destination, CloudWatchLoggingOptions(), fail, cast("Report", cast("Any", told)), clock, SeededEntropy(1)
        )
        hold = Hold(lambda: None)
        ready: Ready[PartitionKey, Entry] = Ready((), [Piece(hold, ENTRIES, [3, 2], 0)], 5, 2, clock.now_ms(), 5)
        working = asyncio.get_running_loop().create_task(delivery.deliver(ready))
        while not working.done():
            clock.advance(1000)
            await clock.sleep(0)
        await working

    asyncio.run(run())
    return {metric: figure.total for (metric, _), figure in told.tally.figures.items()}


def test_http_endpoint_when_it_is_tried_twice_then_both_tries_are_processed_and_one_is_delivered() -> None:
    found = counted("HttpEndpoint", Again("Code", "why", ENTRIES), Delivered(40, 2))
    assert (found["DeliveryToHttpEndpoint.ProcessedRecords"], found["DeliveryToHttpEndpoint.Records"]) == (4, 2)
    assert found["DeliveryToHttpEndpoint.ProcessedBytes"] == 10


def test_splunk_when_it_acknowledges_then_how_long_that_took_is_told() -> None:
    found = counted("Splunk", Delivered(40, 2, ack_ms=2500))
    assert found["DeliveryToSplunk.DataAckLatency"] == pytest.approx(2.5)
    assert "DeliveryToSplunk.ProcessedRecords" not in found
