"""The pipeline in virtual time: where records wait, what is sent, and what becomes of every answer."""

import pytest
from producer_world import HALF, TWO_SHARDS, Attempt, World, data_of, inner, landed, refused

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange, hash_key
from penstock.producer.pipeline import THROTTLED
from penstock.producer.records import UserRecord


def test_records_of_one_shard_travel_in_one_aggregate_when_they_are_due() -> None:
    world = World()
    world.put(b"a", "one", 5)
    world.wait(50)
    world.put(b"b", "two", 6)
    world.put(b"c", "three", HALF)
    assert world.wait(60) == []  # due after 100 ms, and the collector waits 20 more
    (entry,) = world.one(20)
    assert (entry.shard_id, entry.partition_key, entry.explicit_hash_key) == ("shard-0", "a", "5")
    assert [(each.partition_key, each.explicit_hash_key, each.data) for each in inner([entry])[0]] == [
        ("one", "5", b"a"),
        ("two", "6", b"b"),
    ]


def test_record_when_it_is_alone_travels_as_it_is_with_its_hash_key() -> None:
    world = World()
    world.put(b"a", "one", None)
    (entry,) = world.one()
    assert (entry.partition_key, entry.explicit_hash_key, entry.data) == ("one", str(hash_key(b"one")), b"a")


def test_record_when_it_has_a_unique_id_travels_in_an_aggregate_even_alone() -> None:
    for ready in (True, False):
        world = World(ready=ready)
        world.put(b"a", "one", None, unique_id="id-1")
        ((record,),) = inner(world.one())
        assert (record.partition_key, record.data, record.unique_id) == ("one", b"a", "id-1")


def test_records_while_the_map_is_not_ready_skip_packers_and_limiter() -> None:
    world = World(ready=False)
    for number in range(3):
        world.put(b"%d" % number)
    request = world.one()
    assert [(entry.shard_id, entry.data) for entry in request] == [(None, b"0"), (None, b"1"), (None, b"2")]
    world.answer(request)
    assert world.result(b"0").successful


def test_records_without_aggregation_travel_alone_and_unhurried_by_the_collector() -> None:
    world = World(AggregationEnabled=False)
    world.put(b"a", "one")
    world.put(b"b", "two")
    assert world.wait(95) == []
    assert [entry.data for entry in world.one(5)] == [b"a", b"b"]


def test_result_tells_shard_number_and_times() -> None:
    world = World()
    world.put(b"a")
    request = world.one(120)
    world.answer(request, landed(request[0]), took_ms=9)
    result = world.result(b"a")
    assert (result.successful, result.shard_id, result.sequence_number) == (True, "shard-0", "495")
    assert result.attempts == (Attempt(120, 9, True),)
    assert world.pipeline.under_way.held_bytes == 0


def test_records_of_one_aggregate_when_they_came_at_different_times_are_told_their_own() -> None:
    world = World()
    for number in range(3):
        world.put(b"%d" % number)
        world.wait(10)
    world.answer(world.one(200))
    delays = [world.result(b"%d" % number).attempts[0].delay_ms for number in range(3)]
    assert [delays[0] - delay for delay in delays] == [0, 10, 20]


def test_record_when_refused_is_put_again_at_half_the_wait_until_it_is_taken() -> None:
    world = World()
    world.put(b"a")
    world.answer(world.one(120), refused(THROTTLED))
    assert world.wait(65) == []  # 50 and the collector's 20
    world.answer(world.one(5), refused("InternalFailure"))
    world.answer(world.one(200))
    assert world.codes(b"a") == [THROTTLED, "InternalFailure", None]
    assert [attempt.delay_ms for attempt in world.result(b"a").attempts][:2] == [120, 70]


def test_record_when_throttled_fails_at_once_if_it_is_told_to() -> None:
    world = World(FailIfThrottled=True, return_user_record_on_failure=True)
    world.put(b"a", "one")
    world.answer(world.one(), refused(THROTTLED))
    failure = world.failure(b"a")
    assert [attempt.error_code for attempt in failure.result.attempts] == [THROTTLED]
    assert failure.record == UserRecord("one", "0", b"a")
    assert "ProvisionedThroughputExceededException: no" in str(failure)


