"""The fleet: a runner for each delivery stream that is ACTIVE, as the directory has it.

Theory.  The directory tells of each change; the fleet wakes and brings the runners in line: one that is missing is made, one whose
configuration is older is replaced, one that is not wanted is stopped.  So delivery begins by itself after a restart, and there is no task
where there is no delivery stream.
Rules of this file: at most one runner of a delivery stream is at work; the old one has stopped before the new one begins.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock.core.errors import ServiceError
from penstock.core.ports import Tasks
from penstock.engines.api import MetaStore, MetaUnavailable, RecordLog
from penstock.services.firehose.configuration import read
from penstock.services.firehose.directory import DeliveryView, Directory
from penstock.services.firehose.inlet import Inlets
from penstock.services.firehose.makers import Makers
from penstock.services.firehose.plan import plan_of
from penstock.services.firehose.report import Report
from penstock.services.firehose.runner import Runner
from penstock.services.firehose.site import Site
from penstock.services.firehose.source import Read, Source
from penstock.services.firehose.spare import SPARE_BYTES as SPARE_BYTES
from penstock.services.firehose.spare import Spare
from penstock.services.firehose.state import DeliveryStream
from penstock.services.firehose.tally import Tallies
from penstock.services.firehose.vault import Vault, put_together
from penstock.services.logs.sink import LogSink
from penstock.services.streams.directory import StreamView
from penstock.services.streams.service import Streams

logger = logging.getLogger(__name__)

RETRY_MS: Final = 5000
NEVER_THROTTLED: Final = (
    "ThrottledGetRecords",
    "ThrottledGetShardIterator",
    "ThrottledDescribeStream",
)  # here: told as 0

SiteOf = Callable[[DeliveryStream], Site]


@dataclass(frozen=True, slots=True)
class World:
    """What runners work with."""

    log: RecordLog
    meta: MetaStore
    streams: Streams
    inlets: Inlets
    vault: Vault
    makers: Makers
    tallies: Tallies
    logs: LogSink | None
    site_of: SiteOf
    new_tasks: Callable[[], Tasks]


class Crew:
    """One delivery stream at work."""

    def __init__(self, stream: DeliveryStream, runner: Runner, source: Source, report: Report, tasks: Tasks) -> None:
        self.stream = stream
        self.runner = runner
        self.source = source
        self.report = report
        self.tasks = tasks


class Fleet:
    """All of them."""

    def __init__(self, world: World, directory: Directory, tasks: Tasks) -> None:
        self._world = world
        self._directory = directory
        self._tasks = tasks
        self.crews: dict[str, Crew] = {}  # by uid
        self.spare = Spare(SPARE_BYTES)
        self._wanted: dict[str, DeliveryView] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        directory.changed = self._changed

    def find(self, view: DeliveryView) -> Crew | None:
        """What is at work for a delivery stream."""
        return self.crews.get(view.stream.uid)

    async def stop(self, view: DeliveryView) -> None:
        """Return when nothing works for a delivery stream any more."""
        uid = view.stream.uid
        self._wanted.pop(uid, None)
        async with self._turn(uid):
            await self._dismiss(uid)

    async def close(self) -> None:
        """Stop all."""
        self._directory.changed = lambda view, present: None
        for uid in list(self.crews):
            await self._dismiss(uid)

    def _turn(self, uid: str) -> asyncio.Lock:
        return self._turns.setdefault(uid, asyncio.Lock())

    def _changed(self, view: DeliveryView, present: bool) -> None:
        uid = view.stream.uid
        if not present:
            self._wanted.pop(uid, None)
            self._turns.pop(uid, None)
        elif view.stream.status == "ACTIVE" and _is_new(self._wanted.get(uid), self.crews.get(uid), view):
            self._wanted[uid] = view
            self._tasks.spawn(self._bring_in_line(view), f"delivery {view.stream.key}")

    async def _bring_in_line(self, view: DeliveryView) -> None:
        """Have the runner of a delivery stream as its configuration is now; try until it can be made."""
        uid = view.stream.uid
        while self._wanted.get(uid) is view:
            async with self._turn(uid):
                crew = self.crews.get(uid)
                if crew is not None and crew.stream.version == view.stream.version:
                    return
                await self._dismiss(uid)
                manned = self._wanted.get(uid) is view and await self._man(view.stream)
            if not manned:
                await self._world.streams.clock.sleep(RETRY_MS)

    async def _dismiss(self, uid: str) -> None:
        crew = self.crews.pop(uid, None)
        if crew is not None:
            await crew.tasks.stop()
            await crew.runner.close()

    async def _man(self, stream: DeliveryStream) -> bool:
        """Put a runner to work; whether that succeeded."""
        try:
            source_view = self._source_of(stream)
            if source_view is None:
                return False
            secrets = await self._world.vault.open(stream)
            crew = self._make(stream, put_together(stream.destination, secrets), source_view)
        except (ServiceError, MetaUnavailable) as error:
            logger.error("delivery stream %s does not deliver for now: %s", stream.name, error)
            return False
        self.crews[stream.uid] = crew
        crew.tasks.spawn(crew.source.run(), f"source of {stream.name}")
        return True

    def _source_of(self, stream: DeliveryStream) -> StreamView | None:
        if stream.type == "DirectPut":
            return self._world.inlets.find(stream)
        found = self._world.streams.directory.find_uid(stream.source_uid)
        if found is None:
            logger.warning("delivery stream %s: its source %s is not there", stream.name, stream.source_arn)
        return found

    def _make(self, stream: DeliveryStream, document: dict[str, object], source_view: StreamView) -> Crew:
        world, shape = self._world, read(stream.kind, document)
        site, tasks = world.site_of(stream), world.new_tasks()
        report = Report(stream, world.tallies, world.logs, site.clock)
        destination = world.makers.make(stream.kind, shape, site, report)
        steps = world.makers.steps(shape, site, report)
        plan = plan_of(shape)
        runner = Runner(plan, steps, destination, site, report, tasks, self.spare)

        def refused(code: str, text: str) -> None:
            report.tally.refused(code)
            report.trouble("source", code, text, plan.logging)

        source = Source(
            stream.uid,
            stream.source_since,
            source_view,
            reader=world.streams.reader,
            log=world.log,
            meta=world.meta,
            clock=site.clock,
            tasks=tasks,
            room=runner.room,
            take=runner.take,
            told=_teller(stream, report, world.streams),
            refused=refused,
        )
        return Crew(stream, runner, source, report, tasks)


def _is_new(wanted: DeliveryView | None, crew: Crew | None, view: DeliveryView) -> bool:
    """Whether a change asks for another runner."""
    return wanted is not view or (crew is not None and crew.stream.version != view.stream.version)


def _teller(stream: DeliveryStream, report: Report, streams: Streams) -> Callable[[Read], None]:
    """Counts what is read from a Kinesis stream; direct puts were counted as they came."""
    if stream.type == "DirectPut":
        return lambda read: None

    def tell(read: Read) -> None:
        tally = report.tally
        for name in NEVER_THROTTLED:
            tally.count(name, 0)
        tally.count("DataReadFromKinesisStream.Records", read.records)
        tally.add("DataReadFromKinesisStream.Bytes", "Bytes", read.size_bytes)
        tally.add("KinesisMillisBehindLatest", "Milliseconds", read.behind_ms)
        size_bytes, now_ms = read.size_bytes + read.key_bytes, streams.clock.now_ms()
        streams.traffic.read(read.held, read.records, size_bytes, read.behind_ms, now_ms, read.took_ms)

    return tell
