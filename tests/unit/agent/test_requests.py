"""Answers of PutRecords and PutRecordBatch, true and false."""

import json
from typing import Any

import pytest

from penstock.agent.requests import OPERATIONS, BadAnswer, Outcome, error_text, read_answer

TAKEN = {"SequenceNumber": "49", "ShardId": "shardId-000000000000"}
REFUSED = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}


def read(document: Any, count: int = 2, service: str = "kinesis") -> Outcome:
    return read_answer(OPERATIONS[service], json.dumps(document).encode(), count)


def test_answer_when_all_were_taken_then_none_is_refused() -> None:
    assert read({"FailedRecordCount": 0, "Records": [TAKEN, TAKEN], "EncryptionType": "KMS"}) == Outcome(())
    assert read({"FailedPutCount": 0, "RequestResponses": [{"RecordId": "1"}]}, 1, "firehose") == Outcome(())


def test_answer_when_some_were_refused_then_it_tells_which_and_why() -> None:
    why = "ProvisionedThroughputExceededException: Rate exceeded"
    assert read({"FailedRecordCount": 1, "Records": [TAKEN, REFUSED]}) == Outcome([1], why)
    assert read({"FailedPutCount": 1, "RequestResponses": [REFUSED, {"RecordId": "1"}]}, 2, "firehose") == Outcome(
        [0], why
    )


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        {"FailedRecordCount": 0, "Records": [TAKEN]},
        {"FailedRecordCount": 2, "Records": [TAKEN, TAKEN]},
        {"FailedRecordCount": 0, "Records": [TAKEN, REFUSED]},
        {"FailedRecordCount": "1", "Records": [TAKEN, REFUSED]},
    ],
)
def test_answer_when_it_does_not_add_up_then_nothing_counts_as_taken(document: Any) -> None:
    with pytest.raises(BadAnswer):
        read(document)


def test_error_when_it_is_told_then_it_is_one_line() -> None:
    told = b'{"__type":"com.amazonaws#ResourceNotFoundException","message":"Stream x not found"}'
    assert error_text(400, told) == "ResourceNotFoundException: Stream x not found"
    assert error_text(400, b'{"__type":"AccessDenied","Message":"no"}') == "AccessDenied: no"
    assert error_text(502, b"<html>\nno\n</html>") == r"HTTP status 502: '<html>\nno\n</html>'"
    assert error_text(500, b"[]") == "HTTP status 500: '[]'"
    assert "\n" not in error_text(400, b'{"__type":"x","message":"a\\nb"}')
