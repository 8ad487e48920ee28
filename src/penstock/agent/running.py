"""An agent: the flows of a configuration, what they share, and how they begin and end.

Theory.  Each flow reads in a task of its own; deliveries are tasks, too; places are saved all the time by another.  The end comes in steps:
flows stop reading and hand over what they have, deliveries get shutdownTimeoutMillis, places are saved once more.
Rules of this file:
  1. It composes and waits; what it composes does the work.
  2. Whatever ends it, places are saved after the last acknowledgement.
"""

import asyncio
import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from pathlib import Path
from typing import Final

from penstock.agent.backoff import Backoff
from penstock.agent.buffers import Ledger
from penstock.agent.caller import Account, Caller
from penstock.agent.checkpoints import CheckpointError, Checkpoints
from penstock.agent.cloudwatch import CloudWatch, numbers
from penstock.agent.configuration import Configuration
from penstock.agent.delivery import Destination, Room, Sender, Shared, key_bytes
from penstock.agent.destination import Stream
from penstock.agent.flow import Flow, Plan
from penstock.agent.meter import Counts, Meter
from penstock.agent.requests import OPERATIONS
from penstock.clients.metric_sinks import Nowhere, Reporter, Sink
from penstock.clients.metrics import Level
from penstock.clients.metrics import Meter as Metrics
from penstock.core.limits import HOUR_MS, MIB, SECOND_MS
from penstock.core.ports import Clock, Entropy, Tasks

logger = logging.getLogger(__name__)

UNSENT_MAX_BYTES: Final = 4 * MIB  # read and not sent yet, of all flows; a batch that is larger comes in alone
FLOW_REQUESTS_MAX: Final = 4  # under way at once; more would only wait for each other
SAVE_EVERY_MS: Final = 200
TOUCH_EVERY_MS: Final = HOUR_MS
PATIENCE_EVERY_MS: Final = 100
ONCE_PATIENCE_MS: Final = 30 * SECOND_MS  # --once gives up after so long without a record that was taken


class Ending(Enum):
    """Why an agent ends."""

    STOPPED = auto()
    RELOAD = auto()
    FINISHED = auto()  # --once: everything was sent
    GAVE_UP = auto()  # something was not


