"""Decompression: what CloudWatch Logs sends is gzip, and goes on without it.

Rule of this file: a record of a megabyte may expand to a gigabyte, so no more than DECOMPRESSED_MAX_BYTES of it are ever made,
and no more than BATCH_MAX_BYTES of a batch.
"""

import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from penstock.core.ports import Threads
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.processing.api import Processed

DECOMPRESSED_MAX_BYTES: Final = 16 << 20  # ours, of one record
BATCH_MAX_BYTES: Final = (
    256 << 20
)  # ours, of all records of a batch: that is more than 200 times what usually is in one
CODE: Final = "Decompression.Failed"  # UNVERIFIED: and its texts
_GZIP: Final = 16 + zlib.MAX_WBITS


class Decompression:
    """Opens gzip.  What is none fails."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def process(self, entries: Sequence[Entry]) -> Processed:
        """Open a batch, beside the loop."""
        return await self._threads.run(lambda: _opened(entries))


def _opened(entries: Sequence[Entry]) -> Processed:
    kept: list[Entry] = []
    failed: list[Failure] = []
    left = BATCH_MAX_BYTES
    for entry in entries:
        try:
            data = gunzip(entry.data, min(left, DECOMPRESSED_MAX_BYTES))
            left -= len(data)
            kept.append(msgspec.structs.replace(entry, data=data))
        except ValueError as problem:
            failed.append(Failure(entry, "processing-failed", CODE, str(problem)))
    return Processed(kept, failed, 0)


def gunzip(data: bytes, max_bytes: int) -> bytes:
    """The content of one gzip member or several.  Raises ValueError for what is none, or holds more than `max_bytes`."""
    pieces: list[bytes] = []
    left, rest = max_bytes, data
    while rest or not pieces:
        member = zlib.decompressobj(_GZIP)
        try:
            pieces.append(member.decompress(rest, left + 1))
        except zlib.error:
            raise ValueError("The record is not valid GZIP.") from None
        left -= len(pieces[-1])
        if left < 0:
            raise ValueError(f"The record holds more than {max_bytes} bytes.")
        if not member.eof:
            raise ValueError("The record ends within its GZIP.")
        rest = member.unused_data
    return b"".join(pieces)
