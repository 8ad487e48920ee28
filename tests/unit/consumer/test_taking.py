"""What a worker takes and asks for."""

from msgspec.structs import replace

from penstock.consumer.lease import Lease
from penstock.consumer.position import ENDED, FROM_OLDEST
from penstock.consumer.taking import Rhythm, Sighting, Standing, Take, decide, look

RHYTHM = Rhythm(failover_ms=1_000)
NOW_MS = 50_000


def seen(since_ms: int = NOW_MS, **owners: str | None) -> dict[str, Sighting]:
    """Leases by key and owner, whose counters stand since then."""
    return {
        key: Sighting(Lease(key=key, checkpoint=FROM_OLDEST, owner=owner, counter=5), since_ms)
        for key, owner in owners.items()
    }


def moves(sightings: dict[str, Sighting], *held: str, rhythm: Rhythm = RHYTHM, led: bool = False) -> list[str]:
    standing = Standing("me", frozenset(held), led)
    found = decide(sightings, standing, NOW_MS, rhythm, lambda: 0.5)
    return [f"{'take' if isinstance(move, Take) else 'ask'} {move.lease.key}" for move in found]


def test_decide_when_everything_is_free_and_nobody_else_is_there_then_all_is_taken() -> None:
    assert moves(seen(a=None, b=None, c=None)) == ["take a", "take b", "take c"]


def test_decide_when_others_work_then_no_more_than_a_fair_share_is_taken() -> None:
    assert len(moves(seen(a=None, b=None, c=None, d="other"))) == 2


def test_decide_when_a_lease_is_free_for_long_then_the_share_does_not_count() -> None:
    sightings = seen(b="me", c="me", d="other") | seen(NOW_MS - 200, a=None)
    assert moves(sightings, "b", "c") == ["take a"]


def test_decide_when_a_counter_stands_still_then_the_lease_is_taken_when_time_is_over() -> None:
    assert moves(seen(NOW_MS - 999, a="other") | seen(b="me"), "b") == []
    assert moves(seen(NOW_MS - 1_000, a="other") | seen(b="me"), "b") == ["take a"]


def test_decide_when_a_hand_over_gives_no_sign_then_it_is_waited_for_where_kcl_works() -> None:
    asked = replace(seen(a="other")["a"].lease, checkpoint_owner="gone")
    sightings = {"a": Sighting(asked, NOW_MS - 1_000)}
    assert moves(sightings) == ["take a"]
    assert moves(sightings, rhythm=RHYTHM.beside_kcl()) == []


def test_decide_when_a_lease_was_given_to_us_then_it_is_taken() -> None:
    assert moves(seen(a="me", b="other", c="other")) == ["take a"]
    assert moves(seen(a="me", b="other"), "a") == []


def test_decide_when_a_lease_was_asked_for_by_us_and_is_still_worked_on_then_we_wait() -> None:
    asked = replace(seen(a="me")["a"].lease, checkpoint_owner="other")
    assert moves({"a": Sighting(asked, NOW_MS)}) == []


def test_decide_when_a_shard_has_ended_then_its_lease_is_nobodys() -> None:
    ended = replace(seen(a=None)["a"].lease, checkpoint=ENDED)
    assert moves({"a": Sighting(ended, 0)}) == []


def test_decide_when_parents_are_at_work_then_the_child_is_left() -> None:
    child = Lease(key="c", checkpoint=FROM_OLDEST, parents=("a",))
    assert moves(seen(a="other") | {"c": Sighting(child, 0)}) == []


def test_decide_when_another_has_two_more_then_one_is_asked_for() -> None:
    assert moves(seen(a="other", b="other", c="me"), "c") == []
    assert moves(seen(a="other", b="other")) == ["ask a"]
    assert moves(seen(a="other", b="other", c="third", d="third", e="third")) == ["ask c"]


def test_decide_when_many_are_due_then_a_quarter_is_asked_for_at_a_time() -> None:
    rich = {f"a{number:02}": seen(a="other")["a"] for number in range(40)}
    rich = {key: Sighting(replace(sighting.lease, key=key), NOW_MS) for key, sighting in rich.items()}
    assert len(moves(rich)) == 5


def test_decide_when_a_leader_of_kcl_balances_then_nothing_is_asked_for() -> None:
    assert moves(seen(a="other", b="other"), led=True) == []
    assert moves(seen(a="other", b="other", c=None), led=True) == ["take c"]


def test_decide_when_this_worker_has_its_most_then_nothing_more_is_taken() -> None:
    most = Rhythm(failover_ms=1_000, leases_max=2)
    assert len(moves(seen(a=None, b=None, c=None), rhythm=most)) == 2
    assert moves(seen(0, a=None) | seen(b="me", c="me"), "b", "c", rhythm=most) == []
    assert moves(seen(a="x", b="x", c="x", d="x", e="me", f="me"), "e", "f", rhythm=most) == []


def test_decide_when_a_lease_is_being_asked_for_then_it_is_not_asked_for_again() -> None:
    asked = {
        key: Sighting(replace(s.lease, checkpoint_owner="x"), NOW_MS) for key, s in seen(a="y", b="y", c="y").items()
    }
    assert moves(asked) == []


def test_look_when_a_counter_moves_then_its_time_begins_anew() -> None:
    lease = seen(a="other")["a"].lease
    first = look({}, [lease], 1_000)
    assert look(first, [lease], 2_000)["a"].since_ms == 1_000
    assert look(first, [lease.renewed()], 2_000)["a"].since_ms == 2_000
    assert look(first, [], 2_000) == {}


def test_look_when_a_lease_is_asked_for_then_its_time_goes_on() -> None:
    lease = seen(a="other")["a"].lease
    first = look({}, [lease], 1_000)
    assert look(first, [lease.asked_for("me")], 2_000)["a"].since_ms == 1_000
