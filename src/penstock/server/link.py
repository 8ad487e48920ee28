"""The link between a front and the server behind it: what is said on it, in frames.

Theory.  A front speaks HTTP with clients; what it was asked goes over a socket pair to the process that owns the data, which answers
under the same number.  Frames that are said in one turn of a loop leave in one write, so that a busy link costs one call for many requests.
Rules of this file:
  1. Both ends are ours, of one version, and started by one another: a frame that cannot be read is a bug, and ends the link.
  2. Nothing waits: whoever reads a link reads all of it; how much can be under way is bounded by the fronts' clients.

Frame (little-endian): length u32 of what follows the header, number u64, kind u8.  ASK and ANSWER: length u32 of a MessagePack head,
the head, then the body.
"""

import asyncio
from collections.abc import Callable, Iterator
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple, cast

import msgspec

from penstock.server.exchange import Answer, Headers
from penstock.wire.route import Head, Peer

_HEADER: Final = Struct("<IQB")
_LENGTH: Final = Struct("<I")
TOGETHER_MAX: Final = 8  # frames of one write: with more, one end would idle while the other makes them
JOINED_MAX_BYTES: Final = 64 * 1024  # up to here copying is cheaper than another buffer


class Kind(IntEnum):
    """What a frame says."""

    READY = 1  # front: it accepts connections
    ASK = 2  # front: a request
    ANSWER = 3  # server: the answer, whole
    OPEN = 4  # server: the answer, whose body is a stream
    WANT = 5  # front: the client can take a piece of the stream
    PIECE = 6  # server: one
    END = 7  # server: the stream has ended well
    CUT = 8  # server: the stream has failed
    LEAVE = 9  # front: the client of the stream has gone
    REFUSED = 10  # front: it has refused a request itself; the code
    RELOAD = 11  # server: take up certificates that have changed
    STOP = 12  # server: let the clients finish, and end
    CALL = 13  # front: a request as it came, to be taken with others (gather.py)
    BACK = 14  # server: one that was not; the front goes the long way with it


class Frame(NamedTuple):
    """One of them."""

    kind: Kind
    number: int  # of the request
    payload: memoryview


class FrameReader:
    """Frames from the bytes of a link, in whatever pieces they come."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._wanted_bytes = _HEADER.size  # before anything can be done

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now."""
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes < self._wanted_bytes:
            return
        content = memoryview(data if len(self._held) == 1 else b"".join(self._held))
        at, end = 0, len(content)
        self._wanted_bytes = _HEADER.size
        while end - at >= _HEADER.size:
            length, number, kind = _HEADER.unpack_from(content, at)
            body_at = at + _HEADER.size
            if body_at + length > end:
                self._wanted_bytes = _HEADER.size + length
                break
            yield Frame(Kind(kind), number, content[body_at : body_at + length])
            at = body_at + length
        self._held, self._held_bytes = [content[at:].tobytes()] if at < end else [], end - at


class Link(asyncio.Protocol):
    """One end of a link."""

    def __init__(self, heard: Callable[[Frame], None], lost: Callable[[], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._reader = FrameReader()
        self._out: list[bytes] = []
        self._frames = 0  # in it
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    @property
    def is_up(self) -> bool:
        """Whether anybody hears what is said."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is up."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of the other end."""
        for frame in self._reader.feed(data):
            self._heard(frame)

    def connection_lost(self, error: Exception | None) -> None:
        """The other end is gone, or we have closed."""
        self._transport = None
        self._out.clear()
        self._lost()

    def say(self, kind: Kind, number: int = 0, *payload: bytes) -> None:
        """Send a frame, with others of this turn.  To nobody, if the other end is gone."""
        if self._transport is None:
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(_HEADER.pack(sum(map(len, payload)), number, kind))
        self._out += payload
        self._frames += 1
        if self._frames == TOGETHER_MAX:
            self._flush()

    def close(self) -> None:
        """Say what is left, and end it."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        out, self._out, self._frames = self._out, [], 0
        if self._transport is None or not out:
            return
        if sum(map(len, out)) <= JOINED_MAX_BYTES:
            self._transport.write(b"".join(out))
        else:
            self._transport.writelines(out)


class _AskHead(msgspec.Struct, array_like=True):
    """A request's head, as it travels."""

    method: str
    path: str
    query: dict[str, str]
    raw_headers: tuple[tuple[bytes, bytes], ...]
    headers: dict[str, str]
    peer: tuple[str, str, str, str] | None
    target: bytes


class _AnswerHead(msgspec.Struct, array_like=True):
    """An answer's head, as it travels."""

    status: int
    headers: list[tuple[str, str]]


_encoder: Final = msgspec.msgpack.Encoder()
_ask: Final = msgspec.msgpack.Decoder(_AskHead)
_answer: Final = msgspec.msgpack.Decoder(_AnswerHead)


def ask_payload(head: Head, body: bytes) -> tuple[bytes, bytes, bytes]:
    """The payload of ASK."""
    packed = _encoder.encode(
        (head.method, head.path, head.query, head.raw_headers, head.headers, head.peer, head.target)
    )
    return _LENGTH.pack(len(packed)), packed, body


def read_ask(payload: memoryview) -> tuple[Head, bytes]:
    """The request in an ASK."""
    packed, body = _cut(payload)
    read = _ask.decode(packed)
    peer = None if read.peer is None else Peer(*read.peer)
    return Head(read.method, read.path, read.query, read.headers, read.raw_headers, peer, read.target), body


def answer_payload(status: int, headers: Headers, body: bytes) -> tuple[bytes, bytes, bytes]:
    """The payload of ANSWER and OPEN."""
    packed = _encoder.encode((status, headers))
    return _LENGTH.pack(len(packed)), packed, body


def read_answer(payload: memoryview) -> Answer:
    """The answer in an ANSWER; of an OPEN without its body."""
    packed, body = _cut(payload)
    read = _answer.decode(packed)
    return Answer(read.status, read.headers, body)


def _cut(payload: memoryview) -> tuple[memoryview, bytes]:
    [length] = _LENGTH.unpack_from(payload)
    end = _LENGTH.size + length
    return payload[_LENGTH.size : end], payload[end:].tobytes()
