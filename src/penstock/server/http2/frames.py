"""HTTP/2 frames, from bytes and to bytes.  Sans-IO.  Source: RFC 9113.

Theory.  A connection is a preface, then frames: nine bytes that tell length, kind, flags and stream, and a payload.  What a frame must be
like by itself - its size, whether it may be about a stream - is a table.  A header block that came in several frames is put together
here, so that those behind see one frame, with neither padding nor priority.
Rules of this file:
  1. Pure; how the bytes were cut changes nothing, and nothing is kept that is larger than one frame or one header block may be.
  2. Whatever is against the table ends the connection (`Broken`): after that nobody knows where a frame begins.

Cost: 0.8 us a frame.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_MAX_BYTES: Final = 16_384  # that we take, the protocol's default
WINDOW_MAX_BYTES: Final = 2**31 - 1
WINDOW_BYTES: Final = 65_535  # of a connection, and of each stream where nothing else was agreed
TOP_BYTES: Final = 9

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM: Final = 1
ACK: Final = 1
END_HEADERS: Final = 4
PADDED: Final = 8
WITH_PRIORITY: Final = 32

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
INTERNAL_ERROR: Final = 2
FLOW_CONTROL_ERROR: Final = 3
STREAM_CLOSED: Final = 5
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
COMPRESSION_ERROR: Final = 9
ENHANCE_YOUR_CALM: Final = 11

_top: Final = struct.Struct(">BHBBI")
_STREAM_BITS: Final = 2**31 - 1
_PRIORITY_BYTES: Final = 5
_setting: Final = struct.Struct(">HI")
_SIZES: Final = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_OF_A_STREAM: Final = frozenset((DATA, HEADERS, PRIORITY, RST_STREAM, CONTINUATION))
_OF_NONE: Final = frozenset((SETTINGS, PING, GOAWAY))
_PLAIN: Final = frozenset(
    kind << 8 | flags | ends for kind, flags in ((DATA, 0), (HEADERS, END_HEADERS)) for ends in (0, END_STREAM)
)  # kinds and flags of frames of which nothing is to be checked or taken off


class Broken(Exception):
    """The connection must end; `code` is what it is told."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Frame(NamedTuple):
    """What arrived."""

    kind: int
    flags: int
    stream: int
    payload: bytes  # of HEADERS the whole block
    size: int  # of the payload, its padding included: what counts for windows


class FrameReader:
    """Reads what one client sends."""

    def __init__(self, block_max_bytes: int) -> None:
        self._block_max_bytes = block_max_bytes
        self._held = b""
        self._preface_left = PREFACE
        self._first = True
        self._open: Frame | None = None  # HEADERS whose block goes on
        self._is_usual = False  # neither is it the first frame, nor does a block go on
        self._block: list[bytes] = []
        self._block_bytes = 0

    @property
    def is_amid_head(self) -> bool:
        """Whether a preface or a header block has begun and is not whole."""
        return bool(self._preface_left) or self._open is not None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole with this.  Raises Broken behind those before."""
        if self._preface_left:
            data = self._read_preface(data)
        if self._held:
            data = self._held + data
        at, length = 0, len(data)
        while length - at >= TOP_BYTES:
            high, size, kind, flags, stream = _top.unpack_from(data, at)
            if high or size > FRAME_MAX_BYTES:
                raise Broken(FRAME_SIZE_ERROR)
            begin = at + TOP_BYTES
            end = begin + size
            if end > length:
                break
            at = end
            frame = Frame(kind, flags, stream & _STREAM_BITS, data[begin:end], size)
            if self._is_usual and kind << 8 | flags in _PLAIN and frame.stream:
                yield frame
            else:
                checked = self._checked(frame)
                self._is_usual = self._open is None
                if checked is not None:
                    yield checked
        self._held = data[at:]

    def _read_preface(self, data: bytes) -> bytes:
        count = min(len(self._preface_left), len(data))
        if data[:count] != self._preface_left[:count]:
            raise Broken(PROTOCOL_ERROR)
        self._preface_left = self._preface_left[count:]
        return data[count:]

    def _checked(self, frame: Frame) -> Frame | None:
        """A frame as those behind take it; None where more of it is to come."""
        kind, flags, stream, _, size = frame
        if self._first:
            if kind != SETTINGS or flags & ACK:
                raise Broken(PROTOCOL_ERROR)
            self._first = False
        if self._open is not None or kind == CONTINUATION:
            return self._continued(frame)
        if _SIZES.get(kind, size) != size:
            raise Broken(FRAME_SIZE_ERROR)
        if (kind in _OF_A_STREAM and not stream) or (kind in _OF_NONE and stream):
            raise Broken(PROTOCOL_ERROR)
        if kind == SETTINGS and (size % _setting.size or (flags & ACK and size)):
            raise Broken(FRAME_SIZE_ERROR)
        if kind == PRIORITY:
            _check_priority(frame.payload, stream)
        elif kind == HEADERS or (kind == DATA and flags & PADDED):
            frame = frame._replace(payload=_bare(frame))
            if kind == HEADERS and not flags & END_HEADERS:
                self._open, self._block, self._block_bytes = frame, [frame.payload], len(frame.payload)
                return None
        return frame

    def _continued(self, frame: Frame) -> Frame | None:
        """Take up more of a header block."""
        begun, ends = self._open, frame.flags & END_HEADERS
        if begun is None or frame.kind != CONTINUATION or frame.stream != begun.stream:
            raise Broken(PROTOCOL_ERROR)
        self._block_bytes += frame.size
        if self._block_bytes > self._block_max_bytes or (not frame.size and not ends):
            raise Broken(ENHANCE_YOUR_CALM)
        self._block.append(frame.payload)
        if not ends:
            return None
        block, self._open, self._block = b"".join(self._block), None, []
        return begun._replace(payload=block)


def _bare(frame: Frame) -> bytes:
    """A payload without padding and priority."""
    _, flags, stream, payload, size = frame
    begin, end = 0, size
    if flags & PADDED:
        if not size:
            raise Broken(FRAME_SIZE_ERROR)
        begin, end = 1, size - payload[0]
    if frame.kind == HEADERS and flags & WITH_PRIORITY:
        if size - begin < _PRIORITY_BYTES:
            raise Broken(FRAME_SIZE_ERROR)
        _check_priority(payload[begin:], stream)
        begin += _PRIORITY_BYTES
    if end < begin:
        raise Broken(PROTOCOL_ERROR)
    return payload[begin:end] if end - begin != size else payload


def _check_priority(payload: bytes, stream: int) -> None:
    if int.from_bytes(payload[:4], "big") & _STREAM_BITS == stream:
        raise Broken(PROTOCOL_ERROR)  # nothing depends on itself


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Numbers and values, in the order in which they came."""
    return list(_setting.iter_unpack(payload))


