"""The composition root: settings become a host, an engine, services and a server.  Only this module names concrete ones."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import msgspec
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from penstock.core.ids import parse_shard_id
from penstock.core.ports import Clock, Entropy
from penstock.core.settings import SettingError, Settings
from penstock.engine import open_engine
from penstock.host.apimodels import load_model
from penstock.host.certificates import Certificates, ensure_certificates
from penstock.host.clock import SystemClock, TestClock, monotonic_s
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks
from penstock.server.exchange import Answer, Exchange
from penstock.server.health import RequestMetrics, measure_lag
from penstock.server.listener import Handlers, Listener, TlsFiles
from penstock.server.pages import BadPageRequest, Page, Pages, json_answer
from penstock.services.binding import bind
from penstock.services.iam import sts
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.codec import CODECS
from penstock.services.streams.ops import (
    account,
    capacity,
    consumer,
    encryption,
    monitoring,
    policy,
    record,
    reshard,
    setting,
    shard,
    stream,
    tag,
)
from penstock.services.streams.quota import ShardRates
from penstock.services.streams.service import Allowance, Streams, open_streams
from penstock.services.streams.survey import survey
from penstock.wire.operation import Service
from penstock.wire.route import Router

STREAM_OPERATIONS: Final = (
    account,
    capacity,
    consumer,
    encryption,
    monitoring,
    policy,
    record,
    reshard,
    setting,
    shard,
    stream,
    tag,
)
ENDPOINT_FILE: Final = "endpoint.json"
ADVANCE_MAX_S: Final = 100 * 366 * 86400  # a clock in another century helps nobody


class Endpoint(msgspec.Struct, frozen=True):
    """Where the server is; written to `<data-dir>/endpoint.json`."""

    http: str
    https: str | None
    ca: str | None
    account_id: str
    region: str
    pid: int


@dataclass(slots=True)
class _Services:
    """What a reset replaces."""

    tasks: LoopTasks
    streams: Streams
    router: Router


class App:
    """One running server, on the event loop that started it."""

    def __init__(self, settings: Settings, clock: Clock, entropy: Entropy) -> None:
        self.settings = settings
        self.clock = clock
        self._data_dir = Path(settings.data_dir)
        self._entropy = entropy
        self._registry = CollectorRegistry()
        self._stream_metrics = StreamMetrics(self._registry)
        self._requests = RequestMetrics(self._registry)
        self._tasks = LoopTasks()
        self._listener: Listener | None = None
        self._ports: list[int] = []
        self._started_s = monotonic_s()

    async def start(self) -> Endpoint:
        """Open everything; return when requests are answered.  Raises CannotListen, and SettingError for an unusable data_dir."""
        settings = self.settings
        certificates = self._prepare_data_dir()
        self._engine = await open_engine(settings, self._data_dir, self.clock, self._entropy)
        self._export_storage()
        self._services = await self._open_services()
        self._exchange = Exchange(
            self._services.router, self._entropy, self._requests, monotonic_s, settings.account_id
        )
        exchange = self._exchange
        pages = Pages(self._pages(), {"/_penstock/traffic": self._traffic}, exchange.handle)
        handlers = Handlers(pages.handle, exchange.refuse, exchange.reject)
        self._listener = Listener(handlers)
        try:
            self._ports.append(await self._listener.listen(settings.host, settings.port, None))
            if certificates is not None:
                tls = TlsFiles(certificates.certificate, certificates.key)
                self._ports.append(await self._listener.listen(settings.host, settings.tls_port, tls))
        except BaseException:
            await self.stop()
            raise
        self._tasks.spawn(measure_lag(self._registry, monotonic_s), "event loop lag")
        self.endpoint = self._endpoint(certificates)
        (self._data_dir / ENDPOINT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self.endpoint), indent=2))
        return self.endpoint

    def _export_storage(self) -> None:
        """Gauges that ask the engine when they are asked."""
        health = self._engine.health
        for name, doc, value in (
            ("writable", "1 while writes are taken.", lambda: health().writable),
            ("damaged_places", "Places on the disk that cannot be read.", lambda: len(health().damage)),
            ("disk_bytes", "What the engine's files take.", lambda: health().disk_bytes),
        ):
            Gauge(f"penstock_storage_{name}", doc, registry=self._registry).set_function(value)

    def _prepare_data_dir(self) -> Certificates | None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            return None if self.settings.no_tls else ensure_certificates(self._data_dir, self.settings.host)
        except OSError as error:
            raise SettingError(f"cannot use --data-dir {self._data_dir}: {error.strerror}") from None

    async def stop(self) -> None:
        """Close the ports, answer what is under way, end the background work."""
        if self._listener is not None:
            await self._listener.stop()
        await self._services.tasks.stop()
        await self._tasks.stop()
        await self._engine.close()
        (self._data_dir / ENDPOINT_FILE).unlink(missing_ok=True)

    @property
    def streams(self) -> Streams:
        """The streams service as it is now; a reset replaces it."""
        return self._services.streams

    @property
    def engine_summary(self) -> str:
        """What the engine is and found, in a line."""
        return self._engine.summary

    async def reset(self) -> None:
        """Forget every stream, record and fault, and set a test clock back to the machine's time."""
        await self._services.tasks.stop()
        await self._services.streams.clear()
        if isinstance(self.clock, TestClock):
            self.clock.reset()
        self._services = await self._open_services()
        self._exchange.router = self._services.router

    async def _open_services(self) -> _Services:
        tasks = LoopTasks()
        streams = await open_streams(
            self._engine.log,
            self._engine.meta,
            clock=self.clock,
            entropy=self._entropy,
            tasks=tasks,
            metrics=self._stream_metrics,
            enforce_limits=self.settings.limits == "aws",
            transition_ms=self.settings.transition_ms,
            allowance=_allowance(self.settings),
        )
        admit = streams.admission.gate if streams.admission is not None else None
        services: list[Service] = [
            bind(load_model("kinesis"), STREAM_OPERATIONS, streams, CODECS, admit),
            bind(load_model("sts"), (sts,), None, {}),
        ]
        return _Services(tasks, streams, Router(services))

    def _endpoint(self, certificates: Certificates | None) -> Endpoint:
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        ports = self._ports
        return Endpoint(
            http=f"http://{host}:{ports[0]}",
            https=f"https://{host}:{ports[1]}" if certificates is not None else None,
            ca=str(certificates.ca.resolve()) if certificates is not None else None,
            account_id=self.settings.account_id,
            region=self.settings.region,
            pid=os.getpid(),
        )

    def _pages(self) -> dict[tuple[str, str], Page]:
        pages: dict[tuple[str, str], Page] = {
            ("GET", "/_penstock/health"): self._health,
            ("GET", "/metrics"): self._metrics,
        }
        if self.settings.testing:
            pages |= {
                ("POST", "/_penstock/reset"): self._reset_page,
                ("POST", "/moto-api/reset"): self._reset_page,
                ("GET", "/_penstock/clock"): self._clock_page,
                ("POST", "/_penstock/clock"): self._advance_page,
                ("POST", "/_penstock/faults"): self._faults_page,
                ("DELETE", "/_penstock/faults"): self._clear_faults_page,
            }
        return pages

    async def _health(self, _body: bytes) -> Answer:
        settings, health = self.settings, self._engine.health()
        return json_answer(
            {
                "status": "ok" if health.writable and not health.damage else "degraded",
                "version": version("penstock"),
                "engine": settings.engine,
                "limits": settings.limits,
                "auth": settings.auth,
                "uptime_seconds": round(monotonic_s() - self._started_s, 3),
                "storage": health,
            }
        )

    async def _traffic(self, query: Mapping[str, str]) -> Answer:
        return json_answer(await survey(self.streams, *_survey_query(query)))

    async def _metrics(self, _body: bytes) -> Answer:
        return Answer(
            200, [("content-type", "text/plain; version=0.0.4; charset=utf-8")], generate_latest(self._registry)
        )

    async def _reset_page(self, _body: bytes) -> Answer:
        await self.reset()
        return json_answer({"status": "ok"})

    async def _clock_page(self, _body: bytes) -> Answer:
        return json_answer({"now_ms": self.clock.now_ms()})

    async def _advance_page(self, body: bytes) -> Answer:
        request = msgspec.json.decode(body, type=_Advance)
        assert isinstance(self.clock, TestClock), "--testing starts with a test clock"
        self.clock.advance(round(request.advance_seconds * 1000))
        return json_answer({"now_ms": self.clock.now_ms()})

    async def _faults_page(self, body: bytes) -> Answer:
        request = msgspec.json.decode(body, type=_Fault)
        number = parse_shard_id(request.shard_id) if request.shard_id is not None else None
        if request.shard_id is not None and number is None:
            raise BadPageRequest(f"{request.shard_id!r} is no shard id")
        if request.fail_puts is not None:
            self.streams.faults.fail_puts(request.stream, request.fail_puts)
        if request.throttle:
            self.streams.faults.throttle(request.stream, number)
        return json_answer({"status": "ok"})

    async def _clear_faults_page(self, _body: bytes) -> Answer:
        self.streams.faults.clear()
        return json_answer({"status": "ok"})


