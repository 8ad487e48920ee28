"""Lines of a file or a pipe, as they come.

Theory.  Whoever sends lines in batches must know when no more is at hand, or the last lines of a quiet pipe would wait for company.
Rule of this file: a line is bounded before it is kept.
"""

import os
import select
from collections.abc import Iterator
from typing import Final

CHUNK_BYTES: Final = 1 << 16
LULL_S: Final = 0.02  # this long without a byte, and what is there is sent


class LineTooLong(Exception):
    """A line that no record can hold; the text says which."""


def read_lines(descriptor: int, max_bytes: int) -> Iterator[bytes | None]:
    """Lines without their ends, and None whenever nothing more is at hand.  Raises LineTooLong, OSError."""
    held, count = bytearray(), 0
    while chunk := os.read(descriptor, CHUNK_BYTES):
        first, *rest = chunk.split(b"\n")
        held += first
        for piece in rest:
            count += 1
            _check(held, count, max_bytes)
            yield bytes(held.removesuffix(b"\r"))
            held = bytearray(piece)
        _check(held, count + 1, max_bytes)
        if not select.select([descriptor], [], [], LULL_S)[0]:
            yield None
    if held:
        yield bytes(held.removesuffix(b"\r"))


def _check(held: bytearray, count: int, max_bytes: int) -> None:
    if len(held) > max_bytes + 1:  # its end may be two bytes
        raise LineTooLong(f"line {count:,} is longer than the {max_bytes >> 20} MiB that a record may hold")
