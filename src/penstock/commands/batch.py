"""Records on their way into a stream: what each is made of, and how many go into one request.

Rules of this file: pure; the order of records is the order of their lines.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from penstock.core.limits import MIB, PUT_RECORDS_MAX_COUNT

BATCH_MAX_BYTES: Final = (
    4 * MIB
)  # below the limit of today (10 MiB) and of older servers (5 MiB); one larger record goes alone


class BadLine(Exception):
    """A line that makes no record; the text says which and why."""


class Entry(NamedTuple):
    """A record to be put."""

    data: bytes
    key: str
    hash_key: str | None = None

    @property
    def size(self) -> int:
        """Bytes that it counts against limits."""
        return len(self.data) + len(self.key.encode())


class Maker:
    """Makes records of lines."""

    def __init__(
        self, new_key: Callable[[], str], key: str | None, hash_key: str | None, key_field: str | None, *, as_json: bool
    ) -> None:
        self._new_key = new_key  # for records that are given none
        self._key = key
        self._hash_key = hash_key
        self._key_field = key_field
        self._as_json = as_json or key_field is not None
        self._count = 0

    def make(self, line: bytes) -> Entry | None:
        """The record of the next line; None for an empty one.  Raises BadLine."""
        self._count += 1
        if not line:
            return None
        key = self._field(line) if self._as_json else None
        return Entry(line, key or self._key or self._new_key(), self._hash_key)

    def _field(self, line: bytes) -> str | None:
        try:
            fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadLine(f"line {self._count:,} is no JSON object: {error}") from None
        if self._key_field is None:
            return None
        try:
            value = msgspec.json.decode(fields[self._key_field], type=str | int | float)
        except KeyError:
            raise BadLine(f"line {self._count:,} has no field {self._key_field!r}") from None
        except msgspec.MsgspecError:
            raise BadLine(f"line {self._count:,}: the field {self._key_field!r} is no text or number") from None
        if value == "":
            raise BadLine(
                f"line {self._count:,}: the field {self._key_field!r} is empty, which no partition key may be"
            )
        return str(value)


def batches(entries: Iterable[Entry | None]) -> Iterator[list[Entry]]:
    """Requests' worth of records; None among them says that nothing more is at hand, and ends a batch."""
    held: list[Entry] = []
    size = 0
    for entry in entries:
        full = entry is not None and held and size + entry.size > BATCH_MAX_BYTES
        if held and (entry is None or full or len(held) == PUT_RECORDS_MAX_COUNT):
            yield held
            held, size = [], 0
        if entry is not None:
            held.append(entry)
            size += entry.size
    if held:
        yield held
