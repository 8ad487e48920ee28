"""A worker: looks at all leases, takes what is its to take, works on each, and lets go when it is asked or stops.

Theory.  Two rhythms, from the failover time: a look at the table every tenth, a renewal of each lease every third.  All decisions are
made by pure modules (taking, lineage, lease); this one carries them out.
"""

import logging
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from penstock.consumer.family import ShardFamily
from penstock.consumer.feed import Budget, CallFailed, ShardGone
from penstock.consumer.feeding import Feed
from penstock.consumer.lease import Lease
from penstock.consumer.lineage import done_with, has_hole
from penstock.consumer.measures import Measures
from penstock.consumer.processor import ProcessorBroken, RecordProcessor
from penstock.consumer.retry import CALLS
from penstock.consumer.shardrun import Manner, ShardRun, World
from penstock.consumer.store import LeaseStore, StoreUnavailable
from penstock.consumer.taking import Ask, Move, Rhythm, Sighting, Standing, Take, decide, look
from penstock.consumer.tenure import Ending, LeaseLost, Tenure

logger = logging.getLogger("penstock.consumer")
HOLES_MAX: Final = 3  # looks in a row that show one, before the shards are listed
TIDY_MS: Final = 60_000
ATTEND_MS: Final = 10_000
LEAVING_POLL_MS: Final = 20
DECLINES_MAX: Final = 3  # looks for what is left to decline, before it is left to expire
FAILURES: Final = (StoreUnavailable, CallFailed, ShardGone)


class Making(Struct, frozen=True):
    """What a worker is made of."""

    worker_id: str
    store: LeaseStore
    family: ShardFamily
    feed: Feed
    make_processor: Callable[[], RecordProcessor]
    rhythm: Rhythm
    manner: Manner
    in_flight_bytes: int


class _Held:
    """A lease that we hold, and the work on it."""

    def __init__(self, tenure: Tenure, run: ShardRun, world: World) -> None:
        self.tenure = tenure
        self.run = run
        self.work = world.tasks()  # the run alone, so that it can be ended by force
        self.keeping = world.tasks()  # what keeps its lease alive
        self.ended = False


