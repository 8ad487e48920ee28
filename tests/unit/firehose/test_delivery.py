"""Each way that a delivery can go, told as a story: what is put, what the destination does, where the records are."""

import base64
from collections.abc import Sequence
from itertools import pairwise
from unittest.mock import patch

import pytest
from delivery_world import KIND, DeliveryWorld, data_of, delivered, refused
from streams_world import CALLER, START_MS, run, turns

from penstock.engines.api import AppendError, Batch, Overloaded, Unavailable
from penstock.services.firehose.destinations.api import Again, Delivered, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.entries import Failure
from penstock.services.firehose.ops.record import PutRecordBatchRequest, put_record_batch


def test_parcel_when_it_is_refused_then_attempts_are_1_s_2_s_and_4_s_apart() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        world.destination.script = [refused, refused, refused, delivered]
        await world.start()
        await world.create_scripted()
        await world.put(b"a", b"b")
        await world.clock.advance(60_000 + 8_100)
        times = [at_ms - START_MS for at_ms, _ in world.destination.parcels]
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert times[0] == 60_000
        assert all(0.85 * base <= wait <= 1.15 * base for wait, base in zip(waits, (1000, 2000, 4000), strict=True))
        assert [parcel.attempts for _, parcel in world.destination.parcels] == [0, 1, 2, 3]
        assert len({parcel.id for _, parcel in world.destination.parcels}) == 1
        assert world.destination.got == [b"a", b"b"]
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


def test_parcel_when_its_retry_duration_is_over_then_it_is_in_the_error_prefix() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        world.destination.otherwise = refused
        world.destination.retry_ms = 10_000
        await world.start()
        await world.create_scripted()
        await world.put(b"a", b"b")
        await world.clock.advance(60_000 + 30_000)
        assert await world.unaccounted() == 2  # the error object waits for its own buffer
        await world.clock.advance(300_000)
        first, second = world.errors(KIND)
        assert base64.b64decode(first["rawData"]) == b"a"
        assert base64.b64decode(second["rawData"]) == b"b"
        assert (first["errorCode"], first["errorMessage"]) == ("Test.Refused", "not now")
        assert first["attemptsMade"] == len(world.destination.parcels)
        assert first["arrivalTimestamp"] == START_MS
        assert await world.unaccounted() == 0
        assert (await world.progress()).failed_records == 2
        await world.stop()

    run(story())


def test_parcel_when_some_of_it_is_delivered_then_only_the_rest_is_tried_again() -> None:
    async def story() -> None:
        def some(parcel: Parcel) -> Outcome:
            _, second, third = parcel.entries
            failure = Failure(third, KIND, "Test.Bad", "bad record")
            return Mixed(Delivered(1, 1), Again("Test.Some", "some", [second]), [failure])

        world = DeliveryWorld()
        world.destination.script = [some]
        await world.start()
        await world.create_scripted()
        await world.put(b"a", b"b", b"c")
        await world.clock.advance(62_000)
        assert world.destination.got == [b"b"]
        await world.clock.advance(300_000)
        [error] = world.errors(KIND)
        assert base64.b64decode(error["rawData"]) == b"c"
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


@pytest.mark.parametrize("kept", [True, False])
def test_parcel_when_it_is_refused_for_good_then_it_is_kept_as_the_destination_says(kept: bool) -> None:
    async def story() -> None:
        def never(parcel: Parcel) -> Outcome:
            return Refused([Failure(entry, KIND, "Test.Never", "never") for entry in parcel.entries], kept)

        world = DeliveryWorld()
        world.destination.script = [never]
        await world.start()
        await world.create_scripted()
        await world.put(b"a")
        await world.clock.advance(400_000)
        assert len(world.errors(KIND)) == int(kept)
        assert len(world.destination.parcels) == 1
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


def test_destination_when_it_raises_then_that_is_an_attempt_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        def broken(parcel: Parcel) -> Outcome:
            raise KeyError("a fault of ours")

        world = DeliveryWorld()
        world.destination.script = [broken]
        await world.start()
        await world.create_scripted()
        await world.put(b"a")
        await world.clock.advance(62_000)
        assert world.destination.got == [b"a"]
        await world.stop()

    run(story())
    assert "failed" in caplog.text


