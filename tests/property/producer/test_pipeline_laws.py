"""Laws of the pipeline: whatever answers come and whenever, each record gets one result, and no bound is passed."""

from collections import defaultdict
from concurrent.futures import Future
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange
from penstock.producer.config import ProducerConfig
from penstock.producer.measures import Measures
from penstock.producer.pipeline import Pipeline
from penstock.producer.records import Put, UserRecordFailed, UserRecordResult, checked, lots_of
from penstock.producer.reducers import Request
from penstock.wire.aggregate import unpack, user_records

HALF = 2**127
ONE = {"shard-0": HashRange(0, HASH_KEY_MAX)}
TWO = {"shard-1": HashRange(0, HALF - 1), "shard-2": HashRange(HALF, HASH_KEY_MAX)}
MERGED = {"shard-3": HashRange(0, HASH_KEY_MAX)}
TTL_MS = 2000

chances = st.randoms(use_true_random=True)  # of one seed

configs = st.fixed_dictionaries(
    {
        "record_max_buffered_time": st.sampled_from((0, 10, 100)),
        "aggregation_enabled": st.booleans(),
        "aggregation_max_size": st.sampled_from((64, 300, 51_200)),
        "aggregation_max_count": st.sampled_from((1, 3, 1000)),
        "collection_max_count": st.sampled_from((1, 4, 500)),
        "rate_limit": st.sampled_from((1, 150)),
        "fail_if_throttled": st.booleans(),
        "record_ttl": st.just(TTL_MS),
        "user_record_timeout_in_millis": st.sampled_from((0, 500)),
    }
)


class Stream:
    """A stream that is resharded, refuses, and keeps what a reader of each shard would be given."""

    def __init__(self, chance: Any, trouble: float) -> None:
        self.chance = chance
        self.trouble = trouble
        self.shards = ONE
        self.read: list[bytes] = []

    def answer(self, request: Request) -> list[dict[str, Any]]:
        told = [self._put(entry.partition_key, entry.explicit_hash_key, entry.data) for entry in request]
        if self.chance.random() < self.trouble / 10:
            return told[1:]
        return told

    def _put(self, key: str, place: str, data: bytes) -> dict[str, Any]:
        if self.chance.random() < self.trouble:
            code = self.chance.choice(("ProvisionedThroughputExceededException", "InternalFailure", ""))
            return {"ErrorCode": code, "ErrorMessage": "no"} if code else {}
        shard_id, held = next(
            (each, held) for each, held in self.shards.items() if held.start <= int(place) <= held.end
        )
        self.read += [record.data for record in user_records(key, data, held)]
        return {"SequenceNumber": "49", "ShardId": shard_id}


