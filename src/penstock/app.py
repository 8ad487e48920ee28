"""The composition root: settings become a host, an engine, services and a server.  Only this module names concrete ones."""

import asyncio
import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from penstock import __version__
from penstock.composition import Services, open_services
from penstock.core.ids import AccountId, parse_shard_id
from penstock.core.ports import Clock, Entropy
from penstock.core.settings import SettingError, Settings, plain_host
from penstock.engine import open_engine
from penstock.host.clock import SystemClock, TestClock, monotonic_s
from penstock.host.entropy import SystemEntropy
from penstock.host.readers import BodyReaders
from penstock.host.rootkey import ROOT_CREDENTIALS_FILE, write_credentials
from penstock.host.tasks import LoopTasks
from penstock.host.threads import WorkThreads
from penstock.server.auditfile import open_audit
from penstock.server.exchange import Answer, Exchange
from penstock.server.gather import REQUEST_MAX_BYTES, Client, Gatherer
from penstock.server.health import Collector, Gauge, LoopLag, RequestMetrics, scraped
from penstock.server.listener import Handlers, Listener
from penstock.server.measures import bounds_of, patience_of
from penstock.server.pages import CODE, HEALTH, BadPageRequest, Page, Pages, json_answer
from penstock.server.trust import Trust
from penstock.services.metrics.exposition import Exposition
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.faults import delivery_fault
from penstock.services.streams.service import Streams
from penstock.services.streams.survey import survey
from penstock.wire.native import NATIVE

if TYPE_CHECKING:
    from penstock.server.crew import Crew
    from penstock.services.firehose.service import Firehose
    from penstock.services.iam.service import Iam, NewKey

logger = logging.getLogger(__name__)

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


