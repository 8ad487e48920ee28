"""The store of metrics: minutes in memory until they are written, hours in the MetaStore until they expire.

Theory.  What is put is merged into the minute that it belongs to, in memory.  Every FLUSH_MS all such minutes are written, each series'
hour being one value of the MetaStore: read, merged, and written back, many in one commit.  A reader sees what is stored and what is not
yet as one.  A crash loses what was put since the last flush, FLUSH_MS at most; an orderly stop loses nothing.
Rules of this file:
  1. One lock: whoever moves minutes from memory to the store, and whoever reads both, does it alone, so that nothing counts twice.
  2. Bounded: `series_max` series, of which those without data for three hours make room for new ones; METRIC_PENDING_MAX values in memory.
  3. What cannot be written is kept and tried again; puts are refused where memory is full of it.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from penstock.core.limits import (
    HOUR_MS,
    METRIC_ACTIVE_MS,
    METRIC_PENDING_MAX,
    METRIC_RETENTION_MS,
    MINUTE_MS,
    SECOND_MS,
)
from penstock.core.metric_errors import MetricError
from penstock.core.ports import Clock
from penstock.engines.api import Conflict, MetaStore, MetaUnavailable, Versioned, Write
from penstock.services.metrics.aggregate import Aggregate, merged
from penstock.services.metrics.series import (
    HORIZON,
    ROOT,
    SERIES,
    Chunk,
    Metric,
    Place,
    SeriesRecord,
    decode_chunk,
    decode_series,
    encode,
    hour_key,
    series_id,
)

logger = logging.getLogger(__name__)

FLUSH_MS: Final = 30 * SECOND_MS
BATCH: Final = 500  # series that are written in one commit
SCAN_SHARE: Final = (
    8  # where more than one in so many series has new data, an hour is read whole rather than one by one
)
TRIES: Final = 3
MINUTES: Final = HOUR_MS // MINUTE_MS


class Series:
    """One series."""

    __slots__ = ("count", "high", "hour", "id", "metric", "minute", "place", "stored_hour", "total", "unit")

    def __init__(self, place: Place, metric: Metric, unit: str, hour: int) -> None:
        self.place = place
        self.metric = metric
        self.unit = unit
        self.id = series_id(place, metric, unit)
        self.hour = hour  # of its newest data, since the epoch
        self.stored_hour = -1  # as its record has it
        self.count = self.total = 0.0  # of the values that this process took
        self.minute = -1  # the newest of them
        self.high = 0.0  # the highest value in it

    @property
    def record(self) -> SeriesRecord:
        """What is stored of it."""
        metric = self.metric
        return SeriesRecord(*self.place, metric.namespace, metric.name, metric.dimensions, self.unit, self.hour)


class MetricStore:
    """The metrics of every account."""

    def __init__(self, meta: MetaStore, clock: Clock, series_max: int) -> None:
        self._meta = meta
        self._clock = clock
        self._series_max = series_max
        self._places: dict[Place, dict[Metric, dict[str, Series]]] = {}  # series by unit
        self._count = 0
        self._full_until_ms = 0  # no series that could make room was found before
        self._pending: dict[int, dict[Series, Chunk]] = {}  # what is not written yet, by hour
        self._taken = 0  # values in it
        self._gone: dict[str, Series] = {}  # forgotten, but for their records
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Read which series there are."""
        for _, held in await self._meta.scan(SERIES):
            record = decode_series(held.value)
            series = Series(record.place, record.metric, record.unit, record.hour)
            series.stored_hour = record.hour
            self._add(series)

    # Taking data in

    def series(self, place: Place, metric: Metric, unit: str) -> Series:
        """The series of a metric's data in a unit, made if it is not there.  Raises SERIES_FULL."""
        units = self._places.get(place, {}).get(metric)
        found = units.get(unit) if units is not None else None
        if found is None:
            if self._count >= self._series_max:
                self._make_room()
            found = Series(place, metric, unit, self._clock.now_ms() // HOUR_MS)
            self._add(found)
        return found

    def record(self, series: Series, at_ms: int, data: Aggregate) -> None:
        """Merge data into the minute of `at_ms`.  Cost: 1 us."""
        minute = at_ms // MINUTE_MS
        hour = minute // MINUTES
        chunk = self._pending.setdefault(hour, {}).setdefault(series, {})
        held = chunk.get(minute % MINUTES)
        if held is None:
            held = chunk[minute % MINUTES] = Aggregate()
        held.merge(data)
        series.hour = max(series.hour, hour)
        series.count += data.count
        series.total += data.total
        if minute >= series.minute:
            series.minute, series.high = minute, held.high

    async def admit(self, values: int) -> None:
        """Count values that will be put; write first where too many wait.  Raises MetaUnavailable if that fails."""
        if self._taken + values > METRIC_PENDING_MAX and self._taken:
            await self.flush()
        self._taken += values

    def _add(self, series: Series) -> None:
        self._places.setdefault(series.place, {}).setdefault(series.metric, {})[series.unit] = series
        self._gone.pop(series.id, None)
        self._count += 1

    def _make_room(self) -> None:
        """Forget series without data for a while, the longest first, so that a tenth is free.  Raises SERIES_FULL."""
        now_ms = self._clock.now_ms()
        if now_ms >= self._full_until_ms:
            idle_hour = (now_ms - METRIC_ACTIVE_MS) // HOUR_MS
            idle = sorted((one for one in self.all() if one.hour < idle_hour), key=lambda one: one.hour)
            for series in idle[: self._series_max // 10 or 1]:
                self._drop(series)
            self._full_until_ms = now_ms + MINUTE_MS if not idle else 0
        if self._count >= self._series_max:
            raise MetricError.SERIES_FULL(limit=self._series_max)

    def _drop(self, series: Series) -> None:
        """Forget a series.  Its record goes at the next flush, its data when that expires: until then it may come again."""
        self._gone[series.id] = series
        metrics = self._places[series.place]
        units = metrics[series.metric]
        del units[series.unit]
        if not units:
            del metrics[series.metric]
        if not metrics:
            del self._places[series.place]
        self._count -= 1

    # Looking things up

    def all(self) -> Iterator[Series]:
        """Every series."""
        for metrics in self._places.values():
            for units in metrics.values():
                yield from units.values()

    def metrics(self, place: Place) -> dict[Metric, dict[str, Series]]:
        """The metrics of a place, and their series by unit."""
        return self._places.get(place, {})

    async def read(self, series: Sequence[Series], start: int, end: int) -> dict[int, Aggregate]:
        """The data of series, as one, in the minutes since the epoch from `start` up to `end`."""
        start = max(start, self._horizon_hour() * MINUTES)
        found: dict[int, list[Aggregate]] = {}
        async with self._lock:
            for each in series:
                for hour in range(start // MINUTES, min((end - 1) // MINUTES, each.hour) + 1):
                    for chunk in (await self._stored(each, hour), self._pending.get(hour, {}).get(each, {})):
                        for place, data in chunk.items():
                            found.setdefault(hour * MINUTES + place, []).append(data)
        return {minute: merged(found[minute]) for minute in sorted(found) if start <= minute < end}

    async def _stored(self, series: Series, hour: int) -> Chunk:
        held = await self._meta.get(hour_key(hour, series.id))
        return {} if held is None else decode_chunk(held.value)

    def _horizon_hour(self) -> int:
        return (self._clock.now_ms() - METRIC_RETENTION_MS) // HOUR_MS

    # In the background

    async def run(self) -> None:
        """Write, and delete what has expired, for ever."""
        swept_ms = 0
        while True:
            try:
                await self.flush()
                if abs(self._clock.now_ms() - swept_ms) >= HOUR_MS:
                    swept_ms = self._clock.now_ms()
                    await self.sweep()
            except (MetaUnavailable, Conflict) as error:
                logger.warning("metrics are not stored for now: %s", error)
            await self._clock.sleep(FLUSH_MS)

    async def flush(self) -> None:
        """Write what is in memory.  Raises MetaUnavailable and Conflict; what was not written is kept."""
        async with self._lock:
            taken = self._taken
            for hour in sorted(self._pending):
                series = list(self._pending[hour])
                whole = len(series) * SCAN_SHARE > self._count
                stored = dict(await self._meta.scan(hour_key(hour))) if whole else None
                for at in range(0, len(series), BATCH):
                    await self._write(hour, series[at : at + BATCH], stored)
                if not self._pending[hour]:
                    del self._pending[hour]
            self._taken -= taken
            await self._bury()

    async def _write(self, hour: int, batch: Sequence[Series], stored: Mapping[str, Versioned] | None) -> None:
        """Write the new data of some series in one hour; `stored` is what the hour held, if it was read."""
        taken = {series: self._pending[hour].pop(series) for series in batch}
        writes: list[Write] = []
        try:
            for attempt in range(TRIES):
                writes = await self._writes(hour, taken, stored if not attempt else None)
                try:
                    await self._meta.commit(writes)
                    break
                except Conflict:  # another process writes the same metrics
                    if attempt == TRIES - 1:
                        raise
        except BaseException:
            if not await self._was_written(writes):
                for series, chunk in taken.items():
                    _merge(self._pending[hour].setdefault(series, {}), chunk)
            raise
        for series in taken:
            series.stored_hour = series.hour

    async def _writes(
        self, hour: int, taken: Mapping[Series, Chunk], stored: Mapping[str, Versioned] | None
    ) -> list[Write]:
        writes: list[Write] = []
        for series, chunk in taken.items():
            key = hour_key(hour, series.id)
            held = stored.get(key) if stored is not None else await self._meta.get(key)
            whole = {} if held is None else decode_chunk(held.value)
            _merge(whole, chunk)
            writes.append(Write(key, encode(whole), 0 if held is None else held.version))
            if series.hour != series.stored_hour:
                writes.append(Write(SERIES + series.id, encode(series.record), await self._version(series)))
        return writes

    async def _was_written(self, writes: Sequence[Write]) -> bool:
        """Whether a commit that was cancelled has been applied all the same."""
        try:
            held = await self._meta.get(writes[0].key) if writes else None
        except MetaUnavailable:
            return False
        return held is not None and held.version > writes[0].expected and held.value == writes[0].value

    async def _version(self, series: Series) -> int:
        held = await self._meta.get(SERIES + series.id)
        return 0 if held is None else held.version

    async def _bury(self) -> None:
        """Delete the records of series that were forgotten."""
        gone = list(self._gone.values())
        for at in range(0, len(gone), BATCH):
            batch = [(series, await self._version(series)) for series in gone[at : at + BATCH]]
            known = [(series, version) for series, version in batch if series.id in self._gone]
            writes = [Write(SERIES + each.id, None, version) for each, version in known if version]
            if writes:
                await self._meta.commit(writes)
            for series, _ in known:
                self._gone.pop(series.id, None)

    async def sweep(self) -> None:
        """Delete the hours that have expired, and the series that have no other."""
        horizon = self._horizon_hour()
        held = await self._meta.get(HORIZON)
        first = horizon if held is None else int(msgspec.msgpack.decode(held.value, type=int))
        newest = max((series.hour for series in self.all()), default=first)
        for hour in range(first, min(horizon, newest + 1)):
            await self._delete(hour_key(hour))
        for series in [series for series in self.all() if series.hour < horizon]:
            self._drop(series)
        if horizon > first or held is None:
            await self._meta.commit([Write(HORIZON, encode(horizon), 0 if held is None else held.version)])

    async def _delete(self, prefix: str) -> None:
        rows = await self._meta.scan(prefix)
        for at in range(0, len(rows), BATCH):
            await self._meta.commit([Write(key, None, held.version) for key, held in rows[at : at + BATCH]])

    async def clear(self) -> None:
        """Forget everything.  Background work must have been stopped."""
        await self._delete(ROOT)
        self._places.clear()
        self._pending.clear()
        self._gone.clear()
        self._count = self._taken = 0


def _merge(whole: Chunk, chunk: Chunk) -> None:
    for minute, data in chunk.items():
        held = whole.get(minute)
        if held is None:
            held = whole[minute] = Aggregate()
        held.merge(data)
