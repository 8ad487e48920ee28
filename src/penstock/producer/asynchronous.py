"""`AsyncProducer`: the producer for programs that run on asyncio."""

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from penstock.clients.aws import Connection
from penstock.producer.config import ProducerConfig
from penstock.producer.core import Core
from penstock.producer.records import Given, ProducerClosed, UserRecordResult
from penstock.producer.wire import Stream

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class AsyncProducer:
    """Puts user records into one stream, as the Kinesis Producer Library does.

        async with AsyncProducer("orders") as producer:
            future = await producer.put("customer-7", b"...")
            ...
            result = await future   # UserRecordResult, or raises UserRecordFailed

    `config` is a ProducerConfig or a mapping of its keys.  Credentials, profile or a role to assume come with `connection`, else they
    are found as every AWS SDK finds them.  `registry` is where metrics are shown with `metrics_to="prometheus"`.
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

    async def start(self) -> Self:
        """Begin, after a look at the stream's shards.  `async with` does it."""
        await self._core.start()
        return self

    async def put(
        self, partition_key: str, data: bytes | bytearray | memoryview, explicit_hash_key: str | int | None = None
    ) -> asyncio.Future[UserRecordResult]:
        """Put a record; a future of its result.  Waits while `outstanding_max_bytes` are under way.

        The future raises UserRecordFailed.  Raises ValueError or TypeError for what can never be put, and ProducerClosed.
        """
        core = self._core
        if not core.is_open:
            raise ProducerClosed
        future: asyncio.Future[UserRecordResult] = asyncio.get_running_loop().create_future()
        put = core.make(partition_key, data, explicit_hash_key, future)
        if core.driver.must_wait:
            await core.driver.turn()
        core.driver.put(put)
        return future

    async def put_many(self, records: Iterable[Given]) -> asyncio.Future[list[UserRecordResult]]:
        """Put records, `(partition_key, data)` or `(partition_key, data, explicit_hash_key)` each; a future of all their results.

        They are packed, sent and tried again as by `put`, at less than half its cost.  The results come in the order of the records,
        when the last one has its own; one that failed is a result with `successful` False.  Waits while `outstanding_max_bytes` are
        under way, once for all of them.  Raises ValueError or TypeError, and puts none, if any can never be put; and ProducerClosed.
        """
        core = self._core
        if not core.is_open:
            raise ProducerClosed
        future: asyncio.Future[list[UserRecordResult]] = asyncio.get_running_loop().create_future()
        lot = core.make_many(records, future)
        if lot is None:
            return future
        core.driver.take_in()  # what was put before comes first
        if core.driver.must_wait or not core.driver.has_room:
            await core.driver.turn()
        core.driver.put_lot(lot)
        return future

    def flush(self) -> None:
        """Send what is held now, without waiting for more to come or for a result."""
        self._core.driver.flush()

    async def flush_sync(self) -> None:
        """Return when every record that was put has its result."""
        await self._core.driver.flush_sync()

    @property
    def outstanding_records(self) -> int:
        """How many records have no result yet."""
        self._core.driver.take_in()
        return self._core.pipeline.under_way.records

    @property
    def oldest_record_ms(self) -> int:
        """How long the oldest record without a result has been waiting; 0 if there is none."""
        return self._core.oldest_record_ms

    async def close(self) -> None:
        """Take no more records, wait for the results of those that were put, and let go of everything."""
        await self._core.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
