"""Messages of the Runtime API from bytes: requests of HTTP/1.1 as runtimes' clients send them.  Sans-IO: bytes in, values out.

Theory.  At the other end is a process that runs a stranger's code.  Its requests are few and plain; whatever is not one of them is Garbage,
and its connection ends.  A body that is longer than any answer of a function may be is counted and dropped, so that the function can be
told so, until it is so long that nobody needs to be told.
Rules of this file: pure; bounded before anything is kept; linear in what arrived.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

RESPONSE_MAX_BYTES: Final = 6 * 1024 * 1024 + 100  # of a function's answer; what Lambda's own error text says
HEAD_MAX_BYTES: Final = 1 << 21  # a client may put the cause of an error into a header, up to 1 MiB
BODY_MAX_BYTES: Final = 64 << 20  # that is still read, and dropped, to be refused in words
CHUNK_LINE_MAX_BYTES: Final = 1024
CHUNKED: Final = -1
TRAILERS: Final = -2

_LINE: Final = re.compile(rb"(GET|POST) (/[!-~]{0,1024}) HTTP/1\.[01]")
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;.*)?")


class Garbage(Exception):
    """What no runtime's client says."""


class Message(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]  # names in lower case; of several with one name the last
    body: bytes
    size_bytes: int  # of the body; it is empty if this is over RESPONSE_MAX_BYTES


class Reader:
    """Reads the requests of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # of the buffer, for the end of a head or of a line
        self._head: tuple[str, str, dict[bytes, bytes]] | None = None
        self._left = 0  # of the body, or of a chunk; CHUNKED: a chunk's line is next; TRAILERS: what follows them
        self._chunked = False
        self._body = bytearray()
        self._size_bytes = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """The requests that are complete with these bytes.  Raises Garbage."""
        self._buffer += data
        while self._buffer or self._head is not None:
            if self._head is None and not self._read_head():
                return
            if not self._read_body():
                return
            assert self._head is not None
            yield Message(*self._head, bytes(self._body), self._size_bytes)
            self._head, self._size_bytes = None, 0
            self._body.clear()

    def _read_head(self) -> bool:
        end = self._find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_MAX_BYTES:
                raise Garbage("a head without an end")
            return False
        line, *lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        asked = _LINE.fullmatch(line)
        if asked is None:
            raise Garbage("no request")
        headers = {}
        for each in lines:
            name, colon, value = each.partition(b":")
            if not colon:
                raise Garbage("no header")
            headers[name.lower()] = value.strip()
        self._head = asked[1].decode(), asked[2].decode(), headers
        self._frame(headers)
        return True

    def _find(self, end: bytes) -> int:
        """Where something ends; -1 for not yet, and what was looked at is not looked at again."""
        at = self._buffer.find(end, self._searched)
        self._searched = 0 if at >= 0 else max(0, len(self._buffer) - len(end) + 1)
        return at

    def _frame(self, headers: Mapping[bytes, bytes]) -> None:
        length = headers.get(b"content-length", b"")
        self._chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        if self._chunked:
            self._left = CHUNKED
        elif length and not (length.isdigit() and len(length) < 12):
            raise Garbage("no length")
        else:
            self._left = int(length or 0)
            self._check(self._left)

    def _read_body(self) -> bool:
        """Whether the body is complete."""
        if not self._chunked:
            return self._take()
        while self._left != TRAILERS:
            if not (self._read_chunk_line() if self._left == CHUNKED else self._take_chunk()):
                return False
        return self._read_trailers()

    def _take(self) -> bool:
        piece = self._buffer[: self._left]
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        self._keep(piece)
        return self._left == 0

    def _keep(self, piece: bytearray) -> None:
        self._size_bytes += len(piece)
        self._check(self._size_bytes)
        if self._size_bytes <= RESPONSE_MAX_BYTES:
            self._body += piece
        else:
            self._body.clear()

    def _read_chunk_line(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > CHUNK_LINE_MAX_BYTES:
                raise Garbage("no chunk")
            return False
        size = _SIZE.fullmatch(self._buffer[:end])
        if size is None:
            raise Garbage("no chunk")
        self._left = int(size[1], 16) or TRAILERS
        del self._buffer[: end + 2]
        return True

    def _take_chunk(self) -> bool:
        """Take what is there of a chunk; whether it is complete, with the line's end behind it."""
        if self._left and not self._take():
            return False
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise Garbage("no end of a chunk")
        del self._buffer[:2]
        self._left = CHUNKED
        return True

    def _read_trailers(self) -> bool:
        while True:
            end = self._find(b"\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_MAX_BYTES:
                    raise Garbage("trailers without an end")
                return False
            del self._buffer[: end + 2]
            if end == 0:
                return True

    def _check(self, size_bytes: int) -> None:
        if size_bytes > BODY_MAX_BYTES:
            raise Garbage("a body without an end")


def reply(status: int, reason: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """An answer."""
    lines = [f"HTTP/1.1 {status} {reason}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
