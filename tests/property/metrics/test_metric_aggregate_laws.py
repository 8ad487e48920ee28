"""Laws of aggregates: however data is split, and in whatever order it comes, what is kept of it is the same."""

from fractions import Fraction
from itertools import pairwise
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from penstock.services.metrics.aggregate import BUCKETS_MAX, RATIO, Aggregate, merged
from penstock.services.metrics.series import decode_chunk, encode

# Powers of two times small integers: their sums are exact, so that even sums can be told equal.
VALUES = st.builds(lambda whole, power: whole * 2.0**power, st.integers(0, 1000), st.integers(-20, 20))
COUNTS = st.integers(1, 50).map(float)
DATA = st.lists(st.tuples(VALUES, COUNTS), max_size=400)
WIDE = st.lists(st.integers(-300, 300).map(lambda power: 2.0**power), min_size=1, max_size=400)


def kept(data: list[tuple[float, float]]) -> Aggregate:
    whole = Aggregate()
    for value, count in data:
        whole.add(value, count)
    return whole


@given(
    DATA.flatmap(lambda data: st.tuples(st.just(data), st.permutations(data))),
    st.lists(st.integers(0, 400), max_size=5),
)
def test_aggregate_when_data_is_split_and_shuffled_then_it_is_the_same(
    data: tuple[list[tuple[float, float]], list[tuple[float, float]]], cuts: list[int]
) -> None:
    whole, shuffled = data
    ends = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    parts = [kept(shuffled[start:end]) for start, end in pairwise(ends)]
    assert merged(reversed(parts)) == kept(whole)


@given(WIDE, WIDE)
def test_aggregate_when_values_lie_far_apart_then_merging_is_commutative_and_bounded(
    left: list[float], right: list[float]
) -> None:
    one, other = kept([(value, 1.0) for value in left]), kept([(value, 1.0) for value in right])
    there, back = merged([one, other]), merged([other, one])
    assert (there.buckets, there.halvings) == (back.buckets, back.halvings)
    assert there == kept([(value, 1.0) for value in [*left, *right]]) or abs(there.total) > 2.0**53
    assert there.buckets is not None
    assert len(there.buckets) <= BUCKETS_MAX


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=60), st.integers(1, 100))
def test_percentile_when_few_values_are_kept_then_it_is_within_a_bucket_of_the_nearest_rank(
    values: list[float], percent: int
) -> None:
    whole = kept([(value, 1.0) for value in values])
    exact = sorted(values)[ceil(Fraction(percent, 100) * len(values)) - 1]
    told = whole.percentile(percent / 100)
    assert told is not None
    assert whole.low <= told <= whole.high
    if not whole.halvings:
        assert exact / RATIO <= told <= exact * RATIO


@given(st.dictionaries(st.integers(0, 59), DATA.map(kept), max_size=5))
def test_chunk_when_it_is_encoded_then_it_is_read_back(chunk: dict[int, Aggregate]) -> None:
    assert decode_chunk(encode(chunk)) == chunk
