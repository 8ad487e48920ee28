"""What the tests of delivery stand on: the service on a clock that is set by hand, and a destination that does as it is told."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from streams_world import CALLER, ManualClock, turns

from penstock.core.ids import AccountId, Millis, Region
from penstock.engines.api import MetaStore
from penstock.engines.buckets import PLAIN, Body, BucketsUnavailable, ObjectHead
from penstock.engines.memory import MemoryBuckets, MemoryLog, MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.host.tasks import LoopTasks
from penstock.services.firehose.destinations.api import Again, Delivered, Hints, Outcome, Parcel
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.makers import Makers
from penstock.services.firehose.ops.record import PutRecordBatchRequest, put_record_batch
from penstock.services.firehose.ops.stream import CreateDeliveryStreamRequest, create_delivery_stream
from penstock.services.firehose.processing.api import Converter, Step
from penstock.services.firehose.service import Firehose, Surroundings, open_firehose
from penstock.services.firehose.site import Site
from penstock.services.firehose.status import DeliveryStatus, Progress, statuses
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.measures import Measure
from penstock.services.streams.service import Streams, open_streams

ROLE: Final = "arn:aws:iam::123456789012:role/firehose"
S3: Final = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake"}
HINTS: Final = Hints(1 << 20, 60_000)
KIND: Final = "test-failed"

Script = Callable[[Parcel], Outcome]


def delivered(parcel: Parcel) -> Outcome:
    """All of it."""
    return Delivered(sum(len(entry.data) for entry in parcel.entries), len(parcel.entries))


def refused(parcel: Parcel) -> Outcome:
    """None of it, but it may be tried again."""
    return Again("Test.Refused", "not now", parcel.entries)


@dataclass
class Scripted:
    """A destination that does as it is told, and remembers."""

    script: list[Script] = field(default_factory=list)  # of the coming attempts; then `otherwise`
    otherwise: Script = delivered
    retry_ms: int = 300_000
    hints: Hints = HINTS
    name: str = "Test"
    parcels: list[tuple[int, Parcel]] = field(default_factory=list)  # with the times of attempts
    got: list[bytes] = field(default_factory=list)  # data that was delivered
    clock: ManualClock | None = None

    async def deliver(self, parcel: Parcel) -> Outcome:
        assert self.clock is not None
        self.parcels.append((self.clock.ms, parcel))
        outcome = (self.script.pop(0) if self.script else self.otherwise)(parcel)
        if isinstance(outcome, Delivered):
            self.got += [entry.data for entry in parcel.entries]
        return outcome

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        return [Failure(entry, KIND, again.code, again.message, parcel.attempts + 1) for entry in again.entries]

    async def close(self) -> None:
        pass


class FailingBuckets(MemoryBuckets):
    """Buckets that can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.attempts = 0

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        self.attempts += 1
        if self.away:
            raise BucketsUnavailable("the bucket is away")
        await super().put(bucket, key, body, head)


class AtOnce:
    """Threads that are none."""

    async def run(self, work: Callable[[], Any]) -> Any:
        return work()


class Keys:
    """A master key."""

    async def read(self) -> bytes | None:
        return b"k" * 32

    async def make(self) -> bytes:
        return b"k" * 32


@dataclass
class Told:
    """Metrics and log lines that were told."""

    metrics: dict[str, float] = field(default_factory=dict)  # sums by name
    lines: list[dict[str, Any]] = field(default_factory=list)

    def take(
        self, account: AccountId, region: Region, dimensions: Mapping[str, str], at_ms: Millis, measure: Measure
    ) -> None:
        assert dimensions == {"DeliveryStreamName": "d"}
        self.metrics[measure.name] = self.metrics.get(measure.name, 0) + measure.sample.total

    def put(self, account: str, region: str, group: str, stream: str, at_ms: int, message: str) -> None:
        self.lines.append({"group": group, "stream": stream, **msgspec.json.decode(message)})


