"""Requests generated from the models: whatever is asked of an operation, it answers, or refuses with an error that it documents."""

import os
from collections.abc import Iterator
from typing import Any

import cbor2
import msgspec
import pytest
from documented import SERVICES, undocumented
from fuzz_world import CBOR, FORM, JSON, RPC, World, call_head
from generated import form_fields, requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_calls import error_of, rest_call

EXAMPLES = int(os.environ.get("PENSTOCK_FUZZ_EXAMPLES", "12"))  # of each operation, in each protocol
FORMS = {"json": JSON, "cbor": CBOR, "rpc": RPC, "form": FORM}
OPERATIONS = [(service, name) for service, bound in SERVICES.items() for name in sorted(bound.operations)]
PROTOCOLS = {"query": "form", "rest-json": "rest"}
CASES = [(*each, PROTOCOLS.get(SERVICES[each[0]].model.protocol, "json")) for each in OPERATIONS]
CASES += [(*each, "cbor") for each in OPERATIONS if each[0] == "kinesis"]
CASES += [(*each, protocol) for each in OPERATIONS if each[0] == "cloudwatch" for protocol in ("form", "rpc")]


@pytest.fixture(scope="module", params=["open", "enforced"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(request.param)
    yield made
    made.close()


def ask(world: World, service: str, operation: str, protocol: str, document: Any) -> str | None:
    """Call an operation; what is wrong with its answer."""
    if protocol == "rest":
        head, body = rest_call(SERVICES[service].model.operations[operation], document)
        reply = world.ask(world.signed(head, body, service), body)
        return undocumented(service, operation, reply.status, reply.content_type, reply.body, error_of(reply))
    head = call_head(service, operation, FORMS[protocol])
    match protocol:
        case "json":
            body = msgspec.json.encode(document)
        case "cbor" | "rpc":
            body = cbor2.dumps(document)
        case _:
            body = form_fields(service, operation, document)
    reply = world.ask(world.signed(head, body, service), body)
    return undocumented(service, operation, reply.status, reply.content_type, reply.body)


@pytest.mark.parametrize(("service", "operation", "protocol"), CASES)
def test_operation_when_requests_are_generated_refuses_with_nothing_undocumented(
    world: World, service: str, operation: str, protocol: str
) -> None:
    shape = SERVICES[service].operations[operation].model.input
    documents = requests(shape, world.live) if shape is not None else st.just({})

    @settings(max_examples=EXAMPLES, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(documents)
    def hold(document: Any) -> None:
        if protocol in ("cbor", "rpc"):
            document = _with_bytes(document)
        assert ask(world, service, operation, protocol, document) is None

    world.renew()
    hold()


def _with_bytes(document: Any) -> Any:
    """Blobs as CBOR has them."""
    match document:
        case dict():
            return {key: _blob(item) if key == "Data" else _with_bytes(item) for key, item in document.items()}
        case list():
            return [_with_bytes(item) for item in document]
        case _:
            return document


def _blob(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else _with_bytes(value)
