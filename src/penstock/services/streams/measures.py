"""Measures: the CloudWatch metrics of streams and of their shards, from what was tallied.

Theory.  Every MEASURE_MS the tallies are taken away and told to a sink as the metrics of namespace AWS/Kinesis, in the minute in which
they began; so the figures of a minute are complete shortly after its end.  All tallies end at one moment, however long it takes to add
them up: others run meanwhile, since there may be tens of thousands of shards.  Shards have metrics of their own where
EnableEnhancedMonitoring asked for them.
Rules of this file:
  1. What nobody did has no figures, as on AWS.
  2. A sink is told, never asked; who it is is not known here.
Source: developer guide, "Monitor the Amazon Kinesis Data Streams service with Amazon CloudWatch".
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from penstock.core.ids import AccountId, Millis, Region, shard_id
from penstock.core.limits import SECOND_MS
from penstock.core.ports import Clock
from penstock.services.streams.directory import Directory, StreamView
from penstock.services.streams.tally import (
    Calls,
    ConsumerTally,
    Sample,
    ShardTally,
    StreamTally,
    counted,
    shares,
)
from penstock.services.streams.traffic import SHARDS_A_TURN, ShardTraffic, Traffic, lots

MEASURE_MS: Final = 10 * SECOND_MS

Unit = Literal["Bytes", "Count", "Milliseconds", "Seconds"]


class Measure(NamedTuple):
    """One figure of a stream, shard or consumer."""

    name: str
    unit: Unit
    sample: Sample


class Sink(Protocol):
    """Who keeps metrics."""

    def take(
        self, account: AccountId, region: Region, dimensions: Mapping[str, str], at_ms: Millis, measure: Measure
    ) -> None:
        """Keep a figure of the minute of `at_ms`."""
        ...


class _Work(NamedTuple):
    """A stream of which is to be told."""

    view: StreamView
    shards: list[ShardTraffic]
    of_stream: StreamTally
    manies: Calls
    ones: Calls


class Measures:
    """Measures streams."""

    def __init__(self, directory: Directory, traffic: Traffic, sink: Sink, clock: Clock) -> None:
        self._directory = directory
        self._traffic = traffic
        self._sink = sink
        self._clock = clock
        self._since_ms = clock.now_ms()

    async def run(self) -> None:
        """Measure for ever, and once more at the end."""
        walk: Iterator[None] = iter(())
        try:
            while True:
                await self._clock.sleep(MEASURE_MS - self._clock.now_ms() % MEASURE_MS)
                walk = self._walk()
                for _ in walk:
                    await self._clock.sleep(0)  # requests are not to wait for all shards
        finally:
            deque(walk, maxlen=0)
            self.collect()

    def collect(self) -> None:
        """Tell what happened since the last time."""
        deque(self._walk(), maxlen=0)

    def _walk(self) -> Iterator[None]:
        """Tell what happened until now since the last time; every SHARDS_A_TURN shards there is a pause."""
        at_ms, self._since_ms = self._since_ms, self._clock.now_ms()
        streams, shards = self._traffic.cut(), self._traffic.by_stream()
        work = list[_Work]()
        for uid in sorted({*shards, *streams}):
            view = self._directory.find_uid(uid)
            if view is not None and not view.stream.is_hidden:
                of_stream = streams.get(uid) or StreamTally()
                manies, ones = (self._traffic.take_scattered(uid, alone=alone) for alone in (False, True))
                work.append(_Work(view, shards.get(uid, []), of_stream, manies, ones))
        walked = 0
        for each in work:
            whole = ShardTally()
            whole.manies.merge(each.manies)
            whole.ones.merge(each.ones)
            for lot in lots(each.shards):
                self._merge(each, lot, whole, at_ms)
                walked += len(lot)
                if walked >= SHARDS_A_TURN:
                    walked = 0
                    yield
            self._tell_stream(each, whole, at_ms)

    def _merge(self, work: "_Work", lot: Sequence[ShardTraffic], whole: ShardTally, at_ms: Millis) -> None:
        """Add up some shards of a stream, and tell of those that have metrics of their own."""
        for counts in lot:
            tally = self._traffic.take_tally(counts)
            if tally is not None:
                whole.merge(tally)
            if work.view.stream.shard_level_metrics:
                tally = tally or ShardTally()
                tally.manies.merge(self._traffic.taken_scattered(counts.uid, counts.no, alone=False))
                tally.ones.merge(self._traffic.taken_scattered(counts.uid, counts.no, alone=True))
                self._tell_shard(work.view, counts.no, tally, at_ms)

    def _tell_stream(self, work: "_Work", whole: ShardTally, at_ms: Millis) -> None:
        named = {"StreamName": work.view.stream.name}
        for measure in stream_measures(whole, work.of_stream):
            self._tell(work.view, named, measure, at_ms)
        for consumer, held in work.of_stream.consumers.items():
            for measure in consumer_measures(held):
                self._tell(work.view, {**named, "ConsumerName": consumer}, measure, at_ms)

    def _tell_shard(self, view: StreamView, number: int, tally: ShardTally, at_ms: Millis) -> None:
        dimensions = {"StreamName": view.stream.name, "ShardId": shard_id(number)}
        for measure in shard_measures(tally):
            if measure.name in view.stream.shard_level_metrics:
                self._tell(view, dimensions, measure, at_ms)

    def _tell(self, view: StreamView, dimensions: Mapping[str, str], measure: Measure, at_ms: Millis) -> None:
        self._sink.take(view.stream.account, view.stream.region, dimensions, at_ms, measure)


def shard_measures(tally: ShardTally) -> Iterator[Measure]:
    """The metrics that a shard may have of its own; a stream has the sums of its shards' but for the age."""
    puts, outs = Calls(), Calls()
    puts.merge(tally.ones)
    puts.merge(tally.manies)
    outs.merge(tally.gets)
    outs.merge(tally.pushes)  # UNVERIFIED: that Outgoing* counts what is pushed to consumers
    if puts.count:
        yield Measure("IncomingBytes", "Bytes", puts.bytes_sample)
        yield Measure("IncomingRecords", "Count", puts.records_sample)
    if outs.count:
        yield Measure("OutgoingBytes", "Bytes", outs.bytes_sample)
        yield Measure("OutgoingRecords", "Count", outs.records_sample)
    if puts.count or tally.refused_writes:
        refused = counted(tally.refused_writes, puts.count)
        yield Measure("WriteProvisionedThroughputExceeded", "Count", refused)
    if tally.gets.count or tally.refused_reads:
        refused = counted(tally.refused_reads, tally.gets.count + tally.refused_reads)
        yield Measure("ReadProvisionedThroughputExceeded", "Count", refused)
    if tally.ages.count:
        yield Measure("IteratorAgeMilliseconds", "Milliseconds", tally.ages.sample)


