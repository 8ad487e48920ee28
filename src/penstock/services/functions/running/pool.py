"""Pools: the warm slots of one version of a function.

Theory.  An invocation takes the slot that was idle last, so that the others grow cold and can be ended.  Where none is idle it waits, and
as many slots are started as there are who wait; whoever has waited longest gets the first that becomes idle, new or not.
Rules of this file:
  1. Who waits is answered: by a slot, or by the failure of one that was started for it.
  2. A retired pool ends its slots as they become idle, when nobody waits in it any more.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from penstock.core.errors import Error, ServiceError
from penstock.core.invoke_errors import InvokeError
from penstock.core.ports import Clock, Tasks
from penstock.services.functions.running.launching import Launched
from penstock.services.functions.running.outcome import Outcome
from penstock.services.functions.running.slot import Phase, Slot


class NotStarted(Exception):
    """A slot could not be started; `failure` tells how, of an invocation."""

    def __init__(self, failure: Callable[[str], Outcome], launched: Launched) -> None:
        super().__init__("not started")
        self.failure = failure
        self.launched = launched


class Ready:
    """A slot to be used once: the process, and how long its start took if it is new."""

    __slots__ = ("init_ms", "launched")

    def __init__(self, launched: Launched, init_ms: float | None) -> None:
        self.launched = launched
        self.init_ms = init_ms


class Starts:
    """How many slots are being started at once, in all pools: more would only be slower."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.waiting: deque[Callable[[], None]] = deque()

    def done(self) -> None:
        """One start has ended."""
        self.left += 1
        while self.left > 0 and self.waiting:
            self.waiting.popleft()()


Launch = Callable[[Callable[[Slot], None]], Awaitable[Launched]]


class Pool:
    """One of them."""

    def __init__(
        self, launch: Launch, starts: Starts, clock: Clock, tasks: Tasks, seconds: Callable[[], float]
    ) -> None:
        self._launch = launch
        self._starts = starts
        self._clock = clock
        self._tasks = tasks
        self._seconds = seconds
        self._slots: dict[Slot, Launched] = {}
        self._idle: list[Slot] = []  # the one that was used last is the last
        self._waiting: deque[asyncio.Future[Ready]] = deque()
        self._starting = 0
        self._retired = False

    async def take(self) -> Ready:
        """A slot that is idle.  Raises NotStarted, ServiceError."""
        while self._idle:
            slot = self._idle.pop()
            if slot.phase is Phase.IDLE:
                return Ready(self._slots[slot], None)
        waiter: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._start_enough()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._changed(waiter.result().launched.slot)  # somebody else may have it
            raise

    def end_idle(self, before_ms: int) -> None:
        """End what has been idle since before a time, and what has credentials that end."""
        for slot in list(self._idle):
            until_ms = self._slots[slot].until_ms
            if slot.idle_since_ms <= before_ms or (until_ms is not None and until_ms <= self._clock.now_ms()):
                self._idle.remove(slot)
                slot.end()

    def retire(self) -> None:
        """Use it no more."""
        self._retired = True
        for slot in self._idle[:]:
            slot.end()
        self._idle.clear()

    def end(self) -> None:
        """Kill what there is, and refuse who waits."""
        self.retire()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(InvokeError.CANNOT_RUN(why="the server ends"))
        for slot in list(self._slots):
            slot.end()

    @property
    def size(self) -> int:
        """Slots that there are."""
        return len(self._slots) + self._starting

    def _start_enough(self) -> None:
        live = sum(1 for waiter in self._waiting if not waiter.done())
        while self._starting < live:
            self._starting += 1
            if self._starts.left > 0:
                self._begin_start()
            else:
                self._starts.waiting.append(self._begin_start)

    def _begin_start(self) -> None:
        if not any(not waiter.done() for waiter in self._waiting):  # all were served meanwhile
            self._starting -= 1
            return
        self._starts.left -= 1
        self._tasks.spawn(self._start(), "start of a function")

    async def _start(self) -> None:
        began_s = self._seconds()
        try:
            launched = await self._launch(self._changed)
            self._slots[launched.slot] = launched
            if launched.slot.phase is Phase.ENDED:
                del self._slots[launched.slot]
            well = await launched.slot.ready
        except ServiceError as refusal:
            self._fail(refusal)
            return
        except OSError as problem:  # no process or descriptor is left
            self._fail(InvokeError.CANNOT_RUN(why=str(problem)))
            return
        except Exception:
            self._fail(Error.INTERNAL_FAILURE())
            raise
        finally:
            self._starting -= 1
            self._starts.done()
        if not well:
            self._fail(NotStarted(launched.slot.failure, launched))
            launched.slot.end()
            return
        init_ms = (self._seconds() - began_s) * 1000
        if launched.slot.phase is Phase.IDLE and launched.slot not in self._idle:
            self._give(launched.slot, init_ms)

    def _fail(self, why: Exception) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(why)
                break
        self._start_enough()

    def _changed(self, slot: Slot) -> None:
        if slot.phase is Phase.ENDED:
            self._slots.pop(slot, None)
            if slot in self._idle:
                self._idle.remove(slot)
            self._start_enough()
        elif slot in self._slots and slot.ready.done() and slot.used:
            self._give(slot, None)

    def _give(self, slot: Slot, init_ms: float | None) -> None:
        """Give an idle slot to who waits, or keep it."""
        slot.idle_since_ms = self._clock.now_ms()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                slot.used = True
                waiter.set_result(Ready(self._slots[slot], init_ms))
                return
        if self._retired:
            slot.end()
            return
        slot.used = True
        self._idle.append(slot)
