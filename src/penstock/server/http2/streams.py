"""The streams of one HTTP/2 connection: requests that come, are handled side by side, and are answered.

Theory.  What a read brought is looked at whole before any request in it is begun, so that one which is reset in the same breath costs no
more than its head.  Small bodies wait for nothing; a large one gets its window with its room.
Rules of this file:
  1. A handler under way is never cancelled, because what it does may be half done; while it runs it counts as a stream, also where that
     was reset.
  2. What still comes for a stream that we ended is no mistake of its client, who may not know yet; for one that the client ended it is.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from penstock.core.errors import Error
from penstock.server.eager import start
from penstock.server.exchange import Answer
from penstock.server.gather import Ready
from penstock.server.http2 import frames
from penstock.server.http2.frames import RST_STREAM, WINDOW_UPDATE, Broken
from penstock.server.http2.heads import UNKNOWN, Request
from penstock.server.http2.sending import Http2Sender
from penstock.server.http2.stream import WINDOW_BYTES, Http2Stream
from penstock.server.http2.unasked import Unasked
from penstock.server.sending import discard
from penstock.server.traffic import NEVER, Traffic

logger = logging.getLogger(__name__)

HEAD_END: Final = b"\r\n\r\n"
LET_GO_MAX: Final = 256  # streams that we ended and still know


class Http2Streams:
    """Those that are open, by number."""

    def __init__(
        self,
        traffic: Traffic,
        transport: asyncio.Transport,
        due: Callable[[float], None],
        emptied: Callable[[], None],
    ) -> None:
        self.sender = Http2Sender(traffic, transport, self._answered)
        self.newest = 0  # that the client opened
        self.ending = False  # no more are taken
        self._traffic = traffic
        self._unasked = Unasked(traffic.unasked, WINDOW_BYTES)
        self._due = due  # called with the time by which something must have come
        self._emptied = emptied  # called when the last is gone
        self._open: dict[int, Http2Stream] = {}
        self._ready: list[Http2Stream] = []  # whole, and to be begun when the read was looked at
        self._awaited: list[Http2Stream] = []  # whose heads came in this read, without their bodies' ends
        self._orphans = 0  # handlers whose streams were reset
        self._let_go: deque[int] = deque(maxlen=LET_GO_MAX)
        self._discarding: set[asyncio.Task[None]] = set()  # kept, so that they are not collected
        self.get = self._open.get
        self.all = self._open.values

    def __len__(self) -> int:
        return len(self._open)

    def open(self, number: int, request: Request) -> Http2Stream | None:
        """A head has come; None where there are too many."""
        if self.ending or len(self._open) + self._orphans >= self._traffic.bounds.streams_max:
            self.refuse(number, frames.REFUSED_STREAM)
            return None
        stream = Http2Stream(number, request, self._traffic, self._unasked, self.sender.stream_window_bytes)
        self._open[number] = stream
        return stream

    def check_known(self, number: int) -> None:
        """Raises Broken where the client has not opened such a stream."""
        if number > self.newest or number % 2 == 0:
            raise Broken(frames.PROTOCOL_ERROR)

    def check_let_go(self, number: int) -> None:
        """Raises Broken but for a stream that we ended."""
        self.check_known(number)
        if number in self._open or number not in self._let_go:
            raise Broken(frames.STREAM_CLOSED)

    # Bodies

    def await_body(self, stream: Http2Stream) -> None:
        """More is to come, as a rule in the same read."""
        if stream.body_bytes > self._traffic.bounds.body_max_bytes:
            self._refuse_body(stream)
        else:
            self._awaited.append(stream)

    def take(self, stream: Http2Stream, piece: bytes, *, ends: bool) -> None:
        """More of a body has come."""
        stream.window_in -= len(piece)
        if stream.window_in < 0:
            self.reset(stream, frames.FLOW_CONTROL_ERROR)
        elif stream.begun:  # it is being refused
            stream.whole = ends
        elif stream.take(piece):
            self._look(stream, ends=ends)
        else:
            self.reset(stream, frames.REFUSED_STREAM)

    def _look(self, stream: Http2Stream, *, ends: bool) -> None:
        """Decide about a body that has come so far."""
        if stream.received_bytes > stream.body_max_bytes:
            if stream.body_bytes == UNKNOWN:
                self._refuse_body(stream)
            else:
                self.reset(stream, frames.PROTOCOL_ERROR)
        elif ends:
            self.end_body(stream)
        elif stream.needs_room and stream.ask_room(partial(self._enter, stream)):
            self._open_window(stream)

    def _enter(self, stream: Http2Stream) -> None:
        """There is room for a body that waited for it."""
        if stream.gone:
            return
        self._open_window(stream)
        if stream.is_ready:
            self._begin(stream)
        else:
            self._due(stream.await_body())

    def _open_window(self, stream: Http2Stream) -> None:
        """Let all of a body come, and one byte more, so that one that is too large is told so."""
        more = stream.body_max_bytes + 1 - stream.received_bytes - stream.window_in
        if more > 0:
            stream.window_in += more
            self.sender.write(frames.write_number(WINDOW_UPDATE, stream.number, more))

    def end_body(self, stream: Http2Stream) -> None:
        """A request is whole."""
        stream.whole, stream.due_s = True, NEVER
        if stream.begun:
            return
        if stream.body_bytes not in (UNKNOWN, stream.received_bytes):
            self.reset(stream, frames.PROTOCOL_ERROR)
        elif stream.is_ready:
            self._ready.append(stream)

    # Answers

    def go_on(self) -> None:
        """A read was looked at: begin what is whole, and see to the others' bodies."""
        if self._awaited:
            awaited, self._awaited = self._awaited, []
            for stream in awaited:
                if not (stream.whole or stream.begun or stream.gone):
                    self._due(stream.await_body())
                    self._look(stream, ends=False)
        ready, self._ready = self._ready, []
        for stream in ready:
            if not stream.gone:
                self._begin(stream)

    def _begin(self, stream: Http2Stream) -> None:
        """Have a request answered."""
        stream.begun = stream.is_handled = True
        body, gather = stream.body_taken(), self._traffic.handlers.gather
        call = None if gather is None else stream.as_http1(body)
        if gather is None or call is None or not gather(call, _Gathered(self, stream)):
            self.handle(stream, body)

    def handle(self, stream: Http2Stream, body: bytes) -> None:
        """Have a request answered by itself."""
        stream.under_way = start(
            self._traffic.handlers.handle(stream.head, body),
            partial(self.answer, stream),
            partial(self.answer_failure, stream),
            self._traffic.loop,
        )

    def answer(self, stream: Http2Stream, answer: Answer) -> None:
        """The handler has answered."""
        stream.is_handled, stream.under_way = False, None
        stream.let_body_go()
        if not stream.gone:
            self.sender.send(stream, answer)
            return
        self.forget(stream)
        closing = discard(answer, self._traffic)
        if closing is not None:
            self._discarding.add(closing)
            closing.add_done_callback(self._discarding.discard)

    def forget(self, stream: Http2Stream) -> None:
        """A handler has ended whose stream was reset."""
        stream.is_handled = False
        self._orphans -= 1

    def answer_failure(self, stream: Http2Stream, error: Exception) -> None:
        """The handler has failed, which it should never."""
        logger.error("a request could not be answered", exc_info=error)
        self.answer(stream, self._traffic.handlers.reject(500))

    def answer_early(self, stream: Http2Stream, answer: Answer) -> None:
        """Answer a request whose body is not read."""
        stream.begun, stream.due_s = True, NEVER
        stream.let_body_go()
        self.sender.send(stream, answer)

    def _refuse_body(self, stream: Http2Stream) -> None:
        refusal = Error.BODY_TOO_LARGE(limit_bytes=self._traffic.bounds.body_max_bytes)
        self.answer_early(stream, self._traffic.handlers.refuse(stream.head, refusal))

    def _answered(self, stream: Http2Stream) -> None:
        """An answer has left whole, or its stream was reset."""
        self._open.pop(stream.number, None)
        if not stream.whole:
            self.refuse(stream.number, frames.NO_ERROR)  # the answer does not depend on the rest
        if not self._open:
            self._emptied()

    # Ends

    def late(self, stream: Http2Stream) -> None:
        """What a stream waits for did not come."""
        if stream.begun:  # the client takes nothing of its answer
            self.reset(stream, frames.CANCEL)
        else:
            self.answer_early(stream, self._traffic.handlers.reject(408))

    def end(self) -> None:
        """Take no more; end what is not whole, and streamed answers."""
        self.ending = True
        for stream in list(self._open.values()):
            if stream.pump is not None:
                self.sender.end_stream(stream)
            elif not stream.begun:
                self.reset(stream, frames.REFUSED_STREAM)

    def refuse(self, number: int, code: int) -> None:
        """Reset a stream that is none here."""
        self._let_go.append(number)
        self.sender.write(frames.write_number(RST_STREAM, number, code))

    def reset(self, stream: Http2Stream, code: int) -> None:
        """End a stream without an answer, or in the middle of it."""
        self.refuse(stream.number, code)
        self.drop(stream)
        if not self._open:
            self._emptied()

    def drop(self, stream: Http2Stream) -> None:
        """Nobody waits for a stream's answer any more."""
        self._open.pop(stream.number, None)
        stream.gone = True
        self.sender.drop(stream)
        if stream.is_handled:
            self._orphans += 1
        else:
            stream.let_body_go()

    def drop_all(self) -> None:
        """The connection is no more, or soon."""
        self._ready.clear()
        self._awaited.clear()
        for stream in list(self._open.values()):
            self.drop(stream)


class _Gathered:
    """The client of a call that was gathered."""

    __slots__ = ("_stream", "_streams")

    def __init__(self, streams: Http2Streams, stream: Http2Stream) -> None:
        self._streams = streams
        self._stream = stream

    def answer(self, answer: Answer) -> None:
        """Send the answer."""
        self._streams.answer(self._stream, answer)

    def answer_ready(self, ready: Ready) -> None:
        """Send the answer of a call that was carried out."""
        self.answer(Answer(200, *ready.parts))

    def fail(self, error: Exception) -> None:
        """Nobody knows what came of the call."""
        self._streams.answer_failure(self._stream, error)

    def go_the_long_way(self, request: bytes) -> None:
        """Nothing came of it: have it answered by itself, unless nobody waits for that."""
        if self._stream.gone:
            self._streams.forget(self._stream)
        else:
            self._streams.handle(self._stream, request.partition(HEAD_END)[2])
