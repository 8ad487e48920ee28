"""Delivery in a simulated world: a destination and a bucket that fail, a clock that jumps, and a server that crashes.

Theory.  Each record is its number.  The destination and the bucket are the judges: between them they see all that becomes of a record.  The
log and the metadata survive every end; what a crash takes away is everything that was in memory.
The laws, held at the moment at which each could be broken:
  1. A parcel is within the hints, its records are of those that were put, and none is in it twice.
  2. A record that was delivered or refused for good is not offered again in the same life of the server.
  3. In the end every record that was acknowledged was delivered or is in the error prefix, and all of them are accounted for.
"""

import logging
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from sim_history import Wrong, expect
from sim_mapping import SlowMeta
from sim_run import SeedFailed

from penstock.core.context import Caller
from penstock.core.ids import AccountId, Region
from penstock.engines.buckets import PLAIN, Body, BucketsUnavailable, ObjectHead
from penstock.engines.memory import MemoryBuckets, MemoryLog
from penstock.host.entropy import SeededEntropy
from penstock.host.sim.chance import Chance
from penstock.host.sim.clock import SimClock
from penstock.host.sim.loop import SimLoop
from penstock.host.sim.tasks import SimTasks
from penstock.services.firehose.destinations.api import Again, Delivered, Hints, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.makers import Makers
from penstock.services.firehose.ops.record import PutRecordBatchRequest, put_record_batch
from penstock.services.firehose.ops.stream import CreateDeliveryStreamRequest, create_delivery_stream
from penstock.services.firehose.service import Surroundings, open_firehose
from penstock.services.firehose.status import statuses
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.service import open_streams

WORLD_MS: Final = 24 * 3_600_000
CALLER: Final = Caller(AccountId("123456789012"), Region("us-east-1"), "test", "firehose:Test")
ROLE: Final = "arn:aws:iam::123456789012:role/firehose"
S3: Final = {
    "RoleARN": ROLE,
    "BucketARN": "arn:aws:s3:::lake",
    "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 10},
}
ENDPOINT: Final = {"EndpointConfiguration": {"Url": "https://peer/"}, "S3Configuration": S3}


class Lake(MemoryBuckets):
    """A bucket that is slow, and away now and then; a put that fails may have been carried out."""

    def __init__(self, clock: SimClock, draw: Chance) -> None:
        super().__init__()
        self._clock = clock
        self._draw = draw
        self.failing = 0.0

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        await self._clock.sleep(self._draw.choice((0, 5, 200)))
        fails = self._draw.random() < self.failing
        if not fails or self._draw.random() < 0.5:
            await super().put(bucket, key, body, head)
        if fails:
            raise BucketsUnavailable("simulated")

    def refused(self) -> set[int]:
        """The numbers in the error prefix."""
        lines = (line for body, _ in self.objects.get("lake", {}).values() for line in body.splitlines())
        return {int(b64decode(msgspec.json.decode(line)["rawData"])) for line in lines}


class AtOnce:
    """Threads that are none."""

    async def run(self, work: Callable[[], Any]) -> Any:
        return work()


class NoKeys:
    """There are no secrets in this world."""

    async def read(self) -> bytes | None:
        return None

    async def make(self) -> bytes:
        raise AssertionError


