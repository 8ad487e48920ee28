"""The listener: the ports, what speaks on them, and their end.

Theory.  Each port - plaintext or TLS - hands every connection to connection.py, which speaks HTTP/1.1 and gives those that turn out to
speak HTTP/2 to http2/connection.py.  What all connections share is in traffic.py.
Rules of this file:
  1. Nothing listens beyond the ports that were asked for.
  2. The port is ours alone: two servers on one port are a mistake to be told, not a load balancer.
"""

import asyncio
import errno
import socket
from typing import Final

from penstock.server.connection import Connection
from penstock.server.tls import PortTls, TlsFiles, UnusableFiles
from penstock.server.traffic import Bounds, Handlers, Patience, Traffic

BACKLOG: Final = 4096

__all__ = ["Bounds", "CannotListen", "Handlers", "Listener", "Patience", "TlsFiles"]


class CannotListen(Exception):
    """An address or port that cannot be had; its text is the one line to show."""


class Listener:
    """All ports of one server."""

    def __init__(self, handlers: Handlers, patience: Patience | None = None, bounds: Bounds | None = None) -> None:
        self._traffic = Traffic(handlers, patience or Patience(), bounds)
        self._servers: list[asyncio.Server] = []
        self._secure: list[PortTls] = []

    async def listen(self, host: str, port: int, tls: TlsFiles | None) -> int:
        """Accept connections on a port, for 0 on any free one, and answer which.  Raises CannotListen."""
        bound = bind(host, port)
        try:
            await self.serve(bound, tls)
        except CannotListen:
            bound.close()
            raise
        return int(bound.getsockname()[1])

    async def serve(self, bound: socket.socket, tls: TlsFiles | None) -> None:
        """Accept connections on a socket that listens.  Raises CannotListen."""
        try:
            secure = PortTls(tls) if tls is not None else None
        except UnusableFiles as error:
            raise CannotListen(str(error)) from None
        server = await self._traffic.loop.create_server(
            lambda: Connection(self._traffic, self._speak_http2),
            sock=bound,
            backlog=BACKLOG,
            ssl=secure.context if secure is not None else None,
            ssl_handshake_timeout=self._traffic.patience.handshake_s if tls is not None else None,
            ssl_shutdown_timeout=self._traffic.patience.stop_s if tls is not None else None,
        )
        self._servers.append(server)
        if secure is not None:
            self._secure.append(secure)

    def _speak_http2(self, transport: asyncio.Transport, data: bytes) -> None:
        """Take over a connection; most servers never see one, and start quicker and smaller for it."""
        from penstock.server.http2.connection import Http2Connection

        Http2Connection(self._traffic, transport, data)

    async def open(self) -> None:
        """Return when every port accepts connections: at once."""

    def reload_tls(self) -> bool:
        """Take up certificates whose files have changed; whether any was."""
        changed = [secure.reload() for secure in self._secure]  # each, not only up to the first
        return any(changed)

    async def stop(self) -> None:
        """Close the ports and their connections; requests under way are answered first, streams are ended."""
        for server in self._servers:
            server.close()
        await self._traffic.stop()


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket on the port, which may be `shared` with others of ours.  Raises CannotListen."""
    if host == "localhost":
        host = "127.0.0.1"  # whatever a file of names says: loopback is what was promised
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else str(error.strerror or error)
        raise CannotListen(
            f"cannot listen on {host}:{port}: {why}; choose another --port, or 0 for any free one"
        ) from None
    return bound
