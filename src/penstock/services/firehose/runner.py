"""Runners: one delivery stream at work, from its source to where its records are accounted for.

Theory.  A runner is stages and a source.  What the source reads is backed up if that is asked for, goes through the steps, is sorted into
partitions, and waits in the destination's stage; what fails anywhere goes to the stage of errors.  A run of the source is accounted for
when nothing made of it is left in any stage.
Rules of this file: a runner holds no state that a crash may lose; another configuration is another runner.
"""

import logging
from collections.abc import Sequence
from typing import Final

from penstock.core.errors import ServiceError
from penstock.core.limits import ACTIVE_PARTITIONS_MAX
from penstock.core.ports import Tasks
from penstock.services.firehose.backoff import wait_ms
from penstock.services.firehose.buffers import Piece, Ready
from penstock.services.firehose.delivery import Delivery
from penstock.services.firehose.destinations.api import Destination, Hints
from penstock.services.firehose.destinations.s3 import S3Destination, hints_of
from penstock.services.firehose.entries import Entry, Failure, PartitionKey
from penstock.services.firehose.errorprefix import Backup, ErrorPrefix
from penstock.services.firehose.holds import Hold
from penstock.services.firehose.partitions import sorted_out
from penstock.services.firehose.plan import Plan
from penstock.services.firehose.processing.api import Processed, Step
from penstock.services.firehose.report import Report
from penstock.services.firehose.rows import joined, piece_of
from penstock.services.firehose.site import Site
from penstock.services.firehose.source import Run
from penstock.services.firehose.spare import Spare
from penstock.services.firehose.stage import Means, Stage

logger = logging.getLogger(__name__)

INTAKE_CONCURRENCY: Final = 5  # function calls at a time; source: developer guide, of one shard
OVERHEAD_BYTES: Final = 400  # of an error object, beside its data
FAILURE_BYTES: Final = 200  # that a failure takes in memory beside what its error object has


