"""What the native part reads of a head, Python reads too; what it leaves to Python may be anything."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.core.limits import HEADERS_MAX
from penstock.server.http1 import Malformed, Request, parse_head_slowly
from penstock.wire.native import NATIVE
from penstock.wire.route import Head

assert NATIVE is not None
READER = NATIVE.HeadReader()

USUAL = b"""POST / HTTP/1.1
Host: 127.0.0.1:4566
Accept-Encoding: identity
X-Amz-Target: Kinesis_20131202.PutRecord
Content-Type: application/x-amz-json-1.1
User-Agent: Boto3/1.44 md/Botocore#1.44 ua/2.1
X-Amz-Date: 20260101T000000Z
Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00
Content-Length: 120""".replace(b"\n", b"\r\n")

NAMES = st.sampled_from(
    [b"Host", b"host", b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection", b"Expect", b"X-Amz-Date",
     b"x-a", b"X_b!", b"", b"a b", b"\xe4", b"x\t", b"A" * 80]
)  # fmt: skip
VALUES = st.sampled_from(
    [b"", b" ", b"1", b" 7\t", b"0", b"007", b"1" * 18, b"1" * 19, b"-1", b"+1", b"1 1", b"chunked", b"keep-alive", b"Close",
     b"close, TE", b"100-continue", b"a  b", b"\ta", b"\xff", b"a\x00", b"a\rb", b"a\nb", b"\x7f", b"a:b"]
) | st.binary(max_size=6)  # fmt: skip
LINES = st.sampled_from(
    [b"POST / HTTP/1.1", b"GET / HTTP/1.0", b"POST / HTTP/1.2", b"POST /a HTTP/1.1", b"POST  / HTTP/1.1", b"post / HTTP/1.1",
     b"POST / http/1.1", b"POST /", b"", b"P0_-T / HTTP/1.1", b"1 / HTTP/1.1", b" / HTTP/1.1", b"A" * 33 + b" / HTTP/1.1"]
)  # fmt: skip


def slowly(data: bytes, headers_max: int) -> Request | None:
    try:
        return parse_head_slowly(data, None, headers_max)
    except Malformed:
        return None


def natively(data: bytes, headers_max: int) -> Request | None:
    read = READER.read(data, headers_max)
    if read is None:
        return None
    method, headers, raw, length, keep_alive, minor = read
    return Request(Head(method, "/", {}, headers, raw, takes_long=True), length, keep_alive, minor, False)


@settings(max_examples=3000, derandomize=True)
@given(
    line=LINES,
    headers=st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b" :", b""]), VALUES), max_size=7),
    headers_max=st.sampled_from([3, HEADERS_MAX]),
)
@example(line=b"POST / HTTP/1.1", headers=[(b"Host", b":", b"a"), (b"Content-Length", b": ", b"7")], headers_max=3)
def test_head_when_read_natively_then_python_reads_the_same(
    line: bytes, headers: list[tuple[bytes, bytes, bytes]], headers_max: int
) -> None:
    data = b"\r\n".join([line, *(b"".join(each) for each in headers)])
    found = natively(data, headers_max)
    if found is not None:
        assert found == slowly(data, headers_max)


@settings(max_examples=2000, derandomize=True)
@given(at=st.integers(0, len(USUAL)), cut=st.integers(0, 3), put=st.binary(max_size=3))
def test_head_when_an_usual_one_is_damaged_then_python_reads_what_is_read(at: int, cut: int, put: bytes) -> None:
    data = USUAL[:at] + put + USUAL[at + cut :]
    found = natively(data, HEADERS_MAX)
    if found is not None:
        assert found == slowly(data, HEADERS_MAX)


@pytest.mark.parametrize("line", [b"", b"\r\nConnection: close", b"\r\nconnection: Keep-Alive", b"\r\nX-Odd: a  b\tc"])
def test_head_when_it_is_as_sdks_send_it_then_it_is_read_natively(line: bytes) -> None:
    assert natively(USUAL + line, HEADERS_MAX) == slowly(USUAL + line, HEADERS_MAX) != None  # noqa: E711


def test_names_when_there_are_more_than_are_kept_then_they_are_read_all_the_same() -> None:
    for number in range(2000):
        data = b"POST / HTTP/1.1\r\nX-%d: 1" % number
        assert natively(data, HEADERS_MAX) == slowly(data, HEADERS_MAX) != None  # noqa: E711