class Agent:
    """One configuration at work, from `run` to its end."""

    def __init__(
        self, configuration: Configuration, account: Account, clock: Clock, entropy: Entropy, tasks: Tasks
    ) -> None:
        """Open what it needs.  Raises CheckpointError."""
        settings = configuration.settings
        self._settings = settings
        self._clock = clock
        self._tasks = tasks
        self._checkpoints = Checkpoints(Path(settings.checkpoint_file), settings.checkpoint_wait_s)
        senders = settings.senders(os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(senders, "sends")
        self._room = Room(UNSENT_MAX_BYTES)
        self._shared = Shared(clock, entropy, tasks, self._room, asyncio.Semaphore(senders))
        self._callers: dict[str, Caller] = {}
        self._account = account
        self._at_once = min(senders, FLOW_REQUESTS_MAX)
        self.flows = [self._flow(plan) for plan in configuration.plans]
        self._ending: Ending | None = None
        self._over = asyncio.Event()  # nothing more is waited for
        self._running = 0
        self._metrics = Metrics(Level.SUMMARY, rolls_up=False)
        self._measured: dict[str, Counts] = {}  # what was reported of each flow
        self._instance = (("Instance", socket.gethostname()),) if settings.tag_instance else ()
        self._reporter = Reporter(self._metrics, self._sink(), clock, settings.metrics_ms)
        self._trouble = ""  # with checkpoints, that was told
        self._began_ms = clock.now_ms()

    def end(self, ending: Ending) -> None:
        """Have it end soon."""
        if self._ending is None:
            self._ending = ending
            for flow in self.flows:
                flow.stop()
            self._tasks.spawn(self._room.unbind(), "agent's end")

    async def run(self, *, once: bool = False) -> Ending:
        """Work until `end` is called or, with `once`, until everything that is there was sent.  Raises CheckpointError."""
        await asyncio.to_thread(self._checkpoints.forget, self._settings.checkpoint_days, self._clock.now_ms())
        for flow in self.flows:
            await flow.begin()
        self._tasks.spawn(self._keep_saving(), "agent's checkpoints")
        self._tasks.spawn(self._keep_reporting(), "agent's status")
        self._tasks.spawn(self._keep_measuring(), "agent's metrics")
        ended = asyncio.Event()
        for flow in self.flows:
            self._tasks.spawn(self._run(flow, ended, once=once), f"agent {flow.flow_id}")
        await ended.wait()
        finished = self._ending is None
        self._tasks.spawn(self._patience(moving=finished), "agent's patience")
        sent = await self._room.emptied()
        await self._save()
        self._tasks.spawn(self._measure_last(), "agent's last metrics")
        await self._over.wait()
        logger.info("%s", self.status())
        if not sent:
            logger.error("%d records were not sent; they are read again at the next start", self._unsent)
        if self._ending is not None:
            return self._ending
        return Ending.FINISHED if sent and not any(flow.troubled for flow in self.flows) else Ending.GAVE_UP

    async def close(self) -> None:
        """Let go of everything; requests under way are not waited for."""
        await self._tasks.stop()
        for flow in self.flows:
            flow.close()
        for caller in self._callers.values():
            caller.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._checkpoints.close()

    def status(self) -> str:
        """The line that tells how it stands."""
        sums = Counts()
        for flow in self.flows:
            sums = sums.plus(flow.meter.counts)
        behind = sum(flow.behind_bytes for flow in self.flows)
        files = sum(flow.file_count for flow in self.flows)
        return (
            f"{files:,} files; {sums.records_parsed:,} records parsed ({sums.bytes_read:,} bytes), {sums.records_sent:,} sent,"
            f" {sums.records_skipped:,} skipped; {sums.send_errors:,} refused and {sums.service_errors:,} requests failed,"
            f" tried again; {behind:,} bytes behind; up {(self._clock.now_ms() - self._began_ms) // SECOND_MS} s"
        )

    @property
    def _unsent(self) -> int:
        return sum(flow.unsent_records for flow in self.flows)

    async def _run(self, flow: Flow, ended: asyncio.Event, *, once: bool) -> None:
        self._running += 1
        try:
            await flow.run(once=once)
        except Exception:  # a fault of ours: whoever runs the agent starts it again
            self.end(Ending.GAVE_UP)
            raise
        finally:
            self._running -= 1
            if not self._running:
                ended.set()

    async def _patience(self, *, moving: bool) -> None:
        """Give up on deliveries: after shutdownTimeoutMillis, or when nothing has moved for long."""
        limit_ms = max(self._settings.shutdown_ms, ONCE_PATIENCE_MS) if moving else self._settings.shutdown_ms
        since_ms, sent = self._clock.now_ms(), -1
        while 0 <= self._clock.now_ms() - since_ms < limit_ms:
            now_sent = sum(flow.meter.counts.records_sent for flow in self.flows)
            if moving and now_sent != sent:
                since_ms, sent = self._clock.now_ms(), now_sent
            await self._clock.sleep(PATIENCE_EVERY_MS)
        await self._room.give_up()
        self._over.set()

    async def _keep_saving(self) -> None:
        touched_ms = self._clock.now_ms()
        while True:
            await self._clock.sleep(SAVE_EVERY_MS)
            if self._clock.now_ms() - touched_ms >= TOUCH_EVERY_MS:
                touched_ms = self._clock.now_ms()
                for flow in self.flows:
                    flow.touch()
            await self._save()

    async def _save(self) -> None:
        try:
            for flow in self.flows:
                if flow.must_save:
                    await flow.save()
        except CheckpointError as error:
            if str(error) != self._trouble:
                logger.error("%s; delivery goes on, and after a crash records may come twice", error)
            self._trouble = str(error)
        else:
            self._trouble = ""

    async def _keep_reporting(self) -> None:
        while True:
            await self._clock.sleep(self._settings.status_s * SECOND_MS)
            logger.info("%s", self.status())

    async def _keep_measuring(self) -> None:
        while True:
            await self._clock.sleep(self._settings.metrics_ms)
            await self._measure()

    async def _measure_last(self) -> None:
        await self._measure()
        self._over.set()

    async def _measure(self) -> None:
        """Take what was counted since the last time to CloudWatch, the log, or both."""
        for flow in self.flows:
            since = self._measured.get(flow.flow_id, Counts())
            counts = flow.meter.counts.copy()
            self._measured[flow.flow_id] = counts
            for metric, value in numbers(counts.minus(since), flow.meter.failing):
                self._metrics.put(metric, value, (("Destination", flow.target), *self._instance))
                if self._settings.log_metrics:
                    logger.info("%s: %s %d", flow.flow_id, metric.name, value)
        await self._reporter.report()

    def _flow(self, plan: Plan) -> Flow:
        settings = plan.settings
        meter = Meter()
        deterministic = settings.partition_key == "DETERMINISTIC"
        destination = self._destination(plan)
        backoff = Backoff(settings.retry_first_ms, settings.retry_longest_ms)

        def sender(ledger: Ledger) -> Sender:
            return Sender(
                settings.flow_id, destination, ledger, self._shared, meter, backoff,
                queue_batches=settings.queue_batches, at_once=self._at_once, deterministic_keys=deterministic,
            )  # fmt: skip

        key_size = key_bytes(kinesis=settings.destination == "kinesis", deterministic=deterministic)
        return Flow(plan, sender, key_size, self._checkpoints, self._clock, meter)

    def _caller(self, service: str) -> Caller:
        return Caller(self._account, service, self._settings, self._settings.connections or self._at_once)

    def _sink(self) -> Sink:
        if not self._settings.emit_metrics:
            return Nowhere()
        caller = self._callers["cloudwatch"] = self._caller("cloudwatch")
        return CloudWatch(caller, self._threads, self._settings.namespace, self._clock)

    def _destination(self, plan: Plan) -> Destination:
        service = plan.settings.destination
        if service not in self._callers:
            self._callers[service] = self._caller(service)
        return Stream(OPERATIONS[service], plan.settings.target, self._callers[service], self._threads)
