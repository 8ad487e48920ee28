"""Delivery: attempts at one parcel until it is accounted for.

Theory.  A parcel is offered to its destination.  What comes back says which of its entries are there, which are to be tried again, and
which go to the error prefix.  It is tried for as long as the destination's retry duration, with a back-off between attempts; then the
destination says what becomes of the rest.  The parcel is accounted for when its failures are in the error prefix too.
Rules of this file:
  1. Nothing is known of any destination here.
  2. What a destination raises is logged, and counts as an attempt that failed.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from penstock.core.ids import UUID_BYTES, uuid_text
from penstock.core.ports import Clock, Entropy
from penstock.services.firehose.backoff import wait_ms
from penstock.services.firehose.buffers import Ready
from penstock.services.firehose.destinations.api import (
    Again,
    Delivered,
    Destination,
    Mixed,
    Outcome,
    Parcel,
    Refused,
)
from penstock.services.firehose.entries import NO_KEYS, Entry, Failure, PartitionKey
from penstock.services.firehose.report import Report
from penstock.services.firehose.rows import joined
from penstock.services.firehose.shapes import CloudWatchLoggingOptions

logger = logging.getLogger(__name__)

INTERNAL: Final = "InternalFailure"

Fail = Callable[[Sequence[Failure], Ready[PartitionKey, Entry]], None]  # failures, and the parcel that they are from


class Delivery:
    """Delivers the parcels of one stage."""

    def __init__(
        self,
        destination: Destination,
        options: CloudWatchLoggingOptions,
        fail: Fail,
        report: Report,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._destination = destination
        self._options = options
        self._fail = fail
        self._report = report
        self._clock = clock
        self._entropy = entropy

    async def deliver(self, ready: Ready[PartitionKey, Entry]) -> None:
        """Make attempts until every entry is accounted for."""
        entries = joined([piece.records for piece in ready.pieces])
        keys = dict(ready.key) if ready.key else NO_KEYS
        parcel = Parcel(entries, uuid_text(self._entropy.bytes(UUID_BYTES)), ready.oldest_ms, keys=keys)
        at_ms, tried_ms = self._clock.now_ms(), 0
        while True:
            again, failures = self._settle(parcel, await self._attempt(parcel))
            if again is None:
                break
            self._tell(again.code, again.message)
            then_ms, at_ms = at_ms, self._clock.now_ms()
            tried_ms += max(at_ms - then_ms - again.uncounted_ms, 0)  # a clock that went back takes nothing away
            if tried_ms >= self._destination.retry_ms:
                given_up = await self._give_up(parcel, again)
                if not given_up:
                    self._tell(f"{self._destination.name}.Lost", f"{len(again.entries)} records were tried to the end.")
                failures = [*failures, *given_up]
                break
            if failures:
                self._fail(failures, ready)
            await self._clock.sleep(self._wait_ms(parcel, again))
            parcel = replace(parcel, entries=again.entries, attempts=parcel.attempts + 1)
        if failures:
            self._fail(failures, ready)

    def _wait_ms(self, parcel: Parcel, again: Again) -> int:
        return max(wait_ms(parcel.attempts + 1, self._entropy.fraction()), again.wait_ms or 0)

    async def _attempt(self, parcel: Parcel) -> Outcome:
        try:
            return await self._destination.deliver(parcel)
        except Exception as error:  # a fault of ours, or a destination that breaks its rules
            logger.exception("an attempt to deliver %d records failed", len(parcel.entries))
            return Again(INTERNAL, type(error).__name__, parcel.entries)

    def _settle(self, parcel: Parcel, outcome: Outcome) -> tuple[Again | None, Sequence[Failure]]:
        """Count an outcome; what is to be tried again, and what failed."""
        name, tally = f"DeliveryTo{self._destination.name}", self._report.tally
        tally.count(f"{name}.Success", 1 if isinstance(outcome, Delivered | Mixed) else 0)
        if self._destination.name == "HttpEndpoint":  # AWS tells of it alone what was tried
            tally.count(f"{name}.ProcessedRecords", len(parcel.entries))
            tally.add(f"{name}.ProcessedBytes", "Bytes", sum(len(entry.data) for entry in parcel.entries))
        match outcome:
            case Delivered():
                self._count(name, parcel, outcome)
                return None, ()
            case Again():
                return outcome, ()
            case Refused():
                self._refuse(outcome.failures)
                return None, outcome.failures if outcome.kept else ()
            case Mixed():
                self._count(name, parcel, outcome.delivered)
                self._refuse(outcome.failures)
                return outcome.again, outcome.failures

    def _count(self, name: str, parcel: Parcel, delivered: Delivered) -> None:
        tally, report = self._report.tally, self._report
        tally.add(f"{name}.Bytes", "Bytes", delivered.size_bytes)
        tally.count(f"{name}.Records", delivered.records)
        if self._destination.name == "S3":
            tally.count(f"{name}.ObjectCount", delivered.objects)
        if delivered.ack_ms is not None:
            tally.add(f"{name}.DataAckLatency", "Seconds", delivered.ack_ms / 1000)
        age_s = max(self._clock.now_ms() - parcel.oldest_ms, 0) // 1000
        tally.add(f"{name}.DataFreshness", "Seconds", age_s)
        report.delivered_records += delivered.records
        report.delivered_bytes += delivered.size_bytes
        report.objects += delivered.objects

    def _refuse(self, failures: Sequence[Failure]) -> None:
        if failures:
            self._tell(failures[0].code, failures[0].message)

    def _tell(self, code: str, message: str) -> None:
        self._report.trouble("delivery", code, message, self._options)

    async def _give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        attempts = 0
        while True:
            try:
                return await self._destination.give_up(parcel, again)
            except Exception:
                logger.exception("what becomes of %d records cannot be settled yet", len(again.entries))
                attempts += 1
                await self._clock.sleep(wait_ms(attempts, self._entropy.fraction()))
