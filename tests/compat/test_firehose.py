"""Delivery streams with boto3: made, described, fed, delivered, changed, deleted."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deliveries import BUCKET, DESTINATION, ROLE, Lake, create, rows, settle, to_lake

from penstock.testing import PenstockServer

ARN = "arn:aws:firehose:us-east-1:123456789012:deliverystream/orders"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture
def server(lake: Lake) -> Iterator[PenstockServer]:
    with PenstockServer(buckets=f"file://{lake.root}") as running:
        yield running


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """Code and message of a call that is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def describe(firehose: Any) -> Any:
    return firehose.describe_delivery_stream(DeliveryStreamName="orders")["DeliveryStreamDescription"]


def test_records_when_put_directly_then_they_are_one_object_under_the_documented_key(
    server: PenstockServer, lake: Lake
) -> None:
    firehose = create(server, Prefix="in/", CompressionFormat="GZIP")
    one = firehose.put_record(DeliveryStreamName="orders", Record={"Data": b"a\n"})
    batch = firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(b"b\n", b"c\n"))
    assert batch["FailedPutCount"] == 0
    assert len({one["RecordId"], *(row["RecordId"] for row in batch["RequestResponses"])}) == 3
    settle(server)
    [(key, body)] = lake.wait().items()
    assert gzip.decompress(body) == b"a\nb\nc\n"
    date, name = key[len("in/") : len("in/2026/11/30/10/")], key[len("in/2026/11/30/10/") :]
    assert date.count("/") == 4
    assert name.startswith("orders-1-" + date[:10].replace("/", "-"))
    assert name.endswith(".gz")


def test_buffer_when_its_size_is_reached_then_it_is_delivered_before_its_interval(
    server: PenstockServer, lake: Lake
) -> None:
    firehose = create(server, BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 900})
    for _ in range(3):
        firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(*[b"x" * 1000] * 500))
    [body] = lake.wait().values()
    assert 1_000_000 < len(body) <= 1 << 20


def test_buffer_when_its_interval_is_zero_then_it_is_delivered_within_seconds(
    server: PenstockServer, lake: Lake
) -> None:
    firehose = create(server, BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 0})
    firehose.put_record(DeliveryStreamName="orders", Record={"Data": b"now"})
    assert list(lake.wait().values()) == [b"now"]


