"""What one connection holds of bodies that have no room of their own: the small ones, and what came of large ones that wait for theirs.

Theory.  Over HTTP/1.1 that is one body a connection, which needs no counting; here it is as many as there are streams.  So a connection
may hold what one stream's window lets come, and for more it takes parcels of a room that all connections share, as large as that for
large bodies.  Nobody waits for a parcel, since the bytes are there already: where there is none, the stream that brought them is refused,
before anything was done for it.
Cost: 0.1 us a frame; a parcel 1 us.
"""

from typing import Final

from penstock.core.limits import KIB
from penstock.server.peers import room_name
from penstock.server.room import BodyRoom
from penstock.wire.route import Head

PARCEL_BYTES: Final = 256 * KIB  # no less than a frame


class Unasked:
    """The count of one connection."""

    __slots__ = ("_allowed_bytes", "_held_bytes", "_names", "_room")

    def __init__(self, room: BodyRoom, free_bytes: int) -> None:
        self._room = room
        self._allowed_bytes = free_bytes  # these need no parcel
        self._held_bytes = 0
        self._names: list[str] = []  # that the parcels were taken in, the last at the end

    def hold(self, size_bytes: int, head: Head) -> bool:
        """Count more of a request's body.  Whether it may be held; it is to be let go in either case."""
        self._held_bytes += size_bytes
        return self._held_bytes <= self._allowed_bytes or self._take_parcel(room_name(head))

    def let_go(self, size_bytes: int) -> None:
        """Count what is held no more."""
        self._held_bytes -= size_bytes
        while self._names and self._held_bytes <= max(0, self._allowed_bytes - 2 * PARCEL_BYTES):
            self._allowed_bytes -= PARCEL_BYTES
            self._room.give_back(self._names.pop(), PARCEL_BYTES)

    def _take_parcel(self, name: str) -> bool:
        taken = self._room.ask(self, name, PARCEL_BYTES, _never)
        if taken:
            self._names.append(name)
            self._allowed_bytes += PARCEL_BYTES
        else:
            self._room.forget(self, name)
        return taken


def _never() -> None:
    raise AssertionError("nobody waits for a parcel")
