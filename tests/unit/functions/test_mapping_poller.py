"""Mappings at work, in virtual time: what they cost, what keeps them from reading, where documents go, what is counted."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from mapping_site import CALLER, STREAM, Site, data_of

from penstock.core.errors import ServiceError
from penstock.engines.api import MetaUnavailable, Write
from penstock.engines.buckets import PLAIN, Body, BucketsUnavailable, ObjectHead
from penstock.engines.memory import MemoryBuckets
from penstock.services.functions.mapping.shard import READ_AHEAD_BYTES
from penstock.services.functions.mapping.state import MAPPINGS
from penstock.services.functions.ops.mapping import (
    DeleteEventSourceMappingRequest,
    GetEventSourceMappingRequest,
    UpdateEventSourceMappingRequest,
    delete_event_source_mapping,
    get_event_source_mapping,
    update_event_source_mapping,
)
from penstock.services.functions.ops.mappingsettings import (
    Destination,
    DestinationConfig,
    Filter,
    FilterCriteria,
    MetricsConfig,
)
from penstock.services.streams.ops.consumer import RegisterStreamConsumerRequest, register_stream_consumer

QUEUE = "arn:aws:sqs:us-east-1:123456789012:lost"


def on_failure(arn: str) -> DestinationConfig:
    return DestinationConfig(on_failure=Destination(destination=arn))


def fine(event: Any) -> None:
    pass


def broken(event: Any) -> None:
    raise ValueError


def test_mapping_when_nothing_comes_then_nothing_happens() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream(shards=4)
        await site.map()
        await site.put(view, "a1")
        await site.clock.sleep(120_000)  # what was begun by the record is over
        before = site.loop.steps
        quiet_ms = 50_000
        await site.clock.sleep(quiet_ms)
        assert site.loop.steps - before < 40, "retention and scaling look once a minute or so"

    site.run(scenario)


def test_mappings_when_there_are_a_thousand_then_each_is_given_every_record() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream()
        for number in range(1000):
            await site.map(function_name=f"work{number}")
        await site.put(view, "a1", "a2")
        await site.clock.sleep(1000)
        assert site.given() == [["a1", "a2"]] * 1000

    site.run(scenario)


def test_shard_when_its_function_fails_for_ever_then_others_go_on() -> None:
    def poisoned(event: Any) -> None:
        if any(data.startswith("b") for data in data_of(event)):
            raise ValueError

    site = Site(poisoned)

    async def scenario() -> None:
        view = await site.stream(shards=8)
        await site.map(batch_size=1)
        await site.put(view, "b0")
        for turn in range(20):
            await site.put(view, f"a{turn}")
            await site.clock.sleep(200)
        given = [data for [data] in site.given()]
        assert [data for data in given if data[0] == "a"] == [f"a{turn}" for turn in range(20)]
        assert given.count("b0") > 1

    site.run(scenario)


def test_function_when_it_is_slow_then_little_is_read_ahead() -> None:
    site = Site(fine)
    site.slow_ms = 900_000

    async def scenario() -> None:
        view = await site.stream()
        for turn in range(20):
            await site.put(view, *(f"a{turn}" + "x" * 1_000_000 for _ in range(2)))
        await site.map(batch_size=10_000)
        await site.clock.sleep(10_000)
        [run] = next(iter(site.mappings.registry._pollers.values())).runs.values()
        assert run.shard.size_bytes < 4 * READ_AHEAD_BYTES
        assert run.shard.size_bytes == run._site.held_bytes

    site.run(scenario)


def test_stream_when_it_is_deleted_and_made_anew_then_that_is_told_and_the_new_one_is_read_from_its_beginning() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream()
        uuid = await site.map(starting_position="LATEST")
        await site.put(view, "a1")
        await site.clock.sleep(100)
        assert site.result(uuid) == "OK"
        await site.streams.lifecycle.delete(view)
        await site.clock.sleep(100)
        assert site.result(uuid) == "PROBLEM: Stream not found: arn:aws:kinesis:us-east-1:123456789012:stream/orders"
        await site.put(await site.stream(uid="b" * 24), "b1")
        await site.clock.sleep(100)
        assert site.given() == [["a1"], ["b1"]]
        assert site.result(uuid) == "OK"
        assert [place.stream_uid for place in site.mappings.checkpoints.of(uuid)] == ["b" * 24]

    site.run(scenario)


def test_store_when_it_is_away_as_a_stream_is_made_anew_then_the_new_one_is_read_once_it_is_back() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream()
        uuid = await site.map()
        await site.streams.lifecycle.delete(view)
        await site.clock.sleep(100)
        commit = site.meta.commit

        async def away(writes: Sequence[Write]) -> None:
            if any(write.key.startswith(MAPPINGS) for write in writes):
                raise MetaUnavailable("the disk is full")
            await commit(writes)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(site.meta, "commit", away)
            await site.put(await site.stream(uid="b" * 24), "b1")
            await site.clock.sleep(100)
            assert site.result(uuid) == "PROBLEM: the disk is full"
        await site.clock.sleep(15_000)
        assert site.given() == [["b1"]]

    site.run(scenario)


def test_function_when_it_is_deleted_and_comes_again_then_the_records_wait_for_it() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream()
        uuid = await site.map(maximum_retry_attempts=0)
        site.missing.add("work")
        await site.put(view, "a1")
        await site.clock.sleep(60_000)
        assert site.result(uuid) == "PROBLEM: Function call failed: ResourceNotFoundException"
        site.missing.clear()
        await site.clock.sleep(15_000)
        assert site.given() == [["a1"]]
        assert site.result(uuid) == "OK"

    site.run(scenario)


def test_mapping_when_it_is_disabled_and_enabled_then_it_goes_on_where_it_was() -> None:
    site = Site(fine, transition_ms=500)

    async def scenario() -> None:
        view = await site.stream()
        uuid = await site.map(batch_size=2)
        assert await state(site, uuid) == "Creating"
        await site.put(view, "a1")
        assert not site.events
        await site.clock.sleep(600)
        assert await state(site, uuid) == "Enabled"
        assert site.given() == [["a1"]]
        changed = await update_event_source_mapping(
            site.mappings, CALLER, UpdateEventSourceMappingRequest(uuid=uuid, enabled=False)
        )
        assert changed.state == "Disabling"
        with pytest.raises(ServiceError, match="ResourceInUseException"):
            await update_event_source_mapping(
                site.mappings, CALLER, UpdateEventSourceMappingRequest(uuid=uuid, batch_size=5)
            )
        await site.put(view, "a2", "a3", "a4")
        await site.clock.sleep(600)
        assert await state(site, uuid) == "Disabled"
        await site.close()
        await site.open()  # and a restart
        await update_event_source_mapping(
            site.mappings, CALLER, UpdateEventSourceMappingRequest(uuid=uuid, enabled=True)
        )
        assert await state(site, uuid) == "Enabling"
        await site.clock.sleep(600)
        assert site.given() == [["a1"], ["a2", "a3"], ["a4"]]

    site.run(scenario)


async def state(site: Site, uuid: str) -> str:
    return (await get_event_source_mapping(site.mappings, CALLER, GetEventSourceMappingRequest(uuid=uuid))).state


def test_mapping_when_it_is_deleted_then_nothing_of_it_is_left() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream(shards=2)
        uuid = await site.map()
        await site.put(view, "a1", "b1")
        await site.clock.sleep(100)
        assert await site.meta.scan("functions/mapping/")
        deleted = await delete_event_source_mapping(site.mappings, CALLER, DeleteEventSourceMappingRequest(uuid=uuid))
        assert deleted.state == "Deleting"
        assert not await site.meta.scan("functions/mapping/")
        with pytest.raises(ServiceError, match="does not exist"):
            await state(site, uuid)
        await site.put(view, "a2")
        await site.clock.sleep(1000)
        assert len(site.events) == 2

    site.run(scenario)


def test_records_when_they_are_given_up_then_the_queue_gets_a_document_and_everything_is_counted() -> None:
    site = Site(broken)

    async def scenario() -> None:
        view = await site.stream()
        pattern = site_filter('{"partitionKey": ["a"]}')
        await site.map(
            maximum_retry_attempts=1, destination_config=on_failure(QUEUE), filter_criteria=pattern,
            metrics_config=MetricsConfig(metrics=["EventCount"]),
        )  # fmt: skip
        await site.put(view, "a1", "a2", "b1")
        await site.clock.sleep(60_000)
        [(arn, document)] = site.sent
        assert arn == QUEUE
        assert document["KinesisBatchInfo"]["batchSize"] == 2
        assert site.figures == {
            "PolledEventCount": 3, "FilteredOutEventCount": 1, "InvokedEventCount": 4, "FailedInvokeEventCount": 4,
            "OnFailureDestinationDeliveredEventCount": 2, "IteratorAge": site.figures["IteratorAge"],
        }  # fmt: skip
        assert site.dimensions["IteratorAge"] == {"FunctionName": "work"}
        assert list(site.dimensions["PolledEventCount"]) == ["EventSourceMappingUUID"]

    site.run(scenario)


def site_filter(text: str) -> Any:
    return FilterCriteria(filters=[Filter(pattern=text)])


class AwayQueues(Site):
    """Queues whose storage is away at first."""

    failures = 2

    async def send(self, account: str, arn: str, body: str, attributes: Any) -> str:
        if self.failures:
            self.failures -= 1
            raise MetaUnavailable("away")
        return await super().send(account, arn, body, attributes)


def test_queue_when_its_storage_is_away_then_it_is_tried_again() -> None:
    site = AwayQueues(broken)

    async def scenario() -> None:
        view = await site.stream()
        await site.map(maximum_retry_attempts=0, destination_config=on_failure(QUEUE))
        await site.put(view, "a1")
        await site.clock.sleep(20_000)
        assert len(site.sent) == 1

    site.run(scenario)


class Away(MemoryBuckets):
    """Buckets that are away at first."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        if self.failures:
            self.failures -= 1
            raise BucketsUnavailable("away")
        await super().put(bucket, key, body, head)