class DeliverySim:
    """One seed's world.  It is the destination."""

    name = "Sim"

    def __init__(self, seed: int, trace: Callable[[str], None] | None) -> None:
        self.seed = seed
        self._trace = trace
        self.loop = SimLoop()
        self.clock = SimClock(self.loop)
        draw = Chance(seed, "settings")
        self.log = MemoryLog(self.clock)
        self.meta = SlowMeta(self.clock, Chance(seed, "commits"))
        self.lake = Lake(self.clock, Chance(seed, "bucket"))
        self._fate = Chance(seed, "destination")
        self.failing = draw.choice((0.0, 0.3, 0.7))
        self.retry_ms = draw.choice((0, 3_000, 60_000))
        self.hints = Hints(
            draw.choice((20, 200, 1 << 20)),
            draw.choice((0, 1_000, 20_000)),
            draw.choice((1, 3)),
            draw.choice((None, 5)),
        )
        self.life = 0
        self.put = 0  # numbers that were used
        self.acked: set[int] = set()
        self.delivered: set[int] = set()
        self.settled: set[int] = set()  # in this life: delivered and told so, or refused
        self.wrong: Wrong | None = None

    def say(self, line: str) -> None:
        if self._trace is not None:
            self._trace(f"{self.loop.now_us:>12} {line}")

    def hold(self, truth: bool, *what: object) -> None:
        """A law; what breaks it ends the world, whoever catches the exception on its way."""
        if not truth:
            self.wrong = self.wrong or Wrong(" ".join(map(str, what)))
            self.loop.halt()

    # The destination.

    async def deliver(self, parcel: Parcel) -> Outcome:
        draw, life = self._fate, self.life
        numbers = [int(entry.data) for entry in parcel.entries]
        self._judge(parcel, numbers)
        await self.clock.sleep(draw.choice((0, 1, 50, 3_000)))
        if draw.random() < self.failing:
            return self._fail(parcel, numbers, life)
        self._deliver(numbers, life)
        return Delivered(1, len(numbers))

    def _judge(self, parcel: Parcel, numbers: Sequence[int]) -> None:
        size = sum(len(entry.data) for entry in parcel.entries)
        self.say(f"offered {numbers[0]} ... {len(numbers)}, attempt {parcel.attempts}")
        self.hold(size <= self.hints.size_bytes or len(numbers) == 1, "a parcel of", size)
        self.hold(len(numbers) <= (self.hints.records_max or len(numbers)), "a parcel of", len(numbers), "records")
        self.hold(len(set(numbers)) == len(numbers), "a record twice in", numbers)
        self.hold(max(numbers) <= self.put, "nobody put", max(numbers))
        again = self.settled & set(numbers)
        self.hold(not again, again, "are offered again, though they were settled")

    def _fail(self, parcel: Parcel, numbers: Sequence[int], life: int) -> Outcome:
        draw = self._fate
        again = Again("Sim.Failed", "simulated", parcel.entries, draw.choice((None, None, 5_000)))
        match draw.randrange(5):
            case 0:  # it is there, but the answer was lost
                self.delivered |= set(numbers)
                return again
            case 1:
                raise RuntimeError("simulated")
            case 2:
                self._settle(numbers, life)
                return Refused([_failure(entry) for entry in parcel.entries])
            case 3 if len(numbers) > 2:
                self._deliver(numbers[:1], life)
                self._settle(numbers[1:2], life)
                rest = Again("Sim.Some", "simulated", list(parcel.entries)[2:])
                return Mixed(Delivered(1, 1), rest, [_failure(parcel.entries[1])])
        return again

    def _deliver(self, numbers: Sequence[int], life: int) -> None:
        self.delivered |= set(numbers)
        self._settle(numbers, life)

    def _settle(self, numbers: Sequence[int], life: int) -> None:
        if life == self.life:  # else nobody was told
            self.settled |= set(numbers)

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        await self.clock.sleep(1)
        if self._fate.random() < self.failing / 2:
            raise BucketsUnavailable("simulated")
        self._settle([int(entry.data) for entry in again.entries], self.life)
        return [_failure(entry) for entry in again.entries]

    async def close(self) -> None:
        pass

    # The server.

    async def serve(self) -> None:
        """Start the services on what the last life left."""
        self.life += 1
        self.settled = set()
        self.meta.forget_watchers()
        self.tasks = SimTasks()
        self.crews: list[SimTasks] = []
        entropy = SeededEntropy(self.seed * 1000 + self.life)
        streams = await open_streams(
            self.log, self.meta, clock=self.clock, entropy=entropy, tasks=self.tasks,
            metrics=StreamMetrics(), enforce_limits=False, transition_ms=0,
        )  # fmt: skip
        around = Surroundings(
            streams=streams, objects=self.lake, makers=Makers(_nothing, _nothing, lambda kind, shape, site: self),
            master=NoKeys(), threads=AtOnce(), new_tasks=self._new_tasks,
        )  # fmt: skip
        self.firehose = await open_firehose(
            self.log, self.meta, around, clock=self.clock, entropy=entropy, tasks=self.tasks, enforce_limits=False,
            transition_ms=0,
        )  # fmt: skip

    def _new_tasks(self) -> SimTasks:
        made = SimTasks()
        self.crews.append(made)
        return made

    async def crash(self) -> None:
        """End a life, wherever it is."""
        self.say("crash")
        self.life += 1  # what is under way is told to nobody
        for tasks in (self.tasks, *self.crews):
            while tasks._running:  # whoever is stopped later may have begun something
                await tasks.stop()

    async def live(self) -> None:
        """All of it."""
        draw = Chance(self.seed, "plan")
        await self.serve()
        request = CreateDeliveryStreamRequest(
            delivery_stream_name="d", http_endpoint_destination_configuration=dict(ENDPOINT)
        )
        await create_delivery_stream(self.firehose, CALLER, request)
        for _ in range(draw.randrange(1, 6)):
            await self._epoch(draw)
            await self.crash()
            await self.serve()
        self.failing = self.lake.failing = self.meta.failing = 0.0
        await self.clock.sleep(1_800_000)
        await self._judge_end()
        await self.firehose.close()
        await self.tasks.stop()
        failures = [failure for tasks in (self.tasks, *self.crews) for failure in tasks.failures]
        expect(not failures, "a task failed:", failures)

    async def _epoch(self, draw: Chance) -> None:
        self.lake.failing = draw.choice((0.0, 0.3, 1.0))
        self.meta.failing = draw.choice((0.0, 0.0, 0.2))
        for _ in range(draw.randrange(1, 30)):
            await self.clock.sleep(draw.choice((0, 1, 100, 2_000, 30_000)))
            if draw.random() < 0.1:
                self.clock.jump(draw.choice((-86_400_000, -60_000, 5_000, 3_600_000)))
            await self._put(draw.randrange(1, 12))

    async def _put(self, count: int) -> None:
        numbers = range(self.put + 1, self.put + 1 + count)
        self.put += count
        request = PutRecordBatchRequest(delivery_stream_name="d", data=[b"%d" % number for number in numbers])
        answer = await put_record_batch(self.firehose, CALLER, request)
        expect(all(isinstance(result, str) for result in answer.results), "a put failed")
        self.acked |= set(numbers)

    async def _judge_end(self) -> None:
        missing = self.acked - self.delivered - self.lake.refused()
        expect(not missing, "acknowledged, and nowhere:", sorted(missing)[:10])
        [told] = (await statuses(self.firehose, "d")).delivery_streams
        assert told.progress is not None
        left = [lane for lane in told.progress.lanes if lane.unread_records or lane.unaccounted_records]
        expect(bool(told.progress.lanes) and not left, "not accounted for:", left, told.progress.stages)


def _nothing(*_: object, **__: object) -> Any:
    return ()


def _failure(entry: Entry) -> Failure:
    return Failure(entry, "sim-failed", "Sim.Bad", "simulated")


@contextmanager
def _quiet() -> Iterator[None]:
    """What fails on purpose is not told."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def run_delivery_seed(seed: int, trace: Callable[[str], None] | None = None) -> int:
    """Run one seed; answer how many records were put.  Raises SeedFailed."""
    world = DeliverySim(seed, trace)
    try:
        with _quiet():
            world.loop.run(world.live(), WORLD_MS)
    except Exception as error:
        raise SeedFailed(seed, repr(world.wrong or error), "delivery") from error
    finally:
        world.loop.drop_everything()
    return world.put
