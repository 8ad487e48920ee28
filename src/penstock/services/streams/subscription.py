"""Subscriptions: who is being pushed the records of which shard, and until when.

Theory.  A registered consumer has at most one subscription to a shard.  It lives for 5 minutes; within 5 seconds of its beginning
another attempt is refused, later ones take over.  A subscription is asked for its next events by whoever sends them, and only when the
client has taken those before: back-pressure is that nobody asks.  What it is fed by is hub.py's business.
One task, once a second while there is any subscription, gives signs of life and finds those that are over.
Rules of this file:
  1. A subscription buffers nothing; it is a position.
  2. Every end is found in `_check_over`: an error that the client is told, or an end in good order.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from penstock.core import limits
from penstock.core.arn import consumer_arn
from penstock.core.errors import Error, ServiceError
from penstock.core.ids import Millis, shard_id
from penstock.core.ports import Clock, Tasks
from penstock.engines.api import LogId, Position
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.hub import Fed, Hub, feed
from penstock.services.streams.quota import TokenBucket
from penstock.services.streams.reader import Reader
from penstock.services.streams.state import Consumer
from penstock.services.streams.traffic import Traffic
from penstock.wire.operation import Event

_TICK_MS: Final = limits.SECOND_MS


class _Seat(NamedTuple):
    """What there is one subscription of: a consumer, told by its creation from one that had its name before, and a shard."""

    log: LogId
    consumer: str
    created_ms: Millis


class _Pace:
    """The rates of one seat under `--limits aws`."""

    __slots__ = ("calls", "delivery")

    def __init__(self, now_ms: int) -> None:
        self.calls = TokenBucket(limits.SUBSCRIBE_CALLS_PER_S, now_ms)
        self.delivery = TokenBucket(limits.SUBSCRIPTION_BYTES_PER_S, now_ms)


class Subscription:
    """One consumer's place in one shard; asynchronously iterable, once."""

    def __init__(self, desk: "Subscriptions", hub: Hub, seat: _Seat, position: Position, pace: _Pace | None) -> None:
        self.position = position  # after what was taken
        self.hub = hub
        self.seat = seat
        self.started_ms = desk.clock.now_ms()
        self.closed = False
        self._desk = desk
        self._pace = pace
        self._beats = hub.beats  # signs of life given so far
        self._taken_over = False

    async def __anext__(self) -> Sequence[Event]:
        """The next events, as soon as there are any."""
        while True:
            self._check_over()
            hub = self.hub
            taken = hub.take(self.position)
            if not taken and self.position < hub.position:
                taken = await self._scan()
            if taken:
                return await self._deliver(taken)
            if self.position == hub.position and (rest := self._rest()) is not None:
                return [rest]
            if self.position >= hub.position:
                await hub.moved()

    async def aclose(self) -> None:
        """Give the place up."""
        self.closed = True
        self.hub.members.pop(self, None)
        self.hub.tidy()

    def is_over(self, now_ms: int) -> bool:
        """Whether its client is to be told that it ends."""
        return self._taken_over or self._refusal() is not None or self._expired(now_ms)

    def take_over(self) -> None:
        """End it in favour of another."""
        self._taken_over = True
        self.hub.wake()

    def _check_over(self) -> None:
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        if self._expired(self._desk.clock.now_ms()) or self.closed:
            raise StopAsyncIteration
        if self.hub.closed and self.hub.last is None:
            if self.hub.failure is not None:
                raise self.hub.failure
            raise StopAsyncIteration  # the service stops

    def _refusal(self) -> ServiceError | None:
        if self._taken_over:
            return Error.SUBSCRIPTION_EXISTS(arn=self._arn())
        held = self.hub.view.consumers.get(self.seat.consumer)
        if held is None or held.consumer.created_ms != self.seat.created_ms or held.consumer.status == "DELETING":
            return Error.CONSUMER_NOT_FOUND(arn=self._arn())
        return None

    def _arn(self) -> str:
        return _arn_of(self.hub.view, self.seat)

    def _expired(self, now_ms: int) -> bool:
        return now_ms - self.started_ms >= limits.SUBSCRIPTION_MS

    def _rest(self) -> Event | None:
        """What there is to say to one who has caught up: the end of the shard, a sign of life, or nothing."""
        hub = self.hub
        if hub.last is not None:
            self.closed = True
            return hub.last
        if hub.beats != self._beats:
            self._beats = hub.beats
            self._desk.count(hub.held, self.seat.consumer, [], 0)
            return hub.beat
        return None

    async def _scan(self) -> list[Fed]:
        """Read by itself what the shelf has not."""
        hub, start = self.hub, self.position
        page = await self._desk.reader.scan(hub.view, hub.held, start, limits.EVENT_MAX_COUNT, limits.EVENT_MAX_BYTES)
        if page.data:
            return [feed(hub.view, hub.held, start, page, self._desk.clock.now_ms())]
        self.position = page.next
        return []

    async def _deliver(self, taken: list[Fed]) -> list[Event]:
        size_bytes = sum(fed.size_bytes for fed in taken)
        if self._pace is not None:
            while wait_ms := self._pace.delivery.debt_ms(self._desk.clock.now_ms()):
                await self._desk.clock.sleep(wait_ms)
            self._check_over()
            self._pace.delivery.take(size_bytes)
        self.position = taken[-1].next
        self._beats = self.hub.beats
        self._desk.count(self.hub.held, self.seat.consumer, taken, size_bytes)
        return [fed.event for fed in taken]