@pytest.mark.parametrize(("failures", "delivered"), [(0, True), (2, True), (99, False)])
def test_bucket_when_it_is_away_then_it_is_tried_again_and_the_shard_goes_on_in_the_end(
    failures: int, delivered: bool
) -> None:
    buckets = Away(failures)
    site = Site(broken, buckets)

    async def scenario() -> None:
        view = await site.stream()
        uuid = await site.map(
            maximum_retry_attempts=0, batch_size=1, destination_config=on_failure("arn:aws:s3:::failed")
        )
        await site.put(view, "a1", "a2")
        await site.clock.sleep(100_000)
        assert site.given() == [["a1"], ["a2"]]
        if not delivered:
            assert not buckets.objects
            assert site.figures["DestinationDeliveryFailures"] == 2
            return
        (key, (body, _)), _ = sorted(buckets.objects["failed"].items())
        document = json.loads(body)
        assert data_of(document["payload"])[0] in ("a1", "a2")
        assert key.startswith(f"aws/lambda/{uuid}/shardId-000000000000/2023/11/14/2023-11-14T22.")

    site.run(scenario)


def test_timestamp_when_a_mapping_begins_there_then_older_records_are_left_out() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream()
        await site.put(view, "a1")
        await site.clock.sleep(5000)
        at_ms = site.clock.now_ms()
        await site.put(view, "a2")
        await site.map(starting_position="AT_TIMESTAMP", starting_position_timestamp=at_ms)
        await site.clock.sleep(100)
        assert site.given() == [["a2"]]

    site.run(scenario)


