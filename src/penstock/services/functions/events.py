"""Events: asynchronous invocations, kept until they have succeeded, failed for good, or grown too old.

Theory.  An event is durable before its caller is answered, and forgotten after its record was sent; so it is processed at least once, and
after a crash again.  Each function has a line; a few workers take from it, so that one function holds up nobody else.  A function's own
failure is tried again after a minute, and after two more; what it could not even be asked for - it is throttled, its process cannot be
started - is tried until the event is too old, at growing distances, as Lambda does.
Rules of this file:
  1. What waits is bounded in number and in bytes; beyond that a caller is told to come back.
  2. Whatever happens to an event, it ends in a record or a log line, never in silence.
Source: Lambda developer guide, "Asynchronous invocation" and "Capturing records"; UNVERIFIED: the distances of throttled events.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from penstock.core.errors import ServiceError
from penstock.core.function_errors import FunctionError
from penstock.core.ids import UUID_BYTES, AccountId, Millis, Region, uuid_text
from penstock.core.limits import MINUTE_MS, SECOND_MS
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.engines.api import Conflict, MetaStore, MetaUnavailable, Write
from penstock.services.functions.directory import Directory
from penstock.services.functions.invoking import LATEST, Invocation, Invoked, Invoker
from penstock.services.functions.names import FunctionName, read_name
from penstock.services.functions.outlets import Outlets, Sender
from penstock.services.functions.record import bucket_key, describe, error_message
from penstock.services.functions.state import EVENTS, EventConfig

logger = logging.getLogger(__name__)

EVENTS_MAX: Final = 10_000  # ours: that wait
EVENTS_MAX_BYTES: Final = 64 << 20  # ours: of all that wait
WORKERS_MAX: Final = 10  # ours: events of one function at once
RETRIES: Final = 2
AGE_S: Final = 21_600
DISTANCES_MS: Final = (MINUTE_MS, 2 * MINUTE_MS)  # before the first and the second retry
THROTTLED_MS: Final = SECOND_MS  # doubled each time
THROTTLED_MAX_MS: Final = 5 * MINUTE_MS
# Refusals that no waiting changes.
_HOPELESS: Final = frozenset(
    (
        "ResourceNotFoundException",
        "InvalidParameterValueException",
        "InvalidRequestContentException",
        "RequestTooLargeException",
    )
)

_NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})

Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event.  Every field is part of the data directory's format: add with a default, never rename."""

    id: str
    account: AccountId
    region: Region
    function: str  # the ARN, with the qualifier if one was given
    payload: bytes
    at_ms: Millis
    attempts: int = 0  # of the function, that failed
    due_ms: Millis = Millis(0)

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return EVENTS + self.id


_decoder: Final = msgspec.msgpack.Decoder(Event)


@dataclass(slots=True)
class _Waiting:
    """An event in a line."""

    event: Event
    version: int
    throttles: int = 0


@dataclass(slots=True)
class _Line:
    """The events of one function that are due."""

    due: deque[_Waiting] = field(default_factory=deque)
    workers: int = 0


