"""Leases change so that every swap sees it."""

from collections.abc import Callable

import pytest

from penstock.consumer.lease import Lease, same_state, still_held
from penstock.consumer.position import FROM_OLDEST, Checkpoint

MINE = Lease(key="a", checkpoint=FROM_OLDEST, owner="me", counter=7)
ASKED = MINE.asked_for("other")


@pytest.mark.parametrize(
    "change",
    [
        Lease.renewed,
        Lease.let_go,
        lambda lease: lease.taken("me"),
        lambda lease: lease.begun(5),
        lambda lease: lease.asked_for("other"),
        lambda lease: lease.declined("me"),
        lambda lease: lease.at(Checkpoint("5")),
        lambda lease: lease.over(("b", "c")),
    ],
)
def test_lease_when_it_changes_then_a_swap_from_before_is_refused(change: Callable[[Lease], Lease]) -> None:
    assert not same_state(MINE, change(MINE))
    assert not same_state(ASKED, change(ASKED)) or change(ASKED) == ASKED


def test_lease_when_a_checkpoint_is_no_farther_then_it_stays_as_it_is() -> None:
    ahead = MINE.at(Checkpoint("5", 2))
    assert ahead.at(Checkpoint("5", 1)) is ahead
    assert ahead.at(FROM_OLDEST) is ahead


def test_still_held_when_a_renewal_was_not_answered_then_it_is() -> None:
    assert still_held(MINE, MINE, "me")
    assert still_held(MINE, MINE.renewed(), "me")
    assert still_held(MINE, ASKED, "me")


def test_still_held_when_somebody_had_it_in_between_then_it_is_not() -> None:
    assert not still_held(MINE, MINE.taken("other").taken("me"), "me")
    assert not still_held(MINE, MINE.taken("other"), "me")
    assert not still_held(MINE, None, "me")
    assert not still_held(MINE, MINE.over(()), "me")


def test_handed_over_when_its_holder_lets_go_then_it_is_the_others() -> None:
    given = ASKED.let_go()
    assert (given.owner, given.checkpoint_owner, given.holder) == ("other", None, "other")
    assert MINE.let_go().holder is None
