"""The listener: sockets, TLS and HTTP, by granian, behind two functions.

Theory.  Two embedded servers - plaintext (HTTP/1.1, and HTTP/2 with prior knowledge) and TLS (either, by ALPN) - run on the caller's
event loop over one ASGI application.  ASGI, because its streams have back-pressure.  A request is read whole, up to the limit;
one that announces or sends more is answered 413 before the rest is read.
Rule of this file: nothing else knows which HTTP server this is.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from penstock.core.errors import Error, ServiceError
from penstock.core.limits import REQUEST_BODY_MAX_BYTES
from penstock.server.exchange import Answer
from penstock.wire.route import Head

Message = dict[str, Any]
BACKLOG: Final = 4096
READ_BUFFER_BYTES: Final = 1024 * 1024  # one connection's; fewer, larger pieces of a body cost fewer turns of the loop


class CannotListen(Exception):
    """An address or port that cannot be had; its text is the one line to show."""


class TlsFiles(NamedTuple):
    """PEM files of the certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Handlers:
    """What requests are given to."""

    handle: Callable[[Head, bytes], Awaitable[Answer]]
    refuse: Callable[[Head, ServiceError], Answer]


class Listener:
    """One port that is being listened on."""

    def __init__(self, handlers: Handlers, host: str, port: int, tls: TlsFiles | None) -> None:
        self.host = host
        self.port = _claim(host, port)
        self._application = _Application(handlers)
        self._server = Server(
            self._application,
            address="127.0.0.1" if host == "localhost" else host,
            port=self.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.auto,
            websockets=False,
            backlog=BACKLOG,
            backpressure=BACKLOG,
            log_enabled=False,
            http1_settings=HTTP1Settings(max_buffer_size=READ_BUFFER_BYTES),
            http2_settings=HTTP2Settings(
                adaptive_window=False,
                initial_connection_window_size=4 * READ_BUFFER_BYTES,
                initial_stream_window_size=READ_BUFFER_BYTES,
            ),
            ssl_cert=tls.certificate if tls is not None else None,
            ssl_key=tls.key if tls is not None else None,
            ssl_protocol_min=SSLProtocols.tls12,
        )
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(), name=f"listener {self.port}")

    async def ready(self) -> None:
        """Return when connections are accepted; raise what kept them from being so."""
        while not self._serving.done():
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await asyncio.sleep(0.002)  # granian tells nobody when it listens
                continue
            writer.close()
            return
        self._serving.result()

    async def stop(self) -> None:
        """Close the port and its connections; requests under way are answered first."""
        if not self._serving.done():
            self._server.stop()  # type: ignore[no-untyped-call]
        await asyncio.gather(self._serving, return_exceptions=True)


def _claim(host: str, port: int) -> int:
    """A port that can be listened on: the one asked for, or for 0 any.

    The socket is closed again, since granian binds for itself - with SO_REUSEPORT, so that without this look a second server would
    quietly share the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "another program listens there" if taken else str(error.strerror or error)
            raise CannotListen(
                f"cannot listen on {host}:{port}: {why}; choose another --port, or 0 for any free one"
            ) from None
        return int(probe.getsockname()[1])


class _Application:
    """The ASGI application: reads a request, has it answered, writes the answer."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        head = _head(scope)
        try:
            body = await _read_body(head, receive)
        except ServiceError as error:
            answer = self._handlers.refuse(head, error)
            answer.headers.append(("connection", "close"))
        except _Disconnected:  # or a body that HTTP cannot make sense of; granian tells the two apart no better
            answer = Answer(400, [("connection", "close")], b"")
        else:
            answer = await self._handlers.handle(head, body)
        await send({"type": "http.response.start", "status": answer.status, "headers": _wire_headers(answer)})
        await send({"type": "http.response.body", "body": answer.body})


class _Disconnected(Exception):
    """The client left before it had sent its request."""


async def _read_body(head: Head, receive: Callable[[], Awaitable[Message]]) -> bytes:
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


def _wire_headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    return [*pairs, (b"content-length", str(len(answer.body)).encode()), (b"server", b"Penstock")]
