"""Answers as HTTP/1.1 writes them.  Sans-IO: values in, bytes out.

Rule of this file: a line that would end early is a bug of ours, and is asserted; what a client sent cannot make one, because no
control character is let in.
"""

from http import HTTPStatus
from typing import Final

from penstock.server.exchange import Headers

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

CLOSE_LINE: Final = "connection: close\r\n"
KEEP_ALIVE_LINE: Final = "connection: keep-alive\r\n"  # HTTP/1.0 wants to be told
CHUNKED_LINE: Final = "transfer-encoding: chunked\r\n"

_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


def fixed_lines(date: str) -> str:
    """The lines that every answer of a second has."""
    return f"server: Penstock\r\ndate: {date}\r\n"


def write_head(status: int, headers: Headers, lines: str) -> bytes:
    """Status line, headers, then whole lines as they are, and the empty line."""
    own = "".join([f"{name}: {value}\r\n" for name, value in headers])
    assert own.count("\n") == len(headers) == own.count("\r"), "no header holds a line's end"
    return f"{_STATUS_LINES[status]}{own}{lines}\r\n".encode("latin-1", "replace")


def write_chunk(piece: bytes) -> tuple[bytes, bytes, bytes]:
    """The parts of a piece of a body; never empty, since that would end it."""
    assert piece, "an empty chunk ends a body"
    return b"%x\r\n" % len(piece), piece, b"\r\n"
