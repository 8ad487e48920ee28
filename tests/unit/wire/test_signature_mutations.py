"""Tampering: a signed request in which anything at all was changed is refused, and in the right words."""

import re
import string
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_calls import (
    BODY,
    KEY_ID,
    SCOPE,
    SECRET,
    SIGNED_AT,
    Head,
    call,
    changed,
    head,
    outcome,
)

from penstock.wire.canonical import canonical_path, canonical_query
from penstock.wire.signature import Secret, Verified

TARGET = "/a/b?Action=ListStreams&Version=1"
TOKEN = "FwoGZXIvYXdzEHwaDNOT+A/REAL"
SESSION = {KEY_ID: Secret(SECRET, TOKEN)}
ORIGINAL = call(target=TARGET, x_amz_security_token=TOKEN, content_type="application/x-amz-json-1.1")
GIVEN = ORIGINAL.headers["authorization"]
WRONG, SCOPED, PARTS, UNKNOWN, STALE, HOST = (
    "The request signature we calculated does not match",
    "Credential should be scoped to",
    "Authorization header requires",
    "The security token included in the request is invalid.",
    "Signature ",
    "'Host' or ':authority' must be",
)


def flipped(text: str, at: int, alphabet: str) -> str:
    """The text with another character of the alphabet in one place."""
    new = next(char for char in alphabet if char != text[at])
    return text[:at] + new + text[at + 1 :]


def refused(of: Head, body: bytes, words: str) -> None:
    found = outcome(of, body, secrets=SESSION)
    assert not isinstance(found, Verified)
    assert str(found[1]).startswith(words), found


def with_authorization(text: str) -> Head:
    return changed(ORIGINAL, authorization=text)


def test_the_original_is_accepted() -> None:
    assert isinstance(outcome(ORIGINAL, secrets=SESSION), Verified)


@pytest.mark.parametrize("at", range(64))
def test_a_flip_in_the_signature_is_refused(at: int) -> None:
    signature = GIVEN[-64:]
    refused(with_authorization(GIVEN[:-64] + flipped(signature, at, string.hexdigits[:16])), BODY, WRONG)


@pytest.mark.parametrize(
    "signature", [GIVEN[-64:].upper(), GIVEN[-64:-1], GIVEN[-64:] + "0", " " + GIVEN[-64:], "é" * 64, "0" * 60_000]
)
def test_another_spelling_of_the_signature_is_refused(signature: str) -> None:
    found = outcome(with_authorization(GIVEN[:-64] + signature), secrets=SESSION)
    assert not isinstance(found, Verified)
    assert found[0] in ("InvalidSignatureException", "IncompleteSignatureException")


@pytest.mark.parametrize("at", range(len(BODY)))
def test_a_flip_in_the_body_is_refused(at: int) -> None:
    refused(ORIGINAL, BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :], WRONG)


@pytest.mark.parametrize("body", [b"", BODY + b"\0", BODY[:-1], BODY * 2])
def test_another_body_is_refused(body: bytes) -> None:
    refused(ORIGINAL, body, WRONG)


@pytest.mark.parametrize("at", range(1, len(TARGET)))
def test_a_flip_in_path_or_query_is_refused(at: int) -> None:
    target = flipped(TARGET, at, "xy")
    if TARGET[at] == "?":
        target = TARGET.replace("?", "/")
    refused(head("POST", target.encode(), ORIGINAL.raw_headers), BODY, WRONG)


@pytest.mark.parametrize("method", ["GET", "post", "PUT", "", "POST\n"])
def test_another_method_is_refused(method: str) -> None:
    refused(head(method, TARGET.encode(), ORIGINAL.raw_headers), BODY, WRONG)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("host", "localhost:4567", WRONG),
        ("host", None, WRONG),
        ("content_type", "application/x-amz-json-1.0", WRONG),
        ("content_type", "Application/x-amz-json-1.1", WRONG),
        ("content_type", None, WRONG),
        ("x_amz_target", "Kinesis_20131202.DeleteStream", WRONG),
        ("x_amz_target", "kinesis_20131202.ListStreams", WRONG),
        ("x_amz_target", "", WRONG),
        ("x_amz_target", None, WRONG),
        ("x_amz_date", "20150830T123601Z", WRONG),
        ("x_amz_date", "20150830T123500Z", WRONG),
        ("x_amz_date", "20150830T133600Z", STALE),
        ("x_amz_date", "20150829T123600Z", STALE),
        ("x_amz_date", "", PARTS),
        ("x_amz_date", None, PARTS),
        ("x_amz_date", "20150830t123600z", "Date must be in"),
        ("x_amz_date", "20150230T123600Z", "Date must be in"),
        ("x_amz_date", SIGNED_AT + "\n", "Date must be in"),
        ("x_amz_security_token", TOKEN.lower(), UNKNOWN),
        ("x_amz_security_token", TOKEN[:-1], UNKNOWN),
        ("x_amz_security_token", TOKEN + "=", UNKNOWN),
        ("x_amz_security_token", None, UNKNOWN),
        ("x_amz_content_sha256", "UNSIGNED-PAYLOAD", WRONG),
        ("x_amz_content_sha256", "0" * 64, WRONG),
    ],
)
def test_another_header_is_refused(name: str, value: str | None, words: str) -> None:
    refused(changed(ORIGINAL, **{name: value}), BODY, words)