class Run:
    """One pipeline, driven by chance."""

    def __init__(self, chance: Any, config: dict[str, Any], trouble: float) -> None:
        self.chance = chance
        self.config = ProducerConfig.of(config)
        self.pipeline = Pipeline(self.config, Measures(self.config, "s"))
        self.stream = Stream(self.chance, trouble)
        self.now_ms = 5
        self.futures: list[Future[UserRecordResult]] = []
        self.held: list[Put] = []
        self.under_way: list[tuple[int, Request]] = []

    def put(self) -> None:
        future: Future[UserRecordResult] = Future()
        data = b"%d:" % len(self.futures) + bytes(self.chance.choice((0, 1, 50, 400)))
        key = f"key-{self.chance.randrange(5)}"
        held, explicit, place, held_bytes = checked(key, data, self.chance.choice((None, 1, HALF, HASH_KEY_MAX)), 2**20)
        unique_id = self.chance.choice((None, None, str(len(self.futures))))
        made = Put(key, held, explicit, place, held_bytes, self.now_ms, future, unique_id)
        self.futures.append(future)
        self.held.append(made)
        if self.chance.random() < 0.5:  # else it comes with the next one
            self.put_held()

    def put_held(self) -> None:
        lots = lots_of(self.held, self.config.record_max_buffered_time, self.config.record_ttl)
        self.held = []
        self.pipeline.put(lots, self.now_ms)

    def step(self) -> None:
        """Some time, a listing if one is wanted, what was sent, and some answers in any order."""
        self.put_held()
        self.now_ms += self.chance.randrange(60)
        shards = self.pipeline.shards
        if shards.list_at_ms is not None and shards.list_at_ms <= self.now_ms:
            shards.begin_listing()
            if self.chance.random() < self.stream.trouble:
                shards.failed(self.now_ms)
            else:
                self.pipeline.shards_listed(self.stream.shards, self.now_ms)
        if self.chance.random() < 0.1:
            self.pipeline.flush(self.now_ms)
        self.pipeline.tick(self.now_ms)
        self.under_way += [(self.now_ms, request) for request in self.pipeline.requests]
        for request in self.pipeline.requests:
            self.check(request)
        self.pipeline.requests = []
        self.chance.shuffle(self.under_way)
        while self.under_way and self.chance.random() < 0.7:
            self.finish(*self.under_way.pop())

    def finish(self, began_ms: int, request: Request) -> None:
        if self.chance.random() < self.stream.trouble:
            if self.chance.random() < 0.5:
                self.stream.answer(request)  # carried out, and the answer lost
            self.pipeline.failed(request, "ReadTimeoutError", "late", began_ms, self.now_ms)
        else:
            self.pipeline.answered(request, self.stream.answer(request), began_ms, self.now_ms)

    def check(self, request: Request) -> None:
        """A request is within its bounds, and each aggregate within its own."""
        assert 0 < len(request) <= self.config.collection_max_count
        for entry in request:
            inner = unpack(entry.data)
            assert 0 <= int(entry.explicit_hash_key) <= HASH_KEY_MAX
            assert len(inner or [1]) == entry.count <= self.config.aggregation_max_count
            assert entry.count == 1 or len(entry.data) <= self.config.aggregation_max_size

    def drain(self) -> None:
        for _ in range(1000):
            if not self.pipeline.under_way.records:
                return
            self.step()
        raise AssertionError(f"{self.pipeline.under_way.records} records have no result after {self.now_ms} ms")


@given(chances, configs, st.sampled_from((0.0, 0.1, 0.5, 1.0)))
def test_pipeline_when_anything_goes_wrong_gives_each_record_one_result_and_loses_none(
    chance: Any, config: dict[str, Any], trouble: float
) -> None:
    run = Run(chance, config, trouble)
    for _ in range(40):
        for _ in range(run.chance.randrange(5)):
            run.put()
        if run.chance.random() < 0.05:
            run.stream.shards = run.chance.choice((ONE, TWO, MERGED))
        run.step()
    run.drain()
    assert run.pipeline.under_way.held_bytes == 0
    read = {data.partition(b":")[0] for data in run.stream.read}
    for number, future in enumerate(run.futures):
        error = future.exception(0)
        if error is None:
            assert b"%d" % number in read  # whoever was told that it is there finds it
            assert future.result().attempts[-1].successful
        else:
            assert isinstance(error, UserRecordFailed)
            assert trouble or config["rate_limit"] == 1 or config["user_record_timeout_in_millis"]
            assert not any(attempt.successful for attempt in error.result.attempts)


@given(chances, configs)
def test_pipeline_when_nothing_goes_wrong_keeps_the_order_of_each_key(chance: Any, config: dict[str, Any]) -> None:
    run = Run(chance, {**config, "rate_limit": 1000, "user_record_timeout_in_millis": 0}, 0.0)
    run.pipeline.shards_listed(TWO, 0)
    run.stream.shards = TWO
    sent: list[Request] = []
    for _ in range(20):
        for _ in range(run.chance.randrange(8)):
            run.put()
        run.put_held()
        run.now_ms += run.chance.randrange(60)
        run.pipeline.tick(run.now_ms)
    run.pipeline.flush(run.now_ms)
    for _ in range(200):
        run.now_ms += 25
        run.pipeline.tick(run.now_ms)
    sent = run.pipeline.requests
    by_place: dict[tuple[str, int], list[int]] = defaultdict(list)
    for request in sent:
        for entry in request:
            for lot in entry.lots:
                for key, place, data in zip(lot.partition_keys, lot.hash_keys, lot.data, strict=True):
                    by_place[key, place].append(int(data.partition(b":")[0]))
    assert sum(map(len, by_place.values())) == len(run.futures)
    assert all(numbers == sorted(numbers) for numbers in by_place.values())
