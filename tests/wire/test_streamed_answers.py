"""Answers that are made while they are sent, over HTTP/1.1 and HTTP/2: back-pressure, and how they end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import cast

import h2.config
import h2.connection
import h2.events
import pytest
from fronts import GET, WAIT_S, Front, front, read_all, read_chunk

from penstock.server.exchange import Answer
from penstock.wire.route import Head

PIECE = b"x" * 65536
HEAD_ONLY = GET.replace(b"GET", b"HEAD")
OLD = GET.replace(b"HTTP/1.1", b"HTTP/1.0")


class Source:
    """A stream that tells what happened to it; it is endless unless told how many pieces it has."""

    def __init__(self, pieces: int | None = None, piece: bytes = b"piece", *, then_fail: bool = False) -> None:
        self.asked = 0
        self.waits = asyncio.Event()
        self.closed = asyncio.Event()
        self._pieces = pieces
        self._piece = piece
        self._then_fail = then_fail

    async def handle(self, _head: Head, _body: bytes) -> Answer:
        return Answer(200, [("content-type", "x")], self.pieces())

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            while self._pieces is None or self.asked < self._pieces:
                self.asked += 1
                yield self._piece
            if self._then_fail:
                raise RuntimeError("of the test")
        finally:
            self.closed.set()

    async def hanging(self, _head: Head, _body: bytes) -> Answer:
        async def one_then_nothing() -> AsyncGenerator[bytes, None]:
            try:
                yield b"first"
                self.waits.set()
                await asyncio.Event().wait()
            finally:
                self.closed.set()

        return Answer(200, [], one_then_nothing())

    async def is_closed(self) -> None:
        async with asyncio.timeout(WAIT_S):
            await self.closed.wait()


class H2:
    """An HTTP/2 client over a cleartext connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.connection.initiate_connection()
        self.acknowledge = True
        self.received = 0
        self.events: list[h2.events.Event] = []

    def get(self, stream: int = 1, method: str = "GET") -> None:
        fields = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", "/")]
        self.connection.send_headers(stream, fields, end_stream=True)
        self.flush()

    def flush(self) -> None:
        self._writer.write(self.connection.data_to_send())

    async def until(self, kind: type[h2.events.Event]) -> h2.events.Event:
        """The first event of a kind; others are kept."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for event in self.connection.receive_data(await self._frame()):
                    self.events.append(event)
                    if isinstance(event, h2.events.DataReceived):
                        self.received += len(event.data)
                        if self.acknowledge:
                            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.flush()
                found = [event for event in self.events if isinstance(event, kind)]
                if found:
                    return found[0]

    async def _frame(self) -> bytes:
        """One frame: h2 forgets what came before one that it refuses, as it does a PING behind a GOAWAY."""
        head = await self._reader.readexactly(9)
        return head + await self._reader.readexactly(int.from_bytes(head[:3], "big"))

    def close(self) -> None:
        self._writer.close()


def taken(writer: asyncio.StreamWriter) -> asyncio.Transport:
    """The client's end, of which it may be told to take nothing."""
    return cast("asyncio.Transport", writer.transport)