def test_record_when_its_time_is_up_is_not_put_again() -> None:
    world = World(RecordTtl=200)
    world.put(b"a")
    request = world.one(120)
    world.now_ms += 100
    world.answer(request, refused("InternalFailure"))
    assert world.codes(b"a") == ["InternalFailure", "Expired"]
    assert world.failure(b"a").record is None
    assert world.wait(1000) == []


def test_record_when_its_time_is_up_in_the_limiter_fails() -> None:
    world = World(RateLimit=1, RecordTtl=500)  # 10 KiB a second
    for number in range(2):
        world.put(bytes([number]) * 10_000)
        world.pipeline.flush(world.now_ms)
    world.wait(2000)
    failure = world.failure(b"\1" * 10_000)
    assert [(attempt.error_code, attempt.error_message) for attempt in failure.result.attempts] == [
        ("Expired", "the record has expired while it waited in the limiter")
    ]


def test_records_when_the_answer_has_another_number_of_them_all_fail() -> None:
    world = World()
    world.put(b"a", hash_key=0)
    world.put(b"b", hash_key=HALF)
    request = world.one()
    assert len(request) == 2
    world.answer(request, landed(request[0]))
    assert world.codes(b"a") == world.codes(b"b") == ["Record Count Mismatch"]
    assert "2 records, the answer 1" in str(world.failure(b"a"))


def test_request_when_it_fails_as_a_whole_is_put_again_record_by_record() -> None:
    world = World()
    world.put(b"a")
    world.put(b"b")
    request = world.one()
    world.pipeline.failed(request, "ConnectionClosedError", "gone", world.now_ms, world.now_ms + 3)
    again = world.one()
    assert data_of(again) == [b"a", b"b"]
    world.answer(again)
    assert world.codes(b"b") == ["ConnectionClosedError", None]


def test_answer_when_it_is_half_nonsense_is_an_error_of_its_record() -> None:
    world = World()
    world.put(b"a")
    world.answer(world.one(), {})
    world.answer(world.one(), {"SequenceNumber": "", "ShardId": "shard-0"})
    world.answer(world.one())
    assert world.codes(b"a") == ["Unknown", "Unknown", None]


