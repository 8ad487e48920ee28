"""Autoscale: what holds of every decision, and of every stream that obeys them."""

import itertools
import math

from autoscale_model import ON_DEMAND, Load, Model, flips
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.limits import HOUR_MS, MINUTE_MS
from penstock.services.streams import autoscale
from penstock.services.streams.autoscale import NARROW, QUIET_MS, Policy, ShardLoad, decide, needed
from penstock.services.streams.topology import HASH_KEY_MAX, HashRange, check_tiling, tiling

hash_keys = st.integers(0, HASH_KEY_MAX)
tilings = st.sets(hash_keys | st.integers(1, 20), max_size=40).map(lambda starts: tiling(sorted({0, *starts})))
loads = st.floats(0, 3)
hot_keys = st.lists(st.tuples(hash_keys, loads), max_size=4).map(tuple)
traffic = st.builds(Load, st.floats(0, 30), hot_keys)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    floor = draw(st.integers(1, 12))
    return Policy(floor, floor + draw(st.integers(0, 60)), draw(st.floats(0.1, 0.9)), draw(st.sampled_from((7, 30))))


@st.composite
def seen(draw: st.DrawFn) -> list[ShardLoad]:
    """Shards in any state."""
    quiet = st.sampled_from((0, QUIET_MS - 1, QUIET_MS, 2 * QUIET_MS))
    shards = [ShardLoad(held, draw(loads), draw(quiet)) for held in draw(tilings)]
    return draw(st.permutations(shards))


@given(seen(), st.floats(0, 60), policies())
def test_decide_when_shards_and_peak_are_any_then_it_only_cuts_or_only_merges_within_the_bounds(
    shards: list[ShardLoad], peak: float, policy: Policy
) -> None:
    starts = decide(shards, peak, policy)
    if starts is None:
        return
    before = sorted(shard.hash_range.start for shard in shards)
    assert starts != before
    assert starts == sorted(set(starts))
    assert check_tiling(tiling(starts))
    if len(starts) > len(before):
        assert set(before) < set(starts)
        assert len(starts) <= policy.ceiling
        parts = [sum(held.start <= start <= held.end for start in starts) for held, _, _ in shards]
        assert max(parts) == 2
    else:
        assert set(starts) < set(before)
        assert len(starts) >= min(needed(peak, policy), policy.ceiling)
        assert len(starts) >= policy.floor
        gone = [place for place, start in enumerate(before) if start not in starts]
        assert all(second - first > 1 for first, second in itertools.pairwise(gone)), (
            "no shard is merged with two others"
        )


@given(seen(), st.floats(0, 60), policies())
def test_decide_when_it_sees_at_once_that_nothing_is_asked_for_then_nothing_is(
    shards: list[ShardLoad], peak: float, policy: Policy
) -> None:
    aim, ordered = needed(peak, policy), sorted(shards)
    if autoscale._rests(shards, aim, policy):
        assert not autoscale._cuts(ordered, aim, policy)
        assert not autoscale._seams(ordered, aim, policy)


@given(seen(), st.floats(0, 60), policies())
def test_decide_when_a_shard_is_hot_and_not_narrow_then_it_is_cut_at_once_unless_the_ceiling_is_reached(
    shards: list[ShardLoad], peak: float, policy: Policy
) -> None:
    hot = [shard for shard in shards if shard.load > policy.hot and shard.width * NARROW * len(shards) > HASH_KEY_MAX]
    room = max(0, policy.ceiling - len(shards))
    starts = decide(shards, peak, policy) or [shard.hash_range.start for shard in shards]
    cut = [
        shard for shard in hot if sum(shard.hash_range.start <= start <= shard.hash_range.end for start in starts) == 2
    ]
    assert len(cut) == min(len(hot), room)
    if cut and len(cut) < len(hot):
        coolest = min(shard.load for shard in cut)
        assert all(shard.load <= coolest for shard in hot if shard not in cut), "the hottest come first"


@given(seen(), st.floats(0, 60), policies())
def test_decide_when_neighbours_are_merged_then_both_were_quiet_for_long_unless_the_ceiling_was_lowered(
    shards: list[ShardLoad], peak: float, policy: Policy
) -> None:
    starts = decide(shards, peak, policy)
    if starts is None or len(starts) >= len(shards) or len(shards) > policy.ceiling:
        return
    ordered = sorted(shards)
    for left, right in itertools.pairwise(ordered):
        if right.hash_range.start not in starts:
            assert min(left.quiet_ms, right.quiet_ms) >= QUIET_MS


@given(st.floats(0, 3000), st.floats(0, 3000), policies())
def test_needed_when_the_peak_grows_then_it_never_falls_and_has_room_within_the_bounds(
    first: float, second: float, policy: Policy
) -> None:
    low, high = sorted((first, second))
    assert policy.floor <= needed(low, policy) <= needed(high, policy) <= policy.ceiling
    unbounded = policy._replace(ceiling=10**6)
    assert needed(high, unbounded) * policy.target >= high * (1 - 1e-9)
    assert needed(high, unbounded) <= max(policy.floor, math.ceil(high / policy.target) * 1.25 + 1)


@settings(max_examples=50)
@given(tilings, st.floats(0, 60), traffic, policies())
def test_decide_when_the_load_is_steady_then_it_comes_to_rest_and_cuts_after_a_merge_only_at_the_ceiling(
    shards: list[HashRange], before: float, load: Load, policy: Policy
) -> None:
    """From any tiling and any peak that came before."""
    model = Model(policy=policy, shards=shards, days={0: before})
    for duration_ms, steps in ((MINUTE_MS, 40), (12 * HOUR_MS, 2 * 70)):
        for _ in range(steps):
            model.step(load, duration_ms)
    for _ in range(2 * 20):
        assert not model.step(load, 12 * HOUR_MS)
    assert policy.floor <= len(model.shards) <= policy.ceiling or len(model.shards) == len(shards) < policy.floor
    assert len(model.shards) >= needed(load.total, policy)
    assert flips(model.reshards) <= 1 or max(one.after for one in model.reshards) >= policy.ceiling, model.reshards


@given(traffic)
def test_decide_when_the_load_becomes_steady_on_demand_then_there_is_room_for_double_in_a_number_of_steps_of_its_logarithm(
    load: Load,
) -> None:
    model = Model()
    for _ in range(math.ceil(math.log2(max(4, 2 * load.total) * 1.25 / 4)) + 1):
        model.step(load)
    assert len(model.shards) >= 2 * load.total
    assert len(model.shards) >= 4


@settings(max_examples=50)
@given(traffic, traffic, policies())
def test_decide_when_day_and_night_alternate_then_resharding_ends(day: Load, night: Load, policy: Policy) -> None:
    model = Model(policy=policy)
    for load in (day, night):
        for _ in range(40):
            model.step(load)
    for _ in range(40 * 2):
        model.step(day, 6 * HOUR_MS)
        model.step(night, 6 * HOUR_MS)
    rested = list(model.reshards)
    for _ in range(40 * 2):
        model.step(day, 6 * HOUR_MS)
        model.step(night, 6 * HOUR_MS)
    assert model.reshards == rested


@given(st.floats(0.7501, 5), hash_keys)
def test_decide_when_one_key_alone_is_hot_then_it_is_chased_for_a_few_shards_and_no_further(
    load: float, key: int
) -> None:
    model = Model()
    for _ in range(100):
        model.step(Load(0, ((key, load),)))
    assert len(model.shards) <= max(ON_DEMAND.floor, needed(load, ON_DEMAND)) + 6
    assert not model.step(Load(0, ((key, load),)), HOUR_MS)
