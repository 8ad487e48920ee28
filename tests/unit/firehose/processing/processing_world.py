"""What steps stand on in these tests: a site with a clock to advance, a function that is Python's, jq in its process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.engines.buckets import PLAIN, Body, ObjectHead
from penstock.host.clock import TestClock
from penstock.host.entropy import SeededEntropy
from penstock.host.jqprocess import JqProcess
from penstock.host.threads import WorkThreads
from penstock.services.firehose.entries import Entry, Failure, Origin
from penstock.services.firehose.processing.api import Processed, Step
from penstock.services.firehose.processing.chain import make_steps
from penstock.services.firehose.shapes import ExtendedS3
from penstock.services.firehose.site import Site
from penstock.services.functions.invoking import Invocation, Invoked

ARN = "arn:aws:firehose:us-east-1:123456789012:deliverystream/d"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
Handler = Callable[[dict[str, Any]], object]  # an event to its answer, to an Invoked, or to a refusal


class Bucketless:
    """No objects."""

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        raise AssertionError("steps write no objects")

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        raise AssertionError("steps read no objects")


class Functions:
    """Invokes a Python function in this process."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.events: list[dict[str, Any]] = []
        self.patience_s: list[int | None] = []
        self.at_once = self.at_once_most = 0

    async def invoke(self, invocation: Invocation) -> Invoked:
        self.at_once += 1
        self.at_once_most = max(self.at_once, self.at_once_most)
        await TestClock().sleep(0)
        self.at_once -= 1
        assert invocation.function == FUNCTION
        event = msgspec.json.decode(invocation.payload)
        self.events.append(event)
        self.patience_s.append(invocation.patience_s)
        answer = self.handler(event)
        if isinstance(answer, ServiceError):
            raise answer
        if isinstance(answer, Invoked):
            return answer
        payload = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        return Invoked("id", payload, None, "$LATEST")


class Told:
    """Keeps what is measured."""

    def __init__(self) -> None:
        self.values: list[tuple[str, float]] = []

    def add(self, name: str, value: float) -> None:
        self.values.append((name, value))


class World:
    """One delivery stream's place."""

    def __init__(self, threads: WorkThreads, queries: JqProcess) -> None:
        self.clock = TestClock()
        self.clock.stand()
        self.threads = threads
        self.queries = queries
        self.told = Told()
        self.functions = Functions(lambda event: event)
        self.site = Site(
            account=AccountId("123456789012"),
            region=Region("us-east-1"),
            stream="d",
            arn=ARN,
            version="1",
            source_arn=None,
            clock=self.clock,
            entropy=SeededEntropy(1),
            threads=threads,
            objects=Bucketless(),
        )

    def steps(self, *processors: Mapping[str, Any], **members: Any) -> list[Step]:
        """The steps of an S3 destination with processors."""
        return make_steps(shape_of(*processors, **members), self.site, self.functions, self.queries, self.told)

    async def through(self, steps: Sequence[Step], *entries: Entry) -> Processed:
        """Take entries through all steps; none may be lost."""
        kept, failed, dropped = list(entries), list[Failure](), 0
        for step in steps:
            done = await step.process(kept)
            assert len(done.failed) + done.dropped + len({entry.place for entry in done.kept}) == len(
                {entry.place for entry in kept}
            )
            kept, failed, dropped = done.kept, [*failed, *done.failed], dropped + done.dropped
        return Processed(kept, failed, dropped)


def shape_of(*processors: Mapping[str, Any], **members: Any) -> ExtendedS3:
    """An S3 destination."""
    document = {
        "RoleARN": "arn:aws:iam::123456789012:role/r",
        "BucketARN": "arn:aws:s3:::b",
        "ProcessingConfiguration": {"Enabled": True, "Processors": list(processors)},
        **members,
    }
    return msgspec.convert(document, ExtendedS3)


def processor(type_: str, **parameters: str) -> dict[str, Any]:
    """A processor as the API has it."""
    rows = [{"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()]
    return {"Type": type_, "Parameters": rows}


def entry(data: bytes, place: int = 0, origin: Origin | None = None) -> Entry:
    """An entry as its source makes it."""
    return Entry(data, 1_700_000_000_000 + place, f"r{place}", place, origin)


def entries(*data: bytes) -> list[Entry]:
    """Entries one behind the other."""
    return [entry(one, place) for place, one in enumerate(data)]


@asynccontextmanager
async def opened() -> AsyncIterator[World]:
    """A world, closed at the end."""
    threads, queries = WorkThreads(), JqProcess(record_cpu_s=0.3)
    try:
        yield World(threads, queries)
    finally:
        await queries.close()
        threads.close()


def play(scenario: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario in a world of its own."""

    async def run() -> None:
        async with opened() as world:
            await scenario(world)

    asyncio.run(run())
