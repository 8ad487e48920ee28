"""The listener: the ports, what speaks on them, and their end.

Theory.  Each port - plaintext or TLS - hands every connection to connection.py, which speaks HTTP/1.1 and gives those that turn out to
speak HTTP/2 to http2.py.  What all connections share is in traffic.py.
Rules of this file:
  1. Nothing listens beyond the ports that were asked for.
  2. The port is ours alone: two servers on one port are a mistake to be told, not a load balancer.
"""

import asyncio
import errno
import socket
from typing import Final

from penstock.server.connection import Connection
from penstock.server.http2 import Http2
from penstock.server.tls import TlsFiles, server_context
from penstock.server.traffic import CONNECTIONS_MAX, Handlers, Patience, Traffic

BACKLOG: Final = 4096

__all__ = ["CannotListen", "Handlers", "Listener", "Patience", "TlsFiles"]


class CannotListen(Exception):
    """An address or port that cannot be had; its text is the one line to show."""


class Listener:
    """All ports of one server."""

    def __init__(
        self, handlers: Handlers, patience: Patience | None = None, connections_max: int = CONNECTIONS_MAX
    ) -> None:
        self._traffic = Traffic(handlers, patience or Patience(), connections_max)
        self._http2 = Http2(self._traffic)
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int, tls: TlsFiles | None) -> int:
        """Accept connections on a port, for 0 on any free one, and answer which.  Raises CannotListen."""
        bound = _bind(host, port)
        server = await self._traffic.loop.create_server(
            lambda: Connection(self._traffic, self._http2.take),
            sock=bound,
            backlog=BACKLOG,
            ssl=server_context(tls) if tls is not None else None,
            ssl_handshake_timeout=self._traffic.patience.handshake_s if tls is not None else None,
            ssl_shutdown_timeout=self._traffic.patience.stop_s if tls is not None else None,
        )
        self._servers.append(server)
        return int(bound.getsockname()[1])

    async def stop(self) -> None:
        """Close the ports and their connections; requests under way are answered first, streams are ended."""
        for server in self._servers:
            server.close()
        ending = self._traffic.loop.create_task(self._http2.stop())  # whose tunnels end with it
        await self._traffic.stop()
        await ending


def _bind(host: str, port: int) -> socket.socket:
    """A socket on the port.  Raises CannotListen."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