@pytest.mark.parametrize("name", ["host", "content-type", "x-amz-date", "x-amz-target", "x-amz-security-token"])
@pytest.mark.parametrize("first", [True, False])
def test_a_second_header_of_a_signed_name_is_refused(name: str, first: bool) -> None:
    old = next(pair for pair in ORIGINAL.raw_headers if pair[0] == name.encode())
    pairs = [old, *ORIGINAL.raw_headers] if first else [*ORIGINAL.raw_headers, old]
    refused(head("POST", TARGET.encode(), pairs), BODY, WRONG)


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (SCOPE.replace("20150830", "20150829"), "Date in Credential scope does not match"),
        (SCOPE.replace("20150830", "20150831"), "Date in Credential scope does not match"),
        (SCOPE.replace("us-east-1", "us-east-2"), WRONG),
        (SCOPE.replace("us-east-1", "US-EAST-1"), SCOPED),
        (SCOPE.replace("us-east-1", ""), SCOPED),
        (SCOPE.replace("kinesis", "firehose"), SCOPED),
        (SCOPE.replace("kinesis", "Kinesis"), SCOPED),
        (SCOPE.replace("aws4_request", "aws4_requests"), "Credential should be scoped with a valid terminator"),
        (SCOPE.replace("aws4_request", "AWS4_REQUEST"), "Credential should be scoped with a valid terminator"),
        (SCOPE + "/x", "Credential must have exactly 5"),
        (SCOPE.replace("/kinesis", ""), "Credential must have exactly 5"),
        ("", "Credential must have exactly 5"),
    ],
)
def test_another_scope_is_refused(scope: str, words: str) -> None:
    refused(with_authorization(GIVEN.replace(SCOPE, scope)), BODY, words)


@pytest.mark.parametrize("key_id", [KEY_ID.lower(), KEY_ID[:-1], KEY_ID + "X", "", "é", "x" * 60_000])
def test_another_key_is_refused(key_id: str) -> None:
    refused(with_authorization(GIVEN.replace(KEY_ID, key_id)), BODY, UNKNOWN)


NAMES = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (NAMES.replace("host;", ""), HOST),
        (NAMES.replace("content-type;", ""), WRONG),
        (NAMES.replace(";x-amz-target", ""), WRONG),
        (NAMES.replace(";x-amz-date", ""), WRONG),
        (NAMES + ";x-not-there", WRONG),
        ("authorization;" + NAMES, WRONG),
        (NAMES + ";host", WRONG),
        (";".join(["host"] * 10_000), WRONG),
        (";".join(f"h{number}" for number in range(10_000)) + ";host", WRONG),
        (NAMES.replace("host", "Host"), WRONG),
        (NAMES + ";", WRONG),
        (";" + NAMES, WRONG),
        (NAMES.replace(";", ":"), HOST),
        ("%s;%b;host", WRONG),
        ("host;\x00", WRONG),
        ("é;host", WRONG),
    ],
)
def test_another_list_of_signed_headers_is_refused(names: str, words: str) -> None:
    assert NAMES in GIVEN
    refused(with_authorization(GIVEN.replace(NAMES, names)), BODY, words)


def test_a_header_added_and_listed_is_refused() -> None:
    grown = changed(ORIGINAL, x_more="1", authorization=GIVEN.replace(NAMES, NAMES + ";x-more"))
    refused(grown, BODY, WRONG)


def test_what_is_not_signed_may_change() -> None:
    assert isinstance(outcome(changed(ORIGINAL, user_agent="x", x_more="1"), secrets=SESSION), Verified)


junk = st.lists(
    st.binary(min_size=1, max_size=1) | st.sampled_from([b"%4", b"%zz", b"&=", b"&", b"/../", b"//", b",", b"  "]),
    min_size=1,
    max_size=5,
).map(b"".join)


@settings(max_examples=1000)
@given(st.integers(0, len(ORIGINAL.raw_headers)), st.integers(0, 400), junk)
def test_junk_anywhere_never_raises_and_is_accepted_only_where_it_is_not_signed(
    where: int, at: int, junk: bytes
) -> None:
    pairs, target = list(ORIGINAL.raw_headers), TARGET.encode()
    if where == len(pairs):
        at %= len(target) + 1
        target = target[:at] + junk + target[at:]
    else:
        name, value = pairs[where]
        at %= len(value) + 1
        pairs[where] = (name, value[:at] + junk + value[at:])
    mutated = head("POST", target, pairs)
    found = outcome(mutated, secrets=SESSION)
    if isinstance(found, Verified):
        path, _, query = target.partition(b"?")
        assert (canonical_path(path), canonical_query(query)) == (b"/a/b", b"Action=ListStreams&Version=1")
        values = {name: b" ".join(value.split()) for name, value in mutated.raw_headers}
        authorization = values.pop(b"authorization").decode("latin-1")
        assert values.items() <= dict(ORIGINAL.raw_headers).items()
        assert {*re.split("[ ,/]+", GIVEN)} <= {*re.split("[ ,/]+", authorization)}


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "SignedHeaders", "Signature", "Security-Token"])
@pytest.mark.parametrize("value", ["", "x", "\0", "é", "%", "/" * 5000, "9" * 5000, "\ud800"])
def test_a_presigned_query_with_anything_in_it_is_refused(name: str, value: str) -> None:
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{KEY_ID}/{SCOPE}",
        "X-Amz-Date": SIGNED_AT,
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
    } | {f"X-Amz-{name}": value}
    text = "&".join(f"{key}={quote(value.encode('utf-8', 'replace'), safe='')}" for key, value in query.items())
    found = outcome(head("GET", b"/?" + text.encode(), [(b"host", b"h")])._replace(query=query), b"")
    assert not isinstance(found, Verified)