class Runner:
    """One of them."""

    def __init__(
        self,
        plan: Plan,
        steps: Sequence[Step],
        destination: Destination,
        site: Site,
        report: Report,
        tasks: Tasks,
        spare: Spare,
    ) -> None:
        self._plan = plan
        self._steps = steps
        self._destination = destination
        self._site = site
        self._report = report
        self._partition_keys = destination.partition_keys if isinstance(destination, S3Destination) else ()
        means = Means(site.clock, tasks, spare)
        delivery = Delivery(destination, plan.logging, self._fail, report, site.clock, site.entropy)
        self.main: Stage[PartitionKey, Entry] = Stage("delivery", destination.hints, delivery.deliver, means)
        error_hints = hints_of(plan.errors.buffering_hints)._replace(concurrency=2)
        self.errors: Stage[str, Failure] = Stage(
            "errors", error_hints, ErrorPrefix(plan.errors, site, report).write, means
        )
        self.backup: Stage[None, Entry] | None = None
        if plan.backup is not None:
            backup_hints = hints_of(plan.backup.buffering_hints)._replace(concurrency=2)
            self.backup = Stage("backup", backup_hints, Backup(plan.backup, site, report).write, means)
        self.intake: Stage[None, Entry] | None = None
        if plan.intake is not None:
            hints = Hints(*plan.intake, INTAKE_CONCURRENCY, own_bytes=plan.intake.size_bytes)
            self.intake = Stage("processing", hints, self._process, means)

    @property
    def stages(self) -> list[Stage[None, Entry] | Stage[PartitionKey, Entry] | Stage[str, Failure]]:
        """All of them, in the order in which records pass."""
        found = (self.intake, self.backup, self.main, self.errors)
        return [stage for stage in found if stage is not None]

    async def room(self) -> None:
        """Return when more may be read."""
        for stage in self.stages:
            await stage.room()

    def take(self, run: Run) -> None:
        """Take what was read."""
        if not run.entries:
            run.hold.drop()
            return
        piece = piece_of(run.hold, run.entries, run.oldest_ms)
        if self.backup is not None:
            run.hold.retain()
            self.backup.add(None, piece)
        if self.intake is not None:
            self.intake.add(None, piece)
        else:
            self._sort(piece)

    def flush(self) -> None:
        """Hand over all that is buffered now."""
        for stage in self.stages:
            stage.flush()

    async def close(self) -> None:
        """Let go of what the destination keeps open, and of memory; nothing works any more."""
        for stage in self.stages:
            stage.close()
        await self._destination.close()

    async def _process(self, ready: Ready[None, Entry]) -> None:
        """Take entries through the steps.  The stage drops the pieces' holds afterwards; what comes out holds them too."""
        entries: Sequence[Entry] = joined([piece.records for piece in ready.pieces])
        kept, failed = await self._through_steps(entries)
        hold = _over(ready)
        if failed:
            self._add_failures(failed, hold, ready.oldest_ms)
        if kept:
            hold.retain()
            self._sort(piece_of(hold, kept, ready.oldest_ms))
        hold.drop()

    async def _through_steps(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], list[Failure]]:
        failed: list[Failure] = []
        for step in self._steps:
            if not entries:
                break
            processed = await self._take_step(step, entries)
            entries = processed.kept
            failed += processed.failed
        for failure in failed[:1]:
            self._report.trouble("processing", failure.code, failure.message, self._plan.logging)
        return entries, failed

    async def _take_step(self, step: Step, entries: Sequence[Entry]) -> Processed:
        attempts = 0
        while True:
            try:
                return await step.process(entries)
            except Exception as error:  # a fault of ours, or of what the step needs: again, for nothing may be lost
                text = error.message if isinstance(error, ServiceError) else type(error).__name__
                logger.exception("a step of %s failed", self._site.stream)
                self._report.trouble("processing", "InternalFailure", str(text), self._plan.logging)
                attempts += 1
                await self._site.clock.sleep(wait_ms(attempts, self._site.entropy.fraction()))

    def _sort(self, piece: Piece[Entry]) -> None:
        """Put entries into the buffers of their partitions."""
        if not self._partition_keys:
            self.main.add((), piece)
            return
        active = len(self.main.buffers)
        groups, failed = sorted_out(
            piece.records, self._partition_keys, lambda key: key in self.main.buffers, ACTIVE_PARTITIONS_MAX - active
        )
        tally = self._report.tally
        if failed:
            tally.count("PartitionCountExceeded", int(any("Limit" in failure.code for failure in failed)))
            self._report.trouble("partitioning", failed[0].code, failed[0].message, self._plan.logging)
            self._add_failures(failed, piece.hold, piece.oldest_ms)
        for key, entries in groups.items():
            piece.hold.retain()
            oldest_ms = min(entry.arrival_ms for entry in entries)
            self.main.add(key, piece_of(piece.hold, entries, oldest_ms))
        tally.count("PartitionCount", len(self.main.buffers))
        piece.hold.drop()

    def _fail(self, failures: Sequence[Failure], ready: Ready[PartitionKey, Entry]) -> None:
        """Failures of a delivery: its pieces are held until they are written."""
        hold = _over(ready)
        self._add_failures(failures, hold, ready.oldest_ms)
        hold.drop()

    def _add_failures(self, failures: Sequence[Failure], hold: Hold, oldest_ms: int) -> None:
        kinds: dict[str, list[Failure]] = {}
        for failure in failures:
            kinds.setdefault(failure.kind, []).append(failure)
        for kind, group in kinds.items():
            hold.retain()
            sizes = [len(failure.entry.data) * 4 // 3 + OVERHEAD_BYTES for failure in group]
            self.errors.add(kind, Piece(hold, group, sizes, oldest_ms, FAILURE_BYTES))


def _over(ready: "Ready[None, Entry] | Ready[PartitionKey, Entry]") -> Hold:
    """A hold over all pieces of what was ready."""
    for piece in ready.pieces:
        piece.hold.retain()

    def release() -> None:
        for piece in ready.pieces:
            piece.hold.drop()

    return Hold(release)
