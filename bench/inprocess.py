"""What a request costs the server's process, without a network: `python -m bench.inprocess`.

Whole requests are given to connections (server/connection.py) over transports that keep nothing, and CPU time is counted, of all threads:
the event loop's, the disk's and this client's, which is a few searches.  So the figures are steadier than those of `python -m bench`, and
lack the kernel's share of sockets.  Each engine is measured open and with signatures verified, from the same signed requests; the four
servers take turns, and the least of the rounds is shown beside the median.

To compare two states of the code, run it with PYTHONPATH at the src/ of each, in turns.
"""

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Final, cast

import click
import uvloop
from botocore.credentials import Credentials

from bench import payload, signing
from bench.scenarios import SHARDS, STREAM
from penstock.cli import GC_THRESHOLDS
from penstock.composition import Services, open_services
from penstock.core.ids import AccountId
from penstock.core.settings import Settings
from penstock.engine import Engine, open_engine
from penstock.host.clock import SystemClock, monotonic_s
from penstock.host.entropy import SystemEntropy
from penstock.server.connection import Connection
from penstock.server.exchange import Exchange
from penstock.server.health import RequestMetrics
from penstock.server.pages import Pages
from penstock.server.traffic import Handlers, Patience, Traffic
from penstock.services.metrics.registry import StreamMetrics

CONNECTIONS: Final = {"PutRecord": 64, "PutRecords": 16, "GetRecords": 4}
VARIANTS: Final = 256
PORT: Final = 4566  # what requests name; nothing listens
_LOOKED_AT_BYTES: Final = 100_000  # of an answer, for records that were refused


