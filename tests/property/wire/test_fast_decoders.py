"""Fast decoders: whenever one says yes, the generic path says yes too, and to the same input."""

from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_told import told
from shapes import INPUTS, NAMES, SERVICE

from penstock.core.errors import ServiceError
from penstock.core.limits import MIB
from penstock.wire import cbor, json
from penstock.wire.document import coerce
from penstock.wire.reject import check

WIRES: dict[str, Any] = {"json": json, "cbor": cbor}
OPERATIONS = ["PutRecord", "PutRecords"]


def generic(operation: str, protocol: str, body: bytes) -> Any | None:
    """The input as the generic path reads it, or None where it refuses."""
    wire, bound, shape = WIRES[protocol], SERVICE.operations[operation], INPUTS[operation]
    try:
        value = coerce(shape, wire.decode_document(body), wire.SCALARS)
        check(shape, value)
    except ServiceError:
        return None
    if bound.codec.convert is not None:
        return bound.codec.convert(value)
    return msgspec.convert(value, bound.input_type, builtin_types=(bytes,))


def fast(operation: str, protocol: Any, body: bytes) -> Any | None:
    return SERVICE.operations[operation].codec.decode[protocol](body)


def agree(operation: str, protocol: str, body: bytes) -> None:
    quick = fast(operation, protocol, body)
    assert quick is None or told(quick) == told(generic(operation, protocol, body))


def blobs(protocol: str) -> st.SearchStrategy[Any]:
    data = st.binary(max_size=30)
    return data.map(json.encode_base64) if protocol == "json" else data


def entries(protocol: str) -> st.SearchStrategy[dict[str, Any]]:
    hash_keys = st.integers(0, 10**39 - 1).map(str)
    keys = st.text(min_size=1, max_size=10)
    return st.fixed_dictionaries(
        {"Data": blobs(protocol)}, optional={"PartitionKey": keys, "ExplicitHashKey": hash_keys}
    )


def requests(operation: str, protocol: str) -> st.SearchStrategy[dict[str, Any]]:
    """Requests that the fast path must take."""
    name = NAMES.map(lambda text: {"StreamName": text})
    if operation == "PutRecord":
        return st.tuples(name, entries(protocol)).map(lambda parts: parts[0] | parts[1])
    rows = st.lists(entries(protocol), min_size=1, max_size=4).map(lambda rows: {"Records": rows})
    return st.tuples(name, rows).map(lambda parts: parts[0] | parts[1])


MEMBERS = ["StreamName", "Data", "PartitionKey", "ExplicitHashKey", "StreamARN", "DryRun", "Records", "Other"]
ODD: list[Any] = [None, "", 0, 1.5, True, [], {}, "-1", "007", "9" * 39, "9" * 40, "k" * 256, "k" * 257, "٣"]
ODD += ["a b", "a\n", "0\n", "AAE=", "AAF=", "A", "AA==AA==", "\U0001f600" * 256, "\U0001f600" * 257]
STRANGE: dict[str, list[Any]] = {"json": [2**63, 10**30], "cbor": [b"", b"x", 2**63, float("nan"), cbor2.undefined]}


@st.composite
def mutants(draw: st.DrawFn, operation: str, protocol: str) -> bytes:
    """Bodies of good requests with one or two members changed, added or removed, or with a few bytes changed."""
    document = draw(requests(operation, protocol))
    for _ in range(draw(st.integers(0, 2))):
        rows = document.get("Records")
        places = (
            [document, *rows] if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else [document]
        )
        target = draw(st.sampled_from(places))
        name = draw(st.sampled_from(MEMBERS))
        if draw(st.booleans()):
            target[name] = draw(st.sampled_from([*ODD, *STRANGE[protocol]]))
        else:
            target.pop(name, None)
    body: bytes = WIRES[protocol].encode_document(document)
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(body) - 1))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 2)) :]
    return body


