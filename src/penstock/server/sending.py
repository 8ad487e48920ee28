"""The way out of a connection: answers to the transport, streams piece by piece.

Theory.  The transport says when it holds more than it likes; then the next step - the next piece of a stream, the next request - waits
until the client has taken it.  So a client that reads nothing costs one answer, or one piece, and the transport's own measure.
Rules of this file:
  1. A piece is written whole or not at all; a stream that we end is ended as its framing demands, one that failed is cut off.
  2. A stream is closed exactly once, whoever ended it.
"""

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from types import coroutine
from typing import Final

from penstock.server.exchange import Answer, Headers, Stream
from penstock.server.http1 import Request
from penstock.server.replies import CHUNKED_LINE, CLOSE_LINE, KEEP_ALIVE_LINE, LAST_CHUNK, write_chunk, write_head
from penstock.server.traffic import Traffic
from penstock.wire.operation import LongBody

logger = logging.getLogger(__name__)

NO_CONTENT: Final = 204
JOINED_MAX_BYTES: Final = 64 * 1024  # up to here copying is cheaper than a write of several parts


class Sender:
    """Sends the answers of one connection."""

    def __init__(self, traffic: Traffic, transport: asyncio.Transport, taken: Callable[[], None]) -> None:
        self._traffic = traffic
        self._transport = transport
        self._taken = taken  # called when there is room for the next answer
        self._owes_taken = False
        self._held_bytes: int | None = None  # by the transport, since it holds too much
        self._flowing: asyncio.Future[None] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None  # of a long body; kept, so that it is not collected
        self._begun = self._ending = False  # of the stream under way
        self._lost = False

    @property
    def streaming(self) -> bool:
        """Whether a stream is under way."""
        return self._pump is not None

    @property
    def stalled(self) -> bool:
        """Whether the client has yet to take what was written."""
        return self._held_bytes is not None

    def send(self, answer: Answer, request: Request | None, *, keep_alive: bool) -> None:
        """Send an answer; `request` is None if what arrived was none."""
        body = answer.body
        minor = 1 if request is None else request.minor
        bare = request is not None and request.head.method == "HEAD"
        lines = self._traffic.fixed_lines
        if not keep_alive:
            lines += CLOSE_LINE
        elif not minor:
            lines += KEEP_ALIVE_LINE
        if isinstance(body, bytes):
            if answer.status != NO_CONTENT:  # such an answer has no length
                lines = f"{lines}content-length: {len(body)}\r\n"
            head = write_head(answer.status, answer.headers, lines)
            self._write_whole(head, b"" if bare else body)
            return
        if isinstance(body, LongBody):
            self._writing = self._traffic.loop.create_task(self._write_long(answer.status, answer.headers, lines, body))
            return
        if minor:
            lines += CHUNKED_LINE
        self._transport.write(write_head(answer.status, answer.headers, lines))
        self._begun = self._ending = False
        self._pump = self._traffic.loop.create_task(self._run(body, chunked=bool(minor), bare=bare))

    def send_whole(self, answer: bytes) -> None:
        """Send an answer that is worded already."""
        self._transport.write(answer)
        self._finish()

    def _write_whole(self, head: bytes, body: bytes) -> None:
        self._write_parts((head, body))
        self._finish()

    def _write_parts(self, parts: Sequence[bytes]) -> None:
        if sum(map(len, parts)) <= JOINED_MAX_BYTES:
            self._transport.write(b"".join(parts))
        else:
            self._transport.writelines(parts)

    async def _write_long(self, status: int, headers: Headers, lines: str, body: LongBody) -> None:
        def head_of(size: int) -> bytes:
            return write_head(status, headers, f"{lines}content-length: {size}\r\n")

        try:
            left = await self._traffic.long_answers.send(body, head_of, self._transport)
        except OSError:  # the client is gone
            self._transport.abort()
        except Exception:
            logger.exception("a long answer could not be written")
            self._transport.abort()
        else:
            if not self._lost:
                self._transport.write(left)
                self._finish()

    def _finish(self) -> None:
        """An answer is written; go on when it is taken."""
        if self.stalled:
            self._owes_taken = True
        else:
            self._taken()

    async def _run(self, stream: Stream, *, chunked: bool, bare: bool) -> None:
        """Send a stream, to its end or to ours."""
        self._begun = whole = True
        try:
            if not bare and not self._ending:
                await self._pieces(stream, chunked=chunked)
        except asyncio.CancelledError:  # by `end_stream`, or since the client is gone
            pass
        except Exception:
            whole = False
            logger.exception("a streamed answer failed")
        await close_stream(stream)
        self._pump = None
        if self._lost:
            return
        if not whole:
            self._transport.abort()
            return
        if chunked and not bare:
            self._transport.write(LAST_CHUNK)
        self._finish()

    async def _pieces(self, stream: Stream, *, chunked: bool) -> None:
        async for piece in stream:
            if self._lost or self._transport.is_closing():
                return
            if piece:
                self._write_parts(write_chunk(piece) if chunked else (piece,))
            if self.stalled:
                self._flowing = self._traffic.loop.create_future()
                await self._flowing
            else:
                await turn()  # a stream that never waits would keep the loop from everybody, and from the news that its client is gone

    def end_stream(self) -> None:
        """End the stream under way, behind the last piece written."""
        if self._pump is None or self._ending:
            return
        self._ending = True
        if self._begun:  # else it finds out as it begins; a task cancelled before that would close nothing
            self._pump.cancel()

    def pause(self) -> None:
        """The transport holds too much."""
        self._held_bytes = self._transport.get_write_buffer_size()

    def resume(self) -> None:
        """The client has taken most of it."""
        self._held_bytes = None
        if self._flowing is not None and not self._flowing.done():
            self._flowing.set_result(None)
        if self._owes_taken:
            self._owes_taken = False
            self._taken()

    def moves(self) -> bool:
        """Whether the client took anything since this was asked last."""
        before_bytes = self._held_bytes
        self.pause()
        assert self._held_bytes is not None
        return before_bytes is not None and self._held_bytes < before_bytes

    def lose(self) -> None:
        """The client is gone."""
        self._lost = True
        self.end_stream()
        if self._writing is not None:
            self._writing.cancel()


@coroutine
def turn() -> Generator[None, None, None]:
    """Let the loop go round once."""
    yield


async def close_stream(stream: Stream) -> None:
    """Let go of a streamed body, whatever comes of it."""
    try:
        await stream.aclose()
    except Exception:
        logger.exception("a streamed answer could not be closed")


def discard(answer: Answer, traffic: Traffic) -> asyncio.Task[None] | None:
    """Let go of an answer that nobody waits for any more."""
    return None if answer.stream is None else traffic.loop.create_task(close_stream(answer.stream))
