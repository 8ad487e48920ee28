"""`Producer`: the producer for programs with threads, driven by an event loop in a thread of its own.

Theory.  `put` may be called from any thread.  It checks the record, leaves it in an inbox and goes on; the loop is woken only if the inbox
was empty, because waking it costs ten times the rest.  Where too much is under way, `put` blocks until there is room.
Rule of this file: the inbox and what is known of its size are guarded by one lock; nothing else is shared.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import Future
from itertools import groupby
from threading import Condition, Thread, get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from penstock.clients.aws import Connection
from penstock.producer.config import ProducerConfig
from penstock.producer.core import Core
from penstock.producer.records import Given, Lot, ProducerClosed, Put, UserRecordResult
from penstock.producer.wire import Stream

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Result = TypeVar("Result")


class Producer:
    """Puts user records into one stream, as the Kinesis Producer Library does.  May be used by many threads at once.

        with Producer("orders") as producer:
            future = producer.put("customer-7", b"...")
            ...
            result = future.result()   # UserRecordResult, or raises UserRecordFailed

    The arguments are those of AsyncProducer.
    """

    def __init__(
        self,
        stream_name: str | None = None,
        config: ProducerConfig | Mapping[str, object] | None = None,
        *,
        stream_arn: str | None = None,
        stream_id: str | None = None,
        connection: Connection | None = None,
        registry: "CollectorRegistry | None" = None,
    ) -> None:
        self._core = Core(Stream(stream_name, stream_arn, stream_id), config, connection, registry)
        self._core.driver.on_results = self._tell
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="penstock-producer", daemon=True)
        self._inbox: list[Put | Lot] = []
        self._inbox_records = 0
        self._inbox_bytes = 0
        self._change = Condition()  # the inbox was emptied, or records got results
        self._open = False

    def start(self) -> Self:
        """Begin, after a look at the stream's shards.  `with` does it."""
        self._thread.start()
        self._do(self._core.start())
        self._open = True
        return self

    def put(
        self, partition_key: str, data: bytes | bytearray | memoryview, explicit_hash_key: str | int | None = None
    ) -> Future[UserRecordResult]:
        """Put a record; a future of its result.  Blocks while `outstanding_max_bytes` are under way.

        The future raises UserRecordFailed.  Raises ValueError or TypeError for what can never be put, and ProducerClosed.
        """
        future: Future[UserRecordResult] = Future()
        self._leave(self._core.make(partition_key, data, explicit_hash_key, future), 1)
        return future

    def put_many(self, records: Iterable[Given]) -> Future[list[UserRecordResult]]:
        """Put records, `(partition_key, data)` or `(partition_key, data, explicit_hash_key)` each; a future of all their results.

        As AsyncProducer's.  Blocks while `outstanding_max_bytes` are under way, once for all of them.
        """
        future: Future[list[UserRecordResult]] = Future()
        lot = self._core.make_many(records, future)
        self._leave(lot, 0 if lot is None else len(lot))
        return future

    def _leave(self, given: Put | Lot | None, count: int) -> None:
        """Leave records in the inbox, when there is room."""
        may_wait = get_ident() != self._thread.ident  # a callback of a result would wait for itself
        with self._change:
            while may_wait and self._open and self._is_full:
                self._change.wait()
            if not self._open:
                raise ProducerClosed
            if given is None:
                return
            if not self._inbox:
                self._loop.call_soon_threadsafe(self._take_in)
            self._inbox.append(given)
            self._inbox_records += count
            self._inbox_bytes += given.held_bytes

    def flush(self) -> None:
        """Send what is held now, without waiting for more to come or for a result."""
        self._loop.call_soon_threadsafe(self._flush)

    def flush_sync(self) -> None:
        """Return when every record that was put has its result."""
        self._do(self._flush_sync())

    @property
    def outstanding_records(self) -> int:
        """How many records have no result yet."""
        return self._inbox_records + self._core.pipeline.under_way.records

    @property
    def oldest_record_ms(self) -> int:
        """How long the oldest record without a result has been waiting; 0 if there is none."""
        return self._do(self._oldest())

    def close(self) -> None:
        """Take no more records, wait for the results of those that were put, and let go of everything."""
        with self._change:
            if not self._open:
                return
            self._open = False
            self._change.notify_all()
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _is_full(self) -> bool:
        return self._core.pipeline.under_way.held_bytes + self._inbox_bytes >= self._core.config.outstanding_max_bytes

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        if get_ident() == self._thread.ident:
            work.close()
            raise RuntimeError("a callback of a result cannot wait for the producer, which waits for the callback")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _take_in(self) -> None:
        with self._change:
            given, self._inbox, self._inbox_records, self._inbox_bytes = self._inbox, [], 0, 0
            for kind, some in groupby(given, type):
                if kind is Lot:
                    for lot in some:
                        self._core.driver.put_lot(cast("Lot", lot))
                else:
                    self._core.driver.put_all(cast("list[Put]", list(some)))

    def _flush(self) -> None:
        self._take_in()
        self._core.driver.flush()

    async def _flush_sync(self) -> None:
        self._take_in()
        await self._core.driver.flush_sync()

    async def _oldest(self) -> int:
        self._take_in()
        return self._core.oldest_record_ms

    async def _close(self) -> None:
        self._take_in()
        await self._core.close()

    def _tell(self) -> None:
        with self._change:
            self._change.notify_all()
