"""A flow over real files, turn by turn, on a clock that tests advance, with a destination that keeps what it takes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from penstock.agent.backoff import Backoff
from penstock.agent.checkpoints import Checkpoints
from penstock.agent.configuration import plan_flow
from penstock.agent.delivery import PutFailed, Room, Sender, Shared
from penstock.agent.flow import Flow
from penstock.agent.meter import Meter
from penstock.agent.requests import Outcome
from penstock.host.clock import TestClock
from penstock.host.entropy import SeededEntropy
from penstock.host.tasks import LoopTasks


class Kept:
    """A destination that takes everything, or what it is told to."""

    def __init__(self) -> None:
        self.requests: list[list[bytes]] = []
        self.keys: list[list[str]] = []
        self.answers: list[Outcome | PutFailed] = []  # for the next requests; then all is taken
        self.down = False

    @property
    def records(self) -> list[bytes]:
        return [record for request in self.requests for record in request]

    async def put(self, records: Sequence[bytes], keys: Sequence[str]) -> Outcome:
        if self.down:
            raise PutFailed("nobody answers")
        answer = self.answers.pop(0) if self.answers else Outcome(())
        if isinstance(answer, PutFailed):
            raise answer
        self.requests.append([record for index, record in enumerate(records) if index not in answer.refused])
        self.keys.append(list(keys))
        return answer


class Tailed:
    """One run of an agent's flow; another over the same files goes on where this one has saved."""

    def __init__(self, folder: Path, kept: Kept, clock: TestClock, room_bytes: int = 1 << 22, **keys: Any) -> None:
        document = {
            "filePattern": str(folder / "app.log"),
            "kinesisStream": "logs",
            "initialPosition": "START_OF_FILE",
            "maxBufferAgeMillis": 1000,
            **keys,
        }
        plan, problems = plan_flow({name: value for name, value in document.items() if value is not None}, "", clock)
        assert plan is not None, problems
        self.clock = clock
        self.tasks = LoopTasks()
        self.room = Room(room_bytes)
        self.checkpoints = Checkpoints(folder / "state" / "checkpoints", 5)
        self.meter = Meter()
        shared = Shared(clock, SeededEntropy(7), self.tasks, self.room, asyncio.Semaphore(4))
        self.flow = Flow(
            plan,
            lambda ledger: Sender(
                "logs", kept, ledger, shared, self.meter, Backoff(100, 10_000), queue_batches=100, at_once=1,
                deterministic_keys=False,
            ),
            16,
            self.checkpoints,
            clock,
            self.meter,
        )  # fmt: skip

    async def begin(self) -> "Tailed":
        await self.flow.begin()
        await self.settle()
        return self

    async def settle(self, turns: int = 3) -> None:
        """Take turns, far enough apart that each looks at the directory and batches grow old; then save."""
        for _ in range(turns):
            await self.flow.turn()
            self.clock.advance(1100)
            await self.clock.sleep(0)
        for _ in range(20):
            await self.clock.sleep(0)
        await self.flow.save()

    async def crash(self) -> None:
        """End as kill -9 would, as far as files and checkpoints see it."""
        await self.tasks.stop()
        self.flow.close()
        self.checkpoints.close()


def lines(*numbers: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in numbers)


def numbered(*numbers: int) -> list[bytes]:
    return [b"line %d\n" % number for number in numbers]


def play(scene: Callable[[TestClock], Awaitable[None]]) -> None:
    """Run a scene on a clock of its own."""

    async def run() -> None:
        await scene(TestClock())

    asyncio.run(run())
