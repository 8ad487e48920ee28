"""Search: the events of many streams of one group as one sequence, page by page.

Theory.  The order is that of (time, stream, sequence number), and a token is a place in it.  One look at a time window goes through the
streams one after the other and keeps the first `limit` matches; of each stream it reads no further than the last of them.  So the memory is
a page's, however many streams there are.  A window in which too much would have to be read is given up for a shorter one, and the page
ends where that ends.
Rule of this file: every page makes progress, though it may be empty, or says that it is the last.
"""

from bisect import insort
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import msgspec
import pybase64

from penstock.core.log_errors import LogError
from penstock.services.logs.events import Events
from penstock.services.logs.pattern import Matches
from penstock.services.logs.state import Event, LogStream, Place

READ_MAX_BYTES: Final = 16 << 20  # ours: what one look may read
PAGE_MAX_BYTES: Final = 1 << 20

Streams = Callable[[], AsyncIterator[LogStream]]


class Cursor(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Where a page begins: at this place of the order."""

    at_ms: int
    stream: str = ""
    sequence: int = 0
    window_ms: int = 0  # how long the last look could be; 0: as long as was asked for

    def place_in(self, stream: str) -> Place:
        """The place of one stream that it means."""
        if stream == self.stream:
            return Place(self.at_ms, self.sequence)
        return Place(self.at_ms + (stream < self.stream), 0)


class Found(NamedTuple):
    """An event and its stream."""

    event: Event
    stream: LogStream


class Result(NamedTuple):
    """A page, and where the next begins; None: nowhere."""

    found: list[Found]
    next: Cursor | None


def read_cursor(token: str) -> Cursor:
    """The cursor of a token.  Raises TOKEN."""
    try:
        return msgspec.msgpack.decode(pybase64.b64decode(token, validate=True), type=Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise LogError.TOKEN() from None


def write_cursor(cursor: Cursor) -> str:
    """The token of a cursor."""
    return pybase64.b64encode_as_string(msgspec.msgpack.encode(cursor))


async def search(events: Events, streams: Streams, start: Cursor, end_ms: int, matches: Matches, limit: int) -> Result:
    """The first `limit` matching events, of PAGE_MAX_BYTES at most, from a cursor up to a moment."""
    border_ms = min(end_ms, start.at_ms + 2 * start.window_ms) if start.window_ms else end_ms
    while True:
        look = _Look(start, border_ms, matches, limit)
        overflow_ms = await look.read(events, streams)
        if overflow_ms is None:
            return look.result(end_ms)
        border_ms = max(start.at_ms + 1, look.earliest_ms + (overflow_ms - look.earliest_ms) // 2)


class _Look:
    """One look at a window."""

    def __init__(self, start: Cursor, border_ms: int, matches: Matches, limit: int) -> None:
        self._start = start
        self._border_ms = border_ms
        self._matches = matches
        self._limit = limit
        self._kept: list[Found] = []
        self._kept_bytes = 0
        self._end: Found | None = None  # the first match for which there is no room
        self._read_bytes = 0
        self.earliest_ms = border_ms  # of what was read

    async def read(self, events: Events, streams: Streams) -> int | None:
        """Read the window; None, or the time of the event at which it became too much."""
        async for stream in streams():
            if (
                stream.first_ms is None
                or stream.first_ms >= self._border_ms
                or (stream.last_ms or 0) < self._start.at_ms
            ):
                continue
            async for event in events.forward(stream, self._start.place_in(stream.name)):
                found = Found(event, stream)
                if event.at_ms >= self._border_ms or (self._end is not None and _order(found) > _order(self._end)):
                    break
                self.earliest_ms = min(self.earliest_ms, event.at_ms)
                self._read_bytes += event.size_bytes
                if self._read_bytes > READ_MAX_BYTES and self._border_ms > self._start.at_ms + 1:
                    return event.at_ms
                if self._matches(event.message):
                    self._keep(found)
        return None

    def _keep(self, found: Found) -> None:
        insort(self._kept, found, key=_order)
        self._kept_bytes += found.event.size_bytes
        while len(self._kept) > self._limit or (self._kept_bytes > PAGE_MAX_BYTES and len(self._kept) > 1):
            self._end = self._kept.pop()
            self._kept_bytes -= self._end.event.size_bytes

    def result(self, end_ms: int) -> Result:
        """The page that it found."""
        shortened = self._border_ms < end_ms
        window_ms = self._border_ms - self._start.at_ms if shortened else 0
        if self._end is not None:
            return Result(self._kept, Cursor(*_order(self._end), window_ms))
        return Result(self._kept, Cursor(self._border_ms, window_ms=window_ms) if shortened else None)


def _order(found: Found) -> tuple[int, str, int]:
    return found.event.at_ms, found.stream.name, found.event.sequence
