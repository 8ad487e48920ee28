"""What is sent: records and the HTTP requests that carry them, built before the clock runs.

Theory.  A document holds data as bytes; a wire (JSON or CBOR) makes it a body.
Records are drawn from a hash, so they are as incompressible as random bytes and the same in every process and every run.
Partition keys differ, so that MD5 spreads them over the shards evenly.
Rules of this file: pure; no sockets, no clock.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cbor2
import msgspec

PUT_RECORDS_COUNT: Final = 500
PUT_RECORDS_BYTES: Final = 1024
PUT_RECORD_BYTES: Final = 100
PAGE_RECORDS: Final = 10_000
PAGE_RECORD_BYTES: Final = 1000  # with its key below 10 MiB / 10,000, so that a page of GetRecords is not cut

CONTENT_TYPE: Final = "application/x-amz-json-1.1"
CBOR_CONTENT_TYPE: Final = "application/x-amz-cbor-1.1"
TARGET_PREFIX: Final = "Kinesis_20131202"
_AUTHORIZATION: Final = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
)  # well-formed, not valid: for servers that do not verify it


@dataclass(frozen=True, slots=True)
class Wire:
    """A format of bodies, and what good answers look like in it."""

    name: str
    content_type: str
    all_written: bytes  # a pattern near an end of PutRecords' answer when no record failed
    behind: bytes  # the same of GetRecords' answer
    number_marker: bytes  # once for each record written
    key_marker: bytes  # once for each record read

    def body(self, document: dict[str, Any]) -> bytes:
        """A document as it is sent."""
        return msgspec.json.encode(document) if self.content_type == CONTENT_TYPE else cbor2.dumps(document)

    def read(self, body: bytes) -> dict[str, Any]:
        """A document as it came; no bytes are an empty one."""
        if not body:
            return {}
        found: dict[str, Any] = msgspec.json.decode(body) if self.content_type == CONTENT_TYPE else cbor2.loads(body)
        return found


JSON: Final = Wire(
    "JSON", CONTENT_TYPE, rb'"FailedRecordCount"\s*:\s*0\s*[,}]', rb'"MillisBehindLatest"\s*:\s*\d', b'"SequenceNumber"',
    b'"PartitionKey"',
)  # fmt: skip
CBOR: Final = Wire(
    "CBOR", CBOR_CONTENT_TYPE, b"FailedRecordCount" + re.escape(b"\x00"), b"MillisBehindLatest[\x00-\x1b]", b"SequenceNumber",
    b"PartitionKey",
)  # fmt: skip


class Record(NamedTuple):
    """One record as it is written."""

    key: str
    data: bytes


def records(count: int, size_bytes: int, batch: int = 0) -> list[Record]:
    """`count` records of `size_bytes` of data each; another `batch` gives others."""
    stream = hashlib.shake_256(f"{batch}/{size_bytes}".encode()).digest(count * size_bytes)
    return [
        Record(f"key-{batch:03d}-{number:05d}", stream[number * size_bytes : (number + 1) * size_bytes])
        for number in range(count)
    ]


def put_records(stream: str, batch: list[Record]) -> dict[str, Any]:
    """The document of a PutRecords request."""
    return {"StreamName": stream, "Records": [_entry(record) for record in batch]}


def put_record(stream: str, record: Record) -> dict[str, Any]:
    """The document of a PutRecord request."""
    return {"StreamName": stream, **_entry(record)}


def _entry(record: Record) -> dict[str, Any]:
    return {"Data": record.data, "PartitionKey": record.key}


def headers(operation: str, wire: Wire = JSON) -> dict[str, str]:
    """The headers that every unsigned request of an operation carries."""
    return {
        "Content-Type": wire.content_type,
        "X-Amz-Target": f"{TARGET_PREFIX}.{operation}",
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": _AUTHORIZATION,
    }


def http_request(port: int, operation: str, document: dict[str, Any], wire: Wire = JSON) -> bytes:
    """A whole unsigned HTTP/1.1 request, head and body."""
    return assemble(f"127.0.0.1:{port}", headers(operation, wire), wire.body(document))


def assemble(host: str, given: dict[str, str], body: bytes) -> bytes:
    """A head of these headers, and the body."""
    lines = [
        "POST / HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in given.items()),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
