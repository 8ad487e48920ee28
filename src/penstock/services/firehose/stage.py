"""Stages: buffers, the clock that closes them, and as many hands as they may have at work.

Theory.  A delivery stream is a few stages: before its function, before its destination, its backup, its error objects.  A stage takes
pieces, and hands what is ready to `work`, `concurrency` at a time.  What is buffered or at work is held: up to `own_bytes` always, beyond
that as far as the spare memory goes (spare.py).  Whoever reads the source waits for room, so a slow destination stops its own source and
nobody else's.
Rules of this file:
  1. A task runs only while something is buffered or at work.
  2. `work` ends when its content is accounted for, or not at all; the stage drops the holds then.
  3. There is room while nothing is ready, for a buffer is handed over by its size or its age only.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, NamedTuple

from penstock.core.limits import MIB
from penstock.core.ports import Clock, Tasks
from penstock.services.firehose.buffers import Buffers, Key, Limits, Piece, Ready, Record
from penstock.services.firehose.destinations.api import Hints
from penstock.services.firehose.spare import Spare

OPEN_MAX_BYTES: Final = 256 * MIB  # in the open buffers of one stage, whatever the number of partitions


class Means(NamedTuple):
    """What stages work with."""

    clock: Clock
    tasks: Tasks
    spare: Spare


class Stage(Generic[Key, Record]):
    """One of them."""

    def __init__(
        self,
        name: str,
        hints: Hints,
        work: Callable[[Ready[Key, Record]], Awaitable[None]],
        means: Means,
    ) -> None:
        self.name = name
        limits = Limits(hints.size_bytes, hints.interval_ms, hints.records_max)
        self.buffers: Buffers[Key, Record] = Buffers(limits)
        self._concurrency = hints.concurrency
        self._own_bytes = hints.size_bytes * hints.concurrency if hints.own_bytes is None else hints.own_bytes
        self._work = work
        self._clock, self._tasks, self._spare = means
        self._borrowed_bytes = 0
        self._waiting: deque[Ready[Key, Record]] = deque()
        self._ready_bytes = 0  # waiting or at work
        self._at_work = 0
        self._timed = False
        self._room = asyncio.Event()

    @property
    def held_bytes(self) -> int:
        """What is in memory for it."""
        return self.buffers.held_bytes + self._ready_bytes

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing in it."""
        return not len(self.buffers) and not self._waiting and not self._at_work

    def add(self, key: Key, piece: Piece[Record]) -> None:
        """Take records, whatever the room."""
        for ready in self.buffers.add(key, piece, self._clock.now_ms()):
            self._enqueue(ready)
        while self.buffers.held_bytes > OPEN_MAX_BYTES:
            self._enqueue(self.buffers.oldest())
        self._settle()
        if not self._timed and len(self.buffers):
            self._timed = True
            self._tasks.spawn(self._watch_age(), f"{self.name}: ages")

    async def room(self) -> None:
        """Return when more may be taken."""
        self._spare.wait(self._room.set)
        try:
            while not self._has_room():
                self._room.clear()
                await self._room.wait()
        finally:
            self._spare.leave(self._room.set)

    def flush(self) -> None:
        """Hand over all that is buffered."""
        for ready in self.buffers.everything():
            self._enqueue(ready)

    async def idle(self) -> None:
        """Return when there is nothing in it."""
        while not self.is_idle:
            self._room.clear()
            await self._room.wait()

    def close(self) -> None:
        """Give back what is borrowed; nothing works any more."""
        self._spare.move(-self._borrowed_bytes)
        self._borrowed_bytes = 0

    def _has_room(self) -> bool:
        return not self._ready_bytes or self.held_bytes < self._own_bytes or self._spare.lends(self._borrowed_bytes)

    def _settle(self) -> None:
        """Borrow what is held beyond its own, or give back."""
        borrowed_bytes = max(self.held_bytes - self._own_bytes, 0)
        more_bytes, self._borrowed_bytes = borrowed_bytes - self._borrowed_bytes, borrowed_bytes
        if more_bytes:
            self._spare.move(more_bytes)

    def _enqueue(self, ready: Ready[Key, Record]) -> None:
        self._waiting.append(ready)
        self._ready_bytes += ready.held_bytes
        while self._waiting and self._at_work < self._concurrency:
            self._at_work += 1
            self._tasks.spawn(self._attend(self._waiting.popleft()), f"{self.name}: work")

    async def _attend(self, ready: Ready[Key, Record] | None) -> None:
        """Work on what is ready, and on what waits after it."""
        try:
            while ready is not None:
                await self._work(ready)
                self._ready_bytes -= ready.held_bytes
                self._settle()
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