class EventQueue:
    """Every event that waits."""

    def __init__(
        self,
        meta: MetaStore,
        directory: Directory,
        outlets: Outlets,
        invoker: Callable[[], Invoker],
        clock: Clock,
        entropy: Entropy,
        tasks: Tasks,
    ) -> None:
        self._meta = meta
        self._directory = directory
        self._outlets = outlets
        self._invoker = invoker
        self._clock = clock
        self._entropy = entropy
        self._tasks = tasks
        self._lines: dict[str, _Line] = {}
        self.count = 0
        self.held_bytes = 0

    async def open(self) -> None:
        """Go on with what was waiting when the server stopped, the oldest first."""
        held = [_Waiting(_decoder.decode(one.value), one.version) for _, one in await self._meta.scan(EVENTS)]
        for waiting in sorted(held, key=lambda one: one.event.at_ms):
            self._admit(waiting)

    async def clear(self) -> None:
        """Forget everything.  Background work must have been stopped."""
        entries = await self._meta.scan(EVENTS)
        if entries:
            await self._meta.commit([Write(key, None, held.version) for key, held in entries])

    async def put(self, name: FunctionName, payload: bytes, request_id: str = "") -> str:
        """Keep an event, durably; its id, which is that of its request if it came with one.  Raises QUEUE_FULL."""
        if self.count >= EVENTS_MAX or self.held_bytes + len(payload) > EVENTS_MAX_BYTES:
            raise FunctionError.QUEUE_FULL()
        event = Event(
            id=request_id or self._new_id(),
            account=name.account,
            region=name.region,
            function=name.qualified_arn,
            payload=payload,
            at_ms=self._clock.now_ms(),
        )
        self.count, self.held_bytes = self.count + 1, self.held_bytes + len(payload)
        try:
            await self._meta.commit([Write(event.key, msgspec.msgpack.encode(event), 0)])
            stored = await self._meta.get(event.key)
        finally:
            self.count, self.held_bytes = self.count - 1, self.held_bytes - len(payload)
        if stored is not None:
            self._admit(_Waiting(event, stored.version))
        return event.id

    def _admit(self, waiting: _Waiting) -> None:
        self.count, self.held_bytes = self.count + 1, self.held_bytes + len(waiting.event.payload)
        self._queue(waiting)

    def _queue(self, waiting: _Waiting) -> None:
        """Have an event processed when it is due."""
        name = self._name(waiting.event)
        if waiting.event.due_ms > self._clock.now_ms():
            self._tasks.spawn(self._later(waiting), f"event of {name.name}")
            return
        line = self._lines.setdefault(name.arn, _Line())
        line.due.append(waiting)
        if line.workers < WORKERS_MAX:
            line.workers += 1
            self._tasks.spawn(self._work(name.arn, line), f"events of {name.name}")

    async def _later(self, waiting: _Waiting) -> None:
        await self._clock.sleep(max(waiting.event.due_ms - self._clock.now_ms(), 0))
        self._queue(waiting)

    async def _work(self, arn: str, line: _Line) -> None:
        try:
            while line.due:
                await self._attempt(line.due.popleft())
        finally:
            line.workers -= 1
            if not line.workers and not line.due:
                self._lines.pop(arn, None)

    async def _attempt(self, waiting: _Waiting) -> None:
        try:
            await self._process(waiting)
        except Exception:  # a bug of ours must not stop a line for ever
            logger.exception(
                "event %s of %s could not be processed; it waits", waiting.event.id, waiting.event.function
            )
            self._throttle(waiting)

    async def _process(self, waiting: _Waiting) -> None:
        event, name = waiting.event, self._name(waiting.event)
        function = self._directory.get(name)
        config = self._config(name)
        if self._clock.now_ms() - event.at_ms >= (AGE_S if config.age_s is None else config.age_s) * SECOND_MS:
            await self._finish(waiting, "EventAgeExceeded", None)
            return
        if function is not None and function.reserved_concurrency == 0:
            await self._finish(waiting, "ZeroReservedConcurrency", None)  # UNVERIFIED: the word
            return
        try:
            invoked = await self._invoker().invoke(
                Invocation(event.account, event.region, event.function, event.payload, request_id=event.id)
            )
        except ServiceError as error:
            await self._refused(waiting, error)
            return
        retries = RETRIES if config.retries is None else config.retries
        if invoked.function_error is None:
            await self._finish(waiting, "Success", invoked)
        elif event.attempts >= retries:
            waiting.event = replace(event, attempts=event.attempts + 1)
            await self._finish(waiting, "RetriesExhausted", invoked)
        else:
            await self._retry(waiting)

    async def _refused(self, waiting: _Waiting, error: ServiceError) -> None:
        """What becomes of an event whose function could not be asked."""
        if error.code not in _HOPELESS:
            self._throttle(waiting)
            return
        logger.warning("event %s of %s is dropped: %s", waiting.event.id, waiting.event.function, error)
        await self._finish(waiting, "RetriesExhausted", None)

    def _throttle(self, waiting: _Waiting) -> None:
        distance_ms = min(THROTTLED_MS << min(waiting.throttles, 20), THROTTLED_MAX_MS)
        waiting.throttles += 1
        waiting.event = replace(waiting.event, due_ms=Millis(self._clock.now_ms() + distance_ms))
        self._queue(waiting)

    async def _retry(self, waiting: _Waiting) -> None:
        """Have a function that failed try once more, and remember across restarts that it did."""
        event = waiting.event
        distance_ms = DISTANCES_MS[min(event.attempts, len(DISTANCES_MS) - 1)]
        waiting.event = replace(event, attempts=event.attempts + 1, due_ms=Millis(self._clock.now_ms() + distance_ms))
        try:
            await self._meta.commit([Write(event.key, msgspec.msgpack.encode(waiting.event), waiting.version)])
            stored = await self._meta.get(event.key)
            waiting.version = waiting.version if stored is None else stored.version
        except (Conflict, MetaUnavailable) as error:  # it is tried again all the same
            logger.warning("an attempt of event %s is not remembered: %s", event.id, error)
        self._queue(waiting)

    async def _finish(self, waiting: _Waiting, condition: Condition, invoked: Invoked | None) -> None:
        """Tell what became of an event, then forget it."""
        await self._tell(waiting.event, condition, invoked)
        while True:
            try:
                with suppress(Conflict):
                    await self._meta.commit([Write(waiting.event.key, None, waiting.version)])
                break
            except MetaUnavailable as error:
                logger.warning("event %s is done, but not forgotten for now: %s", waiting.event.id, error)
                await self._clock.sleep(SECOND_MS)
        self.count, self.held_bytes = self.count - 1, self.held_bytes - len(waiting.event.payload)

    async def _tell(self, event: Event, condition: Condition, invoked: Invoked | None) -> None:
        name = self._name(event)
        config = self._config(name)
        failed, now_ms = condition != "Success", self._clock.now_ms()
        arn = config.on_failure if failed else config.on_success
        if arn:
            record = describe(
                event.id, f"{name.arn}:{name.qualifier or LATEST}", condition, event.attempts + (not failed), event.payload, invoked, now_ms
            )  # fmt: skip
            await self._send(event, arn, record, bucket_key(name.name, now_ms, self._new_id()))
        dead_letters = self._dead_letters(name)
        if failed and dead_letters:
            attributes = {"RequestID": event.id, "ErrorCode": "200", "ErrorMessage": error_message(invoked, condition)}
            await self._send(event, dead_letters, event.payload, event.id, attributes)
        if failed and not arn and not dead_letters:
            logger.warning("event %s of %s is given up: %s", event.id, event.function, condition)

    async def _send(
        self, event: Event, arn: str, text: bytes, key: str, attributes: Mapping[str, str] = _NO_ATTRIBUTES
    ) -> None:
        why = await self._outlets.send(Sender(event.account, self._role(event)), arn, text, key, attributes)
        if why is not None:
            logger.warning("the record of event %s of %s is lost: %s", event.id, event.function, why)

    def _config(self, name: FunctionName) -> EventConfig:
        function = self._directory.get(name)
        found = None if function is None else function.event_configs.get(name.qualifier or LATEST)
        return EventConfig(modified_ms=Millis(0)) if found is None else found

    def _dead_letters(self, name: FunctionName) -> str:
        function = self._directory.get(name)
        version = None if function is None else self._directory.version(function, name.qualifier)
        return "" if version is None else version.dead_letter_arn

    def _role(self, event: Event) -> str:
        name = self._name(event)
        function = self._directory.get(name)
        version = None if function is None else self._directory.version(function, name.qualifier)
        return "" if version is None else version.role

    def _name(self, event: Event) -> FunctionName:
        return read_name(event.account, event.region, event.function)

    def _new_id(self) -> str:
        return uuid_text(self._entropy.bytes(UUID_BYTES))
