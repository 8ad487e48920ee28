"""Room for bodies: turns, shares, and what leaving does."""

import pytest

from penstock.server.room import SHARE, BodyRoom


class Door:
    """A room, and who was let in after waiting, in order."""

    def __init__(self, capacity_bytes: int) -> None:
        self.room = BodyRoom(capacity_bytes)
        self.let_in: list[str] = []
        self.asked = 0

    def ask(self, name: str, size_bytes: int) -> bool:
        self.asked += 1
        return self.room.ask(self.asked, name, size_bytes, lambda: self.let_in.append(name))


def test_flood_when_one_name_floods_leaves_a_quarter_of_the_room_to_the_next() -> None:
    door = Door(100)
    granted = sum(door.ask("flood", 5) for _ in range(32))
    assert granted == 15
    assert door.room.free_bytes == 25
    assert door.ask("other", 5), "who comes next waits for nobody"


def test_turns_when_room_is_scarce_go_round_by_name_and_not_by_number_of_askers() -> None:
    door = Door(10)
    assert door.ask("holder", 10)
    for _ in range(32):
        assert not door.ask("flood", 1)
    for _ in range(2):
        assert not door.ask("other", 1)
    door.room.give_back("holder", 10)
    assert door.let_in[:4] == ["flood", "other", "flood", "other"]


def test_turn_when_what_is_free_is_too_little_is_kept_and_small_ones_do_not_slip_by() -> None:
    door = Door(10)
    for name in "abcde":
        assert door.ask(name, 2)
    assert not door.ask("large", 8)
    assert not door.ask("small", 1)
    for name in "abc":
        door.room.give_back(name, 2)
        assert door.let_in == []
    door.room.give_back("d", 2)
    assert door.let_in == ["large"]


def test_share_when_a_name_has_its_own_makes_nobody_else_wait() -> None:
    door = Door(16)
    assert door.ask("greedy", 12)
    assert not door.ask("greedy", 4)
    assert door.ask("other", 4)
    door.room.give_back("greedy", 12)
    assert door.let_in == ["greedy"]
    assert SHARE == 3


def test_forget_when_whoever_has_the_turn_leaves_lets_the_next_in() -> None:
    door = Door(10)
    assert door.ask("a", 9)
    assert not door.room.ask("leaver", "b", 5, lambda: door.let_in.append("b"))
    assert not door.ask("c", 1)
    door.room.forget("leaver", "b")
    assert door.let_in == ["c"]
    door.room.forget("leaver", "b")  # twice, or never having waited, is nothing
    door.room.give_back("a", 9)
    assert door.let_in == ["c"]


def test_give_back_when_it_was_not_held_is_a_bug_of_ours() -> None:
    with pytest.raises(KeyError):
        BodyRoom(10).give_back("nobody", 1)
