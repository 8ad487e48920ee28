"""Calls over HTTP/2 that are gathered with those over HTTP/1.1, as the native part reads their heads."""

import asyncio

import pytest
from frames import DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, block, frame, headers, kinds
from http2_tapes import Http2Client, body_of

from penstock.server.exchange import Answer
from penstock.server.gather import Client
from penstock.server.traffic import Bounds
from penstock.wire.native import NATIVE

assert NATIVE is not None


class Gathering:
    """Takes every call, and says what it is told."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, Client]] = []

    def take(self, request: bytes, client: Client) -> bool:
        self.taken.append((request, client))
        return True


PLAIN = b"\x83\x86\x84\x41\x09localhost"  # a POST to "/", as the native part reads it


class Ready:
    """The answer of a call that was carried out."""

    parts: tuple[list[tuple[str, str]], bytes] = ([], b"ok")

    def whole(self, lines: str) -> bytes:
        raise AssertionError("as HTTP/1.1 writes it")


def answered(client: Client, *, carried_out: bool) -> None:
    """Answer as the server that gathers does, or as a front does for it."""
    if carried_out:
        client.answer_ready(Ready())
    else:
        client.answer(Answer(200, [], b"ok"))


@pytest.mark.parametrize("announced", [True, False])
def test_call_when_it_is_gathered_then_it_is_offered_as_http_1_has_it_and_answered_later(announced: bool) -> None:
    async def run() -> None:
        gathering = Gathering()
        client = Http2Client(gather=gathering.take)
        more = block([(b"content-length", b"3")]) if announced else b""
        await client.send(frame(HEADERS, END_HEADERS, 1, PLAIN + more) + frame(DATA, END_STREAM, 1, b"abc"))
        [(request, taken)] = gathering.taken
        assert request == b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc"
        answered(taken, carried_out=announced)
        assert body_of(client.frames()) == (b"ok", True)
        assert client.seen == []

    asyncio.run(run())


def test_call_when_it_was_not_carried_out_then_it_goes_the_long_way_unless_nobody_waits_for_it() -> None:
    async def run() -> None:
        gathering = Gathering()
        client = Http2Client(bounds=Bounds(streams_max=2), gather=gathering.take)
        call = frame(HEADERS, END_HEADERS, 1, PLAIN) + frame(DATA, END_STREAM, 1, b"abc")
        await client.send(call, call.replace(b"\0\0\0\1", b"\0\0\0\3"), frame(RST_STREAM, 0, 3, bytes(4)))
        for request, taken in gathering.taken:
            taken.go_the_long_way(request)
        assert body_of(await client.send()) == (b"abc", True)
        assert [body for _, body in client.seen] == [b"abc"]
        found = await client.send(headers(5, flags=END_HEADERS) + headers(7, flags=END_HEADERS))
        assert kinds(found) == [], "both streams are free again"

    asyncio.run(run())


def test_call_when_what_was_gathered_fails_then_it_is_answered_so() -> None:
    async def run() -> None:
        gathering = Gathering()
        client = Http2Client(gather=gathering.take)
        await client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, PLAIN))
        gathering.taken[0][1].fail(RuntimeError("of the test"))
        assert client.refusals == [500]

    asyncio.run(run())
