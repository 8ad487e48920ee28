"""Constraints: each rule in AWS's words, the path to the value, the echo, the count and the order."""

import time
from typing import Any

import pytest

from penstock.core.errors import ServiceError
from penstock.host.apimodels import load_model
from penstock.wire.model import Shape
from penstock.wire.reject import ECHO_MAX_CHARS, VIOLATIONS_MAX, check

NAME_RULE = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
SHORT = "Member must have length greater than or equal to 1"
NOT_NULL = "Member must not be null"
KEY_ITEMS = "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
HOSTILE_S = 5  # of processor time: backtracking takes minutes
TYPES = "AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST, AT_TIMESTAMP"


def input_shape(operation: str) -> Shape:
    shape = load_model("kinesis").operations[operation].input
    assert shape is not None
    return shape


def refusal(operation: str, value: dict[str, Any]) -> str:
    with pytest.raises(ServiceError) as caught:
        check(input_shape(operation), value)
    assert (caught.value.code, caught.value.status) == ("ValidationException", 400)
    assert caught.value.message is not None
    return caught.value.message


def worded(*violations: tuple[str, str, str]) -> str:
    """The message for violations given as (echo, path, rule)."""
    count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected: "
    return count + "; ".join(
        f"Value {echo} at '{path}' failed to satisfy constraint: {rule}" for echo, path, rule in violations
    )


@pytest.mark.parametrize(
    ("operation", "value", "violations"),
    [
        ("DescribeStream", {"StreamName": ""}, [("''", "streamName", NAME_RULE), ("''", "streamName", SHORT)]),
        ("DescribeStream", {"StreamName": "a b"}, [("'a b'", "streamName", NAME_RULE)]),
        ("DescribeStream", {"StreamName": "a\n"}, [("'a\n'", "streamName", NAME_RULE)]),
        (
            "DescribeStream",
            {"StreamName": "n" * 129},
            [(f"'{'n' * 129}'", "streamName", "Member must have length less than or equal to 128")],
        ),
        (
            "DescribeStream",
            {"Limit": 0},
            [("'0'", "limit", "Member must have value greater than or equal to 1")],
        ),
        (
            "DescribeStream",
            {"Limit": 10001},
            [("'10001'", "limit", "Member must have value less than or equal to 10000")],
        ),
        ("CreateStream", {}, [("null", "streamName", NOT_NULL)]),
        (
            "CreateStream",
            {"StreamName": "a", "ShardCount": -3, "MaxRecordSizeInKiB": 1},
            [
                ("'-3'", "shardCount", "Member must have value greater than or equal to 1"),
                ("'1'", "maxRecordSizeInKiB", "Member must have value greater than or equal to 1024"),
            ],
        ),
        (
            "CreateStream",
            {"StreamName": "a", "StreamModeDetails": {}},
            [("null", "streamModeDetails.streamMode", NOT_NULL)],
        ),
        (
            "CreateStream",
            {"StreamName": "a", "StreamModeDetails": {"StreamMode": "BOTH"}},
            [
                (
                    "'BOTH'",
                    "streamModeDetails.streamMode",
                    "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]",
                )
            ],
        ),
        (
            "GetShardIterator",
            {"StreamName": "a", "ShardId": "s-0", "ShardIteratorType": "latest"},
            [("'latest'", "shardIteratorType", f"Member must satisfy enum value set: [{TYPES}]")],
        ),
        (
            "GetShardIterator",
            {"ShardId": "s-0", "ShardIteratorType": "LATEST", "StartingSequenceNumber": "007"},
            [
                (
                    "'007'",
                    "startingSequenceNumber",
                    r"Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})",
                )
            ],
        ),
        ("PutRecord", {"PartitionKey": ""}, [("null", "data", NOT_NULL), ("''", "partitionKey", SHORT)]),
        (
            "PutRecord",
            {"Data": b"", "ExplicitHashKey": "-1"},
            [("'-1'", "explicitHashKey", r"Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})")],
        ),
        (
            "PutRecord",
            {"Data": bytes(10 * 2**20 + 1), "PartitionKey": "k"},
            [
                (
                    "'java.nio.HeapByteBuffer[pos=0 lim=10485761 cap=10485761]'",
                    "data",
                    "Member must have length less than or equal to 10485760",
                )
            ],
        ),
        ("PutRecords", {"Records": []}, [("'[]'", "records", SHORT)]),
        (
            "PutRecords",
            {"Records": [{"Data": b"", "PartitionKey": "k"}, {"Data": b"", "PartitionKey": ""}]},
            [("''", "records.2.member.partitionKey", SHORT)],
        ),
        (
            "PutRecords",
            {"Records": [{"PartitionKey": "k"}, None]},
            [("null", "records.1.member.data", NOT_NULL), ("null", "records.2.member", NOT_NULL)],
        ),
        (
            "RemoveTagsFromStream",
            {"TagKeys": []},
            [("'[]'", "tagKeys", SHORT)],
        ),
        (
            "RemoveTagsFromStream",
            {"TagKeys": ["a", ""]},
            [("'[a, ]'", "tagKeys", f"Member must satisfy constraint: {KEY_ITEMS}")],
        ),
        ("AddTagsToStream", {"Tags": {}}, [("'{}'", "tags", SHORT)]),
        (
            "AddTagsToStream",
            {"Tags": {"": "v"}},
            [("'{=v}'", "tags", f"Map keys must satisfy constraint: {KEY_ITEMS}")],
        ),
        (
            "AddTagsToStream",
            {"Tags": {"k": "v" * 257}},
            [
                (
                    f"'{{k={'v' * 257}}}'",
                    "tags",
                    "Map value must satisfy constraint: [Member must have length less than or equal to 256,"
                    " Member must have length greater than or equal to 0]",
                )
            ],
        ),
    ],
)
def test_check_when_constraints_are_broken_words_each_as_aws_does(
    operation: str, value: dict[str, Any], violations: list[tuple[str, str, str]]
) -> None:
    assert refusal(operation, value) == worded(*violations)


