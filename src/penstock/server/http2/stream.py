"""One request and its answer on an HTTP/2 connection: what has come, what is still to go, and what it holds meanwhile.

Rule of this file: no frames and no decisions; the connection makes those, this only remembers.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from penstock.server.eager import Begun
from penstock.server.exchange import Answer
from penstock.server.gather import REQUEST_MAX_BYTES
from penstock.server.http2.heads import UNKNOWN, Request
from penstock.server.http2.unasked import Unasked
from penstock.server.peers import room_name
from penstock.server.traffic import NEVER, SMALL_BODY_BYTES, Traffic

WINDOW_BYTES: Final = (
    2 * SMALL_BODY_BYTES
)  # of a stream as it opens: small bodies wait for nothing; others get theirs with their room

NOTHING: Final = memoryview(b"")


class Http2Stream:
    """A request whose head has come."""

    received_bytes = 0
    whole = False  # the client has sent its last
    gone = False  # nobody waits for the answer
    begun = False  # to be handled, or refused
    is_handled = False  # at present
    under_way: Begun[Answer] | None = None  # kept, so that it is not collected
    window_in = WINDOW_BYTES
    left = NOTHING  # of the answer, or of the piece of it that is being sent
    pump: asyncio.Task[None] | None = None
    is_pumping = False  # the pump has begun
    ending = False  # we end it
    flowing: asyncio.Future[None] | None = None  # what the pump waits for
    due_s = NEVER
    _room_name = ""
    _asked = False
    _held_bytes = 0  # of room
    _unasked_bytes = 0  # that came without

    def __init__(self, number: int, request: Request, traffic: Traffic, unasked: Unasked, window_out: int) -> None:
        self.number = number
        self.head, self.body_bytes, self._text = request
        self.window_out = window_out
        self._traffic = traffic
        self._unasked = unasked
        self._pieces: list[bytes] = []
        self._began_s = traffic.now_s()

    @property
    def is_ready(self) -> bool:
        """Whether the request is whole, and has what room it needs."""
        return self.whole and (not self._asked or self._held_bytes > 0)

    def take(self, piece: bytes) -> bool:
        """More of the body; whether there may be."""
        size_bytes = len(piece)
        self._pieces.append(piece)
        self.received_bytes += size_bytes
        if self.due_s is not NEVER:
            self.await_body()
        if self._held_bytes:
            return True
        self._unasked_bytes += size_bytes
        return self._unasked.hold(size_bytes, self.head)

    def body_taken(self) -> bytes:
        """The body, once."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def as_http1(self, body: bytes) -> bytes | None:
        """A small plain request, whole, as it would have come over HTTP/1.1."""
        if not self._text or len(body) > REQUEST_MAX_BYTES:
            return None
        length = b"content-length: %d\r\n" % len(body) if self.body_bytes == UNKNOWN else b""
        return b"".join((self._text, length, b"\r\n", body))

    def await_body(self) -> float:
        """More must come in time, unless it waits for room: until when."""
        if self._asked and not self._held_bytes:
            return NEVER
        patience = self._traffic.patience
        self.due_s = self._began_s + patience.body_s + self.received_bytes / patience.body_bytes_per_s
        return self.due_s

    @property
    def needs_room(self) -> bool:
        """Whether the body is a large one, and room was not asked for yet."""
        return not self._asked and max(self.body_bytes, self.received_bytes) > SMALL_BODY_BYTES

    @property
    def body_max_bytes(self) -> int:
        """As many as were announced, or else as many as there may be."""
        return self._traffic.bounds.body_max_bytes if self.body_bytes == UNKNOWN else self.body_bytes

    def ask_room(self, granted: Callable[[], None]) -> bool:
        """Whether there is room for the body; if not, `granted` is called once there is, and until then the body has time."""

        def enter() -> None:
            self._have_room()
            self._began_s = self._traffic.now_s()
            self._traffic.loop.call_soon(granted)  # not at once: a body's end would begin the next, and so on

        self._asked, self._room_name = True, room_name(self.head)
        if self._traffic.room.ask(self, self._room_name, self.body_max_bytes, enter):
            self._have_room()
            return True
        self.due_s = NEVER
        return False

    def _have_room(self) -> None:
        self._held_bytes = self.body_max_bytes
        self._forget_unasked()

    def _forget_unasked(self) -> None:
        size_bytes, self._unasked_bytes = self._unasked_bytes, 0
        if size_bytes:
            self._unasked.let_go(size_bytes)

    def let_body_go(self) -> None:
        """Give back what the body held, or would have."""
        self._pieces = []
        self._forget_unasked()
        if self._held_bytes:
            held_bytes, self._held_bytes = self._held_bytes, 0
            self._traffic.room.give_back(self._room_name, held_bytes)
        elif self._asked:
            self._traffic.room.forget(self, self._room_name)
