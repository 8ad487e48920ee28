"""The outbox: records that wait to be put, in an order that no failure can break.

Theory.  PutRecords may refuse one entry and take the next, so two records of one key in one request can change places.  Hence a
request carries at most one record of a key, and a key's next record waits until the one before it was taken.  Keys do not wait for
each other.
Rules of this file: pure; one sender.
"""

from collections import deque
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from penstock.demo.machine import Reading

REQUEST_MAX_RECORDS: Final = 500  # of PutRecords; Source: API reference.  A record here is far from its size limits.


class Stamp(msgspec.Struct, frozen=True):
    """The part of a record's data that the checker needs; the reading's fields lie beside it."""

    key: str
    count: int


class Outgoing(NamedTuple):
    """A record on its way out."""

    key: str
    number: int  # its count within its key
    data: bytes


def write_record(reading: Reading, count: int, at_ms: int) -> Outgoing:
    """The record of a reading, as JSON."""
    document = {"key": reading.key, "count": count, "at_ms": at_ms, **reading.fields}
    return Outgoing(reading.key, count, msgspec.json.encode(document))


class Outbox:
    """Waiting records, by key."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Outgoing]] = {}  # no deque is empty
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, record: Outgoing) -> None:
        """Put a record behind those of its key."""
        self._waiting.setdefault(record.key, deque()).append(record)
        self._count += 1

    def batch(self) -> list[Outgoing]:
        """The first record of each key, as far as a request can hold; they stay here until they are `taken`."""
        return [queue[0] for queue in islice(self._waiting.values(), REQUEST_MAX_RECORDS)]

    def taken(self, record: Outgoing) -> None:
        """Let go of a record that the stream has, and send its key to the end of the line."""
        queue = self._waiting.pop(record.key)
        head = queue.popleft()
        assert head is record
        self._count -= 1
        if queue:
            self._waiting[record.key] = queue
