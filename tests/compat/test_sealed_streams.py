"""Encrypted streams through boto3: what happens to puts and gets when something happens to the key."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import EventStreamError

from penstock.core.settings import SettingError
from penstock.host.entropy import SystemEntropy
from penstock.host.remotekms import RETRY_MS
from penstock.services.streams.envelope import KEPT_MS
from penstock.storage.backup import copy_directory
from penstock.storage.directory import DataDirectory
from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ReadAll = Callable[..., list[bytes]]
SHARD = "shardId-000000000000"
PREFIX = "arn:aws:kms:us-east-1:123456789012:"
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def kms(penstock: PenstockServer) -> Any:
    return penstock.client("kms", config=ONCE)


@pytest.fixture
def key(kms: Any, kinesis: "KinesisClient") -> str:
    """The id of the key of stream `s`, which it is named to by alias/k."""
    made = str(kms.create_key()["KeyMetadata"]["KeyId"])
    kms.create_alias(AliasName="alias/k", TargetKeyId=made)
    kinesis.create_stream(StreamName="s", ShardCount=1)
    encrypt(kinesis, "alias/k")
    return made


def encrypt(kinesis: "KinesisClient", key: str) -> None:
    kinesis.start_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId=key)


def put(kinesis: "KinesisClient", data: bytes) -> str | None:
    return kinesis.put_record(StreamName="s", Data=data, PartitionKey="k").get("EncryptionType")


def page(kinesis: "KinesisClient") -> Any:
    """The first page of the stream."""
    answer = kinesis.get_shard_iterator(StreamName="s", ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")
    return kinesis.get_records(ShardIterator=answer["ShardIterator"])["Records"]


def pass_bound(penstock: PenstockServer) -> None:
    """Let the time pass after which a change of a key must have been noticed."""
    penstock.clock.advance(seconds=KEPT_MS / 1000)


def uses(kinesis: "KinesisClient") -> Iterator[tuple[Callable[..., Any], dict[str, Any]]]:
    """Each way to touch a stream's records, but for fan-out."""
    yield kinesis.put_record, {"StreamName": "s", "Data": b"x", "PartitionKey": "k"}
    yield kinesis.put_records, {"StreamName": "s", "Records": [{"Data": b"x", "PartitionKey": "k"}] * 2}
    answer = kinesis.get_shard_iterator(StreamName="s", ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")
    yield kinesis.get_records, {"ShardIterator": answer["ShardIterator"]}


@pytest.mark.usefixtures("key")
def test_each_record_says_whether_it_was_sealed_and_all_are_readable(kinesis: "KinesisClient") -> None:
    kinesis.stop_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId="alias/k")
    assert put(kinesis, b"plain") is None
    encrypt(kinesis, "alias/k")
    assert put(kinesis, b"sealed") == "KMS"
    encrypt(kinesis, "alias/aws/kinesis")
    assert put(kinesis, b"") == "KMS"
    kinesis.stop_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId="alias/k")
    assert put(kinesis, b"plain again") is None
    found = [(record["Data"], record["PartitionKey"], record.get("EncryptionType")) for record in page(kinesis)]
    assert found == [(b"plain", "k", None), (b"sealed", "k", "KMS"), (b"", "k", "KMS"), (b"plain again", "k", None)]


def test_a_key_that_is_disabled_is_noticed_within_the_bound_and_works_again(
    kinesis: "KinesisClient", kms: Any, key: str, refused: Refused, penstock: PenstockServer
) -> None:
    put(kinesis, b"before")
    kms.disable_key(KeyId=key)
    pass_bound(penstock)
    for operation, arguments in uses(kinesis):
        assert refused(operation, **arguments) == ("KMSDisabledException", f"{PREFIX}key/{key} is disabled.")
    assert (
        refused(kinesis.start_stream_encryption, StreamName="s", EncryptionType="KMS", KeyId=key)[0]
        == "KMSDisabledException"
    )
    kms.enable_key(KeyId=key)
    put(kinesis, b"after")
    assert [record["Data"] for record in page(kinesis)] == [b"before", b"after"]


def test_a_key_that_is_deleted_is_noticed_and_gone_for_good(
    kinesis: "KinesisClient", kms: Any, key: str, refused: Refused, penstock: PenstockServer
) -> None:
    kinesis.increase_stream_retention_period(StreamName="s", RetentionPeriodHours=1000)
    put(kinesis, b"lost")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    pass_bound(penstock)
    for operation, arguments in uses(kinesis):
        assert refused(operation, **arguments) == (
            "KMSInvalidStateException",
            f"{PREFIX}key/{key} is pending deletion.",
        )
    penstock.clock.advance(hours=7 * 24)
    texts = {refused(operation, **arguments) for operation, arguments in uses(kinesis)}
    assert texts == {
        ("KMSNotFoundException", f"Alias {PREFIX}alias/k is not found."),
        ("KMSNotFoundException", f"Key '{PREFIX}key/{key}' does not exist"),
    }
    encrypt(kinesis, "alias/aws/kinesis")
    assert put(kinesis, b"new") == "KMS"


