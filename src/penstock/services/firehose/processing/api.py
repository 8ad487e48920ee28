"""What processing is, to the delivery engine: steps that entries go through in order, and a conversion at the end.

Rules of every step:
  1. No entry is lost: each one of the input is in `kept` (perhaps as several, with its place), in `failed`, or counted in `dropped`.
  2. A step never raises for what a record holds.  What it raises is a fault of ours; the batch is then tried again from the log.
  3. A step keeps nothing between calls, but may be called with several batches at a time.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from penstock.services.firehose.entries import Entry, Failure


class Processed(NamedTuple):
    """What a step made of its input."""

    kept: list[Entry]  # in the order of the input
    failed: list[Failure]
    dropped: int  # entries of the input that nothing is kept of, on purpose


class Step(Protocol):
    """One transformation of entries."""

    async def process(self, entries: Sequence[Entry]) -> Processed:
        """Transform a batch."""
        ...


class Converted(NamedTuple):
    """An object's body in another format."""

    body: bytes  # empty where nothing could be converted
    extension: str  # ".parquet", ".orc"
    converted: int  # records in it
    failed: list[Failure]


class Converter(Protocol):
    """Makes one object's body of entries; None stands where conversion is off."""

    async def convert(self, entries: Sequence[Entry]) -> Converted:
        """Convert a parcel.  Raises ServiceError where the schema cannot be had: the whole parcel is then tried again."""
        ...

    async def check(self) -> None:
        """Raise INVALID unless the schema is there and can be used; asked when a delivery stream is made or changed."""
        ...
