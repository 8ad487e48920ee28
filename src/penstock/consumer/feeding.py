"""A shard fed to its end, whatever happens on the way."""

import logging
from collections.abc import Callable
from typing import Protocol

from penstock.consumer.feed import CallFailed, Page, Pipe, ShardGone
from penstock.consumer.lease import Lease
from penstock.consumer.retry import CALLS
from penstock.consumer.store import StoreUnavailable
from penstock.core.ports import Clock, Entropy

logger = logging.getLogger("penstock.consumer")


class Feed(Protocol):
    """Fetches a shard's pages into a pipe, from where the lease stands, until it is cancelled or has put the last one."""

    async def __call__(self, lease: Lease, pipe: Pipe, *, fresh: bool) -> None:
        """Feed; `fresh`: nobody has read this shard for the application before."""
        ...


class Family(Protocol):
    """Sees to the leases of children."""

    async def ensure(self, shard_id: str, children: tuple[str, ...]) -> tuple[str, ...]:
        """Make the leases of a shard's children; their ids.  Raises StoreUnavailable, CallFailed."""
        ...

    async def gone(self, shard_id: str) -> tuple[str, ...] | None:
        """The children of a shard that is there no more; None if it is.  Raises StoreUnavailable, CallFailed, ShardGone."""
        ...


async def keep_fed(
    feed: Feed, family: Family, held: Callable[[], Lease], pipe: Pipe, clock: Clock, entropy: Entropy, *, fresh: bool
) -> None:
    """Feed, from where the lease that is `held` stands, and find out what has become of a shard that is not found."""
    failures = 0
    while True:
        lease = held()
        try:
            await feed(lease if pipe.last is None else lease.at(pipe.last), pipe, fresh=fresh)
            return
        except ShardGone as error:
            failures += 1
            logger.warning("%s: not found: %s", lease.key, error)
        try:
            children = await family.gone(lease.key)
        except (ShardGone, CallFailed, StoreUnavailable) as error:
            logger.warning("%s: nor can its stream be looked at: %s", lease.key, error)
        else:
            if children is not None:
                pipe.put(Page([], 0, 0, True, children))
                return
        fresh = False
        await clock.sleep(CALLS.wait_ms(failures, entropy.fraction))
