"""Reader and writer together: a follower sees every record once, in order, whatever its pages and whenever records come."""

import asyncio
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.core.ids import AccountId, Millis, Region, StreamName, StreamUid
from penstock.engines.api import Position
from penstock.engines.memory import MemoryLog, MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.host.tasks import LoopTasks
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.directory import Directory, ShardView, StreamView
from penstock.services.streams.envelope import Envelope, NoKeys
from penstock.services.streams.faults import FaultPlan
from penstock.services.streams.meter import Meter
from penstock.services.streams.reader import Reader
from penstock.services.streams.state import Shard, Stream
from penstock.services.streams.topology import hash_key, uniform
from penstock.services.streams.traffic import Traffic
from penstock.services.streams.writer import Writer, Written

START_MS = 1_700_000_000_000
HANG_S = 60
MUCH = 10**9


class SetClock:
    """A clock that stands where a test puts it."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> Millis:
        return Millis(self.ms)

    async def sleep(self, duration_ms: int) -> None:
        raise AssertionError("neither reader nor writer sleeps")


class _Turn:
    def __await__(self) -> Any:
        yield


async def turns(count: int) -> None:
    """Let the other tasks run."""
    for _ in range(count):
        await _Turn()


class World:
    """A stream of some shards, with a reader and a writer."""

    def __init__(self, shards: int) -> None:
        self.clock = SetClock()
        self.log = MemoryLog(self.clock)
        plain = Envelope(NoKeys(), Directory(MemoryMeta()), self.clock, SeededEntropy(0), LoopTasks())
        self.reader = Reader(self.log, self.clock, plain)
        metrics = StreamMetrics()
        self.writer = Writer(self.log, self.clock, Meter(False), FaultPlan(SeededEntropy(0)), metrics, Traffic())
        uid = StreamUid("a" * 20 + "-aaa")
        self.view = StreamView(
            Stream(
                account=AccountId("123456789012"),
                region=Region("eu-west-1"),
                name=StreamName("orders"),
                uid=uid,
                created_ms=Millis(START_MS),
                status="ACTIVE",
                mode="PROVISIONED",
            ),
            1,
        )
        for no, held in enumerate(uniform(shards)):
            shard = Shard(
                uid=uid,
                no=no,
                hash_start=str(held.start),
                hash_end=str(held.end),
                created_ms=Millis(START_MS),
                created_s=START_MS // 1000,
            )
            self.view.set_shard(no, ShardView(shard, 1))

    async def write(self, keys: list[bytes], data: list[bytes]) -> list[Written]:
        results = await self.writer.write(self.view, keys, data, [None] * len(keys))
        return [result for result in results if isinstance(result, Written)]


class Step(NamedTuple):
    """What happens next beside the follower."""

    records: int  # appended at once
    pause: int  # turns of the loop that the follower has then
    later_ms: int  # how far the clock moves


class Limits(NamedTuple):
    """How large a follower's pages may be."""

    records: int
    bytes: int


steps = st.lists(st.builds(Step, st.integers(0, 5), st.integers(0, 6), st.integers(-50, 50)), max_size=12)
page_limits = st.builds(Limits, st.integers(1, 4), st.sampled_from((1, 3, 7, 1000)))


@given(steps, st.lists(page_limits, min_size=1, max_size=3), st.integers(0, 8))
def test_follow_when_records_come_at_any_time_then_every_follower_sees_each_once_in_order(
    script: list[Step], followers: list[Limits], before: int
) -> None:
    async def scenario() -> None:
        world = World(1)
        held = world.view.shards[0]
        await world.log.create([held.log])
        written = [b"%d" % number for number in range(before)]
        if written:
            await world.write([b"k"] * before, list(written))

        async def follow(limits: Limits) -> list[bytes]:
            seen: list[bytes] = []
            at = Position(0, 0)
            async for page in world.reader.follow(world.view, held, at, limits.records, limits.bytes):
                assert page.first == at
                assert len(page.data) <= limits.records
                seen.extend(page.data)
                at = page.next
                await turns(len(page.data) % 3)
            return seen

        following = [asyncio.get_running_loop().create_task(follow(limits)) for limits in followers]
        for step in script:
            world.clock.ms += step.later_ms
            more = [b"%d" % (len(written) + number) for number in range(step.records)]
            if more:
                await world.write([b"k"] * len(more), more)
            written += more
            await turns(step.pause)
        end = await world.log.seal(held.log)
        assert end.offset == len(written)
        closed = replace(held.shard, closed_ms=world.clock.now_ms())
        world.view.set_shard(0, ShardView(closed, held.version))
        world.view.announce_change()
        async with asyncio.timeout(HANG_S):
            for task in following:
                assert await task == written

    asyncio.run(scenario())


@given(
    st.integers(1, 9),
    st.lists(st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e"]), min_size=1, max_size=12), max_size=8),
)
def test_write_when_calls_are_any_then_each_record_is_in_its_shard_and_keys_keep_their_order(
    shards: int, calls: list[list[bytes]]
) -> None:
    async def scenario() -> None:
        world = World(shards)
        await world.log.create([held.log for held in world.view.shards.values()])
        sent: dict[bytes, list[bytes]] = {}
        numbers: dict[bytes, list[int]] = {}
        count = 0
        for keys in calls:
            data = [b"%d" % (count + place) for place in range(len(keys))]
            count += len(keys)
            results = await world.write(keys, data)
            for key, own, result in zip(keys, data, results, strict=True):
                sent.setdefault(key, []).append(own)
                numbers.setdefault(key, []).append(int(result.sequence_number))
        for of_key in numbers.values():
            assert of_key == sorted(set(of_key))
        found: dict[bytes, list[bytes]] = {}
        for held in world.view.shards.values():
            page = await world.log.read(held.log, Position(0, 0), MUCH, MUCH)
            for key, own in zip(page.keys, page.data, strict=True):
                assert held.shard.hash_range.start <= hash_key(key) <= held.shard.hash_range.end
                found.setdefault(key, []).append(own)
        assert found == sent

    asyncio.run(scenario())
