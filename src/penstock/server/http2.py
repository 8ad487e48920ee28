"""HTTP/2: granian, behind a socket of our own, and the tunnels that lead to it.

Theory.  A connection that turned out to speak HTTP/2 - by its first bytes, or by ALPN - is carried, byte for byte, to one embedded
granian that serves cleartext HTTP/2 on a unix socket in a folder which only this user may enter.  It is started by the first such
connection: most servers never see one, and start quicker and smaller for it.  ASGI, because its streams have back-pressure.
Rules of this file:
  1. Nothing else knows which HTTP/2 server this is.
  2. A tunnel holds no more than one read of either side: whoever takes slowly is read slowly.
  3. Bodies are timed and counted as over HTTP/1.1; until there is room for one, its stream's window stays shut.
The server's own bounds hold what it keeps itself: streams at once, a request's headers, and streams that are reset before they were
looked at (20, then it ends the connection).  Who is behind a tunnel is told by the path to which its end of the unix socket is bound.
"""

import asyncio
import logging
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl, quote

from penstock.core.errors import Error, ServiceError
from penstock.server.exchange import Answer, Stream
from penstock.server.peers import peer_of
from penstock.server.place import Place
from penstock.server.traffic import SMALL_BODY_BYTES, Traffic
from penstock.wire.route import Head, Peer

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
SOCKET_NAME_MAX_CHARS: Final = 12  # a number of tunnels that no server lives to see
PING_EVERY_MS: Final = 60_000  # so that a client that is gone without a word is found out ...
PING_ANSWER_S: Final = 20  # ... that long after


class Http2:
    """The HTTP/2 server, which runs once it is needed."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._peers: dict[str, Peer] = {}  # by the path of a tunnel's end
        self._tunnels = 0
        self._application = Application(traffic, self._peers)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._starting: asyncio.Task[str] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._server: Server | None = None

    def take(self, transport: asyncio.Transport, data: bytes) -> None:
        """Carry a connection; `data` arrived already."""
        if self._starting is None:
            self._starting = self._traffic.loop.create_task(self._start())
        Outside(self._traffic, transport, self, data)

    async def join(self, peer: Peer) -> tuple[socket.socket, str]:
        """A connection to the server on behalf of `peer`, and the name of its end."""
        assert self._starting is not None
        path = await asyncio.shield(self._starting)
        self._tunnels += 1
        name = Path(path).with_name(str(self._tunnels))
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.setblocking(False)
            link.bind(str(name))
            await self._traffic.loop.sock_connect(link, path)
        except BaseException:
            link.close()
            raise
        finally:
            name.unlink(missing_ok=True)  # the other end knows it by now
        self._peers[str(name)] = peer
        return link, str(name)

    def part(self, name: str) -> None:
        """A tunnel is no more."""
        self._peers.pop(name, None)

    async def _start(self) -> str:
        """Start the server; the path of its socket."""
        from granian.constants import HTTPModes, Interfaces
        from granian.http import HTTP2Settings
        from granian.server.embed import Server

        self._folder = tempfile.TemporaryDirectory(prefix="penstock-")  # made with mode 0700
        if len(self._folder.name) > SOCKET_PATH_MAX_CHARS - SOCKET_NAME_MAX_CHARS:
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
                max_concurrent_streams=self._traffic.bounds.streams_max,
                max_headers_size=self._traffic.bounds.head_max_bytes,
                keep_alive_interval=PING_EVERY_MS,
                keep_alive_timeout=PING_ANSWER_S,
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

    def __init__(self, traffic: Traffic, transport: asyncio.Transport, http2: Http2, data: bytes) -> None:
        self._traffic = traffic
        self._http2 = http2
        self._name = ""
        self._transport = transport
        self._inside: Inside | None = None
        self._gone = False
        self.due_s = 0.0
        self.touch()
        traffic.enter(self)
        transport.set_protocol(self)
        transport.pause_reading()
        self._joining = traffic.loop.create_task(self._join(data))

    async def _join(self, data: bytes) -> None:
        """Connect to the server, then let everything through."""
        try:
            link, self._name = await self._http2.join(peer_of(self._transport))
            inside, protocol = await self._traffic.loop.create_unix_connection(lambda: Inside(self), sock=link)
        except Exception:
            logger.exception("no HTTP/2 server")
            self._transport.abort()
            return
        if self._gone:
            inside.abort()
            self._http2.part(self._name)
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
        self._http2.part(self._name)
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

    def __init__(self, traffic: Traffic, peers: Mapping[str, Peer]) -> None:
        self._traffic = traffic
        self._handlers = traffic.handlers
        self._peers = peers
        self._pumps: dict[asyncio.Task[None], asyncio.Event] = {}  # with what is set when the answer has ended

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = await self._answer(_head(scope, self._peers.get(scope["client"][0])), receive)
        content = answer.body
        if isinstance(content, bytes):
            await send(_start(answer, [(b"content-length", str(len(content)).encode())]))
            await send({"type": "http.response.body", "body": content})
        else:
            await send(_start(answer, []))
            await self._stream(content, receive, send)

    async def _answer(self, head: Head, receive: Receive) -> Answer:
        if (
            sum(name == b"host" for name, _ in head.raw_headers) > 1
        ):  # all else that can be read in two ways granian resets
            return self._handlers.reject(400)
        place = Place(self._traffic, head)
        try:
            body = await _read_body(head, receive, place)
            return await self._handlers.handle(head, body)
        except ServiceError as error:
            return self._handlers.refuse(head, error)
        except TimeoutError:
            return self._handlers.reject(408)
        except _Disconnected:  # or a body that HTTP cannot make sense of; granian tells the two apart no better
            return self._handlers.reject(400)
        finally:
            place.leave()

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


async def _read_body(head: Head, receive: Receive, place: Place) -> bytes:
    """The body.  Raises BODY_TOO_LARGE, TimeoutError and _Disconnected."""
    announced, limit_bytes = head.headers.get("content-length", "0"), place.body_max_bytes
    if not announced.isdecimal() or int(announced) > limit_bytes:
        raise Error.BODY_TOO_LARGE(limit_bytes=limit_bytes)
    await place.enter(int(announced))
    pieces: list[bytes] = []
    while await _read_pieces(pieces, place, receive, unannounced="content-length" not in head.headers):
        await place.enter(limit_bytes)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _read_pieces(pieces: list[bytes], place: Place, receive: Receive, *, unannounced: bool) -> bool:
    """Read on, to the end or until there must be room for more that was not announced; whether that is so."""
    with place.limited():
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            piece: bytes = message.get("body", b"")
            place.size += len(piece)
            if place.size > place.body_max_bytes:
                raise Error.BODY_TOO_LARGE(limit_bytes=place.body_max_bytes)
            pieces.append(piece)
            if not message.get("more_body", False):
                return False
            if unannounced and place.size > SMALL_BODY_BYTES and not place.has_room:
                return True


def _head(scope: Message, peer: Peer | None) -> Head:
    raw: Iterable[tuple[bytes, bytes]] = scope["headers"]
    query: bytes = scope["query_string"]
    return Head(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in raw},
        raw_headers=tuple(raw),
        peer=peer,
        target=_wire_target(scope),
    )


def _wire_target(scope: Message) -> bytes:
    path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    query: bytes = scope["query_string"]
    return path.partition(b"?")[0] + (b"?" + query if query else b"")


def _start(answer: Answer, framing: list[tuple[bytes, bytes]]) -> Message:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers]
    headers = [*pairs, *framing, (b"server", b"Penstock")]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}
