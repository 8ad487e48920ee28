"""Autoscale: a simulated month of traffic, with days and nights, weekends, growth, noise, spikes and hot keys."""

import math

import pytest
from autoscale_model import Load, Model, flips

from penstock.core.limits import DAY_MS, HOUR_MS, MINUTE_MS
from penstock.host.entropy import SeededEntropy
from penstock.services.streams.autoscale import Policy, needed
from penstock.services.streams.topology import uniform

STEP_MS = 10 * MINUTE_MS


def hot_key(day: int) -> int:
    """The hash key that is hot on a day."""
    return int.from_bytes(SeededEntropy(day).bytes(16), "big")


def traffic(day_load: float, now_ms: int, noise: SeededEntropy, growth: float = 0.0) -> float:
    """Business traffic: a sine of the day, a third of it at weekends, growing, with 5% of noise."""
    day = now_ms / DAY_MS
    rhythm = 0.55 - 0.45 * math.cos(2 * math.pi * day)
    weekend = 0.35 if int(day) % 7 >= 5 else 1.0
    return day_load * rhythm * weekend * (1 + growth * day / 30) * (0.95 + 0.1 * noise.fraction())


@pytest.mark.parametrize("day_load", [0.5, 3.0, 20.0])
def test_month_when_traffic_has_the_rhythm_of_an_office_then_the_stream_grows_to_its_size_and_stays(
    day_load: float,
) -> None:
    model, noise = Model(), SeededEntropy(1)
    for _ in range(30 * DAY_MS // STEP_MS):
        model.step(Load(traffic(day_load, model.now_ms, noise)), STEP_MS)
        assert len(model.shards) >= 4
    assert len(model.shards) >= 2 * model.peak
    assert len(model.shards) <= max(4, 1.25 * needed(model.peak, model.policy))
    assert flips(model.reshards) == 0, "it never merged what it had cut"
    assert len(model.reshards) <= 16
    assert all(one.at_ms < 4 * DAY_MS for one in model.reshards[:-2]), "later only a new highest noise may add a shard"


def test_month_when_traffic_doubles_in_it_then_the_room_is_always_there_minutes_after_the_need() -> None:
    model, noise = Model(), SeededEntropy(2)
    short_ms = 0
    for _ in range(30 * DAY_MS // STEP_MS):
        model.step(Load(traffic(10, model.now_ms, noise, growth=1.0)), STEP_MS)
        short_ms += STEP_MS * (len(model.shards) < 2 * model.peak)
    assert short_ms == 0
    assert flips(model.reshards) == 0
    assert len(model.reshards) <= 20
    assert 2 * model.peak <= len(model.shards) <= 2 * model.peak * 1.25 + 1


def test_month_when_a_spike_came_once_then_its_room_is_kept_for_30_days_and_given_up_after() -> None:
    model, noise = Model(), SeededEntropy(3)
    peaks = []
    for _ in range(60 * DAY_MS // STEP_MS):
        spike = 3 * DAY_MS <= model.now_ms < 3 * DAY_MS + HOUR_MS
        model.step(Load(40.0 if spike else traffic(2, model.now_ms, noise)), STEP_MS)
        peaks.append((model.now_ms, len(model.shards)))
    assert {count for at_ms, count in peaks if 3 * DAY_MS + HOUR_MS <= at_ms < 33 * DAY_MS} == {80}
    assert peaks[-1][1] <= 8, "it is back to what the days need"
    assert flips(model.reshards) == 1
    assert len(model.reshards) <= 16


def test_month_when_hot_keys_come_and_go_then_they_cost_a_few_shards_which_go_later() -> None:
    model, noise = Model(), SeededEntropy(4)
    for _ in range(30 * DAY_MS // STEP_MS):
        day = model.now_ms // DAY_MS
        keys = ((hot_key(day), 1.2),) if day % 10 == 4 else ()
        model.step(Load(traffic(1.0, model.now_ms, noise), keys), STEP_MS)
    assert 4 <= len(model.shards) <= 12
    assert len(model.reshards) <= 30
    assert flips(model.reshards) <= 6, "three hot days: cut and merged once each"


def test_month_when_a_provisioned_stream_has_a_policy_then_it_stays_between_its_bounds() -> None:
    model, noise = Model(policy=Policy(2, 12, 0.7, 7), shards=uniform(12)), SeededEntropy(5)
    counts = set()
    for _ in range(60 * DAY_MS // STEP_MS):
        quiet = model.now_ms < 30 * DAY_MS
        model.step(Load(traffic(0.8 if quiet else 20, model.now_ms, noise)), STEP_MS)
        counts.add(len(model.shards))
    assert min(counts) == 2
    assert max(counts) == 12
    assert len(model.shards) == 12
    assert flips(model.reshards) == 1
