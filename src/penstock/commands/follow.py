"""Following a stream: what `penstock.consumer` reads, as records to be shown, for as long as it is worth asking for more.

Theory.  The reader, its feeds and what they know of shards, iterators and aggregates are the consumer's.  A consumer tries for ever;
somebody who looks on wants to be told, so between it and Kinesis stands a source that says why it waits, and gives up in time.
Rules of this file:
  1. The reader's loop runs only while records are waited for: a Ctrl-C, and an output that nobody reads, stop it at once.
  2. Memory is bounded by HELD_BYTES and WIDTH answers.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from heapq import merge
from typing import TYPE_CHECKING, Final, TypeVar

from penstock.clients.aws import Connection
from penstock.clients.calls import Patience
from penstock.commands.shown import Shown
from penstock.consumer.feed import Budget, CallFailed, Fetched, Page, ShardGone, Source, Start
from penstock.consumer.kinesis import KinesisSource
from penstock.consumer.lineage import Shard
from penstock.consumer.measures import Measures
from penstock.consumer.polling import EXPIRED, Pace, Polling
from penstock.consumer.reader import Reader, Wanted
from penstock.consumer.shardrun import World
from penstock.core.ids import Millis
from penstock.host.clock import SteadyClock, SystemClock
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

WIDTH: Final = 8  # calls that are under way at the same time
HELD_BYTES: Final = 16 << 20  # read and not yet shown

Answer = TypeVar("Answer")


class CannotRead(Exception):
    """Nothing has worked for a while, or will; the text says why."""


def follow(
    client: "KinesisClient", stream: str, wanted: Wanted, say: Callable[[str], object], *, opened: bool
) -> Iterator[list[Shown]]:
    """Records as they are read, aggregates `opened` or not; ends where there is nothing more to wait for.

    `say` is told when a call has to be made again.  Raises CannotRead.
    """
    logging.getLogger("penstock").addHandler(logging.NullHandler())  # what the consumer logs is said by `say`
    kinesis = KinesisSource(Connection(threads=WIDTH), stream, client)
    budget = Budget(HELD_BYTES)
    source = PatientSource(kinesis, budget, say)
    world = World(SteadyClock(), SystemClock(), SystemEntropy(), LoopTasks)
    feed = Polling(source, wanted.begin, Pace(), world.clock, world.entropy, Measures(), opened=opened)
    rounds = Reader(source, wanted, feed, budget, world).rounds()
    try:
        with asyncio.Runner() as runner:
            while (pages := runner.run(_next(rounds))) is not None:
                yield list(merge(*(_shown(shard_id, page) for shard_id, page in pages), key=_arrived_ms))
    finally:
        kinesis.close()


async def _next(rounds: AsyncIterator[list[tuple[str, Page]]]) -> list[tuple[str, Page]] | None:
    return await anext(rounds, None)


def _shown(shard_id: str, page: Page) -> list[Shown]:
    return [
        Shown(
            shard_id,
            record.sequence_number,
            record.partition_key,
            record.data,
            Millis(record.arrived_ms),
            record.sub_sequence_number if record.aggregated else None,
        )
        for record in page.records
    ]


def _arrived_ms(record: Shown) -> int:
    return record.arrived_ms


class PatientSource:
    """A source of which nobody asks what can only fail, nor goes on asking when nothing has worked for a while: CannotRead instead."""

    def __init__(self, source: Source, budget: Budget, say: Callable[[str], object]) -> None:
        self._source = source
        self._budget = budget
        self._say = say
        self._patience = Patience()
        self._turns = asyncio.Semaphore(WIDTH)

    async def shards(self) -> list[Shard]:
        """All shards that are still listed."""
        try:
            return await self._asked(self._source.shards())
        except ShardGone as error:
            raise CannotRead(str(error)) from None

    async def iterator(self, shard_id: str, start: Start) -> str:
        """A shard iterator."""
        return await self._asked(self._source.iterator(shard_id, start))

    async def fetch(self, iterator: str, limit: int) -> Fetched:
        """The next records, once there is room for them."""
        async with self._turns:
            await self._budget.room()
            return await self._asked(self._source.fetch(iterator, limit))

    async def _asked(self, call: Awaitable[Answer]) -> Answer:
        try:
            answer = await call
        except CallFailed as error:
            if error.code != EXPIRED:
                self._judge(error)
            raise
        self._patience.worked()
        return answer

    def _judge(self, error: CallFailed) -> None:
        if error.lasting or self._patience.wait_s() is None:
            raise CannotRead(str(error)) from None
        if not error.throttled:
            self._say(f"trying again: {error}")
