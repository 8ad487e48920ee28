"""What the short benchmarks call a regression."""

import pytest
from bench import quick
from bench.compare import Fall, falls, rooms, settled

KEPT = {"wire/decode-json": 8.0, "engine/append": 4000.0}


@pytest.mark.parametrize(("found", "fallen"), [(6.0, False), (5.99, True), (9.0, False)])
def test_falls_when_a_quarter_is_lost_then_only_what_is_below_it_fell(found: float, fallen: bool) -> None:
    assert bool(falls(KEPT, {"wire/decode-json": found, "engine/append": 4000.0})) is fallen


def test_falls_when_something_was_not_measured_then_it_fell_to_nothing() -> None:
    assert falls(KEPT, {"wire/decode-json": 8.0}) == [Fall("engine/append", 4000.0, 0.0)]


def test_falls_when_something_is_new_then_it_is_no_fall() -> None:
    assert not falls(KEPT, {**KEPT, "wire/new": 0.1})


def test_fall_when_told_then_names_its_room_and_how_much() -> None:
    assert str(Fall("wire/decode-json", 8.0, 4.8)) == "wire: decode-json fell by 40%, from 8 to 4.8"


def test_settled_when_a_round_lacks_a_ratio_then_are_of_the_others() -> None:
    assert settled([{"a": 1.0, "b": 5.0}, {"a": 3.0}, {"a": 2.0, "b": 7.0}]) == {"a": 2.0, "b": 6.0}


def test_settled_when_of_a_server_then_is_the_best_round() -> None:
    assert settled([{"server/a": 1.0}, {"server/a": 3.0}, {"server/a": 2.0}]) == {"server/a": 3.0}


@pytest.mark.parametrize(("found", "fallen"), [(6.0, False), (5.9, True)])
def test_falls_when_of_a_server_then_two_fifths_may_be_lost(found: float, fallen: bool) -> None:
    assert bool(falls({"server/put": 10.0}, {"server/put": found})) is fallen


def test_rooms_when_several_falls_are_in_one_then_name_it_once() -> None:
    assert rooms([Fall("wire/a", 1, 0), Fall("engine/b", 1, 0), Fall("wire/c", 1, 0)]) == ["wire", "engine"]


def judged(first: float, second: float) -> tuple[list[Fall], list[list[str]]]:
    asked: list[list[str]] = []

    def again(suspected: list[str]) -> list[dict[str, float]]:
        asked.append(suspected)
        return [{"wire/decode-json": second}]

    _, fallen = quick.judge(KEPT, [{"wire/decode-json": first, "engine/append": 4000.0}], again)
    return fallen, asked


def test_judge_when_nothing_fell_then_measures_nothing_again() -> None:
    assert judged(7.9, 0.0) == ([], [])


def test_judge_when_only_the_first_try_was_slow_then_passes() -> None:
    assert judged(4.0, 7.5) == ([], [["wire"]])


def test_judge_when_both_tries_were_slow_then_fails() -> None:
    fallen, _ = judged(4.0, 4.8)
    assert fallen == [Fall("wire/decode-json", 8.0, 4.8)]


def test_judge_when_the_second_try_was_slower_then_tells_the_better() -> None:
    fallen, _ = judged(4.0, 3.0)
    assert fallen[0].found == 4.0