def _allowance(settings: Settings) -> Allowance:
    rates = ShardRates(
        write_bytes=settings.shard_write or None,
        write_records=settings.shard_write_records or None,
        read_bytes=settings.shard_read or None,
        read_calls=settings.shard_read_calls or None,
    )
    return Allowance(settings.account_shards, settings.account_on_demand_streams, rates)


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /_penstock/clock`."""

    advance_seconds: Annotated[float, msgspec.Meta(ge=0, le=ADVANCE_MAX_S)]


class _Fault(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /_penstock/faults`."""

    stream: str
    shard_id: str | None = None  # every shard if absent
    throttle: bool = False
    fail_puts: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # share of records


def _survey_query(query: Mapping[str, str]) -> tuple[int, str | None]:
    """The window in seconds and the stream's name that `GET /_penstock/traffic` asks for.  Raises BadPageRequest."""
    window = query.get("window", "10")
    if not re.fullmatch(r"[1-9]|[1-5][0-9]|60", window, re.ASCII):
        raise BadPageRequest(f"window {window[:40]!r} must be a number of seconds from 1 to 60")
    return int(window), query.get("stream")


def make_app(settings: Settings, entropy: Entropy | None = None) -> App:
    """An app as the settings ask; with `testing` its clock can be advanced."""
    return App(settings, TestClock() if settings.testing else SystemClock(), entropy or SystemEntropy())
