"""Events: processed until they have succeeded, failed for good or grown too old; on virtual time."""

import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Millis, Region
from penstock.engines.api import MetaUnavailable
from penstock.engines.memory import MemoryBuckets, MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.host.sim.clock import SimClock
from penstock.host.sim.loop import SimLoop
from penstock.host.tasks import LoopTasks
from penstock.services.functions import events
from penstock.services.functions.directory import Directory
from penstock.services.functions.events import EventQueue
from penstock.services.functions.invoking import Invocation, Invoked
from penstock.services.functions.names import FunctionName
from penstock.services.functions.outlets import Outlets
from penstock.services.functions.state import EVENTS, Code, EventConfig, Function, Version

ACCOUNT, REGION = AccountId("123456789012"), Region("us-east-1")
F = FunctionName(ACCOUNT, REGION, "f", None)
QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"
BUCKET = "arn:aws:s3:::records"
MINUTE, HOUR = 60_000, 3_600_000
FINE = Invoked("r", b'"fine"', None, "$LATEST")
FAILED = Invoked("r", b'{"errorMessage":"no","errorType":"E"}', "Unhandled", "$LATEST")


class Answering:
    """An invoker that answers by a function of the attempt, and remembers when it was asked."""

    def __init__(self, clock: SimClock, answer: Callable[[int], Invoked | ServiceError | Exception]) -> None:
        self.clock = clock
        self.answer = answer
        self.at_ms: list[int] = []
        self.request_ids: list[str] = []
        self.most = self.now = 0

    async def invoke(self, invocation: Invocation) -> Invoked:
        self.at_ms.append(self.clock.now_ms())
        self.request_ids.append(invocation.request_id)
        self.now += 1
        self.most = max(self.most, self.now)
        await self.clock.sleep(10)
        self.now -= 1
        answer = self.answer(len(self.at_ms))
        if isinstance(answer, Exception):
            raise answer
        return answer


