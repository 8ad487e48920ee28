"""A poller: one mapping at work.  It knows which shards are to be read, and has a run (shardrun.py) for each of them.

Theory.  The course of a mapping is planned anew whenever the stream's shards change, a shard is finished, or a stream of that name comes;
between these it sleeps.  What keeps it from reading is told in LastProcessingResult and tried again.
Rules of this file:
  1. A shard's first checkpoint is kept before it is read, so that its parents' may be forgotten.
  2. A stream of the same name that is not the same stream is read from its beginning.
"""

import asyncio
from functools import partial
from typing import Final, Protocol

from penstock.core.arn import parse_stream_arn
from penstock.core.errors import Error, ServiceError
from penstock.core.ids import StreamUid
from penstock.core.limits import SECOND_MS
from penstock.engines.api import AppendError, MetaUnavailable
from penstock.services.functions.invoking import FunctionSource
from penstock.services.functions.mapping.event import Source, Wording
from penstock.services.functions.mapping.rows import place_of
from penstock.services.functions.mapping.shardrun import Owner, ShardRun, Site, Watcher
from penstock.services.functions.mapping.state import LanePlace, Mapping, ShardPlace
from penstock.services.streams.course import link_of, plan
from penstock.services.streams.directory import Directory, ShardView, StreamView

RETRY_MS: Final = 10 * SECOND_MS
NOTHING_YET: Final = "No records processed"
FINE: Final = "OK"


class Adopter(Protocol):
    """Who keeps mappings."""

    async def adopt(self, mapping: Mapping, uid: StreamUid) -> Mapping:
        """Have a mapping read another stream of the same name, from its beginning."""
        ...


class Poller:
    """One mapping at work."""

    def __init__(
        self, site: Site, mapping: Mapping, directory: Directory, functions: FunctionSource, adopter: Adopter
    ) -> None:
        self.mapping = mapping
        self.result = NOTHING_YET
        self.runs: dict[int, ShardRun] = {}
        self._site = site
        self._directory = directory
        self._functions = functions
        self._adopter = adopter
        self._tasks = Owner(site.tasks)
        self._moved = asyncio.Event()
        self._waits = False  # to try again
        self._followed: StreamView | None = None
        self._arn = parse_stream_arn(mapping.source_arn)

    def start(self) -> None:
        """Begin."""
        self._moved.set()
        self._tasks.spawn(self._work, f"mapping {self.mapping.uuid}")

    def look(self) -> None:
        """Look at the stream again: it may have come."""
        self._moved.set()

    @property
    def busy(self) -> bool:
        """Whether an invocation or a delivery is under way."""
        return any(run.shard.busy for run in self.runs.values())

    def drain(self) -> None:
        """Begin nothing more."""
        self._tasks.cancel()
        for run in self.runs.values():
            run.drain()

    async def close(self) -> None:
        """Begin nothing more; return when nothing is under way."""
        self._tasks.cancel()
        await self._close_runs()

    async def _close_runs(self) -> None:
        while self.runs:
            await self.runs.pop(next(iter(self.runs))).close()

    async def _work(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            try:
                await self._review()
            except (ServiceError, AppendError, MetaUnavailable) as error:
                self._problem(_words(error))
                self._try_again()

    def _try_again(self) -> None:
        if not self._waits:
            self._waits = True
            self._tasks.spawn(self._later, f"mapping {self.mapping.uuid} tries again")

    async def _later(self) -> None:
        await self._site.clock.sleep(RETRY_MS)
        self._waits = False
        self._moved.set()

    async def _review(self) -> None:
        """Begin the shards that may be read, and let go of what is finished."""
        view = self._directory.find(self._arn.account, self._arn.region, self._arn.name)
        if view is None or view.stream.uid != self.mapping.stream_uid:
            await self._close_runs()
            if view is None:
                self._problem(f"Stream not found: {self.mapping.source_arn}")
                return  # it is told when one comes
            self.mapping = await self._adopter.adopt(self.mapping, view.stream.uid)
        self._follow(view)
        version = self._functions.find(self.mapping.account, self.mapping.region, self.mapping.function)
        places = {place.shard_no: place for place in self._places(view)}
        finished = {no: place.finished for no, place in places.items()}
        links = [link_of(held.shard) for held in view.shards.values()]
        planned = plan(links, self.mapping.since, finished)
        for no in planned.start:
            if no not in self.runs and no in view.shards:
                place = places.get(no) or await self._first_place(view, view.shards[no])
                self._begin(view, view.shards[no], place, version.role)
        for no in planned.forget:
            self._site.checkpoints.forget(places[no])
            if no in self.runs:
                await self.runs.pop(no).close()

    def _places(self, view: StreamView) -> list[ShardPlace]:
        """The checkpoints of this stream; those of one before it are forgotten."""
        kept = []
        for place in self._site.checkpoints.of(self.mapping.uuid):
            if place.stream_uid == view.stream.uid:
                kept.append(place)
            else:
                self._site.checkpoints.forget(place)
        return kept

    async def _first_place(self, view: StreamView, held: ShardView) -> ShardPlace:
        """Where a shard without checkpoint is begun."""
        at_ms, number = self.mapping.starting_ms, 0
        if at_ms is not None:
            number = place_of(await self._site.reader.find_time(view, held, at_ms))
        place = ShardPlace(self.mapping.uuid, view.stream.uid, held.shard.no, (LanePlace(number),))
        self._site.checkpoints.save(place)
        self._moved.set()  # its parents' may be forgotten now
        return place

    def _begin(self, view: StreamView, held: ShardView, place: ShardPlace, role: str) -> None:
        source = Source(self.mapping.source_arn, view.stream.region, role, held.shard.no, held.number_base)
        watcher = Watcher(self._told, self._ended, partial(self._check_source, role))
        run = self.runs[held.shard.no] = ShardRun(
            self._site, self.mapping, (view, held), place, Wording(source), watcher
        )
        run.start()

    def _follow(self, view: StreamView) -> None:
        if self._followed is not view:
            self._followed = view
            self._tasks.spawn(partial(self._look_on, view), f"mapping {self.mapping.uuid} follows its stream")

    async def _look_on(self, view: StreamView) -> None:
        while self._followed is view:
            await view.change()
            self._moved.set()
            if self._directory.find_uid(view.stream.uid) is not view:
                return

    def _ended(self, run: ShardRun) -> None:
        """A shard is finished: its children may begin."""
        if self.runs.get(run.held.shard.no) is run:
            del self.runs[run.held.shard.no]
        self._moved.set()

    def _told(self, problem: str | None) -> None:
        if problem is None:
            self.result = FINE
        else:
            self._problem(problem)

    def _problem(self, what: str) -> None:
        self.result = f"PROBLEM: {what}"

    def _check_source(self, role: str) -> None:
        """Raise CONSUMER_NOT_FOUND if the consumer that is read through is gone; a refusal if the execution role may not read."""
        source, judge = self.mapping.source_arn, self._site.judge
        if judge is not None and self._followed is not None:
            refusal = judge.why_not(role, source) or judge.why_not_open(role, self._followed)
            if refusal is not None:
                raise refusal
        if self._arn.consumer is None or self._followed is None:
            return
        name, _, created_s = self._arn.consumer.partition(":")
        held = self._followed.consumers.get(name)
        if held is None or str(held.consumer.created_ms // 1000) != created_s:
            raise Error.CONSUMER_NOT_FOUND(arn=source)


def _words(error: Exception) -> str:
    """What LastProcessingResult says of it."""
    return (error.message or error.code) if isinstance(error, ServiceError) else str(error)