@pytest.mark.parametrize("protocol", sorted(WIRES))
@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=40, derandomize=True)
@given(data=st.data())
def test_fast_decoder_when_the_request_is_good_takes_it_as_the_generic_path_does(
    operation: str, protocol: str, data: st.DataObject
) -> None:
    body = WIRES[protocol].encode_document(data.draw(requests(operation, protocol)))
    quick = fast(operation, protocol, body)
    assert quick is not None
    assert told(quick) == told(generic(operation, protocol, body))


@pytest.mark.parametrize("protocol", sorted(WIRES))
@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=150, derandomize=True)
@given(data=st.data())
def test_fast_decoder_when_the_request_is_mutated_says_yes_only_where_the_generic_path_does(
    operation: str, protocol: str, data: st.DataObject
) -> None:
    agree(operation, protocol, data.draw(mutants(operation, protocol)))


@pytest.mark.parametrize("protocol", sorted(WIRES))
@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=100, derandomize=True)
@given(body=st.binary(max_size=40))
def test_fast_decoder_when_given_any_bytes_agrees_with_the_generic_path(
    operation: str, protocol: str, body: bytes
) -> None:
    agree(operation, protocol, body)


@pytest.mark.parametrize("protocol", sorted(WIRES))
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("member", MEMBERS)
def test_fast_decoder_when_any_member_is_odd_agrees_with_the_generic_path(
    operation: str, protocol: str, member: str
) -> None:
    row = {"Data": "" if protocol == "json" else b"", "PartitionKey": "k"}
    for value in [*ODD, *STRANGE[protocol]]:
        documents = [{"StreamName": "a", **row, member: value}, {"StreamName": "a", "Records": [row], member: value}]
        documents.append({"StreamName": "a", "Records": [row, {**row, member: value}]})
        for document in documents:
            agree(operation, protocol, WIRES[protocol].encode_document(document))


@pytest.mark.parametrize("protocol", sorted(WIRES))
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("size_bytes", [10 * MIB, 10 * MIB + 1])
def test_fast_decoder_when_the_data_is_at_the_models_bound_agrees_with_the_generic_path(
    operation: str, protocol: str, size_bytes: int
) -> None:
    data = bytes(size_bytes)
    row = {"Data": json.encode_base64(data) if protocol == "json" else data, "PartitionKey": "k"}
    request = row if operation == "PutRecord" else {"Records": [row]}
    body = WIRES[protocol].encode_document({"StreamName": "a", **request})
    assert (fast(operation, protocol, body) is not None) == (size_bytes == 10 * MIB)
    agree(operation, protocol, body)


@pytest.mark.parametrize(
    "value",
    [
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b"1e999",
        b"1" * 5000,
        b"[" * 3000 + b"]" * 3000,
        b"01",
    ],
    ids=lambda value: repr(value[:12]),
)
def test_fast_decoder_when_a_member_that_is_skipped_is_no_json_leaves_the_body_alone(value: bytes) -> None:
    agree("PutRecords", "json", b'{"StreamName":"a","Records":[{"Data":"","PartitionKey":"k","Other":' + value + b"}]}")


@pytest.mark.parametrize(
    "body",
    [
        b'{"StreamName":"b","StreamName":"a","Records":[{"Data":"AA==","Data":"","PartitionKey":"k"}]}',
        b'{"StreamName":"!","StreamName":"a","Records":[{"Data":"","PartitionKey":"k"}]}',
        b'{"Records":[{"Data":"AA==","PartitionKey":"k"}],"StreamName":"a"}',
        b'{"StreamName":"a","Records":[{"Data":"","PartitionKey":"\\ud83d\\ude00"}]}',
        b' {"StreamName" : "a" , "Records":[ {"Data":"","PartitionKey":"\\u0000"} ] } \n',
        b'{"StreamName":"a","Records":[{"Data":"","PartitionKey":"k"}]}x',
        b'{"StreamName":"a\\n","Records":[{"Data":"","PartitionKey":"k"}]}',
        b'{"StreamName":"a","Records":[{"Data":"","PartitionKey":"k","ExplicitHashKey":"0\\n"}]}',
    ],
)
def test_fast_decoder_when_the_body_is_unusual_agrees_with_the_generic_path(body: bytes) -> None:
    agree("PutRecords", "json", body)
