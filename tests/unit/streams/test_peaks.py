"""Peaks: what is remembered of 30 days, when it is written, and when it is forgotten."""

from collections.abc import Sequence

import pytest
from streams_world import START_MS, SlowMeta, World, active, begin, run, turns

from penstock.core.limits import DAY_MS, HOUR_MS, MINUTE_MS
from penstock.engines.api import Conflict, MetaStore, Write
from penstock.engines.memory import MemoryMeta
from penstock.services.streams.directory import Directory, StreamView
from penstock.services.streams.peaks import TRAFFIC_ROOT, DayPeak, Peaks, decode_traffic
from penstock.services.streams.traffic import Counts

DAY = START_MS // DAY_MS
NOON = DAY * DAY_MS + 12 * HOUR_MS


class CountingMeta(MemoryMeta):
    """A MetaStore that counts its commits."""

    commits = 0

    async def commit(self, writes: Sequence[Write]) -> None:
        self.commits += 1
        await super().commit(writes)


async def opened(meta: MetaStore) -> tuple[Peaks, StreamView, Directory]:
    """Peaks on a store with one stream."""
    world = World(meta=meta)
    streams = await world.start()
    view = await active(streams, shards=2)
    await world.stop()
    peaks = Peaks(meta)
    await peaks.open()
    return peaks, view, streams.directory


def test_peak_when_days_differ_then_each_figure_is_the_highest_of_the_window() -> None:
    async def scenario() -> None:
        peaks, view, _ = await opened(MemoryMeta())
        uid = view.stream.uid
        peaks.note(uid, Counts(100, 1, 5, 5), NOON)
        peaks.note(uid, Counts(50, 9), NOON + MINUTE_MS)
        peaks.note(uid, Counts(70, 2), NOON + 20 * DAY_MS)
        assert peaks.peak(uid, NOON) == Counts(100, 9, 5, 5)
        assert peaks.peak(uid, NOON + 30 * DAY_MS) == Counts(100, 9, 5, 5)
        assert peaks.peak(uid, NOON + 31 * DAY_MS) == Counts(70, 2)
        assert peaks.peak(uid, NOON + 26 * DAY_MS, 7) == Counts(70, 2)
        assert peaks.peak(uid, NOON + 60 * DAY_MS) == Counts()
        assert peaks.days(uid, NOON + 20 * DAY_MS) == [DayPeak(DAY, 100, 9, 5, 5), DayPeak(DAY + 20, 70, 2)]

    run(scenario())


def test_save_when_a_peak_grows_then_it_is_written_at_once_and_read_back_by_the_next_start() -> None:
    async def scenario() -> None:
        meta = MemoryMeta()
        peaks, view, directory = await opened(meta)
        uid = view.stream.uid
        peaks.note(uid, Counts(100, 1), NOON)
        peaks.note_busy(uid, 1, NOON)
        peaks.note_busy(uid, 77, NOON)
        await peaks.save(NOON, directory.find_uid)
        held = await meta.get(TRAFFIC_ROOT + uid)
        assert held is not None
        assert decode_traffic(held.value).busy_ms == {1: NOON}, "a shard that is not open is not worth keeping"
        again = Peaks(meta)
        await again.open()
        assert again.peak(uid, NOON) == Counts(100, 1)
        assert again.busy_ms(uid, 1) == NOON
        peaks.note(uid, Counts(200), NOON + 31 * DAY_MS)
        await peaks.save(NOON + 31 * DAY_MS, directory.find_uid)
        held = await meta.get(TRAFFIC_ROOT + uid)
        assert held is not None
        assert [peak.day for peak in decode_traffic(held.value).days] == [DAY + 31], "days leave the window"

    run(scenario())


def test_save_when_little_or_nothing_changed_then_it_writes_at_most_once_an_hour() -> None:
    async def scenario() -> None:
        meta = CountingMeta()
        peaks, view, directory = await opened(meta)
        uid = view.stream.uid
        peaks.note(uid, Counts(1000), NOON)
        await peaks.save(NOON, directory.find_uid)
        before = meta.commits
        for minute in range(1, 61):
            at_ms = NOON + minute * MINUTE_MS
            peaks.note(uid, Counts(1000 + minute // 6), at_ms)
            peaks.note_busy(uid, 0, at_ms)
            await peaks.save(at_ms, directory.find_uid)
        assert meta.commits == before
        await peaks.save(NOON + 61 * MINUTE_MS, directory.find_uid)
        assert meta.commits == before + 1
        for minute in range(62, 300):
            peaks.note(uid, Counts(900), NOON + minute * MINUTE_MS)
            await peaks.save(NOON + minute * MINUTE_MS, directory.find_uid)
        assert meta.commits == before + 1

    run(scenario())


def test_save_when_a_stream_is_gone_then_its_record_goes_too() -> None:
    async def scenario() -> None:
        meta = MemoryMeta()
        peaks, view, directory = await opened(meta)
        peaks.note(view.stream.uid, Counts(100), NOON)
        await peaks.save(NOON, directory.find_uid)
        await directory.remove(view)
        again = Peaks(meta)  # a server that was stopped before it could forget
        await again.open()
        for held in (peaks, again):
            await held.save(NOON, directory.find_uid)
        assert await meta.scan(TRAFFIC_ROOT) == []
        assert peaks.peak(view.stream.uid, NOON) == Counts()

    run(scenario())


def test_save_when_it_fails_then_it_is_tried_again_and_nothing_is_lost() -> None:
    class Refusing(MemoryMeta):
        refuses = False

        async def commit(self, writes: Sequence[Write]) -> None:
            if self.refuses:
                raise Conflict(writes[0].key)
            await super().commit(writes)

    async def scenario() -> None:
        meta = Refusing()
        peaks, view, directory = await opened(meta)
        peaks.note(view.stream.uid, Counts(100), NOON)
        meta.refuses = True
        with pytest.raises(Conflict):
            await peaks.save(NOON, directory.find_uid)
        meta.refuses = False
        await peaks.save(NOON, directory.find_uid)
        assert len(await meta.scan(TRAFFIC_ROOT)) == 1

    run(scenario())


def test_save_when_something_is_noted_while_it_is_under_way_then_the_next_writes_it() -> None:
    async def scenario() -> None:
        meta = SlowMeta()
        peaks, view, directory = await opened(meta)
        uid = view.stream.uid
        peaks.note(uid, Counts(100), NOON)
        saving = begin(peaks.save(NOON, directory.find_uid))
        await turns(5)
        peaks.note(uid, Counts(200), NOON)
        await saving
        await peaks.save(NOON, directory.find_uid)
        held = await meta.get(TRAFFIC_ROOT + uid)
        assert held is not None
        assert decode_traffic(held.value).days[0].in_bytes_per_s == 200

    run(scenario())
