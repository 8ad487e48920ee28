"""Memory for large bodies, shared fairly: one client's flood is its own queue.

Theory.  Bodies that are large ask for room before they are read.  Who asks is known by a name: the access key id that a request's head
claims, or the address it came from.  While room is scarce, names take turns, one body each; what a name whose turn it is cannot have yet
is kept for it, so that many small bodies never keep a large one waiting.  And no name may hold more than SHARE times what is left free:
a name alone gets three quarters of the room, and the next to come finds a quarter of it free.
Rules of this file:
  1. Whoever holds nothing is never refused on account of its share, so that there is always somebody who can be let in.
  2. No bytes, no clock, no loop: asking, giving back and forgetting are all there is.
Cost: 0.5 us while there is room; a turn looks at each waiting name at most once.
"""

from collections.abc import Callable
from typing import Final

SHARE: Final = 3


class _Wish:
    """Room that was asked for."""

    __slots__ = ("granted", "size_bytes", "taken")

    def __init__(self, size_bytes: int, granted: Callable[[], None]) -> None:
        self.size_bytes = size_bytes
        self.granted = granted
        self.taken = False


class BodyRoom:
    """The room, and who waits for it."""

    def __init__(self, capacity_bytes: int) -> None:
        self._free_bytes = capacity_bytes
        self._held: dict[str, int] = {}  # bytes by name; none that is 0
        self._waiting: dict[str, dict[object, _Wish]] = {}  # in the order of turns; a name's own in the order of asking

    @property
    def free_bytes(self) -> int:
        """What nobody holds."""
        return self._free_bytes

    def ask(self, who: object, name: str, size_bytes: int, granted: Callable[[], None]) -> bool:
        """Whether there is room now; if not, `granted` is called once there is.  `who` waits for one body at a time."""
        wish = _Wish(size_bytes, granted)
        self._waiting.setdefault(name, {})[who] = wish
        self._let_in(asking=wish)
        return wish.taken

    def give_back(self, name: str, size_bytes: int) -> None:
        """A body was let go."""
        self._free_bytes += size_bytes
        left_bytes = self._held.pop(name) - size_bytes
        assert left_bytes >= 0, "what is given back was held"
        if left_bytes:
            self._held[name] = left_bytes
        self._let_in()

    def forget(self, who: object, name: str) -> None:
        """Whoever waited has left."""
        wishes = self._waiting.get(name)
        if wishes is None or wishes.pop(who, None) is None:
            return
        if not wishes:
            del self._waiting[name]
        self._let_in()

    def _let_in(self, asking: _Wish | None = None) -> None:
        while (name := self._next()) is not None:
            wishes = self._waiting.pop(name)
            wish = wishes.pop(next(iter(wishes)))
            if wishes:
                self._waiting[name] = wishes  # behind the others: its turn is over
            self._free_bytes -= wish.size_bytes
            self._held[name] = self._held.get(name, 0) + wish.size_bytes
            wish.taken = True
            if wish is not asking:
                wish.granted()

    def _next(self) -> str | None:
        """Whose turn it is, if there is room for it."""
        for name, wishes in self._waiting.items():
            size_bytes = next(iter(wishes.values())).size_bytes
            held_bytes = self._held.get(name, 0)
            left_bytes = self._free_bytes - size_bytes
            if held_bytes and held_bytes + size_bytes > SHARE * left_bytes:
                continue  # it has its share
            return name if left_bytes >= 0 else None
        return None