@dataclass
class DeliveryWorld:
    """One data directory and one bucket, and the service as it was last started on them."""

    clock: ManualClock = field(default_factory=ManualClock)
    meta: MetaStore = field(default_factory=MemoryMeta)
    buckets: FailingBuckets = field(default_factory=FailingBuckets)
    entropy: SeededEntropy = field(default_factory=lambda: SeededEntropy(1))
    destination: Scripted = field(default_factory=Scripted)
    steps: list[Step] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    enforce_limits: bool = False
    log: MemoryLog = field(init=False)
    streams: Streams = field(init=False)
    firehose: Firehose = field(init=False)
    tasks: LoopTasks = field(init=False)

    def __post_init__(self) -> None:
        self.log = MemoryLog(self.clock)
        self.destination.clock = self.clock

    async def start(self) -> Firehose:
        """Start the services."""
        self.tasks = LoopTasks()
        self.streams = await open_streams(
            self.log,
            self.meta,
            clock=self.clock,
            entropy=self.entropy,
            tasks=self.tasks,
            metrics=StreamMetrics(),
            enforce_limits=False,
            transition_ms=0,
        )
        around = Surroundings(
            streams=self.streams,
            objects=self.buckets,
            makers=Makers(self._steps, self._converter, self._destination),
            master=Keys(),
            threads=AtOnce(),
            new_tasks=LoopTasks,
            metrics=self.told,
            logs=self.told,
        )
        self.firehose = await open_firehose(
            self.log,
            self.meta,
            around,
            clock=self.clock,
            entropy=self.entropy,
            tasks=self.tasks,
            enforce_limits=self.enforce_limits,
            transition_ms=0,
        )
        return self.firehose

    def _steps(self, shape: Any, site: Site, measures: Any) -> Sequence[Step]:
        return self.steps

    def _converter(self, configuration: Any, site: Site, measures: Any) -> Converter | None:
        raise AssertionError("nothing is converted here")

    def _destination(self, kind: Any, shape: Any, site: Site) -> Scripted:
        return self.destination

    async def stop(self) -> None:
        """Stop them, wherever they are: a crash as far as the stores can tell."""
        await self.firehose.close()
        await self.tasks.stop()

    async def create(self, *, name: str = "d", **members: Any) -> None:
        """A delivery stream with extended S3."""
        hints = {"SizeInMBs": 1, "IntervalInSeconds": 60}
        document = {**S3, "BufferingHints": hints, **members}
        await create_delivery_stream(
            self.firehose,
            CALLER,
            CreateDeliveryStreamRequest(delivery_stream_name=name, extended_s3_destination_configuration=document),
        )
        await turns(30)

    async def create_scripted(self, *, name: str = "d", **members: Any) -> None:
        """A delivery stream with the scripted destination."""
        document = {"EndpointConfiguration": {"Url": "https://peer/"}, "S3Configuration": S3, **members}
        await create_delivery_stream(
            self.firehose,
            CALLER,
            CreateDeliveryStreamRequest(delivery_stream_name=name, http_endpoint_destination_configuration=document),
        )
        await turns(30)

    async def put(self, *data: bytes, name: str = "d") -> None:
        """Put records."""
        await put_record_batch(self.firehose, CALLER, PutRecordBatchRequest(delivery_stream_name=name, data=list(data)))
        await turns(30)

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """What is in the bucket."""
        held = self.buckets.objects.get("lake", {})
        return {key: body for key, (body, _) in sorted(held.items()) if key.startswith(prefix)}

    def errors(self, kind: str) -> list[dict[str, Any]]:
        """The error objects of a kind."""
        return [msgspec.json.decode(line) for body in self.objects(kind).values() for line in body.splitlines()]

    async def status(self, name: str = "d") -> DeliveryStatus:
        """What is told of a delivery stream."""
        [told] = (await statuses(self.firehose, name)).delivery_streams
        return told

    async def progress(self) -> Progress:
        """What it did since it was last put to work."""
        progress = (await self.status()).progress
        assert progress is not None
        return progress

    async def unaccounted(self) -> int:
        """Records that no checkpoint has passed."""
        lanes = (await self.progress()).lanes
        return sum(lane.unread_records + lane.unaccounted_records for lane in lanes)


def data_of(objects: Mapping[str, bytes]) -> Iterator[bytes]:
    """The lines of objects."""
    for body in objects.values():
        yield from body.splitlines()


def keyed(**keys: str) -> Callable[[Entry], Entry]:
    """Gives an entry partition keys."""
    return lambda entry: msgspec.structs.replace(entry, partition_keys=keys)
