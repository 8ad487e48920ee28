"""Capacity mode, warm throughput, record distribution and the account's settings, through boto3."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ACCOUNT = "123456789012"
ARN = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/a"
ON_DEMAND: Any = {"StreamMode": "ON_DEMAND"}
PROVISIONED: Any = {"StreamMode": "PROVISIONED"}
NOT_WARM = (
    "ValidationException",
    "WarmThroughputMiBps needs a stream in ON_DEMAND mode and an account with MinimumThroughputBillingCommitment enabled.",
)


def summary(kinesis: "KinesisClient") -> Any:
    return kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]


def shards(kinesis: "KinesisClient") -> list[str]:
    return [
        shard["ShardId"] for shard in kinesis.list_shards(StreamName="a", ShardFilter={"Type": "AT_LATEST"})["Shards"]
    ]


def commit(kinesis: "KinesisClient", status: Any = "ENABLED") -> Any:
    answer = kinesis.update_account_settings(MinimumThroughputBillingCommitment={"Status": status})
    return answer["MinimumThroughputBillingCommitment"]


def test_a_change_of_mode_keeps_the_shards(kinesis: "KinesisClient", read_all: Callable[..., list[bytes]]) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=2)
    before = shards(kinesis)
    kinesis.put_record(StreamName="a", Data=b"x", PartitionKey="k", ExplicitHashKey="0")
    kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=ON_DEMAND)
    assert summary(kinesis)["StreamModeDetails"] == ON_DEMAND
    assert (shards(kinesis), read_all("a")) == (before, [b"x"])
    assert kinesis.describe_limits()["OnDemandStreamCount"] == 1
    kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=PROVISIONED)
    assert summary(kinesis)["StreamModeDetails"] == PROVISIONED
    assert shards(kinesis) == before
    kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=PROVISIONED)  # Terraform repeats itself


def test_the_mode_changes_twice_a_day_under_aws_limits(refused: Refused) -> None:
    with PenstockServer(limits="aws") as server:
        server.clock.stand()
        kinesis = server.client()
        kinesis.create_stream(StreamName="a", ShardCount=1)
        kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=ON_DEMAND)
        server.clock.advance(hours=1)
        kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=PROVISIONED)
        assert refused(kinesis.update_stream_mode, StreamARN=ARN, StreamModeDetails=ON_DEMAND) == (
            "LimitExceededException",
            f"The capacity mode of stream a under account {ACCOUNT} can be changed at most 2 times in 24 hours.",
        )
        server.clock.advance(hours=22, minutes=59)
        assert (
            refused(kinesis.update_stream_mode, StreamARN=ARN, StreamModeDetails=ON_DEMAND)[0]
            == "LimitExceededException"
        )
        server.clock.advance(minutes=1)
        kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=ON_DEMAND)
        assert (
            refused(kinesis.update_stream_mode, StreamARN=ARN, StreamModeDetails=PROVISIONED)[0]
            == "LimitExceededException"
        )


def test_a_change_of_mode_is_refused_where_it_cannot_be(kinesis: "KinesisClient", refused: Refused) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    mode = kinesis.update_stream_mode
    assert refused(mode, StreamARN=ARN[:-1] + "b", StreamModeDetails=ON_DEMAND)[0] == "ResourceNotFoundException"
    assert refused(mode, StreamARN=ARN, StreamModeDetails={"StreamMode": "FREE"})[0] == "ValidationException"
    assert refused(mode, StreamARN=ARN)[0] == "ValidationException"
    assert refused(mode, StreamModeDetails=ON_DEMAND)[0] == "ValidationException"
    assert refused(mode, StreamARN=ARN, StreamModeDetails=ON_DEMAND, WarmThroughputMiBps=5) == NOT_WARM
    commit(kinesis)
    assert refused(mode, StreamARN=ARN, StreamModeDetails=PROVISIONED, WarmThroughputMiBps=5) == NOT_WARM
    assert summary(kinesis)["StreamModeDetails"] == PROVISIONED


def test_the_limits_of_an_account_are_those_of_the_settings(refused: Refused) -> None:
    with PenstockServer(account_shards=6, account_on_demand_streams=1) as server:
        kinesis = server.client()
        kinesis.create_stream(StreamName="a", ShardCount=1)
        kinesis.create_stream(StreamName="b", StreamModeDetails=ON_DEMAND)
        limits = kinesis.describe_limits()
        assert (limits["ShardLimit"], limits["OpenShardCount"]) == (6, 5)
        assert (limits["OnDemandStreamCountLimit"], limits["OnDemandStreamCount"]) == (1, 1)
        many = (
            "This request would exceed the on-demand stream limit for the account 123456789012 in us-east-1. Limit: 1."
        )
        assert refused(kinesis.update_stream_mode, StreamARN=ARN, StreamModeDetails=ON_DEMAND) == (
            "LimitExceededException",
            many,
        )
        code, text = refused(kinesis.create_stream, StreamName="c", ShardCount=2)
        assert code == "LimitExceededException"
        assert (
            "Current shard count for the account: 5. Limit: 6. Number of additional shards that would have resulted from this request: 2."
            in text
        )
        kinesis.create_stream(StreamName="c", ShardCount=1)


def test_warm_throughput_brings_shards_and_releases_them(kinesis: "KinesisClient") -> None:
    kinesis.create_stream(StreamName="a", StreamModeDetails=ON_DEMAND)
    assert "WarmThroughput" not in summary(kinesis), "not without the commitment"
    commit(kinesis)
    assert summary(kinesis)["WarmThroughput"] == {"CurrentMiBps": 4}
    kinesis.put_records(StreamName="a", Records=[{"Data": b"%d" % n, "PartitionKey": str(n)} for n in range(50)])
    answer: Any = kinesis.update_stream_warm_throughput(StreamName="a", WarmThroughputMiBps=10)
    assert (answer["StreamARN"], answer["StreamName"]) == (ARN, "a")
    assert answer["WarmThroughput"] == {"TargetMiBps": 10, "CurrentMiBps": 4}
    assert summary(kinesis)["WarmThroughput"] == {"TargetMiBps": 10, "CurrentMiBps": 10}
    assert summary(kinesis)["OpenShardCount"] == len(shards(kinesis)) == 10
    kinesis.update_stream_warm_throughput(StreamARN=ARN, WarmThroughputMiBps=2)
    assert summary(kinesis)["WarmThroughput"] == {"TargetMiBps": 2, "CurrentMiBps": 4}
    assert len(shards(kinesis)) == 4
    kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=PROVISIONED)
    assert "WarmThroughput" not in summary(kinesis)


def test_warm_throughput_can_be_asked_for_at_the_beginning_and_with_the_mode(kinesis: "KinesisClient") -> None:
    commit(kinesis)
    kinesis.create_stream(StreamName="a", StreamModeDetails=ON_DEMAND, WarmThroughputMiBps=7)
    assert summary(kinesis)["WarmThroughput"] == {"TargetMiBps": 7, "CurrentMiBps": 7}
    kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=PROVISIONED)
    kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=ON_DEMAND, WarmThroughputMiBps=5)
    assert summary(kinesis)["WarmThroughput"] == {"TargetMiBps": 5, "CurrentMiBps": 7}, "the shards stay"
    kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=ON_DEMAND, WarmThroughputMiBps=8)
    assert summary(kinesis)["WarmThroughput"] == {"TargetMiBps": 8, "CurrentMiBps": 8}


def test_warm_throughput_is_refused_where_it_cannot_be(kinesis: "KinesisClient", refused: Refused) -> None:
    warm, create = kinesis.update_stream_warm_throughput, kinesis.create_stream
    kinesis.create_stream(StreamName="a", StreamModeDetails=ON_DEMAND)
    kinesis.create_stream(StreamName="p", ShardCount=1)
    assert refused(warm, StreamName="a", WarmThroughputMiBps=5) == NOT_WARM
    assert refused(create, StreamName="c", StreamModeDetails=ON_DEMAND, WarmThroughputMiBps=5) == NOT_WARM
    commit(kinesis)
    assert refused(warm, StreamName="p", WarmThroughputMiBps=5) == NOT_WARM
    assert refused(create, StreamName="c", ShardCount=1, WarmThroughputMiBps=5) == NOT_WARM
    assert refused(warm, StreamName="a", WarmThroughputMiBps=10_241) == (
        "LimitExceededException",
        "Warm throughput of 10241 MiB/s exceeds the limit of 10240 MiB/s of an on-demand stream.",
    )
    assert refused(warm, StreamName="a", WarmThroughputMiBps=-1)[0] == "ValidationException"
    assert refused(warm, StreamName="x", WarmThroughputMiBps=5)[0] == "ResourceNotFoundException"
    assert kinesis.list_streams()["StreamNames"] == ["a", "p"]


def test_the_commitment_lasts_a_day_at_least(
    kinesis: "KinesisClient", penstock: PenstockServer, refused: Refused
) -> None:
    def described() -> Any:
        return kinesis.describe_account_settings()["MinimumThroughputBillingCommitment"]

    assert described() == {"Status": "DISABLED"}
    begun = commit(kinesis)
    assert begun == described() == commit(kinesis)
    assert begun["Status"] == "ENABLED"
    assert (begun["EarliestAllowedEndAt"] - begun["StartedAt"]).total_seconds() == 86400
    ending = commit(kinesis, "DISABLED")
    assert ending == {**begun, "Status": "ENABLED_UNTIL_EARLIEST_ALLOWED_END"} == described()
    assert commit(kinesis) == begun, "the end can be taken back"
    commit(kinesis, "DISABLED")
    penstock.clock.advance(hours=24)
    ended = {"Status": "DISABLED", "StartedAt": begun["StartedAt"], "EndedAt": begun["EarliestAllowedEndAt"]}
    assert described() == ended
    again = commit(kinesis)
    assert again["StartedAt"] > begun["StartedAt"]
    penstock.clock.advance(hours=25)
    assert commit(kinesis, "DISABLED")["Status"] == "DISABLED"
    others = penstock.client(aws_access_key_id="111122223333"), penstock.client(region_name="eu-west-1")
    assert [each.describe_account_settings()["MinimumThroughputBillingCommitment"] for each in others] == [
        {"Status": "DISABLED"}
    ] * 2
    wrong = {"MinimumThroughputBillingCommitment": {"Status": "ENABLED_UNTIL_EARLIEST_ALLOWED_END"}}
    assert refused(kinesis.update_account_settings, **wrong)[0] == "ValidationException"
    assert refused(kinesis.update_account_settings)[0] == "ValidationException"


def test_the_distribution_strategy_changes_at_once_and_only_on_demand(
    kinesis: "KinesisClient", refused: Refused
) -> None:
    strategy = kinesis.update_stream_record_distribution_strategy
    kinesis.create_stream(StreamName="a", StreamModeDetails=ON_DEMAND)
    records = [{"Data": b"x", "PartitionKey": "same"} for _ in range(200)]

    def used() -> int:
        return len({record["ShardId"] for record in kinesis.put_records(StreamName="a", Records=records)["Records"]})  # type: ignore[arg-type]

    assert used() == 1
    strategy(StreamARN=ARN, RecordDistributionStrategy="AUTO")
    assert (used(), summary(kinesis)["RecordDistributionStrategy"]) == (4, "AUTO")
    strategy(StreamARN=ARN, RecordDistributionStrategy="USER_PARTITION_KEY")
    assert (used(), summary(kinesis)["RecordDistributionStrategy"]) == (1, "USER_PARTITION_KEY")
    strategy(StreamARN=ARN, RecordDistributionStrategy="AUTO")
    kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails=PROVISIONED)
    assert used() == 1, "provisioned streams know no strategy"
    strategy(StreamARN=ARN, RecordDistributionStrategy="USER_PARTITION_KEY")
    assert refused(strategy, StreamARN=ARN, RecordDistributionStrategy="AUTO") == (
        "InvalidArgumentException",
        "RecordDistributionStrategy AUTO is only supported for streams in ON_DEMAND mode.",
    )
    assert refused(strategy, StreamARN=ARN, RecordDistributionStrategy="EVEN")[0] == "ValidationException"
    assert (
        refused(strategy, StreamARN=ARN[:-1] + "b", RecordDistributionStrategy="AUTO")[0] == "ResourceNotFoundException"
    )
