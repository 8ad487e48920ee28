"""One shard while this worker holds its lease: pages in, batches to the processor, checkpoints out, and an end of one kind or another.

Rules of this file:
  1. A batch is given only while the tenure is good, with no await between the question and the call.
  2. A checkpoint never passes what the processor has taken without complaint (or the dead letters have).
  3. The leases of a shard's children exist before it is written down as ended.
"""

import logging
from collections.abc import Awaitable, Callable

from msgspec import Struct

from penstock.consumer.feed import Budget, Page, Pipe, Record
from penstock.consumer.feeding import Family, Feed, keep_fed
from penstock.consumer.lease import Lease
from penstock.consumer.measures import Measures
from penstock.consumer.position import LATEST, Checkpoint
from penstock.consumer.processor import BadCheckpoint, Batch, DeadLetters, ProcessorBroken, RecordProcessor
from penstock.consumer.retry import CALLS, Retry
from penstock.consumer.store import StoreUnavailable
from penstock.consumer.tenure import Ending, LeaseLost, Tenure
from penstock.core.ports import Clock, Entropy, Tasks

logger = logging.getLogger("penstock.consumer")


class Manner(Struct, frozen=True):
    """How records are processed."""

    retry: Retry = Retry()
    checkpoint_every_ms: int = 1_000  # of automatic ones
    dead_letters: DeadLetters | None = None  # takes what `retry` has given up; without it nothing is ever given up


class World(Struct, frozen=True):
    """The ports that everything here uses."""

    clock: Clock  # steady: for leases and waits
    wall: Clock  # the time of day
    entropy: Entropy
    tasks: Callable[[], Tasks]