def test_disk_when_reads_of_it_fail_then_that_is_told_and_they_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(fine)
    failing = [OSError("the disk does not answer"), RuntimeError("a bug")]
    real = site.log.read

    async def read(*args: Any) -> Any:
        if failing:
            raise failing.pop()
        return await real(*args)

    async def scenario() -> None:
        view = await site.stream()
        await site.put(view, "a1")
        monkeypatch.setattr(site.log, "read", read)
        uuid = await site.map()
        await site.clock.sleep(1000)
        assert site.result(uuid) == "PROBLEM: internal error"
        await site.clock.sleep(5000)
        assert site.result(uuid) == "PROBLEM: the disk does not answer"
        await site.clock.sleep(5000)
        assert site.given() == [["a1"]]

    site.run(scenario)


def test_checkpoints_when_many_batches_end_then_they_share_commits_and_nothing_is_written_at_rest() -> None:
    site = Site(fine)

    async def scenario() -> None:
        views = [await site.stream(name=f"s{number}", uid=f"{number:a<24}") for number in range(20)]
        for number in range(20):
            await site.map(event_source_arn=f"arn:aws:kinesis:us-east-1:123456789012:stream/s{number}")
        commits = [0]
        site.meta.watch("functions/mapping/place/", lambda _: commits.__setitem__(0, commits[0] + 1))
        for turn in range(100):
            for view in views:
                await site.put(view, f"a{turn}")
            await site.clock.sleep(10)
        assert len(site.events) == 2000
        assert commits[0] < 80, "one commit in 20 ms, for all"
        await site.clock.sleep(1000)
        before = commits[0]
        await site.clock.sleep(600_000)
        assert commits[0] == before

    site.run(scenario)


