"""What a destination is, to the delivery engine: something that parcels are given to, and that says what became of them.

Theory.  The engine owns buffering, retries, back-off, give-up, the error prefix, source backup, checkpoints, metrics and logs, and knows
no destination.  A destination makes one attempt and answers; it keeps no state that matters, for it may be gone after any await.
Rules of every destination:
  1. `deliver` answers for every entry of the parcel: delivered, to be tried again, or failed for good.
  2. It raises nothing for what the other side does; what leaves it is logged and counts as Again.
  3. An attempt ends by itself, in bounded time and memory, whatever the other side sends.
  4. A parcel that is tried again has the same id; entries that were delivered already are not in it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from penstock.services.firehose.entries import NO_KEYS, Entry, Failure


class Parcel(msgspec.Struct, frozen=True):
    """Entries that are delivered together."""

    entries: Sequence[Entry]  # at least one
    id: str  # a UUID, stable over retries
    oldest_ms: int  # arrival of the oldest entry
    attempts: int = 0  # that were made before
    keys: Mapping[str, str] = NO_KEYS  # values of the partition expressions, by "partitionKeyFromQuery:name" (S3)


class Delivered(msgspec.Struct, frozen=True):
    """All of it, or in Mixed some, is there durably."""

    size_bytes: int  # as they were sent, after compression
    records: int
    objects: int = 1  # of S3; requests of others
    ack_ms: int | None = None  # until it was acknowledged, where that comes apart from the answer (Splunk)


class Again(msgspec.Struct, frozen=True):
    """Not there, or not known to be; worth another try."""

    code: str  # of the delivery log: "HttpEndpoint.RequestFailed", "S3.AccessDenied", ...
    message: str  # one line, no secrets
    entries: Sequence[Entry]  # what is to be tried again
    wait_ms: int | None = None  # before the next try, at least; None: as the engine's back-off has it
    uncounted_ms: int = (
        0  # of this attempt, not counted against the retry duration (Splunk: waiting for acknowledgements)
    )


class Refused(msgspec.Struct, frozen=True):
    """Refused for good: entries go to the error prefix."""

    failures: Sequence[Failure]
    kept: bool = True  # False: AWS keeps no error objects of them (HTTP 413); they are counted and logged only


class Mixed(msgspec.Struct, frozen=True):
    """Some of each."""

    delivered: Delivered
    again: Again | None
    failures: Sequence[Failure] = ()


Outcome = Delivered | Again | Refused | Mixed


class Hints(NamedTuple):
    """How a destination wants its parcels."""

    size_bytes: int  # of the records' data, before compression
    interval_ms: int  # 0: as soon as possible
    concurrency: int = 1  # parcels under way at a time, of one lane
    records_max: int | None = None  # in one parcel (HTTP: 10,000)
    own_bytes: int | None = None  # that its records may always hold of the memory; None: `concurrency` parcels


class Destination(Protocol):
    """Something that takes parcels."""

    @property
    def name(self) -> str:
        """As in its metrics: "S3", "HttpEndpoint", "AmazonOpenSearchService" (of DeliveryToS3.Records and so on)."""
        ...

    @property
    def hints(self) -> Hints:
        """How it wants its parcels."""
        ...

    @property
    def retry_ms(self) -> int:
        """For how long a parcel is tried, counted from its first attempt; 0: once."""
        ...

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Make one attempt."""
        ...

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        """The error objects of entries that were tried to the end, `parcel` at the last attempt.

        Raises BucketsUnavailable where something must be written for it: it is then called again, and does the same.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
