"""What the unit tests of the streams service stand on: a clock that is set by hand, and the service's parts put together on it."""

import asyncio
import heapq
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.ids import AccountId, Millis, Region, StreamName, StreamUid
from penstock.engines.api import LogId, MetaStore, Page, Position, RecordLog, Write
from penstock.engines.memory import MemoryLog, MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.host.tasks import LoopTasks
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.service import Streams, open_streams
from penstock.services.streams.state import Shard, Stream
from penstock.services.streams.topology import uniform

START_MS: Final = 1_700_000_000_000
TRANSITION_MS: Final = 500
CALLER: Final = Caller(AccountId("123456789012"), Region("eu-west-1"), "test", "kinesis:Test")
HANG_S: Final = 60  # longest that a scenario may take before it counts as hanging


class ManualClock:
    """A clock that stands until it is advanced, and then wakes its sleepers one by one, each at its own time."""

    def __init__(self) -> None:
        self.ms = START_MS
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_ms(self) -> Millis:
        return Millis(self.ms)

    async def sleep(self, duration_ms: int) -> None:
        if duration_ms <= 0:
            await turns(1)
            return
        self._count += 1
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.ms + duration_ms, self._count, woken))
        await woken

    async def advance(self, duration_ms: int) -> None:
        """Move forward; between two sleepers whatever the first set going is carried on."""
        until_ms = self.ms + duration_ms
        await turns(20)
        while self._sleepers and self._sleepers[0][0] <= until_ms:
            self.ms, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
                await turns(20)
        self.ms = until_ms

    def jump(self, by_ms: int) -> None:
        """Set the clock, as somebody sets a machine's: sleepers sleep on for as long as they meant to."""
        self.ms += by_ms
        self._sleepers = [(at_ms + by_ms, number, woken) for at_ms, number, woken in self._sleepers]


class _Turn:
    """One turn of the loop."""

    def __await__(self) -> Any:
        yield


async def turns(count: int) -> None:
    """Let everything else on the loop run, `count` times."""
    for _ in range(count):
        await _Turn()


def begin(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start work beside the scenario, which must await it."""
    return asyncio.get_running_loop().create_task(work)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run one scenario; one that hangs fails."""

    async def guarded() -> None:
        async with asyncio.timeout(HANG_S):
            await scenario

    asyncio.run(guarded())


@dataclass
class World:
    """One data directory, and the service as it was last started on it."""

    clock: ManualClock = field(default_factory=ManualClock)
    log: RecordLog = field(init=False)
    meta: MetaStore = field(default_factory=MemoryMeta)
    log_type: type[MemoryLog] = MemoryLog
    entropy: SeededEntropy = field(default_factory=lambda: SeededEntropy(1))
    enforce_limits: bool = False
    transition_ms: int = TRANSITION_MS

    def __post_init__(self) -> None:
        self.log = self.log_type(self.clock)

    async def start(self) -> Streams:
        """Start the service."""
        self.tasks = LoopTasks()
        return await open_streams(
            self.log,
            self.meta,
            clock=self.clock,
            entropy=self.entropy,
            tasks=self.tasks,
            metrics=StreamMetrics(),
            enforce_limits=self.enforce_limits,
            transition_ms=self.transition_ms,
        )

    async def stop(self) -> None:
        """Stop it, wherever its tasks are: a crash as far as the stores can tell."""
        await self.tasks.stop()


def make_stream(name: str = "orders", uid: str = "aaaaaaaaaaaaaaaaaaaa-aaa", **changed: Any) -> Stream:
    """A stream of CALLER's that is ACTIVE unless `changed` says otherwise."""
    values: dict[str, Any] = {
        "account": CALLER.account,
        "region": CALLER.region,
        "name": StreamName(name),
        "uid": StreamUid(uid),
        "created_ms": Millis(START_MS),
        "status": "ACTIVE",
        "mode": "PROVISIONED",
    }
    return Stream(**{**values, **changed})


def make_shards(stream: Stream, count: int) -> list[Shard]:
    """Open shards that tile the hash space."""
    return [
        Shard(
            uid=stream.uid,
            no=number,
            hash_start=str(held.start),
            hash_end=str(held.end),
            created_ms=stream.created_ms,
            created_s=stream.created_ms // 1000,
        )
        for number, held in enumerate(uniform(count))
    ]


async def active(streams: Streams, name: str = "orders", shards: int = 1, **changed: Any) -> StreamView:
    """A stream that is ACTIVE at once."""
    uid = f"{name:a<20}-aaa"
    stream = make_stream(name, uid, **changed)
    held = make_shards(stream, shards)
    await streams.lifecycle._log.create([shard.log for shard in held])
    return await streams.directory.create(stream, held)


async def close_shard(world: "World", streams: Streams, view: StreamView, held: ShardView) -> None:
    """Seal a shard and close it, with one child that has its range."""
    await world.log.seal(held.log)
    shard = held.shard
    child = replace(shard, no=max(view.shards) + 1, parent_no=shard.no, created_s=shard.created_s + 1)
    await world.log.create([child.log])
    await streams.directory.reshard(view, view.stream, [replace(shard, closed_ms=world.clock.now_ms())], [child])


async def data_in(log: RecordLog, name: LogId) -> list[bytes]:
    """The data of every record that a log still holds."""
    return list((await log.read(name, Position(-1, 0), 10**9, 10**9)).data)


def status_of(streams: Streams, name: str = "orders") -> str | None:
    """The status that the directory shows, or None for no such stream."""
    view = streams.directory.find(CALLER.account, CALLER.region, name)
    return None if view is None else view.stream.status


def names(found: Sequence[StreamView]) -> list[str]:
    """The names of streams, in the order given."""
    return [view.stream.name for view in found]


class SlowMeta(MemoryMeta):
    """A MetaStore whose commits take many turns of the loop, as those of any store on a disk do."""

    async def commit(self, writes: Sequence[Write]) -> None:
        await turns(50)
        await super().commit(writes)


class SlowLog(MemoryLog):
    """A RecordLog whose every answer takes a few turns of the loop."""

    async def trim(self, log: LogId, before: Position) -> None:
        await turns(3)
        await super().trim(log, before)

    async def read(self, log: LogId, position: Position, max_records: int, max_bytes: int) -> Page:
        await turns(3)
        return await super().read(log, position, max_records, max_bytes)
