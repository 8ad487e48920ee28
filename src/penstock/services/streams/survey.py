"""The survey: what `GET /_penstock/traffic` tells of streams and their shards.

Rates are means over the last finished seconds; `heat` is the share of a shard's write capacity that they are, 1.0 being all of it.
Rule of this file: shards are told of one stream at a time, because there may be tens of thousands.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from penstock.core.errors import ServiceError
from penstock.core.ids import shard_id
from penstock.core.limits import MINUTE_MS
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.peaks import DayPeak
from penstock.services.streams.service import Streams
from penstock.services.streams.traffic import FIELDS, NOTHING, SPANS, Counts, lots, total

SHARDS_A_TURN: Final = 50  # that are told of between two turns of the loop


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Figures a second."""

    in_bytes_per_s: float
    in_records_per_s: float
    out_bytes_per_s: float
    out_records_per_s: float
    refused_writes_per_s: float
    refused_reads_per_s: float
    iterator_age_ms: int | None  # of the slowest reader lately; None if nobody read


class ShardSurvey(Rates, frozen=True, kw_only=True):
    """One shard."""

    shard_id: str
    open: bool
    hash_start: str
    hash_end: str
    parent: str | None
    adjacent_parent: str | None
    created_ms: int
    closed_ms: int | None
    records: int | None  # that can still be read; None where the engine does not know without counting
    bytes: int | None  # about what they take of the storage
    heat: float


class StreamSurvey(Rates, frozen=True, kw_only=True):
    """One stream."""

    name: str
    account: str
    region: str
    status: str
    mode: str
    open_shards: int
    consumers: int
    retention_hours: int
    peak_in_bytes_per_s_30d: float
    peak_in_records_per_s_30d: float
    peak_out_bytes_per_s_30d: float
    peak_out_records_per_s_30d: float


class MinuteSurvey(msgspec.Struct, frozen=True):
    """Mean rates of one minute of a stream."""

    begin_ms: int
    in_bytes_per_s: float
    in_records_per_s: float
    out_bytes_per_s: float
    out_records_per_s: float
    refused_writes_per_s: float
    refused_reads_per_s: float


class DaySurvey(msgspec.Struct, frozen=True):
    """The highest minute means of one day (UTC)."""

    day: int  # since the epoch
    in_bytes_per_s: int
    in_records_per_s: int
    out_bytes_per_s: int
    out_records_per_s: int


class StreamDetail(StreamSurvey, frozen=True, kw_only=True):
    """One stream with all that is known."""

    shards: list[ShardSurvey]
    minutes: list[MinuteSurvey]  # of the last hour, ascending, without those in which nothing happened
    days: list[DaySurvey]  # ascending


class Survey(msgspec.Struct, frozen=True):
    """The page."""

    now_ms: int
    window_s: int  # that the rates are means of
    streams: Sequence[StreamSurvey]


async def survey(streams: Streams, window_s: int, name: str | None) -> Survey:
    """Every stream, or those of one name (in every account and region) with their shards."""
    now_ms = streams.clock.now_ms()
    views = sorted(
        (view for view in streams.directory.all() if not view.stream.is_hidden and name in (None, view.stream.name)),
        key=lambda view: view.stream.key,
    )
    describe = _stream if name is None else _detail
    return Survey(now_ms, window_s, [await describe(streams, view, window_s, now_ms) for view in views])


async def _detail(streams: Streams, view: StreamView, window_s: int, now_ms: int) -> StreamDetail:
    shards = []
    for held in list(view.shards.values()):
        shards.append(await _shard(streams, view, held, window_s, now_ms))
        if len(shards) % SHARDS_A_TURN == 0:
            await streams.clock.sleep(0)  # requests are not to wait for all of them
    return StreamDetail(
        **msgspec.structs.asdict(await _stream(streams, view, window_s, now_ms)),
        shards=shards,
        minutes=await _minutes(streams, view, now_ms),
        days=[_day(peak) for peak in streams.peaks.days(view.stream.uid, now_ms)],
    )


