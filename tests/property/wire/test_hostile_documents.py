"""Hostile documents: any bytes and any values are answered or refused with a row of the error table, never with a crash."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import INPUTS, SERVICE, documents

from penstock.core.errors import ServiceError
from penstock.wire import cbor, json
from penstock.wire.document import coerce
from penstock.wire.reject import check

GOOD = {"StreamName": "a", "Records": [{"Data": "AAE=", "PartitionKey": "k\U0001f600"}], "Limit": 1.5, "On": True}
CBOR_GOOD = {**GOOD, "Data": b"\0\1", "Big": 2**63, "None": None}


def mutations(body: bytes) -> st.SearchStrategy[bytes]:
    """A body cut, with bytes changed, or with a piece put in."""
    places = st.integers(0, len(body))
    return st.one_of(
        places.map(lambda at: body[:at]),
        st.tuples(places, st.binary(min_size=1, max_size=4)).map(
            lambda change: body[: change[0]] + change[1] + body[change[0] + len(change[1]) :]
        ),
        st.tuples(places, st.binary(min_size=1, max_size=9)).map(
            lambda change: body[: change[0]] + change[1] + body[change[0] :]
        ),
    )


def answers_or_refuses(protocol: Any, body: bytes) -> None:
    outcome: object
    try:
        outcome = protocol.decode_document(body)
    except ServiceError as refused:
        outcome = refused
    if isinstance(outcome, ServiceError):
        assert (outcome.code, outcome.status, outcome.message) == ("SerializationException", 400, None)
    else:
        assert isinstance(outcome, dict)


@settings(max_examples=400, derandomize=True)
@given(st.binary(max_size=60))
def test_decode_document_when_given_any_bytes_raises_nothing_but_a_refusal(body: bytes) -> None:
    answers_or_refuses(json, body)
    answers_or_refuses(cbor, body)
    answers_or_refuses(cbor, b"\xa1\x61a" + body)
    answers_or_refuses(json, b'{"a":' + body + b"}")


@settings(max_examples=400, derandomize=True)
@given(mutations(json.encode_document(GOOD)))
def test_decode_document_when_a_json_body_is_mutated_raises_nothing_but_a_refusal(body: bytes) -> None:
    answers_or_refuses(json, body)


@settings(max_examples=400, derandomize=True)
@given(mutations(cbor.encode_document(CBOR_GOOD)))
def test_decode_document_when_a_cbor_body_is_mutated_raises_nothing_but_a_refusal(body: bytes) -> None:
    answers_or_refuses(cbor, body)


def accept(operation: str, document: Any, scalars: Any) -> dict[str, Any] | None:
    """The checked input value, or None where it was refused with a row of the table."""
    shape = INPUTS[operation]
    refusal: ServiceError
    try:
        value: dict[str, Any] = coerce(shape, document, scalars)
        check(shape, value)
    except ServiceError as refused:
        refusal = refused
    else:
        return value
    assert refusal.code in ("SerializationException", "ValidationException")
    assert refusal.status == 400
    return None


def drawn(data: st.DataObject, operations: list[str], foreign: bool = False) -> tuple[str, dict[str, Any]]:
    """An operation and a document for it."""
    operation: str = data.draw(st.sampled_from(operations))
    document: dict[str, Any] = data.draw(documents(INPUTS[operation], foreign).filter(lambda it: isinstance(it, dict)))
    return operation, document


@settings(max_examples=500, derandomize=True)
@given(data=st.data())
def test_input_when_any_document_is_given_is_taken_or_refused(data: st.DataObject) -> None:
    operation, document = drawn(data, sorted(INPUTS))
    accept(operation, document, json.SCALARS)


@settings(max_examples=500, derandomize=True)
@given(data=st.data())
def test_input_when_cbor_has_values_that_json_has_not_is_taken_or_refused(data: st.DataObject) -> None:
    operation, document = drawn(data, sorted(INPUTS), foreign=True)
    accept(operation, document, cbor.SCALARS)


@settings(max_examples=600, derandomize=True)
@given(data=st.data())
def test_input_when_it_keeps_every_constraint_fits_the_operations_type(data: st.DataObject) -> None:
    operation, document = drawn(data, sorted(SERVICE.operations))
    value = accept(operation, document, json.SCALARS)
    if value is None:
        return
    bound = SERVICE.operations[operation]
    if bound.codec.convert is not None:
        bound.codec.convert(value)
    else:
        msgspec.convert(value, bound.input_type, builtin_types=(bytes,))
