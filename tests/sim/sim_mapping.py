"""Event source mappings in a simulated world: a stream that is resharded, a function that fails, and a server that crashes.

Theory.  Each record is labelled with its key and its turn.  The function is the judge: it sees every invocation, and knows which records it
has taken.  The log and the metadata survive every end; what a crash takes away is everything that was in memory.
The laws, held at the moment at which each could be broken:
  1. No two invocations that are under way hold records of one key.
  2. A record is taken, or given up, only after those of its key before it were.
  3. A record that was taken is given again only by a later life of the server, and only if it was taken shortly before a crash, or the
     metadata could not be written.
  4. The state of a tumbling window has each record once, whatever was repeated, and every record is in the last state of one.
  5. In the end every record was taken, or was given up because it fails for ever and its tries are counted; and no checkpoint is left
     but those of shards that are open.
"""

import json
import logging
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dictionary
from contextlib import contextmanager, suppress
from typing import Any, Final
from zlib import crc32

from msgspec.structs import replace
from sim_history import Wrong, expect
from sim_run import SeedFailed

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region, StreamName, StreamUid
from penstock.engines.api import MetaUnavailable, Write
from penstock.engines.memory import MemoryBuckets, MemoryLog, MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.host.sim.chance import Chance
from penstock.host.sim.clock import SimClock
from penstock.host.sim.loop import SimLoop
from penstock.host.sim.tasks import SimTasks
from penstock.services.functions.invoking import CodeRef, FunctionVersion, Invocation, Invoked
from penstock.services.functions.mapping.checkpoints import WRITE_MS
from penstock.services.functions.mapping.destinations import Destinations
from penstock.services.functions.mapping.service import open_mappings
from penstock.services.functions.mapping.state import Policy
from penstock.services.functions.ops.mapping import (
    CreateEventSourceMappingRequest,
    UpdateEventSourceMappingRequest,
    create_event_source_mapping,
    update_event_source_mapping,
)
from penstock.services.functions.outlets import Outlets, TypedValue
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams import sequence
from penstock.services.streams.directory import StreamView
from penstock.services.streams.service import open_streams
from penstock.services.streams.state import Shard, Stream
from penstock.services.streams.topology import uniform, uniform_target
from penstock.services.streams.writer import Written

KEYS: Final = 8
WORLD_MS: Final = 3_600_000
LAG_MS: Final = 3 * WRITE_MS + 30  # what a checkpoint may take: one under way, one waiting, and their commits
CALLER: Final = Caller(AccountId("123456789012"), Region("us-east-1"), "test", "lambda:Test")
FUNCTION: Final = "arn:aws:lambda:us-east-1:123456789012:function:work"
STREAM: Final = "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
QUEUE: Final = "arn:aws:sqs:us-east-1:123456789012:lost"


class SlowMeta(MemoryMeta):
    """A MetaStore whose commits take time, and fail now and then."""

    def __init__(self, clock: SimClock, draw: Chance) -> None:
        super().__init__()
        self._clock = clock
        self._draw = draw
        self.failing = 0.0

    async def commit(self, writes: Sequence[Write]) -> None:
        await self._clock.sleep(self._draw.choice((0, 0, 1, 5)))
        if self._draw.random() < self.failing:
            raise MetaUnavailable("simulated")
        await super().commit(writes)
        await self._clock.sleep(self._draw.choice((0, 0, 1, 5)))

    def forget_watchers(self) -> None:
        """The process that watched is gone."""
        self._watchers.clear()