def stream_measures(tally: ShardTally, of_stream: StreamTally) -> Iterator[Measure]:
    """The metrics of a stream; `tally` adds up its shards."""
    yield from (each for each in shard_measures(tally) if each.name != "IteratorAgeMilliseconds")
    ones, gets = tally.ones, tally.gets
    if ones.count:
        yield Measure("PutRecord.Bytes", "Bytes", ones.bytes_sample)
        yield Measure("PutRecord.Latency", "Milliseconds", ones.took_sample)
    if ones.count or of_stream.failed_ones:
        yield Measure("PutRecord.Success", "Count", shares(ones.count, of_stream.failed_ones))
    if of_stream.manies_total.count:
        yield from _put_records(tally.manies, of_stream)
    if gets.count:
        yield Measure("GetRecords.Bytes", "Bytes", gets.bytes_sample)
        yield Measure("GetRecords.IteratorAgeMilliseconds", "Milliseconds", tally.ages.sample)
        yield Measure("GetRecords.Latency", "Milliseconds", gets.took_sample)
        yield Measure("GetRecords.Records", "Count", gets.records_sample)
    if gets.count or tally.refused_reads:
        yield Measure("GetRecords.Success", "Count", shares(gets.count, tally.refused_reads))


def _put_records(manies: Calls, of_stream: StreamTally) -> Iterator[Measure]:
    calls = of_stream.manies_total.count
    if manies.count:
        yield Measure("PutRecords.Bytes", "Bytes", manies.bytes_sample)
        yield Measure("PutRecords.Latency", "Milliseconds", manies.took_sample)
    yield Measure("PutRecords.Records", "Count", of_stream.manies_written.sample)  # deprecated, and still told
    yield Measure("PutRecords.Success", "Count", shares(calls - of_stream.wholly_failed, of_stream.wholly_failed))
    yield Measure("PutRecords.TotalRecords", "Count", of_stream.manies_total.sample)
    yield Measure("PutRecords.SuccessfulRecords", "Count", of_stream.manies_written.sample)
    yield Measure("PutRecords.FailedRecords", "Count", counted(of_stream.refused_records - of_stream.throttled, calls))
    yield Measure("PutRecords.ThrottledRecords", "Count", counted(of_stream.throttled, calls))


def consumer_measures(tally: ConsumerTally) -> Iterator[Measure]:
    """The metrics of a fan-out consumer."""
    events = tally.events
    if tally.subscribed or tally.refused:
        yield Measure("SubscribeToShard.RateExceeded", "Count", shares(tally.refused, tally.subscribed))
        yield Measure("SubscribeToShard.Success", "Count", shares(tally.subscribed, tally.refused))
    if events.count:
        yield Measure("SubscribeToShardEvent.Bytes", "Bytes", events.bytes_sample)
        yield Measure("SubscribeToShardEvent.MillisBehindLatest", "Milliseconds", events.took_sample)
        yield Measure("SubscribeToShardEvent.Records", "Count", events.records_sample)
        yield Measure("SubscribeToShardEvent.Success", "Count", shares(events.count, 0))
