"""Connections to the Runtime API of one execution environment.

Rules of this file:
  1. Who is not the process that the port was made for is hung up on, unheard.
  2. A client that does not read its answers is not read from either.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from penstock.host.loopback import Address
from penstock.services.functions.running.messages import Garbage, Message, Reader, reply

CONNECTIONS_MAX: Final = 16  # of one environment


class Api(Protocol):
    """Who answers."""

    def handle(self, connection: "Connection", message: Message) -> None:
        """Answer a request, now or later."""
        ...

    def opened(self, connection: "Connection") -> bool:
        """Whether there is room for one more."""
        ...

    def lost(self, connection: "Connection") -> None:
        """It is closed."""
        ...


class Connection(asyncio.Protocol):
    """One of them."""

    def __init__(self, api: Api, admits: Callable[[Address, Address], bool]) -> None:
        self._api = api
        self._admits = admits
        self._reader = Reader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look at who has come."""
        theirs, ours = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not theirs or not self._admits(theirs, ours) or not self._api.opened(self):
            cast(asyncio.Transport, transport).abort()
        else:
            self._transport = cast(asyncio.Transport, transport)  # uvloop's has another base

    def data_received(self, data: bytes) -> None:
        """Read requests."""
        if self._transport is None:
            return
        try:
            for message in self._reader.feed(data):
                self._api.handle(self, message)
        except Garbage:
            self.answer(reply(400, "Bad Request", b""))
            self.close()

    def pause_writing(self) -> None:
        """It does not read."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        if self._transport is not None:
            self._transport = None
            self._api.lost(self)

    def answer(self, data: bytes) -> None:
        """Send an answer."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()
