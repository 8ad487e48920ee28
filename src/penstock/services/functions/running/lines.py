"""Lines: what a function writes, as events of its log stream; and the platform's own lines among them.

Theory.  Output comes in pieces of any size.  A line is an event; one that is longer than an event may be is cut.  The end of what one
invocation wrote is kept for callers who ask for it.
Rules of this file: what is held is bounded, whatever is written; nothing here waits.
"""

from typing import Final, Protocol

from penstock.core.ids import AccountId, Region
from penstock.core.ports import Clock
from penstock.services.logs.sink import LogSink

EVENT_MAX_BYTES: Final = 256 * 1024 - 26  # of CloudWatch Logs
TAIL_BYTES: Final = 4096


class Place(Protocol):
    """Whose log it is."""

    @property
    def account(self) -> AccountId:
        """The account."""
        ...

    @property
    def region(self) -> Region:
        """The region."""
        ...


class Valve:
    """Lets events through to a sink until it is shut."""

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink
        self._shut = False

    def put(self, account: str, region: str, group: str, stream: str, at_ms: int, message: str) -> None:
        """Pass an event on."""
        if not self._shut:
            self._sink.put(account, region, group, stream, at_ms, message)

    def shut(self) -> None:
        """Pass nothing on any more."""
        self._shut = True


class Lines:
    """The log stream of one execution environment."""

    def __init__(self, sink: LogSink, place: Place, group: str, stream: str, clock: Clock) -> None:
        self._sink = sink
        self._place = place
        self._group = group
        self._stream = stream
        self._clock = clock
        self._partial = b""
        self._tail = bytearray()

    def take(self, piece: bytes) -> None:
        """Keep what was written."""
        self._keep_tail(piece)
        *lines, self._partial = (self._partial + piece).split(b"\n")
        for line in lines:
            self._put(line + b"\n")
        while len(self._partial) > EVENT_MAX_BYTES:
            self._put(self._partial[:EVENT_MAX_BYTES])
            self._partial = self._partial[EVENT_MAX_BYTES:]

    def begin(self) -> None:
        """A new invocation begins."""
        self._tail.clear()

    def say(self, text: str) -> None:
        """A line of the platform's; what the function has begun to write stands before it."""
        if self._partial:
            self._put(self._partial)
            self._partial = b""
        data = text.encode()
        self._keep_tail(data)
        self._put(data)

    @property
    def tail(self) -> bytes:
        """The end of what was written in this invocation."""
        return bytes(self._tail)

    def _keep_tail(self, piece: bytes) -> None:
        self._tail += piece[-TAIL_BYTES:]
        del self._tail[:-TAIL_BYTES]

    def _put(self, event: bytes) -> None:
        text = (
            event[:EVENT_MAX_BYTES].decode("utf-8", "replace").replace("\r", "\n")
        )  # runtimes join lines of one event so
        self._sink.put(self._place.account, self._place.region, self._group, self._stream, self._clock.now_ms(), text)
