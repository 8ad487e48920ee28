"""What all connections share: who they are, how many there may be, how long they may take, and how much their bodies may hold.

Theory.  Nobody's slowness is another's problem.  Each connection says by when its next step is due; one timer, once a second, ends
those that are late, so that a request sets no timer of its own.  Bodies that are large ask for room (room.py) before they are read, and
wait their turn with their connection's reading paused; so TCP holds back what memory could not take.
Rule of this file: no bytes; connections read and write, this only counts.
"""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple, Protocol

from msgspec import Struct

from penstock.core.errors import ServiceError
from penstock.core.limits import (
    BODIES_MAX_BYTES,
    CONNECTIONS_MAX,
    HEAD_MAX_BYTES,
    HEADERS_MAX,
    HTTP2_STREAMS_MAX,
    KIB,
    REQUEST_BODY_MAX_BYTES,
)
from penstock.server.exchange import Answer
from penstock.server.gather import Client
from penstock.server.longanswers import LongAnswers
from penstock.server.replies import fixed_lines
from penstock.server.room import BodyRoom
from penstock.wire.route import Head

SMALL_BODY_BYTES: Final = 64 * KIB  # a body up to this size asks for no room
NEVER: Final = math.inf
_DATE: Final = "%a, %d %b %Y %H:%M:%S GMT"  # of HTTP, in the C locale; nothing here sets another


class Bounds(NamedTuple):
    """How much clients may send, and how many they may be."""

    connections_max: int = CONNECTIONS_MAX
    head_max_bytes: int = HEAD_MAX_BYTES
    headers_max: int = HEADERS_MAX
    body_max_bytes: int = REQUEST_BODY_MAX_BYTES
    bodies_max_bytes: int = BODIES_MAX_BYTES  # of all bodies over SMALL_BODY_BYTES that are being read or answered
    streams_max: int = HTTP2_STREAMS_MAX  # at once, of one HTTP/2 connection


class Patience(NamedTuple):
    """How long clients may take, in seconds."""

    tick_s: float = 1.0  # how often the late are looked for
    idle_s: float = 120.0  # between requests; SDKs give up idle connections after 60 to 90 s, and should be first
    head_s: float = 30.0  # from a head's first byte to its last
    body_s: float = 30.0  # for a body, and beyond that for each `body_bytes_per_s` of it that came one second more
    body_bytes_per_s: int = 16 * KIB
    stall_s: float = 360.0  # without taking a byte of an answer; longer than a subscription lives (300 s)
    linger_s: float = 2.0  # from a refusal to the end of the connection, so that the refusal is read
    http2_idle_s: float = 600.0  # without a byte from the client, over HTTP/2, with no request under way
    handshake_s: float = 10.0  # for TLS
    stop_s: float = 1.2  # for requests under way when the server stops


class Handlers(Struct, frozen=True):
    """What requests are given to."""

    handle: Callable[[Head, bytes], Coroutine[Any, Any, Answer]]
    refuse: Callable[[Head, ServiceError], Answer]  # of a request whose body was not read
    reject: Callable[[int], Answer]  # of what is no request, with an HTTP status
    gather: "Callable[[bytes, Client], bool] | None" = None  # a whole request, before anything else is done with it


class Guest(Protocol):
    """A connection, as it is seen from here."""

    due_s: float  # by when its next step is due, on the loop's clock

    def expire(self) -> None:
        """The step did not come."""
        ...

    def end(self) -> None:
        """The server stops: finish what is under way, and close."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...


class Traffic:
    """The connections of all ports."""

    def __init__(self, handlers: Handlers, patience: Patience, bounds: Bounds | None = None) -> None:
        self.handlers = handlers
        self.patience = patience
        self.bounds = bounds or Bounds()
        self.room = BodyRoom(self.bounds.bodies_max_bytes)
        self.long_answers = LongAnswers()
        self.unasked = BodyRoom(self.bounds.bodies_max_bytes)  # for what HTTP/2 brings of bodies that have no room
        self.loop = asyncio.get_running_loop()
        self.now_s = self.loop.time
        self.stopping = False
        self._guests: dict[Guest, bool] = {}  # whether each was admitted, or is only being told that there is no room
        self._admitted = 0
        self._empty: asyncio.Future[None] | None = None
        self._tick()

    @property
    def crowded(self) -> bool:
        """Whether there are too many even to be told so."""
        return len(self._guests) >= 2 * self.bounds.connections_max

    def enter(self, guest: Guest) -> bool:
        """A connection was made; whether it may stay."""
        admitted = self._guests[guest] = not self.stopping and self._admitted < self.bounds.connections_max
        self._admitted += admitted
        return admitted

    def leave(self, guest: Guest) -> None:
        """A connection is no more."""
        self._admitted -= self._guests.pop(guest, False)
        if not self._guests and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def _tick(self) -> None:
        """End those who are late; note the date."""
        now_s = self.now_s()
        for guest in [guest for guest in self._guests if guest.due_s <= now_s]:
            guest.expire()
        self.fixed_lines = fixed_lines(time.strftime(_DATE, time.gmtime()))
        self._timer = self.loop.call_later(self.patience.tick_s, self._tick)

    async def stop(self) -> None:
        """Let everyone finish, for `stop_s`; then close what is left."""
        self.stopping = True
        for guest in list(self._guests):
            guest.end()
        if self._guests:
            self._empty = self.loop.create_future()
            insisting = self.loop.call_later(self.patience.stop_s, self._abort)
            await self._empty
            insisting.cancel()
        self._timer.cancel()
        self.long_answers.close()

    def _abort(self) -> None:
        for guest in list(self._guests):
            guest.abort()
