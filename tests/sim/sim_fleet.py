"""The workers of a simulated fleet: each a whole consumer with its own clock, its own door to the store, and a gate that stalls or ends it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from sim_kinesis import SimSource

from penstock.consumer.family import ShardFamily
from penstock.consumer.lease import Lease
from penstock.consumer.measures import Measures
from penstock.consumer.polling import Pace, Polling
from penstock.consumer.position import Checkpoint
from penstock.consumer.processor import Batch, Checkpointer, RecordProcessor
from penstock.consumer.retry import Retry
from penstock.consumer.shardrun import Manner, World
from penstock.consumer.store import StoreUnavailable
from penstock.consumer.worker import Making, Worker
from penstock.core.ids import Millis
from penstock.host.sim.chance import Chance
from penstock.host.sim.clock import SimClock
from penstock.host.sim.tasks import SimTasks

if TYPE_CHECKING:
    from sim_consumer import ConsumerWorld


class Dead(BaseException):
    """The process is gone; nothing that it still does has an effect."""


class Gate:
    """What lets a worker go on: closed while it stalls, gone when it has crashed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.stalls_after_write = False  # at the next write that has taken effect, before it is answered
        self._open: asyncio.Future[None] | None = None

    def stall(self) -> None:
        """Stop it at its next await."""
        self.stalls_after_write = False
        if self._open is None:
            self._open = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        """Let it go on."""
        if self._open is not None:
            self._open.set_result(None)
            self._open = None

    @property
    def stalled(self) -> bool:
        """Whether it is stopped."""
        return self._open is not None

    async def passed(self) -> None:
        """Return when the process runs."""
        while self._open is not None:
            await asyncio.shield(self._open)
        if self.dead:
            raise Dead


class WorkerClock:
    """A steady clock with its own zero."""

    def __init__(self, clock: SimClock, gate: Gate, zero_ms: int) -> None:
        self._clock = clock
        self._gate = gate
        self._zero_ms = zero_ms

    def now_ms(self) -> Millis:
        """Milliseconds since its zero."""
        return Millis(self._zero_ms + self._clock.now_ms())

    async def sleep(self, duration_ms: int) -> None:
        """Sleep, and longer where the process stalls."""
        await self._clock.sleep(duration_ms)
        await self._gate.passed()


class StoreDoor:
    """The store as one worker sees it: late, and not answering at times, before or after a write has taken effect."""

    def __init__(self, world: "ConsumerWorld", gate: Gate) -> None:
        self._world = world
        self._gate = gate
        self._draw = world.stream(f"store of {gate.name}")

    async def _pass(self) -> None:
        await self._gate.passed()
        await self._world.clock.sleep(self._draw.choice((0, 1, 1, 2, 5, self._world.slow_ms)))
        await self._gate.passed()
        if self._world.store_away or self._draw.random() < self._world.store_failing:
            raise StoreUnavailable("simulated")

    async def open(self) -> None:
        """Nothing to make."""

    async def leases(self) -> list[Lease]:
        """All leases."""
        await self._pass()
        keys = sorted(self._world.store.stored, key=lambda _: self._draw.random())
        half = len(keys) // 2
        leases = [self._world.store.stored[key] for key in keys[:half]]
        await self._world.clock.sleep(self._draw.choice((0, 5, 150)))  # a listing is no picture of one moment
        await self._pass()
        later = keys[half:] + [key for key in self._world.store.stored if key not in keys and self._draw.random() < 0.5]
        leases += [self._world.store.stored[key] for key in later if key in self._world.store.stored]
        await self._pass()
        return leases

    async def get(self, key: str) -> Lease | None:
        """One lease."""
        await self._pass()
        lease = await self._world.store.get(key)
        await self._pass()
        return lease

    async def create(self, lease: Lease) -> bool:
        """Add a lease."""
        await self._pass()
        done = await self._world.store.create(lease)
        if done:
            self._world.judge_create(lease)
        await self._pass()
        return done

    async def swap(self, old: Lease, new: Lease) -> bool:
        """Replace a lease."""
        await self._pass()
        before = self._world.store.stored.get(old.key)
        done = await self._world.store.swap(old, new)
        if done and before is not None:
            self._world.judge_swap(self._gate.name, before, new)
            if self._gate.stalls_after_write:
                self._gate.stall()
        await self._pass()
        return done

    async def delete(self, lease: Lease) -> bool:
        """Take a lease away."""
        await self._pass()
        done = await self._world.store.delete(lease)
        await self._pass()
        return done

    async def attend(self, worker: str, now_s: int) -> bool:
        """Nobody leads."""
        return False

    async def close(self) -> None:
        """Nothing to let go of."""


