"""The bodies of PutRecords and PutRecordBatch, and what their answers say.

Rules of this file:
  1. Pure.  It writes the JSON of two operations by hand: an SDK's serialiser takes eight times as long, which is most of an agent's work.
  2. Whatever an answer holds, reading it raises BadAnswer or nothing.
Cost: 0.6 us a record of 200 bytes.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import pybase64

from penstock.agent.settings import Destination as Service

TEXT_MAX_CHARS: Final = 500  # of what an answer says


class BadAnswer(Exception):
    """An answer that is none of the operation's; the text says so."""


class Outcome(NamedTuple):
    """The answer to a request."""

    refused: Sequence[int]  # which records were not taken
    why: str = ""  # the first refusal


class _Entry(msgspec.Struct):
    code: str | None = msgspec.field(name="ErrorCode", default=None)
    message: str | None = msgspec.field(name="ErrorMessage", default=None)


class _PutRecords(msgspec.Struct):
    failed: int = msgspec.field(name="FailedRecordCount", default=0)
    entries: list[_Entry] = msgspec.field(name="Records", default_factory=list)


class _PutRecordBatch(msgspec.Struct):
    failed: int = msgspec.field(name="FailedPutCount", default=0)
    entries: list[_Entry] = msgspec.field(name="RequestResponses", default_factory=list)


class Operation(NamedTuple):
    """How one service is asked to take records."""

    service: Service
    target: str  # X-Amz-Target
    name_key: bytes
    answer: "msgspec.json.Decoder[_PutRecords] | msgspec.json.Decoder[_PutRecordBatch]"


OPERATIONS: Final = {
    "kinesis": Operation(
        "kinesis", "Kinesis_20131202.PutRecords", b"StreamName", msgspec.json.Decoder(_PutRecords)
    ),
    "firehose": Operation(
        "firehose", "Firehose_20150804.PutRecordBatch", b"DeliveryStreamName", msgspec.json.Decoder(_PutRecordBatch)
    ),
}  # fmt: skip


def write_request(operation: Operation, stream: str, records: Sequence[bytes], keys: Sequence[str]) -> bytes:
    """The body of a request; Firehose has no keys."""
    encode = pybase64.b64encode
    if operation.service == "kinesis":
        entries = [
            b'{"Data":"%b","PartitionKey":"%b"}' % (encode(data), key.encode())
            for data, key in zip(records, keys, strict=True)
        ]
    else:
        entries = [b'{"Data":"%b"}' % encode(data) for data in records]
    return b'{"%b":%b,"Records":[%b]}' % (operation.name_key, msgspec.json.encode(stream), b",".join(entries))


def read_answer(operation: Operation, body: bytes, count: int) -> Outcome:
    """Which of `count` records were refused.  Raises BadAnswer."""
    try:
        answer = operation.answer.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadAnswer(f"the answer is none of {operation.target}: {error}") from None
    if len(answer.entries) != count:
        raise BadAnswer(f"the answer tells of {len(answer.entries)} records instead of {count}")
    refused = [index for index, entry in enumerate(answer.entries) if entry.code is not None]
    if answer.failed != len(refused):
        raise BadAnswer(f"the answer counts {answer.failed} refusals and tells of {len(refused)}")
    if not refused:
        return Outcome(())
    first = answer.entries[refused[0]]
    return Outcome(refused, " ".join(f"{first.code}: {first.message}".split())[:TEXT_MAX_CHARS])


def error_text(status: int, body: bytes) -> str:
    """What to tell of an answer that is an error."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return f"HTTP status {status}: {body[:200].decode(errors='replace')!r}"
    code = str(told.get("__type", f"HTTP status {status}")).rpartition("#")[2]
    message = told.get("message", told.get("Message"))
    return " ".join((f"{code}: {message}" if message else code).split())[:TEXT_MAX_CHARS]
