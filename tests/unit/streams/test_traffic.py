"""Traffic: what is counted in which second and minute, and for how long it is remembered."""

from streams_world import START_MS, make_shards, make_stream

from penstock.core.ids import Millis
from penstock.core.limits import HOUR_MS, MIB, MINUTE_MS
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.quota import AWS_RATES, ShardRates
from penstock.services.streams.traffic import AGE_SPAN_MS, FIELDS, NOTHING, SPANS, Counts, ShardTraffic, Traffic

NOW = START_MS // MINUTE_MS * MINUTE_MS  # a minute begins


def a_shard(no: int = 0) -> ShardView:
    return ShardView(make_shards(make_stream(), 2)[no], 1)


def wrote(traffic: Traffic, held: ShardView, at_ms: int, records: int = 1, size_bytes: int = 10) -> ShardTraffic:
    """Count a batch; answer the shard's counts."""
    traffic.wrote(held, records, size_bytes, Millis(at_ms))
    counts = traffic.find(held)
    assert counts is not None
    return counts


def test_seconds_when_a_second_is_not_over_then_it_does_not_count_yet() -> None:
    counts = wrote(Traffic(), a_shard(), NOW + 500, records=6, size_bytes=60)
    assert counts.seconds(1, NOW + 999) == NOTHING
    assert counts.seconds(1, NOW + 1000) == Counts(in_bytes=60, in_records=6)
    assert counts.seconds(1, NOW + 2000) == NOTHING
    assert counts.seconds(10, NOW + 2000) == Counts(in_bytes=6, in_records=0.6)
    assert counts.seconds(60, NOW + 60_999) == Counts(in_bytes=1, in_records=0.1)
    assert counts.seconds(60, NOW + 61_000) == NOTHING


def test_seconds_when_all_kinds_are_counted_then_each_is_in_its_own_figure() -> None:
    traffic, held = Traffic(), a_shard()
    wrote(traffic, held, NOW, 2, 20)
    traffic.read(held, 3, 30, 0, Millis(NOW))
    traffic.refused_write(held, 4, Millis(NOW))
    traffic.refused_read(held, Millis(NOW))
    counts = wrote(traffic, held, NOW, 1, 7)
    assert counts.seconds(1, NOW + 1000) == Counts(27, 3, 30, 3, 4, 1)


def test_seconds_when_traffic_is_steady_then_every_window_shows_the_same_rate() -> None:
    traffic, held = Traffic(), a_shard()
    counts = wrote(traffic, held, NOW, records=0, size_bytes=0)
    for second in range(200):
        wrote(traffic, held, NOW + second * 1000 + 300, records=5, size_bytes=500)
    for window in (1, 10, 60):
        assert counts.seconds(window, NOW + 200_000) == Counts(in_bytes=500, in_records=5)


