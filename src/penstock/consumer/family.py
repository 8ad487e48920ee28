"""The leases of a stream's shards: made when there are none, when a shard ends, and when hash keys are found to be nobody's."""

import logging
from typing import Final

from penstock.consumer.feed import CallFailed, Source
from penstock.consumer.lineage import Shard, children_of, missing
from penstock.consumer.position import Begin
from penstock.consumer.store import LeaseStore
from penstock.core.ports import Clock

logger = logging.getLogger("penstock.consumer")
CHILDREN_LISTED_TRIES: Final = 3  # for a closed shard whose children are not listed, before it is believed
PAUSE_MS: Final = 500


class ChildrenMissing(CallFailed):
    """A shard has ended and its children are not listed yet."""


class ShardFamily:
    """Makes leases."""

    def __init__(self, source: Source, store: LeaseStore, begin: Begin, clock: Clock) -> None:
        self._source = source
        self._store = store
        self._begin = begin
        self._clock = clock

    async def sync(self) -> list[Shard]:
        """Make every lease that is missing, parents first; the shards that are listed.  Raises CallFailed, StoreUnavailable."""
        shards = await self._source.shards()
        leases = {lease.key: lease for lease in await self._store.leases()}
        for lease in missing(shards, leases, self._begin):
            if await self._store.create(lease):
                logger.info("%s: a lease was made, to begin at %s", lease.key, lease.checkpoint)
        return shards

    async def ensure(self, shard_id: str, children: tuple[str, ...]) -> tuple[str, ...]:
        """Make the leases of a shard's children, and whatever else is missing; the ids of the children."""
        shards: list[Shard] = []
        for turn in range(CHILDREN_LISTED_TRIES):
            if turn:
                await self._clock.sleep(PAUSE_MS)
            shards = await self.sync()
            listed = children_of(shard_id, shards)
            if listed and set(children) <= set(listed):
                return listed
        if children:
            raise ChildrenMissing(f"the children of {shard_id} are not listed yet")
        logger.warning("%s has ended and no child of it is listed", shard_id)
        return ()

    async def gone(self, shard_id: str) -> tuple[str, ...] | None:
        """The children of a shard that is not listed any more, with their leases made; None if it is still there."""
        shards = await self.sync()
        if any(shard.shard_id == shard_id for shard in shards):
            return None
        return children_of(shard_id, shards)
