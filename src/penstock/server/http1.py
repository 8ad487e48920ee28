"""HTTP/1.1 requests from bytes: heads, and the framing of bodies.  Sans-IO: bytes in, values out.

Theory.  A request is a head, which ends at the first empty line, and a body, whose end the head tells: a length, or chunks.  Two
programs that disagree about that end can be made to see different requests in the same bytes (request smuggling), so that nothing here
is guessed: what the grammar of RFC 9112 does not say word for word is Malformed, and its connection ends.
Rules of this file:
  1. Pure; no I/O, no clock.
  2. Strict: no bare CR or LF, no control characters, no folded lines, no blank before a colon, one Content-Length of digits, and
     never a length beside chunks.  A test holds what is accepted against llhttp's reading of it.
  3. Linear in what arrived, however it was cut, and bounded before anything is kept.

Cost: 5.5 us for the head of a botocore call, 1.5 where the native part reads it; llhttp through httptools takes 6.5 us, since its
callbacks are Python's either way.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from penstock.core.errors import Error
from penstock.core.limits import HEADERS_MAX, REQUEST_BODY_MAX_BYTES
from penstock.wire.native import NATIVE
from penstock.wire.route import Head, Peer

CHUNK_LINE_MAX_BYTES: Final = 1024  # a chunk's size and its extensions
TRAILERS_MAX_BYTES: Final = 8 * 1024
LENGTH_MAX_DIGITS: Final = 18
CHUNKED: Final = -1
NAMES_KEPT_MAX: Final = 512  # spellings of header names; SDKs use some thirty
NAME_KEPT_MAX_BYTES: Final = 64
QUERY_FIELDS_MAX: Final = 1000

_CONTROLS: Final = bytes(byte for byte in range(32) if byte != 9) + b"\x7f"
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"connection", b"expect", b"host"))
_line = re.compile(rb"([A-Z][A-Z0-9_-]{0,31}) ([!-~]+) HTTP/1\.([01])")
_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_size_begun = re.compile(rb"[0-9A-Fa-f]{1,16}(?:[ \t;\r]|\Z)")
_size = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?")


class Malformed(Exception):
    """What is no request.  `status` is what to answer before hanging up."""

    def __init__(self, status: int = 400) -> None:
        super().__init__(status)
        self.status = status


class Request(NamedTuple):
    """A head, and what it says about the connection."""

    head: Head
    body_bytes: int  # announced, or CHUNKED
    keep_alive: bool
    minor: int  # HTTP/1.<minor>
    expects_continue: bool  # the client waits for our word before it sends the body


class _Name(NamedTuple):
    """A header's name, looked at once."""

    lower: bytes
    text: str  # the same
    frames: bool  # it is one that parse_head must read


_names: dict[bytes, _Name] = {}
_reader: Final = None if NATIVE is None else NATIVE.HeadReader()


def parse_head(data: bytes, peer: Peer | None = None, headers_max: int = HEADERS_MAX) -> Request:
    """Read a head, given up to but without the empty line that ends it; it came from `peer`.  Raises Malformed."""
    read = None if _reader is None else _reader.read(data, headers_max)
    if read is not None:
        method, headers, raw, body_bytes, keep_alive, minor = read
        return Request(Head(method, "/", {}, headers, raw, peer, b"/", True), body_bytes, keep_alive, minor, False)
    return parse_head_slowly(data, peer, headers_max)


def parse_head_slowly(data: bytes, peer: Peer | None, headers_max: int) -> Request:
    """As `parse_head`, in Python, whatever there is."""
    lines = data.split(b"\r\n")
    if len(data.translate(None, _CONTROLS)) != len(data) - 2 * (len(lines) - 1):
        raise Malformed
    if len(lines) > headers_max + 1:
        raise Malformed(431)
    line = _line.fullmatch(lines[0])
    if line is None:
        raise Malformed
    headers: dict[str, str] = {}
    raw: list[tuple[bytes, bytes]] = []
    framing: list[tuple[bytes, bytes]] = []
    for each in lines[1:]:
        spelled, colon, value = each.partition(b":")
        name = _names.get(spelled) or _read_name(spelled)
        if not colon:
            raise Malformed
        pair = (name.lower, value.strip(b" \t"))
        if name.frames:
            framing.append(pair)
        raw.append(pair)
        headers[name.text] = pair[1].decode("latin-1")
    method, target, minor = line[1].decode(), line[2].decode(), line[3] == b"1"
    if target == "/":
        return _framed(Head(method, "/", {}, headers, tuple(raw), peer, b"/", True), framing, minor=minor)
    target = _without_origin(target)
    path, query = split_target(target)
    return _framed(Head(method, path, query, headers, tuple(raw), peer, target.encode(), True), framing, minor=minor)


def _read_name(spelled: bytes) -> _Name:
    if _token.fullmatch(spelled) is None:
        raise Malformed
    lower = spelled.lower()
    name = _Name(lower, lower.decode("latin-1"), lower in _FRAMING)
    if len(_names) < NAMES_KEPT_MAX and len(spelled) <= NAME_KEPT_MAX_BYTES:
        _names[spelled] = name
    return name


