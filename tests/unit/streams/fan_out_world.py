"""One shard of a started service, with consumers to subscribe to it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from streams_world import START_MS, World, active, run

from penstock.core.ids import Millis
from penstock.engines.api import Batch, Position
from penstock.engines.memory import MemoryLog
from penstock.services.streams import sequence
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.hub import Pushed
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Consumer
from penstock.services.streams.subscription import Subscription


class Shard:
    """One shard of a started service, with consumers to subscribe to it."""

    def __init__(self, world: World, streams: Streams, view: StreamView) -> None:
        self.world, self.streams, self.view = world, streams, view

    @property
    def held(self) -> ShardView:
        return self.view.shards[0]

    async def put(self, *data: bytes) -> None:
        await self.world.log.append([Batch(self.held.log, [b"k"] * len(data), list(data))])

    async def consumer(self, name: str = "c") -> Consumer:
        if name not in self.view.consumers:
            consumer = Consumer(uid=self.view.stream.uid, name=name, created_ms=Millis(START_MS), status="ACTIVE")
            await self.streams.directory.register(consumer)
        return self.view.consumers[name].consumer

    async def subscribe(self, name: str = "c", position: Position | None = None) -> Subscription:
        start = await self.streams.reader.tip(self.view, self.held) if position is None else position
        return await self.streams.subscriptions.open(self.view, self.held, await self.consumer(name), start)


def on_shard(
    scenario: Callable[[Shard], Awaitable[None]], *, enforce_limits: bool = False, log_type: type[MemoryLog] = MemoryLog
) -> None:
    async def whole() -> None:
        world = World(enforce_limits=enforce_limits, log_type=log_type)
        streams = await world.start()
        await scenario(Shard(world, streams, await active(streams)))
        await world.stop()

    run(whole())


def data(events: Sequence[Any]) -> list[bytes]:
    return [blob for event in events for blob in event.value.page.data]


def continued(pushed: Pushed, *, after: bool) -> Position:
    """Where one goes on who was told this."""
    assert pushed.continuation is not None
    decoded = sequence.decode(pushed.continuation)
    assert decoded is not None
    return sequence.place_of(decoded, after=after)