@pytest.mark.parametrize(
    ("operation", "value"),
    [
        ("DescribeStream", {}),
        ("DescribeStream", {"StreamName": "n" * 128, "Limit": 10000}),
        ("PutRecord", {"Data": b"", "PartitionKey": "\U0001f600" * 256}),
        ("PutRecord", {"Data": bytes(10 * 2**20), "ExplicitHashKey": "9" * 39}),
        ("PutRecords", {"Records": [{"Data": b""}] * 500}),
        ("AddTagsToStream", {"Tags": {"k": ""}}),
        ("GetShardIterator", {"ShardId": "x", "ShardIteratorType": "LATEST", "StartingSequenceNumber": "0"}),
    ],
)
def test_check_when_values_are_at_their_bounds_says_nothing(operation: str, value: dict[str, Any]) -> None:
    check(input_shape(operation), value)


def test_check_when_more_than_ten_are_broken_tells_the_first_ten_and_counts_ten() -> None:
    message = refusal("PutRecords", {"Records": [{"PartitionKey": "k"}] * 30})
    assert message == worded(*((("null", f"records.{number}.member.data", NOT_NULL)) for number in range(1, 11)))
    assert VIOLATIONS_MAX == 10


def test_check_when_exactly_ten_are_broken_tells_them_all() -> None:
    assert refusal("PutRecords", {"Records": [{}] * 10}).startswith("10 validation errors detected: ")


def test_check_when_violations_stand_in_any_order_follows_the_model() -> None:
    value = {"ShardIteratorType": "X", "ShardId": "!", "StreamName": "!"}
    paths = [part.split("'")[3] for part in refusal("GetShardIterator", value).split("; ")]
    assert paths == ["streamName", "shardId", "shardIteratorType"]


def test_check_when_the_value_is_huge_echoes_its_beginning_only() -> None:
    assert len(refusal("DescribeStream", {"StreamName": "!" * 10**6})) < 3 * ECHO_MAX_CHARS
    assert len(refusal("AddTagsToStream", {"Tags": {"k": "v" * 10**6}})) < 3 * ECHO_MAX_CHARS
    assert len(refusal("RemoveTagsFromStream", {"TagKeys": ["k" * 1000] * 5000})) < 3 * ECHO_MAX_CHARS


def test_check_when_list_items_are_null_tells_the_place() -> None:
    assert refusal("RemoveTagsFromStream", {"TagKeys": ["a", None]}) == worded(("null", "tagKeys.2.member", NOT_NULL))


def test_check_when_a_map_value_is_null_is_refused() -> None:
    """No answer of AWS is on record for this; what matters is that it does not come to the operation."""
    assert refusal("AddTagsToStream", {"Tags": {"k": None}}).startswith("1 validation error detected: ")


@pytest.mark.parametrize(
    ("operation", "member", "text"),
    [
        ("ListTagsForResource", "ResourceARN", "arn:aws" + ":kinesis:" * 220 + ":123456789012:" * 150),
        ("DescribeStream", "StreamARN", "arn:aws" + ":kinesis:" * 220 + ":123456789012:" * 150),
        ("DescribeStream", "StreamName", "a" * 4095 + "!"),
    ],
)
def test_check_when_a_pattern_is_given_hostile_text_takes_little_time(operation: str, member: str, text: str) -> None:
    started_s = time.thread_time()
    refusal(operation, {member: text})
    assert time.thread_time() - started_s < HOSTILE_S
