"""A connection that speaks HTTP/2: what its frames mean, and how long they may take.

Theory.  Each frame is a step, its kind in a table.  What a read brought is looked at whole, then its requests are begun; what is written
meanwhile leaves together.  The connection's own window is opened again as soon as bytes were looked at: what bounds bodies is their
streams' windows.
Rules of this file:
  1. Whoever does not take what is written is not read either, so that nobody makes us hold what he never reads.
  2. Every header block is read, also of a stream that is refused: those behind refer to it.
  3. Frames that bring nothing are counted, and too many in a second end the connection.
  4. Hostile bytes are nobody's incident: nothing here logs on account of what a client sent.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from penstock.server.http1 import Malformed
from penstock.server.http2 import frames
from penstock.server.http2.frames import ACK, END_STREAM, PING, SETTINGS, WINDOW_UPDATE, Broken, Frame
from penstock.server.http2.heads import UNKNOWN, HeadReader, Nonsense, Request
from penstock.server.http2.stream import WINDOW_BYTES
from penstock.server.http2.streams import Http2Streams
from penstock.server.peers import peer_of
from penstock.server.traffic import NEVER, Traffic
from penstock.wire.route import Head

CONNECTION_WINDOW_BYTES: Final = 4 * 1024 * 1024  # opened again when half of it is used
FRAMES_IDLE_MAX: Final = 1000  # in a second, that bring nothing
RESET_COST: Final = 50  # of them: what the reset of a request counts that was not begun
PING_EVERY_S: Final = 60.0  # while a request is under way, to find out a client that is gone without a word ...
PING_ANSWER_S: Final = 20.0  # ... that long after

NO_REQUEST: Final = Request(Head("GET", "/", {}, {}, ()), UNKNOWN, b"")  # of one that cannot be told

_MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE, _MAX_HEADER_LIST_SIZE = 3, 4, 5, 6
_ENABLE_PUSH: Final = 2


class Http2Connection(asyncio.Protocol):
    """One client, taken over from a connection that found out what it speaks; `data` arrived already."""

    def __init__(self, traffic: Traffic, transport: asyncio.Transport, data: bytes) -> None:
        bounds = traffic.bounds
        self._traffic = traffic
        self._transport = transport
        self._frames = frames.FrameReader(bounds.head_max_bytes)
        self._heads = HeadReader(peer_of(transport), bounds.head_max_bytes)
        self._streams = Http2Streams(traffic, transport, self._due, self._emptied)
        self._sender = self._streams.sender
        self._used_bytes = 0  # of the connection's window
        self._idle_frames = 0
        self._second_s = self._heard_s = traffic.now_s()
        self._amid_s = NEVER  # since when a preface or a head is not whole
        self._stalled_due_s = NEVER
        self._pinged = self._over = False
        self._steps: tuple[Callable[[Frame], None], ...] = (
            self._on_data, self._on_head, self._on_nothing, self._on_reset, self._on_settings, self._on_push, self._on_ping,
            self._on_nothing, self._on_window,
        )  # fmt: skip
        self.due_s = self._heard_s + min(traffic.patience.head_s, traffic.patience.http2_idle_s)
        traffic.enter(self)
        transport.set_protocol(self)
        self._greet()
        if data:
            self.data_received(data)
        if traffic.stopping:
            self.end()

    def _greet(self) -> None:
        settings = {
            _MAX_CONCURRENT_STREAMS: self._traffic.bounds.streams_max,
            _INITIAL_WINDOW_SIZE: WINDOW_BYTES,
            _MAX_HEADER_LIST_SIZE: self._traffic.bounds.head_max_bytes,
        }
        more = CONNECTION_WINDOW_BYTES - frames.WINDOW_BYTES
        self._transport.write(frames.write_settings(settings) + frames.write_number(WINDOW_UPDATE, 0, more))

    # What the transport tells

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        if self._over:
            return
        self._heard_s = self._traffic.now_s()
        self._pinged = False
        self._sender.gather()
        try:
            for frame in self._frames.feed(data):
                if frame.kind < len(self._steps):
                    self._steps[frame.kind](frame)
                else:
                    self._on_nothing(frame)
            self._streams.go_on()
        except Broken as error:
            self._fail(error.code)
        self._sender.flush()
        if not self._frames.is_amid_head:
            self._amid_s = NEVER
        elif self._amid_s is NEVER:
            self._amid_s = self._heard_s
            self._due(self._heard_s + self._traffic.patience.head_s)

    def eof_received(self) -> bool:
        """The client sends no more; a client of HTTP/2 that ends one side has ended both."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone, or we are."""
        self._over = True
        self._traffic.leave(self)
        self._streams.drop_all()

    def pause_writing(self) -> None:
        """The client takes less than there is."""
        self._sender.pause()
        self._transport.pause_reading()
        self._stalled_due_s = self._traffic.now_s() + self._traffic.patience.stall_s
        self._due(self._stalled_due_s)

    def resume_writing(self) -> None:
        """The client has taken almost everything."""
        self._stalled_due_s, self._heard_s = NEVER, self._traffic.now_s()
        self._transport.resume_reading()
        self._sender.resume()

    # What the traffic asks for

    def expire(self) -> None:
        """Something may be late."""
        now_s, patience = self._traffic.now_s(), self._traffic.patience
        if self._over or self._is_stuck(now_s) or self._is_silent(now_s - self._heard_s):
            self.abort()
            return
        if now_s - self._amid_s >= patience.head_s:
            self._fail(frames.NO_ERROR)
            return
        for stream in [stream for stream in self._streams.all() if stream.due_s <= now_s]:
            self._streams.late(stream)
        if not self._streams and now_s - self._heard_s >= patience.http2_idle_s:
            self._say_goodbye()
            return
        quiet_s = PING_EVERY_S + PING_ANSWER_S * self._pinged if self._streams else patience.http2_idle_s
        dues = [stream.due_s for stream in self._streams.all()]
        self.due_s = min([*dues, self._stalled_due_s, self._amid_s + patience.head_s, self._heard_s + quiet_s])

    def _due(self, due_s: float) -> None:
        """Look again by then."""
        if due_s < self.due_s:
            self.due_s = due_s

    def _is_stuck(self, now_s: float) -> bool:
        """Whether the client has taken nothing for long."""
        if now_s < self._stalled_due_s:
            return False
        self._stalled_due_s = now_s + self._traffic.patience.stall_s
        return not self._sender.moves()

    def _is_silent(self, quiet_s: float) -> bool:
        """Whether the client, which waits for something, has not even answered a PING."""
        if not self._streams or self._sender.stalled or quiet_s < PING_EVERY_S:
            return False
        if not self._pinged:
            self._pinged = True
            self._sender.write(frames.write_frame(PING, payload=bytes(8)))
        return quiet_s >= PING_EVERY_S + PING_ANSWER_S

    def end(self) -> None:
        """Finish what is under way, then close."""
        self._streams.end()
        if not self._streams:
            self._emptied()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self._over = True
        self._transport.abort()

    # Frames

    def _on_head(self, frame: Frame) -> None:
        number, ends, streams = frame.stream, bool(frame.flags & END_STREAM), self._streams
        if number <= streams.newest:
            self._on_trailers(frame, ends=ends)
            return
        if number % 2 == 0:
            raise Broken(frames.PROTOCOL_ERROR)
        streams.newest = number
        refused = None
        try:
            request = self._heads.read(frame.payload)
        except Nonsense:
            streams.refuse(number, frames.PROTOCOL_ERROR)
            return
        except Malformed as error:
            request, refused = NO_REQUEST, error.status
        stream = streams.open(number, request)
        if stream is None:
            return
        if refused is not None:
            stream.whole = ends
            streams.answer_early(stream, self._traffic.handlers.reject(refused))
        elif ends:
            streams.end_body(stream)
        else:
            streams.await_body(stream)
        self._due(self._heard_s + PING_EVERY_S)

    def _on_trailers(self, frame: Frame, *, ends: bool) -> None:
        stream = self._streams.get(frame.stream)
        if stream is None or stream.whole:
            self._streams.check_let_go(frame.stream)
        try:
            self._heads.read_trailers(frame.payload)
        except Nonsense:
            ends = False
        if stream is not None:
            if ends:
                self._streams.end_body(stream)
            else:
                self._streams.reset(stream, frames.PROTOCOL_ERROR)

    def _on_data(self, frame: Frame) -> None:
        stream, size = self._streams.get(frame.stream), len(frame.payload)
        self._use_window(frame.size)
        if stream is None or stream.whole:
            self._streams.check_let_go(frame.stream)
            return
        if frame.size != size:  # padding is nobody's
            self._sender.write(frames.write_number(WINDOW_UPDATE, stream.number, frame.size - size))
        if not size and not frame.flags & END_STREAM:
            self._spend(1)
        self._streams.take(stream, frame.payload, ends=bool(frame.flags & END_STREAM))

    def _on_reset(self, frame: Frame) -> None:
        stream = self._streams.get(frame.stream)
        if stream is None:
            self._streams.check_known(frame.stream)
            self._spend(1)
        else:
            self._spend(RESET_COST if stream.whole and not stream.begun else 1)
            self._streams.drop(stream)

    def _on_settings(self, frame: Frame) -> None:
        if frame.flags & ACK:
            return
        self._spend(1)
        for number, value in frames.read_settings(frame.payload):
            if number == _INITIAL_WINDOW_SIZE:
                self._sender.resize(self._streams.all(), value)
            elif number == _MAX_FRAME_SIZE:
                if not frames.FRAME_MAX_BYTES <= value < 1 << 24:
                    raise Broken(frames.PROTOCOL_ERROR)
                self._sender.frame_max_bytes = value
            elif number == _ENABLE_PUSH and value > 1:
                raise Broken(frames.PROTOCOL_ERROR)
        self._sender.write(frames.write_frame(SETTINGS, ACK))

    def _on_push(self, _: Frame) -> None:
        raise Broken(frames.PROTOCOL_ERROR)

    def _on_ping(self, frame: Frame) -> None:
        if not frame.flags & ACK:
            self._spend(1)
            self._sender.write(frames.write_frame(PING, ACK, payload=frame.payload))

    def _on_nothing(self, _: Frame) -> None:
        self._spend(1)

    def _on_window(self, frame: Frame) -> None:
        more, stream = frames.read_number(frame.payload), self._streams.get(frame.stream)
        if not frame.stream:
            if not more:
                raise Broken(frames.PROTOCOL_ERROR)
            self._sender.widen(more)
        elif stream is None:
            self._streams.check_known(frame.stream)
        elif not more or stream.window_out + more > frames.WINDOW_MAX_BYTES:
            self._streams.reset(stream, frames.FLOW_CONTROL_ERROR if more else frames.PROTOCOL_ERROR)
        else:
            self._sender.widen_stream(stream, more)

    def _spend(self, count: int) -> None:
        """Count frames that bring nothing.  Raises Broken where there are too many."""
        if self._heard_s - self._second_s >= 1:
            self._second_s, self._idle_frames = self._heard_s, 0
        self._idle_frames += count
        if self._idle_frames > FRAMES_IDLE_MAX:
            raise Broken(frames.ENHANCE_YOUR_CALM)

    def _use_window(self, size: int) -> None:
        self._used_bytes += size
        if self._used_bytes >= CONNECTION_WINDOW_BYTES // 2:
            self._sender.write(frames.write_number(WINDOW_UPDATE, 0, self._used_bytes))
            self._used_bytes = 0

    # Ends

    def _emptied(self) -> None:
        """The last stream is gone."""
        if self._streams.ending and not self._over:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        """Close when everything is written."""
        self._over = True
        self._sender.write(frames.write_goodbye(self._streams.newest, frames.NO_ERROR))
        self._sender.flush()
        self.due_s = self._traffic.now_s() + self._traffic.patience.stall_s
        self._transport.close()

    def _fail(self, code: int) -> None:
        """Tell the client why, and go on reading for a while: closing a socket that holds unread bytes would take that from it."""
        self._over = True
        self._streams.drop_all()
        self._sender.write(frames.write_goodbye(self._streams.newest, code))
        self._sender.flush()
        self.due_s = self._traffic.now_s() + self._traffic.patience.linger_s
        if self._transport.can_write_eof():
            self._transport.write_eof()
