"""Autoscale: which policy a stream has, and a few decisions by example; the laws are in tests/property."""

import pytest
from streams_world import make_stream

from penstock.services.streams.autoscale import (
    QUIET_MS,
    BadTags,
    Policy,
    ShardLoad,
    decide,
    needed,
    policy_of,
)
from penstock.services.streams.topology import uniform

ON_DEMAND = Policy(4, 20_000, 0.5, 30)
QUARTER = 2**126


def tags(low: str | None = "2", high: str | None = "8", target: str | None = None) -> dict[str, str]:
    values = {"penstock:autoscale-min": low, "penstock:autoscale-max": high, "penstock:autoscale-target": target}
    return {key: value for key, value in values.items() if value is not None}


def shards(*loads: float, quiet_ms: int = 0) -> list[ShardLoad]:
    """Even shards with loads."""
    return [ShardLoad(held, load, quiet_ms) for held, load in zip(uniform(len(loads)), loads, strict=True)]


def test_policy_when_a_stream_is_on_demand_then_it_is_awss_whatever_the_tags_say() -> None:
    assert policy_of(make_stream(mode="ON_DEMAND", tags=tags("1", "2"))) == ON_DEMAND
    assert policy_of(make_stream(mode="ON_DEMAND", warm_throughput_mibps=100)) == ON_DEMAND._replace(floor=100)


@pytest.mark.parametrize("absent", [tags(None, None), tags("2", None), tags(None, "8"), tags(None, None, "50")])
def test_policy_when_a_provisioned_stream_lacks_a_bound_then_it_has_none(absent: dict[str, str]) -> None:
    assert policy_of(make_stream(tags=absent)) is None


def test_policy_when_both_bounds_are_tagged_then_it_is_theirs() -> None:
    assert policy_of(make_stream(tags=tags())) == Policy(2, 8, 0.7, 7)
    assert policy_of(make_stream(tags=tags(target="50"))) == Policy(2, 8, 0.5, 7)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (tags("0", "8"), "1 <= min"),
        (tags("9", "8"), "min <= max"),
        (tags("1", "20001"), "<= 20000"),
        (tags("x"), "not a whole number"),
        (tags("²"), "not a whole number"),
        (tags("-1"), "not a whole number"),
        (tags(target="9"), "from 10 to 90"),
        (tags(target="91"), "from 10 to 90"),
        (tags(target=""), "not a whole number"),
        (tags("9" * 5000), "not a whole number"),
    ],
)
def test_policy_when_tags_mean_none_then_it_is_told_why(given: dict[str, str], why: str) -> None:
    with pytest.raises(BadTags, match=why):
        policy_of(make_stream(tags=given))


@pytest.mark.parametrize(
    ("peak", "count"),
    [(0, 4), (2, 4), (2.01, 5), (3.5, 7), (4, 8), (4.1, 10), (8, 16), (8.1, 20), (20, 40), (40.1, 96)],
)
def test_needed_when_on_demand_then_it_is_double_the_peak_in_steps_of_about_a_quarter(peak: float, count: int) -> None:
    assert needed(peak, ON_DEMAND) == count


def test_decide_when_one_shard_is_hot_then_it_alone_is_cut_in_the_middle() -> None:
    assert decide(shards(0.1, 0.76, 0.1, 0.1), 1.0, ON_DEMAND) == [
        0,
        QUARTER,
        QUARTER * 3 // 2,
        QUARTER * 2,
        QUARTER * 3,
    ]
    assert decide(shards(0.1, 0.75, 0.1, 0.1), 1.0, ON_DEMAND) is None


def test_decide_when_double_the_peak_has_no_room_then_the_widest_are_cut() -> None:
    assert decide(shards(0.5, 0.5, 0.6, 0.5), 2.1, ON_DEMAND) == [
        0, QUARTER, QUARTER * 2, QUARTER * 5 // 2, QUARTER * 3,
    ]  # fmt: skip
    assert decide(shards(0, 0, 0, 0), 100.0, ON_DEMAND) == [2**125 * number for number in range(8)]


def test_decide_when_neighbours_were_quiet_for_72_hours_then_they_are_merged_down_to_what_is_needed() -> None:
    assert decide(shards(*[0.0] * 8, quiet_ms=QUIET_MS - 1), 0.0, ON_DEMAND) is None
    assert decide(shards(*[0.0] * 8, quiet_ms=QUIET_MS), 0.0, ON_DEMAND) == [QUARTER * number for number in range(4)]
    assert decide(shards(*[0.0] * 8, quiet_ms=QUIET_MS), 3.0, ON_DEMAND) == [
        0, QUARTER, QUARTER * 2, QUARTER * 5 // 2, QUARTER * 3, QUARTER * 7 // 2,
    ]  # fmt: skip


def test_decide_when_the_ceiling_was_lowered_then_the_coolest_are_merged_at_once_down_to_it() -> None:
    policy = Policy(1, 3, 0.7, 7)
    assert decide(shards(0.9, 0.8, 0.1, 0.2), 0.5, policy) == [0, QUARTER, QUARTER * 2]


def test_decide_when_the_ceiling_leaves_room_for_one_then_the_hottest_is_cut() -> None:
    policy = Policy(1, 4, 0.5, 30)
    third = 2**128 // 3
    starts = [0, third, 2 * third]
    for hottest in range(3):
        loads = [0.8, 0.8, 0.8]
        loads[hottest] = 0.9
        cut = decide(shards(*loads), 2.5, policy)
        assert cut is not None
        [new] = set(cut) - set(starts)
        assert starts[hottest] < new < starts[hottest] + third