class Subscriptions:
    """The subscriptions of the service."""

    def __init__(
        self, reader: Reader, clock: Clock, tasks: Tasks, metrics: StreamMetrics, traffic: Traffic, *, enforcing: bool
    ) -> None:
        self.reader = reader
        self.clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._traffic = traffic
        self._enforcing = enforcing  # `--limits aws`
        self._hubs: dict[LogId, Hub] = {}
        self._seats: dict[_Seat, Subscription] = {}
        self._paces: dict[_Seat, _Pace] = {}
        self._ticking = False

    def check(self, view: StreamView, consumer: Consumer, held: ShardView) -> None:
        """Raise SUBSCRIBE_RATE or SUBSCRIPTION_EXISTS if the consumer may not subscribe to a shard now."""
        seat, now_ms = _seat(consumer, held), self.clock.now_ms()
        pace = self._pace(seat, now_ms)
        if pace is not None and not pace.calls.has(1, now_ms):
            self._refused(view, consumer.name)
            stream = view.stream
            raise Error.SUBSCRIBE_RATE(
                consumer=consumer.name, shard=shard_id(held.shard.no), stream=stream.name, account=stream.account
            )
        if pace is not None:
            pace.calls.take(1)
        self._check_seat(seat, now_ms)

    async def open(self, view: StreamView, held: ShardView, consumer: Consumer, position: Position) -> Subscription:
        """Begin a subscription at a position, taking over from the one before.  Raises SUBSCRIPTION_EXISTS."""
        hub = self._hubs.get(held.log)
        if hub is None or hub.closed:
            tip = await self.reader.tip(view, held)
            hub = self._hubs.get(held.log)  # again: another may have been quicker
            if hub is None or hub.closed:
                hub = self._begin(Hub(view, held, tip, self.reader, self.clock))
        seat, now_ms = _seat(consumer, held), self.clock.now_ms()
        before = self._check_seat(seat, now_ms)
        subscription = Subscription(self, hub, seat, position, self._pace(seat, now_ms))
        hub.members[subscription] = None
        self._seats[seat] = subscription
        self._traffic.stream(view.stream.uid).consumer(consumer.name).subscribed += 1
        if before is not None:
            before.take_over()
        if not self._ticking:
            self._ticking = True
            self._tasks.spawn(self._tick(), "subscriptions")
        return subscription

    def count(self, held: ShardView, consumer: str, taken: Sequence[Fed], size_bytes: int) -> None:
        """Count what was given to one subscriber; nothing is given to one who has caught up."""
        records = sum(len(fed.event.value.page.data) for fed in taken)
        behind_ms = taken[-1].event.value.millis_behind_latest if taken else 0
        self._metrics.events_out.inc(len(taken))
        self._metrics.records_out.inc(records)
        self._metrics.bytes_out.inc(size_bytes)
        self._traffic.read(held, records, size_bytes, behind_ms, self.clock.now_ms())
        events = self._traffic.stream(held.shard.uid).consumer(consumer).events
        if not taken:
            events.add(0, 0, 0)
        for fed in taken:
            pushed = fed.event.value
            events.add(len(pushed.page.data), fed.size_bytes, pushed.millis_behind_latest)

    def sweep(self) -> None:
        """Have those that are over find it out, and forget those that have ended."""
        now_ms = self.clock.now_ms()
        for hub in list(self._hubs.values()):
            if any(member.is_over(now_ms) for member in hub.members if isinstance(member, Subscription)):
                hub.wake()
            if hub.closed:
                self._hubs.pop(hub.held.log, None)
        for seat, subscription in list(self._seats.items()):
            if subscription.closed and not 0 <= now_ms - subscription.started_ms < limits.TAKEOVER_MS:
                del self._seats[seat]
                self._paces.pop(seat, None)

    def _begin(self, hub: Hub) -> Hub:
        self._hubs[hub.held.log] = hub
        self._tasks.spawn(hub.run(), f"hub {hub.held.log}")
        return hub

    def _check_seat(self, seat: _Seat, now_ms: int) -> Subscription | None:
        before = self._seats.get(seat)
        if before is not None and 0 <= now_ms - before.started_ms < limits.TAKEOVER_MS:
            self._refused(before.hub.view, seat.consumer)
            raise Error.SUBSCRIPTION_EXISTS(arn=_arn_of(before.hub.view, seat))
        return before

    def _refused(self, view: StreamView, consumer: str) -> None:
        self._metrics.refused_subscriptions.inc()
        self._traffic.stream(view.stream.uid).consumer(consumer).refused += 1

    def _pace(self, seat: _Seat, now_ms: int) -> _Pace | None:
        if not self._enforcing:
            return None
        pace = self._paces.get(seat)
        if pace is None:
            pace = self._paces[seat] = _Pace(now_ms)
        return pace

    async def _tick(self) -> None:
        try:
            while self._seats:
                await self.clock.sleep(_TICK_MS)
                now_ms = self.clock.now_ms()
                for hub in self._hubs.values():
                    hub.tidy()
                    if hub.members and now_ms - hub.quiet_since_ms >= limits.HEARTBEAT_MS:
                        hub.pulse()
                self.sweep()
        finally:
            self._ticking = False


def _seat(consumer: Consumer, held: ShardView) -> _Seat:
    return _Seat(held.log, consumer.name, consumer.created_ms)


def _arn_of(view: StreamView, seat: _Seat) -> str:
    stream = view.stream
    return consumer_arn(stream.region, stream.account, stream.name, seat.consumer, seat.created_ms)
