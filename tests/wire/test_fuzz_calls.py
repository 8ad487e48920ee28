"""Fuzz by table: every operation gets nasty values in every member, and answers each with a success or an error that it documents.

Requests that are generated, of all services, are in tests/fuzz/test_generated_calls.py.
"""

from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from documented import SERVICES, undocumented
from generated import NUMBERS, OTHERS, TEXTS, plausible
from http_calls import Reply, Wire, healthy

from penstock.testing import PenstockServer
from penstock.wire.model import Shape

SERVICE = SERVICES["kinesis"]
FOREIGN: list[Any] = [b"", b"\xff", float("nan"), float("inf"), cbor2.undefined, cbor2.CBORTag(1, 2**63)]
BODIES = [b"", b"null", b"[]", b'"x"', b"{", b"{}", b"[" * 10_000, b'{"\xff":1}', b"\0", b"{}{}"]


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


def problem_of(operation: str, reply: Reply) -> str | None:
    return undocumented("kinesis", operation, reply.status, reply.headers["content-type"], reply.body)


@pytest.mark.parametrize("operation", sorted(SERVICE.operations))
def test_operation_when_any_json_member_is_nasty_does_not_crash(penstock: PenstockServer, operation: str) -> None:
    with Wire(penstock) as wire:
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        crashes = []
        for asked in [*BODIES, *documents(operation, [*NUMBERS, *TEXTS, *OTHERS])]:
            reply = wire.call(operation, asked)
            if (problem := problem_of(operation, reply)) is not None:
                crashes.append((str(asked)[:200], problem))
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
            if (problem := problem_of(operation, reply)) is not None:
                crashes.append((str(asked)[:200], problem))
    assert crashes == []


@pytest.mark.parametrize("operation", sorted(set(SERVICE.model.operations) - set(SERVICE.operations)))
def test_operation_when_it_is_not_implemented_says_so_whatever_the_body(
    penstock: PenstockServer, operation: str
) -> None:
    with Wire(penstock) as wire:
        for body in (b"{}", b"junk", b""):
            status, code, text = wire.call(operation, body).refusal
            assert (status, code) == (400, "UnknownOperationException")
            assert str(text).startswith(operation)