def _without_origin(target: str) -> str:
    """A target from its path on; of an absolute one the host is left out."""
    if not target.startswith("/"):
        scheme, found, rest = target.partition("://")
        if found and scheme.lower() in ("http", "https"):
            cut = min(at for at in (rest.find("/"), rest.find("?"), len(rest)) if at >= 0)
            target = rest[cut:] if rest[cut:].startswith("/") else "/" + rest[cut:]
        elif target != "*":
            raise Malformed
    return target


def split_target(target: str) -> tuple[str, dict[str, str]]:
    """Path and query.  Raises Malformed."""
    path, _, query = target.partition("?")
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        raise Malformed from None
    return unquote(path) if "%" in path else path, dict(fields)


def _framed(head: Head, framing: list[tuple[bytes, bytes]], *, minor: bool) -> Request:
    """What the framing headers say of body and connection.  Raises Malformed where they could be read in two ways."""
    body_bytes: int | None = None
    options: set[bytes] = set()
    expects, hosts = False, 0
    for name, value in framing:
        match name:
            case b"content-length":
                if body_bytes is not None or not value.isdigit() or len(value) > LENGTH_MAX_DIGITS:
                    raise Malformed
                body_bytes = int(value)
            case b"transfer-encoding":
                if body_bytes is not None or not minor or value.lower() != b"chunked":
                    raise Malformed
                body_bytes = CHUNKED
            case b"connection":
                options.update(option.strip() for option in value.lower().split(b","))
            case b"host":
                hosts += 1
            case _:
                expects = minor and value.lower() == b"100-continue"
    if hosts > 1:
        raise Malformed
    keep_alive = (minor or b"keep-alive" in options) and b"close" not in options
    return Request(head, body_bytes or 0, keep_alive, int(minor), expects)


class LengthBody:
    """A body of an announced length, put together as it arrives."""

    def __init__(self, length: int) -> None:
        self._pieces: list[bytes | memoryview] = []  # joined once: what grows piece by piece is copied again and again
        self._missing = length
        self.size = 0  # what arrived of the body

    def take(self) -> bytes:
        """The body, once it is whole."""
        return b"".join(self._pieces)

    def feed(self, data: bytes, at: int = 0) -> bytes | None:
        """Read on, from `at` on; None while the body goes on, else what lies behind its end."""
        end = min(at + self._missing, len(data))
        self._pieces.append(memoryview(data)[at:end] if end - at < len(data) else data)
        self.size += end - at
        self._missing -= end - at
        return None if self._missing else data[end:]


class ChunkedBody:
    """A body in chunks, put together as it arrives."""

    def __init__(self, max_bytes: int = REQUEST_BODY_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._body = bytearray()
        self._line = bytearray()  # of a line that has not ended
        self._left = 0  # bytes of the chunk that are still to come
        self._after = False  # the CRLF behind a chunk is still to come
        self._trailing = False
        self._trailers_bytes = 0

    @property
    def size(self) -> int:
        """What arrived of the body."""
        return len(self._body)

    def take(self) -> bytes:
        """The body, once it is whole."""
        return bytes(self._body)

    def feed(self, data: bytes, at: int = 0) -> bytes | None:
        """Read on, from `at` on; None while the body goes on, else what lies behind its end.

        Raises Malformed, and BODY_TOO_LARGE as soon as a chunk's size says so.
        """
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                self._body += piece
                self._left -= len(piece)
                self._after = not self._left
                at += len(piece)
                continue
            end = data.find(b"\n", at)
            self._line += data[at : end + 1 if end >= 0 else len(data)]
            if len(self._line) > CHUNK_LINE_MAX_BYTES:
                raise Malformed
            if end < 0:
                self._refuse_early()
                return None
            at = end + 1
            line, self._line = bytes(self._line), bytearray()
            if not line.endswith(b"\r\n"):
                raise Malformed
            if self._read_line(line[:-2]):
                return data[at:]
        return None

    def _refuse_early(self) -> None:
        """Refuse the beginning of a line that cannot become a good one, instead of waiting for its end."""
        line = bytes(self._line)
        if self._after:
            if line not in (b"", b"\r"):
                raise Malformed
        elif line and not self._trailing and _size_begun.match(line) is None:
            raise Malformed

    def _read_line(self, line: bytes) -> bool:
        """Read a line between chunks; whether the body ends with it."""
        if self._after:
            if line:
                raise Malformed
            self._after = False
        elif self._trailing:
            return self._read_trailer(line)
        else:
            size = _size.fullmatch(line)
            if size is None:
                raise Malformed
            self._left = int(size[1], 16)
            if len(self._body) + self._left > self._max_bytes:
                raise Error.BODY_TOO_LARGE(limit_bytes=self._max_bytes)
            self._trailing = not self._left
        return False

    def _read_trailer(self, line: bytes) -> bool:
        self._trailers_bytes += len(line) + 2
        if not line:
            return True
        name, colon, _ = line.partition(b":")
        bad = _token.fullmatch(name) is None or not colon or line.translate(None, _CONTROLS) != line
        if bad or self._trailers_bytes > TRAILERS_MAX_BYTES:
            raise Malformed
        return False
