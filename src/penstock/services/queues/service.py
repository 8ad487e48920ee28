"""The queues service: what its operations share, put together once; and what goes on in the background."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec
import pybase64

from penstock.core.context import Caller
from penstock.core.ids import UUID_BYTES, AccountId, Millis, Region, uuid_text
from penstock.core.limits import HOUR_MS, SECOND_MS
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.core.queue_errors import QueueError
from penstock.engines.api import Change, Conflict, MetaStore, MetaUnavailable, Write
from penstock.services.deadlines import Deadlines
from penstock.services.queues import attributes
from penstock.services.queues.messages import Failing, Messages, Taking
from penstock.services.queues.state import (
    GONE,
    QUEUES,
    ROOT,
    Message,
    Queue,
    Value,
    decode_queue,
    encode,
    queue_key,
)

logger = logging.getLogger(__name__)

UID_BYTES: Final = 8
HIDDEN_MAX_S: Final = 43_200
TypedValue = tuple[str, str | bytes]  # a data type, and a value of it
_URL: Final = re.compile(r"(?:https?://[^/]*)?/(?P<account>\d{12})/(?P<name>[A-Za-z0-9_.-]{1,80})/?", re.ASCII)
_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:sqs:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<name>[A-Za-z0-9_-]{1,80})", re.ASCII
)
_HANDLE: Final = msgspec.msgpack.Decoder(
    tuple[str, str, int]
)  # the queue's uid, the message's id, its count of receives


@dataclass(slots=True)
class Queues:
    """Everything that an operation of this service may need; and how other services send."""

    meta: MetaStore
    clock: Clock
    entropy: Entropy
    tasks: Tasks
    policy_problem: Callable[[str], str | None]  # what is wrong with a policy, where policies count
    messages: Messages = field(init=False)
    _queues: dict[str, tuple[Queue, int]] = field(default_factory=dict)  # with their versions, by MetaStore key
    _waiting: dict[str, list[asyncio.Future[None]]] = field(default_factory=dict)  # who waits for messages, by uid
    _deadlines: Deadlines = field(init=False)

    def __post_init__(self) -> None:
        self.messages = Messages(self.meta, self._ring)
        self._deadlines = Deadlines(self.clock, self.tasks)

    async def open(self) -> None:
        """Read which queues there are, follow them from then on, and begin the background work."""
        self.meta.watch(QUEUES, self._apply)
        self._apply([Change(key, held) for key, held in await self.meta.scan(QUEUES)])
        self.tasks.spawn(self._run(), "queue retention")

    def _apply(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            if now is None:
                self._queues.pop(key, None)
            elif key not in self._queues or self._queues[key][1] < now.version:
                self._queues[key] = decode_queue(now.value), now.version

    # Looking things up

    def find(self, account: str, region: str, name: str) -> Queue | None:
        """The queue of that name."""
        held = self._queues.get(queue_key(account, region, name))
        return held[0] if held is not None else None

    def at(self, caller: Caller, url: str) -> Queue:
        """The queue of a URL.  Raises NO_QUEUE_AT, NO_QUEUE."""
        account, name = place_of(url)
        queue = self.find(account, caller.region, name)
        if queue is None:
            raise QueueError.NO_QUEUE()
        return queue

    def named(self, arn: str) -> Queue:
        """The queue of an ARN.  Raises NO_QUEUE."""
        match = _ARN.fullmatch(arn)
        queue = self.find(match["account"], match["region"], match["name"]) if match is not None else None
        if queue is None:
            raise QueueError.NO_QUEUE()
        return queue

    def of(self, account: AccountId, region: Region, prefix: str) -> list[Queue]:
        """The queues of a place whose names begin with a prefix, by name."""
        beginning = queue_key(account, region, prefix)
        return [self._queues[key][0] for key in sorted(self._queues) if key.startswith(beginning)]

    # Changes

    async def create(self, queue: Queue) -> None:
        """Store a new queue.  Raises CHANGED if its name is taken by then."""
        await self._commit([Write(queue.key, encode(queue), 0)])

    async def replace(self, queue: Queue, gone: str | None = None) -> None:
        """Store a queue anew; `gone` are messages that are to go.  Raises NO_QUEUE, CHANGED."""
        held = self._queues.get(queue.key)
        if held is None:
            raise QueueError.NO_QUEUE()
        note = [] if gone is None else [Write(GONE + gone, b"", 0)]
        await self._commit([Write(queue.key, encode(queue), held[1]), *note])

    async def delete(self, queue: Queue) -> None:
        """Delete a queue with its messages."""
        held = self._queues.get(queue.key)
        if held is not None:
            await self._commit([Write(queue.key, None, held[1]), Write(GONE + queue.uid, b"", 0)])
            self.ring(queue)
            self.purge_soon()

    async def _commit(self, writes: list[Write]) -> None:
        try:
            await self.meta.commit(writes)
        except Conflict:
            raise QueueError.CHANGED() from None

    def purge_soon(self) -> None:
        """Remove in the background what was deleted or purged."""
        self.tasks.spawn(self.messages.purge(), "deleted queues")

    def new_uid(self) -> str:
        """A uid that nothing had before."""
        return self.entropy.bytes(UID_BYTES).hex()

    # Messages

    async def send(self, account: str, arn: str, body: str, attributes: Mapping[str, str | TypedValue]) -> str:
        """Send a message on behalf of a service; its id.  Attributes are texts, or of the type that they name.  Raises NO_QUEUE."""
        queue = self.named(arn)
        values = {
            name: _value(("String", given) if isinstance(given, str) else given) for name, given in attributes.items()
        }
        message = self.new_message(body, values, account)
        await self.deliver(queue, [(message, None)])
        return message.id

    def new_message(self, body: str, values: dict[str, Value], sender: str, trace: str | None = None) -> Message:
        """A message that is not sent yet."""
        message_id, now_ms = uuid_text(self.entropy.bytes(UUID_BYTES)), self.clock.now_ms()
        return Message(id=message_id, body=body, attributes=values, trace=trace, sender=sender, sent_ms=now_ms, due="")

    async def deliver(self, queue: Queue, messages: Sequence[tuple[Message, int | None]]) -> None:
        """Keep messages, each delayed by so many seconds, or as the queue has it."""
        usual_s = attributes.number_of(queue.attributes, "DelaySeconds")
        delayed = [(message, (usual_s if own_s is None else own_s) * SECOND_MS) for message, own_s in messages]
        await self.messages.send(queue.uid, delayed, self.clock.now_ms())
        self.ring(queue)

    def ring(self, queue: Queue) -> None:
        """Wake who waits for messages of a queue."""
        self._ring(queue.uid)

    def _ring(self, uid: str) -> None:
        for waiting in self._waiting.pop(uid, ()):
            _wake(waiting)

    async def receive(self, queue: Queue, count_max: int, hidden_ms: int, wait_ms: int) -> list[Message]:
        """Messages that are visible, or become so within a while."""
        until_ms = self.clock.now_ms() + wait_ms
        while True:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(queue.uid, []).append(woken)
            try:
                found = await self.messages.take(
                    queue.uid, self._taking(queue, count_max, hidden_ms), self.clock.now_ms()
                )
                latest = self.find(queue.account, queue.region, queue.name)
                if found or self.clock.now_ms() >= until_ms or latest is None or latest.uid != queue.uid:
                    return found
                await self._wait(queue, woken, until_ms)
            finally:
                self._leave(queue, woken)
            queue = latest

    async def _wait(self, queue: Queue, woken: "asyncio.Future[None]", until_ms: int) -> None:
        """Return when somebody rings, a message becomes visible, or the time is over."""
        due_ms = await self.messages.next_due_ms(queue.uid)
        at_ms = until_ms if due_ms is None else min(due_ms, until_ms)
        alarm = self._deadlines.after(max(0, at_ms - self.clock.now_ms()), lambda: _wake(woken))
        try:
            await woken
        finally:
            alarm.cancel()

    def _leave(self, queue: Queue, woken: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(queue.uid)
        if waiting is not None and woken in waiting:
            waiting.remove(woken)
            if not waiting:
                del self._waiting[queue.uid]

    def _taking(self, queue: Queue, count_max: int, hidden_ms: int) -> Taking:
        retention_ms = attributes.number_of(queue.attributes, "MessageRetentionPeriod") * SECOND_MS
        return Taking(count_max, hidden_ms, retention_ms, partial(self._failing, queue))

    def _failing(self, queue: Queue) -> Failing | None:
        """Where messages of a queue go that fail; without it they go on being received."""
        redrive = attributes.redrive_of(queue.attributes)
        if redrive is None:
            return None
        match = _ARN.fullmatch(redrive.dead_letter_target_arn)
        other = self.find(match["account"], match["region"], match["name"]) if match is not None else None
        return None if other is None else Failing(redrive.max_receive_count, other.uid, queue.arn)

    async def hide(self, queue: Queue, handle: str, hidden_s: int) -> None:
        """Hide a received message for another while from now on.  Raises BOUNDS, HANDLE, NOT_AVAILABLE, NOT_IN_FLIGHT."""
        if not 0 <= hidden_s <= HIDDEN_MAX_S:
            raise QueueError.BOUNDS(value=hidden_s, name="VisibilityTimeout", low=0, high=HIDDEN_MAX_S)
        message_id, receives = read_handle(queue, handle)
        found = await self.messages.find(queue.uid, message_id)
        if found is None or found[0].receives != receives:
            raise QueueError.NOT_AVAILABLE(handle=handle[:1000])
        if not await self.messages.hide(queue.uid, message_id, receives, hidden_s * SECOND_MS, self.clock.now_ms()):
            raise QueueError.NOT_IN_FLIGHT()
        self.ring(queue)

    # In the background

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
            except MetaUnavailable as error:
                logger.warning("expired messages are not deleted for now: %s", error)
            await self.clock.sleep(HOUR_MS)

    async def sweep(self) -> None:
        """Delete what has expired, and what belongs to nothing any more."""
        await self.messages.purge()
        for queue, _ in list(self._queues.values()):
            retention_ms = attributes.number_of(queue.attributes, "MessageRetentionPeriod") * SECOND_MS
            await self.messages.expire(queue.uid, self.clock.now_ms() - retention_ms)

    async def clear(self) -> None:
        """Forget everything.  Background work must have been stopped."""
        await self.messages.remove_all(ROOT)
        for waiting in [each for of_queue in self._waiting.values() for each in of_queue]:
            _wake(waiting)


async def open_queues(
    meta: MetaStore,
    *,
    clock: Clock,
    entropy: Entropy,
    tasks: Tasks,
    policy_problem: Callable[[str], str | None] = lambda _: None,
) -> Queues:
    """Start the service."""
    queues = Queues(meta, clock, entropy, tasks, policy_problem)
    await queues.open()
    return queues


def _value(given: TypedValue) -> Value:
    kind, value = given
    return Value(kind, value) if isinstance(value, str) else Value(kind, None, value)


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


def place_of(url: str) -> tuple[AccountId, str]:
    """The account and the name in a queue's URL.  Raises NO_QUEUE_AT."""
    match = _URL.fullmatch(url)
    if match is None:
        raise QueueError.NO_QUEUE_AT(url=url[:1000])
    return AccountId(match["account"]), match["name"]


def write_handle(queue: Queue, message: Message) -> str:
    """The receipt handle of a message as it was received now."""
    return pybase64.b64encode_as_string(msgspec.msgpack.encode((queue.uid, message.id, message.receives)))


def read_handle(queue: Queue, handle: str) -> tuple[str, int]:
    """The id of a message, and its count of receives.  Raises HANDLE."""
    try:
        uid, message_id, receives = _HANDLE.decode(pybase64.b64decode(handle, validate=True))
    except (ValueError, msgspec.MsgspecError):
        raise QueueError.HANDLE(handle=handle[:1000]) from None
    if uid != queue.uid and queue.purged_ms is None:
        raise QueueError.HANDLE(handle=handle[:1000])
    return message_id, receives


def moment(ms: Millis) -> str:
    """A moment as attributes of queues tell it."""
    return str(ms // SECOND_MS)
