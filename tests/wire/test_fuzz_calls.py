"""Fuzz by table: every operation gets nasty values in every member, and answers each with a refusal or a success, never a crash."""

from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from http_calls import Wire, healthy

from penstock.composition import STREAM_OPERATIONS
from penstock.host.apimodels import load_model
from penstock.services.binding import bind
from penstock.testing import PenstockServer
from penstock.wire.model import Shape

SERVICE = bind(load_model("kinesis"), STREAM_OPERATIONS, None, {})
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"
NUMBERS: list[Any] = [0, -1, 1, 24, 2**31, 2**63, -(2**63), 10**30, 1.5, -1e300, 1e300]
TEXTS: list[Any] = ["", "a", "a/b", "\0", "é" * 200, "\U0001f600", "9" * 39, "9" * 129, "shardId-0", "x-" + "9" * 18]
OTHERS: list[Any] = [None, True, [], {}, [None], [[]], {"": None}, {"k": None}, {"k": {}}, "A===", "AAF="]
FOREIGN: list[Any] = [b"", b"\xff", float("nan"), float("inf"), cbor2.undefined, cbor2.CBORTag(1, 2**63)]
BODIES = [b"", b"null", b"[]", b'"x"', b"{", b"{}", b"[" * 10_000, b'{"\xff":1}', b"\0", b"{}{}"]


def plausible(shape: Shape) -> Any:
    """A value that keeps the shape's constraints, to put beside a nasty one."""
    match shape.kind:
        case "structure":
            return {name: plausible(shape.members[name]) for name in shape.required}
        case "list":
            assert shape.member is not None
            return [plausible(shape.member)]
        case "map":
            assert shape.member is not None
            return {"k": plausible(shape.member)}
        case "integer" | "long":
            return int(shape.minimum or 1)
        case "boolean":
            return False
        case "timestamp":
            return 1
        case "blob":
            return ""
        case _:
            if shape.pattern is not None and shape.pattern.startswith("arn"):
                return ARN
            return shape.enum[0] if shape.enum else "0" if shape.pattern is not None and r"\d" in shape.pattern else "a"


def nasty(shape: Shape, values: list[Any]) -> Iterator[Any]:
    """Nasty values for a shape: the table's, and plausible structures with one nasty member."""
    yield from values
    match shape.kind:
        case "structure":
            base = plausible(shape)
            for name, member in shape.members.items():
                for value in nasty(member, values):
                    yield {**base, name: value}
        case "list":
            assert shape.member is not None
            yield from ([value] for value in nasty(shape.member, values))
            yield [plausible(shape.member)] * 501
        case "map":
            assert shape.member is not None
            yield from ({"k": value} for value in nasty(shape.member, values))
            yield {str(number): "v" for number in range(201)}


def documents(operation: str, values: list[Any]) -> Iterator[dict[str, Any]]:
    shape = SERVICE.operations[operation].model.input
    assert shape is not None
    for document in nasty(shape, values):
        if isinstance(document, dict):
            yield document
            if "StreamName" in shape.members and "StreamName" not in document and "StreamARN" not in document:
                yield {**document, "StreamName": "a"}


@pytest.mark.parametrize("operation", sorted(SERVICE.operations))
def test_operation_when_any_json_member_is_nasty_does_not_crash(penstock: PenstockServer, operation: str) -> None:
    with Wire(penstock) as wire:
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        crashes = []
        for asked in [*BODIES, *documents(operation, [*NUMBERS, *TEXTS, *OTHERS])]:
            reply = wire.call(operation, asked)
            if reply.status >= 500 or b"Traceback" in reply.body:
                crashes.append((str(asked)[:200], reply.status, reply.body[:100]))
    assert crashes == []
    assert healthy(penstock)


@pytest.mark.parametrize("operation", sorted(SERVICE.operations))
def test_operation_when_any_cbor_member_is_nasty_does_not_crash(penstock: PenstockServer, operation: str) -> None:
    values = [*FOREIGN, 1e300, -1e300, "\0", None, [], {}]
    with Wire(penstock) as wire:
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        crashes = []
        for asked in [*BODIES, *documents(operation, values)]:
            reply = wire.call_cbor(operation, asked)
            if reply.status >= 500 or b"Traceback" in reply.body:
                crashes.append((str(asked)[:200], reply.status, reply.body[:100]))
    assert crashes == []


@pytest.mark.parametrize("operation", sorted(set(load_model("kinesis").operations) - set(SERVICE.operations)))
def test_operation_when_it_is_not_implemented_says_so_whatever_the_body(
    penstock: PenstockServer, operation: str
) -> None:
    with Wire(penstock) as wire:
        for body in (b"{}", b"junk", b""):
            status, code, text = wire.call(operation, body).refusal
            assert (status, code) == (400, "UnknownOperationException")
            assert str(text).startswith(operation)