def test_an_alias_that_is_given_another_key_is_followed(
    kinesis: "KinesisClient", kms: Any, key: str, penstock: PenstockServer
) -> None:
    put(kinesis, b"0")
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName="alias/k", TargetKeyId=other)
    pass_bound(penstock)
    put(kinesis, b"1")
    assert [record["Data"] for record in page(kinesis)] == [b"0", b"1"]
    used = [held.data_key.arn.rpartition("/")[2] for held in data_keys(penstock)]
    assert used == [key, other]


def data_keys(penstock: PenstockServer) -> list[Any]:
    """The data keys of the stream, by number."""
    streams = penstock._running.streams
    [view] = streams.directory.all()
    return [view.data_keys[number] for number in sorted(view.data_keys)]


@pytest.mark.usefixtures("key")
def test_data_keys_are_rotated_hourly_and_go_with_their_records(
    kinesis: "KinesisClient", penstock: PenstockServer
) -> None:
    for _ in range(3):
        put(kinesis, b"x")
        penstock.clock.advance(minutes=31)
    assert len(data_keys(penstock)) == 2
    penstock.clock.advance(hours=23)
    put(kinesis, b"y")
    penstock.clock.advance(hours=2)
    assert [record["Data"] for record in page(kinesis)] == [b"y"]
    penstock.clock.advance(minutes=1)
    put(kinesis, b"z")
    assert [record["Data"] for record in page(kinesis)] == [b"y", b"z"]
    penstock.clock.advance(hours=2)
    page(kinesis)
    assert len(data_keys(penstock)) < 4
    kinesis.delete_stream(StreamName="s")
    found = penstock._call(penstock._running._engine.meta.scan("streams/datakey/"))
    assert list(found) == []


def test_sizes_count_what_the_client_sent(kinesis: "KinesisClient", key: str, refused: Refused) -> None:
    assert key
    largest = b"x" * ((1 << 20) - 1)
    assert put(kinesis, largest) == "KMS"
    assert page(kinesis)[0]["Data"] == largest
    assert (
        refused(kinesis.put_record, StreamName="s", Data=largest + b"x", PartitionKey="k")[0]
        == "InvalidArgumentException"
    )


def test_fan_out_opens_records_and_ends_with_the_keys_error(
    kinesis: "KinesisClient", kms: Any, key: str, refused: Refused, penstock: PenstockServer
) -> None:
    put(kinesis, b"0")
    consumer = kinesis.register_stream_consumer(StreamARN=ARN, ConsumerName="c")["Consumer"]["ConsumerARN"]
    answer = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=SHARD, StartingPosition={"Type": "TRIM_HORIZON"})
    events = iter(answer["EventStream"])
    put(kinesis, b"1")
    found: list[Any] = []
    while len(found) < 2:
        found += next(events)["SubscribeToShardEvent"]["Records"]
    assert [(record["Data"], record["PartitionKey"], record["EncryptionType"]) for record in found] == [
        (b"0", "k", "KMS"), (b"1", "k", "KMS"),
    ]  # fmt: skip
    penstock.clock.advance(minutes=4)
    put(kinesis, b"2")  # the writer's copy of the data key is as old as the reader's
    assert next(event for event in events if event["SubscribeToShardEvent"]["Records"])
    kms.disable_key(KeyId=key)
    penstock.clock.advance(seconds=61)  # from the hour's data key, which is no longer in memory
    answer["EventStream"].close()
    again = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=SHARD, StartingPosition={"Type": "TRIM_HORIZON"})
    with pytest.raises(EventStreamError, match="KMSDisabledException"):
        list(again["EventStream"])
    again["EventStream"].close()


