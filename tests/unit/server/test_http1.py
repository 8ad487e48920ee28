"""Heads and bodies, row by row: what is a request, what it says, and what is none."""

import pytest

from penstock.core.errors import ServiceError
from penstock.core.limits import HEADERS_MAX, REQUEST_BODY_MAX_BYTES
from penstock.server.http1 import CHUNKED, ChunkedBody, Malformed, parse_head

LINE = b"POST / HTTP/1.1"


def test_head_when_read_keeps_headers_as_they_arrived() -> None:
    request = parse_head(b"POST /a%20b?c=d%2B&e HTTP/1.1\r\nX-A: 1\r\nx-a:\t2 \r\nTE: trailers\r\nB:\r\nC: \xff")
    head = request.head
    assert (head.method, head.path, head.query) == ("POST", "/a b", {"c": "d+", "e": ""})
    assert head.raw_headers == ((b"x-a", b"1"), (b"x-a", b"2"), (b"te", b"trailers"), (b"b", b""), (b"c", b"\xff"))
    assert head.headers == {"x-a": "2", "te": "trailers", "b": "", "c": "\xff"}
    assert (request.body_bytes, request.keep_alive, request.minor, request.expects_continue) == (0, True, 1, False)


@pytest.mark.parametrize(
    ("target", "path"), [(b"*", "*"), (b"http://h", "/"), (b"https://h/p?q", "/p"), (b"http://h?q", "/"), (b"/?", "/")]
)
def test_target_when_of_any_form_has_a_path(target: bytes, path: str) -> None:
    assert parse_head(b"GET " + target + b" HTTP/1.1").head.path == path


@pytest.mark.parametrize(
    ("headers", "body_bytes", "keep_alive"),
    [
        (b"Content-Length: 007", 7, True),
        (b"Transfer-Encoding: CHUNKED", CHUNKED, True),
        (b"Connection: Keep-Alive\r\nConnection: close", 0, False),
        (b"Connection: close\r\nConnection: keep-alive", 0, False),
    ],
)
def test_framing_when_it_is_clear_is_read(headers: bytes, body_bytes: int, keep_alive: bool) -> None:
    request = parse_head(LINE + b"\r\n" + headers)
    assert (request.body_bytes, request.keep_alive) == (body_bytes, keep_alive)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"GET / http/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET h HTTP/1.1",
        b"CONNECT h:1 HTTP/1.1",
        *(
            LINE + b"\r\n" + headers
            for headers in [
                b"",
                b"A",
                b": b",
                b"A : b",
                b" A: b",
                b"A: b\r\n c",
                b"A: b\r\n\tc",
                b"A: b\nB: c",
                b"A: b\rB: c",
                b"A: \0",
                b"A\0: b",
                b"A: \x7f",
                b"A: b\r\n\r\nB: c",
                b"\xc3\xa9: b",
                b"Content-Length:",
                b"Content-Length: -1",
                b"Content-Length: +1",
                b"Content-Length: 1 1",
                b"Content-Length: 1, 1",
                b"Content-Length: 0x1",
                b"Content-Length: \xb2",
                b"Content-Length: " + b"9" * 19,
                b"Content-Length: 1\r\nContent-Length: 1",
                b"Content-Length: 1\r\nTransfer-Encoding: chunked",
                b"Transfer-Encoding: chunked\r\nContent-Length: 1",
                b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                b"Transfer-Encoding: gzip, chunked",
                b"Transfer-Encoding: chunked, identity",
                b"Transfer-Encoding: identity",
                b"Transfer-Encoding: \x0bchunked",
                b"Transfer-Encoding:",
                b"Host: a\r\nHost: b",
            ]
        ),
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked",
    ],
)
def test_head_when_it_could_be_read_in_two_ways_is_none(head: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        parse_head(head)
    assert refused.value.status == 400


def test_headers_when_too_many_are_refused_as_that() -> None:
    assert parse_head(LINE + b"\r\nA: b" * HEADERS_MAX)
    with pytest.raises(Malformed) as refused:
        parse_head(LINE + b"\r\nA: b" * (HEADERS_MAX + 1))
    assert refused.value.status == 431


def test_chunks_when_read_end_where_they_end() -> None:
    body = ChunkedBody()
    assert body.feed(b'3;a="b"\r\nabc\r\n0A \t;x\r\n0123456789\r\n0\r\nT: x\r\n') is None
    assert body.feed(b"\r\nnext") == b"next"
    assert body.take() == b"abc0123456789"


@pytest.mark.parametrize(
    "chunks",
    [
        *[b"\r\n", b" 1\r\n", b"+1\r\n", b"0x1\r\n", b"g\r\n", b"1\n", b"1\r\nab", b"1\r\na\n", b"1 \r\n", b"1\r\r\n", b"1" * 17 + b"\r\n"],
        *[b"1;\0\r\n", b"1;" + b"a" * 2000, b"0\r\n x\r\n", b"0\r\nx\r\n", b"0\r\nA\0: b\r\n", b"0\r\n" + b"A: b\r\n" * 2000, b"0\r\n\n"],
    ],
)  # fmt: skip
def test_chunks_when_they_could_be_read_in_two_ways_are_refused(chunks: bytes) -> None:
    with pytest.raises(Malformed):
        ChunkedBody().feed(chunks)


def test_chunk_when_it_announces_too_much_is_refused_before_it_comes() -> None:
    body = ChunkedBody()
    assert body.feed(b"1\r\na\r\n") is None
    with pytest.raises(ServiceError) as refused:
        body.feed(b"%x\r\n" % REQUEST_BODY_MAX_BYTES)
    assert refused.value.status == 413
