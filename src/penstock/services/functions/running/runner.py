"""The runner: what is asked of functions becomes invocations of their slots.

Theory.  An invocation is admitted (size, JSON, concurrency), finds the pool of its version, takes a slot, and is told what came of it.
Whatever goes wrong on the way is an outcome with a line in the log and a figure in the metrics, or a refusal before anything ran.
Rules of this file:
  1. Every version has one pool; a newer revision retires it.
  2. Nothing runs while nobody invokes: the sweep that ends idle slots ends itself.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from penstock.core.errors import ServiceError
from penstock.core.ids import UUID_BYTES, uuid_text
from penstock.core.limits import MIB, MINUTE_MS, SECOND_MS
from penstock.services.deadlines import Deadlines
from penstock.services.functions.invoking import FunctionSource, FunctionVersion, Invocation, Invoked
from penstock.services.functions.running.admission import admit, context_header
from penstock.services.functions.running.code import CodeStore
from penstock.services.functions.running.concurrency import Concurrency
from penstock.services.functions.running.environment import Credentials
from penstock.services.functions.running.launching import Launched, Launcher, Start
from penstock.services.functions.running.lines import Lines, Valve
from penstock.services.functions.running.meter import Meter
from penstock.services.functions.running.outcome import Outcome
from penstock.services.functions.running.pool import NotStarted, Pool, Ready, Starts
from penstock.services.functions.running.slot import Call, Phase, Slot
from penstock.services.functions.running.surroundings import Surroundings, time_text
from penstock.services.logs.sink import LogSink

IDLE_MS: Final = 5 * MINUTE_MS  # UNVERIFIED: Lambda does not say how long an idle environment lives
SWEEP_MS: Final = 30 * SECOND_MS


class Keys(Protocol):
    """Who gives functions credentials."""

    async def of_role(self, version: FunctionVersion) -> Credentials:
        """Temporary ones of its execution role."""
        ...


class _Held(NamedTuple):
    """A pool, what it is of, and the folder of its code."""

    revision: str
    pool: Pool
    folder: str


class Runner:
    """Runs functions in processes of this machine."""

    def __init__(
        self,
        source: FunctionSource,
        code: CodeStore,
        launcher: Launcher,
        around: Surroundings,
        logs: LogSink,
        meter: Meter,
        keys: Keys,
        concurrency: Concurrency,
        starts_at_once: int,
    ) -> None:
        self._source = source
        self._code = code
        self._launcher = launcher
        self._around = around
        self._logs = Valve(logs)
        self._meter = meter
        self._keys = keys
        self._concurrency = concurrency
        self._deadlines = Deadlines(around.steady, around.tasks)
        self._starts = Starts(starts_at_once)
        self._pools: dict[tuple[str, ...], _Held] = {}
        self._retired: list[_Held] = []  # as long as anything of them runs
        self._sweeping = False

    async def invoke(self, invocation: Invocation) -> Invoked:
        """Run a function once.  See Invoker."""
        version = self._source.find(invocation.account, invocation.region, invocation.function)
        admit(version)
        request_id = invocation.request_id or uuid_text(self._around.entropy.bytes(UUID_BYTES))
        if invocation.kind == "DryRun":
            return Invoked(request_id, b"", None, version.version)
        return await self._run(version, invocation, request_id)

    def end(self) -> None:
        """Kill every slot, and say no more: it is the end."""
        self._logs.shut()
        for held in self._all():
            held.pool.end()
        self._pools.clear()
        self._retired.clear()

    @property
    def slots(self) -> int:
        """Execution environments that there are."""
        return sum(held.pool.size for held in self._all())

    def _all(self) -> "list[_Held]":
        return [*self._pools.values(), *self._retired]

    async def _run(self, version: FunctionVersion, invocation: Invocation, request_id: str) -> Invoked:
        try:
            under_way = self._concurrency.enter(version)
        except ServiceError:
            self._meter.throttled(version)
            raise
        try:
            how, lines, took_ms = await self._on_a_slot(version, invocation, request_id)
        finally:
            self._concurrency.leave(version)
        self._meter.ran(version, took_ms, failed=how.error is not None, concurrent=under_way)
        tail = lines.tail if invocation.wants_log else b""
        return Invoked(request_id, how.payload, how.error, version.version, tail)

    async def _on_a_slot(
        self, version: FunctionVersion, invocation: Invocation, request_id: str
    ) -> tuple[Outcome, Lines, float]:
        """What came of it, and how long the function itself took."""
        pool = await self._pool(version)
        while True:
            try:
                ready = await pool.take()
            except NotStarted as problem:
                return (*self._report_no_start(version, problem, request_id), 0.0)
            if ready.launched.slot.phase is Phase.IDLE:
                how, took_ms = await self._on(ready, version, invocation, request_id)
                return how, ready.launched.lines, took_ms

    async def _on(
        self, ready: Ready, version: FunctionVersion, invocation: Invocation, request_id: str
    ) -> tuple[Outcome, float]:
        launched, seconds = ready.launched, self._around.seconds
        launched.lines.begin()
        launched.lines.say(f"START RequestId: {request_id} Version: {version.version}\n")
        began_s = seconds()
        call = self._call(version, invocation, request_id)
        how = await launched.slot.begin(call)
        took_ms = (seconds() - began_s) * 1000
        self._report(launched, version, request_id, how, took_ms, ready.init_ms)
        return how, took_ms

    def _call(self, version: FunctionVersion, invocation: Invocation, request_id: str) -> Call:
        timeout_ms = invocation.timeout_s(version) * SECOND_MS
        now_ms = self._around.wall.now_ms()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(now_ms + timeout_ms),
            "Lambda-Runtime-Invoked-Function-Arn": version.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{now_ms // 1000:08x}-{request_id.replace('-', '')[:24]};Sampled=0",
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = context_header(invocation.client_context)
        return Call(request_id, invocation.payload or b"{}", headers, timeout_ms, self._time)

    def _time(self) -> str:
        return time_text(self._around.clock.now_ms())

    def _report(
        self,
        launched: Launched,
        version: FunctionVersion,
        request_id: str,
        how: Outcome,
        took_ms: float,
        init_ms: float | None,
    ) -> None:
        """What the platform writes behind an invocation."""
        lines = launched.lines
        launched.ward.output.drain()
        if how.log:
            lines.say(how.log)
        lines.say(f"END RequestId: {request_id}\n")
        used_mb = -(-launched.ward.memory_bytes() // MIB)
        parts = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {took_ms:.2f} ms",
            f"Billed Duration: {-int(-took_ms // 1)} ms",
            f"Memory Size: {version.memory_mb} MB",
            f"Max Memory Used: {used_mb} MB",
        ]
        if init_ms is not None:
            parts.append(f"Init Duration: {init_ms:.2f} ms")
        if how.status:
            parts.append(f"Status: {how.status}")
        if how.error_type:
            parts.append(f"Error Type: {how.error_type}")
        lines.say("\t".join(parts) + "\t\n")

    def _report_no_start(self, version: FunctionVersion, problem: NotStarted, request_id: str) -> tuple[Outcome, Lines]:
        how, launched = problem.failure(request_id), problem.launched
        launched.lines.say(f"START RequestId: {request_id} Version: {version.version}\n")
        self._report(launched, version, request_id, how, 0.0, None)
        return how, launched.lines

    # Pools

    async def _pool(self, version: FunctionVersion) -> Pool:
        code = await self._code.folder(version.code)
        key, revision = (
            (version.account, version.region, version.name, version.version),
            f"{version.revision}/{code.mark}",
        )
        known = self._pools.get(key)
        if known is not None and known.revision == revision:
            return known.pool
        around = self._around

        async def launch(watch: Callable[[Slot], None]) -> Launched:
            credentials = await self._keys.of_role(version)
            lines, stream = self._new_lines(version)
            return await self._launcher.launch(
                Start(version, code.path, lines, stream, credentials, self._deadlines, watch)
            )

        pool = Pool(launch, self._starts, around.clock, around.tasks, around.seconds)
        if known is not None:
            known.pool.retire()
            self._retired.append(known)
        self._pools[key] = _Held(revision, pool, code.path)
        self._sweep()
        return pool

    def _new_lines(self, version: FunctionVersion) -> tuple[Lines, str]:
        day = datetime.fromtimestamp(self._around.clock.now_ms() / 1000, UTC).strftime("%Y/%m/%d")
        stream = f"{day}/[{version.version}]{self._around.entropy.bytes(16).hex()}"
        group = version.log_group or f"/aws/lambda/{version.name}"
        return Lines(self._logs, version, group, stream, self._around.clock), stream

    def _sweep(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._around.tasks.spawn(self._sweep_on(), "idle functions")

    async def _sweep_on(self) -> None:
        try:
            while self._all():
                await self._around.clock.sleep(SWEEP_MS)
                for key, held in list(self._pools.items()):
                    held.pool.end_idle(self._around.clock.now_ms() - IDLE_MS)
                    if not held.pool.size:
                        del self._pools[key]
                self._retired = [held for held in self._retired if held.pool.size]
                await self._code.sweep(lambda folder: any(held.folder == folder for held in self._all()))
        finally:
            self._sweeping = False