class Messages:
    """A queue service."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, Any]]] = []

    async def send(self, account: str, arn: str, body: str, attributes: Mapping[str, Any]) -> str:
        if arn.endswith("away"):
            raise MetaUnavailable("the disk is full")
        if arn.endswith("bug"):
            raise AssertionError("a bug of ours")
        if arn.endswith("none"):
            raise ServiceError("QueueDoesNotExist", "no such queue")
        self.sent.append((arn, body, dict(attributes)))
        return "id"


class World:
    """A queue of events on virtual time; a store that outlives it."""

    def __init__(self, answer: Callable[[int], Any], config: EventConfig | None = None, **others: Any) -> None:
        self.loop = SimLoop()
        self.clock = SimClock(self.loop)
        self.meta, self.buckets, self.messages = MemoryMeta(), MemoryBuckets(), Messages()
        self.invoker = Answering(self.clock, answer)
        reserved = others.pop("reserved_concurrency", None)
        latest = Version(
            revision="r",
            code=Code("", 0),
            role="",
            runtime="",
            handler="",
            modified_ms=Millis(0),
            ready_ms=Millis(0),
            **others,
        )
        self.function = Function(
            account=ACCOUNT, region=REGION, name="f", uid="u", created_ms=Millis(0), latest=latest,
            event_configs={} if config is None else {"$LATEST": config}, reserved_concurrency=reserved,
        )  # fmt: skip

    def run(self, scenario: Callable[[EventQueue], Coroutine[Any, Any, None]], *, first: bool = True) -> None:
        """Carry out a scenario, as one life of a server; then stop it."""

        async def life() -> None:
            tasks, entropy = LoopTasks(), SeededEntropy(len(self.invoker.at_ms))
            directory = Directory(self.meta, self.clock, entropy)
            await directory.open()
            if first:
                await directory.create(self.function)

            async def queues() -> Messages:
                return self.messages

            outlets = Outlets(self.buckets, queues)
            queue = EventQueue(self.meta, directory, outlets, lambda: self.invoker, self.clock, entropy, tasks)
            await queue.open()
            await scenario(queue)
            await tasks.stop()

        self.loop.run(life(), within_ms=100 * HOUR)

    async def stored(self) -> int:
        return len(await self.meta.scan(EVENTS))

    def record(self) -> Any:
        [(name, _)] = [(key, body) for key, body in self.buckets.objects["records"].items()]
        assert name.startswith("aws/lambda/async/f/")
        return json.loads(self.buckets.objects["records"][name][0])


def config(**others: Any) -> EventConfig:
    return EventConfig(modified_ms=Millis(0), **others)


def test_event_when_its_function_succeeds_then_it_is_processed_once_and_told() -> None:
    world = World(lambda _: FINE, config(on_success=QUEUE))

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b'{"a":1}')
        assert await world.stored() == 1, "it is durable before its caller is answered"
        await world.clock.sleep(HOUR)
        assert (await world.stored(), queue.count, queue.held_bytes) == (0, 0, 0)

    world.run(scenario)
    assert len(world.invoker.at_ms) == 1
    [(arn, body, _)] = world.messages.sent
    told = json.loads(body)
    assert arn == QUEUE
    assert told["requestContext"]["functionArn"] == F.arn + ":$LATEST"
    assert (told["requestContext"]["condition"], told["requestContext"]["approximateInvokeCount"]) == ("Success", 1)
    assert (told["requestPayload"], told["responsePayload"]) == ({"a": 1}, "fine")
    assert told["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}


def test_event_when_its_function_fails_then_it_is_tried_after_a_minute_and_after_two() -> None:
    world = World(lambda _: FAILED, config(on_failure=BUCKET), dead_letter_arn=QUEUE)

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b"{}", "asked")
        await world.clock.sleep(HOUR)
        assert await world.stored() == 0

    world.run(scenario)
    first, second, third = world.invoker.at_ms
    assert world.invoker.request_ids == ["asked"] * 3
    assert MINUTE <= second - first < MINUTE + 100
    assert 2 * MINUTE <= third - second < 2 * MINUTE + 100
    told = world.record()
    assert (told["requestContext"]["condition"], told["requestContext"]["approximateInvokeCount"]) == (
        "RetriesExhausted",
        3,
    )
    assert told["responseContext"]["functionError"] == "Unhandled"
    [(_, letter, attributes)] = world.messages.sent
    assert (letter, attributes["ErrorCode"], attributes["ErrorMessage"]) == ("{}", ("Number", "200"), ("String", "no"))


@pytest.mark.parametrize("queue_arn", [QUEUE + "none", QUEUE + "away"])
def test_record_when_its_queue_does_not_take_it_then_it_is_lost_and_the_event_is_done(
    queue_arn: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(lambda _: FINE, config(on_success=queue_arn))

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(HOUR)
        assert (await world.stored(), queue.count, queue.held_bytes) == (0, 0, 0)

    world.run(scenario)
    assert "the record of event" in caplog.text


@pytest.mark.parametrize(
    ("answer", "told"), [(b"no JSON", "no JSON"), (b'"\xff"', '"\ufffd"'), (b"", None), (b"[1]", [1])]
)
def test_record_when_the_function_answers_anything_then_it_is_json(answer: bytes, told: object) -> None:
    world = World(lambda _: Invoked("r", answer, None, "$LATEST"), config(on_success=QUEUE))

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(HOUR)

    world.run(scenario)
    [(_, body, _)] = world.messages.sent
    assert json.loads(body)["responsePayload"] == told


def test_events_when_the_server_starts_again_then_the_oldest_comes_first() -> None:
    world = World(lambda attempt: ServiceError("TooManyRequestsException", "no") if attempt <= 3 else FINE)

    async def put(queue: EventQueue) -> None:
        for request_id in ("c", "b", "a"):
            await queue.put(F, b"{}", request_id)
            await world.clock.sleep(100)

    async def wait(queue: EventQueue) -> None:
        await world.clock.sleep(HOUR)

    world.run(put)
    world.run(wait, first=False)
    assert world.invoker.request_ids == ["c", "b", "a"] * 2


def test_event_when_a_bug_of_ours_strikes_then_it_waits_and_so_does_nobody_else() -> None:
    world = World(lambda _: FINE, config(on_success=QUEUE + "bug", age_s=60))

    async def scenario(queue: EventQueue) -> None:
        for _ in range(2 * events.WORKERS_MAX):
            await queue.put(F, b"{}")
        await world.clock.sleep(HOUR)
        assert (await world.stored(), queue.count, queue.held_bytes) == (0, 0, 0)

    world.run(scenario)


@pytest.mark.parametrize("retries", [0, 1])
def test_event_when_retries_are_set_then_so_many_there_are(retries: int) -> None:
    world = World(lambda _: FAILED, config(retries=retries))

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(HOUR)

    world.run(scenario)
    assert len(world.invoker.at_ms) == retries + 1


def test_event_when_the_function_is_throttled_then_it_waits_and_is_no_attempt() -> None:
    throttled = ServiceError("TooManyRequestsException", "Rate Exceeded.")
    world = World(lambda attempt: throttled if attempt <= 12 else FINE, config(retries=0))

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(6 * HOUR)
        assert await world.stored() == 0

    world.run(scenario)
    gaps = [after - before for before, after in zip(world.invoker.at_ms, world.invoker.at_ms[1:], strict=False)]
    assert len(gaps) == 12
    assert [round(gap / 1000) for gap in gaps[:4]] == [1, 2, 4, 8]
    assert max(gaps) < 5 * MINUTE + 100


@pytest.mark.parametrize("fault", [ServiceError("TooManyRequestsException", ""), RuntimeError("a bug")])
def test_event_when_it_grows_too_old_then_it_is_given_up_with_a_record(fault: Exception) -> None:
    world = World(lambda _: fault, config(age_s=60, on_failure=BUCKET))

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(HOUR)
        assert await world.stored() == 0

    world.run(scenario)
    told = world.record()
    assert told["requestContext"]["condition"] == "EventAgeExceeded"
    assert "responseContext" not in told


def test_event_when_concurrency_is_zero_then_it_is_not_tried() -> None:
    world = World(lambda _: FINE, config(on_failure=BUCKET), reserved_concurrency=0)

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(HOUR)

    world.run(scenario)
    assert world.invoker.at_ms == []
    assert world.record()["requestContext"]["approximateInvokeCount"] == 0


def test_event_when_the_server_stops_while_it_waits_then_the_next_one_goes_on_where_it_was() -> None:
    world = World(lambda _: FAILED)

    async def until_the_first_attempt(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(1000)

    async def afterwards(queue: EventQueue) -> None:
        assert queue.count == 1
        await world.clock.sleep(HOUR)
        assert await world.stored() == 0

    world.run(until_the_first_attempt)
    world.run(afterwards, first=False)
    first, second, _ = world.invoker.at_ms
    assert MINUTE <= second - first < MINUTE + 100, "an attempt is remembered, and when the next one is due"


def test_event_when_the_server_stops_during_an_attempt_then_it_is_tried_again() -> None:
    world = World(lambda _: FINE)

    async def halfway(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(5)

    async def afterwards(_: EventQueue) -> None:
        await world.clock.sleep(1000)
        assert await world.stored() == 0

    world.run(halfway)
    world.run(afterwards, first=False)
    assert len(world.invoker.at_ms) == 2


def test_events_when_there_are_many_then_a_few_are_processed_at_once() -> None:
    world = World(lambda _: FINE)

    async def scenario(queue: EventQueue) -> None:
        for _ in range(100):
            await queue.put(F, b"{}")
        await world.clock.sleep(HOUR)
        assert await world.stored() == 0

    world.run(scenario)
    assert (len(world.invoker.at_ms), world.invoker.most) == (100, events.WORKERS_MAX)


def test_events_when_there_is_no_room_then_the_next_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "EVENTS_MAX_BYTES", 10)
    world = World(lambda _: FAILED)

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b'"12345"')
        with pytest.raises(ServiceError) as caught:
            await queue.put(F, b'"12345"')
        assert caught.value.code == "TooManyRequestsException"

    world.run(scenario)


def test_event_when_its_outlet_is_another_accounts_then_nothing_is_sent_there() -> None:
    world = World(lambda _: FINE, config(on_success=QUEUE.replace("123456789012", "999999999999")))

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(1000)
        assert await world.stored() == 0

    world.run(scenario)
    assert world.messages.sent == []


def test_event_when_its_function_is_gone_or_its_outlet_is_then_nothing_waits_for_ever() -> None:
    gone = ServiceError("ResourceNotFoundException", "Function not found")
    world = World(lambda _: gone, config(on_failure=QUEUE + "-none"))

    async def scenario(queue: EventQueue) -> None:
        await queue.put(F, b"{}")
        await world.clock.sleep(1000)
        assert await world.stored() == 0

    world.run(scenario)
    assert len(world.invoker.at_ms) == 1
