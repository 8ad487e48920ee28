"""Unpacking: from a page of a shard to entries, aggregates of the Kinesis Producer Library opened.

Rules of this file: pure; a page without aggregates stays columns (rows.py); what looks like an aggregate and is none is a record as it is.
"""

from collections.abc import Iterator, Sequence

from penstock.engines.api import Page
from penstock.services.firehose.entries import Entry, Origin
from penstock.services.firehose.rows import Lane, Part, Rows, record_id
from penstock.services.streams.directory import ShardView
from penstock.wire.aggregate import MAGIC, unpack


def entries_of(held: ShardView, page: Page, *, is_direct: bool) -> Sequence[Entry]:
    """The entries of a page."""
    lane = Lane(held.number_base, None if is_direct else held.shard_id)
    part = Part(lane, page.first, page.keys, page.data, page.arrivals_ms)
    if is_direct or not any(data.startswith(MAGIC) for data in page.data):
        return Rows([part])
    return [entry for one in part.entries() for entry in _opened(one)]


def _opened(entry: Entry) -> Iterator[Entry]:
    """The records of an aggregate, or the record itself."""
    records = unpack(entry.data) if entry.data.startswith(MAGIC) else None
    origin = entry.origin
    if records is None or origin is None:
        yield entry
        return
    for place, record in enumerate(records):
        own = Origin(origin.shard_id, record.partition_key, origin.sequence_number, place, origin.arrival_ms)
        yield Entry(record.data, entry.arrival_ms, record_id(int(origin.sequence_number), place), entry.place, own)
