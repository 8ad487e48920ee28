"""The time and the room that one body over HTTP/2 may take; connection.py keeps those of HTTP/1.1 itself.

Rule of this file: whatever was taken is given back, also by one who is cancelled while it waits.
"""

import asyncio
from types import TracebackType

from penstock.server.peers import room_name
from penstock.server.traffic import SMALL_BODY_BYTES, Traffic
from penstock.wire.route import Head


class Place:
    """One body's share of time and room."""

    def __init__(self, traffic: Traffic, head: Head) -> None:
        self._traffic = traffic
        self._name = room_name(head)
        self._held_bytes = 0
        self._began_s = traffic.now_s()
        self.size = 0  # what arrived of the body

    @property
    def body_max_bytes(self) -> int:
        """How large the body may be."""
        return self._traffic.bounds.body_max_bytes

    @property
    def due_s(self) -> float:
        """By when more must come, on the loop's clock."""
        patience = self._traffic.patience
        return self._began_s + patience.body_s + self.size / patience.body_bytes_per_s

    def limited(self) -> "Limit":
        """Raises TimeoutError in who waits for more within it, once that is due."""
        return Limit(self, self._traffic.loop)

    @property
    def has_room(self) -> bool:
        """Whether there is room for a large body."""
        return self._held_bytes > 0

    async def enter(self, size_bytes: int) -> None:
        """Wait for room, unless there is some already or so small a body needs none."""
        if self._held_bytes or size_bytes <= SMALL_BODY_BYTES:
            return
        room, granted = self._traffic.room, self._traffic.loop.create_future()
        if not room.ask(self, self._name, size_bytes, lambda: granted.set_result(None)):
            try:
                await granted
            except asyncio.CancelledError:
                room.forget(self, self._name)
                if granted.done() and not granted.cancelled():
                    room.give_back(self._name, size_bytes)
                raise
            self._began_s = self._traffic.now_s()
        self._held_bytes = size_bytes

    def leave(self) -> None:
        """The body was let go."""
        if self._held_bytes:
            held_bytes, self._held_bytes = self._held_bytes, 0
            self._traffic.room.give_back(self._name, held_bytes)


class Limit:
    """One timer for a whole body: where more has come meanwhile it is set anew.  asyncio.timeout costs 10 us for each piece."""

    def __init__(self, place: Place, loop: asyncio.AbstractEventLoop) -> None:
        self._place = place
        self._loop = loop
        self._expired = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = self._loop.call_at(self._place.due_s, self._look)

    def _look(self) -> None:
        due_s = self._place.due_s
        if self._loop.time() < due_s:
            self._timer = self._loop.call_at(due_s, self._look)
        elif self._task is not None:
            self._expired = True
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._expired and self._task is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error
