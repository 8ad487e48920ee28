"""The time and the room that one body over HTTP/2 may take; connection.py keeps those of HTTP/1.1 itself.

Rule of this file: whatever was taken is given back, also by one who is cancelled while it waits.
"""

import asyncio

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

    @property
    def body_max_bytes(self) -> int:
        """How large the body may be."""
        return self._traffic.bounds.body_max_bytes

    def due_s(self, size_bytes: int) -> float:
        """By when more must come, on the loop's clock, once `size_bytes` have."""
        patience = self._traffic.patience
        return self._began_s + patience.body_s + size_bytes / patience.body_bytes_per_s

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
