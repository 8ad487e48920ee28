"""The way out of an HTTP/2 connection: heads at once, bodies as windows and transport allow, in turns.

Theory.  A body waits for its stream's window, for the connection's, and for the transport, which says when it holds more than it likes.
What waits is in one line, each stream sends a turn's worth and goes to its end; so that a page of records does not keep a small answer.
A streamed body is asked for its next piece when the piece before has left.
Rules of this file:
  1. Nothing is written to a transport that holds too much, but for what is no body.
  2. A stream is closed exactly once, whoever ended it; one that ends in the middle of a piece, or failed, is reset and not ended.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from penstock.server.exchange import Answer, Headers, Stream
from penstock.server.http2.frames import (
    CANCEL,
    DATA,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME_MAX_BYTES,
    INTERNAL_ERROR,
    RST_STREAM,
    WINDOW_BYTES,
    WINDOW_MAX_BYTES,
    Broken,
    write_data,
    write_head,
    write_number,
    write_top,
)
from penstock.server.http2.heads import NO_TABLE, write_block, write_fields
from penstock.server.http2.stream import NOTHING, Http2Stream
from penstock.server.sending import NO_CONTENT, close_stream, turn
from penstock.server.traffic import NEVER, Traffic

logger = logging.getLogger(__name__)

TURN_BYTES: Final = 1024 * 1024  # of a body, before another's turn
JOINED_MAX_BYTES: Final = 64 * 1024  # up to here copying is cheaper than a write of many parts


class Http2Sender:
    """Sends the answers of one connection."""

    def __init__(self, traffic: Traffic, transport: asyncio.Transport, sent: Callable[[Http2Stream], None]) -> None:
        self._traffic = traffic
        self._transport = transport
        self._is_secure = (
            transport.get_extra_info("ssl_object") is not None
        )  # each part would become a record of its own
        self._sent = sent  # called when an answer has left whole, or its stream was reset
        self.stream_window_bytes = WINDOW_BYTES  # that each stream begins with
        self.frame_max_bytes = FRAME_MAX_BYTES  # that the client takes
        self._window_bytes = WINDOW_BYTES  # of the connection
        self._waiting: dict[Http2Stream, None] = {}  # for a window or the transport, in the order of turns
        self._gathered: list[bytes] | None = None  # what is written while a read is looked at
        self._held_bytes: int | None = None  # by the transport, since it holds too much
        self._begin = NO_TABLE  # of the next block

    # Frames

    def write(self, frames: bytes) -> None:
        """Write what is no body."""
        if self._gathered is not None:
            self._gathered.append(frames)
        else:
            self._transport.write(frames)

    def gather(self) -> None:
        """Keep what is written until `flush`."""
        self._gathered = []

    def flush(self) -> None:
        """Write what was kept."""
        gathered, self._gathered = self._gathered, None
        if gathered:
            self._transport.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    # Answers

    def send(self, stream: Http2Stream, answer: Answer) -> None:
        """Send an answer."""
        body, bare = answer.body, stream.head.method == "HEAD"
        if answer.stream is not None:
            self.write(self._head(stream, answer.status, answer.headers, 0))
            stream.pump = self._traffic.loop.create_task(self._run(stream, answer.stream, bare=bare))
            return
        assert isinstance(body, bytes), "no head of HTTP/2 takes a long body"
        headers = answer.headers
        if answer.status != NO_CONTENT:  # such an answer has no length
            headers = [*headers, ("content-length", str(len(body)))]
        size = len(body)
        if bare or not body:
            self.write(self._head(stream, answer.status, headers, END_STREAM))
            self._sent(stream)
        elif self._takes(stream, size):
            head = self._head(stream, answer.status, headers, 0)
            self._window_bytes -= size
            self.write(b"".join((head, write_top(size, DATA, END_STREAM, stream.number), body)))
            self._sent(stream)
        else:
            self.write(self._head(stream, answer.status, headers, 0))
            self._send_body(stream, body)

    def _head(self, stream: Http2Stream, status: int, headers: Headers, flags: int) -> bytes:
        block = self._begin + write_block(status, headers, _fixed_fields(self._traffic.fixed_lines))
        self._begin = b""
        return write_head(stream.number, block, flags, self.frame_max_bytes)

    def _takes(self, stream: Http2Stream, size: int) -> bool:
        """Whether so much can be sent at once, in one frame."""
        return (
            size <= stream.window_out
            and size <= self._window_bytes
            and size <= self.frame_max_bytes
            and self._held_bytes is None
        )

    def _send_body(self, stream: Http2Stream, body: bytes) -> None:
        """Send a body, or the next piece of one."""
        stream.left = memoryview(body)
        if self._takes(stream, len(body)):
            self._write_part(stream, len(body))
        else:
            self._wait(stream)
            self._send_on()

    def _write_part(self, stream: Http2Stream, size: int) -> None:
        """Send so much of what is left."""
        part, stream.left = stream.left[:size], stream.left[size:]
        self._window_bytes -= size
        stream.window_out -= size
        is_last = not stream.left and stream.pump is None
        parts = write_data(stream.number, part, END_STREAM if is_last else 0, self.frame_max_bytes)
        if size <= JOINED_MAX_BYTES or self._is_secure:
            self.write(b"".join(parts))
        else:
            self._transport.writelines(parts)
        if is_last:
            self._sent(stream)

    def _wait(self, stream: Http2Stream) -> None:
        self._waiting[stream] = None
        stream.due_s = self._traffic.now_s() + self._traffic.patience.stall_s

    def _send_on(self) -> None:
        """Give everybody who waits his turn, again and again while anything moves."""
        while any(self._turn(stream) for stream in list(self._waiting)):
            pass

    def _turn(self, stream: Http2Stream) -> bool:
        """Send a turn's worth of what is left; whether anything moved."""
        size = min(len(stream.left), self._window_bytes, stream.window_out, TURN_BYTES)
        if self._held_bytes is not None or (size <= 0 and stream.left):
            return False
        del self._waiting[stream]
        if size > 0:
            self._write_turn(stream, size)
        self._go_on(stream)
        return True

    def _write_turn(self, stream: Http2Stream, size: int) -> None:
        """A large write goes to the transport itself, which answers whether it holds too much."""
        if self._gathered is not None:
            self.flush()
            self._write_part(stream, size)
            self.gather()
        else:
            self._write_part(stream, size)

    def _go_on(self, stream: Http2Stream) -> None:
        """After a turn."""
        if stream.left:
            self._wait(stream)
            return
        stream.due_s = NEVER
        if stream.flowing is not None and not stream.flowing.done():
            stream.flowing.set_result(None)

    # Streamed answers

    async def _run(self, stream: Http2Stream, body: Stream, *, bare: bool) -> None:
        """Send a streamed body, to its end or to ours."""
        stream.is_pumping = whole = True
        try:
            if not bare and not stream.ending:
                await self._pieces(stream, body)
        except asyncio.CancelledError:  # by `end_stream`, or since the client is gone
            pass
        except Exception:
            whole = False
            logger.exception("a streamed answer failed")
        await close_stream(body)
        stream.pump = None
        self._waiting.pop(stream, None)
        if stream.gone:
            return
        if whole and not stream.left:
            self.write(b"".join(write_data(stream.number, NOTHING, END_STREAM, self.frame_max_bytes)))
        else:
            self.write(write_number(RST_STREAM, stream.number, CANCEL if whole else INTERNAL_ERROR))
        self._sent(stream)

    async def _pieces(self, stream: Http2Stream, body: Stream) -> None:
        async for piece in body:
            if stream.gone or self._transport.is_closing():
                return
            if piece:
                self._send_body(stream, piece)
            if stream.left or self._held_bytes is not None:
                self._wait(stream)
                stream.flowing = self._traffic.loop.create_future()
                await stream.flowing
            else:
                await turn()  # a stream that never waits would keep the loop from everybody, and from the news that its client is gone

    def end_stream(self, stream: Http2Stream) -> None:
        """End a streamed answer, behind the last piece written."""
        if stream.pump is None or stream.ending:
            return
        stream.ending = True
        if stream.is_pumping:  # else it finds out as it begins; a task cancelled before that would close nothing
            stream.pump.cancel()

    def drop(self, stream: Http2Stream) -> None:
        """Nobody waits for a stream's answer any more."""
        self._waiting.pop(stream, None)
        stream.left = NOTHING
        self.end_stream(stream)

    # Windows and the transport

    def widen(self, by_bytes: int) -> None:
        """The client takes more, of all streams together.  Raises Broken where that is more than there may be."""
        self._window_bytes += by_bytes
        if self._window_bytes > WINDOW_MAX_BYTES:
            raise Broken(FLOW_CONTROL_ERROR)
        self._send_on()

    def widen_stream(self, stream: Http2Stream, by_bytes: int) -> None:
        """The client takes more of one stream."""
        stream.window_out += by_bytes
        if stream in self._waiting:
            self._send_on()

    def resize(self, streams: Iterable[Http2Stream], size: int) -> None:
        """The client has another window for each stream; those that are open differ by as much.  Raises Broken where one is too large."""
        by_bytes, self.stream_window_bytes = size - self.stream_window_bytes, size
        for stream in streams:
            stream.window_out += by_bytes
            if stream.window_out > WINDOW_MAX_BYTES:
                raise Broken(FLOW_CONTROL_ERROR)
        if size > WINDOW_MAX_BYTES:
            raise Broken(FLOW_CONTROL_ERROR)
        self._send_on()

    @property
    def stalled(self) -> bool:
        """Whether the client has yet to take what was written."""
        return self._held_bytes is not None

    def pause(self) -> None:
        """The transport holds too much."""
        self._held_bytes = self._transport.get_write_buffer_size()

    def resume(self) -> None:
        """The client has taken most of it."""
        self._held_bytes = None
        self._send_on()

    def moves(self) -> bool:
        """Whether the client took anything since this was asked last."""
        before_bytes = self._held_bytes
        self.pause()
        assert self._held_bytes is not None
        return before_bytes is not None and self._held_bytes < before_bytes


@lru_cache(maxsize=2)
def _fixed_fields(lines: str) -> bytes:
    """The lines that every answer of a second has, as fields."""
    pairs = [line.split(": ", 1) for line in lines.splitlines()]
    return write_fields([(name, value) for name, value in pairs])
