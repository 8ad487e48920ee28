"""Topology: laws of uniform cuts, tilings and the ring."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.services.streams.topology import (
    BOUNDARY_SLACK,
    HASH_KEY_MAX,
    HashRange,
    Ring,
    check_tiling,
    hash_key,
    next_round,
    uniform,
    uniform_target,
)

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


def walk(held: list[HashRange], target: list[int]) -> tuple[list[HashRange], int]:
    """Take every round there is; answer where that ends, and after how many rounds."""
    rounds = 0
    while steps := next_round(held, target):
        touched = [parent for step in steps for parent in step.parents]
        assert len(touched) == len(set(touched)), "no shard is in two steps of a round"
        for step in steps:
            assert {len(step.parents), len(step.children)} == {1, 2}, "a step is a split or a merge of neighbours"
            assert step.parents[0].start == step.children[0].start
            assert step.parents[-1].end == step.children[-1].end
        held = [*(set(held) - set(touched)), *(child for step in steps for child in step.children)]
        assert check_tiling(held)
        rounds += 1
        assert rounds < 100
    return sorted(held), rounds


@given(cuts, cuts)
def test_next_round_when_tilings_are_any_then_the_target_is_reached_in_few_rounds(
    now: set[int], then: set[int]
) -> None:
    held, rounds = walk(tiling(now), [0, *sorted(then)])
    assert held == tiling(then)
    assert rounds <= (len(then) + 1).bit_length() + (len(now | then) + 1).bit_length()


@given(cuts, cuts)
def test_next_round_when_a_range_is_in_both_tilings_then_it_is_left_alone(now: set[int], then: set[int]) -> None:
    kept = set(tiling(now)) & set(tiling(then))
    steps = next_round(tiling(now), [0, *sorted(then)])
    assert not kept & {parent for step in steps for parent in step.parents}


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_uniform_target_when_the_stream_is_even_then_the_target_is_even_and_cuts_no_slivers(
    now: int, then: int
) -> None:
    held = uniform(now)
    target = uniform_target(then, held)
    assert len(target) == then
    assert all(abs(start - even.start) <= BOUNDARY_SLACK for start, even in zip(target, uniform(then), strict=True))
    boundaries = sorted({*target, *(one.start for one in held)})
    assert all(after - before > BOUNDARY_SLACK for before, after in itertools.pairwise(boundaries))


@given(cuts, st.integers(1, 50))
def test_uniform_target_when_the_stream_has_slivers_then_the_target_tiles(now: set[int], then: int) -> None:
    target = uniform_target(then, tiling(now))
    assert target[0] == 0
    assert len(set(target)) == then
    assert target == sorted(target)


def test_uniform_target_when_a_count_is_doubled_then_every_shard_is_split_once() -> None:
    for count in (1, 2, 3, 5, 7, 10, 13, 100):
        held = uniform(count)
        [*rounds] = [next_round(held, uniform_target(2 * count, held))]
        assert [len(steps) for steps in rounds] == [count]
