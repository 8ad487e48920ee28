"""The consumer in a simulated world: five workers on one stream and one store, with crashes, stalls, reshards and a store that is slow or away.

Theory.  The stream and the store are the truth; every worker sees them late.  A worker that stalls (a stopped process, a suspended machine)
stops at its next await, while its clock goes on.  The laws, held at the moment at which each could be broken:
  1. A batch begins only on a lease whose holder, by the store, is that worker.  What was begun may outlast the lease, but not write to it.
  2. A checkpoint never passes a record that nobody has processed, never goes back, and a shard ends after all of its records.
  3. A shard begins after its parents' last records; the first processing of a key's records is in their order.
  4. What a worker held when it crashed is held again within two failover times, of those in which the store answers and anybody runs.
  5. In the end everything was processed, every lease is held, and no worker has two more than another.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sim_fleet import Life
from sim_history import Wrong, expect
from sim_kinesis import SimStream
from sim_run import SeedFailed

from penstock.consumer.lease import Lease
from penstock.consumer.lineage import may_start
from penstock.consumer.position import LATEST, TRIM_HORIZON, Begin
from penstock.consumer.processor import Batch
from penstock.consumer.stores.memory import MemoryStore
from penstock.consumer.taking import Rhythm
from penstock.host.sim.chance import Chance
from penstock.host.sim.clock import SimClock
from penstock.host.sim.loop import SimLoop

WORKERS: Final = 5
WORLD_MS: Final = 3_600_000
NEVER: Final = -1


class ConsumerWorld:
    """One seed's world."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None) -> None:
        self.seed = seed
        self._trace = trace
        self.loop = SimLoop()
        self.clock = SimClock(self.loop)
        self.draw = self.stream("settings")
        self.store = MemoryStore()
        self.stream_truth = SimStream(self.draw.randrange(1, 7))
        self.rhythm = Rhythm(failover_ms=self.draw.choice((1_000, 3_000)), handoff_ms=5_000)
        self.begin = Begin(self.draw.choice((TRIM_HORIZON, TRIM_HORIZON, LATEST)))
        self.automatic = self.draw.random() < 0.5
        self.slow_ms = self.draw.choice((5, 5, 40))
        self.store_failing = 0.0
        self.store_away = False
        self.away_since_ms = NEVER
        self.disturbed_ms = NEVER  # when last the store failed, or nobody ran
        self.lives: dict[int, Life] = {}
        self.processed: set[str] = set()  # sequence numbers
        self.given: set[str] = set()  # sequence numbers of batches that were begun
        self.first_turn: dict[str, int] = {}  # the last turn of each key that was processed for the first time
        self.orphans: dict[str, int] = {}  # leases whose holder crashed, and when
        self.turns: dict[str, int] = {}
        self.leased: set[str] = set()  # shards that ever had a lease
        self.latest: set[str] = set()  # those that were to begin at the latest record
        self.wrong: Wrong | None = None
        self._write_history()

    def stream(self, name: str) -> Chance:
        """A sequence of numbers of its own."""
        return Chance(self.seed, name)

    def say(self, line: str) -> None:
        """A line of the trace."""
        if self._trace is not None:
            self._trace(f"{self.loop.now_us:>12} {line}")

    def now_ms(self) -> int:
        """True time."""
        return self.loop.now_us // 1000

    def _hold(self, truth: bool, *what: object) -> None:
        """A law; what breaks it ends the world, whoever catches the exception on its way."""
        if not truth:
            self.wrong = self.wrong or Wrong(" ".join(map(str, what)))
            self.loop.halt()

    def judge_begin(self, worker: str, batch: Batch) -> None:
        """Law 1 and the first half of law 3."""
        lease = self.store.stored.get(batch.shard_id)
        self.say(f"{worker} processes {len(batch.records)} of {batch.shard_id} from {batch.records[0].sequence_number}")
        self._hold(lease is not None, worker, "processes", batch.shard_id, "which has no lease")
        assert lease is not None
        self._hold(lease.holder == worker, worker, "processes", batch.shard_id, "held by", lease.holder)
        for parent in lease.parents:
            self._hold_all_processed(parent, f"{worker} begins {batch.shard_id} before the end of")

    def _hold_all_processed(self, shard_id: str, what: str) -> None:
        held = self.stream_truth.shards[shard_id]
        left = [
            record for record in held.records if not self._counts_as_done(held.shard.shard_id, record.sequence_number)
        ]
        self._hold(not left, what, shard_id, "of which", len(left), "records are not processed")

    def _counts_as_done(self, shard_id: str, number: str) -> bool:
        return number in self.processed or self._skipped(shard_id, number)

    def _skipped(self, shard_id: str, number: str) -> bool:
        """Whether an application that begins at the latest record has no claim to it."""
        if self.begin.kind != LATEST or (shard_id in self.leased and shard_id not in self.latest):
            return False
        return self.stream_truth.latest.get(shard_id, int(number) + 1) > int(number)

    def judge_processed(self, batch: Batch) -> None:
        """The second half of law 3."""
        for record in batch.records:
            number = record.sequence_number
            if number in self.processed:
                continue
            self.processed.add(number)
            if self._skipped(batch.shard_id, number):  # it came while the first worker asked for the latest
                continue
            key, _, turn = record.data.decode().rpartition(".")
            before = self.first_turn.get(key, 0)
            self._hold(
                self.begin.kind == LATEST or before + 1 == int(turn), f"{key}.{turn} is processed after {before}"
            )
            self._hold(before < int(turn), f"{key}.{turn} is processed after {before}")
            self.first_turn[key] = int(turn)

    def judge_create(self, lease: Lease) -> None:
        """A lease was made."""
        self.say(f"{lease.key} has a lease, at {lease.checkpoint}")
        if lease.checkpoint.sequence == LATEST:
            known = [parent for parent in lease.parents if parent in self.leased]
            self._hold(not known, lease.key, "is to begin at the latest record, and descends from", known)
        self.leased.add(lease.key)
        if lease.checkpoint.sequence == LATEST:
            self.latest.add(lease.key)

    def judge_swap(self, worker: str, old: Lease, new: Lease) -> None:
        """Law 2, and the bookkeeping of law 4."""
        self._hold(not old.checkpoint.passes(new.checkpoint), worker, "sets", old.key, "back to", new.checkpoint)
        self._hold(not old.checkpoint.ended, worker, "writes to", old.key, "after its end")
        if old.checkpoint != new.checkpoint:
            self._judge_checkpoint(worker, new)
        if new.holder != old.holder:
            self.say(f"{old.key}: {old.holder} -> {new.holder}, by {worker}")
        if new.holder == worker and old.key in self.orphans:
            self._judge_orphan(old.key)

    def _judge_checkpoint(self, worker: str, new: Lease) -> None:
        self.say(f"{worker} checkpoints {new.key} at {new.checkpoint}")
        held = self.stream_truth.shards[new.key]
        if new.checkpoint.ended:
            self._hold(not held.open, worker, "ends", new.key, "which is open")
            self._hold_all_processed(new.key, f"{worker} ends")
            children = [shard.shard_id for shard in self.stream_truth.listing() if new.key in shard.parents]
            gone = [child for child in children if child not in self.store.stored]
            self._hold(not gone, worker, "ends", new.key, "and there is no lease for", gone)
            return
        for record in held.records:
            number = record.sequence_number
            if int(number) <= int(new.checkpoint.sequence):
                self._hold(
                    self._counts_as_done(new.key, number),
                    worker,
                    "checkpoints",
                    new.key,
                    "past",
                    number,
                    "not processed",
                )

    def _judge_orphan(self, key: str) -> None:
        since_ms = self.orphans.pop(key)
        took_ms = self.now_ms() - max(since_ms, self.disturbed_ms)
        self.say(f"{key}: held again after {took_ms} ms")
        if not self.disturbed():
            self._hold(took_ms <= 2 * self.rhythm.failover_ms, key, "was nobody's for", took_ms, "ms")

    def disturbed(self) -> bool:
        """Whether the store is away, or nobody runs; notes when it last was so."""
        running = any(not life.gate.stalled and not life.gate.dead for life in self.lives.values())
        stalled = any(life.gate.stalled for life in self.lives.values())
        if self.store_away or self.store_failing or not running or stalled:
            self.disturbed_ms = self.now_ms()
            return True
        return False

    # What happens.

    def _write_history(self) -> None:
        """What there is before anybody reads: records, and shards that are closed."""
        draw = self.stream("history")
        for _ in range(draw.choice((0, 0, 3))):
            for _ in range(draw.randrange(10)):
                self._put(draw)
            self.stream_truth.split(draw)

    def _put(self, draw: Chance) -> None:
        key = f"key{draw.randrange(12)}"
        self.turns[key] = self.turns.get(key, 0) + 1
        self.stream_truth.put(key, self.turns[key], self.clock.now_ms())

    async def produce(self) -> None:
        """Write records, key by key."""
        draw = self.stream("producer")
        for _ in range(draw.randrange(30, 200)):
            await self.clock.sleep(draw.choice((0, 1, 20, 100, 300)))
            self._put(draw)

    async def reshard(self) -> None:
        """Split and merge."""
        draw = self.stream("resharder")
        for _ in range(draw.randrange(8)):
            await self.clock.sleep(draw.randrange(100, 6_000))
            crowded = len(self.stream_truth.open_shards()) > 8
            what = self.stream_truth.merge(draw) if crowded or draw.random() < 0.5 else self.stream_truth.split(draw)
            self.say(f"resharded {what}")

    async def weather(self) -> None:
        """Let the store fail, or be away."""
        draw = self.stream("weather")
        for _ in range(draw.randrange(4)):
            await self.clock.sleep(draw.randrange(500, 8_000))
            self.disturbed()
            if draw.random() < 0.5:
                self.store_failing = draw.choice((0.05, 0.3))
            else:
                self.store_away = True
            self.say(f"the store is {'away' if self.store_away else 'failing'}")
            await self.clock.sleep(draw.randrange(100, 2 * self.rhythm.failover_ms))
            self.disturbed()
            self.store_failing, self.store_away = 0.0, False
            self.say("the store is well")

    async def fate(self, number: int) -> None:
        """One worker's lives."""
        draw = self.stream(f"fate {number}")
        await self.clock.sleep(draw.choice((0, 0, 500, 5_000)))
        life = self._start(number, 0)
        for turn in range(1, draw.randrange(1, 4)):
            await self.clock.sleep(draw.randrange(300, 7_000))
            match draw.choice(("crash", "crash", "stall", "stall", "stop")):
                case "crash":
                    await self._crash(life)
                    await self.clock.sleep(draw.choice((0, 200, 8_000)))
                    life = self._start(number, turn)
                case "stall":
                    await self._stall(life, draw)
                    await self.clock.sleep(draw.choice((50, self.rhythm.failover_ms, 3 * self.rhythm.failover_ms)))
                    self.disturbed()
                    life.gate.resume()
                    self.say(f"{life.gate.name} goes on")
                case _:
                    self.say(f"{life.gate.name} is told to stop")
                    life.worker.stop()
                    await self._ended(life)
                    life = self._start(number, turn)

    async def _stall(self, life: Life, draw: Chance) -> None:
        if draw.random() < 0.5:
            life.gate.stalls_after_write = True
            await self.clock.sleep(2 * self.rhythm.renew_ms)
        life.gate.stall()
        self.disturbed()
        self.say(f"{life.gate.name} stalls")

    def _start(self, number: int, turn: int) -> Life:
        self.say(f"worker{number}.{turn} starts")
        self.lives[number] = Life(self, number, turn)
        return self.lives[number]

    async def _crash(self, life: Life) -> None:
        self.say(f"{life.gate.name} crashes")
        for lease in self.store.stored.values():
            if lease.holder == life.gate.name and not lease.checkpoint.ended and may_start(lease, self.store.stored):
                self.orphans.setdefault(lease.key, self.now_ms())
        await life.crash()
        self.disturbed()

    async def _ended(self, life: Life) -> None:
        until_ms = self.now_ms() + 60_000
        while not life.over:
            await self.clock.sleep(100)
            expect(self.now_ms() < until_ms, life.gate.name, "does not stop")
        if (
            self.now_ms() - self.disturbed_ms > 2 * self.rhythm.failover_ms
        ):  # else it may not know that it has taken one
            holders = {lease.holder for lease in self.store.stored.values()}
            expect(life.gate.name not in holders, life.gate.name, "stopped, and holds a lease")

    async def live(self) -> None:
        """The whole of it, and then calm."""
        tasks = [
            asyncio.get_running_loop().create_task(work) for work in (self.produce(), self.reshard(), self.weather())
        ]
        tasks += [asyncio.get_running_loop().create_task(self.fate(number)) for number in range(WORKERS)]
        for task in tasks:
            await task
        self.disturbed()
        await self.clock.sleep(8 * self.rhythm.failover_ms + 5_000)
        self._judge_end()
        for life in self.lives.values():
            life.worker.stop()
        for life in self.lives.values():
            await self._ended(life)
            for name, error in life.failures():
                expect(False, name, "died of", repr(error))

    def _judge_end(self) -> None:
        for shard_id in self.stream_truth.shards:
            self._hold_all_processed(shard_id, "in the end there is")
        at_work = [lease for lease in self.store.stored.values() if not lease.checkpoint.ended]
        expect({lease.key for lease in at_work} == {held.shard.shard_id for held in self.stream_truth.open_shards()},
               "open shards and leases differ")  # fmt: skip
        counts = {life.gate.name: 0 for life in self.lives.values()}
        for lease in at_work:
            expect(lease.holder in counts, lease.key, "is held by", lease.holder)
            counts[str(lease.holder)] += 1
        expect(max(counts.values()) - min(counts.values()) <= 1, "leases are spread", counts)
        expect(not self.orphans, "never taken again:", self.orphans)


@contextmanager
def silenced() -> Iterator[None]:
    """Without the consumer's log."""
    logger = logging.getLogger("penstock.consumer")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def run_consumer_seed(seed: int, trace: Callable[[str], None] | None = None) -> int:
    """Run one seed; answer how many records were processed.  Raises SeedFailed."""
    world = ConsumerWorld(seed, trace)
    try:
        with silenced():
            world.loop.run(world.live(), WORLD_MS)
    except Exception as error:
        what = world.wrong or error
        raise SeedFailed(seed, f"{what if isinstance(what, Wrong) else repr(what)}", "consumer") from error
    finally:
        world.loop.drop_everything()
    return len(world.processed)
