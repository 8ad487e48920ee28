"""Lifecycle: how a stream comes to be, changes and goes, step by step.

Theory.  A control operation commits the first state (CREATING, UPDATING, DELETING) before it answers, and a task carries on after
`transition_ms`.  A server that stops in between finds such streams at its next start and resumes them.
With a transition of 0 ms the operation itself waits for the end, so that a client which does not ask for the state never meets CREATING.
Rules of this file: a step may be repeated after a crash, so each is harmless when it was already done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from msgspec.structs import replace

from penstock.core.errors import Error, ServiceError
from penstock.core.ports import Clock, Tasks
from penstock.engines.api import AppendError, Conflict, LogId, MetaUnavailable, RecordLog
from penstock.services.streams.directory import Directory, StreamView
from penstock.services.streams.meter import Meter
from penstock.services.streams.resharding import Resharder
from penstock.services.streams.state import Shard, Status, Stream
from penstock.services.streams.topology import check_tiling, tiling

logger = logging.getLogger(__name__)

RETRY_MS = 1000


class Lifecycle:
    """Moves streams from state to state."""

    def __init__(
        self, log: RecordLog, directory: Directory, clock: Clock, tasks: Tasks, meter: Meter, transition_ms: int
    ) -> None:
        self._log = log
        self._directory = directory
        self._clock = clock
        self._tasks = tasks
        self._meter = meter
        self._transition_ms = transition_ms
        self._resharder = Resharder(log, directory, clock)

    async def resume(self) -> None:
        """Put right what a crash left: logs and shards that have lost each other, and streams that are between two states."""
        owned = {held.log for view in self._directory.all() for held in view.shards.values()}
        existing = set(await self._log.names())
        for name in sorted(existing - owned):
            await self._drop_if_empty(name)
        await self._log.create(sorted(owned - existing))
        for view in self._directory.all():
            await self._carry_on(view)

    async def _drop_if_empty(self, name: LogId) -> None:
        """An unowned log is left by a creation that got no further, and is then empty.  One with records is never ours to drop."""
        bounds = await self._log.bounds(name)
        if bounds.start == bounds.end:
            await self._log.drop([name])
        else:
            count = bounds.end.offset - bounds.start.offset
            logger.error("%d records of log %s belong to no stream: metadata was lost; restore a backup", count, name)

    async def create(self, stream: Stream, shards: list[Shard]) -> None:
        """Begin a stream in CREATING; it becomes ACTIVE.  Raises STREAM_EXISTS."""
        assert stream.status == "CREATING"
        await self._log.create([shard.log for shard in shards])
        try:
            view = await self._directory.create(stream, shards)
        except ServiceError:  # and after any other error the stream may exist: `resume` finds out
            await self._log.drop([shard.log for shard in shards])
            raise
        await self._carry_on(view)

    async def delete(self, view: StreamView) -> None:
        """Put a stream in DELETING; it and its records vanish.  Raises STREAM_NOT_ACTIVE."""
        await self._enter(view, replace(view.stream, status="DELETING"))

    async def change(self, view: StreamView, changed: Stream) -> None:
        """Give an ACTIVE stream changed settings, through UPDATING.  Raises STREAM_NOT_ACTIVE."""
        await self._enter(view, replace(changed, status="UPDATING"))

    async def reshard(self, view: StreamView, changed: Stream, starts: Sequence[int]) -> None:
        """Take an ACTIVE stream, through UPDATING, to the tiling that begins at `starts`.  Raises STREAM_NOT_ACTIVE."""
        assert check_tiling(tiling(starts)), "a target tiles the hash space"
        await self.change(view, replace(changed, target=tuple(map(str, starts))))

    def check_active(self, view: StreamView) -> None:
        """Raise STREAM_NOT_ACTIVE unless a stream is ACTIVE: only then may a change begin."""
        held = view.stream
        if held.status != "ACTIVE":
            raise Error.STREAM_NOT_ACTIVE(stream=held.name, account=held.account, status=held.status)

    async def _enter(self, view: StreamView, stream: Stream) -> None:
        self.check_active(view)  # again: it may have changed since it was looked up
        await self._directory.update(view, stream)
        await self._carry_on(view)

    async def _carry_on(self, view: StreamView) -> None:
        """Take a stream on from where it is; with a transition of 0 ms, return when it is there (or could not get there yet)."""
        status: Status = view.stream.status
        if status != "ACTIVE":
            step = self.forget if status == "DELETING" else self._activate
            tried = asyncio.Event()
            self._tasks.spawn(self._proceed(view, step, tried), f"{status} {view.stream.key}")
            if not self._transition_ms:
                await tried.wait()

    async def _proceed(
        self, view: StreamView, step: Callable[[StreamView], Awaitable[None]], tried: asyncio.Event
    ) -> None:
        await self._clock.sleep(self._transition_ms)
        while True:
            try:
                await step(view)
            except (AppendError, MetaUnavailable) as error:
                logger.error("stream %s stays %s for now: %s", view.stream.name, view.stream.status, error)
                view.stalled = True
                view.announce_change()  # writers that wait for a sealed shard's children learn that there are none yet
            else:
                view.stalled = False
                return
            finally:
                tried.set()
            await self._clock.sleep(RETRY_MS)

    async def _activate(self, view: StreamView) -> None:
        while view.stream.status in ("CREATING", "UPDATING"):
            with suppress(Conflict):  # a tag was added meanwhile: again, on top of it
                if view.stream.target:
                    await self._resharder.advance(view)
                else:
                    await self._directory.replace(view, replace(view.stream, status="ACTIVE"))
            await self._clock.sleep(0)

    async def forget(self, view: StreamView) -> None:
        """Drop a stream's records, then the stream."""
        shards = list(view.shards.values())
        await self._log.drop([held.log for held in shards])  # first: what the directory forgets, nobody would drop
        while self._directory.find_uid(view.stream.uid) is view:
            with suppress(Conflict):
                await self._directory.remove(view)
            await self._clock.sleep(0)
        for held in shards:
            self._meter.forget(held)
