"""Filtering: which of a page's records a mapping's patterns let through.

Rules of this file: pure; a record's data is decoded only where some pattern asks for it; data that is not JSON is text, which no pattern
of data matches: such a record is passed over, as on AWS.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pybase64

from penstock.services.functions.mapping.pattern import Pattern
from penstock.services.functions.mapping.rows import Rows, number_of
from penstock.services.functions.mapping.shard import Match


def make_match(filters: Sequence[str], number_base: int) -> Match | None:
    """The test of a shard's rows; None where every record is taken.  Raises InvalidPattern."""
    patterns = [Pattern(text) for text in filters]
    if not patterns:
        return None
    decodes = any(pattern.reads_data for pattern in patterns)

    def match(rows: Rows) -> Sequence[int]:
        events = (_event(row, number_base, decodes=decodes) for row in zip(*rows, strict=True))
        return [index for index, event in enumerate(events) if any(pattern.matches(event) for pattern in patterns)]

    return match


def _event(row: tuple[int, bytes, bytes, int], number_base: int, *, decodes: bool) -> Mapping[str, Any]:
    place, key, data, arrival_ms = row
    return {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": key.decode(),
        "sequenceNumber": str(number_of(number_base, place, arrival_ms)),
        "approximateArrivalTimestamp": arrival_ms / 1000,
        "data": _decoded(data) if decodes else "",
    }


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return pybase64.b64encode_as_string(data)