class JudgedProcessor(RecordProcessor):
    """Processes slowly, fails at times, and tells the world of each batch."""

    def __init__(self, world: "ConsumerWorld", gate: Gate, draw: Chance, automatic: bool) -> None:
        self.automatic = automatic
        self._world = world
        self._gate = gate
        self._draw = draw
        self._unsaved = False

    async def initialize(self, shard_id: str, at: Checkpoint) -> None:
        """Take a while."""
        await self._gate.passed()
        self._world.say(f"{self._gate.name} begins {shard_id} at {at}")

    async def process_records(self, batch: Batch) -> None:
        """Process a batch, the last part of it a while later."""
        self._world.judge_begin(self._gate.name, batch)
        await self._world.clock.sleep(self._draw.choice((0, 1, 5, 30)))
        await self._gate.passed()
        if self._draw.random() < 0.05:
            raise RuntimeError("simulated")
        self._world.judge_processed(batch)
        self._unsaved = True
        if not self.automatic and self._draw.random() < 0.5:
            await self._save(batch)

    async def _save(self, batch: Batch) -> None:
        at = self._draw.choice((None, batch.records[-1], batch.records[0]))
        await batch.checkpoint(at)

    async def shutdown_requested(self, checkpointer: Checkpointer) -> None:
        """Checkpoint, or not."""
        await self._gate.passed()
        if not self.automatic and self._unsaved and self._draw.random() < 0.7:
            await checkpointer.checkpoint()


class Life:
    """One worker from its start to its end."""

    def __init__(self, world: "ConsumerWorld", number: int, life: int) -> None:
        self.gate = Gate(f"worker{number}.{life}")
        self._tasks = SimTasks()
        self._made: list[SimTasks] = []
        draw = world.stream(self.gate.name)
        clock = WorkerClock(world.clock, self.gate, draw.randrange(10**6))
        measures = Measures()
        ports = World(clock, world.clock, DrawnEntropy(draw), self._new_tasks)
        door = StoreDoor(world, self.gate)
        source = SimSource(world.stream_truth, self._call(world, draw), draw)
        pace = Pace(idle_ms=draw.choice((100, 300)), limit=20)
        family = ShardFamily(source, door, world.begin, clock)
        manner = Manner(retry=Retry(first_ms=10, longest_ms=200), checkpoint_every_ms=draw.choice((0, 50, 300)))
        making = Making(
            worker_id=self.gate.name,
            store=door,
            family=family,
            feed=Polling(source, world.begin, pace, clock, ports.entropy, measures),
            make_processor=lambda: JudgedProcessor(world, self.gate, draw, world.automatic),
            rhythm=world.rhythm,
            manner=manner,
            in_flight_bytes=draw.choice((100, 100_000)),
        )
        self.worker = Worker(making, ports, measures)
        self._tasks.spawn(self._run(), self.gate.name)

    async def _run(self) -> None:
        with suppress(Dead):
            await self.worker.run()

    def _new_tasks(self) -> SimTasks:
        tasks = SimTasks()
        self._made.append(tasks)
        return tasks

    def _call(self, world: "ConsumerWorld", draw: Chance) -> Callable[[], Awaitable[None]]:
        async def call() -> None:
            await self.gate.passed()
            await world.clock.sleep(draw.choice((0, 1, 3)))
            await self.gate.passed()

        return call

    @property
    def over(self) -> bool:
        """Whether it has come to its end by itself."""
        return not self._tasks._running

    async def crash(self) -> None:
        """End it here and now."""
        self.gate.dead = True
        self.gate.resume()
        await self._tasks.stop()
        for tasks in self._made:
            await tasks.stop()

    def failures(self) -> Iterator[tuple[str, BaseException]]:
        """What its tasks died of, but for its own death."""
        for tasks in (self._tasks, *self._made):
            yield from (failure for failure in tasks.failures if not isinstance(failure[1], Dead))


class DrawnEntropy:
    """A stream of numbers as the Entropy port."""

    def __init__(self, draw: Chance) -> None:
        self._draw = draw

    def bytes(self, count: int) -> bytes:
        """Bytes."""
        return self._draw.randbytes(count)

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return self._draw.random()