def test_aggregate_when_it_lands_in_an_unknown_shard_is_put_again_whole() -> None:
    world = World()
    world.put(b"a", hash_key=1)
    world.put(b"b", hash_key=HALF - 1)
    request = world.one()
    world.answer(request, landed(request[0], "shard-2"))
    assert world.pipeline.shards.list_at_ms is not None  # the map is stale
    assert not world.pipeline.shards.is_ready
    children = {"shard-2": HashRange(0, HALF // 2), "shard-3": HashRange(HALF // 2 + 1, HALF - 1)}
    world.pipeline.shards_listed({**children, "shard-1": TWO_SHARDS["shard-1"]}, world.now_ms)
    again = world.one()
    assert [(entry.shard_id, entry.data) for entry in again] == [(None, b"a"), (None, b"b")]
    world.answer(again, landed(again[0], "shard-2"), landed(again[1], "shard-3"))
    assert world.codes(b"a") == ["Wrong Shard", None]
    assert world.result(b"b").shard_id == "shard-3"


def test_aggregate_when_one_record_is_foreign_where_it_landed_is_put_again_whole_since_readers_drop_it() -> None:
    world = World()
    world.put(b"a", hash_key=1)
    world.put(b"b", hash_key=HALF - 1)
    request = world.one()
    child = {"shard-2": HashRange(0, 10), "shard-3": HashRange(11, HALF - 1), "shard-1": TWO_SHARDS["shard-1"]}
    world.pipeline.shards_listed(child, world.now_ms)  # news came while the request was under way
    world.answer(request, landed(request[0], "shard-2"))
    assert sorted(record for request in world.wait(300) for record in data_of(request)) == [b"a", b"b"]


def test_aggregate_when_it_lands_in_another_shard_that_owns_all_of_it_is_taken() -> None:
    world = World()
    world.put(b"a", hash_key=1)
    world.put(b"b", hash_key=HALF - 1)
    request = world.one()
    merged = {"shard-2": HashRange(0, HASH_KEY_MAX)}
    world.pipeline.shards_listed(merged, world.now_ms)
    world.answer(request, landed(request[0], "shard-2"))
    assert world.result(b"b").shard_id == "shard-2"
    assert not world.pipeline.shards.is_ready


def test_flush_sends_packers_at_once_and_the_collector_after_80_ms() -> None:
    world = World(RecordMaxBufferedTime=10_000)
    world.put(b"a")
    world.pipeline.flush(world.now_ms)
    assert world.wait(75) == []
    assert data_of(world.one(5)) == [b"a"]


def test_aggregate_when_it_is_full_leaves_before_it_is_due() -> None:
    world = World(AggregationMaxCount=3, CollectionMaxCount=1)
    for number in range(7):
        world.put(b"%d" % number)
    assert [data_of(request) for request in world.wait(50)] == [[b"0", b"1", b"2"], [b"3", b"4", b"5"]]


def test_user_record_timeout_when_it_is_over_ends_the_wait_and_nothing_else() -> None:
    world = World(user_record_timeout_in_millis=150)
    world.put(b"a")
    request = world.one(120)
    world.wait(50)
    assert world.codes(b"a") == ["User Record Timeout"]
    world.answer(request)  # it was taken all the same
    assert world.pipeline.under_way.held_bytes == 0


def test_user_record_timeout_when_a_refusal_follows_then_it_is_not_put_again() -> None:
    world = World(user_record_timeout_in_millis=150)
    world.put(b"a")
    request = world.one(120)
    world.wait(50)
    world.answer(request, refused(THROTTLED))
    assert world.wait(1000) == []
    assert world.pipeline.under_way.held_bytes == 0


def test_abandon_when_records_have_no_result_fails_them() -> None:
    world = World()
    world.put(b"a")
    world.pipeline.abandon()
    assert world.codes(b"a") == ["Closed"]
    assert (world.pipeline.under_way.held_bytes, world.pipeline.under_way.records) == (0, 0)


def test_future_when_it_was_cancelled_is_left_alone() -> None:
    world = World()
    world.put(b"a")
    world.put(b"b")
    world.futures[b"a"].cancel()
    world.answer(world.one())
    assert world.result(b"b").successful
    world.put(b"c")
    world.futures[b"c"].cancel()
    world.pipeline.abandon()


def test_metrics_count_what_happened() -> None:
    world = World(RecordTtl=300)
    world.put(b"aa", hash_key=0)
    world.put(b"b", hash_key=0)
    world.put(b"c", hash_key=HALF)
    request = world.one(120)
    sent = request if request[0].shard_id == "shard-0" else request[::-1]
    world.answer(sent, landed(sent[0]), refused("InternalFailure"))
    world.now_ms += 300
    assert world.wait(120) == []
    found = world.metrics()
    assert found == {
        "UserRecordsReceived": 3,
        "UserRecordsPending": found["UserRecordsPending"],
        "UserRecordsPut": 2,
        "UserRecordsDataPut": 3,
        "KinesisRecordsPut": 1,
        "KinesisRecordsDataPut": sent[0].size_bytes,
        "UserRecordsPerKinesisRecord": 2,
        "BufferingTime": 240,
        "RetriesPerRecord": 0,
        "RequestTime": 7,
        "KinesisRecordsPerPutRecordsRequest": 2,
        "UserRecordsPerPutRecordsRequest": 3,
        "AllErrors": 2,
        "ErrorsByCode:InternalFailure": 1,
        "ErrorsByCode:Expired": 1,
        "UserRecordExpired": 1,
    }


@pytest.mark.parametrize(
    ("granularity", "dimensions"),
    [
        ("global", {()}),
        ("stream", {(), ("StreamName",)}),
        ("shard", {(), ("StreamName",), ("StreamName", "ShardId")}),
    ],
)
def test_metrics_have_the_dimensions_that_were_asked_for(granularity: str, dimensions: set[tuple[str, ...]]) -> None:
    world = World(MetricsGranularity=granularity)
    world.put(b"a")
    world.answer(world.one())
    found = {
        tuple(name for name, _ in names)
        for metric, names, _ in world.measures.meter.take()
        if metric.name == "UserRecordsPut"
    }
    assert found == dimensions


def test_metrics_have_custom_dimensions_before_their_own() -> None:
    world = World(metrics_dimensions="stage=test", metrics_granularity="stream")
    world.put(b"a")
    world.answer(world.one(), refused("X"))
    errors = [names for metric, names, _ in world.measures.meter.take() if metric.name == "ErrorsByCode"]
    assert errors[-1] == (("ErrorCode", "X"), ("stage", "test"), ("StreamName", "orders"))