class MappingWorld:
    """One seed's world.  It is the function, its source, and the queue of what is given up."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None) -> None:
        self.seed = seed
        self._trace = trace
        self.loop = SimLoop()
        self.clock = SimClock(self.loop)
        self.draw = self.stream("settings")
        self.log = MemoryLog(self.clock)
        self.meta = SlowMeta(self.clock, self.stream("commits"))
        self.function_draw = self.stream("function")
        self.life = 0
        self.turns: dict[str, int] = {}  # of each key, as they were written
        self.passed: dict[str, int] = {}  # of each key: the last turn that was taken or given up
        self.taken: dict[str, tuple[int, int]] = {}  # label: in which life, and when
        self.numbers: dict[str, str] = {}  # sequence number: label
        self.lost: set[str] = set()
        self.in_windows: set[str] = set()
        self.under_way: dict[str, int] = {}  # keys
        self.crashes: list[tuple[int, int]] = []  # the life that ended so, and when
        self.meta_failed = False
        self.failing = self.draw.choice((0.0, 0.1, 0.4))
        self.throttling = self.draw.choice((0.0, 0.0, 0.3))
        self.poison = self.draw.choice((0.0, 0.0, 0.03))
        self.policy = self._draw_policy()
        self.wrong: Wrong | None = None

    def _draw_policy(self) -> Policy:
        draw = self.draw
        return Policy(
            batch_size=draw.choice((1, 3, 10, 100)),
            batching_window_s=draw.choice((0, 0, 1, 5)),
            parallelization_factor=draw.choice((1, 1, 2, 10)),
            retries_max=draw.choice((0, 2)) if self.poison else -1,
            bisect=draw.random() < 0.5,
            reports_items=draw.random() < 0.5,
            tumbling_window_s=draw.choice((0, 0, 0, 2, 10)),
        )

    def stream(self, name: str) -> Chance:
        """A sequence of numbers of its own."""
        return Chance(self.seed, name)

    def say(self, line: str) -> None:
        """A line of the trace."""
        if self._trace is not None:
            self._trace(f"{self.loop.now_us:>12} {line}")

    def hold(self, truth: bool, *what: object) -> None:
        """A law; what breaks it ends the world, whoever catches the exception on its way."""
        if not truth:
            self.wrong = self.wrong or Wrong(" ".join(map(str, what)))
            self.loop.halt()

    def true_ms(self) -> int:
        """Time that does not jump."""
        return self.loop.now_us // 1000

    # The function.

    def find(self, account: AccountId, region: Region, function: str) -> FunctionVersion:
        """As FunctionSource."""
        return FunctionVersion(
            arn=FUNCTION, account=account, region=region, name="work", version="$LATEST", revision="1",
            runtime="python3.12", handler="a.b", role="arn:aws:iam::123456789012:role/work", code=CodeRef(""),
        )  # fmt: skip

    async def invoke(self, invocation: Invocation) -> Invoked:
        """As Invoker."""
        event = json.loads(invocation.payload)
        records = event["Records"]
        labels = [self._label(record) for record in records]
        draw, life = self.function_draw, self.life
        if draw.random() < self.throttling:
            raise ServiceError("TooManyRequestsException", "Rate Exceeded.", 429)
        if event.get("isFinalInvokeForWindow"):
            return self._end_window(event)
        self._judge_begin(labels)
        try:
            await self.clock.sleep(draw.choice((0, 1, 5, 50, 400)))
        finally:
            for label in labels:
                self.under_way.pop(_key(label), None)
        return self._answer(event, labels, life)

    def _end_window(self, event: Dictionary[str, Any]) -> Invoked:
        """Law 4."""
        names = event["state"].get("labels", ())
        self.say(f"a window ends with {len(names)}")
        self.hold(len(names) == len(set(names)), "a state has a record twice:", sorted(names))
        self.hold(not event["Records"], "the last invocation of a window has records")
        self.in_windows.update(names)
        return Invoked("r", b"null", None, "$LATEST")

    def _label(self, record: Dictionary[str, Any]) -> str:
        label, key = b64decode(record["kinesis"]["data"]).decode(), record["kinesis"]["partitionKey"]
        self.hold(_key(label) == key, label, "is told with the key", key)
        self.numbers[record["kinesis"]["sequenceNumber"]] = label
        return label

    def _answer(self, event: Dictionary[str, Any], labels: Sequence[str], life: int) -> Invoked:
        records = event["Records"]
        bad = [at for at, label in enumerate(labels) if self._fails(label)]
        if self.function_draw.random() < self.failing:
            bad.append(self.function_draw.randrange(len(labels)))
        if bad and not self.policy.reports_items:
            return Invoked("r", b"{}", "Unhandled", "$LATEST")
        first = min(bad, default=len(labels))
        self.say(f"takes {first} of {len(labels)} from {labels[0]}")
        for label in labels[:first]:
            self._take(label, life)
        items = [{"itemIdentifier": records[at]["kinesis"]["sequenceNumber"]} for at in bad]
        answer: dict[str, Any] = {"batchItemFailures": items}
        if "state" in event:
            answer["state"] = {"labels": [*event["state"].get("labels", ()), *labels[:first]]}
        return Invoked("r", json.dumps(answer).encode(), None, "$LATEST")

    def _fails(self, label: str) -> bool:
        """Whether a record fails for ever."""
        return Chance(self.seed, label).random() < self.poison

    def _judge_begin(self, labels: Sequence[str]) -> None:
        self.say(f"invoked with {labels[0]} ... {labels[-1]}: {len(labels)}")
        self.hold(bool(labels), "an invocation without records")
        for key in {_key(label) for label in labels}:
            self.hold(key not in self.under_way, "two invocations hold", key)
            self.under_way[key] = 1
        for label in labels:
            if label in self.taken:
                self._judge_repeat(label)

    def _judge_repeat(self, label: str) -> None:
        life, at_ms = self.taken[label]
        ended = [when for number, when in self.crashes if number == life]
        self.hold(bool(ended), label, "is given again without a crash")
        if ended and not self.meta_failed:
            self.hold(ended[0] - at_ms <= LAG_MS, label, "was taken", ended[0] - at_ms, "ms before the crash")

    def _take(self, label: str, life: int) -> None:
        self._pass(label)
        if self.life == life:  # else nobody was told
            self.taken[label] = (life, self.true_ms())

    def _pass(self, label: str) -> None:
        key, turn = label.split(".")
        before = self.passed.get(key, 0)
        self.hold(int(turn) <= before + 1, label, "comes after", before)
        self.passed[key] = max(before, int(turn))

    # The queue.

    async def itself(self) -> "MappingWorld":
        """As who opens queues."""
        return self

    async def send(self, account: str, arn: str, body: str, attributes: Dictionary[str, str | TypedValue]) -> str:
        """As Queues: the destination."""
        info = json.loads(body)["KinesisBatchInfo"]
        await self.clock.sleep(self.function_draw.choice((0, 1, 20)))
        labels = list(self._named(info))
        self.say(f"given up: {labels[0]} ... {info['batchSize']}")
        self.hold(len(labels) == info["batchSize"], "the document names", labels, "and counts", info["batchSize"])
        for label in labels:
            self._pass_lost(label)
        return "id"

    def _named(self, info: Dictionary[str, Any]) -> Iterator[str]:
        """The labels of a document's records, which lie in one lane of a shard."""
        first, last = int(info["startSequenceNumber"]), int(info["endSequenceNumber"])
        lane = self._lane(self.numbers[str(first)])
        shard_no = int(info["shardId"].rpartition("-")[2])
        for number in sorted(map(int, self.numbers)):
            decoded = sequence.decode(str(number))
            assert decoded is not None
            label = self.numbers[str(number)]
            if first <= number <= last and decoded.shard_no == shard_no and self._lane(label) == lane:
                yield label

    def _lane(self, label: str) -> int:
        return crc32(_key(label).encode()) % self.policy.parallelization_factor

    def _pass_lost(self, label: str) -> None:
        self.lost.add(label)
        key, turn = label.split(".")
        self.passed[key] = max(self.passed.get(key, 0), int(turn))

    # The server.

    async def serve(self) -> None:
        """Start the services on what the last life left."""
        self.life += 1
        self.meta.forget_watchers()
        self.tasks = SimTasks()
        entropy = SeededEntropy(self.seed * 1000 + self.life)
        self.streams = await open_streams(
            self.log, self.meta, clock=self.clock, entropy=entropy, tasks=self.tasks,
            metrics=StreamMetrics(), enforce_limits=False, transition_ms=self.transition_ms,
        )  # fmt: skip
        self.mappings = await open_mappings(
            self.meta, self.streams, functions=self, invoker=self,
            destinations=Destinations(Outlets(MemoryBuckets(), self.itself), self.clock, entropy),
            clock=self.clock, entropy=entropy, tasks=self.tasks, transition_ms=self.transition_ms,
        )  # fmt: skip

    async def crash(self) -> None:
        """End a life, wherever it is."""
        self.say("crash")
        self.crashes.append((self.life, self.true_ms()))
        await self.tasks.stop()
        self.under_way.clear()

    async def stop(self) -> None:
        """End a life in good order."""
        self.say("stop")
        await self.mappings.close()
        await self.tasks.stop()
        expect(not self.under_way, "closed, and still invoking")

    async def live(self) -> None:
        """All of it."""
        draw = self.stream("plan")
        self.transition_ms = draw.choice((0, 0, 30))
        await self.serve()
        view = await self._make_stream()
        await self._map()
        for _ in range(draw.randrange(1, 6)):
            await self._epoch(draw)
            await (self.crash() if draw.random() < 0.7 else self.stop())
            await self.serve()
        self.failing = self.throttling = 0.0
        self.meta.failing = 0.0
        await self.clock.sleep(120_000)
        self.clock.jump(
            10 * 3_600_000
        )  # arrivals never go down: where the clock was set back, windows lie in the future
        await self.clock.sleep(200_000)
        view = next(iter(self.streams.directory.all()))
        self._judge_end(view)
        await self.stop()
        expect(not self.tasks.failures, "a task failed:", self.tasks.failures)

    async def _make_stream(self) -> StreamView:
        now_ms = self.clock.now_ms()
        uid = StreamUid("aaaaaaaaaaaaaaaaaaaa-aaa")
        stream = Stream(
            account=CALLER.account, region=CALLER.region, name=StreamName("orders"), uid=uid, created_ms=now_ms,
            status="CREATING", mode="PROVISIONED",
        )  # fmt: skip
        shards = [
            Shard(uid=uid, no=no, hash_start=str(a), hash_end=str(b), created_ms=now_ms, created_s=now_ms // 1000)
            for no, (a, b) in enumerate(uniform(self.draw.randrange(1, 4)))
        ]
        await self.streams.lifecycle.create(stream, shards)
        await self.clock.sleep(self.transition_ms + 20)
        return next(iter(self.streams.directory.all()))

    async def _map(self) -> None:
        policy = self.policy
        request = CreateEventSourceMappingRequest(
            function_name="work", event_source_arn=STREAM, starting_position=self.draw.choice(("LATEST", "TRIM_HORIZON")),
            batch_size=policy.batch_size, maximum_batching_window_in_seconds=policy.batching_window_s,
            parallelization_factor=policy.parallelization_factor, maximum_retry_attempts=policy.retries_max,
            bisect_batch_on_function_error=policy.bisect, tumbling_window_in_seconds=policy.tumbling_window_s,
            function_response_types=["ReportBatchItemFailures"] if policy.reports_items else [],
        )  # fmt: skip
        made = await create_event_source_mapping(self.mappings, CALLER, request)
        self.uuid = made.uuid
        await self.clock.sleep(self.transition_ms + 20)
        if policy.retries_max >= 0:
            held = self.mappings.registry.find(CALLER.account, CALLER.region, self.uuid)
            await self.mappings.registry.change(replace(held, destination=QUEUE), "Updating")
            await self.clock.sleep(self.transition_ms + 20)

    async def _epoch(self, draw: Chance) -> None:
        for _ in range(draw.randrange(5, 60)):
            await self.clock.sleep(draw.choice((0, 0, 1, 10, 200, 1000)))
            luck = draw.random()
            if luck < 0.08:
                await self._reshard(draw)
            elif luck < 0.12:
                self.clock.jump(draw.choice((-3_600_000, -500, 500, 5_000)))
            elif luck < 0.16:
                await self._toggle(draw)
            elif luck < 0.19:
                self.meta.failing = draw.choice((0.0, 0.5))
                self.meta_failed = self.meta_failed or self.meta.failing > 0
            else:
                await self._put(draw)
        self.meta.failing = 0.0
        await self.clock.sleep(draw.choice((0, 10, 3000)))

    async def _put(self, draw: Chance) -> None:
        labels = []
        for _ in range(draw.choice((1, 1, 3, 20))):
            key = f"k{draw.randrange(KEYS)}"
            self.turns[key] = self.turns.get(key, 0) + 1
            labels.append(f"{key}.{self.turns[key]}")
        view = next(iter(self.streams.directory.all()))
        while labels:  # what is refused was not written
            data, keys = [label.encode() for label in labels], [_key(label).encode() for label in labels]
            results = await self.streams.writer.write(view, keys, data, [None] * len(labels))
            for label, result in zip(labels, results, strict=True):
                if isinstance(result, Written):
                    self.numbers[result.sequence_number] = label
            labels = [label for label, result in zip(labels, results, strict=True) if not isinstance(result, Written)]
            if labels:
                await self.clock.sleep(200)

    async def _reshard(self, draw: Chance) -> None:
        view = next(iter(self.streams.directory.all()))
        ranges = [held.shard.hash_range for held in view.open_shards()]
        with suppress(ServiceError, MetaUnavailable):
            await self.streams.lifecycle.reshard(view, view.stream, uniform_target(draw.randrange(1, 6), ranges))
            self.say("resharding")

    async def _toggle(self, draw: Chance) -> None:
        request = UpdateEventSourceMappingRequest(uuid=self.uuid, enabled=draw.random() < 0.6)
        with suppress(ServiceError, MetaUnavailable):
            await update_event_source_mapping(self.mappings, CALLER, request)
            self.say(f"enabled: {request.enabled}")

    def _judge_end(self, view: StreamView) -> None:
        held = self.mappings.registry.find(CALLER.account, CALLER.region, self.uuid)
        if held.state != "Enabled":
            return
        missing = [
            label for label in self.numbers.values() if self.passed.get(_key(label), 0) < int(label.split(".")[1])
        ]
        expect(not missing, len(missing), "records were neither taken nor given up:", missing[:5])
        if self.policy.tumbling_window_s:
            left = [label for label in self.numbers.values() if label not in self.in_windows | self.lost]
            expect(not left, len(left), "records are in no window:", left[:5])
        if not self.poison:
            expect(not self.lost, "given up, and nothing fails for ever:", sorted(self.lost)[:5])
        open_shards = {shard.shard.no for shard in view.open_shards()}
        kept = {place.shard_no for place in self.mappings.checkpoints.of(self.uuid)}
        expect(kept == open_shards, "checkpoints of", kept, "and open shards", open_shards)


def _key(label: str) -> str:
    return label.split(".")[0]


@contextmanager
def silenced() -> Iterator[None]:
    """Without the log."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def run_mapping_seed(seed: int, trace: Callable[[str], None] | None = None) -> int:
    """Run one seed; answer how many records were written.  Raises SeedFailed."""
    world = MappingWorld(seed, trace)
    try:
        with silenced():
            world.loop.run(world.live(), WORLD_MS)
    except Exception as error:
        what = world.wrong or error
        raise SeedFailed(seed, f"{what if isinstance(what, Wrong) else repr(what)}", "mapping") from error
    finally:
        world.loop.drop_everything()
    return len(world.numbers)
