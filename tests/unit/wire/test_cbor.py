"""AWS CBOR: what is a document, which tags have a meaning, and how little a stranger's bytes may cost."""

import struct
import tracemalloc
from typing import Any

import cbor2
import pytest

from penstock.core.errors import ServiceError
from penstock.core.limits import DOCUMENT_DEPTH_MAX as DEPTH_MAX
from penstock.wire.cbor import SCALARS, decode_document, encode_document, timestamp
from penstock.wire.document import coerce, render
from penstock.wire.model import Shape

A = b"\xa1\x61a"  # the head of {"a": ...}
MOMENT_MS = 1700000000123
FOREIGN_TAGS = sorted({*range(320), 1001, 1002, 1003, 1004, 43000, 55799, 65535, 2**32, 2**64 - 1} - {1})


def refused(body: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        decode_document(body)
    assert (caught.value.code, caught.value.message, caught.value.status) == ("SerializationException", None, 400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"\x80",
        b"\xf6",
        b"\x01",
        b"\x60",
        b"\xa1",
        A,
        b"\xa0\x00",
        b"\xa0\xa0",
        b"\xbf",
        b"\xbf\x61a\x01",
        b"\xbf\x61a\xff",
        A + b"\xff",
        A + b"\x1c",
        A + b"\x61\xff",
        b"\xa1\x61\xff\x01",
        A + b"\x62a",
        A + b"\x7f\x41a\xff",
        b"\xa1\x80\x01",
        b"\xa1\xa0\x01",
    ],
    ids=bytes.hex,
)
def test_decode_document_when_the_body_is_no_map_is_refused_without_a_message(body: bytes) -> None:
    refused(body)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"\xa0", {}),
        (b"\xbf\xff", {}),
        (b"\xbf\x61a\x01\xff", {"a": 1}),
        (A + b"\x9f\x01\x02\xff", {"a": [1, 2]}),
        (A + b"\x7f\x61a\x62bc\xff", {"a": "abc"}),
        (A + b"\x5f\x41a\x42bc\xff", {"a": b"abc"}),
        (A + b"\xbf\x61b\x9f\xbf\xff\xff\xff", {"a": {"b": [{}]}}),
        (A + b"\xf5", {"a": True}),
        (A + b"\xf6", {"a": None}),
        (A + b"\xf9\x3c\x00", {"a": 1.0}),
        (A + b"\x1b" + b"\xff" * 8, {"a": 2**64 - 1}),
        (b"\xa2\x61a\x01\x61a\x02", {"a": 2}),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else "",
)
def test_decode_document_when_lengths_are_definite_or_not_answers_the_map(
    body: bytes, document: dict[str, Any]
) -> None:
    assert decode_document(body) == document


@pytest.mark.parametrize("inner", [0, "2013-03-21T20:04:00Z", b"\1", [1, 2], {}, "^a$"], ids=repr)
def test_decode_document_when_a_tag_is_foreign_is_refused_whatever_it_holds(inner: object) -> None:
    for tag in FOREIGN_TAGS:
        refused(encode_document({"a": cbor2.CBORTag(tag, inner)}))


def test_decode_document_when_a_foreign_tag_stands_deeper_or_as_a_key_is_refused() -> None:
    refused(encode_document({"a": [{"b": cbor2.CBORTag(2, b"\1")}]}))
    refused(b"\xa1\xc2\x41\x01\x01")
    refused(b"\xd9\xd9\xf7\xa0")


@pytest.mark.parametrize("number", [0, 5, MOMENT_MS, -3, 1.5, float(MOMENT_MS)])
def test_decode_document_when_tag_1_holds_a_number_passes_the_number_on(number: float) -> None:
    assert decode_document(encode_document({"a": cbor2.CBORTag(1, number)})) == {"a": number}


@pytest.mark.parametrize("inner", ["1", b"1", None, True, [], {}], ids=repr)
def test_decode_document_when_tag_1_holds_anything_else_is_refused(inner: object) -> None:
    refused(encode_document({"a": cbor2.CBORTag(1, inner)}))


def test_decode_document_when_nested_too_deep_is_refused() -> None:
    depth = DEPTH_MAX - 1
    assert list(decode_document(A * depth + b"\xa0")) == ["a"]
    for head in (A, b"\x81", b"\x9f", b"\xbf\x61a"):
        refused(A + head * (DEPTH_MAX + 2) + b"\x00")
        refused(A + head * 200_000)


@pytest.mark.parametrize("kind", [0x5B, 0x7B, 0x9B, 0xBB], ids=["bytes", "text", "array", "map"])
@pytest.mark.parametrize("length", [2**31, 2**36, 2**63 - 1, 2**64 - 1])
def test_decode_document_when_a_length_is_declared_but_not_sent_allocates_next_to_nothing(
    kind: int, length: int
) -> None:
    body = A + bytes([kind]) + struct.pack(">Q", length)
    tracemalloc.start()
    try:
        refused(body)
        refused(A + b"\x5f" + body[3:])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


STRUCTURE = Shape(
    "It",
    "structure",
    members={
        "Blob": Shape("Blob", "blob"),
        "At": Shape("At", "timestamp"),
        "Text": Shape("Text", "string"),
        "Count": Shape("Count", "integer"),
        "On": Shape("On", "boolean"),
        "Names": Shape("Names", "list", member=Shape("Name", "string")),
    },
)


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ({"Blob": b""}, {"Blob": b""}),
        ({"Blob": b"\xff\0"}, {"Blob": b"\xff\0"}),
        ({"At": MOMENT_MS}, {"At": MOMENT_MS}),
        ({"At": MOMENT_MS + 0.4}, {"At": MOMENT_MS}),
        ({"Count": 10**11}, {"Count": 1215752192}),
        ({"Count": 2**64 - 1}, {"Count": -1}),
        ({1: 2, b"Blob": b"x", "Text": "t"}, {"Text": "t"}),
    ],
)
def test_coerce_when_the_document_is_cbor_takes_bytes_and_milliseconds(
    document: dict[Any, Any], value: dict[str, Any]
) -> None:
    assert coerce(STRUCTURE, document, SCALARS) == value


@pytest.mark.parametrize(
    "document",
    [
        {"Blob": "QUJD"},
        {"Blob": 1},
        {"Blob": cbor2.undefined},
        {"Blob": []},
        {"Text": b"t"},
        {"Text": cbor2.undefined},
        {"Text": cbor2.CBORSimpleValue(99)},
        {"Count": b"1"},
        {"Count": float("nan")},
        {"At": float("inf")},
        {"At": "now"},
        {"On": b"\1"},
        {"Names": b"ab"},
        {"Names": cbor2.undefined},
        {"Names": [b"a"]},
    ],
    ids=repr,
)
def test_coerce_when_the_cbor_type_is_wrong_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as caught:
        coerce(STRUCTURE, document, SCALARS)
    assert (caught.value.code, caught.value.status) == ("SerializationException", 400)


def test_render_when_the_answer_is_cbor_has_bytes_and_tagged_integer_milliseconds() -> None:
    body = encode_document(render(STRUCTURE, {"Blob": b"\0\1", "At": MOMENT_MS}, SCALARS))
    assert body == b"\xa2\x64Blob\x42\x00\x01\x62At\xc1\x1b" + struct.pack(">Q", MOMENT_MS)
    assert encode_document(timestamp(5)) == b"\xc1\x05"