def test_description_when_asked_then_it_has_awss_members_and_defaults(server: PenstockServer) -> None:
    firehose = server.client("firehose")
    firehose.create_delivery_stream(
        DeliveryStreamName="orders", S3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": BUCKET}
    )
    told = describe(firehose)
    assert told["DeliveryStreamARN"] == ARN
    assert (told["DeliveryStreamStatus"], told["VersionId"], told["DeliveryStreamType"]) == ("ACTIVE", "1", "DirectPut")
    assert told["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}
    [destination] = told["Destinations"]
    assert destination["DestinationId"] == DESTINATION
    assert destination["S3DestinationDescription"] == {
        "RoleARN": ROLE,
        "BucketARN": BUCKET,
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": False},
    }


def test_delivery_stream_when_its_transition_takes_time_then_it_is_creating_and_takes_no_records(lake: Lake) -> None:
    with PenstockServer(buckets=f"file://{lake.root}", transition_ms=500) as server:
        server.clock.stand()
        firehose = create(server)
        assert describe(firehose)["DeliveryStreamStatus"] == "CREATING"
        code, _ = refusal(firehose.put_record, DeliveryStreamName="orders", Record={"Data": b""})
        assert code == "ResourceNotFoundException"
        code, _ = refusal(firehose.delete_delivery_stream, DeliveryStreamName="orders")
        assert code == "ResourceInUseException"


def test_delivery_stream_when_it_is_not_there_then_awss_words_say_so(server: PenstockServer) -> None:
    firehose = server.client("firehose")
    said = ("ResourceNotFoundException", "Firehose orders under account 123456789012 not found.")
    assert refusal(firehose.describe_delivery_stream, DeliveryStreamName="orders") == said
    assert refusal(firehose.put_record, DeliveryStreamName="orders", Record={"Data": b"x"}) == said
    assert refusal(firehose.delete_delivery_stream, DeliveryStreamName="orders") == said


def test_delivery_stream_when_its_name_is_taken_then_awss_words_say_so(server: PenstockServer) -> None:
    firehose = create(server)
    said = refusal(
        firehose.create_delivery_stream,
        DeliveryStreamName="orders",
        ExtendedS3DestinationConfiguration=to_lake(),
    )
    assert said == ("ResourceInUseException", "Firehose orders under accountId 123456789012 already exists")


def test_names_when_listed_then_they_come_in_order_and_in_pages(server: PenstockServer) -> None:
    firehose = create(server, "c")
    for name in ("a", "d", "b"):
        create(server, name)
    page = firehose.list_delivery_streams(Limit=3)
    assert (page["DeliveryStreamNames"], page["HasMoreDeliveryStreams"]) == (["a", "b", "c"], True)
    page = firehose.list_delivery_streams(ExclusiveStartDeliveryStreamName="c")
    assert (page["DeliveryStreamNames"], page["HasMoreDeliveryStreams"]) == (["d"], False)
    assert firehose.list_delivery_streams(DeliveryStreamType="KinesisStreamAsSource")["DeliveryStreamNames"] == []
    assert server.client("kinesis").list_streams()["StreamNames"] == []  # inlets are not seen


def test_update_when_members_are_given_then_the_others_stay_and_the_version_grows(
    server: PenstockServer, lake: Lake
) -> None:
    firehose = create(server, Prefix="in/")
    update = {"DeliveryStreamName": "orders", "DestinationId": DESTINATION}
    firehose.update_destination(
        **update,
        CurrentDeliveryStreamVersionId="1",
        ExtendedS3DestinationUpdate={"CompressionFormat": "GZIP"},
    )
    told = describe(firehose)
    destination = told["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert told["VersionId"] == "2"
    assert "LastUpdateTimestamp" in told
    assert (destination["Prefix"], destination["CompressionFormat"]) == ("in/", "GZIP")
    said = refusal(
        firehose.update_destination, **update, CurrentDeliveryStreamVersionId="1", ExtendedS3DestinationUpdate={}
    )
    assert said == (
        "ConcurrentModificationException",
        "Cannot update firehose: orders since the current version id: 2 and specified version id: 1 do not match",
    )
    firehose.put_record(DeliveryStreamName="orders", Record={"Data": b"x"})
    settle(server)
    [key] = lake.wait()
    assert "/orders-2-" in key


def test_update_when_the_destination_is_another_kind_then_it_is_replaced_whole(server: PenstockServer) -> None:
    firehose = create(server, Prefix="in/")
    endpoint = {"Url": "https://example.com/in", "AccessKey": "secret-key"}
    firehose.update_destination(
        DeliveryStreamName="orders",
        DestinationId=DESTINATION,
        CurrentDeliveryStreamVersionId="1",
        HttpEndpointDestinationUpdate={
            "EndpointConfiguration": endpoint,
            "S3Update": {"RoleARN": ROLE, "BucketARN": BUCKET},
        },
    )
    [destination] = describe(firehose)["Destinations"]
    assert set(destination) == {"DestinationId", "HttpEndpointDestinationDescription"}
    told = destination["HttpEndpointDestinationDescription"]
    assert told["EndpointConfiguration"] == {"Url": "https://example.com/in"}
    assert told["S3DestinationDescription"]["BucketARN"] == BUCKET
    assert "secret-key" not in repr(destination)


def test_tags_when_changed_then_they_are_listed_by_key(server: PenstockServer) -> None:
    firehose = create(server)
    named = {"DeliveryStreamName": "orders"}
    firehose.tag_delivery_stream(**named, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a"}, {"Key": "c", "Value": "3"}])
    firehose.untag_delivery_stream(**named, TagKeys=["c", "none"])
    page = firehose.list_tags_for_delivery_stream(**named)
    assert page["Tags"] == [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "2"}]
    assert not page["HasMoreTags"]
    assert firehose.list_tags_for_delivery_stream(**named, ExclusiveStartTagKey="a", Limit=1)["Tags"][0]["Key"] == "b"
    many = [{"Key": str(number), "Value": ""} for number in range(49)]
    assert refusal(firehose.tag_delivery_stream, **named, Tags=many)[0] == "LimitExceededException"
    assert refusal(firehose.tag_delivery_stream, **named, Tags=[{"Key": "aws:x"}])[0] == "InvalidArgumentException"


@pytest.mark.parametrize("key", ["AWS_OWNED_CMK", "CUSTOMER_MANAGED_CMK"])
def test_encryption_when_started_then_records_are_sealed_and_still_delivered(
    server: PenstockServer, lake: Lake, key: str
) -> None:
    firehose = create(server)
    named = {"DeliveryStreamName": "orders"}
    wanted = {"KeyType": key}
    if key == "CUSTOMER_MANAGED_CMK":
        wanted["KeyARN"] = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    firehose.start_delivery_stream_encryption(**named, DeliveryStreamEncryptionConfigurationInput=wanted)
    assert describe(firehose)["DeliveryStreamEncryptionConfiguration"] == {"Status": "ENABLED", **wanted}
    assert firehose.put_record(**named, Record={"Data": b"sealed\n"})["Encrypted"] is True
    firehose.stop_delivery_stream_encryption(**named)
    assert describe(firehose)["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}
    assert firehose.put_record(**named, Record={"Data": b"plain\n"})["Encrypted"] is False
    settle(server)
    assert list(lake.wait().values()) == [b"sealed\nplain\n"]


def test_key_when_it_is_disabled_then_puts_are_refused_and_counted_and_what_was_taken_is_delivered_when_it_is_not(
    server: PenstockServer, lake: Lake
) -> None:
    firehose, kms = create(server), server.client("kms")
    key = kms.create_key()["KeyMetadata"]
    firehose.start_delivery_stream_encryption(
        DeliveryStreamName="orders",
        DeliveryStreamEncryptionConfigurationInput={"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key["Arn"]},
    )
    firehose.put_record(DeliveryStreamName="orders", Record={"Data": b"taken\n"})
    kms.disable_key(KeyId=key["KeyId"])
    server.clock.advance(minutes=6)  # data keys are in memory for five
    code, _ = refusal(firehose.put_record, DeliveryStreamName="orders", Record={"Data": b"refused\n"})
    assert code == "InvalidKMSResourceException"
    server.clock.advance(seconds=10)
    [refused] = server.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Firehose",
        MetricName="KMSKeyDisabled",
        Dimensions=[{"Name": "DeliveryStreamName", "Value": "orders"}],
        StartTime=server.clock.now_ms / 1000 - 3600,
        EndTime=server.clock.now_ms / 1000 + 60,
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    assert refused["Sum"] >= 1
    kms.enable_key(KeyId=key["KeyId"])
    firehose.put_record(DeliveryStreamName="orders", Record={"Data": b"again\n"})
    settle(server)
    assert b"".join(lake.wait(lambda found: b"again\n" in b"".join(found.values())).values()) == b"taken\nagain\n"


def test_encryption_when_its_key_is_not_there_then_it_is_refused(server: PenstockServer) -> None:
    firehose = create(server)
    arn = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    code, _ = refusal(
        firehose.start_delivery_stream_encryption,
        DeliveryStreamName="orders",
        DeliveryStreamEncryptionConfigurationInput={"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": arn},
    )
    assert code == "InvalidKMSResourceException"


def test_delivery_stream_when_deleted_and_made_anew_then_nothing_of_the_old_one_is_delivered(
    server: PenstockServer, lake: Lake
) -> None:
    firehose = create(server)
    firehose.put_record(DeliveryStreamName="orders", Record={"Data": b"old"})
    firehose.delete_delivery_stream(DeliveryStreamName="orders")
    assert firehose.list_delivery_streams()["DeliveryStreamNames"] == []
    create(server)
    firehose.put_record(DeliveryStreamName="orders", Record={"Data": b"new"})
    settle(server)
    assert list(lake.wait().values()) == [b"new"]


def test_batch_when_a_fault_is_set_then_part_of_it_is_told_to_slow_down(server: PenstockServer, lake: Lake) -> None:
    firehose = create(server)
    server.faults.slow_down("orders", 0.5)
    answer = firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(*[b"x"] * 100))
    refused = [row for row in answer["RequestResponses"] if "ErrorCode" in row]
    assert 0 < len(refused) == answer["FailedPutCount"] < 100
    assert {(row["ErrorCode"], row["ErrorMessage"]) for row in refused} == {
        ("ServiceUnavailableException", "Slow down.")
    }
    settle(server)
    assert [len(body) for body in lake.wait().values()] == [100 - len(refused)]


def test_batch_when_it_is_over_the_quota_then_part_of_it_is_told_to_slow_down(lake: Lake) -> None:
    with PenstockServer(buckets=f"file://{lake.root}", limits="aws") as server:
        server.clock.stand()
        firehose = create(server)
        answer = firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(*[b"x" * 10_000] * 300))
        assert 190 <= answer["FailedPutCount"] <= 196  # 1 MiB a second


def test_records_when_too_large_then_they_are_refused(server: PenstockServer) -> None:
    firehose = create(server)
    named = {"DeliveryStreamName": "orders"}
    code, text = refusal(firehose.put_record, **named, Record={"Data": b"x" * 1_024_001})
    assert code == "ValidationException"
    assert "'record.data'" in text
    said = refusal(firehose.put_record_batch, **named, Records=rows(*[b"x" * 1_000_000] * 5))
    assert said == ("InvalidArgumentException", "Records size exceeds 4 MB limit")
    assert firehose.put_record_batch(**named, Records=rows(*[b"x" * 1_024_000] * 4))["FailedPutCount"] == 0


def test_description_when_secrets_were_given_then_they_are_nowhere(lake: Lake, tmp_path: Path) -> None:
    with PenstockServer(buckets=f"file://{lake.root}", engine="local", data_dir=tmp_path / "data") as server:
        firehose = server.client("firehose")
        firehose.create_delivery_stream(
            DeliveryStreamName="orders",
            HttpEndpointDestinationConfiguration={
                "EndpointConfiguration": {"Url": "https://example.com/in", "AccessKey": "very-secret-key"},
                "S3Configuration": {"RoleARN": ROLE, "BucketARN": BUCKET},
            },
        )
        assert "very-secret-key" not in repr(describe(firehose))
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"very-secret-key" not in path.read_bytes(), path
