"""The streams service in a simulated world: producers and readers of a stream while it is resharded, and the machine crashes.

Theory.  Each record is labelled with its key and its turn, and a producer waits for each answer before it sends more; so along the
lineage of shards (each after its parents) the records of a key must appear in the order of their turns, every acknowledged one exactly
once and at its sequence number.  What was not answered, or failed inside, may be there once or not at all.
The metadata is in memory and survives every end: a commit is there when it returned, and may be there if the world ended before.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from sim_history import Wrong, expect
from sim_run import WELL, SeedFailed, draw_plan
from sim_world import World, quiet

from penstock.core.errors import Error, ServiceError
from penstock.core.ids import AccountId, Region, StreamName, StreamUid, shard_id
from penstock.engines.api import AppendError, MetaUnavailable, Position, Write
from penstock.engines.local.log import LocalLog
from penstock.engines.memory import MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.host.sim.chance import Chance
from penstock.host.sim.disk import Kind, SimDisk
from penstock.host.sim.tasks import SimTasks
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams import sequence
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.service import Streams, open_streams
from penstock.services.streams.state import Shard, Stream
from penstock.services.streams.topology import check_tiling, hash_key, uniform, uniform_target
from penstock.services.streams.writer import Written

KEYS: Final = 6  # of each producer
REFUSED_FOR_CERTAIN: Final = (Error.THROUGHPUT_EXCEEDED.code, Error.STREAM_NOT_FOUND.code)


class Label(NamedTuple):
    """A record's identity, which is its data too."""

    key: str
    turn: int

    @property
    def data(self) -> bytes:
        """As it is written."""
        return f"{self.key}.{self.turn}".encode()


class SimMeta(MemoryMeta):
    """A MetaStore whose commits take time on both sides of taking effect, and fail now and then; it survives the machine."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.failing = 0.0  # share of commits that are refused

    async def commit(self, writes: Sequence[Write]) -> None:
        """As MemoryMeta does, in a while."""
        draw = self._world.stream(f"commit {self._version} {self._world.loop.now_us}")
        await self._world.clock.sleep(draw.choice((0, 0, 1, 5)))
        if draw.random() < self.failing:
            raise MetaUnavailable("simulated")
        await super().commit(writes)
        await self._world.clock.sleep(draw.choice((0, 0, 1, 5)))

    def forget_watchers(self) -> None:
        """The process that watched is gone."""
        self._watchers.clear()


class Book:
    """What producers sent and were told."""

    def __init__(self) -> None:
        self.sent: dict[Label, str | None] = {}  # its sequence number once it is known to be written
        self.refused: set[Label] = set()
        self.counts: dict[str, int] = {}

    def next(self, key: str) -> Label:
        """The label of a key's next record."""
        self.counts[key] = self.counts.get(key, 0) + 1
        label = Label(key, self.counts[key])
        self.sent[label] = None
        return label

    def answered(self, label: Label, result: Written | ServiceError) -> None:
        """A record was written, or not."""
        if isinstance(result, Written):
            self.sent[label] = result.sequence_number
        elif result.code in REFUSED_FOR_CERTAIN:
            self.refused.add(label)

    def check_record(self, data: bytes, key: bytes, number: str) -> Label:
        """A record was read."""
        text, _, turn = data.decode().rpartition(".")
        label = Label(text, int(turn))
        expect(label in self.sent, "a record that nobody sent:", data)
        expect(label not in self.refused, label, "was refused, and is there")
        expect(key.decode() == text, label, "has the key", key)
        known = self.sent[label]
        expect(known in (None, number), label, "was acknowledged at", known, "and is read at", number)
        self.sent[label] = number
        return label


