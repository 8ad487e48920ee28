"""Tallies of delivery streams, and the CloudWatch metrics of namespace AWS/Firehose that are made of them.

Theory.  Whatever is counted is named as the metric that it becomes.  Every MEASURE_MS the tallies are taken away and told to a sink, in the
minute in which they began, as those of streams are (services/streams/measures.py).
Rules of this file: what nobody did has no figures; a sink is told, never asked.
Source: developer guide, "Monitor Amazon Data Firehose using CloudWatch metrics".
"""

from collections.abc import Mapping
from typing import Final

from penstock.core.ids import AccountId, Region
from penstock.core.ports import Clock
from penstock.services.streams.measures import MEASURE_MS, Measure, Sink, Unit
from penstock.services.streams.tally import Figure

KEY_REFUSALS: Final[Mapping[str, str]] = {  # metrics by the code that a key of KMS is refused with
    "KMSAccessDeniedException": "KMSKeyAccessDenied",
    "KMSDisabledException": "KMSKeyDisabled",
    "KMSInvalidStateException": "KMSKeyInvalidState",
    "KMSNotFoundException": "KMSKeyNotFound",
}
Place = tuple[AccountId, Region, str]  # of a delivery stream: account, region, name
DIMENSION: Final = "DeliveryStreamName"


class Tally:
    """Figures of one delivery stream since somebody last looked, by metric."""

    def __init__(self) -> None:
        self.figures: dict[tuple[str, Unit], Figure] = {}

    def add(self, name: str, unit: Unit, value: float) -> None:
        """Add a value.  Cost: 0.5 us."""
        figure = self.figures.get((name, unit))
        if figure is None:
            figure = self.figures[name, unit] = Figure()
        figure.add(value)

    def count(self, name: str, value: int = 1) -> None:
        """Add to a count."""
        self.add(name, "Count", value)

    def refused(self, code: str) -> None:
        """Count a refusal of KMS; any other is not counted."""
        if code in KEY_REFUSALS:
            self.count(KEY_REFUSALS[code])


class Tallies:
    """The tallies of all delivery streams."""

    def __init__(self, sink: Sink | None, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._since_ms = clock.now_ms()
        self._held: dict[Place, Tally] = {}

    def of(self, place: Place) -> Tally:
        """The tally of one, as it is now: a later one is another."""
        held = self._held.get(place)
        if held is None:
            held = self._held[place] = Tally()
        return held

    async def run(self) -> None:
        """Measure for ever, and once more at the end."""
        try:
            while True:
                await self._clock.sleep(MEASURE_MS - self._clock.now_ms() % MEASURE_MS)
                self.collect()
        finally:
            self.collect()

    def collect(self) -> None:
        """Tell what happened since the last time."""
        at_ms, self._since_ms = self._since_ms, self._clock.now_ms()
        held, self._held = self._held, {}
        if self._sink is None:
            return
        for (account, region, name), tally in held.items():
            for (metric, unit), figure in tally.figures.items():
                self._sink.take(account, region, {DIMENSION: name}, at_ms, Measure(metric, unit, figure.sample))