def test_nothing_that_was_written_is_readable_on_the_disk_or_in_a_backup(tmp_path: Path) -> None:
    marker, plain = SystemEntropy().bytes(32), SystemEntropy().bytes(32)
    name = "partition-" + SystemEntropy().bytes(16).hex()
    data_dir = tmp_path / "data"
    with PenstockServer(engine="local", data_dir=data_dir, journal_file="1M", cache="0") as server:
        kinesis = server.client(config=ONCE)
        kinesis.create_stream(StreamName="s", ShardCount=2)
        kinesis.put_record(StreamName="s", Data=plain, PartitionKey="plain")  # that the search finds what is there
        encrypt(kinesis, "alias/aws/kinesis")
        filler = SystemEntropy().bytes(8000)
        for _ in range(10):
            records = [{"Data": marker + filler, "PartitionKey": f"{name}-{number}"} for number in range(50)]
            assert kinesis.put_records(StreamName="s", Records=records)["FailedRecordCount"] == 0
        read = 0
        for shard in (SHARD, "shardId-000000000001"):
            answer = kinesis.get_shard_iterator(StreamName="s", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
            found = kinesis.get_records(ShardIterator=answer["ShardIterator"])["Records"]
            read += sum(record["Data"] == marker + filler for record in found)
        assert read == 500
        copy_directory(DataDirectory(data_dir), tmp_path / "backup", lambda _count: None)
        assert list(DataDirectory(data_dir).segment_paths())
        living = grep(tmp_path, plain, marker, filler[:32], name.encode())
        assert living == {plain}
        assert open_files_with(marker, filler[:32], name.encode()) == []
    assert grep(tmp_path, plain, marker, filler[:32], name.encode()) == {plain}
    assert not (tmp_path / "backup" / "master.key").exists()


def open_files_with(*texts: bytes) -> list[str]:
    """The files that this process has open, deleted ones too, and that hold any of the texts."""
    found: list[str] = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile, or no file
            if link.is_file() and any(text in link.read_bytes() for text in texts):
                found.append(str(link.readlink()))
    return found


def grep(folder: Path, *texts: bytes) -> set[bytes]:
    """Those of the texts that any file below a folder holds."""
    found: set[bytes] = set()
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found |= {text for text in texts if text in content}
    return found


def test_records_are_readable_after_a_restart_and_not_with_another_master_key(tmp_path: Path, refused: Refused) -> None:
    elsewhere = tmp_path / "key"
    settings: dict[str, Any] = {"engine": "local", "data_dir": tmp_path / "data", "master_key_file": elsewhere}
    with PenstockServer(**settings) as server:
        kinesis = server.client(config=ONCE)
        kinesis.create_stream(StreamName="s", ShardCount=1)
        encrypt(kinesis, "alias/aws/kinesis")
        put(kinesis, b"0")
    with PenstockServer(**settings) as server:
        kinesis = server.client(config=ONCE)
        put(kinesis, b"1")
        assert [record["Data"] for record in page(kinesis)] == [b"0", b"1"]
        assert len(data_keys(server)) == 1
    right = elsewhere.read_text()
    elsewhere.write_text("0" * 64)
    with PenstockServer(**settings) as server:
        kinesis = server.client(config=ONCE)
        for operation, arguments in uses(kinesis):
            assert refused(operation, **arguments)[0] == "KMSInvalidStateException"
        [row] = server.client("kms").list_keys()["Keys"]
        assert server.client("kms").describe_key(KeyId=row["KeyId"])["KeyMetadata"]["KeyState"] == "Unavailable"
    elsewhere.write_text(right)
    with PenstockServer(**settings) as server:
        assert [record["Data"] for record in page(server.client())] == [b"0", b"1"]


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server signs its questions to the external KMS with."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "123456789012")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.usefixtures("credentials")
def test_an_external_kms_gives_the_data_keys_and_its_refusals_are_told(refused: Refused) -> None:
    with PenstockServer() as other, PenstockServer(kms_endpoint=other.endpoint_url) as server:
        kms, kinesis = other.client("kms"), server.client(config=ONCE)
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName="alias/k", TargetKeyId=key)
        kinesis.create_stream(StreamName="s", ShardCount=1)
        encrypt(kinesis, "alias/k")
        assert put(kinesis, b"0") == "KMS"
        assert [record["Data"] for record in page(kinesis)] == [b"0"]
        assert server.client("kms").list_keys()["Keys"] == []
        kms.disable_key(KeyId=key)
        pass_bound(server)
        for operation, arguments in uses(kinesis):
            assert refused(operation, **arguments) == ("KMSDisabledException", f"{PREFIX}key/{key} is disabled.")
        kms.enable_key(KeyId=key)
        server.clock.advance(seconds=RETRY_MS / 1000)
        put(kinesis, b"1")
        encrypt(kinesis, "alias/aws/kinesis")
        put(kinesis, b"2")
        assert [record["Data"] for record in page(kinesis)] == [b"0", b"1", b"2"]
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        other.clock.advance(hours=7 * 24)
        asked = {"StreamName": "s", "EncryptionType": "KMS"}
        assert refused(kinesis.start_stream_encryption, **asked, KeyId=key)[0] == "KMSNotFoundException"
        assert refused(kinesis.start_stream_encryption, **asked, KeyId="alias/k")[0] == "KMSNotFoundException"


@pytest.mark.usefixtures("credentials")
def test_an_external_kms_that_is_away_is_a_fault_of_the_servers_side(refused: Refused) -> None:
    with PenstockServer(kms_endpoint="http://127.0.0.1:9") as server:
        kinesis = server.client(config=ONCE)
        kinesis.create_stream(StreamName="s", ShardCount=1)
        asked = {"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/k"}
        for _ in range(2):
            assert refused(kinesis.start_stream_encryption, **asked)[0] == "InternalFailure"


def test_an_external_kms_without_credentials_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = PenstockServer(kms_endpoint="http://127.0.0.1:1")
    with pytest.raises(SettingError, match="no AWS credentials"):
        server.start()
    server._app = None  # there is nothing to stop but the thread
    server.stop()
