"""Topology: laws of uniform cuts, tilings and the ring."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.services.streams.topology import HASH_KEY_MAX, HashRange, Ring, check_tiling, hash_key, uniform

hash_keys = st.integers(0, HASH_KEY_MAX) | st.sampled_from((0, 1, HASH_KEY_MAX - 1, HASH_KEY_MAX))
cuts = st.sets(st.integers(1, HASH_KEY_MAX) | st.integers(1, 20), max_size=30)


def tiling(starts: set[int]) -> list[HashRange]:
    """The ranges between cuts."""
    ordered = [0, *sorted(starts), HASH_KEY_MAX + 1]
    return [HashRange(start, after - 1) for start, after in itertools.pairwise(ordered)]


@settings(max_examples=60)
@given(st.integers(1, 10_000) | st.sampled_from((1, 2, 9_999, 10_000)))
def test_uniform_when_the_count_is_any_then_ranges_tile_and_begin_at_multiples_of_the_width(count: int) -> None:
    ranges = uniform(count)
    assert len(ranges) == count
    assert check_tiling(ranges)
    assert [held.start for held in ranges] == [number * (2**128 // count) for number in range(count)]


def test_uniform_when_every_count_up_to_500_is_tried_then_ranges_tile() -> None:
    assert all(check_tiling(uniform(count)) for count in range(1, 501))


@given(cuts, st.randoms(use_true_random=False))
def test_check_tiling_when_ranges_are_shuffled_then_it_is_true(starts: set[int], shuffling: object) -> None:
    ranges = tiling(starts)
    shuffling.shuffle(ranges)  # type: ignore[attr-defined]
    assert check_tiling(ranges)


@given(cuts, st.data())
def test_check_tiling_when_one_edge_is_moved_then_it_is_false(starts: set[int], data: st.DataObject) -> None:
    ranges = tiling(starts)
    place = data.draw(st.integers(0, len(ranges) - 1))
    by = data.draw(st.sampled_from((-1, 1)))
    held = ranges[place]
    ranges[place] = data.draw(
        st.sampled_from((HashRange(held.start + by, held.end), HashRange(held.start, held.end + by)))
    )
    assert not check_tiling(ranges)


@given(cuts, st.data())
def test_check_tiling_when_a_range_is_missing_or_repeated_then_it_is_false(
    starts: set[int], data: st.DataObject
) -> None:
    ranges = tiling(starts)
    place = data.draw(st.integers(0, len(ranges) - 1))
    assert not check_tiling([*ranges, ranges[place]])
    assert not check_tiling(ranges[:place] + ranges[place + 1 :])


@given(cuts, st.lists(hash_keys, max_size=20))
def test_ring_when_asked_then_it_finds_what_a_linear_scan_finds(starts: set[int], keys: list[int]) -> None:
    ranges = tiling(starts)
    ring = Ring([(held, held) for held in reversed(ranges)])
    edges = [edge for held in ranges for edge in held]
    for key in [*keys, *edges]:
        [owner] = [held for held in ranges if held.start <= key <= held.end]
        assert ring.find(key) == owner


@given(st.text(min_size=1, max_size=256))
def test_hash_key_when_the_key_is_any_then_it_is_in_the_hash_space(text: str) -> None:
    assert 0 <= hash_key(text.encode()) <= HASH_KEY_MAX
