"""Kinesis as a consumer asks it.

Rules of this file:
  1. Each call is made once; whoever calls decides what is repeated.
  2. What Kinesis answers is told apart here: gone, to be tried again, to be tried again later.
"""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from penstock.clients.aws import Connection, Service, hang_up
from penstock.clients.calls import CALL_ERRORS, THROTTLING_CODES, Fate, error_code, error_text, fate_of
from penstock.consumer.feed import CallFailed, Fetched, Raw, ShardGone, Start
from penstock.consumer.lineage import Shard
from penstock.core.hashkeys import HashRange

GONE: Final = "ResourceNotFoundException"
SUBSCRIPTIONS_MAX: Final = 1_000  # of one process; a thread each
SILENCE_MAX_MS: Final = 20_000  # of a subscription; an event comes every 5 s
FAILURES: Final = (*CALL_ERRORS, TimeoutError)


class KinesisSource:
    """One stream.  `client`: botocore's, where there is one already; it polls, and the connection says how many calls at a time."""

    def __init__(self, connection: Connection, stream: str, client: Any = None) -> None:
        self._service = Service("kinesis", connection, client)
        patient = replace(connection, threads=SUBSCRIPTIONS_MAX, read_ms=SILENCE_MAX_MS)
        self._pushed = Service("kinesis", patient)
        self._named = {"StreamARN": stream} if stream.startswith("arn:") else {"StreamName": stream}

    async def shards(self) -> list[Shard]:
        """ListShards, all pages."""
        answer = await self._call("list_shards", **self._named)
        shards = [_shard(listed) for listed in answer["Shards"]]
        while token := answer.get("NextToken"):
            answer = await self._call("list_shards", NextToken=token)
            shards += [_shard(listed) for listed in answer["Shards"]]
        return shards

    async def iterator(self, shard_id: str, start: Start) -> str:
        """GetShardIterator."""
        at = {"ShardIteratorType": start.kind, **_place(start, "StartingSequenceNumber")}
        answer = await self._call("get_shard_iterator", ShardId=shard_id, **self._named, **at)
        return str(answer["ShardIterator"])

    async def fetch(self, iterator: str, limit: int) -> Fetched:
        """GetRecords."""
        answer = await self._call("get_records", ShardIterator=iterator, Limit=limit)
        return _fetched(answer, answer.get("NextShardIterator"))

    async def register(self, name: str) -> str:
        """The ARN of a consumer of this name, once it is there and ACTIVE; made if it is not.  Raises CallFailed while it is not ready."""
        summary = await self._call("describe_stream_summary", **self._named)
        stream = summary["StreamDescriptionSummary"]["StreamARN"]
        try:
            found = await self._call("describe_stream_consumer", StreamARN=stream, ConsumerName=name)
            consumer = found["ConsumerDescription"]
        except ShardGone:
            made = await self._call("register_stream_consumer", StreamARN=stream, ConsumerName=name)
            consumer = made["Consumer"]
        if consumer["ConsumerStatus"] != "ACTIVE":
            raise CallFailed(f"the consumer {name} is {consumer['ConsumerStatus']}")
        return str(consumer["ConsumerARN"])

    async def subscribe(self, consumer: str, shard_id: str, start: Start) -> AsyncGenerator[Fetched, None]:
        """SubscribeToShard: its events, until it ends."""
        at = {"Type": start.kind, **_place(start, "SequenceNumber")}
        try:
            answer = await self._pushed.call(
                "subscribe_to_shard", ConsumerARN=consumer, ShardId=shard_id, StartingPosition=at
            )
            stream = answer["EventStream"]
            try:
                async for event in self._pushed.events(stream):
                    if "SubscribeToShardEvent" in event:
                        told = event["SubscribeToShardEvent"]
                        yield _fetched(told, told.get("ContinuationSequenceNumber") or None)
            finally:
                hang_up(stream)
        except FAILURES as error:
            raise _told_apart(error) from error

    async def _call(self, operation: str, **arguments: object) -> dict[str, Any]:
        try:
            return await self._service.call(operation, **arguments)
        except FAILURES as error:
            raise _told_apart(error) from error

    def close(self) -> None:
        """Take no more calls."""
        self._service.close()
        self._pushed.close()


def _told_apart(error: Exception) -> Exception:
    """What a failed call means."""
    code = error_code(error)
    if code == GONE:
        return ShardGone(error_text(error))
    lasting = isinstance(error, CALL_ERRORS) and fate_of(error) is Fate.FAILED
    return CallFailed(error_text(error), code=code, throttled=code in THROTTLING_CODES, lasting=lasting)


def _place(start: Start, number: str) -> dict[str, object]:
    place: dict[str, object] = {}
    if start.sequence is not None:
        place[number] = start.sequence
    if start.at_ms is not None:
        place["Timestamp"] = datetime.fromtimestamp(start.at_ms / 1000, UTC)
    return place


def _shard(listed: Any) -> Shard:
    parents = (listed.get("ParentShardId"), listed.get("AdjacentParentShardId"))
    is_open = "EndingSequenceNumber" not in listed["SequenceNumberRange"]
    return Shard(listed["ShardId"], _keys(listed), tuple(sorted(parent for parent in parents if parent)), is_open)


def _child(listed: Any) -> Shard:
    return Shard(listed["ShardId"], _keys(listed), tuple(sorted(listed["ParentShards"])))


def _keys(listed: Any) -> HashRange:
    keys = listed["HashKeyRange"]
    return HashRange(int(keys["StartingHashKey"]), int(keys["EndingHashKey"]))


def _raw(record: Any) -> Raw:
    arrived = record.get("ApproximateArrivalTimestamp")
    arrived_ms = 0 if arrived is None else round(arrived.timestamp() * 1000)
    return Raw(record["Data"], record["PartitionKey"], record["SequenceNumber"], arrived_ms)


def _fetched(answer: Any, following: str | None) -> Fetched:
    records = [_raw(record) for record in answer["Records"]]
    children = tuple(_child(listed) for listed in answer.get("ChildShards", ()))
    return Fetched(records, following, answer.get("MillisBehindLatest", 0), children)
