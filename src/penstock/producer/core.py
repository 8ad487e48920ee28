"""One producer, put together: its configuration, pipeline, driver, connections and metrics.  What both faces share."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from penstock.clients.aws import Connection, Service
from penstock.clients.metric_sinks import CloudWatch, Nowhere, Prometheus, Reporter, Sink
from penstock.core.ports import Clock
from penstock.host.clock import SteadyClock, SystemClock
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks
from penstock.producer.config import ConfigError, ProducerConfig, endpoint_url
from penstock.producer.driver import Driver
from penstock.producer.measures import Measures
from penstock.producer.pipeline import Pipeline
from penstock.producer.records import Data, Given, Lot, Promise, Put, Together, checked, columns, held_bytes
from penstock.producer.wire import Stream

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SHOWN_EVERY_MS: Final = 5000  # how often Prometheus' numbers are brought up to date
CLOUDWATCH_ATTEMPTS: Final = 3
DEADLINE_REQUESTS: Final = 2  # a request may wait for a thread, and then take this many of its time-outs
UNIQUE_BYTES: Final = 12


class Core:
    """A producer of one stream.  All but `make` belongs to the event loop on which it was started."""

    def __init__(
        self,
        stream: Stream,
        config: ProducerConfig | Mapping[str, object] | None,
        connection: Connection | None,
        registry: "CollectorRegistry | None",
    ) -> None:
        if not stream.arguments:
            raise ConfigError("a producer needs a stream: its name, stream_arn or stream_id")
        self.config = config if isinstance(config, ProducerConfig) else ProducerConfig.of(config or {})
        self._connection = _connection(self.config, connection or Connection())
        self._registry = registry
        self._clock: Clock = SteadyClock()
        self._ids = count()
        self._id_prefix = urlsafe_b64encode(SystemEntropy().bytes(UNIQUE_BYTES)).decode()
        self._tasks = LoopTasks()
        self._let_go: list[Callable[[], None]] = []
        sink, every_ms = self._make_sink()
        self._measures = Measures(self.config, stream.shown, wanted=not isinstance(sink, Nowhere))
        self.is_open = False
        self.pipeline = Pipeline(self.config, self._measures)
        service = Service("kinesis", self._connection)
        self._let_go.append(service.close)
        self.driver = Driver(self.pipeline, stream, service, self.config, self._clock, self._tasks)
        self._reporter = Reporter(self._measures.meter, sink, self._clock, every_ms)

    async def start(self) -> None:
        """Begin, on the running loop."""
        await self.driver.start()
        self._tasks.spawn(self._reporter.run(), "metrics")
        self.is_open = True

    def make(
        self,
        partition_key: str,
        data: Data,
        explicit_hash_key: str | int | None,
        promise: Promise,
    ) -> Put:
        """A record for the pipeline.  Raises ValueError, TypeError."""
        data, explicit, hash_key, held_bytes = checked(
            partition_key, data, explicit_hash_key, self.config.max_user_record_size
        )
        unique_id = self._unique_id() if self.config.idempotent else None
        return Put(partition_key, data, explicit, hash_key, held_bytes, self._clock.now_ms(), promise, unique_id)

    def make_many(self, records: Iterable[Given], promise: Promise) -> Lot | None:
        """Records for the pipeline that share a promise of all their results; None if there are none.

        Raises ValueError or TypeError, which names the first bad record; then none is made.  Cost: 0.4 us each.
        """
        given = list(records)
        if not given:
            promise.set_result([])
            return None
        keys, data, explicit, hash_keys = columns(given, self.config.max_user_record_size)
        now_ms = self._clock.now_ms()
        return Lot(
            waiting=Together(promise, len(given)),
            places=range(len(given)),
            partition_keys=keys,
            data=data,
            explicit_hash_keys=explicit,
            hash_keys=hash_keys,
            unique_ids=[self._unique_id() for _ in given] if self.config.idempotent else None,
            held_bytes=held_bytes(keys, data),
            arrived_ms=now_ms,
            deadline_ms=now_ms + self.config.record_max_buffered_time,
            expires_ms=now_ms + self.config.record_ttl,
            last_ms=now_ms,
        )

    def _unique_id(self) -> str:
        return f"{self._id_prefix}{next(self._ids)}"

    @property
    def oldest_record_ms(self) -> int:
        """How long the oldest record without a result has been waiting; 0 if there is none."""
        self.driver.take_in()
        oldest_ms = self.pipeline.under_way.oldest_ms
        return 0 if oldest_ms is None else self._clock.now_ms() - oldest_ms

    async def close(self) -> None:
        """Take no more records, wait for the results of those that were put, and let go of everything."""
        if not self.is_open:
            return
        self.is_open = False
        try:
            await self.driver.flush_sync()
        finally:
            await self._tasks.stop()
            self.pipeline.abandon()
            self.driver.dismiss()
            await self._reporter.report()
            for let_go in self._let_go:
                let_go()

    def _make_sink(self) -> tuple[Sink, int]:
        """Where metrics go, and how often."""
        config = self.config
        if config.metrics_to == "prometheus":
            shown = Prometheus(config.metrics_namespace)
            self._let_go.append(shown.register(self._registry))
            return shown, SHOWN_EVERY_MS
        to_aws = self._connection.endpoint is None or config.cloudwatch_endpoint
        if config.metrics_to == "nowhere" or not to_aws:
            return Nowhere(), config.metrics_upload_delay
        endpoint = endpoint_url(config.cloudwatch_endpoint, config.cloudwatch_port)
        where = replace(self._connection, endpoint=endpoint, threads=1, attempts=CLOUDWATCH_ATTEMPTS)
        service = Service("cloudwatch", where)
        self._let_go.append(service.close)
        return CloudWatch(service, config.metrics_namespace, SystemClock()), config.metrics_upload_delay


def _connection(config: ProducerConfig, given: Connection) -> Connection:
    """How the configuration says to connect, as far as it says anything."""
    proxy = None
    if config.proxy_host:
        user = f"{quote(config.proxy_user_name)}:{quote(config.proxy_password)}@" if config.proxy_user_name else ""
        proxy = f"http://{user}{config.proxy_host}:{config.proxy_port}"
    return replace(
        given,
        endpoint=endpoint_url(config.kinesis_endpoint, config.kinesis_port) or given.endpoint,
        region=config.region or given.region,
        ca_file=config.ca_cert_file or given.ca_file,
        verify=config.verify_certificate and given.verify,
        proxy=proxy or given.proxy,
        connect_ms=config.connect_timeout,
        read_ms=config.request_timeout,
        deadline_ms=config.connect_timeout + config.record_ttl + DEADLINE_REQUESTS * config.request_timeout,
        threads=config.max_connections,
        user_agent=given.user_agent or "producer",
    )
