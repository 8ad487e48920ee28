"""`--max-depth` and the bound on gzip, at and over their settings, through every decoder."""

import json
import zlib
from collections.abc import Iterator

import cbor2
import pytest
from http_calls import Reply, Wire

from penstock.core.limits import MIB
from penstock.testing import PenstockServer

DEPTH = 20
BODY_MAX_BYTES = 21 * MIB
NOT_PARSED = (400, "SerializationException", None)
RECORD = {"Data": "MQ==", "PartitionKey": "k"}
CALLS: dict[str, dict[str, object]] = {
    "PutRecord": {"StreamName": "s", **RECORD},
    "PutRecords": {"StreamName": "s", "Records": [RECORD]},
    "GetRecords": {"ShardIterator": "x"},
    "ListStreams": {},
}


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    with PenstockServer(max_depth=DEPTH, max_body=BODY_MAX_BYTES) as started:
        started.client("kinesis").create_stream(StreamName="s", ShardCount=1)
        yield started


def nested(levels: int) -> bytes:
    return b"[" * levels + b"0" + b"]" * levels


def json_body(operation: str, levels: int, *, inside: bool = False) -> bytes:
    """The call with an unknown member of so many levels, in the call or in its record."""
    return as_text(CALLS[operation], inside).replace(b'"~"', nested(levels))


def as_text(document: dict[str, object], inside: bool) -> bytes:
    return json.dumps(with_unknown(document, inside)).encode()


def with_unknown(document: dict[str, object], inside: bool) -> dict[str, object]:
    return {**document, "Records": [{**RECORD, "Unknown": "~"}]} if inside else {**document, "Unknown": "~"}


def cbor_body(operation: str, levels: int, *, inside: bool = False) -> bytes:
    document = with_unknown(CALLS[operation], inside)
    return (
        cbor2.dumps(document)
        .replace(cbor2.dumps("MQ=="), cbor2.dumps(b"1"))
        .replace(b"\x61~", b"\x81" * levels + b"\x00")
    )


def call(server: PenstockServer, protocol: str, operation: str, levels: int, *, inside: bool = False) -> Reply:
    with Wire(server) as wire:
        if protocol == "json":
            return wire.call(operation, json_body(operation, levels, inside=inside))
        return wire.call_cbor(operation, cbor_body(operation, levels, inside=inside))


@pytest.mark.parametrize("protocol", ["json", "cbor"])
@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("levels", [DEPTH, 400, 100_000])
def test_unknown_member_when_it_nests_too_deep_is_no_body(
    server: PenstockServer, protocol: str, operation: str, levels: int
) -> None:
    assert call(server, protocol, operation, levels).refusal == NOT_PARSED


@pytest.mark.parametrize("protocol", ["json", "cbor"])
@pytest.mark.parametrize("levels", [DEPTH, 100_000])
def test_unknown_member_of_a_record_when_it_nests_too_deep_is_no_body(
    server: PenstockServer, protocol: str, levels: int
) -> None:
    assert call(server, protocol, "PutRecords", levels, inside=True).refusal == NOT_PARSED


@pytest.mark.parametrize("protocol", ["json", "cbor"])
@pytest.mark.parametrize("operation", ["PutRecord", "PutRecords", "ListStreams"])
def test_unknown_member_when_it_nests_as_deep_as_allowed_is_ignored(
    server: PenstockServer, protocol: str, operation: str
) -> None:
    assert call(server, protocol, operation, DEPTH - 1).status == 200


@pytest.mark.parametrize(("over_bytes", "status"), [(0, 200), (1, 413)])
def test_gzip_when_it_expands_to_the_bound_or_over_it(server: PenstockServer, over_bytes: int, status: int) -> None:
    packed = zlib.compressobj(wbits=31)
    body = packed.compress(b"{}".ljust(BODY_MAX_BYTES + over_bytes)) + packed.flush()
    with Wire(server) as wire:
        assert wire.call("ListStreams", body, Content_Encoding="gzip").status == status
