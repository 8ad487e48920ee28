"""A connection that speaks HTTP/1.1: bytes in, requests handled one after the other, answers out.

Theory.  A connection is in one phase: it waits for a head, for a body, for room, for an answer, or for its end.  Only in the first two
does it parse; what arrives in another (a pipelined request) is kept, one read of it, and the socket is read no further.  A request is
handled at once in the callback that brought its last byte; a task is made only if the handler has to wait.
Rules of this file:
  1. Answers go out in the order of the requests, since the next request is looked at when the answer before has been taken.
  2. Whoever cannot be understood is told so once, and the connection ends: what follows such bytes could be anything.
  3. Hostile bytes are nobody's incident: nothing here logs above debug on account of what a client sent.
  4. A handler under way is never cancelled, because what it does may be half done; a streamed answer is, since it only reads.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, cast

from penstock.core.errors import Error, ServiceError
from penstock.server.eager import Begun, start
from penstock.server.exchange import Answer
from penstock.server.gather import Ready
from penstock.server.http1 import CHUNKED, ChunkedBody, LengthBody, Malformed, Request, parse_head
from penstock.server.peers import peer_of, room_name
from penstock.server.replies import CONTINUE
from penstock.server.sending import Sender, discard
from penstock.server.traffic import NEVER, SMALL_BODY_BYTES, Traffic

logger = logging.getLogger(__name__)

HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n"  # its first line; no request of HTTP/1.1 begins like that
_HEAD_END: Final = b"\r\n\r\n"
_NO_BODY: Final = LengthBody(0)

TakeOver = Callable[[asyncio.Transport, bytes], None]  # takes over a connection that turned out to speak HTTP/2


class Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    BODY = auto()
    ROOM = auto()  # for a large body
    ANSWER = auto()
    TURN = auto()  # of the loop, before what arrived early is read
    END = auto()  # nothing that arrives matters any more


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, traffic: Traffic, http2: TakeOver) -> None:
        self._traffic = traffic
        self._http2: TakeOver | None = http2  # until the first bytes have told the protocol
        self._phase = Phase.HEAD
        self._held = bytearray()  # of a head that is not whole
        self._early = b""  # arrived before its turn
        self._body: LengthBody | ChunkedBody = _NO_BODY
        self._body_began_s = 0.0
        self._room_bytes = 0
        self._room_name = ""
        self._request: Request | None = None
        self._keep_alive = True
        self._reading = True
        self._ended = False  # the client sends no more
        self._under_way: Begun[Answer] | asyncio.Task[None] | None = None  # kept, so that it is not collected
        self.due_s = NEVER

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._sender = Sender(self._traffic, self._transport, self._next)
        self._tls = transport.get_extra_info("ssl_object")
        self._peer = peer_of(transport)
        crowded = self._traffic.crowded
        self._due_in(self._traffic.patience.idle_s)
        if not self._traffic.enter(self):
            if crowded:
                self.abort()
            else:
                self._reject(503)
        elif self._tls is not None:
            match self._tls.selected_alpn_protocol():
                case "h2":
                    self._hand_over(b"")
                case "http/1.1":
                    self._http2 = None
                case _:  # AWS's SDK for Java asks for nothing, and speaks HTTP/2: the first bytes tell
                    pass

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        match self._phase:
            case Phase.HEAD:
                if self._held or not self._gathered(data):
                    self._read_head(data)
            case Phase.BODY:
                self._read_body(data)
            case Phase.ANSWER | Phase.ROOM | Phase.TURN:
                self._early += data
                self._read_no_more()

    def eof_received(self) -> bool:
        """The client sends no more.  It still gets what it asked for, unless that is a stream: its reader has gone."""
        self._ended = True
        if self._sender.streaming:
            self.abort()
        elif self._phase not in (Phase.ANSWER, Phase.ROOM) and not self._early:
            self._close()
        return self._tls is None  # over TLS there is no half of a connection

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone, or we are."""
        self._phase = Phase.END
        self._sender.lose()
        self._traffic.leave(self)
        self._traffic.room.forget(self, self._room_name)
        self._let_body_go()

    def pause_writing(self) -> None:
        """The client takes less than there is."""
        self._sender.pause()
        self._due_in(self._traffic.patience.stall_s)

    def resume_writing(self) -> None:
        """The client has taken almost everything."""
        if self._phase is not Phase.END:
            self.due_s = NEVER
        self._sender.resume()

    # What the traffic asks for

    def expire(self) -> None:
        """What was due did not come."""
        if self._sender.stalled:
            if self._sender.moves():
                self._due_in(self._traffic.patience.stall_s)
            else:
                self.abort()
        elif self._phase is Phase.END:
            self.abort()
        elif self._phase is Phase.BODY or self._held:
            self._reject(408)
        else:
            self._close()

    def end(self) -> None:
        """Finish what is under way, then close."""
        self._keep_alive = False
        if self._sender.streaming:
            self._sender.end_stream()
        elif self._phase is not Phase.ANSWER:
            self._close()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self._phase = Phase.END
        self._transport.abort()

    # Heads

    def _read_head(self, data: bytes | bytearray) -> None:
        searched = max(0, len(self._held) - len(_HEAD_END) + 1)
        if self._held:
            self._held += data
            data = self._held
        if self._http2 is not None and data[: len(HTTP2_PREFACE)] == HTTP2_PREFACE[: len(data)]:
            self._read_preface(data)
            return
        begin = _blanks(data) if data[0] < 32 else 0
        if begin is None:
            self._reject(400)
            return
        if begin < len(data) and not 65 <= data[begin] <= 90:  # no method begins like that; why wait for the rest
            self._reject(400)
            return
        end = data.find(_HEAD_END, max(begin, searched))
        if (end if end >= 0 else len(data) - len(_HEAD_END) + 1) > self._traffic.bounds.head_max_bytes:
            self._reject(431)
        elif end >= 0:
            self._begin(bytes(data[begin:end]), bytes(data), end + len(_HEAD_END))
        elif not self._held:
            self._hold(data)

    def _read_preface(self, data: bytes | bytearray) -> None:
        if len(data) >= len(HTTP2_PREFACE):
            self._hand_over(bytes(data))
        elif not self._held:
            self._hold(data)

    def _hold(self, data: bytes | bytearray) -> None:
        """A head has begun, and is not whole."""
        self._held = bytearray(data)
        self._due_in(self._traffic.patience.head_s)

    def _hand_over(self, data: bytes) -> None:
        """Let HTTP/2 have the connection."""
        assert self._http2 is not None
        self._phase = Phase.END
        self._traffic.leave(self)
        self._http2(self._transport, data)

    def _begin(self, head: bytes, data: bytes, at: int) -> None:
        """A head is whole; its body begins at `at`."""
        if self._held:
            self._held = bytearray()
        self._http2 = None
        bounds = self._traffic.bounds
        try:
            request = parse_head(head, self._peer, bounds.headers_max)
        except Malformed as error:
            self._reject(error.status)
            return
        self._request = request
        self._keep_alive = request.keep_alive and not self._traffic.stopping
        length = request.body_bytes
        if 0 <= length <= len(data) - at:
            self._early = data[at + length :]
            self._handle(data[at : at + length])
        elif length > bounds.body_max_bytes:
            self._refuse(Error.BODY_TOO_LARGE(limit_bytes=bounds.body_max_bytes))
        else:
            self._body = ChunkedBody(bounds.body_max_bytes) if length == CHUNKED else LengthBody(length)
            self._body_began_s = self._traffic.now_s()
            self._phase = Phase.BODY
            if length <= SMALL_BODY_BYTES or self._have_room(length, data, at):
                self._await_body(data, at)

    # Bodies

    def _await_body(self, data: bytes, at: int = 0) -> None:
        assert self._request is not None
        self._due_in(self._traffic.patience.body_s)
        if at < len(data):
            self._read_body(data, at)
        elif self._request.expects_continue and not self._body.size:
            self._transport.write(CONTINUE)

    def _read_body(self, data: bytes, at: int = 0) -> None:
        body = self._body
        try:
            rest = body.feed(data, at)
        except Malformed as error:
            self._reject(error.status)
            return
        except ServiceError as error:
            self._refuse(error)
            return
        if rest is not None:
            self._early = rest
            self._body = _NO_BODY
            self._handle(body.take())
            return
        patience = self._traffic.patience
        self.due_s = self._body_began_s + patience.body_s + body.size / patience.body_bytes_per_s
        if body.size > SMALL_BODY_BYTES and not self._room_bytes:  # chunks, which announced nothing
            self._have_room(self._traffic.bounds.body_max_bytes)

    def _have_room(self, size_bytes: int, data: bytes = b"", at: int = 0) -> bool:
        """Ask for a large body's room.  Without it, nothing is read until it is given."""

        def grant() -> None:
            self._room_bytes = size_bytes
            self._traffic.loop.call_soon(enter)  # not at once: a body's end would begin the next, and so on

        def enter() -> None:
            if self._phase is not Phase.ROOM:
                return
            self._phase = Phase.BODY
            self._body_began_s = self._traffic.now_s()
            early, self._early = self._early, b""
            self._read_on()
            self._await_body(early)
            if self._ended and self._phase is Phase.BODY:
                self._close()

        assert self._request is not None
        self._room_name = room_name(self._request.head)
        if self._traffic.room.ask(self, self._room_name, size_bytes, grant):
            self._room_bytes = size_bytes
            return True
        self._phase, self._early, self.due_s = Phase.ROOM, data[at:], NEVER
        self._read_no_more()
        return False

    def _let_body_go(self) -> None:
        self._body = _NO_BODY
        if self._room_bytes:
            size_bytes, self._room_bytes = self._room_bytes, 0
            self._traffic.room.give_back(self._room_name, size_bytes)

    # Calls that are gathered

    def _gathered(self, data: bytes) -> bool:
        """Whether what arrived is a call that was taken as it is."""
        gather = self._traffic.handlers.gather
        if gather is None or not gather(data, self):
            return False
        self._phase, self.due_s, self._http2 = Phase.ANSWER, NEVER, None
        self._keep_alive = not self._traffic.stopping
        return True

    def answer_ready(self, ready: Ready) -> None:
        """A call that was taken has been carried out."""
        if not self._keep_alive:
            self.answer(Answer(200, *ready.parts))
        elif self._phase is not Phase.END:
            self._sender.send_whole(ready.whole(self._traffic.fixed_lines))

    def go_the_long_way(self, request: bytes) -> None:
        """Handle a call that was taken, and not carried out, as if it had just arrived."""
        if self._phase is not Phase.END:
            self._phase = Phase.HEAD
            early, self._early = self._early, b""
            self._read_head(request + early)

    # Answers

    def _handle(self, body: bytes) -> None:
        """A request is whole: have it answered."""
        assert self._request is not None
        self._phase, self.due_s = Phase.ANSWER, NEVER
        traffic = self._traffic
        self._under_way = start(traffic.handlers.handle(self._request.head, body), self.answer, self.fail, traffic.loop)

    def answer(self, answer: Answer) -> None:
        """The handler has answered."""
        self._under_way = None
        if self._room_bytes:
            self._let_body_go()
        if self._phase is Phase.END:
            self._under_way = discard(answer, self._traffic)
        else:
            request = self._request
            if request is not None and not request.minor and answer.stream is not None:
                self._keep_alive = False  # nothing but the end of the connection ends a stream of HTTP/1.0
            self._sender.send(answer, request, keep_alive=self._keep_alive)

    def fail(self, error: Exception) -> None:
        """The handler has failed, which it should never."""
        logger.error("a request could not be answered", exc_info=error)
        if self._phase is not Phase.END:
            self._reject(500)

    def _next(self) -> None:
        """The answer is taken: on to the next request, if there may be one."""
        if self._phase is not Phase.ANSWER:
            return
        if not self._keep_alive or (self._ended and not self._early):
            self._close()
            return
        self._request = None
        self._due_in(self._traffic.patience.idle_s)
        if self._early:
            self._phase = Phase.TURN
            self._traffic.loop.call_soon(self._read_early)  # not at once: a pipeline would be a recursion
        else:
            self._phase = Phase.HEAD
            self._read_on()

    def _read_early(self) -> None:
        if self._phase is not Phase.TURN:
            return
        self._phase = Phase.HEAD
        early, self._early = self._early, b""
        self._read_head(early)
        if self._phase in (Phase.HEAD, Phase.BODY):
            self._read_on()
            if self._ended:
                self._close()

    def _refuse(self, error: ServiceError) -> None:
        """Answer a request whose body is not read, and hang up."""
        assert self._request is not None
        self._last_words(self._traffic.handlers.refuse(self._request.head, error))

    def _reject(self, status: int) -> None:
        """Answer what is no request, or came too late or too large, and hang up."""
        self._last_words(self._traffic.handlers.reject(status))

    def _last_words(self, answer: Answer) -> None:
        """Answer, and go on reading for a while: closing a socket that holds unread bytes would take the answer from the client."""
        self._phase, self._early = Phase.END, b""
        self._sender.send(answer, self._request, keep_alive=False)
        self._let_body_go()
        self._read_on()
        self._due_in(self._traffic.patience.linger_s)
        if self._ended:
            self._close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()

    def _close(self) -> None:
        """Close when everything is written."""
        self._phase, self._early = Phase.END, b""
        self._due_in(self._traffic.patience.stall_s)
        self._let_body_go()
        self._transport.close()

    def _due_in(self, seconds: float) -> None:
        self.due_s = self._traffic.now_s() + seconds

    def _read_no_more(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()


def _blanks(data: bytes | bytearray) -> int | None:
    """How many bytes of empty lines come before a request; None where something else does."""
    count = len(data) - len(data.lstrip(b"\r\n"))
    whole = data[:count] in (b"", b"\r\n", b"\r\n\r\n")
    return count if whole or (count == len(data) and b"\r\n\r\n".startswith(data)) else None