def read_number(payload: bytes) -> int:
    """What a WINDOW_UPDATE adds."""
    return int.from_bytes(payload, "big") & WINDOW_MAX_BYTES


def write_top(size: int, kind: int, flags: int, stream: int) -> bytes:
    """What stands before a payload."""
    return _top.pack(size >> 16, size & 65535, kind, flags, stream)


def write_frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """A whole frame."""
    return _top.pack(len(payload) >> 16, len(payload) & 65535, kind, flags, stream) + payload


def write_head(stream: int, block: bytes, flags: int, frame_max_bytes: int) -> bytes:
    """A header block, in as many frames as it takes."""
    if len(block) <= frame_max_bytes:
        return write_frame(HEADERS, flags | END_HEADERS, stream, block)
    pieces = [block[at : at + frame_max_bytes] for at in range(0, len(block), frame_max_bytes)]
    first, *others, last = pieces
    frames = [write_frame(HEADERS, flags, stream, first)]
    frames += [write_frame(CONTINUATION, 0, stream, each) for each in others]
    return b"".join((*frames, write_frame(CONTINUATION, END_HEADERS, stream, last)))


def write_data(stream: int, data: memoryview, flags: int, frame_max_bytes: int) -> list[bytes | memoryview]:
    """A piece of a body, in as many frames as it takes, each in two parts; `flags` are the last one's."""
    last = max(0, len(data) - 1) // frame_max_bytes * frame_max_bytes
    full = _top.pack(frame_max_bytes >> 16, frame_max_bytes & 65535, DATA, 0, stream)
    parts: list[bytes | memoryview] = []
    for at in range(0, last, frame_max_bytes):
        parts += (full, data[at : at + frame_max_bytes])
    rest = data[last:]
    parts += (_top.pack(len(rest) >> 16, len(rest) & 65535, DATA, flags, stream), rest)
    return parts


def write_number(kind: int, stream: int, number: int) -> bytes:
    """A frame that is a number: WINDOW_UPDATE, RST_STREAM."""
    return _top.pack(0, 4, kind, 0, stream) + number.to_bytes(4, "big")


def write_settings(values: dict[int, int]) -> bytes:
    """What we ask for."""
    return write_frame(SETTINGS, payload=b"".join(_setting.pack(*each) for each in values.items()))


def write_goodbye(last_stream: int, code: int) -> bytes:
    """A GOAWAY: nothing was made of what came behind `last_stream`."""
    return write_frame(GOAWAY, payload=last_stream.to_bytes(4, "big") + code.to_bytes(4, "big"))