class _Transport(asyncio.Transport):
    """A socket that takes everything, and tells when an answer was written."""

    def __init__(self, answered: Callable[[bytes], None]) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000)})
        self._answered = answered

    def write(self, data: Any) -> None:
        self._answered(data)

    def writelines(self, list_of_data: Any) -> None:
        self._answered(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        raise AssertionError("the server hung up")

    close = pause_reading = resume_reading = abort


class _Run:
    """One closed loop of requests."""

    def __init__(self, traffic: Traffic, requests: Sequence[bytes], total: int) -> None:
        self.finished: asyncio.Future[None] = traffic.loop.create_future()
        self._traffic = traffic
        self._requests = cycle(requests)
        self._left = self._unanswered = total

    def begin(self, connections: int) -> None:
        """Make connections, each with its first request."""
        for _ in range(connections):
            connection = Connection(self._traffic, lambda _transport, _data: None)
            connection.connection_made(_Transport(self._answered(connection)))
            self._next(connection)

    def _answered(self, connection: Connection) -> Callable[[bytes], None]:
        def note(data: bytes) -> None:
            if not data.startswith(b"HTTP/1.1 "):
                return  # the rest of an answer
            assert data.startswith(b"HTTP/1.1 200"), data[:2000]
            assert data.find(b'"ErrorCode"', 0, _LOOKED_AT_BYTES) < 0, data[:2000]
            self._unanswered -= 1
            if not self._unanswered:
                self.finished.set_result(None)
            self._traffic.loop.call_soon(self._next, connection)

        return note

    def _next(self, connection: Connection) -> None:
        if self._left:
            self._left -= 1
            connection.data_received(next(self._requests))
        else:
            connection.connection_lost(None)


class Subject:
    """A server without ports."""

    def __init__(self, name: str, engine: Engine, services: Services, traffic: Traffic, key: Credentials) -> None:
        self.name = name
        self._engine = engine
        self._services = services
        self._traffic = traffic
        self._key = key
        self.figures_us: list[float] = []

    async def run(self, operation: str, documents: Sequence[dict[str, Any]], total: int, connections: int) -> float:
        """CPU microseconds for each of `total` requests, signed now."""
        signer = signing.Signer(self._key)
        requests = [signer.http_request(PORT, operation, document) for document in documents]
        run = _Run(self._traffic, requests, total)
        started_s = time.process_time()
        run.begin(connections)
        await run.finished
        used_s = time.process_time() - started_s
        await asyncio.sleep(0)  # the last connections leave
        return used_s / total * 1e6

    async def ask(self, operation: str, document: dict[str, Any]) -> dict[str, Any]:
        """The document that answers one request."""
        parts: list[bytes] = []
        came = asyncio.Event()

        def note(data: bytes) -> None:
            parts.append(data)
            came.set()

        connection = Connection(self._traffic, lambda _transport, _data: None)
        connection.connection_made(_Transport(note))
        connection.data_received(signing.Signer(self._key).http_request(PORT, operation, document))
        await came.wait()
        await asyncio.sleep(0)
        connection.connection_lost(None)
        head, _, body = b"".join(parts).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head + body[:1000]
        return payload.JSON.read(body)

    async def close(self) -> None:
        """Let go of everything."""
        await self._traffic.stop()
        await self._services.stop()
        await self._engine.close()


async def subject(engine_name: str, auth: str, folder: Path) -> Subject:
    """A server on an engine, with a stream."""
    settings = Settings(engine=cast("Any", engine_name), auth=cast("Any", auth), data_dir=str(folder))
    clock, entropy = SystemClock(), SystemEntropy()
    engine = await open_engine(settings, folder, clock, entropy)
    services = await open_services(settings, engine, folder, clock, entropy, StreamMetrics())
    exchange = Exchange(services.router, entropy, RequestMetrics(), monotonic_s, services.door)
    pages = Pages({}, {}, exchange.handle)
    traffic = Traffic(Handlers(pages.handle, exchange.refuse, exchange.reject), Patience())
    made = await (await services.iam()).new_key(AccountId(settings.account_id), None)
    key = Credentials(made.record.id, made.secret)
    found = Subject(f"{engine_name}, {auth}", engine, services, traffic, key)
    await found.run("CreateStream", [{"StreamName": STREAM, "ShardCount": SHARDS}], 1, 1)
    view = next(services.streams.directory.all())
    while view.stream.status != "ACTIVE":
        await view.change()
    return found


def documents_of(operation: str) -> list[dict[str, Any]]:
    """What is sent."""
    if operation == "PutRecord":
        return [payload.put_record(STREAM, each) for each in payload.records(VARIANTS, payload.PUT_RECORD_BYTES)]
    batches = [payload.records(payload.PUT_RECORDS_COUNT, payload.PUT_RECORDS_BYTES, batch) for batch in range(8)]
    return [payload.put_records(STREAM, batch) for batch in batches]


async def measure(operation: str, requests: int, rounds: int, only: str) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        pairs = [(engine, auth) for engine in ("memory", "local") for auth in ("open", "enforced")]
        subjects = [
            await subject(engine, auth, Path(tempfile.mkdtemp(dir=folder)))
            for engine, auth in pairs
            if only in f"{engine}, {auth}"
        ]
        documents = documents_of(operation)
        for each in subjects:
            await each.run(operation, documents, max(1, requests // 10), CONNECTIONS[operation])
        gc.freeze()  # as a server does
        gc.set_threshold(*GC_THRESHOLDS)
        for turn in range(rounds):
            for each in subjects[turn % len(subjects) :] + subjects[: turn % len(subjects)]:
                each.figures_us.append(await each.run(operation, documents, requests, CONNECTIONS[operation]))
        for each in subjects:
            least, middle = min(each.figures_us), statistics.median(each.figures_us)
            print(f"{operation}, {each.name}: least {least:.1f} us, median {middle:.1f} us of CPU")
            await each.close()


@click.command(help=__doc__)
@click.option("--operation", type=click.Choice(["PutRecord", "PutRecords"]), default="PutRecord", show_default=True)
@click.option("--requests", default=10_000, show_default=True, help="In a round.")
@click.option("--rounds", default=5, show_default=True)
@click.option(
    "--only", default="", help="Only servers whose name holds this text: `memory`, `enforced`, `local, open`."
)
def main(operation: str, requests: int, rounds: int, only: str) -> None:
    """Run it."""
    uvloop.run(measure(operation, requests, rounds, only))


if __name__ == "__main__":
    main()