def test_bucket_when_it_is_away_then_records_wait_and_are_delivered_when_it_is_back() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await world.start()
        await world.create(CloudWatchLoggingOptions={"Enabled": True, "LogGroupName": "g", "LogStreamName": "s"})
        world.buckets.away = True
        await world.put(b"a\n", b"b\n")
        await world.clock.advance(600_000)
        assert world.objects() == {}
        assert await world.unaccounted() == 2
        assert 5 < world.buckets.attempts < 15  # backing off
        assert {line["errorCode"] for line in world.told.lines} == {"S3.InternalError"}
        assert world.told.lines[0]["deliveryStreamARN"].endswith(":deliverystream/d")
        world.buckets.away = False
        await world.clock.advance(140_000)
        assert list(data_of(world.objects())) == [b"a", b"b"]
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


def test_bucket_when_it_is_away_for_a_day_then_direct_puts_are_lost_and_that_is_told() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await world.start()
        await world.create()
        world.buckets.away = True
        await world.put(b"a")
        await world.clock.advance(25 * 3_600_000)
        assert await world.unaccounted() == 0
        assert (await world.progress()).errors[-1].code == "S3.Lost"
        await world.stop()

    run(story())


def test_stop_when_records_are_in_buffers_then_the_next_start_delivers_them() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await world.start()
        await world.create()
        await world.put(b"a\n")
        await world.stop()
        await world.start()
        await turns(30)
        await world.put(b"b\n")
        await world.clock.advance(60_000)
        assert list(data_of(world.objects())) == [b"a", b"b"]
        await world.stop()
        await world.start()
        await world.clock.advance(60_000)
        assert list(data_of(world.objects())) == [b"a", b"b"]  # what was accounted for is not delivered again
        await world.stop()

    run(story())


def test_destination_when_it_is_stuck_then_only_its_own_delivery_stream_waits() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        world.destination.otherwise = refused
        await world.start()
        await world.create_scripted(name="stuck")
        await world.create(name="free")
        await world.put(b"a", name="stuck")
        await world.put(b"b\n", name="free")
        await world.clock.advance(61_000)
        assert list(data_of(world.objects())) == [b"b"]
        await world.stop()

    run(story())


def test_backup_when_it_is_on_then_source_records_are_there_as_they_came() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await world.start()
        backup = {**S3_BACKUP, "Prefix": "backup/"}
        await world.create(Prefix="out/", S3BackupMode="Enabled", S3BackupConfiguration=backup)
        await world.put(b"a\n", b"b\n")
        await world.clock.advance(61_000)
        assert list(data_of(world.objects("out/"))) == [b"a", b"b"]
        assert await world.unaccounted() == 2  # the backup's interval is longer
        await world.clock.advance(300_000)
        assert list(data_of(world.objects("backup/"))) == [b"a", b"b"]
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


S3_BACKUP = {"RoleARN": "arn:aws:iam::123456789012:role/firehose", "BucketARN": "arn:aws:s3:::lake"}


def test_metrics_when_records_were_delivered_then_they_have_awss_names() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await world.start()
        await world.create()
        await world.put(b"aa", b"bbb")
        await world.clock.advance(75_000)
        told = world.told.metrics
        assert told["IncomingRecords"] == told["DeliveryToS3.Records"] == 2
        assert told["IncomingBytes"] == told["DeliveryToS3.Bytes"] == 5
        assert told["PutRecordBatch.Requests"] == told["DeliveryToS3.Success"] == told["DeliveryToS3.ObjectCount"] == 1
        assert told["DeliveryToS3.DataFreshness"] == 60
        assert not any(name.endswith("PerSecondLimit") for name in told), "there are no limits here"
        await world.stop()

    run(story())