async def turns(count: int = 50) -> None:
    """Let everything that is ready run, the kernel's part of it included."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        done = loop.create_future()
        loop.call_later(0.002, done.set_result, None)
        await done


@pytest.mark.parametrize("piece", [b"piece", PIECE])
def test_stream_when_it_ends_is_chunked_whole_and_the_connection_goes_on(piece: bytes) -> None:
    async def run() -> None:
        source = Source(3, piece)
        async with front(source.handle) as served:
            reader, writer = await served.connect()
            for _ in range(2):
                source.asked = 0
                writer.write(GET)
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"transfer-encoding: chunked\r\n" in head
                assert b"content-length" not in head
                assert [await read_chunk(reader) for _ in range(4)] == [piece] * 3 + [b""]
                await source.is_closed()
            writer.close()

    asyncio.run(run())


def test_stream_when_the_client_speaks_http_1_0_ends_with_the_connection() -> None:
    async def run() -> None:
        async with front(Source(3).handle) as served:
            reader, writer = await served.connect()
            writer.write(OLD.replace(b"Host", b"Connection: keep-alive\r\nHost"))
            head, _, body = (await read_all(reader)).partition(b"\r\n\r\n")
            assert b"connection: close" in head
            assert b"chunked" not in head
            assert body == b"piece" * 3
            writer.close()

    asyncio.run(run())


def test_stream_when_only_its_head_is_asked_for_is_closed_unread() -> None:
    async def run() -> None:
        closed = asyncio.Event()

        class Unread:
            def __aiter__(self) -> AsyncGenerator[bytes, None]:
                raise AssertionError("nobody asked for the body")

            async def aclose(self) -> None:
                closed.set()

        async def handle(_head: Head, _body: bytes) -> Answer:
            return Answer(200, [], Unread())

        async with front(handle) as served:
            reader, writer = await served.connect()
            writer.write(HEAD_ONLY + HEAD_ONLY.replace(b"Host", b"Connection: close\r\nHost"))
            assert (await read_all(reader)).count(b"HTTP/1.1 200 ") == 2
            assert closed.is_set()
            writer.close()

    asyncio.run(run())


def test_stream_when_it_fails_is_cut_off_and_not_ended(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        source = Source(2, then_fail=True)
        async with front(source.handle) as served:
            reader, writer = await served.connect()
            writer.write(GET)
            received = b""
            with suppress(ConnectionResetError):  # a cut looks like that, or like an end
                received = await read_all(reader)
            assert not received.endswith(b"0\r\n\r\n")
            await source.is_closed()
            writer.close()

    asyncio.run(run())
    assert "a streamed answer failed" in caplog.text


@pytest.mark.parametrize("leave", ["close", "abort", "half"])
def test_stream_when_the_client_goes_away_is_closed_at_once(leave: str) -> None:
    async def run() -> None:
        source = Source()
        async with front(source.hanging) as served:
            reader, writer = await served.connect()
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            assert await read_chunk(reader) == b"first"
            await source.waits.wait()
            if leave == "half":
                writer.write_eof()
            elif leave == "abort":
                writer.transport.abort()
            else:
                writer.close()
            await source.is_closed()
            writer.close()

    asyncio.run(run())


def test_stream_when_nobody_reads_is_asked_for_no_more_than_buffers_hold() -> None:
    async def run() -> None:
        source = Source(piece=PIECE)
        async with front(source.handle) as served:
            reader, writer = await served.connect()
            taken(writer).pause_reading()
            writer.write(GET)
            await turns()
            before = source.asked
            assert before * len(PIECE) < 16 * 1024 * 1024  # the kernel's buffers, and one of ours
            await turns()
            assert source.asked == before
            taken(writer).resume_reading()
            async with asyncio.timeout(WAIT_S):
                for _ in range(2 * before):
                    await reader.readexactly(len(PIECE))
            assert source.asked > before
            writer.transport.abort()
            await source.is_closed()

    asyncio.run(run())


async def stops_cleanly(source: Source, served: Front) -> None:
    async with asyncio.timeout(WAIT_S):  # who does not read is waited for six times as long while a server is at work
        await served.listener.stop()
    assert source.closed.is_set()


def test_stream_when_the_server_stops_is_ended_as_its_framing_demands() -> None:
    async def run() -> None:
        source = Source()
        async with front(source.hanging) as served:
            reader, writer = await served.connect()
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            assert await read_chunk(reader) == b"first"
            await source.waits.wait()
            await stops_cleanly(source, served)
            assert await read_all(reader) == b"0\r\n\r\n"
            writer.close()

    asyncio.run(run())


def test_stream_when_the_server_stops_and_nobody_reads_does_not_hold_it_up() -> None:
    async def run() -> None:
        source = Source(piece=PIECE)
        async with front(source.handle) as served:
            _, writer = await served.connect()
            taken(writer).pause_reading()
            writer.write(GET)
            await turns()
            await stops_cleanly(source, served)
            writer.transport.abort()

    asyncio.run(run())


def test_h2_stream_when_it_ends_is_whole() -> None:
    async def run() -> None:
        source = Source(3)
        async with front(source.handle) as served:
            client = H2(*await served.connect())
            client.get()
            await client.until(h2.events.StreamEnded)
            assert client.received == 3 * len(b"piece")
            await source.is_closed()
            client.close()

    asyncio.run(run())


def test_h2_stream_when_nobody_reads_is_asked_for_no_more_than_buffers_hold() -> None:
    async def run() -> None:
        source = Source(piece=PIECE)
        async with front(source.handle) as served:
            client = H2(*await served.connect())
            client.acknowledge = False  # so the window closes
            client.get()
            await client.until(h2.events.DataReceived)
            await turns()
            before = source.asked
            assert before * len(PIECE) < 16 * 1024 * 1024
            await turns()
            assert source.asked == before
            client.close()
            await source.is_closed()

    asyncio.run(run())


@pytest.mark.parametrize("reset", [True, False])
def test_h2_stream_when_the_client_goes_away_is_closed_at_once(reset: bool) -> None:
    async def run() -> None:
        source = Source()
        async with front(source.hanging) as served:
            client = H2(*await served.connect())
            client.get()
            await client.until(h2.events.DataReceived)
            await source.waits.wait()
            if reset:
                client.connection.reset_stream(1)
                client.flush()
            else:
                client.close()
            await source.is_closed()
            client.close()

    asyncio.run(run())


def test_h2_stream_when_the_server_stops_is_ended() -> None:
    async def run() -> None:
        source = Source()
        async with front(source.hanging) as served:
            client = H2(*await served.connect())
            client.get()
            await client.until(h2.events.DataReceived)
            await source.waits.wait()
            stopping = asyncio.get_running_loop().create_task(stops_cleanly(source, served))
            await client.until(h2.events.StreamEnded)
            await stopping
            client.close()

    asyncio.run(run())
