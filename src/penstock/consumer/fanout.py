"""Enhanced fan-out: the stream pushes each shard's records to the application's own registered consumer.

Theory.  A subscription lasts five minutes and is then made anew behind the last event; so is one that breaks.  Each event says where to go
on, records or not, so that quiet shards do not fall back.  While another worker, who has lost the lease and not noticed yet, still
holds the subscription, SubscribeToShard is refused for a few seconds, and then takes it over.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from penstock.consumer.feed import CallFailed, Fetched, Pipe, ShardGone, Start
from penstock.consumer.lease import Lease
from penstock.consumer.measures import Measures
from penstock.consumer.polling import AFTER, start_of
from penstock.consumer.position import Begin
from penstock.consumer.retry import Retry
from penstock.consumer.unpack import Unpacker
from penstock.core.ports import Clock, Entropy

logger = logging.getLogger("penstock.consumer")
RESUBSCRIBE = Retry(first_ms=250, longest_ms=1_000)  # AWS takes one a second for each consumer and shard


class Pushing(Protocol):
    """What fan-out asks of Kinesis.  Every method may raise CallFailed, ShardGone."""

    async def register(self, name: str) -> str:
        """The ARN of a consumer that is ACTIVE."""
        ...

    def subscribe(self, consumer: str, shard_id: str, start: Start) -> AsyncGenerator[Fetched, None]:
        """Events of a shard, until the subscription ends."""
        ...


class FanOut:
    """A feed."""

    def __init__(
        self, source: Pushing, name: str, begin: Begin, clock: Clock, entropy: Entropy, measures: Measures
    ) -> None:
        self._source = source
        self._name = name  # of the registered consumer
        self._begin = begin
        self._clock = clock
        self._entropy = entropy
        self._measures = measures
        self._arn: str | None = None

    async def __call__(self, lease: Lease, pipe: Pipe, *, fresh: bool) -> None:
        """Feed a shard."""
        at = start_of(lease, self._begin, fresh=fresh)
        unpacker = Unpacker(lease)
        failures = 0
        while True:
            try:
                arn = await self._registered()
                failures += 1
                async with aclosing(self._source.subscribe(arn, lease.key, at)) as events:
                    async for event in events:
                        failures = 0
                        pipe.put(unpacker.page(event))
                        if event.next is None:
                            return
                        at = Start(AFTER, event.next)
                        await pipe.room()
                at = at if at.kind == AFTER else start_of(lease, self._begin, fresh=False)
            except ShardGone:
                self._arn = None  # the shard, or the consumer
                raise
            except CallFailed as error:
                self._measures.fetched(lease.key, well=False)
                if failures in (3, 10, 100):
                    logger.warning("%s: no subscription, will be tried again: %s", lease.key, error)
                failures += 1
            if failures:
                await self._clock.sleep(RESUBSCRIBE.wait_ms(failures, self._entropy.fraction))

    async def _registered(self) -> str:
        if self._arn is None:
            self._arn = await self._source.register(self._name)
        return self._arn
