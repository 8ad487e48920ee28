"""Faults: what is asked for is suffered, by whom it is meant for, until it is cleared."""

import pytest

from penstock.host.entropy import SeededEntropy
from penstock.services.streams.faults import FaultPlan


class Drawn:
    """Randomness that a test chooses."""

    def __init__(self, *fractions: float) -> None:
        self.fractions = list(fractions)

    def bytes(self, count: int) -> bytes:
        raise AssertionError("faults draw no bytes")

    def fraction(self) -> float:
        return self.fractions.pop(0)


def test_plan_when_nothing_is_set_then_it_is_quiet() -> None:
    plan = FaultPlan(Drawn())
    assert plan.quiet
    assert not plan.throttles("a", 0)
    assert not plan.fails("a")


def test_throttle_when_a_shard_is_named_then_only_that_one_is_refused() -> None:
    plan = FaultPlan(Drawn())
    plan.throttle("a", 0)
    assert not plan.quiet
    assert [plan.throttles(*shard) for shard in (("a", 0), ("a", 1), ("b", 0))] == [True, False, False]


def test_throttle_when_no_shard_is_named_then_all_of_the_stream_are_refused() -> None:
    plan = FaultPlan(Drawn())
    plan.throttle("a")
    assert [plan.throttles(*shard) for shard in (("a", 0), ("a", 7), ("b", 0))] == [True, True, False]


@pytest.mark.parametrize(
    ("share", "drawn", "fails"), [(0.5, 0.49, True), (0.5, 0.5, False), (1, 0.999999, True), (1, 0.0, True)]
)
def test_fail_puts_when_a_share_is_set_then_draws_below_it_fail(share: float, drawn: float, fails: bool) -> None:
    plan = FaultPlan(Drawn(drawn))
    plan.fail_puts("a", share)
    assert not plan.quiet
    assert not plan.fails("b")
    assert plan.fails("a") is fails


def test_fail_puts_when_the_share_is_0_then_nothing_is_drawn() -> None:
    plan = FaultPlan(Drawn())
    plan.fail_puts("a", 0.9)
    plan.fail_puts("a", 0)
    assert not plan.fails("a")


@pytest.mark.parametrize("share", [-0.01, 1.01])
def test_fail_puts_when_the_share_is_none_then_it_is_refused(share: float) -> None:
    with pytest.raises(AssertionError):
        FaultPlan(Drawn()).fail_puts("a", share)


def test_fail_puts_when_drawn_often_then_about_that_share_fails() -> None:
    plan = FaultPlan(SeededEntropy(7))
    plan.fail_puts("a", 0.3)
    assert 2700 < sum(plan.fails("a") for _ in range(10_000)) < 3300


def test_clear_when_faults_were_set_then_the_plan_is_quiet_again() -> None:
    plan = FaultPlan(Drawn())
    plan.throttle("a")
    plan.fail_puts("a", 1)
    plan.clear()
    assert plan.quiet
    assert not plan.throttles("a", 0)
    assert not plan.fails("a")