class Worker:
    """One worker.  `run` until it is stopped."""

    def __init__(self, making: Making, world: World, measures: Measures) -> None:
        self._making = making
        self._world = world
        self._measures = measures
        self._rhythm = making.rhythm
        self._budget = Budget(making.in_flight_bytes)
        self._seen: dict[str, Sighting] = {}
        self._held: dict[str, _Held] = {}
        self._holes = 0
        self._tidied_ms: int = world.clock.now_ms()
        self._attended_ms: int | None = None
        self._led = False
        self._stopping = False

    @property
    def held(self) -> list[str]:
        """The shards that it works on."""
        return sorted(self._held)

    async def run(self) -> None:
        """Work until `stop` was called; every lease is let go when this returns.  Raises StoreRefused."""
        await self._making.store.open()
        failures = 0
        try:
            while not self._stopping:
                try:
                    await self._turn()
                    failures = 0
                except FAILURES as error:
                    failures += 1
                    if failures in (1, 10, 100):
                        logger.warning("leases cannot be looked at, will be: %s", error)
                    await self._world.clock.sleep(CALLS.wait_ms(failures, self._world.entropy.fraction))
                await self._sleep()
            await self._let_go_of_all()
        finally:
            for held in list(self._held.values()):
                await held.work.stop()
                await held.keeping.stop()
            await self._making.store.close()

    def stop(self) -> None:
        """Begin to stop: processors are told, leases are let go."""
        self._stopping = True
        for held in self._held.values():
            held.tenure.end(Ending.STOPPING)

    async def _sleep(self) -> None:
        """Until the next look; less where a lease becomes free before."""
        now_ms: int = self._world.clock.now_ms()
        jitter = 0.8 + 0.4 * self._world.entropy.fraction()
        until_ms = now_ms + round(self._rhythm.scan_ms * jitter)
        for key, sighting in self._seen.items():
            free_ms = sighting.free_since_ms(self._rhythm)
            if key not in self._held and now_ms < free_ms < until_ms and not sighting.lease.checkpoint.ended:
                until_ms = free_ms
        await self._world.clock.sleep(max(1, until_ms - now_ms))

    async def _turn(self) -> None:
        leases = await self._making.store.leases()
        now_ms = self._world.clock.now_ms()
        if not leases or await self._has_hole(leases):
            await self._making.family.sync()
            leases = await self._making.store.leases()
            now_ms = self._world.clock.now_ms()
        self._seen = look(self._seen, leases, now_ms)
        await self._attend(now_ms)
        self._compare()
        standing = Standing(self._making.worker_id, frozenset(self._held), self._led)
        for move in decide(self._seen, standing, now_ms, self._rhythm, self._world.entropy.fraction):
            await self._carry_out(move)
        await self._tidy(now_ms)
        self._measures.holds(len(self._held))

    async def _has_hole(self, leases: list[Lease]) -> bool:
        self._holes = self._holes + 1 if has_hole(leases) else 0
        if self._holes < HOLES_MAX:
            return False
        self._holes = 0
        logger.info("some hash keys have no lease; the shards are listed")
        return True

    def _compare(self) -> None:
        """Look for news of the leases that we hold."""
        for key, held in self._held.items():
            sighting = self._seen.get(key)
            if held.tenure.saw(None if sighting is None else sighting.lease):
                held.keeping.spawn(self._renew(held), f"look at {key}")

    async def _carry_out(self, move: Move) -> None:
        if self._stopping or not await self._is_orphan(move.lease):
            return
        lease, worker_id = move.lease, self._making.worker_id
        match move:
            case Take():
                sent_ms = self._world.clock.now_ms()
                taken = lease.taken(worker_id)
                if lease.key not in self._held and await self._making.store.swap(lease, taken):
                    self._begin(taken, sent_ms)
            case Ask():
                if await self._making.store.swap(lease, lease.asked_for(worker_id)):
                    logger.info("%s: asked of %s", lease.key, lease.owner)

    async def _is_orphan(self, lease: Lease) -> bool:
        """Whether parents that were not listed are not there, or ended: a listing is no picture of one moment."""
        for parent in lease.parents:
            if parent not in self._seen:
                stored = await self._making.store.get(parent)
                if stored is not None and not stored.checkpoint.ended:
                    return False
        return True

    def _begin(self, lease: Lease, sent_ms: int) -> None:
        logger.info("%s: taken, from %s", lease.key, lease.checkpoint)
        making = self._making
        tenure = Tenure(lease, making.worker_id, making.store, self._world.clock, self._rhythm.failover_ms)
        tenure.good_until_ms = sent_ms + self._rhythm.failover_ms
        run = ShardRun(
            tenure,
            making.make_processor,
            making.feed,
            making.family,
            self._budget,
            making.manner,
            self._world,
            self._measures,
        )
        held = _Held(tenure, run, self._world)
        self._held[lease.key] = held
        if self._stopping:
            tenure.end(Ending.STOPPING)
        held.work.spawn(self._work(held), f"work on {lease.key}")
        held.keeping.spawn(self._keep(held), f"keep {lease.key}")
        self._measures.taken()

    async def _work(self, held: _Held) -> None:
        """Run a shard, and see that its lease does not stay behind."""
        try:
            await held.run.run()
        except ProcessorBroken as error:
            logger.warning("%s: begun anew: %s", held.run.shard_id, error)
            await self._give_back(held.tenure)
        except Exception:
            logger.exception("%s: the work on it broke; its lease is let go", held.run.shard_id)
            await self._give_back(held.tenure)
        await held.run.close()
        self._forget(held)

    def _forget(self, held: _Held) -> None:
        held.ended = True
        del self._held[held.run.shard_id]

    async def _keep(self, held: _Held) -> None:
        """Renew a lease until the work on it has ended; end it by force where a processor does not."""
        leaving_ms: int | None = None
        while True:
            await self._world.clock.sleep(self._rhythm.renew_ms)
            if held.ended:
                return
            if held.tenure.ending in (Ending.ASKED, Ending.STOPPING):
                now_ms = self._world.clock.now_ms()
                leaving_ms = now_ms if leaving_ms is None else leaving_ms
                if now_ms - leaving_ms >= self._rhythm.handoff_ms:
                    break
            await self._renew(held)
        logger.warning("%s: its processor did not end in time; the lease is let go", held.run.shard_id)
        await held.work.stop()
        if not held.ended:
            await self._give_back(held.tenure)
            await held.run.close()
            self._forget(held)

    async def _renew(self, held: _Held) -> None:
        try:
            await held.tenure.renew(held.run.kbps())
            self._measures.renewed(well=True)
        except LeaseLost:
            self._measures.lost()
        except StoreUnavailable as error:
            self._measures.renewed(well=False)
            logger.debug("not renewed, will be: %s", error)

    async def _give_back(self, tenure: Tenure) -> None:
        try:
            await tenure.write(Lease.let_go)
        except (LeaseLost, StoreUnavailable) as error:
            logger.debug("not let go: %s", error)
        tenure.end(Ending.LEFT)

    async def _let_go_of_all(self) -> None:
        while self._held:
            await self._world.clock.sleep(LEAVING_POLL_MS)
        for _ in range(DECLINES_MAX):
            try:
                if not await self._decline():
                    return
            except StoreUnavailable as error:
                logger.debug("not declined: %s", error)

    async def _decline(self) -> bool:
        """Give back what this worker has asked for and can have no more; whether there was anything."""
        worker_id = self._making.worker_id
        left = [
            lease for lease in await self._making.store.leases() if worker_id in (lease.owner, lease.checkpoint_owner)
        ]
        for lease in left:
            await self._making.store.swap(lease, lease.declined(worker_id))
        return bool(left)

    async def _attend(self, now_ms: int) -> None:
        if self._attended_ms is not None and now_ms - self._attended_ms < ATTEND_MS:
            return
        self._attended_ms = now_ms
        now_s = self._world.wall.now_ms() // 1000
        self._led = await self._making.store.attend(self._making.worker_id, now_s)
        self._rhythm = self._making.rhythm.beside_kcl() if self._led else self._making.rhythm

    async def _tidy(self, now_ms: int) -> None:
        """Take away the leases that are done with."""
        if now_ms - self._tidied_ms < TIDY_MS:
            return
        self._tidied_ms = now_ms
        for lease in done_with({key: sighting.lease for key, sighting in self._seen.items()}):
            await self._making.store.delete(lease)
