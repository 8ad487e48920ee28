"""Requests of the Runtime API, from bytes that are cut anywhere."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.services.functions.running.messages import (
    BODY_MAX_BYTES,
    HEAD_MAX_BYTES,
    RESPONSE_MAX_BYTES,
    Garbage,
    Message,
    Reader,
)


def read(*pieces: bytes) -> list[Message]:
    reader = Reader()
    return [message for piece in pieces for message in reader.feed(piece)]


def plain(path: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\nX-Kind: a\r\n\r\n".encode() + body


def chunked(path: str, pieces: list[bytes]) -> bytes:
    head = f"POST {path} HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n".encode()
    chunks = b"".join(b"%x;e=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    return head + chunks + b"0\r\nTrailer: x\r\n\r\n"


@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.binary(max_size=20), max_size=4)), max_size=4),
    st.lists(st.integers(0, 600), max_size=12),
)
def test_requests_when_cut_anywhere_are_the_same(sent: list[tuple[bool, list[bytes]]], cuts: list[int]) -> None:
    data = b"".join(
        chunked(f"/{number}", pieces) if in_chunks else plain(f"/{number}", b"".join(pieces))
        for number, (in_chunks, pieces) in enumerate(sent)
    )
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = read(*(data[begin:end] for begin, end in pairwise(places)))
    expected = [(f"/{number}", b"".join(pieces)) for number, (_, pieces) in enumerate(sent)]
    assert [(message.path, message.body) for message in found] == expected


@given(st.binary(max_size=200))
def test_bytes_when_they_are_anything_are_requests_or_garbage(data: bytes) -> None:
    try:
        read(data, b"\r\n\r\n")
    except Garbage:
        return


def test_headers_when_read_are_in_lower_case() -> None:
    (message,) = read(b"GET /a HTTP/1.1\r\nHost:x\r\nLambda-Runtime-Function-Error-Type:  Mine \r\n\r\n")
    assert message.headers[b"lambda-runtime-function-error-type"] == b"Mine"
    assert (message.method, message.body) == ("GET", b"")


@pytest.mark.parametrize("in_chunks", [False, True])
def test_body_when_it_is_larger_than_an_answer_may_be_is_counted_and_dropped(in_chunks: bool) -> None:
    body = b"x" * (RESPONSE_MAX_BYTES + 1)
    (message, after) = read((chunked("/a", [body]) if in_chunks else plain("/a", body)) + plain("/b", b"1"))
    assert (message.body, message.size_bytes) == (b"", RESPONSE_MAX_BYTES + 1)
    assert after.body == b"1"


@pytest.mark.parametrize(
    "data",
    [
        b"PUT / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_MAX_BYTES + 1),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
        b"x" * (HEAD_MAX_BYTES + 1),
    ],
)
def test_request_when_it_is_none_is_garbage(data: bytes) -> None:
    with pytest.raises(Garbage):
        read(data)
