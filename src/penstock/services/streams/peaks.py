"""Peaks: the busiest minute of each of the last 30 days of a stream, and since when its shards are quiet, kept in the MetaStore.

Theory.  The autoscaler tells the figures of each full minute.  They are kept in memory, and written when a day's peak has grown by a
twentieth, or an hour after anything changed: one commit a minute for all streams together, and none while nothing new happens.  A
crash loses up to an hour of quiet times and a twentieth of a peak.
Rules of this file: the key has another shape than those of streams, shards and consumers, so the directory passes it over; every field
of a record is part of the data directory's format: add with a default, never rename.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from penstock.core.ids import StreamUid
from penstock.core.limits import DAY_MS, HOUR_MS
from penstock.engines.api import Change, Conflict, MetaStore, MetaUnavailable, Write
from penstock.services.streams.directory import StreamView
from penstock.services.streams.state import ROOT
from penstock.services.streams.traffic import Counts

TRAFFIC_ROOT: Final = ROOT + "traffic/"  # and the uid of a stream
DAYS: Final = 30  # before today
_WORTH_WRITING: Final = 1.05  # how much a day's peak grows before it is written at once


class DayPeak(msgspec.Struct, frozen=True, array_like=True):
    """The highest minute means of a day, each figure by itself, a second."""

    day: int  # since the epoch, UTC
    in_bytes_per_s: int = 0
    in_records_per_s: int = 0
    out_bytes_per_s: int = 0
    out_records_per_s: int = 0


class TrafficRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a stream's traffic."""

    days: tuple[DayPeak, ...] = ()  # ascending, with gaps where nothing happened
    busy_ms: dict[int, int] = msgspec.field(default_factory=dict)  # by shard number: its last minute that was not quiet


_decoder = msgspec.msgpack.Decoder(TrafficRecord)


def decode_traffic(value: bytes) -> TrafficRecord:
    """Read a record back."""
    return _decoder.decode(value)


class _Held:
    """One stream's record, and what of it is not written yet."""

    __slots__ = ("busy_ms", "days", "grown", "since_ms", "version")

    def __init__(self) -> None:
        self.days: dict[int, DayPeak] = {}
        self.busy_ms: dict[int, int] = {}
        self.version = 0
        self.grown = False  # a peak was: write at once
        self.since_ms: int | None = None  # when the first change that is not written was made

    def note(self, day: int, rates: Counts) -> bool:
        """Raise a day's peak; whether it grew."""
        held = self.days.get(day, DayPeak(day))
        figures = (held.in_bytes_per_s, held.in_records_per_s, held.out_bytes_per_s, held.out_records_per_s)
        raised = tuple(max(old, math.ceil(new)) for old, new in zip(figures, rates, strict=False))
        if raised == figures:
            return False
        self.days[day] = DayPeak(day, *raised)
        self.grown |= any(new > old * _WORTH_WRITING for old, new in zip(figures, raised, strict=True))
        return True

    def encoded(self) -> bytes:
        days = tuple(self.days[day] for day in sorted(self.days))
        return msgspec.msgpack.encode(TrafficRecord(days=days, busy_ms=self.busy_ms))


class Peaks:
    """The traffic records of all streams."""

    def __init__(self, meta: MetaStore) -> None:
        self._meta = meta
        self._held: dict[StreamUid, _Held] = {}

    async def open(self) -> None:
        """Read what the store holds, and follow its versions from then on."""
        self._meta.watch(TRAFFIC_ROOT, self._follow)
        for key, value in await self._meta.scan(TRAFFIC_ROOT):
            held = self._of(StreamUid(key.removeprefix(TRAFFIC_ROOT)))
            record = decode_traffic(value.value)
            held.version = max(held.version, value.version)
            held.days = {peak.day: peak for peak in record.days}
            held.busy_ms = record.busy_ms

    def _follow(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            uid = StreamUid(key.removeprefix(TRAFFIC_ROOT))
            if now is not None:
                self._of(uid).version = now.version
            elif uid in self._held:
                self._held[uid].version = 0

    def _of(self, uid: StreamUid) -> _Held:
        return self._held.setdefault(uid, _Held())

    def note(self, uid: StreamUid, rates: Counts, at_ms: int) -> None:
        """Take in the figures of a full minute."""
        held = self._of(uid)
        if held.note(at_ms // DAY_MS, rates) and held.since_ms is None:
            held.since_ms = at_ms

    def note_busy(self, uid: StreamUid, shard_no: int, at_ms: int) -> None:
        """Remember that a shard was not quiet."""
        held = self._of(uid)
        held.busy_ms[shard_no] = at_ms
        if held.since_ms is None:
            held.since_ms = at_ms

    def busy_ms(self, uid: StreamUid, shard_no: int) -> int:
        """When a shard was last not quiet; 0 if that is not known."""
        held = self._held.get(uid)
        return 0 if held is None else held.busy_ms.get(shard_no, 0)

    def days(self, uid: StreamUid, now_ms: int, days: int = DAYS) -> list[DayPeak]:
        """The peaks of today and the days before it, ascending."""
        held = self._held.get(uid)
        if held is None:
            return []
        return [peak for day, peak in sorted(held.days.items()) if day >= now_ms // DAY_MS - days]

    def peak(self, uid: StreamUid, now_ms: int, days: int = DAYS) -> Counts:
        """The highest figures of today and the days before it."""
        found = self.days(uid, now_ms, days)
        return Counts(
            max((peak.in_bytes_per_s for peak in found), default=0),
            max((peak.in_records_per_s for peak in found), default=0),
            max((peak.out_bytes_per_s for peak in found), default=0),
            max((peak.out_records_per_s for peak in found), default=0),
        )

    async def save(self, now_ms: int, find: Callable[[StreamUid], StreamView | None]) -> None:
        """Write what is due, and forget streams that `find` does not know.  Raises Conflict, MetaUnavailable."""
        writes: list[Write] = []
        saved: list[tuple[_Held, tuple[bool, int | None]]] = []
        for uid, held in list(self._held.items()):
            view = find(uid)
            if view is None:
                del self._held[uid]
                if held.version:
                    writes.append(Write(TRAFFIC_ROOT + uid, None, held.version))
            elif held.grown or (held.since_ms is not None and now_ms - held.since_ms >= HOUR_MS):
                held.days = {peak.day: peak for peak in self.days(uid, now_ms)}
                held.busy_ms = {
                    one.shard.no: at for one in view.open_shards() if (at := held.busy_ms.get(one.shard.no))
                }
                writes.append(Write(TRAFFIC_ROOT + uid, held.encoded(), held.version))
                saved.append((held, (held.grown, held.since_ms)))
                held.grown, held.since_ms = False, None
        try:
            if writes:
                await self._meta.commit(writes)
        except (Conflict, MetaUnavailable):
            for held, (grown, since_ms) in saved:
                held.grown, held.since_ms = held.grown or grown, since_ms
            raise
