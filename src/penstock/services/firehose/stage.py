"""Stages: buffers, the clock that closes them, and as many hands as they may have at work.

Theory.  A delivery stream is a few stages: before its function, before its destination, its backup, its error objects.  A stage takes
pieces, and hands what is ready to `work`, `concurrency` at a time.  What is buffered or at work counts against `bound_bytes`: whoever reads
the source waits for room, so a slow destination stops its own source and nobody else's.
Rules of this file:
  1. A task runs only while something is buffered or at work.
  2. `work` ends when its content is accounted for, or not at all; the stage drops the holds then.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic

from penstock.core.limits import MIB
from penstock.core.ports import Clock, Tasks
from penstock.services.firehose.buffers import Buffers, Key, Limits, Piece, Ready, Record

OPEN_MAX_BYTES: Final = 256 * MIB  # in the open buffers of one stage, whatever the number of partitions


class Stage(Generic[Key, Record]):
    """One of them."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        concurrency: int,
        work: Callable[[Ready[Key, Record]], Awaitable[None]],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self.name = name
        self.buffers: Buffers[Key, Record] = Buffers(limits)
        self._concurrency = concurrency
        self._work = work
        self._clock = clock
        self._tasks = tasks
        self._bound_bytes = limits.size_bytes * concurrency
        self._waiting: deque[Ready[Key, Record]] = deque()
        self._ready_bytes = 0  # waiting or at work
        self._at_work = 0
        self._timed = False
        self._room = asyncio.Event()

    @property
    def held_bytes(self) -> int:
        """What is in memory for it."""
        return self.buffers.size_bytes + self._ready_bytes

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing in it."""
        return not len(self.buffers) and not self._waiting and not self._at_work

    def add(self, key: Key, piece: Piece[Record]) -> None:
        """Take records, whatever the room."""
        for ready in self.buffers.add(key, piece, self._clock.now_ms()):
            self._enqueue(ready)
        while self.buffers.size_bytes > OPEN_MAX_BYTES:
            self._enqueue(self.buffers.oldest())
        if not self._timed and len(self.buffers):
            self._timed = True
            self._tasks.spawn(self._watch_age(), f"{self.name}: ages")

    async def room(self) -> None:
        """Return when what waits to be worked on is below its bound."""
        while self._ready_bytes >= self._bound_bytes:
            self._room.clear()
            await self._room.wait()

    def flush(self) -> None:
        """Hand over all that is buffered."""
        for ready in self.buffers.everything():
            self._enqueue(ready)

    async def idle(self) -> None:
        """Return when there is nothing in it."""
        while not self.is_idle:
            self._room.clear()
            await self._room.wait()

    def _enqueue(self, ready: Ready[Key, Record]) -> None:
        self._waiting.append(ready)
        self._ready_bytes += ready.size_bytes
        while self._waiting and self._at_work < self._concurrency:
            self._at_work += 1
            self._tasks.spawn(self._attend(self._waiting.popleft()), f"{self.name}: work")

    async def _attend(self, ready: Ready[Key, Record] | None) -> None:
        """Work on what is ready, and on what waits after it."""
        try:
            while ready is not None:
                await self._work(ready)
                self._ready_bytes -= ready.size_bytes
                for piece in ready.pieces:
                    piece.hold.drop()
                self._room.set()
                ready = self._waiting.popleft() if self._waiting else None
        finally:
            self._at_work -= 1
            self._room.set()

    async def _watch_age(self) -> None:
        try:
            while (left_ms := self.buffers.due_in_ms(self._clock.now_ms())) is not None:
                await self._clock.sleep(left_ms)
                for ready in self.buffers.due(self._clock.now_ms()):
                    self._enqueue(ready)
        finally:
            self._timed = False
