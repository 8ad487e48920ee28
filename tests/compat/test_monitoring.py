"""Enhanced monitoring through boto3."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"
SEVEN = [
    "IncomingBytes",
    "IncomingRecords",
    "IteratorAgeMilliseconds",
    "OutgoingBytes",
    "OutgoingRecords",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
]


def answered(answer: Any) -> tuple[list[str], list[str]]:
    """The metrics before and after; the answer names the stream."""
    assert (answer["StreamName"], answer["StreamARN"]) == ("a", ARN)
    return answer["CurrentShardLevelMetrics"], answer["DesiredShardLevelMetrics"]


def test_metrics_are_turned_on_and_off_and_all_means_seven(kinesis: "KinesisClient") -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)

    def enable(*metrics: str) -> tuple[list[str], list[str]]:
        return answered(kinesis.enable_enhanced_monitoring(StreamName="a", ShardLevelMetrics=metrics))  # type: ignore[arg-type]

    def disable(*metrics: str) -> tuple[list[str], list[str]]:
        return answered(kinesis.disable_enhanced_monitoring(StreamARN=ARN, ShardLevelMetrics=metrics))  # type: ignore[arg-type]

    def shown() -> list[list[str]]:
        full = kinesis.describe_stream(StreamName="a")["StreamDescription"]
        short = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]
        found: list[Any] = [*full["EnhancedMonitoring"], *short["EnhancedMonitoring"]]
        return [each["ShardLevelMetrics"] for each in found]

    assert enable("OutgoingBytes", "IncomingBytes") == ([], ["IncomingBytes", "OutgoingBytes"])
    assert shown() == [["IncomingBytes", "OutgoingBytes"]] * 2
    assert enable("IncomingBytes") == (["IncomingBytes", "OutgoingBytes"], ["IncomingBytes", "OutgoingBytes"])
    assert enable("ALL") == (["IncomingBytes", "OutgoingBytes"], SEVEN)
    assert shown() == [SEVEN] * 2
    assert disable("IncomingBytes", "IncomingRecords") == (SEVEN, SEVEN[2:])
    assert disable("IncomingBytes") == (SEVEN[2:], SEVEN[2:])
    assert disable("ALL") == (SEVEN[2:], [])
    assert shown() == [[]] * 2


@pytest.mark.parametrize("operation", ["enable_enhanced_monitoring", "disable_enhanced_monitoring"])
def test_bad_metrics_and_streams_are_refused(kinesis: "KinesisClient", refused: Refused, operation: str) -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)
    call = getattr(kinesis, operation)
    code, message = refused(call, StreamName="a", ShardLevelMetrics=["Bytes"])
    assert code == "ValidationException"
    assert "Member must satisfy enum value set" in message
    assert refused(call, StreamName="a", ShardLevelMetrics=[])[0] == "ValidationException"
    assert refused(call, StreamName="a", ShardLevelMetrics=[*SEVEN, "ALL"])[0] == "ValidationException"
    assert refused(call, StreamName="a")[0] == "ValidationException"
    assert refused(call, StreamName="b", ShardLevelMetrics=["ALL"]) == (
        "ResourceNotFoundException",
        "Stream b under account 123456789012 not found.",
    )
