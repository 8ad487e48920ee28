"""Polling: GetRecords again and again, from one iterator to the next.

Rules of this file:
  1. An iterator that has expired, or never came, is opened behind the last record fetched.
  2. Whatever fails is tried again, later each time; only a shard that is not there any more ends it.
"""

import logging

from msgspec import Struct

from penstock.consumer.feed import CallFailed, Fetched, Pipe, Source, Start
from penstock.consumer.lease import Lease
from penstock.consumer.measures import Measures
from penstock.consumer.position import AT_TIMESTAMP, LATEST, Begin
from penstock.consumer.retry import CALLS
from penstock.consumer.unpack import Unpacker
from penstock.core.ports import Clock, Entropy

logger = logging.getLogger("penstock.consumer")
EXPIRED = "ExpiredIteratorException"
AFTER = "AFTER_SEQUENCE_NUMBER"


class Pace(Struct, frozen=True):
    """How often, and how much."""

    idle_ms: int = 250  # between two reads of a shard whose newest record is known; AWS allows five a second, of all readers together
    limit: int = 10_000  # records of one answer


def start_of(lease: Lease, begin: Begin, *, fresh: bool) -> Start:
    """Where a lease says that reading goes on.

    A checkpoint may stand within an aggregate, so its record is read again.  What is latest now is not what was latest then: only who is
    the `fresh` one, the first to read it, asks for the latest.
    """
    at = lease.checkpoint
    if at.begun:
        return Start("AT_SEQUENCE_NUMBER", at.sequence)
    if at.sequence == AT_TIMESTAMP:
        return Start(AT_TIMESTAMP, at_ms=begin.at_ms or 0)
    if at.sequence == LATEST and lease.began_ms is not None and not fresh:
        return Start(AT_TIMESTAMP, at_ms=lease.began_ms)
    return Start(at.sequence)


class Polling:
    """A feed.  Not `opened`, aggregates are given as the plain records that they are to Kinesis."""

    def __init__(
        self,
        source: Source,
        begin: Begin,
        pace: Pace,
        clock: Clock,
        entropy: Entropy,
        measures: Measures,
        *,
        opened: bool = True,
    ) -> None:
        self._source = source
        self._begin = begin
        self._pace = pace
        self._clock = clock
        self._entropy = entropy
        self._measures = measures
        self._opened = opened

    async def __call__(self, lease: Lease, pipe: Pipe, *, fresh: bool) -> None:
        """Feed a shard."""
        start = start_of(lease, self._begin, fresh=fresh)
        unpacker = Unpacker(lease, opened=self._opened)
        iterator: str | None = None
        failures = 0
        while True:
            await pipe.room()
            try:
                if iterator is None:
                    iterator = await self._source.iterator(lease.key, start)
                fetched = await self._source.fetch(iterator, self._pace.limit)
            except CallFailed as error:
                failures += 1
                if error.code == EXPIRED:
                    iterator = None
                    start = start if start.kind == AFTER else start_of(lease, self._begin, fresh=False)
                self._failed(lease.key, error, failures)
                await self._clock.sleep(CALLS.wait_ms(failures, self._entropy.fraction))
                continue
            failures = 0
            self._measures.fetched(lease.key, well=True)
            iterator = fetched.next
            if fetched.records:
                start = Start(AFTER, fetched.records[-1].sequence_number)
            pipe.put(unpacker.page(fetched))
            if iterator is None:
                return
            await self._clock.sleep(self._wait_ms(fetched))

    def _wait_ms(self, fetched: Fetched) -> int:
        return 0 if fetched.records and fetched.behind_ms else self._pace.idle_ms

    def _failed(self, shard_id: str, error: CallFailed, failures: int) -> None:
        self._measures.fetched(shard_id, well=False)
        if not error.throttled and failures in (1, 10, 100):
            logger.warning("%s: cannot be read, will be tried again: %s", shard_id, error)
