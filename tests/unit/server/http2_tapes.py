"""An HTTP/2 connection whose other end is a test: frames in, frames out, on whatever loop runs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from frames import DATA, END_STREAM, HEADERS, Frame, cut_frames, opening
from tapes import Tape, turn

from penstock.core.errors import ServiceError
from penstock.server.exchange import Answer
from penstock.server.gather import Client
from penstock.server.http2.connection import Http2Connection
from penstock.server.traffic import Bounds, Handlers, Patience, Traffic
from penstock.wire.route import Head

Handle = Callable[[Head, bytes], Awaitable[Answer]]


class Http2Client:
    """A client that says exactly what the test says."""

    def __init__(
        self,
        handle: Handle | None = None,
        patience: Patience | None = None,
        bounds: Bounds | None = None,
        *,
        begin: bytes = opening(),
        gather: Callable[[bytes, Client], bool] | None = None,
    ) -> None:
        self.seen: list[tuple[Head, bytes]] = []
        self.refusals: list[int] = []
        self.waiting: list[asyncio.Future[Answer]] = []  # answers that the test gives, where `handle` is `self.wait`
        self._handle = handle or self._echo
        handlers = Handlers(self._handled, self._refuse, self._reject, gather)
        self.traffic = Traffic(handlers, patience or Patience(), bounds)
        self.tape = Tape()
        self.connection = Http2Connection(self.traffic, self.tape, begin)

    async def _handled(self, head: Head, body: bytes) -> Answer:
        self.seen.append((head, body))
        return await self._handle(head, body)

    async def _echo(self, _head: Head, body: bytes) -> Answer:
        return Answer(200, [], body)

    def _refuse(self, _: Head, error: ServiceError) -> Answer:
        self.refusals.append(error.status)
        return Answer(error.status, [], b"refused")

    def _reject(self, status: int) -> Answer:
        self.refusals.append(status)
        return Answer(status, [], b"")

    async def wait(self, _head: Head, _body: bytes) -> Answer:
        """A handler that ends when the test says so."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append(answer)
        return await answer

    async def send(self, *pieces: bytes) -> list[Frame]:
        """Send pieces; what the server wrote since the last time."""
        for piece in pieces:
            if not self.tape.closed:
                self.connection.data_received(piece)
        for _ in range(8):
            await turn()
        return self.frames()

    def frames(self) -> list[Frame]:
        """What the server wrote since the last time."""
        written, self.tape.written = self.tape.written, b""
        return cut_frames(written)

    async def stop(self) -> None:
        """End the server."""
        await self.traffic.stop()


def body_of(found: list[Frame], stream: int = 1) -> tuple[bytes, bool]:
    """What came of a stream's body, and whether that is all."""
    mine = [each for each in found if each.stream == stream and each.kind in (DATA, HEADERS)]
    ended = any(each.flags & END_STREAM for each in mine)
    return b"".join(each.payload for each in mine if each.kind == DATA), ended


class Pieces:
    """A streamed answer that tells what became of it."""

    def __init__(self, *pieces: bytes, then: BaseException | None = None, hang: bool = False) -> None:
        self.asked = 0
        self.closed = False
        self._pieces = pieces
        self._then = then
        self._hang = hang

    async def handle(self, _head: Head, _body: bytes) -> Answer:
        return Answer(200, [], self._make())

    async def _make(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self._pieces:
                self.asked += 1
                yield piece
            if self._then is not None:
                raise self._then
            if self._hang:
                await asyncio.get_running_loop().create_future()
        finally:
            self.closed = True
