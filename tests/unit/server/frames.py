"""HTTP/2 frames by hand, for what no library would send, and a reader of what comes back."""

import asyncio
import struct
from collections.abc import Iterable
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
ENHANCE_YOUR_CALM = 11
WAIT_S = 60
CALL = (
    (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"localhost"), (b":path", b"/"),
)  # fmt: skip


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """A frame; `length` is what it claims, where that is a lie."""
    claimed = len(payload) if length is None else length
    return claimed.to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A header block without compression: literals that nobody indexes."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(text: bytes) -> bytes:
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, out = len(text) - 127, bytearray([127])
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes(out) + bytes([rest]) + text


def headers(stream: int, *fields: tuple[bytes, bytes], flags: int = END_HEADERS | END_STREAM) -> bytes:
    """A HEADERS frame of a POST with more fields."""
    return frame(HEADERS, flags, stream, block((*CALL, *fields)))


def opening() -> bytes:
    """What a client begins with."""
    return PREFACE + frame(SETTINGS)


async def read_frames(reader: asyncio.StreamReader, until: int | None = None) -> list[Frame]:
    """Frames until one of this kind, or until the server hangs up."""
    found: list[Frame] = []
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                top = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(top[:3], "big"))
            except (asyncio.IncompleteReadError, ConnectionError):
                return found
            found.append(Frame(top[3], top[4], int.from_bytes(top[5:], "big"), payload))
            if found[-1].kind == until:
                return found


def cut_frames(data: bytes) -> list[Frame]:
    """The frames in what was written."""
    found = []
    while data:
        size = int.from_bytes(data[:3], "big")
        found.append(Frame(data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def kinds(found: Iterable[Frame]) -> list[int]:
    """Their kinds."""
    return [each.kind for each in found]


def error_of(found: Iterable[Frame], kind: int) -> int | None:
    """The error code of the last frame of a kind, GOAWAY or RST_STREAM."""
    codes = [
        int.from_bytes(each.payload[-4:] if kind == RST_STREAM else each.payload[4:8], "big")
        for each in found
        if each.kind == kind
    ]
    return codes[-1] if codes else None
