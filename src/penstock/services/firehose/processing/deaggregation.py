"""De-aggregation: a record that holds several becomes several.

Theory.  JSON: objects one behind the other, or in an array.  DELIMITED: pieces between delimiters.  What cannot be taken apart, and what
holds more than SUBRECORDS_MAX, goes on whole and nothing is said: so does AWS.
Rules of this file: a part keeps its bytes as they were; parts are numbered in their record's id, so that they stay apart.
Source: Firehose developer guide, "Apply dynamic partitioning to aggregated data".
"""

import json
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from penstock.core.ports import Threads
from penstock.services.firehose.entries import Entry
from penstock.services.firehose.processing.api import Processed

SUBRECORDS_MAX: Final = 500
_BLANKS: Final = " \t\r\n"
_OBJECTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_RAW: Final = json.JSONDecoder()

Taken = Callable[[bytes], Sequence[bytes] | None]  # the parts of a record; None: it stays whole


class DeAggregation:
    """Takes records apart."""

    def __init__(self, parts_of: Taken, threads: Threads) -> None:
        self._parts_of = parts_of
        self._threads = threads

    async def process(self, entries: Sequence[Entry]) -> Processed:
        """Take a batch apart, beside the loop."""
        return await self._threads.run(lambda: self._taken_apart(entries))

    def _taken_apart(self, entries: Sequence[Entry]) -> Processed:
        kept: list[Entry] = []
        for entry in entries:
            parts = self._parts_of(entry.data)
            if parts is None or not 1 < len(parts) <= SUBRECORDS_MAX:
                kept.append(
                    entry if parts is None or len(parts) != 1 else msgspec.structs.replace(entry, data=parts[0])
                )
                continue
            kept += [
                msgspec.structs.replace(entry, data=part, record_id=f"{entry.record_id}.{number}")
                for number, part in enumerate(parts)
            ]
        return Processed(kept, [], 0)


def delimited(delimiter: bytes) -> Taken:
    """Pieces between delimiters; UNVERIFIED: that empty ones are left out."""
    return lambda data: [piece for piece in data.split(delimiter, SUBRECORDS_MAX + 1) if piece] or None


def json_objects(data: bytes) -> Sequence[bytes] | None:
    """The objects of an array, or those that follow one another; None for anything else."""
    body = data.strip()
    if body.startswith(b"["):
        return _in_array(body)
    if not body.startswith(b"{"):
        return None
    try:
        return _in_a_row(body.decode())
    except (ValueError, RecursionError):
        return None


def _in_array(body: bytes) -> Sequence[bytes] | None:
    try:
        items = [bytes(item) for item in _OBJECTS.decode(body)]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return items if items and all(item.startswith(b"{") for item in items) else None


def _in_a_row(text: str) -> Sequence[bytes] | None:
    parts: list[bytes] = []
    at = 0
    while at < len(text):
        if text[at] != "{" or len(parts) > SUBRECORDS_MAX:
            return None
        _, end = _RAW.raw_decode(text, at)
        parts.append(text[at:end].encode())
        while end < len(text) and text[end] in _BLANKS:
            end += 1
        at = end
    return parts