def test_metrics_when_limits_are_enforced_then_they_are_told_and_only_what_was_taken_is_counted() -> None:
    async def story() -> None:
        world = DeliveryWorld(enforce_limits=True)
        await world.start()
        await world.create()
        await world.put(*[b"x" * 1_000_000] * 3)  # of which two are too many for a second, but for one that overdraws
        await world.clock.advance(10_000)
        told = world.told.metrics
        assert told["BytesPerSecondLimit"] == 1 << 20
        assert (told["RecordsPerSecondLimit"], told["PutRequestsPerSecondLimit"]) == (100_000, 1000)
        assert (told["IncomingRecords"], told["IncomingBytes"], told["ThrottledRecords"]) == (2, 2_000_000, 1)
        assert told["PutRecordBatch.Bytes"] == 2_000_000
        await world.stop()

    run(story())


def test_metrics_when_a_backup_cannot_be_written_then_its_success_is_told_as_0_until_it_is() -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await world.start()
        hints = {"SizeInMBs": 1, "IntervalInSeconds": 60}
        await world.create(S3BackupMode="Enabled", S3BackupConfiguration={**S3_BACKUP, "BufferingHints": hints})
        world.buckets.away = True
        await world.put(b"a\n")
        await world.clock.advance(75_000)
        assert world.told.metrics["BackupToS3.Success"] == 0
        world.buckets.away = False
        await world.clock.advance(75_000)
        assert world.told.metrics["BackupToS3.Success"] == 1
        await world.stop()

    run(story())


HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@pytest.mark.parametrize("jump_ms", [-DAY_MS, -HOUR_MS, HOUR_MS])
def test_clock_when_it_jumps_while_records_are_buffered_then_they_are_delivered_once_and_in_time(jump_ms: int) -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await world.start()
        await world.create()
        await world.put(b"a\n")
        world.clock.jump(jump_ms)
        await world.put(b"b\n")
        await world.clock.advance(61_000)
        assert sorted(data_of(world.objects())) == [b"a", b"b"]
        await world.put(b"c\n")
        await world.clock.advance(61_000)
        assert sorted(data_of(world.objects())) == [b"a", b"b", b"c"]
        await world.clock.advance(11_000)
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


@pytest.mark.parametrize("jump_ms", [-DAY_MS, -HOUR_MS])
def test_clock_when_it_jumps_back_between_attempts_then_the_retry_duration_still_comes_to_its_end(jump_ms: int) -> None:
    async def story() -> None:
        world = DeliveryWorld()
        world.destination.otherwise = refused
        world.destination.retry_ms = 300_000
        await world.start()
        await world.create_scripted()
        await world.put(b"a")
        await world.clock.advance(120_000)
        world.clock.jump(jump_ms)
        await world.clock.advance(300_000 + 140_000)
        assert (await world.progress()).stages[-1].held_bytes > 0, "it is given up"
        await world.clock.advance(300_000)
        assert [base64.b64decode(error["rawData"]) for error in world.errors(KIND)] == [b"a"]
        assert await world.unaccounted() == 0
        await world.stop()

    run(story())


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (Unavailable("the disk is full"), ("InternalFailure", None)),
        (Overloaded(100), ("ServiceUnavailableException", "Slow down.")),
    ],
)
def test_batch_when_the_storage_refuses_it_then_each_record_is_told_so(
    refusal: AppendError, said: tuple[str, str | None]
) -> None:
    async def story() -> None:
        world = DeliveryWorld()
        await world.start()
        await world.create()

        async def append(batches: Sequence[Batch]) -> list[AppendError]:
            return [refusal for _ in batches]

        with patch.object(world.log, "append", append):
            request = PutRecordBatchRequest(delivery_stream_name="d", data=[b"a", b"b"])
            answer = await put_record_batch(world.firehose, CALLER, request)
        told = [(result.code, result.message) for result in answer.results if not isinstance(result, str)]
        await world.clock.advance(10_000)
        assert world.told.metrics["IncomingRecords"] == world.told.metrics["IncomingBytes"] == 0
        assert [(code, said[1] and message) for code, message in told] == [said, said]
        await world.put(b"c\n")
        await world.clock.advance(61_000)
        assert list(data_of(world.objects())) == [b"c"]
        await world.stop()

    run(story())
