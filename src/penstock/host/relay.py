"""A relay: what connects to one listening socket is connected to one address.

Rules of this file: bytes are passed on as they come, no faster than they are taken; connections are bounded.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Final

CONNECTIONS_MAX: Final = 64
_PIECE_BYTES: Final = 64 * 1024


class Relay:
    """One of them."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def listen(self, listening: socket.socket) -> None:
        """Begin."""
        self._server = await asyncio.start_server(self._connected, sock=listening)

    def close(self) -> None:
        """End, and hang up."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= 2 * CONNECTIONS_MAX:
            writer.close()
            return
        self._open[writer] = None
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            self._forget(writer)
            return
        self._open[far_writer] = None
        try:
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        finally:
            self._forget(writer)
            self._forget(far_writer)

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._open.pop(writer, None)
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