class Lineage:
    """One reading of a stream along its family tree."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._last: dict[str, int] = {}
        self.seen: set[Label] = set()

    def saw(self, held: ShardView, position: Position, key: bytes, data: bytes, arrival_ms: int) -> None:
        """The next record of a shard, all of whose parents were read to their ends."""
        number = str(sequence.base(held.shard.origin) + sequence.tail(position, arrival_ms))
        label = self._book.check_record(data, key, number)
        expect(label not in self.seen, label, "is there twice")
        self.seen.add(label)
        start, end = held.shard.hash_range
        expect(start <= hash_key(key) <= end, label, "is in a shard that does not own its key")
        expect(self._last.get(label.key, 0) < label.turn, label, "comes after", self._last.get(label.key))
        self._last[label.key] = label.turn

    def check_complete(self) -> None:
        """Nothing that is known to be written may be missing."""
        missing = [label for label, number in self._book.sent.items() if number is not None and label not in self.seen]
        expect(not missing, len(missing), "acknowledged records are missing:", missing[:5])


class StreamsWorld(World):
    """One seed's world with the streams service in it."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        super().__init__(seed, trace)
        self.meta = SimMeta(self)
        self.book = Book()
        self.service_tasks = SimTasks()
        self.transition_ms = self.draw.choice((0, 0, 30))
        self.max_shards = self.draw.choice((2, 6, 20))

    async def verify(self, log: LocalLog) -> None:
        """The service does it, once it runs."""

    def _judge(self, disk: SimDisk, tasks: SimTasks) -> None:
        tasks.failures += self.service_tasks.failures
        super()._judge(disk, tasks)

    async def serve(self, log: LocalLog) -> Streams:
        """Start the service on what the last life left."""
        self.meta.forget_watchers()
        self.service_tasks = SimTasks()
        return await open_streams(
            log,
            self.meta,
            clock=self.clock,
            entropy=SeededEntropy(self.seed * 1000 + self.epoch),
            tasks=self.service_tasks,
            metrics=StreamMetrics(),
            enforce_limits=False,
            transition_ms=self.transition_ms,
        )

    def check_injected(self, error: OSError) -> None:
        """A read may fail, where the disk was told to."""
        expect(bool(self.disk.faults.injected), "a read failed on a sound disk:", repr(error))

    async def read_everything(self, streams: Streams, view: StreamView) -> None:
        """Read a stream while nobody writes, and hold it against the book."""
        expect(check_tiling([held.shard.hash_range for held in view.open_shards()]), "open shards do not tile")
        lineage = Lineage(self.book)
        for held in list(view.shards.values()):
            for parent_no in (held.shard.parent_no, held.shard.adjacent_parent_no):
                if parent_no is not None:
                    parent = view.shards[parent_no].shard
                    expect(parent.closed_ms is not None, "shard", parent_no, "has a child and is open")
                    expect(parent.created_s < held.shard.created_s, "shard", held.shard.no, "is no younger")
            at = Position(0, 0)
            while True:
                try:
                    page = await streams.reader.scan(view, held, at, 1000, 1 << 20)
                except OSError as error:
                    self.check_injected(error)
                    continue
                for count, row in enumerate(zip(page.keys, page.data, page.arrivals_ms, strict=True)):
                    lineage.saw(held, Position(0, page.first.offset + count), *row)
                at = page.next
                if page.next == page.end:
                    break
            expect(page.sealed or view.is_open(held.shard.no), "shard", held.shard.no, "is closed and can grow")
        lineage.check_complete()


def run_streams_seed(seed: int, trace: Callable[[str], None] | None = None) -> int:
    """Run one seed; answer how many records were sent.  Raises SeedFailed."""
    world = StreamsWorld(seed, trace)
    try:
        with quiet():
            plan = WELL
            for _ in range(world.draw.randrange(2, 7)):
                plan = draw_plan(world.draw, after=plan)
                world.live(partial(_work, world, plan.eio, plan.full), plan)
            world.live(partial(_read_last, world), WELL)
    except Wrong as error:
        raise SeedFailed(seed, f"epoch {world.epoch}: {error}", "streams") from error
    except Exception as error:
        raise SeedFailed(seed, f"epoch {world.epoch}: {error!r}", "streams") from error
    return len(world.book.sent)


async def _read_last(world: StreamsWorld, log: LocalLog) -> None:
    streams = await world.serve(log)
    await world.clock.sleep(5000)
    for view in streams.directory.all():
        expect(view.stream.status == "ACTIVE", "the stream stays", view.stream.status)
        await world.read_everything(streams, view)
    await world.service_tasks.stop()


async def _work(world: StreamsWorld, eio: bool, full: bool, log: LocalLog) -> None:
    try:
        streams = await world.serve(log)
    except AppendError as error:
        expect(bool(world.disk.faults.injected), "cannot be started:", repr(error))
        return
    view = await _stream(world, streams)
    if view is None:
        return
    await world.read_everything(streams, view)
    users = _Users(world, streams, view)
    draw = users.draw("plan")
    world.meta.failing = draw.choice((0.0, 0.0, 0.2))
    passing = [world.spawn(users.produce(number), f"producer {number}") for number in range(draw.randrange(1, 5))]
    passing += [world.spawn(users.reshard(number), f"resharder {number}") for number in range(draw.randrange(1, 3))]
    passing.append(world.spawn(users.trouble(eio, full), "weather"))
    users.read_along()
    for task in passing:
        await task
    world.disk.faults.clear()
    world.meta.failing = 0.0
    await world.clock.sleep(5000)  # what waits for a retry is through, and readers have caught up
    if log.failure is None:
        expect(view.stream.status == "ACTIVE", "the stream stays", view.stream.status)
        await world.read_everything(streams, view)
        users.along.check_complete()
    users.stop()
    await world.service_tasks.stop()


