"""A reader: all user records of a stream, for a program that belongs to no application.

Theory.  The worker of an application that is alone and remembers nothing: leases in memory say which shards may be begun, parents before
children, and the same feeds fetch them; nothing is renewed and nothing checkpointed.  Pages are given in rounds, at most one of each
shard.  A round waits a moment for shards that are behind, so that what a stream already holds comes about in the order of its arrival;
for a shard at its tip it does not wait.
Rules of this file:
  1. A shard is begun once its parents were given to the last record.
  2. What ends one feed ends the reading, after what was fetched by then.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from msgspec import Struct

from penstock.consumer.family import ShardFamily
from penstock.consumer.feed import Budget, CallFailed, Page, Pipe, Source
from penstock.consumer.feeding import Feed, keep_fed
from penstock.consumer.lease import Lease
from penstock.consumer.lineage import may_start
from penstock.consumer.position import LATEST, Begin
from penstock.consumer.retry import CALLS
from penstock.consumer.shardrun import World
from penstock.consumer.stores.memory import MemoryStore
from penstock.core.ports import Tasks

READER: Final = "reader"  # the owner of every lease that was begun
ROUND_WAIT_S: Final = 0.5  # for shards that are behind

Answer = TypeVar("Answer")


class Wanted(Struct, frozen=True):
    """What is to be read."""

    begin: Begin
    shard_id: str | None = None  # None: all shards
    follow: bool = True  # False: end at the tip


class _Shard:
    """One that is being read."""

    def __init__(self, lease: Lease, pipe: Pipe, tasks: Tasks) -> None:
        self.lease = lease
        self.pipe = pipe
        self.tasks = tasks
        self.behind = True  # as far as is known


class Reader:
    """Reads what is wanted, once."""

    def __init__(self, source: Source, wanted: Wanted, feed: Feed, budget: Budget, world: World) -> None:
        self._wanted = wanted
        self._feed = feed
        self._budget = budget
        self._world = world
        self._store = MemoryStore()
        self._family = ShardFamily(source, self._store, wanted.begin, world.clock)
        self._shards: dict[str, _Shard] = {}
        self._open: set[str] = set()  # as last listed
        self._news = asyncio.Event()
        self._failure: Exception | None = None

    async def rounds(self) -> AsyncIterator[list[tuple[str, Page]]]:
        """Pages with the ids of their shards, until there is nothing more to wait for.  Raises what a source raises beyond its protocol."""
        try:
            await self._begin()
            while self._shards:
                taken = await self._round()
                yield [(shard.lease.key, page) for shard, page in taken]
                for shard, page in taken:
                    await self._settle(shard, page)
                if self._failure is not None:
                    raise self._failure
        finally:
            for shard in list(self._shards.values()):
                await self._let_go(shard)

    async def _begin(self) -> None:
        """Begin with every shard that may be read by now."""
        listed = await self._insist(self._family.sync)
        self._open = {shard.shard_id for shard in listed if shard.open}
        for lease in self._ready():
            fresh = lease.checkpoint.sequence == LATEST
            taken = lease.taken(READER)
            taken = taken.begun(self._world.wall.now_ms()) if fresh else taken
            await self._store.swap(lease, taken)
            shard = _Shard(taken, Pipe(self._budget, self._news.set), self._world.tasks())
            self._shards[lease.key] = shard
            shard.tasks.spawn(self._fed(shard, fresh=fresh), f"feed {lease.key}")

    def _ready(self) -> list[Lease]:
        leases, only = self._store.stored, self._wanted.shard_id
        free = [lease for lease in leases.values() if lease.owner is None]
        if only is not None:
            return [lease for lease in free if lease.key == only]
        return [lease for lease in free if may_start(lease, leases)]

    async def _fed(self, shard: _Shard, *, fresh: bool) -> None:
        clock, entropy = self._world.clock, self._world.entropy
        try:
            await keep_fed(self._feed, self._family, lambda: shard.lease, shard.pipe, clock, entropy, fresh=fresh)
        except Exception as error:  # noqa: BLE001  # `rounds` raises it
            self._failure = error
            self._news.set()

    async def _round(self) -> list[tuple[_Shard, Page]]:
        shards = list(self._shards.values())
        await self._until(lambda: any(shard.pipe.ready for shard in shards))
        with suppress(TimeoutError):
            async with asyncio.timeout(ROUND_WAIT_S):
                await self._until(lambda: all(shard.pipe.ready or not shard.behind for shard in shards))
        pages = [(shard, await shard.pipe.take()) for shard in shards if shard.pipe.ready]
        return [(shard, page) for shard, page in pages if page is not None]

    async def _until(self, enough: Callable[[], bool]) -> None:
        while not enough() and self._failure is None:
            self._news.clear()
            await self._news.wait()

    async def _settle(self, shard: _Shard, page: Page) -> None:
        """After a page was given: it needs no room any more, and may have been the last."""
        shard.pipe.settle()
        shard.behind = page.behind_ms > 0
        if page.ended:
            await self._end(shard, page.children)
        elif not (shard.behind or self._wanted.follow) and shard.lease.key in self._open:
            await self._let_go(shard)

    async def _end(self, shard: _Shard, children: tuple[str, ...]) -> None:
        await self._let_go(shard)
        if self._wanted.shard_id is None:
            listed = await self._insist(lambda: self._family.ensure(shard.lease.key, children))
            await self._store.swap(shard.lease, shard.lease.over(listed))
            await self._begin()

    async def _let_go(self, shard: _Shard) -> None:
        del self._shards[shard.lease.key]
        await shard.tasks.stop()
        shard.pipe.close()

    async def _insist(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        failures = 0
        while True:
            try:
                return await work()
            except CallFailed:
                failures += 1
                await self._world.clock.sleep(CALLS.wait_ms(failures, self._world.entropy.fraction))
