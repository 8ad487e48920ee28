"""An asyncio event loop on virtual time, for simulations.

Theory.  Nothing outside can happen: no sockets, no threads, no signals.  So when no callback is ready, the only thing left to do is to jump
to the next timer.  Callbacks run in the order in which they became ready, timers of one moment in the order in which they were set; the
same program on the same seed is the same run, to the last step.
Rules of this file:
  1. Whoever wants a world to end at any await says after how many steps; the loop then stops between two callbacks.
  2. A run that can never end is an error that names who waits, not a hang.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, TypeVar, TypeVarTuple

STEP_US: Final = 1  # what one callback takes: time goes on even while nobody sleeps
DRAIN_STEPS_MAX: Final = 100_000

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class Halted(Exception):
    """The world ended before the work was done."""


class Stuck(Exception):
    """The work can never end, or has not ended within the time that it was given."""


class SimLoop(asyncio.BaseEventLoop):
    """The loop.  One at a time; `run` may be called again and again, and the clock goes on."""

    def __init__(self) -> None:
        self.now_us = 0
        self.steps = 0
        self.complaints: list[str] = []  # what reached the exception handler
        self._halt_at_step: int | None = None
        self._halted = False
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._timer_count = 0
        self._tasks: dict[asyncio.Task[Any], None] = {}  # a dict keeps the order, a set does not
        self._closed = False

    def run(self, work: Coroutine[Any, Any, Result], within_ms: int = 3_600_000) -> Result:
        """Run until `work` is done; answer its result or raise its exception.  Raises Halted, Stuck."""
        self._halted = False
        until_us = self.now_us + within_ms * 1000
        asyncio.events._set_running_loop(self)
        try:
            task = self.create_task(work)
            while not task.done():
                if self._halted:
                    raise Halted
                self._turn(until_us)
            return task.result()
        finally:
            asyncio.events._set_running_loop(None)

    def halt(self) -> None:
        """Let `run` raise Halted before the next callback."""
        self._halted = True

    def halt_after(self, steps: int | None) -> None:
        """Halt after so many callbacks more; None takes it back."""
        self._halt_at_step = None if steps is None else self.steps + steps

    def drop_everything(self) -> None:
        """End a world: cancel every task in the order of their start, let them unwind, forget the timers."""
        self._halt_at_step, self._halted = None, False
        asyncio.events._set_running_loop(self)
        try:
            for task in list(self._tasks):
                task.cancel()
            most = self.steps + DRAIN_STEPS_MAX
            while self._tasks and self.steps < most:
                self._turn(self.now_us + 10**9)
            if self._tasks:
                raise Stuck(f"will not end when cancelled: {self._waiting()}")
        finally:
            asyncio.events._set_running_loop(None)
            self._ready.clear()
            self._timers.clear()

    def _turn(self, until_us: int) -> None:
        while self._timers and (self._timers[0][0] <= self.now_us or not self._ready):
            due_us, _, timer = heapq.heappop(self._timers)
            if timer.cancelled():
                continue
            if due_us > until_us:
                raise Stuck(f"not done in time: {self._waiting()}")
            self.now_us = max(self.now_us, due_us)
            self._ready.append(timer)
        if not self._ready:
            raise Stuck(f"nothing will ever happen: {self._waiting()}")
        handle = self._ready.popleft()
        if not handle.cancelled():
            self.now_us += STEP_US
            self.steps += 1
            handle._run()
            if self.steps == self._halt_at_step:
                self._halted = True

    def _waiting(self) -> str:
        """Who waits, and in which lines."""
        return "; ".join(f"{task.get_name()} at {_place(task)}" for task in self._tasks if not task.done())

    # What asyncio's tasks, futures and locks ask of a loop.

    def time(self) -> float:
        """Seconds of virtual time."""
        return self.now_us / 1e6

    def call_soon(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Run a callback after those that are ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback at a moment of virtual time."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timer_count += 1
        heapq.heappush(self._timers, (round(when * 1e6), self._timer_count, timer))
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after some seconds of virtual time."""
        return self.call_at(self.now_us / 1e6 + delay, callback, *args, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, Result] | Coroutine[Any, Any, Result],
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Result]:
        """A task of this loop, known by name or number."""
        named = str(name) if name is not None else f"task {self._timer_count}"
        task: asyncio.Task[Result] = asyncio.Task(coro, loop=self, name=named, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # seen: whoever awaits it raises it

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass  # it is passed over when its time comes

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what asyncio complains about, for the simulation to judge."""
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        """No: slow-callback warnings read the real clock."""
        return False

    def is_running(self) -> bool:
        """Whether `run` is under way."""
        return asyncio.events._get_running_loop() is self

    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def __del__(self) -> None:
        pass  # nothing is open, so nothing is to be warned of

    def close(self) -> None:
        """Nothing is open; the loop may not be used again."""
        self._closed = True


def _place(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=8)
    return " < ".join(
        f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno} {frame.f_code.co_name}" for frame in frames
    )
