"""A run: one shard of one mapping at work.  It reads, and carries out what the shard (shard.py) decides.

Theory.  One task reads: it scans while there is room, and waits for the log at its end, which costs nothing.  Each invocation and each
delivery is a task; when it ends it tells the shard, and what follows is begun at once.  Where only time changes something, a timer waits.
Rules of this file:
  1. Everything that happens ends in `_step`: effects are begun, notes counted, the checkpoint kept.
  2. While the server holds more than HELD_MAX_BYTES for mappings, no shard reads ahead, and pages are small.
  3. A run that is closed begins nothing; invocations that are under way end, and count.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from penstock.core.arn import parse_stream_arn
from penstock.core.errors import ServiceError
from penstock.core.limits import HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.engines.api import AppendError, MetaUnavailable, Page, Position
from penstock.engines.column import size_of
from penstock.services.functions.invoking import Invocation, Invoked, Invoker
from penstock.services.functions.mapping.answer import Failed, read_answer
from penstock.services.functions.mapping.checkpoints import Checkpoints
from penstock.services.functions.mapping.destinations import Destinations
from penstock.services.functions.mapping.event import Wording
from penstock.services.functions.mapping.filtering import make_match
from penstock.services.functions.mapping.lane import Answer, Deliver, Effect, Invoke
from penstock.services.functions.mapping.measures import Measures
from penstock.services.functions.mapping.rows import place_of, position_of, rows_of
from penstock.services.functions.mapping.shard import PAGE_MAX_BYTES, ReadPage, Shard
from penstock.services.functions.mapping.state import Mapping, ShardPlace
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.reader import Reader, is_last, millis_behind
from penstock.services.streams.traffic import Traffic

logger = logging.getLogger(__name__)

HELD_MAX_BYTES: Final = 256 * MIB
LEAN_PAGE_BYTES: Final = 256 * KIB
TIMER_MAX_MS: Final = MINUTE_MS  # the clock may be set while a timer waits
READ_PAUSE_MS: Final = 5 * SECOND_MS  # after a read that failed


class RoleJudge(Protocol):
    """Whether execution roles may read."""

    def why_not(self, role: str, source: str) -> ServiceError | None:
        """Why a role may not read a stream, or through a consumer; None if it may."""
        ...

    def why_not_open(self, role: str, view: StreamView) -> ServiceError | None:
        """Why it may not decrypt what is sealed in a stream."""
        ...


@dataclass(slots=True)
class Site:
    """What every run works with."""

    reader: Reader
    invoker: Invoker
    checkpoints: Checkpoints
    destinations: Destinations
    measures: Measures
    clock: Clock
    entropy: Entropy
    tasks: Tasks
    traffic: Traffic  # of streams, which these reads are part of
    judge: RoleJudge | None = None  # None: every role may
    held_bytes: int = 0  # of all runs


class Owner:
    """Tasks that end with their owner."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._running: dict[asyncio.Task[Any], None] = {}
        self._closed = False

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Start a task."""
        self._tasks.spawn(self._owned(work), name)

    def cancel(self) -> None:
        """End them all."""
        self._closed = True
        for task in list(self._running):
            task.cancel()

    async def _owned(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._closed:
            return
        self._running[task] = None
        try:
            await work()
        finally:
            self._running.pop(task, None)


@dataclass(slots=True, frozen=True)
class Watcher:
    """Whom a run tells."""

    problem: Callable[[str | None], None]  # of reading or invoking; None: it went well
    ended: Callable[["ShardRun"], None]  # it has finished its shard, or cannot go on
    may_read: Callable[[], None]  # raises ServiceError if the source may not be read now


class ShardRun:
    """One shard at work."""

    def __init__(
        self, site: Site, mapping: Mapping, place: tuple[StreamView, ShardView], start: ShardPlace, wording: Wording,
        watcher: Watcher,
    ) -> None:  # fmt: skip
        self.mapping = mapping
        self.view, self.held = place
        self.finished = False
        self._site = site
        self._wording = wording
        self._watcher = watcher
        policy = mapping.policy
        match = make_match(policy.filters, self.held.number_base)
        self.shard = Shard(policy, wording, start.lanes, match=match, delivers=mapping.destination is not None)
        self._kept = start.lanes
        consumer = parse_stream_arn(mapping.source_arn).consumer
        self._consumer = None if consumer is None else consumer.partition(":")[0]  # that it reads through
        self._tasks = Owner(site.tasks)  # what is ended when the run is
        self._room = asyncio.Event()  # there may be room to read
        self._quiet = asyncio.Event()  # nothing is under way
        self._timer_ms: int | None = None
        self._counted_bytes = 0

    def start(self) -> None:
        """Begin."""
        self._tasks.spawn(self._read, f"mapping {self.mapping.uuid} reads {self.held.log}")

    def drain(self) -> None:
        """Begin nothing more."""
        self.shard.draining = True
        self._tasks.cancel()

    async def close(self) -> None:
        """Begin nothing more; return when nothing is under way."""
        self.drain()
        while self.shard.busy:
            self._quiet.clear()
            await self._quiet.wait()
        self._count_bytes(0)

    # Reading.

    async def _read(self) -> None:
        while not self.shard.ended:
            try:
                await self._advance()
            except (ServiceError, AppendError, MetaUnavailable, OSError) as error:
                await self._pause(error.message or error.code if isinstance(error, ServiceError) else str(error))
            except Exception:  # a bug of ours must not stop a shard for ever
                logger.exception("mapping %s cannot read %s", self.mapping.uuid, self.held.log)
                await self._pause("internal error")

    async def _pause(self, problem: str) -> None:
        self._watcher.problem(problem)
        await self._site.clock.sleep(READ_PAUSE_MS)

    async def _advance(self) -> None:
        """Read one page, or wait until there is something to read, or room for it."""
        shard, site = self.shard, self._site
        wanted, crowded = shard.wants(), site.held_bytes >= HELD_MAX_BYTES
        if not wanted or (crowded and shard.size_bytes):
            self._room.clear()
            await self._room.wait()
            return
        self._watcher.may_read()
        position, began_ms = position_of(shard.read), site.clock.now_ms()
        size = LEAN_PAGE_BYTES if crowded else PAGE_MAX_BYTES
        page = await site.reader.scan(self.view, self.held, position, wanted, size)
        ended, at_tip = is_last(self.view, self.held, page), page.next == page.end
        next_place = max(shard.read, place_of(page.next))
        self._count_read(page, began_ms)
        if page.arrivals_ms or ended or next_place > shard.read or at_tip != shard.at_tip:
            shard.on_page(ReadPage(rows_of(page), next_place, at_tip, ended), site.clock.now_ms())
            self._step()
        if at_tip and not ended and not page.arrivals_ms:
            await self._wait(position_of(shard.read), sealed=page.sealed)

    def _count_read(self, page: Page, began_ms: int) -> None:
        """Count a page as GetRecords, or as an event of the consumer that it was read through; one without records counts nothing."""
        if not page.arrivals_ms:
            return
        now_ms, traffic = self._site.clock.now_ms(), self._site.traffic
        records, size_bytes = len(page.arrivals_ms), size_of(page.data) + size_of(page.keys)
        behind_ms = millis_behind(page, now_ms)
        if self._consumer is None:
            traffic.read(self.held, records, size_bytes, behind_ms, now_ms, now_ms - began_ms)
        else:
            traffic.read(self.held, records, size_bytes, behind_ms, now_ms)
            traffic.stream(self.view.stream.uid).consumer(self._consumer).events.add(records, size_bytes, behind_ms)

    async def _wait(self, position: Position, *, sealed: bool) -> None:
        await (self.view.change() if sealed else self._site.reader.wait(self.view, self.held, position))

    # Carrying out.

    def _step(self) -> None:
        """Something happened: do what follows."""
        shard, site = self.shard, self._site
        for effect in shard.advance(site.clock.now_ms(), self._retention_ms()):
            self._begin(effect)
        site.measures.note(self.mapping, self._wording.shard_id, shard.take_notes())
        if shard.polled:
            site.measures.polled(self.mapping, shard.polled, shard.filtered)
            shard.polled = shard.filtered = 0
        self._count_bytes(shard.size_bytes)
        self._keep()
        self._set_timer()
        if shard.wants():
            self._room.set()
        if not shard.busy:
            self._quiet.set()
        if shard.finished and not self.finished:
            self.finished = True
            self._tasks.cancel()
            self._watcher.ended(self)

    def _begin(self, effect: Effect) -> None:
        """Start an invocation or a delivery; it is not cancelled with the run, since what it does is done."""
        name = f"mapping {self.mapping.uuid} at {self.held.log}"
        work = self._invoke(effect) if isinstance(effect, Invoke) else self._deliver(effect)
        self._site.tasks.spawn(work, name)

    async def _invoke(self, effect: Invoke) -> None:
        mapping, site = self.mapping, self._site
        payload = self._wording.payload(effect.rows, effect.window)
        call = Invocation(mapping.account, mapping.region, mapping.function, payload)
        try:
            invoked = await site.invoker.invoke(call)
        except ServiceError as error:
            self._refuse(effect, error.code)
        except Exception:  # a bug of ours must not stop a shard for ever
            logger.exception("%s could not be invoked", mapping.function)
            self._refuse(effect, "ServiceException")
        else:
            answer = self._answer(effect, invoked)
            self._watcher.problem("Function call failed" if isinstance(answer.outcome, Failed) else None)
            self.shard.on_answer(effect.lane, answer, *self._moment())
            if effect.rows.records:
                site.measures.batch_ended(mapping, effect.rows.arrivals_ms[-1])
        self._step()

    def _refuse(self, effect: Invoke, why: str) -> None:
        self._watcher.problem(f"Function call failed: {why}")
        self.shard.on_refused(effect.lane, why, *self._moment())

    def _answer(self, effect: Invoke, invoked: Invoked) -> Answer:
        if invoked.function_error is not None:
            failed = Failed("the function returned an error")
            return Answer(failed, invoked.request_id, invoked.version, invoked.function_error)
        windowed = effect.window is not None and not effect.window.final
        reports = self.mapping.policy.reports_items and effect.rows.records > 0
        base = self.held.number_base
        outcome = read_answer(invoked.payload, effect.rows, base, reports=reports, windowed=windowed)
        return Answer(outcome, invoked.request_id, invoked.version)

    async def _deliver(self, effect: Deliver) -> None:
        stream = self.mapping.source_arn.partition("/consumer/")[0]
        try:
            why_not = await self._site.destinations.send(self.mapping, stream, self._wording, effect)
        except Exception as error:  # a bug of ours must not stop a shard for ever
            logger.exception("%s could not be sent to", self.mapping.destination)
            why_not = repr(error)
        self.shard.on_delivered(effect.lane, why_not)
        self._step()

    # Bookkeeping.

    def _moment(self) -> tuple[int, int, float]:
        return self._site.clock.now_ms(), self._retention_ms(), self._site.entropy.fraction()

    def _retention_ms(self) -> int:
        return self.view.stream.retention_hours * HOUR_MS

    def _keep(self) -> None:
        lanes = self.shard.checkpoint()
        if lanes != self._kept or self.shard.finished:
            self._kept = lanes
            uid, number = self.view.stream.uid, self.held.shard.no
            place = ShardPlace(self.mapping.uuid, uid, number, lanes, self.shard.finished)
            self._site.checkpoints.save(place)

    def _count_bytes(self, now_bytes: int) -> None:
        self._site.held_bytes += now_bytes - self._counted_bytes
        self._counted_bytes = now_bytes

    def _set_timer(self) -> None:
        """Have a timer that fires when the shard wants it, or before."""
        now_ms = self._site.clock.now_ms()
        at_ms = self.shard.wake_ms(now_ms, self._retention_ms())
        if at_ms is None or (self._timer_ms is not None and now_ms < self._timer_ms <= at_ms):
            return
        self._timer_ms = max(min(at_ms, now_ms + TIMER_MAX_MS), now_ms + 1)
        self._tasks.spawn(partial(self._wake, self._timer_ms - now_ms), f"mapping {self.mapping.uuid} waits")

    async def _wake(self, after_ms: int) -> None:
        await self._site.clock.sleep(after_ms)
        if not self.shard.draining:
            self._timer_ms = None
            self._step()
