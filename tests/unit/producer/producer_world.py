"""A pipeline in virtual time, with a stream behind it that a test decides about."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange
from penstock.producer.config import ProducerConfig
from penstock.producer.measures import Measures
from penstock.producer.pipeline import Pipeline
from penstock.producer.records import Attempt, Entry, Put, UserRecordFailed, UserRecordResult, checked, lots_of
from penstock.producer.reducers import Request
from penstock.wire.aggregate import UserRecord, user_records

HALF = 2**127
TWO_SHARDS = {"shard-0": HashRange(0, HALF - 1), "shard-1": HashRange(HALF, HASH_KEY_MAX)}


class World:
    """One pipeline, its clock, and the future of each record by its data."""

    def __init__(self, *, ready: bool = True, **config: object) -> None:
        self.config = ProducerConfig.of(config)
        self.measures = Measures(self.config, "orders")
        self.pipeline = Pipeline(self.config, self.measures)
        self.now_ms = 1000
        self.futures: dict[bytes, Future[UserRecordResult]] = {}
        self.begun: dict[int, int] = {}
        if ready:
            self.pipeline.shards.begin_listing()
            self.pipeline.shards_listed(TWO_SHARDS, self.now_ms)

    def put(self, data: bytes, key: str = "k", hash_key: int | None = 0, unique_id: str | None = None) -> None:
        """Put a record; its data names it."""
        future: Future[UserRecordResult] = Future()
        self.futures[data] = future
        held, explicit, place, held_bytes = checked(key, data, hash_key, self.config.max_user_record_size)
        made = Put(key, held, explicit, place, held_bytes, self.now_ms, future, unique_id)
        lots = lots_of([made], self.config.record_max_buffered_time, self.config.record_ttl)
        self.pipeline.put(lots, self.now_ms)

    def wait(self, duration_ms: int, step_ms: int = 5) -> list[Request]:
        """Let time pass; the requests that were sent meanwhile."""
        sent: list[Request] = []
        for _ in range(0, duration_ms, step_ms):
            self.now_ms += step_ms
            self.pipeline.tick(self.now_ms)
            sent += self.taken()
        return sent

    def taken(self) -> list[Request]:
        """The requests that wait to be sent."""
        requests, self.pipeline.requests = self.pipeline.requests, []
        return requests

    def one(self, duration_ms: int = 1000) -> Request:
        """The one request that is sent in a while."""
        (request,) = self.wait(duration_ms)
        return request

    def answer(self, request: Request, *answers: dict[str, Any], took_ms: int = 7) -> None:
        """Answer a request: each entry as told, or landed in the shard that was expected."""
        began_ms = self.now_ms
        self.now_ms += took_ms
        told = answers or tuple(landed(entry) for entry in request)
        self.pipeline.answered(request, told, began_ms, self.now_ms)

    def result(self, data: bytes) -> UserRecordResult:
        """What became of a record that was put."""
        return self.futures[data].result(0)

    def failure(self, data: bytes) -> UserRecordFailed:
        """Why a record failed."""
        error = self.futures[data].exception(0)
        assert isinstance(error, UserRecordFailed)
        return error

    def codes(self, data: bytes) -> list[str | None]:
        """The error codes of a record's attempts."""
        future = self.futures[data]
        error = future.exception(0)
        result = error.result if isinstance(error, UserRecordFailed) else future.result(0)
        return [attempt.error_code for attempt in result.attempts]

    def metrics(self) -> dict[str, float]:
        """Totals of the stream's metrics, by name, since last asked; errors with their code."""
        found = {}
        for metric, dimensions, held in self.measures.meter.take():
            names = dict(dimensions)
            if "ShardId" not in names and "StreamName" in names:
                found[metric.name + (f":{names['ErrorCode']}" if "ErrorCode" in names else "")] = held.total
        return found


def landed(entry: Entry, shard_id: str | None = None) -> dict[str, Any]:
    """An answer that takes a record."""
    return {"SequenceNumber": "495", "ShardId": shard_id or entry.shard_id or "shard-0"}


def refused(code: str) -> dict[str, Any]:
    """An answer that does not."""
    return {"ErrorCode": code, "ErrorMessage": "no"}


def inner(request: Request) -> list[list[UserRecord]]:
    """The user records in each Kinesis record of a request."""
    return [list(user_records(entry.partition_key, entry.data)) for entry in request]


def data_of(request: Request) -> Sequence[bytes]:
    """The data of all user records of a request."""
    return [record.data for records in inner(request) for record in records]


__all__ = ["HALF", "TWO_SHARDS", "Attempt", "World", "data_of", "inner", "landed", "refused"]
