"""A Penstock server inside the test process, with a clock to advance and faults to switch on.

    with PenstockServer() as server:
        kinesis = server.client("kinesis")
        ...
        server.clock.advance(minutes=5)              # shard iterators expire
        server.faults.throttle("orders", shard_id="shardId-000000000000")

The pytest plugin (penstock.pytest_plugin, found by pytest by itself) gives the same as fixtures.  This module is part of the public,
versioned API.
"""

import asyncio
import tempfile
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from penstock.core.ids import AccountId, parse_shard_id
from penstock.core.settings import load
from penstock.host.clock import TestClock

if TYPE_CHECKING:
    from penstock.app import App, Endpoint

__all__ = ["Clock", "Faults", "PenstockServer"]

_ANSWER_S: Final = 60  # longest that a control call may take before a test is told that the server hangs
SETTLING_TURNS: Final = 100  # of the loop, that what an advanced clock set off is given

Result = TypeVar("Result")


class PenstockServer:
    """One server on free ports of 127.0.0.1, in a thread of this process; usable as a context manager.

    `settings` are those of `penstock serve` by name (`limits="aws"`, `transition_ms=500`); ports and data directory are chosen here.
    TLS is off unless `tls` asks for it, because making certificates takes longer than all the rest.
    """

    def __init__(self, *, tls: bool = False, **settings: object) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="penstock-")
        chosen = {"port": 0, "tls_port": 0, "no_tls": not tls, "testing": True, "data_dir": self._directory.name}
        chosen["engine"] = "memory"
        texts = {name: str(value) for name, value in {**chosen, **settings}.items()}
        self._settings = load(texts, {}, None)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="penstock", daemon=True)
        self._app: App | None = None
        self._endpoint: Endpoint | None = None
        self.clock = Clock(self)
        self.faults = Faults(self)

    def start(self) -> Self:
        """Start; return when requests are answered."""
        from penstock.app import make_app

        async def begin() -> None:
            self._app = make_app(self._settings)
            self._endpoint = await self._app.start()

        self._thread.start()
        self._call(begin())
        return self

    def stop(self) -> None:
        """Stop and delete the data directory."""
        if self._app is not None:
            self._call(self._app.stop())
            self._app = None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_S)
        self._loop.close()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """The HTTP endpoint, for `endpoint_url=` or AWS_ENDPOINT_URL."""
        return self._where.http

    @property
    def tls_endpoint_url(self) -> str:
        """The HTTPS endpoint; only with `tls=True`."""
        assert self._where.https is not None, "start with tls=True"
        return self._where.https

    @property
    def ca_bundle(self) -> str:
        """Path of the CA certificate that signs the HTTPS endpoint's; only with `tls=True`."""
        assert self._where.ca is not None, "start with tls=True"
        return self._where.ca

    @property
    def region(self) -> str:
        """The region that `client` and `environment` use."""
        return self._settings.region

    @property
    def account_id(self) -> str:
        """The account of access keys that do not name one."""
        return self._settings.account_id

    @property
    def credentials(self) -> tuple[str, str]:
        """Access key id and secret that `client` and `environment` use; with `auth="enforced"` those of the account's root."""
        made = self._running.root_key
        return (made.record.id, made.secret) if made is not None else ("test", "test")

    def other_account(self, account: str) -> tuple[str, str]:
        """Access key id and secret of the root of another account, which exists from then on; for `auth="enforced"`."""

        async def make() -> tuple[str, str]:
            made = await (await self._running.iam()).new_key(AccountId(account), None)
            return made.record.id, made.secret

        return self._call(make())

    def environment(self) -> dict[str, str]:
        """Environment variables with which every AWS SDK and the CLI use this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.credentials[0],
            "AWS_SECRET_ACCESS_KEY": self.credentials[1],
        }

    def client(self, service: str = "kinesis", **options: Any) -> Any:
        """A boto3 client of this server; needs boto3 installed.  `options` are those of `boto3.client`."""
        import boto3

        chosen: dict[str, Any] = {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "aws_access_key_id": self.credentials[0],
            "aws_secret_access_key": self.credentials[1],
        }
        session: Any = boto3.Session()
        return session.client(service, **{**chosen, **options})

    def reset(self) -> None:
        """Forget every stream, record and fault, and set the clock back."""
        self._call(self._running.reset())

    @property
    def _running(self) -> "App":
        assert self._app is not None, "the server is not running"
        return self._app

    @property
    def _where(self) -> "Endpoint":
        assert self._endpoint is not None, "the server was not started"
        return self._endpoint

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_S)


class Clock:
    """The server's clock: the machine's time, or where it was told to stand, plus what was advanced."""

    def __init__(self, server: PenstockServer) -> None:
        self._server = server

    def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move time forward: what would expire meanwhile is expired, what would have happened has been started.

        What waits for nothing else, as with the memory engine, has ended, too.
        """

        async def move() -> None:
            clock = self._server._running.clock
            assert isinstance(clock, TestClock)
            clock.advance(round(((hours * 60 + minutes) * 60 + seconds) * 1000))
            for _ in range(SETTLING_TURNS):
                await clock.sleep(0)

        self._server._call(move())

    def stand(self) -> None:
        """Stop time until the server is reset: only `advance` moves it, so that no test depends on how fast the machine is."""

        async def stop() -> None:
            clock = self._server._running.clock
            assert isinstance(clock, TestClock)
            clock.stand()

        self._server._call(stop())

    @property
    def now_ms(self) -> int:
        """Milliseconds since the epoch, as the server sees them."""
        return self._server._running.clock.now_ms()


class Faults:
    """Things that go wrong when a test says so."""

    def __init__(self, server: PenstockServer) -> None:
        self._server = server

    def throttle(self, stream: str, shard_id: str | None = None) -> None:
        """Refuse every read and write of a shard (or of all shards) with ProvisionedThroughputExceededException."""
        number = None if shard_id is None else parse_shard_id(shard_id)
        if shard_id is not None and number is None:
            raise ValueError(f"{shard_id!r} is no shard id")

        async def set_fault() -> None:
            self._server._running.streams.faults.throttle(stream, number)

        self._server._call(set_fault())

    def fail_puts(self, stream: str, share: float) -> None:
        """Answer InternalFailure for a share (0 .. 1) of the records put, without writing them."""
        if not 0 <= share <= 1:
            raise ValueError("share is a fraction between 0 and 1")

        async def set_fault() -> None:
            self._server._running.streams.faults.fail_puts(stream, share)

        self._server._call(set_fault())

    def slow_down(self, delivery_stream: str, share: float) -> None:
        """Answer "Slow down." for a share (0 .. 1) of the records of PutRecordBatch, and of PutRecord calls, without writing them."""
        if not 0 <= share <= 1:
            raise ValueError("share is a fraction between 0 and 1")

        from penstock.services.streams.faults import delivery_fault

        async def set_fault() -> None:
            self._server._running.streams.faults.fail_puts(delivery_fault(delivery_stream), share)

        self._server._call(set_fault())

    def clear(self) -> None:
        """End every fault."""

        async def clear() -> None:
            self._server._running.streams.faults.clear()

        self._server._call(clear())