class ShardRun:
    """One tenure's work."""

    def __init__(
        self,
        tenure: Tenure,
        make_processor: Callable[[], RecordProcessor],
        feed: Feed,
        family: Family,
        budget: Budget,
        manner: Manner,
        world: World,
        measures: Measures,
    ) -> None:
        self.tenure = tenure
        self.shard_id = tenure.lease.key
        self._make_processor = make_processor
        self._processor = RecordProcessor()  # until there is the user's own
        self._feed = feed
        self._family = family
        self._manner = manner
        self._world = world
        self._measures = measures
        self._pipe = Pipe(budget)
        self._given = tenure.lease.checkpoint  # the last record that the processor has seen
        self._done = tenure.lease.checkpoint  # the last that it has taken
        self._inside = False  # a batch is with the processor
        self._at_end: tuple[str, ...] | None = None  # the children, once there is nothing more to give
        self._bytes = 0  # processed since throughput was last asked for
        self._asked_ms = world.clock.now_ms()
        self._kbps = 0.0
        self._checkpointed_ms = world.clock.now_ms()
        tenure.on_change = self._pipe.wake

    async def run(self) -> None:
        """Process until the tenure ends."""
        tasks = self._world.tasks()
        try:
            fresh = await self._begin()
            clock, entropy = self._world.clock, self._world.entropy
            fed = keep_fed(self._feed, self._family, lambda: self.tenure.lease, self._pipe, clock, entropy, fresh=fresh)
            tasks.spawn(fed, f"feed {self.shard_id}")
            await self._pages()
        except LeaseLost:
            pass
        finally:
            await tasks.stop()
            self._pipe.close()
        await self._leave()

    def kbps(self) -> float:
        """What the shard carries, in KB a second: as KCL has it, half of what it was and half of what came since."""
        now_ms = self._world.clock.now_ms()
        elapsed_ms = now_ms - self._asked_ms
        if elapsed_ms > 0:
            self._kbps = round(self._kbps / 2 + self._bytes / 1024 / (elapsed_ms / 1000) / 2, 3)
            self._bytes, self._asked_ms = 0, now_ms
        return self._kbps

    async def close(self) -> None:
        """Let go of the processor, whatever has happened."""
        try:
            await self._processor.close()
        except Exception:
            logger.exception("%s: the processor cannot be closed", self.shard_id)

    async def _begin(self) -> bool:
        lease = self.tenure.lease
        fresh = lease.checkpoint.sequence == LATEST and lease.began_ms is None
        if fresh:
            now_ms = self._world.wall.now_ms()
            await self._stored(lambda lease: lease.begun(now_ms))
        await self._insist(self._initialize, "initialize")
        return fresh

    async def _initialize(self) -> None:
        self._processor = self._make_processor()
        try:
            await self._processor.initialize(self.shard_id, self.tenure.lease.checkpoint)
        except Exception:
            await self.close()
            raise

    async def _pages(self) -> None:
        while self.tenure.ending is None:
            page = await self._pipe.take()
            if page is None:
                continue
            if page.records and not await self._process(page):
                return
            if page.ended:
                await self._end(page.children)
                return
            await self._checkpoint_if_due()

    async def _process(self, page: Page) -> bool:
        """Give a page until it is taken; False once the tenure ends before."""
        failures = 0
        began_ms = self._world.clock.now_ms()
        while await self.tenure.until_good():
            if self.tenure.ending is not None:
                return False
            self._given = page.records[-1].checkpoint
            self._inside = True
            try:
                await self._processor.process_records(Batch(self.shard_id, page.records, page.behind_ms, self))
            except LeaseLost:
                return False
            except ProcessorBroken:
                raise
            except Exception as error:  # noqa: BLE001  # a user's code may raise anything
                failures += 1
                self._measures.failed(self.shard_id)
                logger.warning("%s: process_records failed %d times: %r", self.shard_id, failures, error)
                if not await self._given_up(page.records, failures, error):
                    await self._wait(self._manner.retry.wait_ms(failures, self._world.entropy.fraction))
                    continue
            finally:
                self._inside = False
            self._done = self._given
            self._bytes += page.size_bytes
            self._measures.processed(self.shard_id, page, self._world.clock.now_ms() - began_ms)
            return True
        return False

    async def _given_up(self, records: list[Record], failures: int, error: Exception) -> bool:
        hook = self._manner.dead_letters
        if hook is None or not self._manner.retry.exhausted(failures):
            return False
        try:
            await hook(self.shard_id, records, error)
        except Exception:
            logger.exception("%s: the dead-letter hook failed; the batch is tried again", self.shard_id)
            return False
        self._measures.dead(self.shard_id, len(records))
        return True

    async def _checkpoint_if_due(self) -> None:
        now_ms = self._world.clock.now_ms()
        if not self._processor.automatic or now_ms - self._checkpointed_ms < self._manner.checkpoint_every_ms:
            return
        self._checkpointed_ms = now_ms
        try:
            await self._save(self._done)
        except StoreUnavailable as error:
            logger.warning("%s: not checkpointed, will be: %s", self.shard_id, error)

    async def _save(self, at: Checkpoint) -> None:
        if at.passes(self.tenure.lease.checkpoint):
            await self.tenure.write(lambda lease: lease.at(at))
            self._measures.checkpointed(self.shard_id)

    async def checkpoint(self, at: Record | Checkpoint | None = None) -> None:
        """The processor's own checkpoint: `Checkpointer.checkpoint`."""
        if isinstance(at, Record):
            at = at.checkpoint
        if self._at_end is not None and (at is None or at.ended):
            await self._over()
            return
        everything = self._given if self._inside else self._done
        wanted = everything if at is None else at
        if wanted.passes(self._given) or self.tenure.lease.checkpoint.passes(wanted):
            raise BadCheckpoint(
                f"{self.shard_id}: {wanted} is not between the last checkpoint, {self.tenure.lease.checkpoint},"
                f" and the last record given, {self._given}"
            )
        await self._save(wanted)

    async def _end(self, children: tuple[str, ...]) -> None:
        """The last page was processed."""
        made: list[tuple[str, ...]] = []

        async def ensure() -> None:
            made.append(await self._family.ensure(self.shard_id, children))

        await self._insist(ensure, "making the leases of its children")
        if not made:
            return
        self._at_end = made[-1]
        if await self._insist(lambda: self._processor.shard_ended(self), "shard_ended"):
            await self._over()

    async def _over(self) -> None:
        children = self._at_end
        if children is None or self.tenure.ending is Ending.OVER:
            return
        await self._stored(lambda lease: lease.over(children))
        self.tenure.end(Ending.OVER)

    async def _leave(self) -> None:
        match self.tenure.ending:
            case Ending.OVER:
                logger.info("%s: read to its end", self.shard_id)
            case Ending.LOST:
                logger.info("%s: another worker has it", self.shard_id)
                await self._processor.lease_lost()
            case _:
                await self._hand_over()

    async def _hand_over(self) -> None:
        try:
            if await self.tenure.until_good():
                await self._say_goodbye()
            if self._processor.automatic:
                await self._stored(lambda lease: lease.at(self._done))
            await self._stored(Lease.let_go)
            self.tenure.end(Ending.LEFT)
        except LeaseLost:
            await self._processor.lease_lost()

    async def _say_goodbye(self) -> None:
        try:
            await self._processor.shutdown_requested(self)
        except LeaseLost:
            raise
        except Exception:
            logger.exception(
                "%s: shutdown_requested failed; what was not checkpointed will be given again", self.shard_id
            )

    async def _stored(self, change: Callable[[Lease], Lease]) -> None:
        """Write until it is written.  Raises LeaseLost."""
        failures = 0
        while True:
            try:
                await self.tenure.write(change)
            except StoreUnavailable as error:
                failures += 1
                logger.warning("%s: the store does not answer: %s", self.shard_id, error)
                await self._world.clock.sleep(CALLS.wait_ms(failures, self._world.entropy.fraction))
            else:
                return

    async def _insist(self, work: Callable[[], Awaitable[None]], what: str) -> bool:
        """Do something again and again until it succeeds, or until it has failed and the tenure ends.  Raises LeaseLost."""
        failures = 0
        while await self.tenure.until_good():
            if failures and self.tenure.ending is not None:
                return False
            try:
                await work()
            except (LeaseLost, ProcessorBroken):
                raise
            except Exception as error:  # noqa: BLE001  # a user's code may raise anything
                failures += 1
                logger.warning("%s: %s failed %d times: %r", self.shard_id, what, failures, error)
                await self._wait(self._manner.retry.wait_ms(failures, self._world.entropy.fraction))
            else:
                return True
        raise LeaseLost(self.shard_id)

    async def _wait(self, duration_ms: int) -> None:
        """Sleep, in steps, so that an ending is not waited for long."""
        until_ms = self._world.clock.now_ms() + duration_ms
        while self.tenure.ending is None and (left_ms := until_ms - self._world.clock.now_ms()) > 0:
            await self._world.clock.sleep(min(left_ms, 500))
