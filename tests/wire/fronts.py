"""A front with handlers of a test's own, on the loop that runs the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from penstock.core.errors import ServiceError
from penstock.server.exchange import Answer
from penstock.server.listener import Bounds, Handlers, Listener, Patience, TlsFiles
from penstock.wire.route import Head

WAIT_S = 60
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Handle = Callable[[Head, bytes], Awaitable[Answer]]


async def echo(head: Head, body: bytes) -> Answer:
    """The request, told back."""
    return Answer(200, [], f"{head.method} {head.path} ".encode() + body)


@dataclass
class Front:
    """A front that listens."""

    listener: Listener
    port: int
    refused: list[int] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to it."""
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def front(
    handle: Handle,
    patience: Patience | None = None,
    *,
    tls: TlsFiles | None = None,
    bounds: Bounds | None = None,
) -> AsyncIterator[Front]:
    """A front on a free port, stopped on leaving."""
    refused: list[int] = []

    async def handled(head: Head, body: bytes) -> Answer:
        return await handle(head, body)

    def refuse(_: Head, error: ServiceError) -> Answer:
        refused.append(error.status)
        return Answer(error.status, [], error.code.encode())

    def reject(status: int) -> Answer:
        refused.append(status)
        return Answer(status, [], b"")

    listener = Listener(Handlers(handled, refuse, reject), patience, bounds)
    try:
        yield Front(listener, await listener.listen("127.0.0.1", 0, tls), refused)
    finally:
        await listener.stop()


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of an answer with a length."""
    async with asyncio.timeout(WAIT_S):
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return head, await reader.readexactly(length)


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    """One chunk of a chunked body; empty for the last."""
    async with asyncio.timeout(WAIT_S):
        size = int(await reader.readline(), 16)
        return (await reader.readexactly(size + 2))[:-2]


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server hangs up."""
    async with asyncio.timeout(WAIT_S):
        return await reader.read()
