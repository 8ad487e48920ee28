"""HTTP/2: granian, behind a socket of our own, and the tunnels that lead to it.

Theory.  A connection that turned out to speak HTTP/2 - by its first bytes, or by ALPN - is carried, byte for byte, to one embedded
granian that serves cleartext HTTP/2 on a unix socket in a folder which only this user may enter.  It is started by the first such
connection: most servers never see one, and start quicker and smaller for it.  ASGI, because its streams have back-pressure.
Rules of this file:
  1. Nothing else knows which HTTP/2 server this is.
  2. A tunnel holds no more than one read of either side: whoever takes slowly is read slowly.
"""

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from penstock.core.errors import Error, ServiceError
from penstock.core.limits import REQUEST_BODY_MAX_BYTES
from penstock.server.exchange import Answer, Stream
from penstock.server.traffic import Handlers, Traffic
from penstock.wire.route import Head

if TYPE_CHECKING:
    from granian.server.embed import Server

logger = logging.getLogger(__name__)

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

BACKLOG: Final = 4096
READ_BUFFER_BYTES: Final = 1024 * 1024  # of one connection; fewer, larger pieces of a body cost fewer turns of the loop
READY_POLL_S: Final = 0.002
SOCKET_PATH_MAX_CHARS: Final = 100  # what a unix socket's address holds, and a little less


class Http2:
    """The HTTP/2 server, which runs once it is needed."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._application = Application(traffic.handlers)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._starting: asyncio.Task[str] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._server: Server | None = None

    def take(self, transport: asyncio.Transport, data: bytes) -> None:
        """Carry a connection; `data` arrived already."""
        if self._starting is None:
            self._starting = self._traffic.loop.create_task(self._start())
        Outside(self._traffic, transport, self._starting, data)

    async def _start(self) -> str:
        """Start the server; the path of its socket."""
        from granian.constants import HTTPModes, Interfaces
        from granian.http import HTTP2Settings
        from granian.server.embed import Server

        self._folder = tempfile.TemporaryDirectory(prefix="penstock-")  # made with mode 0700
        if len(self._folder.name) > SOCKET_PATH_MAX_CHARS - len("/h2"):
            self._folder.cleanup()
            self._folder = tempfile.TemporaryDirectory(prefix="penstock-", dir="/tmp")
        path = Path(self._folder.name) / "h2"
        self._server = Server(
            self._application,
            uds=path,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http2,
            websockets=False,
            backlog=BACKLOG,
            backpressure=BACKLOG,
            log_enabled=False,
            http2_settings=HTTP2Settings(
                adaptive_window=False,
                initial_connection_window_size=4 * READ_BUFFER_BYTES,
                initial_stream_window_size=READ_BUFFER_BYTES,
            ),
        )
        self._serving = self._traffic.loop.create_task(self._server.serve(), name="http2")
        while not self._serving.done():
            try:
                _, writer = await asyncio.open_unix_connection(str(path))
            except OSError:
                await asyncio.sleep(READY_POLL_S)  # granian tells nobody when it listens
                continue
            writer.close()
            return str(path)
        self._serving.result()
        raise RuntimeError("the HTTP/2 server ended as it began")

    async def stop(self) -> None:
        """End the streams, then the server; that waits for its connections, which the traffic ends if they do not end themselves."""
        patience = self._traffic.patience
        if self._starting is not None:
            with suppress(Exception):
                await self._starting
        await self._application.end_streams(
            patience.stop_s / 2
        )  # some clients hear nothing more of a stream once we say goodbye
        if self._server is not None and self._serving is not None:
            if not self._serving.done():
                self._server.stop()  # type: ignore[no-untyped-call]
            with suppress(Exception):
                await asyncio.wait_for(asyncio.shield(self._serving), patience.stop_s)
        if self._folder is not None:
            self._folder.cleanup()


class Outside(asyncio.Protocol):
    """The client's end of a tunnel."""

    def __init__(self, traffic: Traffic, transport: asyncio.Transport, path: "asyncio.Task[str]", data: bytes) -> None:
        self._traffic = traffic
        self._transport = transport
        self._inside: Inside | None = None
        self._gone = False
        self.due_s = 0.0
        self.touch()
        traffic.enter(self)
        transport.set_protocol(self)
        transport.pause_reading()
        self._joining = traffic.loop.create_task(self._join(path, data))

    async def _join(self, path: "asyncio.Task[str]", data: bytes) -> None:
        """Connect to the server, then let everything through."""
        try:
            address = await asyncio.shield(path)
            inside, protocol = await self._traffic.loop.create_unix_connection(lambda: Inside(self), address)
        except Exception:
            logger.exception("no HTTP/2 server")
            self._transport.abort()
            return
        if self._gone:
            inside.abort()
            return
        self._inside = protocol
        if data:
            protocol.transport.write(data)
        self._transport.resume_reading()

    @property
    def transport(self) -> asyncio.Transport:
        """The way to the client."""
        return self._transport

    def touch(self) -> None:
        """Something moved."""
        self.due_s = self._traffic.now_s() + self._traffic.patience.tunnel_idle_s

    def data_received(self, data: bytes) -> None:
        """From the client."""
        self.touch()
        if self._inside is not None:
            self._inside.transport.write(data)

    def eof_received(self) -> bool:
        """The client sends no more; a client of HTTP/2 that ends one side has ended both."""
        return False

    def pause_writing(self) -> None:
        """The client takes less than there is."""
        if self._inside is not None:
            self._inside.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client takes again."""
        if self._inside is not None:
            self._inside.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        self._gone = True
        self._traffic.leave(self)
        if self._inside is not None:
            self._inside.transport.close()

    def expire(self) -> None:
        """Nothing moved for long."""
        self._transport.abort()

    def end(self) -> None:
        """The server stops; the HTTP/2 server ends its connections, and with them this."""

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()


class Inside(asyncio.Protocol):
    """The server's end of a tunnel."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server is there."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """From the server."""
        self._outside.touch()
        self._outside.transport.write(data)

    def pause_writing(self) -> None:
        """The server takes less than there is."""
        self._outside.transport.pause_reading()

    def resume_writing(self) -> None:
        """The server takes again."""
        self._outside.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """The server has hung up: when all is written, so do we."""
        self._outside.transport.close()