def test_restart_when_a_batch_was_tried_then_it_is_the_same_and_has_the_attempts_that_were_left() -> None:
    site = Site(broken)

    async def scenario() -> None:
        view = await site.stream()
        await site.map(maximum_retry_attempts=3, batch_size=10, destination_config=on_failure(QUEUE))
        await site.put(view, "a1", "a2")
        await site.clock.sleep(1500)
        assert site.given() == [["a1", "a2"]] * 2
        await site.put(view, "a3")
        for _ in range(2):  # what was kept is kept on
            await site.close()
            await site.open()
        await site.clock.sleep(100_000)
        assert site.given() == [["a1", "a2"]] * 4 + [["a3"]] * 4
        counts = [document["requestContext"]["approximateInvokeCount"] for _, document in site.sent]
        assert counts == [4, 4]

    site.run(scenario)


def test_function_when_it_is_missing_and_its_stream_changes_then_one_timer_waits_for_it() -> None:
    site = Site(fine)

    async def scenario() -> None:
        await site.stream()
        uuid = await site.map()
        site.missing.add("work")
        for _ in range(50):
            site.mappings.registry._pollers[uuid].look()
            await site.clock.sleep(1)
        assert sum("tries again" in task.get_name() for task in site.tasks._running) == 1
        assert "Function not found" in site.result(uuid)

    site.run(scenario)


def test_reads_count_as_those_of_whoever_reads_a_stream() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream()
        await site.map()
        await site.put(view, "a1", "a2")
        await site.clock.sleep(100)
        found = site.streams.traffic.find(view.shards[0])
        assert found is not None
        gets = found.tally.gets
        assert (gets.count, gets.records, gets.size_bytes, found.tally.ages.count) == (1, 2, 6, 1)
        assert found.tally.pushes.count == 0

    site.run(scenario)


def test_reads_through_a_consumer_count_as_its_events() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream()
        request = RegisterStreamConsumerRequest(stream_arn=STREAM, consumer_name="fan")
        made = await register_stream_consumer(site.streams, CALLER, request)
        await site.clock.sleep(100)
        await site.map(event_source_arn=made.consumer.consumer_arn)
        await site.put(view, "a1", "a2")
        await site.clock.sleep(100)
        found = site.streams.traffic.find(view.shards[0])
        assert found is not None
        assert (found.tally.pushes.records, found.tally.gets.count) == (2, 0)
        assert site.streams.traffic.stream(view.stream.uid).consumer("fan").events.records == 2

    site.run(scenario)


def test_stop_when_an_invocation_hangs_then_it_is_not_waited_for_and_repeated_by_the_next_start() -> None:
    site = Site(fine)

    async def scenario() -> None:
        view = await site.stream()
        site.slow_ms = 900_000
        await site.map()
        await site.put(view, "a1")
        await site.clock.sleep(100)
        before_ms = site.clock.now_ms()
        await site.close()
        assert site.clock.now_ms() - before_ms < 5000
        site.slow_ms = 1
        await site.open()
        await site.clock.sleep(100)
        assert site.given() == [["a1"], ["a1"]]

    site.run(scenario)
