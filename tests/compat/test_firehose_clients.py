"""Delivery streams through other clients: the AWS CLI, Terraform's calls in their order, the commands, and S3 read back by boto3."""

import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from deliveries import Lake, create, pause, rows, settle, to_lake, wait_read
from free_ports import free_port

from penstock.testing import PenstockServer


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture
def server(lake: Lake) -> Iterator[PenstockServer]:
    with PenstockServer(buckets=f"file://{lake.root}") as running:
        yield running


def aws(server: PenstockServer, *words: str) -> Any:
    """The AWS CLI's answer."""
    command = [str(Path(sys.executable).with_name("aws")), "firehose", *words]
    done = subprocess.run(
        command, env={**os.environ, **server.environment()}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def test_cli_when_it_makes_feeds_and_deletes_a_delivery_stream_then_each_command_works(
    server: PenstockServer, lake: Lake
) -> None:
    named = ("--delivery-stream-name", "orders")
    made = aws(
        server, "create-delivery-stream", *named,
        "--extended-s3-destination-configuration", json.dumps(to_lake()),
    )  # fmt: skip
    assert made["DeliveryStreamARN"].endswith(":deliverystream/orders")
    assert aws(server, "list-delivery-streams")["DeliveryStreamNames"] == ["orders"]
    record = json.dumps({"Data": "hello\n"})  # version 1 of the CLI takes it as it is
    assert aws(server, "put-record", *named, "--record", record)["RecordId"]
    assert aws(server, "put-record-batch", *named, "--records", record, record)["FailedPutCount"] == 0
    aws(server, "tag-delivery-stream", *named, "--tags", "Key=team,Value=a")
    assert aws(server, "list-tags-for-delivery-stream", *named)["Tags"] == [{"Key": "team", "Value": "a"}]
    told = aws(server, "describe-delivery-stream", *named)["DeliveryStreamDescription"]
    assert told["DeliveryStreamStatus"] == "ACTIVE"
    settle(server)
    assert list(lake.wait().values()) == [b"hello\n" * 3]
    aws(server, "delete-delivery-stream", *named)
    assert aws(server, "list-delivery-streams")["DeliveryStreamNames"] == []


def test_terraform_when_it_applies_changes_and_destroys_then_its_calls_are_answered_as_it_expects(
    server: PenstockServer,
) -> None:
    """The calls of aws_kinesis_firehose_delivery_stream, in the provider's order."""
    firehose = server.client("firehose")
    named = {"DeliveryStreamName": "orders"}

    def read() -> Any:
        told = firehose.describe_delivery_stream(**named)["DeliveryStreamDescription"]
        firehose.list_tags_for_delivery_stream(**named)
        return told

    firehose.create_delivery_stream(
        **named,
        DeliveryStreamType="DirectPut",
        Tags=[{"Key": "team", "Value": "a"}],
        ExtendedS3DestinationConfiguration=to_lake(
            CloudWatchLoggingOptions={"Enabled": False},
            CompressionFormat="UNCOMPRESSED",
            CustomTimeZone="UTC",
            EncryptionConfiguration={"NoEncryptionConfig": "NoEncryption"},
            FileExtension="",
            ProcessingConfiguration={"Enabled": False, "Processors": []},
            S3BackupMode="Disabled",
        ),
    )
    assert read()["DeliveryStreamStatus"] == "ACTIVE"
    firehose.start_delivery_stream_encryption(
        **named, DeliveryStreamEncryptionConfigurationInput={"KeyType": "AWS_OWNED_CMK"}
    )
    assert read()["DeliveryStreamEncryptionConfiguration"]["Status"] == "ENABLED"
    told = read()
    firehose.update_destination(
        **named,
        CurrentDeliveryStreamVersionId=told["VersionId"],
        DestinationId=told["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate=to_lake(Prefix="changed/", S3BackupMode="Disabled"),
    )
    firehose.untag_delivery_stream(**named, TagKeys=["team"])
    told = read()
    assert told["VersionId"] == "2"
    assert told["Destinations"][0]["ExtendedS3DestinationDescription"]["Prefix"] == "changed/"
    firehose.stop_delivery_stream_encryption(**named)
    assert read()["DeliveryStreamEncryptionConfiguration"]["Status"] == "DISABLED"
    firehose.delete_delivery_stream(**named)
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        read()


def command(server: PenstockServer, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command of ours."""
    return subprocess.run(
        [sys.executable, "-m", "penstock", "firehose", *words, "--endpoint", server.endpoint_url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_commands_when_records_are_buffered_then_status_tells_and_flush_delivers_them(
    server: PenstockServer, lake: Lake
) -> None:
    firehose = create(server)
    firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(b"a\n", b"b\n"))
    wait_read(server)
    told = command(server, "status", "orders")
    assert told.returncode == 0, told.stderr
    assert "DirectPut to ExtendedS3" in told.stdout
    assert "shardId-000000000000" in told.stdout
    assert command(server, "flush", "orders").returncode == 0
    assert list(lake.wait().values()) == [b"a\nb\n"]
    assert "orders" in command(server, "status").stdout
    missing = command(server, "flush", "none")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert "no delivery stream none" in missing.stderr


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """Moto's server, an S3 that is not ours; its URL."""
    port = free_port()
    program = str(Path(sys.executable).with_name("moto_server"))
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    try:
        while process.poll() is None:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            pause(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_objects_when_the_bucket_is_in_s3_then_boto3_reads_them_with_their_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with moto(tmp_path) as url, PenstockServer(buckets="s3:", s3_endpoint=url) as server:
        s3 = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        key = "arn:aws:kms:us-east-1:123456789012:key/0c7f4f5b-0000-4000-8000-000000000000"
        firehose = create(
            server,
            CompressionFormat="GZIP",
            Prefix="in/",
            EncryptionConfiguration={"KMSEncryptionConfig": {"AWSKMSKeyARN": key}},
        )
        firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(b"a\n", b"b\n"))
        settle(server)  # the bucket is not there yet: the first attempts fail
        s3.create_bucket(Bucket="lake")
        found: list[Any] = []
        for _ in range(3000):  # a minute
            server.clock.advance(seconds=2)
            found = s3.list_objects_v2(Bucket="lake").get("Contents", [])
            if found:
                break
            pause(0.02)
        [one] = found
        assert one["Key"].startswith("in/20")
        got = s3.get_object(Bucket="lake", Key=one["Key"])
        assert got["ContentEncoding"] == "gzip"
        assert got["ContentType"] == "application/octet-stream"
        assert (got["ServerSideEncryption"], got["SSEKMSKeyId"]) == ("aws:kms", key)

        assert gzip.decompress(got["Body"].read()) == b"a\nb\n"