class _Disconnected(Exception):
    """The client left before it had sent its request."""


class Application:
    """The ASGI application: reads a request, has it answered, writes the answer."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._pumps: dict[asyncio.Task[None], asyncio.Event] = {}  # with what is set when the answer has ended

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        head = _head(scope)
        try:
            body = await _read_body(head, receive)
        except ServiceError as error:
            answer = self._handlers.refuse(head, error)
        except _Disconnected:  # or a body that HTTP cannot make sense of; granian tells the two apart no better
            answer = self._handlers.reject(400)
        else:
            answer = await self._handlers.handle(head, body)
        content = answer.body
        if isinstance(content, bytes):
            await send(_start(answer, [(b"content-length", str(len(content)).encode())]))
            await send({"type": "http.response.body", "body": content})
        else:
            await send(_start(answer, []))
            await self._stream(content, receive, send)

    async def _stream(self, stream: Stream, receive: Receive, send: Send) -> None:
        """Send a stream until it, the client or the server ends; `send` waits for whoever reads slowly."""
        pump = asyncio.get_running_loop().create_task(_pump(stream, send))
        ended = self._pumps[pump] = asyncio.Event()
        watch = asyncio.get_running_loop().create_task(_left(receive))
        watch.add_done_callback(lambda _: pump.cancel())
        try:
            await asyncio.gather(pump, return_exceptions=True)
        finally:
            watch.cancel()
            await stream.aclose()
        if pump.cancelled() or pump.exception() is None:
            with suppress(Exception):  # the client may be gone
                await send({"type": "http.response.body", "body": b""})
        else:
            logger.error("a streamed answer failed", exc_info=pump.exception())
        ended.set()
        del self._pumps[pump]

    async def end_streams(self, limit_s: float) -> None:
        """End the streams under way; return when their clients have been told, or after `limit_s`."""
        pumps = list(self._pumps.items())
        for pump, _ in pumps:
            pump.cancel()
        with suppress(asyncio.TimeoutError):
            async with asyncio.timeout(limit_s):
                for _, ended in pumps:
                    await ended.wait()


async def _pump(stream: Stream, send: Send) -> None:
    async for piece in stream:
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # to a client that has gone, `send` sends nothing and waits for nothing


async def _left(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(head: Head, receive: Receive) -> bytes:
    announced = head.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > REQUEST_BODY_MAX_BYTES:
        raise Error.BODY_TOO_LARGE(limit_bytes=REQUEST_BODY_MAX_BYTES)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > REQUEST_BODY_MAX_BYTES:
            raise Error.BODY_TOO_LARGE(limit_bytes=REQUEST_BODY_MAX_BYTES)
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _head(scope: Message) -> Head:
    raw: Iterable[tuple[bytes, bytes]] = scope["headers"]
    query: bytes = scope["query_string"]
    return Head(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in raw},
        raw_headers=tuple(raw),
    )


def _start(answer: Answer, framing: list[tuple[bytes, bytes]]) -> Message:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers]
    headers = [*pairs, *framing, (b"server", b"Penstock")]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}
