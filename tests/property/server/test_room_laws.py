"""Laws of the room for bodies, whoever asks, leaves and gives back in whatever order."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.server.room import BodyRoom

CAPACITY = 40
NAMES = st.sampled_from(["a", "b", "c", "d"])
SIZES = st.integers(1, CAPACITY // 4)


class Rooms(RuleBasedStateMachine):
    """Askers with names."""

    @initialize()
    def begin(self) -> None:
        self.room = BodyRoom(CAPACITY)
        self.count = 0
        self.alone: dict[int, bool] = {}  # who asked when no other of its name waited or held
        self.holding: dict[int, tuple[str, int]] = {}
        self.waiting: dict[int, tuple[str, int]] = {}
        self.passed: dict[
            int, dict[str, int]
        ] = {}  # by who waits: how many of each name were let in while its own held nothing

    def _granted(self, who: int) -> None:
        name, size = self.waiting.pop(who)
        self.holding[who] = (name, size)
        self.passed.pop(who)
        held = {its for its, _ in self.holding.values()}
        for waiter, others in self.passed.items():
            if self.waiting[waiter][0] not in held:
                others[name] = others.get(name, 0) + 1

    @rule(name=NAMES, size=SIZES)
    def ask(self, name: str, size: int) -> None:
        self.count += 1
        who = self.count
        self.alone[who] = name not in {its for its, _ in [*self.waiting.values(), *self.holding.values()]}
        self.waiting[who] = (name, size)
        self.passed[who] = {}
        if self.room.ask(who, name, size, lambda: self._granted(who)):
            self._granted(who)

    @precondition(lambda self: self.holding)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(sorted(self.holding)))
        name, size = self.holding.pop(who)
        self.room.give_back(name, size)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(sorted(self.waiting)))
        name, _ = self.waiting.pop(who)
        self.passed.pop(who)
        self.room.forget(who, name)

    @invariant()
    def nothing_is_lost_or_made(self) -> None:
        if hasattr(self, "room"):
            assert self.room.free_bytes == CAPACITY - sum(size for _, size in self.holding.values())
            assert self.room.free_bytes >= 0

    @invariant()
    def somebody_is_always_let_in(self) -> None:
        if hasattr(self, "room") and self.waiting:
            assert self.holding, "nobody holds anything, and still somebody waits"

    @invariant()
    def whoever_holds_nothing_and_is_first_of_its_name_is_passed_once_by_each_other(self) -> None:
        if not hasattr(self, "room"):
            return
        held = {name for name, _ in self.holding.values()}
        for name in {name for name, _ in self.waiting.values()} - held:
            first = min(who for who, (its, _) in self.waiting.items() if its == name)
            if self.alone.get(first, False):
                assert all(count <= 1 for count in self.passed[first].values())


TestRooms = Rooms.TestCase
