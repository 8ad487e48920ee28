"""The deletion of a queue, at any moment of what else goes on: no message is left to nobody."""

import json
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Millis, Region
from penstock.engines.api import Versioned, Write
from penstock.engines.memory import MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.host.sim.clock import SimClock
from penstock.host.sim.loop import SimLoop
from penstock.host.tasks import LoopTasks
from penstock.services.queues.service import open_queues
from penstock.services.queues.state import DUE, GONE, MESSAGES, Queue

ACCOUNT, REGION = AccountId("123456789012"), Region("us-east-1")
REDRIVE = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:failed", "maxReceiveCount": 1})
MOMENTS_MS = range(30)
MESSAGES_SENT = 10  # each is looked for before all are moved, so moving them takes longer than a deletion


class SteadyMeta(MemoryMeta):
    """A MetaStore that takes a millisecond for everything, and does it in the order in which it was asked."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self._clock = clock

    async def get(self, key: str) -> Versioned | None:
        await self._clock.sleep(1)
        return await super().get(key)

    async def page(
        self, start: str, end: str, limit: int, *, backwards: bool = False
    ) -> Sequence[tuple[str, Versioned]]:
        await self._clock.sleep(1)
        return await super().page(start, end, limit, backwards=backwards)

    async def commit(self, writes: Sequence[Write]) -> None:
        await self._clock.sleep(1)
        await super().commit(writes)
        await self._clock.sleep(1)


class World:
    """Two queues; what fails in the one goes to the other."""

    def __init__(self) -> None:
        self.loop = SimLoop()
        self.clock = SimClock(self.loop)
        self.meta = SteadyMeta(self.clock)
        self.tasks = LoopTasks()

    async def open(self) -> None:
        self.queues = await open_queues(self.meta, clock=self.clock, entropy=SeededEntropy(1), tasks=self.tasks)
        await self.queues.create(self._queue("failed", {}))
        await self.queues.create(self._queue("jobs", {"RedrivePolicy": REDRIVE, "VisibilityTimeout": "0"}))

    def _queue(self, name: str, attributes: dict[str, str]) -> Queue:
        now_ms = Millis(self.clock.now_ms())
        return Queue(
            account=ACCOUNT,
            region=REGION,
            name=name,
            uid=name,
            created_ms=now_ms,
            modified_ms=now_ms,
            attributes=attributes,
        )

    def named(self, name: str) -> Queue:
        found = self.queues.find(ACCOUNT, REGION, name)
        assert found is not None
        return found

    async def send(self, name: str) -> bool:
        """Send a message; whether there was the queue."""
        try:
            await self.queues.send(ACCOUNT, self.named("jobs").arn.replace("jobs", name), "hello", {})
        except ServiceError:
            return False
        return True

    async def keys(self) -> list[str]:
        """What there is of messages, and of deletions that are not over."""
        return [key for prefix in (DUE, GONE, MESSAGES) for key, _ in await self.meta.scan(prefix)]

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        self.loop.run(scenario)


@pytest.mark.parametrize("after_ms", MOMENTS_MS)
def test_failed_message_when_the_queue_that_it_goes_to_is_deleted_at_any_moment_then_it_is_left_to_somebody(
    after_ms: int,
) -> None:
    world = World()

    async def scenario() -> None:
        await world.open()
        jobs = world.named("jobs")
        for _ in range(MESSAGES_SENT):
            await world.send("jobs")
        await world.queues.receive(jobs, MESSAGES_SENT, 0, 0)
        receiving = world.loop.create_task(world.queues.receive(jobs, MESSAGES_SENT, 60_000, 0))
        await world.clock.sleep(after_ms)
        await world.queues.delete(world.named("failed"))
        await receiving
        await world.clock.sleep(1000)
        left = [key for key in await world.keys() if key.split("/")[2] != "jobs"]
        assert left == []
        await world.tasks.stop()

    world.run(scenario())


def test_messages_when_sent_while_their_queue_is_deleted_then_the_deletion_takes_them_along() -> None:
    world = World()

    async def scenario() -> None:
        await world.open()
        sending, deleting = [], None
        for moment in MOMENTS_MS:
            sending.append(world.loop.create_task(world.send("failed")))
            if moment == 10:
                deleting = world.loop.create_task(world.queues.delete(world.named("failed")))
            await world.clock.sleep(1)
        assert deleting is not None
        await world.clock.sleep(1000)
        sent = [task.result() for task in sending]
        assert sent[11], "the deletion was under way"
        assert not sent[-1]
        assert await world.keys() == []
        await world.tasks.stop()

    world.run(scenario())
