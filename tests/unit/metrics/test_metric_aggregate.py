"""What is kept of values: figures and percentiles."""

import pytest

from penstock.services.metrics.aggregate import BUCKETS_MAX, Aggregate


def of(*values: float) -> Aggregate:
    whole = Aggregate()
    for value in values:
        whole.add(value)
    return whole


def test_aggregate_when_values_are_added_then_it_counts_and_bounds_them() -> None:
    whole = of(3, 1, 2)
    whole.add(10, 4)
    assert (whole.count, whole.total, whole.low, whole.high) == (7, 46, 1, 10)


@pytest.mark.parametrize(("share", "value"), [(0.0, 0), (0.25, 0), (0.5, 5), (0.75, 10), (1.0, 1000)])
def test_percentile_when_asked_is_the_nearest_rank(share: float, value: float) -> None:
    assert of(0, 5, 10, 1000).percentile(share) == pytest.approx(value, rel=0.011)


def test_percentile_when_a_value_is_negative_is_not_known() -> None:
    assert of(1, -1, 2).percentile(0.5) is None


def test_percentile_when_there_is_no_value_is_not_known() -> None:
    assert Aggregate().percentile(0.5) is None


def test_statistic_set_when_its_bounds_differ_then_percentiles_are_not_known_any_more() -> None:
    whole = of(1)
    whole.add_set(10, 55, 1, 10)
    assert (whole.count, whole.total, whole.low, whole.high) == (11, 56, 1, 10)
    assert whole.percentile(0.5) is None


def test_statistic_set_when_its_bounds_are_one_then_it_is_that_value_many_times() -> None:
    whole = of(100)
    whole.add_set(3, 15, 5, 5)
    assert (whole.count, whole.total) == (4, 115)
    assert whole.percentile(0.5) == pytest.approx(5, rel=0.011)


def test_buckets_when_values_lie_far_apart_then_they_are_bounded_and_percentiles_stay_near() -> None:
    whole = of(*(1.1**power for power in range(400)))
    assert whole.buckets is not None
    assert len(whole.buckets) <= BUCKETS_MAX
    assert whole.percentile(0.5) == pytest.approx(1.1**199, rel=0.2)
