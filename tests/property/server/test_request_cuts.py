"""Laws of reading requests: cuts change nothing, and what is accepted means to llhttp what it means to us."""

import asyncio
import re
import sys
from itertools import pairwise
from pathlib import Path

import httptools
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.server.http1 import CHUNKED, ChunkedBody, Malformed, parse_head

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "server"))

from tapes import Client

GOOD = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\nGET /a?b=c HTTP/1.1\r\nA:1\r\na: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
    b"POST /d HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nTrailer: 1\r\n\r\n",
    b"HEAD /e HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"GET http://h/p HTTP/1.1\r\nConnection: keep-alive\r\n\r\n",
]
BAD = [
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n\r\n\r\n",
    b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: \0\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\nb\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
    b"\x16\x03\x01\r\n\r\n",
    b"\n\nGET / HTTP/1.1\r\n\r\n",
    b"\r\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"get / HTTP/1.1\r\n\r\n",
]


def answers(pieces: list[bytes]) -> tuple[object, ...]:
    """Everything that can be seen of a connection that got these bytes."""

    async def run() -> tuple[object, ...]:
        client = Client()
        await client.send(*pieces)
        await client.end()
        written = re.sub(rb"date: [^\r]*\r\n", b"", client.tape.written).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
        return written, client.seen, client.refusals, client.taken_over, client.tape.closed

    return asyncio.run(run())


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(GOOD), max_size=4),
    st.sampled_from([b"", *BAD, *GOOD]),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_requests_however_they_are_cut_are_answered_alike(good: list[bytes], last: bytes, places: list[int]) -> None:
    data = b"".join(good) + last
    assert answers(cut(data, places)) == answers([data])


def test_requests_cut_at_every_place_and_into_single_bytes_are_answered_alike() -> None:
    for data in [*GOOD, *BAD]:
        whole = answers([data])
        for place in range(1, len(data)):
            assert answers([data[:place], data[place:]]) == whole, data[place:]
        assert answers([bytes([byte]) for byte in data]) == whole, data


class Reference:
    """What llhttp reads in a request."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole = True


PARTS = [
    b" ",
    b"/",
    b"HTTP/1.1",
    b"\r\n",
    b"\r",
    b"\n",
    b":",
    b"\t",
    b"\0",
    b"\x0b",
    b"\x7f",
    b"\xff",
    b"0",
    b"5",
    b"+1",
    b"0x5",
]
PARTS += [
    b"Content-Length",
    b"content-length:",
    b"Transfer-Encoding: ",
    b"chunked",
    b"identity",
    b"Host: x",
    b"a",
    b",",
    b";",
]
PARTS += [
    b"A: b\r\n",
    b"Connection: close\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X:",
    b"\r\n ",
]
BODIES = [
    b"hello",
    b"hell",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n",
    b"5 \r\nhello\r\n",
    b"5\nhello",
    b"-5\r\n",
]
BODIES += [
    b"",
    b"5\r\nhelloX\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"0x5\r\nhello\r\n",
    b"0\r\n\n",
    b"00000000000000000005\r\nhello\r\n0\r\n\r\n",
]


@settings(max_examples=2000)
@given(
    st.sampled_from([b"POST / HTTP/1.1\r\n", b"GET /x HTTP/1.0\r\n", b"POST /"]),
    st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join),
    st.sampled_from(BODIES),
)
def test_request_that_is_accepted_is_accepted_by_llhttp_with_the_same_meaning(
    line: bytes, noise: bytes, body: bytes
) -> None:
    head, end, rest = (line + noise + b"\r\n\r\n" + body).partition(b"\r\n\r\n")
    try:
        request = parse_head(head)
    except Malformed:
        return
    reference = Reference()
    parser = httptools.HttpRequestParser(reference)
    parser.feed_data(head + end)
    assert tuple(reference.headers) == request.head.raw_headers
    assert reference.whole == (request.body_bytes == 0)
    if request.body_bytes > 0 and len(rest) >= request.body_bytes:
        parser.feed_data(rest[: request.body_bytes])
        assert (reference.body, reference.whole) == (rest[: request.body_bytes], True)
    elif request.body_bytes == CHUNKED:
        chunks = ChunkedBody()
        try:
            left = chunks.feed(rest)
        except Malformed:
            return
        parser.feed_data(rest[: len(rest) - len(left or b"")])
        assert (reference.body, reference.whole) == (chunks.take(), left is not None)
