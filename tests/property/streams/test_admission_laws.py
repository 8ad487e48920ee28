"""Admission and policies: laws that hold for whatever is asked."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Millis, Region
from penstock.core.limits import CallRate
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.admission import Admission
from penstock.services.streams.policy import check_policy
from penstock.services.streams.quota import ShardRates

CALLER = Caller(AccountId("123456789012"), Region("eu-west-1"), "test", "kinesis:Test")


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> Millis:
        return Millis(self.ms)

    async def sleep(self, duration_ms: int) -> None:
        raise AssertionError


calls = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(["A", "B"]), st.sampled_from(["s", "t"]), st.sampled_from([1, 5])),
    max_size=80,
)


@given(calls, st.sampled_from(["account", "stream"]))
def test_admits_when_calls_are_any_then_no_window_sees_more_than_two_seconds_worth(calls: Any, scope: Any) -> None:
    clock = SetClock()
    door = Admission(clock, StreamMetrics())
    rates = {"A": CallRate(3, scope), "B": CallRate(10, scope)}
    passed: dict[tuple[str, str], list[int]] = {}
    for wait_ms, operation, stream, count in calls:
        clock.ms += wait_ms
        for _ in range(count):
            key = operation, stream if scope == "stream" else ""
            before = passed.setdefault(key, [])
            recent = [at for at in before if clock.ms - at < 1000]
            admitted = door.admits(CALLER, operation, rates[operation], stream)
            rate = rates[operation].per_second
            if admitted:
                before.append(clock.ms)
                assert len(recent) < 2 * rate, "a full bucket and what fills in a second"
            else:
                assert len(recent) >= rate, "a refusal has a second's worth of calls before it"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
elements = st.sampled_from(
    ["Version", "Id", "Statement", "Sid", "Effect", "Principal", "Action", "Resource", "Condition", "NotAction", "AWS"]
)
documents = st.recursive(
    json_values | st.sampled_from(["2012-10-17", "Allow", "*", "kinesis:*", "111122223333"]),
    lambda inner: st.dictionaries(elements, inner, max_size=6) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@given(documents.map(json.dumps) | st.text(max_size=60))
def test_check_policy_when_a_document_is_any_then_it_passes_or_is_refused_in_words(text: str) -> None:
    refusal = None
    try:
        check_policy(text)
    except ServiceError as error:
        refusal = error
    if refusal is None:
        assert {"Statement"} <= json.loads(text).keys()
    else:
        assert refusal.code == "InvalidArgumentException"
        assert refusal.message is not None
        assert len(refusal.message) < 200


rates = st.builds(ShardRates, *[st.none() | st.integers(1, 5)] * 5)


@given(rates, rates, rates)
def test_rates_when_laid_over_each_other_then_the_order_of_laying_does_not_matter(
    first: ShardRates, second: ShardRates, third: ShardRates
) -> None:
    assert first.over(second).over(third) == first.over(second.over(third))
    assert first.over(ShardRates()) == first == ShardRates().over(first)