async def _stream(world: StreamsWorld, streams: Streams) -> StreamView | None:
    """The stream, made if there is none yet."""
    for view in streams.directory.all():
        return view
    uid = StreamUid(f"aaaaaaaaaaaaaaaaaaaa-{world.epoch:03d}")
    now_ms = world.clock.now_ms()
    stream = Stream(
        account=AccountId("123456789012"),
        region=Region("us-east-1"),
        name=StreamName("orders"),
        uid=uid,
        created_ms=now_ms,
        status="CREATING",
        mode="PROVISIONED",
    )
    shards = [
        Shard(uid=uid, no=no, hash_start=str(a), hash_end=str(b), created_ms=now_ms, created_s=now_ms // 1000)
        for no, (a, b) in enumerate(uniform(world.draw.randrange(1, 4)))
    ]
    with suppress(AppendError, MetaUnavailable):
        await streams.lifecycle.create(stream, shards)
    return streams.directory.find_uid(uid)


class _Users:
    """Everybody who uses the stream in one epoch."""

    def __init__(self, world: StreamsWorld, streams: Streams, view: StreamView) -> None:
        self.world = world
        self.streams = streams
        self.view = view
        self.along = Lineage(world.book)
        self._ended: set[int] = set()
        self._readers: dict[int, asyncio.Task[None]] = {}

    def draw(self, who: str) -> Chance:
        """A user's own numbers."""
        return self.world.stream(f"{self.world.epoch} {who}")

    async def produce(self, number: int) -> None:
        """Write, answer after answer."""
        draw = self.draw(f"producer {number}")
        keys = [f"{number}-{index}" for index in range(KEYS)]
        for _ in range(draw.randrange(5, 60)):
            if draw.random() < 0.5:
                await self.world.clock.sleep(draw.randrange(10))
            labels = [self.world.book.next(draw.choice(keys)) for _ in range(draw.choice((1, 3, 12)))]
            results = await self.streams.writer.write(
                self.view,
                [label.key.encode() for label in labels],
                [label.data for label in labels],
                [None] * len(labels),
            )
            expect(len(results) == len(labels), "write answers", len(results), "of", len(labels))
            for label, result in zip(labels, results, strict=True):
                self.world.book.answered(label, result)
            self.world.say(f"producer {number} wrote {len(labels)}: {results[0]!r}")

    async def reshard(self, number: int) -> None:
        """Split, merge, or count anew."""
        draw, view = self.draw(f"resharder {number}"), self.view
        for _ in range(draw.randrange(2, 10)):
            await self.world.clock.sleep(draw.randrange(60))
            starts = sorted(held.shard.hash_range.start for held in view.open_shards())
            luck = draw.random()
            if luck < 0.4 and len(starts) < self.world.max_shards:
                starts = sorted({*starts, draw.getrandbits(128)})
            elif luck < 0.7 and len(starts) > 1:
                starts.pop(draw.randrange(1, len(starts)))
            else:
                count = draw.randrange(1, self.world.max_shards)
                starts = uniform_target(count, [held.shard.hash_range for held in view.open_shards()])
            try:
                await self.streams.lifecycle.reshard(view, view.stream, starts)
            except ServiceError as busy:
                expect(busy.code == Error.STREAM_NOT_ACTIVE.code, "refused:", busy)
            except MetaUnavailable:
                pass
            else:
                self.world.say(f"resharding to {len(starts)}: {[shard_id(h.shard.no) for h in view.open_shards()]}")

    async def trouble(self, eio: bool, full: bool) -> None:
        """Let the disk fail or be full for a while, and the clock jump."""
        draw, faults = self.draw("weather"), self.world.disk.faults
        if eio:
            await self.world.clock.sleep(draw.randrange(300))
            faults.fail(draw.choice((Kind.WRITE, Kind.SYNC, Kind.FOLDER)), draw.randrange(1, 20))
        if full:
            await self.world.clock.sleep(draw.randrange(200))
            faults.quota_bytes = self.world.image.used_bytes + draw.randrange(150_000)
            await self.world.clock.sleep(draw.randrange(3000))
            faults.quota_bytes = None
        for _ in range(draw.randrange(3)):
            await self.world.clock.sleep(draw.randrange(100))
            self.world.clock.jump(draw.choice((-5000, -17, 17, 5000)))

    def read_along(self) -> None:
        """Follow the stream while all this goes on, each shard from when its parents have ended."""
        for held in list(self.view.shards.values()):
            number, shard = held.shard.no, held.shard
            parents = {no for no in (shard.parent_no, shard.adjacent_parent_no) if no in self.view.shards}
            if number not in self._readers and parents <= self._ended:
                self._readers[number] = self.world.spawn(self._follow(held), f"reader {number}")

    async def _follow(self, held: ShardView) -> None:
        at = Position(0, 0)
        while True:
            try:
                async for page in self.streams.reader.follow(self.view, held, at, 100, 1 << 20):
                    for count, row in enumerate(zip(page.keys, page.data, page.arrivals_ms, strict=True)):
                        self.along.saw(held, Position(0, page.first.offset + count), *row)
                    at = page.next
                break
            except OSError as error:
                self.world.check_injected(error)
        self._ended.add(held.shard.no)
        children = [
            view
            for view in self.view.shards.values()
            if held.shard.no in (view.shard.parent_no, view.shard.adjacent_parent_no)
        ]
        expect(bool(children), "shard", held.shard.no, "ended without children")
        self.read_along()

    def stop(self) -> None:
        """Nobody reads along any more."""
        for task in self._readers.values():
            task.cancel()
