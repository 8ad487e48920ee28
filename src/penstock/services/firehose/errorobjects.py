"""Error objects: what is told of a record that could not be delivered, one line of JSON each.

Rules of this file: pure; times and counts are numbers.
Source: developer guide, "Data delivery failure handling" and "Record format conversion error handling".
"""

from collections.abc import Iterable
from typing import Final

import msgspec
import pybase64

from penstock.services.firehose.entries import Failure

PROCESSING: Final = "processing-failed"
FORMAT: Final = "format-conversion-failed"
_encoder: Final = msgspec.json.Encoder()


def error_object(failure: Failure, ended_ms: int) -> dict[str, object]:
    """One failure as AWS tells it."""
    entry = failure.entry
    last = "lastE" if failure.kind == FORMAT else "e"
    told: dict[str, object] = {
        "attemptsMade": failure.attempts,
        "arrivalTimestamp": entry.arrival_ms,
        f"{last}rrorCode": failure.code,
        f"{last}rrorMessage": failure.message,
        "attemptEndingTimestamp": ended_ms,
        "rawData": pybase64.b64encode_as_string(entry.data),
    }
    if failure.kind == FORMAT and entry.origin is not None:
        told["sequenceNumber"] = entry.origin.sequence_number
        told["subSequenceNumber"] = entry.origin.subsequence_number
    if failure.lambda_arn is not None:
        told["lambdaArn"] = failure.lambda_arn
    return {**told, **failure.facts}


def error_body(failures: Iterable[Failure], ended_ms: int) -> bytes:
    """The body of an object of failures."""
    return _encoder.encode_lines([error_object(failure, ended_ms) for failure in failures])
