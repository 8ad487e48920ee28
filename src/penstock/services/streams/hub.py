"""The hub of a shard: one read of the log feeds every subscriber that has caught up.

Theory.  While a shard has subscribers, one follower reads each page once, when the log grows, and keeps it on a short shelf as an event.
A subscriber is nothing but a position: it takes from the shelf what begins there, waits when it has taken all, and scans the log by
itself when the shelf no longer has its place.  So a slow one holds nothing, and nobody waits for it.
Rules of this file:
  1. The follower begins at the tip and never reads history; whoever starts earlier scans up to it.
  2. The shelf holds what some subscriber has not taken yet, of at most SHELF_MAX_BYTES; the newest event always stays.
  3. Subscribers wake with the follower, in the same turn of the loop and behind it; woken by what it puts on the shelf they would come
     behind the answers of the puts.
  4. A shard is at its end when the directory says so; a log that is sealed before that is merely quiet.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from penstock.core import limits
from penstock.core.errors import ServiceError
from penstock.core.ports import Clock
from penstock.engines.api import Page, Position
from penstock.engines.column import size_of
from penstock.services.streams import sequence
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.reader import Reader, is_last, millis_behind
from penstock.services.streams.state import Shard
from penstock.wire.operation import Event

EVENT: Final = "SubscribeToShardEvent"
SHELF_MAX_BYTES: Final = 4 * limits.MIB
TAKE_BYTES: Final = 64 * limits.KIB  # small events are taken together, up to this


class Pushed(msgspec.Struct, frozen=True):
    """What one event tells of a shard."""

    number_base: int  # sequence.base of the shard
    page: Page
    continuation: str | None  # None at the end of a closed shard
    millis_behind_latest: int
    children: Sequence[Shard] | None = None  # given there


class Fed(msgspec.Struct, frozen=True):
    """One event and the place that it fills."""

    event: Event
    start: Position
    next: Position
    size_bytes: int  # data and partition keys


class Member(Protocol):
    """A subscriber, as the hub sees it."""

    position: Position  # how far it has come


class Hub:
    """One shard that has subscribers."""

    def __init__(self, view: StreamView, held: ShardView, position: Position, reader: Reader, clock: Clock) -> None:
        self.view = view
        self.held = held
        self.position = position  # how far the follower has come
        self.members: dict[Member, None] = {}  # a dict keeps the order, a set does not
        self.closed = False  # it follows no more
        self.failure: Exception | None = None  # why, where that was no end in good order
        self.last: Event | None = None  # the end of the shard
        self.beat: Event | None = None  # the newest sign of life
        self.beats = 0
        self.quiet_since_ms = clock.now_ms()
        self._reader = reader
        self._clock = clock
        self._shelf: dict[Position, Fed] = {}  # by start, in order
        self._shelf_bytes = 0
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Follow the log while there are subscribers."""
        stop = None
        try:
            stop = self._reader.watch(self.view, self.held, self.wake)
            while self.members and self.last is None:
                await self._advance()
        except ServiceError as error:
            self.failure = error
        except Exception as error:
            self.failure = error
            raise
        finally:
            if stop is not None:
                stop()
            self.closed = True
            self.wake()

    async def _advance(self) -> None:
        page = await self._reader.scan(
            self.view, self.held, self.position, limits.EVENT_MAX_COUNT, limits.EVENT_MAX_BYTES
        )
        if page.data:
            self._publish(feed(self.view, self.held, self.position, page, self._clock.now_ms()))
        elif is_last(self.view, self.held, page):
            self.position = page.next
            self.last = self._last(page)
            self.wake()
        elif page.next > self.position:  # what lay between has expired or is damaged
            self.position = page.next
        elif page.sealed:
            await self.view.change()
        else:
            await self._reader.wait(self.view, self.held, self.position)

    def _publish(self, fed: Fed) -> None:
        self.position = fed.next
        self.tidy()
        while self._shelf and self._shelf_bytes + fed.size_bytes > SHELF_MAX_BYTES:
            self._drop_oldest()
        self._shelf[fed.start] = fed
        self._shelf_bytes += fed.size_bytes
        self.quiet_since_ms = self._clock.now_ms()
        self.wake()

    def tidy(self) -> None:
        """Take off the shelf what every subscriber has passed."""
        if not self._shelf:
            return
        floor = min((member.position for member in self.members), default=self.position)
        while self._shelf and next(iter(self._shelf.values())).next <= floor:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._shelf_bytes -= self._shelf.pop(next(iter(self._shelf))).size_bytes

    def take(self, position: Position) -> list[Fed]:
        """The events on the shelf from a position on: one, or several small ones; none if the shelf has not that place."""
        taken: list[Fed] = []
        size_bytes = 0
        fed = self._shelf.get(position)
        while fed is not None and (not taken or size_bytes + fed.size_bytes <= TAKE_BYTES):
            taken.append(fed)
            size_bytes += fed.size_bytes
            fed = self._shelf.get(fed.next)
        return taken

    def pulse(self) -> None:
        """Give a sign of life: an event without records, for all who wait at the tip."""
        now_ms = self._clock.now_ms()
        quiet = Page(self.position, (), (), (), self.position, self.position, sealed=False)
        self.beat = feed(self.view, self.held, self.position, quiet, now_ms).event
        self.beats += 1
        self.quiet_since_ms = now_ms
        self.wake()

    def wake(self) -> None:
        """Have every waiting subscriber look again."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def moved(self) -> None:
        """Return at the next `wake`."""
        await self._moved.wait()

    def _last(self, page: Page) -> Event:
        """The end of the shard.  Source: awslabs/amazon-kinesis-client#1744 (the number is null there, also for LATEST)."""
        children = self.view.children(self.held.shard.no)
        return Event(EVENT, Pushed(sequence.base(self.held.shard.origin), page, None, 0, children=children))


def feed(view: StreamView, held: ShardView, start: Position, page: Page, now_ms: int) -> Fed:
    """The event of a page that was read from `start` on."""
    base = sequence.base(held.shard.origin)
    # "Captures your shard progress even when no data is written": a mark between records, so that neither AT nor AFTER it loses or
    # repeats one.  Source: the API reference; UNVERIFIED: what AWS's own number looks like
    mark = sequence.between(page.next, page.arrivals_ms[-1] if page.arrivals_ms else now_ms)
    pushed = Pushed(base, page, str(base + mark), millis_behind(page, now_ms))
    return Fed(Event(EVENT, pushed), start, page.next, size_of(page.data) + size_of(page.keys))
