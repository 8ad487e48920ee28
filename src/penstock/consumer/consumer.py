"""`Consumer`: the library's front door.

    async def process(records):
        for record in records:
            print(record.partition_key, record.data)

    async with Consumer(stream="orders", application="billing", processor=process) as consumer:
        await consumer.until_stopped()

Workers with the same `application` share the stream's shards between them, through a lease store that all of them can reach.
"""

import asyncio
import inspect
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from penstock.clients.aws import Connection
from penstock.clients.metric_sinks import Nowhere, Reporter, Sink
from penstock.consumer.family import ShardFamily
from penstock.consumer.fanout import FanOut
from penstock.consumer.feed import Record
from penstock.consumer.feeding import Feed
from penstock.consumer.kinesis import KinesisSource
from penstock.consumer.measures import Measures
from penstock.consumer.polling import Pace, Polling
from penstock.consumer.position import Begin
from penstock.consumer.processor import DeadLetters, FunctionProcessor, RecordProcessor
from penstock.consumer.retry import Retry
from penstock.consumer.shardrun import Manner, World
from penstock.consumer.store import LeaseStore
from penstock.consumer.stores.dynamodb import DynamoDBStore
from penstock.consumer.stores.postgres import PostgresStore
from penstock.consumer.stores.sqlite import SqliteStore
from penstock.consumer.taking import Rhythm
from penstock.consumer.worker import Making, Worker
from penstock.host.clock import SteadyClock, SystemClock
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks

IN_FLIGHT_BYTES: Final = 64 << 20
REPORT_MS: Final = 10_000  # KCL's
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

Processor = type[RecordProcessor] | Callable[[list[Record]], Any]


def new_worker_id() -> str:
    """An id that no other worker has, and that says where it runs."""
    return f"{socket.gethostname()}:{os.getpid()}:{SystemEntropy().bytes(4).hex()}"


def default_store(application: str) -> SqliteStore:
    """The file that all workers of an application on this machine share."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return SqliteStore(state / "penstock" / "leases.db", application)


def open_store(where: str, application: str, connection: Connection) -> LeaseStore:
    """A store by name: `dynamodb`, `postgresql://...`, or the path of a SQLite file.  The connection is DynamoDB's."""
    if where == "dynamodb":
        return DynamoDBStore(connection, application)
    if where.startswith(("postgresql://", "postgres://")):
        return PostgresStore(where, application)
    return SqliteStore(where, application)


def maker_of(processor: Processor) -> Callable[[], RecordProcessor]:
    """What makes a processor for each shard."""
    if isinstance(processor, type):
        return processor
    if inspect.iscoroutinefunction(processor):
        return lambda: FunctionProcessor(processor)

    async def in_thread(records: list[Record]) -> None:
        await asyncio.to_thread(processor, records)

    return lambda: FunctionProcessor(in_thread)


def _chosen(
    processor: Processor | None, make_processor: Callable[[], RecordProcessor] | None
) -> Callable[[], RecordProcessor]:
    if processor is not None and make_processor is None:
        return maker_of(processor)
    if make_processor is None or processor is not None:
        raise TypeError("a consumer takes a processor, or what makes one for each shard")
    return make_processor


class Consumer:
    """One worker of an application.

    `processor` is an async function of a list of records, a plain one, or a subclass of RecordProcessor; `make_processor` is called for
    each shard instead.  `fan_out` names a registered consumer to read through; without it shards are polled.  `metrics` is where KCL's
    metrics go, every ten seconds: `CloudWatch(...)`, `Prometheus(...)`; nowhere by default.
    """

    def __init__(
        self,
        *,
        stream: str,
        application: str,
        processor: Processor | None = None,
        make_processor: Callable[[], RecordProcessor] | None = None,
        connection: Connection | None = None,
        store: LeaseStore | None = None,
        begin: Begin | str = "TRIM_HORIZON",
        worker_id: str | None = None,
        rhythm: Rhythm | None = None,
        fan_out: str | None = None,
        pace: Pace | None = None,
        retry: Retry | None = None,
        dead_letters: DeadLetters | None = None,
        checkpoint_every_ms: int = 1_000,
        in_flight_bytes: int = IN_FLIGHT_BYTES,
        metrics: Sink | None = None,
    ) -> None:
        self.worker_id = worker_id or new_worker_id()
        self._measures = Measures()
        self._source = KinesisSource(connection or Connection(), stream)
        self._store = store or default_store(application)
        beginning = Begin(begin) if isinstance(begin, str) else begin
        world = World(SteadyClock(), SystemClock(), SystemEntropy(), LoopTasks)
        making = Making(
            worker_id=self.worker_id,
            store=self._store,
            family=ShardFamily(self._source, self._store, beginning, world.clock),
            feed=self._feed(fan_out, beginning, pace or Pace(), world),
            make_processor=_chosen(processor, make_processor),
            rhythm=rhythm or Rhythm(),
            manner=Manner(retry or Retry(), checkpoint_every_ms, dead_letters),
            in_flight_bytes=in_flight_bytes,
        )
        self._worker = Worker(making, world, self._measures)
        self._reporter = Reporter(self._measures.meter, metrics or Nowhere(), world.clock, REPORT_MS)
        self._reporting = LoopTasks()
        self._running: asyncio.Task[None] | None = None

    def _feed(self, fan_out: str | None, begin: Begin, pace: Pace, world: World) -> Feed:
        if fan_out is None:
            return Polling(self._source, begin, pace, world.clock, world.entropy, self._measures)
        return FanOut(self._source, fan_out, begin, world.clock, world.entropy, self._measures)

    @property
    def shards(self) -> list[str]:
        """The shards that this worker has now."""
        return self._worker.held

    async def start(self) -> None:
        """Begin to work, in the background.  Raises StoreRefused, and StoreUnavailable where the store does not answer at all."""
        await self._store.open()
        self._reporting.spawn(self._reporter.run(), "metrics")
        self._running = asyncio.get_running_loop().create_task(self._worker.run(), name="consumer")

    async def stop(self) -> None:
        """Tell processors, checkpoint, let go of every lease; return when that is done."""
        self._worker.stop()
        if self._running is not None:
            await self._running
            self._running = None
        await self._reporting.stop()
        await self._reporter.report()
        self._source.close()

    async def until_stopped(self) -> None:
        """Work until SIGTERM or SIGINT comes, or `stop` is called.  Raises what the worker dies of."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._worker.stop)
        try:
            if self._running is not None:
                await asyncio.shield(self._running)
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT comes: the blocking face, for scripts."""

        async def work() -> None:
            async with self:
                await self.until_stopped()

        asyncio.run(work())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
