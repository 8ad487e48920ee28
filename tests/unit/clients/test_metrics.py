"""Measurements: statistic sets, roll-up along dimensions, levels, and a bound on series."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.clients import metrics
from penstock.clients.metrics import Datum, Dimensions, Level, Meter, Metric, Statistics

PUT = Metric("UserRecordsPut", "Count", Level.SUMMARY)
ERRORS = Metric("ErrorsByCode", "Count", Level.SUMMARY, rooted=1)
DETAIL = Metric("RequestTime", "Milliseconds", Level.DETAILED)
STREAM = ("StreamName", "orders")


def taken(meter: Meter) -> dict[tuple[str, Dimensions], tuple[int, float, float, float]]:
    return {
        (metric.name, dimensions): (held.count, held.total, held.smallest, held.largest)
        for metric, dimensions, held in meter.take()
    }


def test_meter_when_it_rolls_up_counts_at_each_station() -> None:
    meter = Meter(Level.DETAILED, rolls_up=True)
    meter.put(PUT, 3, (STREAM, ("ShardId", "0")))
    meter.put(PUT, 5, (STREAM, ("ShardId", "1")), times=2)
    assert taken(meter) == {
        ("UserRecordsPut", ()): (3, 13, 3, 5),
        ("UserRecordsPut", (STREAM,)): (3, 13, 3, 5),
        ("UserRecordsPut", (STREAM, ("ShardId", "0"))): (1, 3, 3, 3),
        ("UserRecordsPut", (STREAM, ("ShardId", "1"))): (2, 10, 5, 5),
    }
    assert meter.take() == []


def test_meter_when_a_dimension_belongs_to_the_name_has_no_series_without_it() -> None:
    meter = Meter(Level.DETAILED, rolls_up=True)
    meter.put(ERRORS, 1, (("ErrorCode", "Expired"), STREAM))
    assert [dimensions for _, dimensions in taken(meter)] == [
        (("ErrorCode", "Expired"),),
        (("ErrorCode", "Expired"), STREAM),
    ]


def test_meter_when_it_does_not_roll_up_has_the_series_alone() -> None:
    meter = Meter(Level.DETAILED, rolls_up=False)
    meter.put(PUT, 1, (STREAM,))
    assert taken(meter) == {("UserRecordsPut", (STREAM,)): (1, 1, 1, 1)}


def test_meter_when_a_metric_is_above_its_level_leaves_it_out() -> None:
    for level, names in ((Level.NONE, []), (Level.SUMMARY, ["UserRecordsPut"])):
        meter = Meter(level, rolls_up=True)
        meter.put(PUT, 1)
        meter.put(DETAIL, 1)
        assert [name for name, _ in taken(meter)] == names


def test_meter_when_series_are_too_many_keeps_those_that_it_has() -> None:
    meter = Meter(Level.DETAILED, rolls_up=False)
    for number in range(metrics.SERIES_MAX + 10):
        meter.put(ERRORS, 1, (("ErrorCode", str(number)),))
    meter.put(ERRORS, 1, (("ErrorCode", "0"),))
    found = taken(meter)
    assert len(found) == metrics.SERIES_MAX
    assert found["ErrorsByCode", (("ErrorCode", "0"),)] == (2, 2, 1, 1)


@given(st.lists(st.integers(-5, 5), max_size=8), st.lists(st.integers(-5, 5), max_size=8))
def test_statistics_when_merged_are_those_of_all_numbers(one: list[int], other: list[int]) -> None:
    def of(numbers: list[int]) -> Statistics:
        made = Statistics()
        for number in numbers:
            made.add(number)
        return made

    merged = of(one)
    merged.merge(of(other))
    numbers = one + other
    assert merged == Statistics(len(numbers), sum(numbers), min(numbers, default=0), max(numbers, default=0))
    assert metrics.gathered([Datum(PUT, (), of(one)), Datum(PUT, (), of(other))]) == [Datum(PUT, (), merged)]
