"""What the tests of mappings stand on: the streams service and mappings in virtual time, and a function that a test writes."""

import json
from base64 import b64decode
from collections.abc import Callable, Coroutine, Sequence
from collections.abc import Mapping as Dictionary
from typing import Any, Final

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Millis, Region, StreamName, StreamUid
from penstock.engines.buckets import Buckets
from penstock.engines.memory import MemoryBuckets, MemoryLog, MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.host.sim.clock import SimClock
from penstock.host.sim.loop import SimLoop
from penstock.host.sim.tasks import SimTasks
from penstock.services.functions.invoking import CodeRef, FunctionVersion, Invocation, Invoked
from penstock.services.functions.mapping.destinations import Destinations
from penstock.services.functions.mapping.measures import Measure
from penstock.services.functions.mapping.service import open_mappings
from penstock.services.functions.ops.mapping import CreateEventSourceMappingRequest, create_event_source_mapping
from penstock.services.functions.outlets import Outlets, TypedValue
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.directory import StreamView
from penstock.services.streams.service import open_streams
from penstock.services.streams.state import Shard, Stream
from penstock.services.streams.topology import uniform

CALLER: Final = Caller(AccountId("123456789012"), Region("us-east-1"), "test", "lambda:Test")
STREAM: Final = "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
ROLE: Final = "arn:aws:iam::123456789012:role/work"

Handler = Callable[
    [Dictionary[str, Any]], Any
]  # what a function makes of an event; raises to fail, or ServiceError to be refused


def arn_of(function: str) -> str:
    return f"arn:aws:lambda:us-east-1:123456789012:function:{function}"


class Site:
    """One data directory and what runs on it; itself the functions, queues and metrics."""

    def __init__(self, handler: Handler, buckets: Buckets | None = None, transition_ms: int = 0) -> None:
        self.loop = SimLoop()
        self.clock = SimClock(self.loop)
        self.log = MemoryLog(self.clock)
        self.meta = MemoryMeta()
        self.handler = handler
        self.missing: set[str] = set()  # functions that are not there
        self.events: list[Dictionary[str, Any]] = []
        self.sent: list[tuple[str, Dictionary[str, Any]]] = []  # queue or topic, and document
        self.figures: dict[str, float] = {}  # totals by the name of a metric
        self.dimensions: dict[str, Dictionary[str, str]] = {}
        self.slow_ms = 1
        self._buckets = MemoryBuckets() if buckets is None else buckets
        self._transition_ms = transition_ms
        self._entropy = SeededEntropy(1)

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Open everything, play, and close it; what failed in the background fails the test."""

        async def whole() -> None:
            await self.open()
            await scenario()
            await self.close()
            assert not self.tasks.failures, self.tasks.failures

        self.loop.run(whole(), 100 * 3_600_000)

    async def open(self) -> None:
        self.tasks = SimTasks()
        shared: dict[str, Any] = {
            "clock": self.clock, "entropy": self._entropy, "tasks": self.tasks, "transition_ms": self._transition_ms,
        }  # fmt: skip
        metrics = StreamMetrics()
        self.streams = await open_streams(self.log, self.meta, metrics=metrics, enforce_limits=False, **shared)

        async def itself() -> Site:
            return self

        outlets = Outlets(self._buckets, itself, itself)
        destinations = Destinations(outlets, self.clock, self._entropy)
        self.mappings = await open_mappings(
            self.meta, self.streams, functions=self, invoker=self, destinations=destinations, sink=self, **shared
        )

    async def close(self) -> None:
        await self.mappings.close()
        await self.tasks.stop()

    async def stream(self, shards: int = 1, uid: str = "a" * 24, name: str = "orders") -> StreamView:
        now_ms = self.clock.now_ms()
        stream = Stream(
            account=CALLER.account, region=CALLER.region, name=StreamName(name), uid=StreamUid(uid), created_ms=now_ms,
            status="CREATING", mode="PROVISIONED",
        )  # fmt: skip
        made = [
            Shard(
                uid=stream.uid, no=no, hash_start=str(a), hash_end=str(b), created_ms=now_ms, created_s=now_ms // 1000
            )
            for no, (a, b) in enumerate(uniform(shards))
        ]
        await self.streams.lifecycle.create(stream, made)
        await self.clock.sleep(self._transition_ms + 1)
        view = self.streams.directory.find_uid(uid)
        assert view is not None
        return view

    async def put(self, view: StreamView, *data: str) -> None:
        """Records whose keys are their first letters."""
        values = [text.encode() for text in data]
        await self.streams.writer.write(view, [value[:1] for value in values], values, [None] * len(values))

    async def map(self, **settings: Any) -> str:
        """A mapping; answers its id."""
        values: dict[str, Any] = {
            "function_name": "work", "event_source_arn": STREAM, "starting_position": "TRIM_HORIZON", **settings,
        }  # fmt: skip
        made = await create_event_source_mapping(self.mappings, CALLER, CreateEventSourceMappingRequest(**values))
        return made.uuid

    def result(self, uuid: str) -> str:
        """LastProcessingResult."""
        return self.mappings.registry.result(self.mappings.registry.find(CALLER.account, CALLER.region, uuid))

    def given(self) -> list[list[str]]:
        """The data of every batch that the function was given."""
        return [data_of(event) for event in self.events]

    # What mappings see.

    def find(self, account: AccountId, region: Region, function: str) -> FunctionVersion:
        name = function.split(":")[6] if function.startswith("arn:") else function
        if name in self.missing:
            raise ServiceError("ResourceNotFoundException", f"Function not found: {arn_of(name)}", 404)
        return FunctionVersion(
            arn=arn_of(name), account=account, region=region, name=name, version="$LATEST", revision="1",
            runtime="python3.12", handler="a.b", role=ROLE, code=CodeRef(""),
        )  # fmt: skip

    async def invoke(self, invocation: Invocation) -> Invoked:
        self.find(invocation.account, invocation.region, invocation.function)
        event = json.loads(invocation.payload)
        self.events.append(event)
        await self.clock.sleep(self.slow_ms)
        try:
            answer = self.handler(event)
        except ServiceError:
            raise
        except ValueError:
            return Invoked("request", b'{"errorMessage": "no"}', "Unhandled", "$LATEST")
        return Invoked("request", json.dumps(answer).encode(), None, "$LATEST")

    async def send(self, account: str, arn: str, body: str, attributes: Dictionary[str, str | TypedValue]) -> str:
        self.sent.append((arn, json.loads(body)))
        return "id"

    async def publish(self, account: str, arn: str, message: str, attributes: Dictionary[str, str]) -> str:
        return await self.send(account, arn, message, {})

    def take(
        self, account: AccountId, region: Region, dimensions: Dictionary[str, str], at_ms: Millis, measure: Measure
    ) -> None:
        self.figures[measure.name] = self.figures.get(measure.name, 0) + measure.sample.total
        self.dimensions[measure.name] = dimensions


def data_of(event: Dictionary[str, Any]) -> list[str]:
    """The data of an event's records."""
    records: Sequence[Any] = event["Records"]
    return [b64decode(record["kinesis"]["data"]).decode() for record in records]
