"""Heads of requests from HTTP/2's header blocks, and blocks from heads of answers.  Sans-IO.  Source: RFC 7541, RFC 9113.

Theory.  A block refers to a table that the blocks before it filled, so that every block is read, in order, also of a request that is
refused.  The native part reads plain requests whole; without it the `hpack` library decodes, and what is decoded is looked at here.
Answers refer to no table: what differs between two of them (ids, lengths) would only push out what does not.
Rules of this file:
  1. What HTTP/1.1 refuses is refused here, so that a header cannot mean another thing to whom it is passed on.
  2. Fields that no text of HTTP can hold end the connection (Broken); a request that makes no sense ends its stream (Nonsense); one
     that could be read in two ways is answered (http1.Malformed).

Cost: 2 us to read the head of an SDK's call, 3 to write an answer's; 70 to read without the native part.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from penstock.server.exchange import Headers
from penstock.server.http1 import LENGTH_MAX_DIGITS, Malformed, split_target
from penstock.server.http2.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, PROTOCOL_ERROR, Broken
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import BlockReader, PlainRequest
from penstock.wire.route import Head, Peer

Pairs = list[tuple[bytes, bytes]]

NO_TABLE: Final = b"\x20"  # begins the first block: its sender remembers nothing
FIELDS_KEPT_MAX: Final = 2048  # names of answers' headers, with lengths of their values; our own are some hundred
UNKNOWN: Final = -1  # a body whose length was not announced

_PSEUDO: Final = frozenset((b":method", b":scheme", b":path", b":authority"))
_OF_A_CONNECTION: Final = frozenset(
    (b"connection", b"transfer-encoding", b"keep-alive", b"proxy-connection", b"upgrade")
)
_name = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")
_odd = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_odd_text = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_method = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_path = re.compile(r"/[!-~]*|\*")

_STATUS: Final = {200: b"\x88", 204: b"\x89", 206: b"\x8a", 304: b"\x8b", 400: b"\x8c", 404: b"\x8d", 500: b"\x8e"}
_STATIC_NAMES: Final = {
    "content-type": 31,
    "content-length": 28,
    "date": 33,
    "server": 54,
    "access-control-allow-origin": 20,
}
_NAME_BITS: Final = 15
_TEXT_BITS: Final = 127


class Nonsense(Exception):
    """What is no request."""


class Request(NamedTuple):
    """A head, and what it says about the body."""

    head: Head
    body_bytes: int  # announced, or UNKNOWN
    text: bytes  # the head of a plain call to "/" as HTTP/1.1 has it, but for the empty line; else nothing


class HeadReader:
    """Reads the blocks of one connection."""

    def __init__(self, peer: Peer | None, fields_max_bytes: int, blocks: BlockReader | None = None) -> None:
        self._peer = peer
        self._fields_max_bytes = fields_max_bytes
        self._blocks = blocks or (_SlowReader() if NATIVE is None else NATIVE.BlockReader())

    def read(self, block: bytes) -> Request:
        """The request that a block begins.  Raises Broken, Nonsense and Malformed."""
        found = self._fields(block)
        method, target, headers, raw, body_bytes, text = _examined(found) if isinstance(found, list) else found
        if target == "/":
            return Request(Head(method, "/", {}, headers, raw, self._peer), body_bytes, text)
        path, query = split_target(target)
        return Request(Head(method, path, query, headers, raw, self._peer, target.encode()), body_bytes, b"")

    def read_trailers(self, block: bytes) -> None:
        """Read what follows a body, and forget it.  Raises Broken and Nonsense."""
        found = self._fields(block)
        if not isinstance(found, list) or any(name.startswith(b":") for name, _ in found):
            raise Nonsense
        _check_texts(found)

    def _fields(self, block: bytes) -> PlainRequest | Pairs:
        try:
            return self._blocks.read(block, self._fields_max_bytes)
        except OverflowError:
            raise Broken(ENHANCE_YOUR_CALM) from None
        except ValueError:
            raise Broken(COMPRESSION_ERROR) from None


class _SlowReader:
    """The same as NATIVE.BlockReader, which examines nothing."""

    def __init__(self) -> None:
        import hpack

        self._decoder = hpack.Decoder()
        self._too_large, self._broken = hpack.OversizedHeaderListError, hpack.HPACKError

    def read(self, block: bytes, fields_max_bytes: int) -> Pairs:
        self._decoder.max_header_list_size = fields_max_bytes
        try:
            return [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except self._too_large:
            raise OverflowError from None
        except self._broken:
            raise ValueError from None


def slow_reader() -> BlockReader:
    """A reader of blocks in Python, whatever there is."""
    return _SlowReader()


def _check_texts(pairs: Pairs) -> None:
    for name, value in pairs:
        if _name.fullmatch(name) is None or (_odd.search(value) is not None and name not in _PSEUDO):
            raise Broken(PROTOCOL_ERROR)


def _examined(pairs: Pairs) -> PlainRequest:
    """A request of any fields.  Raises Broken, Nonsense and Malformed."""
    _check_texts(pairs)
    count = next((at for at, (name, _) in enumerate(pairs) if name[:1] != b":"), len(pairs))
    pseudo, regular = dict(pairs[:count]), [(name, value.strip(b" \t")) for name, value in pairs[count:]]
    if len(pseudo) != count or not _PSEUDO.issuperset(pseudo) or any(name[:1] == b":" for name, _ in regular):
        raise Nonsense
    method, path = pseudo.get(b":method", b"").decode("latin-1"), pseudo.get(b":path", b"").decode("latin-1")
    authority = pseudo.get(b":authority", b"").strip(b" \t")
    if _method.fullmatch(method) is None or _path.fullmatch(path) is None or b":scheme" not in pseudo:
        raise Nonsense
    if _odd.search(authority) is not None:
        raise Nonsense
    body_bytes = _length(regular)
    hosts = sum(name == b"host" for name, _ in regular)
    if hosts > 1:
        raise Malformed
    if not hosts and b":authority" in pseudo:
        regular.insert(0, (b"host", authority))
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in regular}
    return method, path, headers, tuple(regular), body_bytes, b""


def _length(regular: Pairs) -> int:
    """The body's length.  Raises Nonsense where the framing says two things, or something that is HTTP/1.1's."""
    lengths = [value for name, value in regular if name == b"content-length"]
    if any(name in _OF_A_CONNECTION or (name == b"te" and value != b"trailers") for name, value in regular):
        raise Nonsense
    if not lengths:
        return UNKNOWN
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > LENGTH_MAX_DIGITS:
        raise Nonsense
    return int(lengths[0])


def write_block(status: int, headers: Headers, fixed: bytes) -> bytes:
    """An answer's head; `fixed` is of `write_fields`, and the same for many."""
    begin = _STATUS.get(status) or b"\x08\x03%d" % status
    return b"".join((begin, write_fields(headers), fixed))


def write_fields(headers: Headers) -> bytes:
    """Headers, none of which enters a table."""
    together = "".join([value for _, value in headers])
    assert together.isprintable() or _odd_text.search(together) is None, "no header holds a line's end"
    return "".join([_begun(name, len(value)) + value for name, value in headers]).encode("latin-1", "replace")


@lru_cache(maxsize=FIELDS_KEPT_MAX)
def _begun(name: str, value_chars: int) -> str:
    """A field up to its value, each byte a character."""
    lower = name.lower()
    if lower in _STATIC_NAMES:
        begun = _integer(_STATIC_NAMES[lower], _NAME_BITS)
    else:
        begun = b"\0" + _integer(len(lower), _TEXT_BITS) + lower.encode("latin-1")
    return (begun + _integer(value_chars, _TEXT_BITS)).decode("latin-1")


def _integer(value: int, full: int) -> bytes:
    """A number that begins in the bits of `full`, the others being 0."""
    if value < full:
        return bytes((value,))
    rest, out = value - full, bytearray((full,))
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    out.append(rest)
    return bytes(out)