class App:
    """One running server, on the event loop that started it."""

    def __init__(self, settings: Settings, clock: Clock, entropy: Entropy) -> None:
        self.settings = settings
        self.clock = clock
        self._data_dir = Path(settings.data_dir)
        self._entropy = entropy
        self._stream_metrics = StreamMetrics()
        self._requests = RequestMetrics()
        self._lag = LoopLag(monotonic_s)
        self._tasks = LoopTasks()
        self._threads = WorkThreads()
        self._readers = BodyReaders()
        self._listener: Listener | Crew | None = None
        self._trust: Trust | None = None
        self._audit = open_audit(settings, clock, entropy)
        self._ports: list[int] = []
        self._started_s = monotonic_s()
        self.root_key: NewKey | None = None  # made by this start; whoever started shows it, once

    async def start(self) -> Endpoint:
        """Open everything; return when requests are answered.  Raises CannotListen, and SettingError for an unusable data_dir."""
        settings = self.settings
        self._trust = self._prepare_data_dir()
        self._engine = await open_engine(settings, self._data_dir, self.clock, self._entropy)
        self._services = await self._open_services()
        if settings.auth == "enforced":
            await self._make_root_key()
        self._exchange = Exchange(
            self._services.router,
            self._entropy,
            self._requests,
            monotonic_s,
            self._services.door,
            body_max_bytes=settings.max_body,
            depth_max=settings.max_depth,
            audit=self._audit,
            threads=self._threads,
            readers=self._readers,
        )
        exchange = self._exchange
        pages = Pages(
            self._pages(),
            {"/_penstock/traffic": self._traffic, "/_penstock/firehose": self._deliveries},
            exchange.handle,
            files={CODE: self._code},
            private=settings.auth == "enforced",
        )
        handlers = Handlers(pages.handle, exchange.refuse, exchange.reject, self._gather())
        self._listener = self._make_listener(handlers)
        try:
            self._ports.append(await self._listener.listen(plain_host(settings), settings.port, None))
            if self._trust is not None:
                self._ports.append(await self._listener.listen(settings.host, settings.tls_port, self._trust.files))
            await self._listener.open()
        except BaseException:
            await self.stop()
            raise
        self._tasks.spawn(self._lag.measure(), "event loop lag")
        self._look_after_trust()
        self.endpoint = self._endpoint()
        self._services.room.endpoint = self.endpoint.http
        self._tell(self.endpoint)
        return self.endpoint

    def _tell(self, endpoint: Endpoint) -> None:
        """Put the file in its place whole: who waits for it reads it as soon as it is there."""
        new = self._data_dir / f".{ENDPOINT_FILE}.new"
        new.write_bytes(msgspec.json.format(msgspec.json.encode(endpoint), indent=2))
        new.replace(self._data_dir / ENDPOINT_FILE)

    def _gather(self) -> Callable[[bytes, Client], bool] | None:
        """What takes small calls together.  Every call is told to an audit log in whole, if there is one; then nothing is gathered."""
        if self._audit is not None:
            return None
        most = min(REQUEST_MAX_BYTES, self.settings.max_body, self.settings.max_head)
        loop = asyncio.get_running_loop()
        return Gatherer(
            lambda: self._services.room.singles, self._entropy.bytes, self._requests, monotonic_s, loop, most
        ).take

    def _make_listener(self, handlers: Handlers) -> "Listener | Crew":
        patience, bounds = patience_of(self.settings), bounds_of(self.settings)
        if not self.settings.workers:
            return Listener(handlers, patience, bounds)
        from penstock.server.crew import Crew

        return Crew(self.settings.workers, handlers, self._requests, SystemClock(), self._tasks, patience, bounds)

    def _collectors(self) -> list[Collector]:
        """Who has figures to tell at GET /metrics."""
        storage = self._engine.health()
        return [
            self._stream_metrics,
            self._requests,
            Gauge("penstock_storage_writable", "1 while writes are taken.", storage.writable),
            Gauge("penstock_storage_damaged_places", "Places on the disk that cannot be read.", len(storage.damage)),
            Gauge("penstock_storage_disk_bytes", "What the engine's files take.", storage.disk_bytes),
            Gauge("penstock_event_loop_lag_seconds", "How late a timer last fired.", self._lag.seconds),
            Exposition(self._services.metrics),
        ]

    def _prepare_data_dir(self) -> Trust | None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            return None if self.settings.no_tls else Trust(self.settings, self._data_dir)
        except OSError as error:
            raise SettingError(f"cannot use --data-dir {self._data_dir}: {error.strerror}") from None

    async def _make_root_key(self) -> None:
        """Make the first key of the root, if there is none."""
        iam, account = await self.iam(), AccountId(self.settings.account_id)
        if not iam.identities.access_keys(account, None):
            made = await iam.new_key(account, None)
            write_credentials(self._data_dir / ROOT_CREDENTIALS_FILE, made.record.id, made.secret)
            self.root_key = made

    def _look_after_trust(self) -> None:
        if self._trust is not None and self._listener is not None:
            self._trust.warn(self.clock.now_ms())
            self._services.room.tasks.spawn(self._trust.look_after(self._listener, self.clock), "certificates")

    def reload(self) -> None:
        """Take up files that have changed: what SIGHUP asks for."""
        if self._trust is not None and self._listener is not None:
            self._trust.look(self._listener)

    async def stop(self) -> None:
        """Close the ports, answer what is under way, end the background work."""
        if self._listener is not None:
            await self._listener.stop()
        await self._services.stop()
        await self._tasks.stop()
        await self._engine.close()
        self._threads.close()
        self._readers.close()
        if self._audit is not None:
            await asyncio.to_thread(self._audit.close)
        (self._data_dir / ENDPOINT_FILE).unlink(missing_ok=True)

    @property
    def streams(self) -> Streams:
        """The streams service as it is now; a reset replaces it."""
        return self._services.streams

    async def iam(self) -> "Iam":
        """The identity service as it is now; a reset replaces it."""
        return await self._services.iam()

    async def firehose(self) -> "Firehose":
        """The Firehose service as it is now; a reset replaces it."""
        return await self._services.firehose()

    @property
    def engine_summary(self) -> str:
        """What the engine is and found, in a line."""
        return self._engine.summary

    async def reset(self) -> None:
        """Forget every stream, record and fault, and set a test clock back to the machine's time."""
        await self._services.clear()
        if isinstance(self.clock, TestClock):
            self.clock.reset()
        self._services = await self._open_services()
        self._services.room.endpoint = self.endpoint.http
        self._look_after_trust()
        self._exchange.router, self._exchange.door = self._services.router, self._services.door

    async def _open_services(self) -> Services:
        return await open_services(
            self.settings, self._engine, self._data_dir, self.clock, self._entropy, self._stream_metrics
        )

    def _endpoint(self) -> Endpoint:
        ports, trust = self._ports, self._trust
        return Endpoint(
            http=f"http://{_in_url(plain_host(self.settings))}:{ports[0]}",
            https=f"https://{_in_url(self.settings.host)}:{ports[1]}" if trust is not None else None,
            ca=str(trust.ca.resolve()) if trust is not None and trust.ca is not None else None,
            account_id=self.settings.account_id,
            region=self.settings.region,
            pid=os.getpid(),
        )

    def _pages(self) -> dict[tuple[str, str], Page]:
        pages: dict[tuple[str, str], Page] = {
            ("GET", HEALTH): self._health,
            ("GET", "/metrics"): self._metrics,
            ("POST", "/_penstock/firehose/flush"): self._flush_page,
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
                "version": __version__,
                "engine": settings.engine,
                "limits": settings.limits,
                "auth": settings.auth,
                "workers": settings.workers,
                "native": NATIVE is not None,
                "uptime_seconds": round(monotonic_s() - self._started_s, 3),
                "storage": health,
                "tls": self._trust.health(self.clock.now_ms()) if self._trust is not None else None,
            }
        )

    async def _traffic(self, query: Mapping[str, str]) -> Answer:
        return json_answer(await survey(self.streams, *_survey_query(query)))

    async def _code(self, token: str) -> Answer:
        data = await self._services.code(token)
        return (
            json_answer({"message": "this link is over"}, 403)
            if data is None
            else Answer(200, [("content-type", "application/zip")], data)
        )

    async def _deliveries(self, query: Mapping[str, str]) -> Answer:
        from penstock.services.firehose.status import statuses

        return json_answer(await statuses(await self.firehose(), query.get("name")))

    async def _flush_page(self, body: bytes) -> Answer:
        from penstock.services.firehose.status import flush

        request = msgspec.json.decode(body, type=_Flush)
        return json_answer({"flushed": flush(await self.firehose(), request.name)})

    async def _metrics(self, _body: bytes) -> Answer:
        return Answer(200, [("content-type", "text/plain; version=0.0.4; charset=utf-8")], scraped(self._collectors()))

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
        if bool(request.stream) == bool(request.delivery_stream):
            raise BadPageRequest("a fault is of a stream or of a delivery_stream: name one of them")
        number = parse_shard_id(request.shard_id) if request.shard_id is not None else None
        if request.shard_id is not None and number is None:
            raise BadPageRequest(f"{request.shard_id!r} is no shard id")
        if request.fail_puts is not None:
            self.streams.faults.fail_puts(request.stream, request.fail_puts)
        if request.slow_down is not None:
            self.streams.faults.fail_puts(delivery_fault(request.delivery_stream), request.slow_down)
        if request.throttle:
            self.streams.faults.throttle(request.stream, number)
        return json_answer({"status": "ok"})

    async def _clear_faults_page(self, _body: bytes) -> Answer:
        self.streams.faults.clear()
        return json_answer({"status": "ok"})


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /_penstock/clock`."""

    advance_seconds: Annotated[float, msgspec.Meta(ge=0, le=ADVANCE_MAX_S)]


class _Flush(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /_penstock/firehose/flush`."""

    name: str


class _Fault(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /_penstock/faults`."""

    stream: str = ""
    delivery_stream: str = ""
    slow_down: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # share of records put to the delivery stream
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
