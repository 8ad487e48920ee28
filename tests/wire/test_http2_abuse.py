"""HTTP/2 as an attacker speaks it: frames by hand.  Whatever comes, no request is made of it twice, and others are served."""

import asyncio
import re

import h2.config
import h2.connection
import pytest
from frames import (
    CALL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    error_of,
    frame,
    headers,
    kinds,
    opening,
    read_frames,
)  # fmt: skip
from fronts import GET, WAIT_S, Front, front, read_answer

from penstock.core.limits import HTTP2_STREAMS_MAX
from penstock.server.exchange import Answer
from penstock.server.listener import Bounds, Patience
from penstock.server.traffic import SMALL_BODY_BYTES
from penstock.wire.route import Head

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, COMPRESSION_ERROR = 1, 3, 6, 9
BODY = frame(DATA, END_STREAM, 1, b"abc")
OPEN = END_HEADERS
LARGE = b"x" * 8000
POINTERS_OUT = b"\x40\x01a\x7f\xbd\x1d" + b"x" * 3900 + b"\xbe" * 12_000  # one field in the table, named 12,000 times


class Seen:
    """A handler that keeps what it was given."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.bodies: list[bytes] = []

    async def handle(self, head: Head, body: bytes) -> Answer:
        self.heads.append(head)
        self.bodies.append(body)
        return Answer(200, [], b"ok")


async def still_served(served: Front) -> bool:
    """Whether another client is, over either HTTP."""
    reader, writer = await served.connect()
    writer.write(GET)
    head, _ = await read_answer(reader)
    writer.close()
    reader, writer = await served.connect()
    writer.write(opening() + headers(1))
    found = await read_frames(reader, until=DATA)
    writer.transport.abort()
    return head.startswith(b"HTTP/1.1 200 ") and kinds(found)[-1] == DATA


@pytest.mark.parametrize(
    ("sent", "kind", "code"),
    [
        pytest.param(headers(1, flags=OPEN) + frame(DATA, 0, 1, bytes(20_000)), GOAWAY, FRAME_SIZE_ERROR, id="large data frame"),
        pytest.param(frame(HEADERS, 5, 1, bytes(20_000)), GOAWAY, FRAME_SIZE_ERROR, id="large headers frame"),
        pytest.param(frame(HEADERS, 5, 1, b"abc", length=0xFFFFFF), GOAWAY, FRAME_SIZE_ERROR, id="claims 16 MiB"),
        pytest.param(headers(1, (b"content-length", b"1"), flags=OPEN) + BODY, RST_STREAM, PROTOCOL_ERROR, id="length too small"),
        pytest.param(headers(1, (b"content-length", b"9"), flags=OPEN) + BODY, RST_STREAM, PROTOCOL_ERROR, id="length too large"),
        pytest.param(
            headers(1, (b"content-length", b"3"), (b"content-length", b"4"), flags=OPEN) + BODY, RST_STREAM, PROTOCOL_ERROR, id="two lengths"
        ),
        pytest.param(headers(1, (b"transfer-encoding", b"chunked"), flags=OPEN) + BODY, RST_STREAM, PROTOCOL_ERROR, id="chunked"),
        pytest.param(headers(1, (b"connection", b"close")), RST_STREAM, PROTOCOL_ERROR, id="connection"),
        pytest.param(headers(1, (b"x-a", b"b\r\nx-amz-target: evil")), GOAWAY, PROTOCOL_ERROR, id="line end in a value"),
        pytest.param(headers(1, (b"x-a: b\r\nx", b"c")), GOAWAY, PROTOCOL_ERROR, id="line end in a name"),
        pytest.param(
            frame(HEADERS, 5, 1, block((*CALL[:3], (b":path", b"/ HTTP/1.1\r\nx: y")))), RST_STREAM, PROTOCOL_ERROR, id="line end in the path"
        ),
        pytest.param(headers(1, (b"X-A", b"b")), GOAWAY, PROTOCOL_ERROR, id="capitals"),
        pytest.param(headers(1, (b":path", b"/evil")), RST_STREAM, PROTOCOL_ERROR, id="two paths"),
        pytest.param(
            frame(HEADERS, END_STREAM, 1, block(CALL)) + frame(CONTINUATION, END_HEADERS, 3), GOAWAY, PROTOCOL_ERROR, id="another's continuation"
        ),
        pytest.param(frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2, GOAWAY, FLOW_CONTROL_ERROR, id="window overflows"),
        pytest.param(headers(2), GOAWAY, PROTOCOL_ERROR, id="a server's stream"),
        pytest.param(frame(HEADERS, 5, 1, b"\xff" * 100), GOAWAY, COMPRESSION_ERROR, id="broken compression"),
        pytest.param(frame(HEADERS, 5, 1, POINTERS_OUT), GOAWAY, ENHANCE_YOUR_CALM, id="compression bomb"),
        pytest.param(
            frame(HEADERS, END_STREAM, 1, block(CALL))
            + b"".join(frame(CONTINUATION, 0, 1, block([(b"a%d" % number, LARGE)])) for number in range(20)),
            GOAWAY,
            ENHANCE_YOUR_CALM,
            id="headers without end",
        ),
        pytest.param(
            frame(HEADERS, END_STREAM, 1, block(CALL)) + frame(CONTINUATION, 0, 1) * 10_000, GOAWAY, ENHANCE_YOUR_CALM, id="empty continuations"
        ),
        pytest.param(headers(1, flags=OPEN) + frame(DATA, 0, 1) * 20_000, GOAWAY, ENHANCE_YOUR_CALM, id="empty data"),
        pytest.param(
            b"".join(headers(number) + frame(RST_STREAM, 0, number, b"\0\0\0\x08") for number in range(1, 20_001, 2)),
            GOAWAY,
            ENHANCE_YOUR_CALM,
            id="rapid reset by hand",
        ),
    ],
)  # fmt: skip
def test_frames_when_they_are_hostile_are_refused_and_no_request_is_made_of_them(
    sent: bytes, kind: int, code: int
) -> None:
    seen = Seen()

    async def run() -> None:
        async with front(seen.handle, Patience(tick_s=0.05, body_s=2)) as served:
            reader, writer = await served.connect()
            writer.write(opening() + sent)
            found = await read_frames(reader, until=kind)
            hung_up = kind not in kinds(found)  # which, while a flood comes in, can take the last frame from us
            assert error_of(found, kind) == code or (hung_up and code == ENHANCE_YOUR_CALM)
            writer.transport.abort()
            assert [body for body in seen.bodies if body] == []
            assert len(seen.heads) <= 20, "of those that are reset at once, the first few may have been begun"
            assert await still_served(served)

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [headers(1)[:-3], headers(1)[:5], headers(1, flags=OPEN) + frame(DATA, END_STREAM, 1, b"abc", length=10), headers(1, flags=OPEN)],
)  # fmt: skip
def test_frames_when_the_client_leaves_in_their_middle_are_no_request(sent: bytes) -> None:
    seen = Seen()

    async def run() -> None:
        async with front(seen.handle) as served:
            reader, writer = await served.connect()
            writer.write(opening() + sent)
            writer.write_eof()
            await read_frames(reader)
            writer.close()
            assert seen.heads == []
            assert await still_served(served)

    asyncio.run(run())


@pytest.mark.parametrize("flood", [frame(PING, 0, 0, bytes(8)) * 10_000, frame(SETTINGS) * 10_000])
def test_frames_that_ask_for_an_answer_when_they_flood_are_answered_or_refused_and_nobody_starves(flood: bytes) -> None:
    async def run() -> None:
        async with front(Seen().handle) as served:
            _, writer = await served.connect()
            writer.write(opening() + flood)  # and reads none of it
            assert await still_served(served)
            writer.transport.abort()

    asyncio.run(run())


def test_two_hosts_when_sent_over_http_2_are_refused() -> None:
    seen = Seen()

    async def run() -> None:
        async with front(seen.handle) as served:
            reader, writer = await served.connect()
            writer.write(opening() + headers(1, (b"host", b"a"), (b"host", b"b")))
            await read_frames(reader, until=HEADERS)
            writer.transport.abort()
            assert served.refused == [400]
            assert seen.heads == []

    asyncio.run(run())


def test_streams_when_more_are_opened_than_may_be_are_reset() -> None:
    async def run() -> None:
        async with front(Seen().handle, bounds=Bounds(streams_max=3)) as served:
            reader, writer = await served.connect()
            writer.write(opening() + b"".join(headers(number, flags=OPEN) for number in (1, 3, 5, 7, 9)))
            found: list[int] = []
            while len(found) < 2:
                found += [
                    each.stream for each in await read_frames(reader, until=RST_STREAM) if each.kind == RST_STREAM
                ]
            assert sorted(found) == [7, 9]
            writer.transport.abort()
            assert await still_served(served)

    asyncio.run(run())


def test_streams_when_a_client_opens_and_resets_ten_thousand_end_its_connection_and_begin_few_requests() -> None:
    seen = Seen()

    async def run() -> None:
        async with front(seen.handle) as served:
            client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
            client.initiate_connection()
            reader, writer = await served.connect()
            for number in range(1, 20_001, 2):
                client.send_headers(number, CALL, end_stream=True)
                client.reset_stream(number)
            writer.write(client.data_to_send())
            found = await read_frames(reader)  # until it hangs up
            assert error_of(found, GOAWAY) in (ENHANCE_YOUR_CALM, None)
            writer.transport.abort()
            assert len(seen.heads) <= HTTP2_STREAMS_MAX
            assert await still_served(served)

    asyncio.run(run())


def test_bodies_over_http_2_when_they_come_too_slowly_are_given_up() -> None:
    seen = Seen()

    async def run() -> None:
        async with front(seen.handle, Patience(body_s=0.1)) as served:
            reader, writer = await served.connect()
            writer.write(opening() + headers(1, flags=OPEN) + frame(DATA, 0, 1, b"a"))
            await read_frames(reader, until=HEADERS)
            writer.transport.abort()
            assert served.refused == [408]
            assert seen.heads == []

    asyncio.run(run())


def test_bodies_over_http_2_when_there_is_no_room_wait_for_it_like_all_others() -> None:
    async def run() -> None:
        seen = Seen()
        room = SMALL_BODY_BYTES + 1
        async with front(seen.handle, bounds=Bounds(bodies_max_bytes=room)) as served:
            _, holder = await served.connect()
            holder.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % room)
            await answered_100(served)
            reader, writer = await served.connect()
            length = (b"content-length", b"%d" % room)
            writer.write(opening() + headers(1, length, (b"authorization", b"Credential=other/"), flags=OPEN))
            await read_frames(reader, until=WINDOW_UPDATE)
            writer.write(frame(SETTINGS, 1))  # agreed: before that the windows are smaller than the body
            for size in (16_000, 16_000, 16_000, 16_000, room - 64_000):
                writer.write(frame(DATA, END_STREAM if size != 16_000 else 0, 1, bytes(size)))
            await answered_100(served)
            assert seen.bodies == [b""] * 2, "only what needs no room was answered"
            holder.transport.abort()
            assert kinds(await read_frames(reader, until=DATA))[-1] == DATA
            assert len(seen.bodies[-1]) == room
            writer.transport.abort()

    async def answered_100(served: Front) -> None:
        """Let one small request through, so that what was sent before has arrived."""
        reader, writer = await served.connect()
        writer.write(GET)
        await read_answer(reader)
        writer.close()

    asyncio.run(run())


def test_peer_when_over_http_2_is_the_client() -> None:
    seen = Seen()

    async def run() -> None:
        async with front(seen.handle) as served:
            assert await still_served(served)
            assert await still_served(served)

    asyncio.run(run())
    assert [head.peer.address if head.peer is not None else None for head in seen.heads] == ["127.0.0.1"] * 4


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0, 44\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0x0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length : 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: a\r\n Content-Length: 44\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: a\nContent-Length: 44\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: a\rContent-Length: 44\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: a\x00Content-Length: 44\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naX0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
        b"POST /\r\nX: y HTTP/1.1\r\n\r\n",
        b"POST /a b HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1 HTTP/1.1\r\n\r\n",
    ],
)  # fmt: skip
def test_request_when_it_can_be_read_in_two_ways_ends_its_connection_and_smuggles_nothing(head: bytes) -> None:
    seen = Seen()

    async def run() -> None:
        async with front(seen.handle, Patience(tick_s=0.05, linger_s=0.05)) as served:
            reader, writer = await served.connect()
            writer.write(head + SMUGGLED)
            async with asyncio.timeout(WAIT_S):
                received = await reader.read()
            writer.close()
            assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"400"] or re.findall(
                rb"HTTP/1\.1 (\d+)", received
            ) == [b"413"]
            assert seen.heads == []
            assert await still_served(served)

    asyncio.run(run())
