"""The meter: the CloudWatch metrics of functions, tallied as they run.

Theory.  Each invocation adds to the tallies of its function, and of the version or alias that was named; every METER_MS they are told to a
sink as metrics of namespace AWS/Lambda, in the minute in which they began.  Nothing runs while no function does.
Rule of this file: a sink is told, never asked.
Source: developer guide, "Types of metrics for Lambda functions".
"""

from collections.abc import Iterator
from typing import Final

from penstock.core.ids import AccountId, Millis, Region
from penstock.core.limits import SECOND_MS
from penstock.core.ports import Clock, Tasks
from penstock.services.functions.invoking import LATEST, FunctionVersion
from penstock.services.streams.measures import Measure, Sink
from penstock.services.streams.tally import Figure, shares

METER_MS: Final = 10 * SECOND_MS
Key = tuple[AccountId, Region, str, str | None]  # the last: name:version, where one was named


class Tally:
    """What the invocations of one function were like."""

    __slots__ = ("concurrent", "duration_ms", "failed", "invoked", "throttled")

    def __init__(self) -> None:
        self.invoked = self.failed = self.throttled = 0
        self.duration_ms, self.concurrent = Figure(), Figure()

    def measures(self) -> Iterator[Measure]:
        """As metrics."""
        if self.invoked:
            yield Measure("Invocations", "Count", shares(self.invoked, 0))
            yield Measure("Errors", "Count", shares(self.failed, self.invoked - self.failed))
            yield Measure("Duration", "Milliseconds", self.duration_ms.sample)
        yield Measure("Throttles", "Count", shares(self.throttled, self.invoked))
        if self.concurrent.count:
            yield Measure("ConcurrentExecutions", "Count", self.concurrent.sample)


class Meter:
    """Measures functions."""

    def __init__(self, sink: Sink | None, clock: Clock, tasks: Tasks) -> None:
        self._sink = sink
        self._clock = clock
        self._tasks = tasks
        self._tallies: dict[Key, Tally] = {}
        self._since_ms = Millis(0)

    def ran(self, version: FunctionVersion, duration_ms: float, *, failed: bool, concurrent: int) -> None:
        """An invocation has ended; so many were under way when it began."""
        for tally in self._of(version):
            tally.invoked += 1
            tally.failed += failed
            tally.duration_ms.add(round(duration_ms))
            tally.concurrent.add(concurrent)

    def throttled(self, version: FunctionVersion) -> None:
        """One was refused."""
        for tally in self._of(version):
            tally.throttled += 1

    def collect(self) -> None:
        """Tell what happened since the last time."""
        tallies, self._tallies = self._tallies, {}
        for (account, region, name, resource), tally in tallies.items():
            dimensions = {"FunctionName": name} if resource is None else {"FunctionName": name, "Resource": resource}
            for measure in tally.measures():
                if self._sink is not None:
                    self._sink.take(account, region, dimensions, self._since_ms, measure)

    def _of(self, version: FunctionVersion) -> list[Tally]:
        if not self._tallies:
            self._since_ms = self._clock.now_ms()
            self._tasks.spawn(self._collect_later(), "metrics of functions")
        keys: list[Key] = [(version.account, version.region, version.name, None)]
        named = version.alias or (version.version if version.version != LATEST else None)
        if named is not None:
            keys.append((version.account, version.region, version.name, f"{version.name}:{named}"))
        return [self._tallies.setdefault(key, Tally()) for key in keys]

    async def _collect_later(self) -> None:
        try:
            await self._clock.sleep(METER_MS - self._clock.now_ms() % METER_MS)
        finally:
            self.collect()
