"""AWS JSON: what is a document, what is base64, and what is neither."""

from typing import Any

import pytest

from penstock.core.errors import ServiceError
from penstock.wire.json import SCALARS, decode_base64, decode_document, encode_base64, encode_document


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"[{}]",
        b'"{}"',
        b"0",
        b"true",
        b"{",
        b'{"a":}',
        b'{"a":1,}',
        b"{a:1}",
        b"{'a':1}",
        b'{"a":1}{}',
        b'{"a":1} x',
        b"{}\0",
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a":"\xc0\x80"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\ud83d\\u0041"}',
        b'{"a":"\\x41"}',
        b'{"a":"\n"}',
        b'{"a":"' + b"x" * 100,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        "{}".encode("utf-16"),
        b"a=1&b=2",
        b"<a/>",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_decode_document_when_the_body_is_no_object_is_refused_without_a_message(body: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        decode_document(body)
    assert (caught.value.code, caught.value.message, caught.value.status) == ("SerializationException", None, 400)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"{}", {}),
        (b" {\n} \r\n\t", {}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"a":"\\ud83d\\ude00\\u00e9"}', {"a": "\U0001f600é"}),
        ('{"\u00e9":"\U0001f600"}'.encode(), {"é": "\U0001f600"}),
        (b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a":-0.0,"b":1e5}', {"a": 0.0, "b": 100000.0}),
        (b'{"a":' + b"[" * 50 + b"]" * 50 + b"}", None),
    ],
)
def test_decode_document_when_the_body_is_an_object_answers_it(body: bytes, document: dict[str, Any] | None) -> None:
    read = decode_document(body)
    assert read == document if document is not None else list(read) == ["a"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A", "Base64 encoded length is expected a multiple of 4 bytes but found: 1"),
        ("AAAAA", "Base64 encoded length is expected a multiple of 4 bytes but found: 5"),
        ("AAA", "Base64 encoded length is expected a multiple of 4 bytes but found: 3"),
        ("AAAA\n", "Base64 encoded length is expected a multiple of 4 bytes but found: 5"),
        ("=+/=", "Invalid Base64 character: '='"),
        ("A===", "Invalid Base64 character: '='"),
        ("====", "Invalid Base64 character: '='"),
        ("AA=A", "Invalid Base64 character: '='"),
        ("AA==AAAA", "Invalid Base64 character: '='"),
        ("A@==", "Invalid Base64 character: '@'"),
        ("AA A", "Invalid Base64 character: ' '"),
        ("-_-_", "Invalid Base64 character: '-'"),
        ("AAé=", "Invalid Base64 character: 'é'"),
        ("AA\0A", "Invalid Base64 character: '\0'"),
        ("+/+=", "Invalid last non-pad Base64 character dectected"),
        ("AB==", "Invalid last non-pad Base64 character dectected"),
        ("AAB=", "Invalid last non-pad Base64 character dectected"),
    ],
)
def test_decode_base64_when_the_text_is_bad_says_why_as_aws_does(text: str, why: str) -> None:
    with pytest.raises(ServiceError) as caught:
        decode_base64(text)
    assert caught.value.code == "SerializationException"
    assert caught.value.message == f"'{text}' can not be converted to a Blob: {why}"


@pytest.mark.parametrize("last", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
@pytest.mark.parametrize(("form", "spare_bits"), [("AA{}=", 2), ("A{}==", 4)])
def test_decode_base64_when_bits_are_left_over_takes_only_zeros(last: str, form: str, spare_bits: int) -> None:
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = form.format(last)
    if digits.index(last) % (1 << spare_bits) == 0:
        assert encode_base64(decode_base64(text)) == text
    else:
        with pytest.raises(ServiceError):
            decode_base64(text)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xfe", b"abc", bytes(range(256)) * 64], ids=len)
def test_base64_when_bytes_go_both_ways_are_the_same(data: bytes) -> None:
    assert decode_base64(encode_base64(data)) == data


def test_decode_base64_when_a_huge_text_is_bad_echoes_its_beginning_only() -> None:
    with pytest.raises(ServiceError) as caught:
        decode_base64("A" * (10**6 + 1))
    assert len(str(caught.value.message)) < 1200


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, b"0"), (1700000000000, b"1700000000"), (1700000000123, b"1700000000.123"), (1700000000001, b"1700000000.001")],
)
def test_timestamp_when_encoded_is_seconds_with_a_fraction_only_where_needed(ms: int, text: bytes) -> None:
    assert encode_document(SCALARS.timestamp_out(ms)) == text
    assert SCALARS.timestamp_in(SCALARS.timestamp_out(ms)) == ms