def test_minute_when_it_is_over_then_it_has_its_mean_for_an_hour_and_no_longer() -> None:
    traffic, held = Traffic(), a_shard()
    counts = wrote(traffic, held, NOW, records=0, size_bytes=0)
    for second in range(0, 180, 10):
        wrote(traffic, held, NOW + second * 1000, records=10 * (1 + second // 60), size_bytes=60)
    first = NOW // MINUTE_MS
    assert [counts.minute(first + number, NOW + 3 * MINUTE_MS).in_records for number in range(4)] == [1, 2, 3, 0]
    later = NOW + 2 * MINUTE_MS + HOUR_MS
    wrote(traffic, held, later, records=60)
    counts.at(later + 1000)
    assert [counts.minute(first + number, later + 1000).in_records for number in (0, 1, 2, 62)] == [0, 0, 3, 1]


def test_counts_when_the_clock_steps_back_then_they_begin_anew() -> None:
    traffic, held = Traffic(), a_shard()
    wrote(traffic, held, NOW + 30_000, records=100).at(NOW + 31_000)
    counts = wrote(traffic, held, NOW, records=7)
    assert counts.seconds(60, NOW + 1000).in_records * 60 == 7


def test_age_when_readers_differ_then_it_is_the_slowest_of_the_last_half_minute_or_so() -> None:
    traffic, held = Traffic(), a_shard()
    start = NOW // AGE_SPAN_MS * AGE_SPAN_MS
    traffic.read(held, 1, 1, 500, Millis(start))
    traffic.read(held, 1, 1, 0, Millis(start + 1))
    counts = traffic.find(held)
    assert counts is not None
    assert counts.age_ms(start + 1) == 500
    traffic.read(held, 1, 1, 20, Millis(start + AGE_SPAN_MS))
    assert counts.age_ms(start + AGE_SPAN_MS) == 500
    assert counts.age_ms(start + 2 * AGE_SPAN_MS) == 20
    assert counts.age_ms(start + 3 * AGE_SPAN_MS) is None


def test_idle_when_nothing_that_is_remembered_happened_then_and_only_then() -> None:
    traffic, held = Traffic(), a_shard()
    counts = wrote(traffic, held, NOW)
    assert not counts.idle(NOW)
    assert not counts.idle(NOW + 59 * MINUTE_MS)
    assert counts.idle(NOW + 62 * MINUTE_MS)
    traffic.read(held, 0, 0, 0, Millis(NOW + 62 * MINUTE_MS))
    assert not counts.idle(NOW + 62 * MINUTE_MS)


def test_traffic_when_shards_are_forgotten_then_nothing_of_them_is_kept() -> None:
    traffic, held, other = Traffic(), a_shard(0), a_shard(1)
    view = StreamView(make_stream(), 1)
    for shard in (held, other):
        view.set_shard(shard.shard.no, shard)
    assert traffic.of(view) == []
    first, second = wrote(traffic, held, NOW), wrote(traffic, other, NOW)
    assert traffic.of(view) == [first, second]
    assert traffic.by_stream() == {view.stream.uid: [first, second]}
    traffic.forget([first])
    assert traffic.of(view) == [second]
    assert traffic.find(held) is None


def test_write_load_when_bytes_or_records_are_nearer_to_their_limit_then_those_count() -> None:
    assert Counts(in_bytes=MIB / 2, in_records=100).write_load(AWS_RATES) == 0.5
    assert Counts(in_bytes=1, in_records=1500).write_load(AWS_RATES) == 1.5
    assert Counts(in_bytes=MIB, in_records=100).write_load(ShardRates(write_bytes=4 * MIB, write_records=100)) == 1.0


def test_tally_when_it_was_cut_then_what_comes_after_is_another_ones() -> None:
    traffic, held = Traffic(), a_shard()
    counts = wrote(traffic, held, NOW, records=2)
    assert traffic.take_tally(counts) is None, "its time is not over"
    traffic.cut()
    wrote(traffic, held, NOW, records=3)
    wrote(traffic, held, NOW, records=4)
    taken = traffic.take_tally(counts)
    assert taken is not None
    assert taken.manies.records == 2
    traffic.cut()
    traffic.cut()  # whoever takes tallies missed one
    taken = traffic.take_tally(counts)
    assert taken is not None
    assert taken.manies.records == 7
    assert traffic.take_tally(counts) is None


def test_tally_when_nobody_took_it_for_a_while_then_nothing_is_lost() -> None:
    traffic, held = Traffic(), a_shard()
    counts = wrote(traffic, held, NOW)
    for _ in range(2):
        traffic.cut()
        wrote(traffic, held, NOW)
    traffic.cut()
    taken = traffic.take_tally(counts)
    assert taken is not None
    assert (taken.manies.count, taken.manies.records) == (3, 3)


def test_minutes_when_there_was_nothing_for_a_while_then_older_ones_are_still_remembered_and_gaps_are_empty() -> None:
    minute = NOW // MINUTE_MS
    for gap in range(1, 70):
        traffic, held = Traffic(), a_shard()
        for number in range(SPANS):
            wrote(traffic, held, NOW + number * MINUTE_MS, records=60)
        last = minute + SPANS - 1
        counts = wrote(traffic, held, (last + gap) * MINUTE_MS, records=60)
        now = (last + gap + 1) * MINUTE_MS
        first, end = last + gap - SPANS + 1, last + gap + 1
        seen = [counts.minute(number, now) for number in range(first, end)]
        assert [each.in_records for each in seen] == [float(n <= last or n == last + gap) for n in range(first, end)]
        for begin in (first - 5, first, end - 7, end):
            sums = [0] * (FIELDS * (end - begin))
            counts.add_minutes(sums, begin, end, now)
            assert sums[1::FIELDS] == [60 * counts.minute(number, now).in_records for number in range(begin, end)]
