"""What is sent to a mapping's destination of a batch that was given up.

Rules of this file: pure; the documents are those that Lambda sends, member by member.
Source: recorded documents.  A batch that was given up for its age has no `responseContext`; where the failure came from
batchItemFailures, `functionError` is null; only a document in S3 carries the records.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec

from penstock.services.functions.mapping.event import Source, WindowCall, Wording
from penstock.services.functions.mapping.rows import Rows, number_of

Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]


class Verdict(NamedTuple):
    """Why a batch is given up, and what its last invocation was."""

    condition: Condition
    invoke_count: int
    request_id: str | None  # None: it was never invoked
    version: str
    function_error: str | None


def describe(
    verdict: Verdict, rows: Rows, source: Source, *, function: str, stream: str, at_ms: int, request_id: str
) -> dict[str, object]:
    """The document; `request_id` stands in where there was no invocation."""
    wording = Wording(source)
    document: dict[str, object] = {
        "requestContext": {
            "requestId": verdict.request_id or request_id,
            "functionArn": function,
            "condition": verdict.condition,
            "approximateInvokeCount": verdict.invoke_count,
        }
    }
    if verdict.condition != "RecordAgeExceeded":
        document["responseContext"] = {
            "statusCode": 200,
            "executedVersion": verdict.version,
            "functionError": verdict.function_error,
        }
    first, last = rows.arrivals_ms[0], rows.arrivals_ms[-1]
    return document | {
        "version": "1.0",
        "timestamp": timestamp(at_ms),
        "KinesisBatchInfo": {
            "shardId": wording.shard_id,
            "startSequenceNumber": str(number_of(source.number_base, rows.places[0], first)),
            "endSequenceNumber": str(number_of(source.number_base, rows.places[-1], last)),
            "approximateArrivalOfFirstRecord": timestamp(first),
            "approximateArrivalOfLastRecord": timestamp(last),
            "batchSize": rows.records,
            "streamArn": stream,
        },
    }


def with_payload(document: Mapping[str, object], wording: Wording, rows: Rows, window: WindowCall | None) -> bytes:
    """The document as it is put into a bucket: with the event."""
    return msgspec.json.encode({**document, "payload": msgspec.Raw(wording.payload(rows, window))})


def object_key(uuid: str, shard_id: str, at_ms: int, unique: str) -> str:
    """Where a document goes in a bucket; `unique` is a UUID."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"aws/lambda/{uuid}/{shard_id}/{moment:%Y/%m/%d}/{moment:%Y-%m-%dT%H.%M.%S}-{unique}"


def timestamp(at_ms: int) -> str:
    """A moment as documents tell it."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