async def _stream(streams: Streams, view: StreamView, window_s: int, now_ms: int) -> StreamSurvey:
    stream, ages, rates = view.stream, list[int](), list[Counts]()
    for lot in lots(streams.traffic.of(view)):
        ages += [age for counts in lot if (age := counts.age_ms(now_ms)) is not None]
        rates.append(total(counts.seconds(window_s, now_ms) for counts in lot))
        await streams.clock.sleep(0)
    peak = streams.peaks.peak(stream.uid, now_ms)
    return StreamSurvey(
        name=stream.name,
        account=stream.account,
        region=stream.region,
        status=stream.status,
        mode=stream.mode,
        open_shards=len(view.open_shards()),
        consumers=len(view.consumers),
        retention_hours=stream.retention_hours,
        peak_in_bytes_per_s_30d=peak.in_bytes,
        peak_in_records_per_s_30d=peak.in_records,
        peak_out_bytes_per_s_30d=peak.out_bytes,
        peak_out_records_per_s_30d=peak.out_records,
        iterator_age_ms=max(ages, default=None),
        **_rates(total(rates)),
    )


async def _shard(streams: Streams, view: StreamView, held: ShardView, window_s: int, now_ms: int) -> ShardSurvey:
    shard, counts = held.shard, streams.traffic.find(held)
    records, size_bytes = await _content(streams, view, held)
    rates = NOTHING if counts is None else counts.seconds(window_s, now_ms)
    return ShardSurvey(
        shard_id=shard_id(shard.no),
        open=shard.closed_ms is None,
        hash_start=shard.hash_start,
        hash_end=shard.hash_end,
        parent=None if shard.parent_no is None else shard_id(shard.parent_no),
        adjacent_parent=None if shard.adjacent_parent_no is None else shard_id(shard.adjacent_parent_no),
        created_ms=shard.created_ms,
        closed_ms=shard.closed_ms,
        records=records,
        bytes=size_bytes,
        heat=round(rates.write_load(streams.meter.capacity(view)), 4),
        iterator_age_ms=None if counts is None else counts.age_ms(now_ms),
        **_rates(rates),
    )


async def _content(streams: Streams, view: StreamView, held: ShardView) -> tuple[int | None, int | None]:
    """How many records lie between the trim horizon and the tip (known where no restart lies between them), and what they take."""
    reader = streams.reader
    try:
        horizon, tip = await reader.trim_horizon(view, held), await reader.tip(view, held)
        size_bytes = await reader.size_bytes(view, held)
    except ServiceError:  # gone meanwhile
        return None, None
    return tip.offset - horizon.offset if tip.incarnation == horizon.incarnation else None, size_bytes


async def _minutes(streams: Streams, view: StreamView, now_ms: int) -> list[MinuteSurvey]:
    end = now_ms // MINUTE_MS
    first, sums = end - SPANS, [0] * (SPANS * FIELDS)
    for lot in lots(streams.traffic.of(view)):
        for counts in lot:
            counts.add_minutes(sums, first, end, now_ms)
        await streams.clock.sleep(0)
    found = [(number, sums[(number - first) * FIELDS :][:FIELDS]) for number in range(first, end)]
    return [
        MinuteSurvey(number * MINUTE_MS, *_rounded(Counts(*counted).per_second(60)))
        for number, counted in found
        if any(counted)
    ]


def _day(peak: DayPeak) -> DaySurvey:
    return DaySurvey(peak.day, peak.in_bytes_per_s, peak.in_records_per_s, peak.out_bytes_per_s, peak.out_records_per_s)


def _rates(rates: Counts) -> dict[str, float]:
    return {f"{name}_per_s": rate for name, rate in zip(Counts._fields, _rounded(rates), strict=True)}


def _rounded(rates: Sequence[float]) -> list[float]:
    return [round(rate, 3) for rate in rates]
