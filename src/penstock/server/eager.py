"""A coroutine that is begun at once, and becomes a task only if it has to wait.

Theory.  A task costs its making and a turn of the loop before it begins.  Most of what a request does before it waits (for a commit,
say) can be done where its last byte arrived, and what it does afterwards where the commit is told.  What a coroutine waits for is a
future that it yielded; a task that takes over yields the same future once more, and goes on from there.
Rule of this file: until a coroutine waits for something else than a future that is marked as taskless (engines/taskless.py) it runs
outside of any task, so that `asyncio.current_task()` is None; whoever needs one (asyncio.timeout does) must wait for something else first.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, Final, Generic, TypeVar

Result = TypeVar("Result")
_TASKLESS: Final = "taskless"


class Begun(Coroutine[Any, Any, None], Generic[Result]):
    """The rest of a coroutine, which a task carries out if it needs one.

    It is no coroutine function of its own, because a task that is cancelled before its first step would not enter one, and the coroutine,
    which has begun, would not hear of it.
    """

    __slots__ = ("_context", "_coroutine", "_done", "_failed", "_first", "_handed_on", "_loop", "task")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Result],
        first: Any,
        done: Callable[[Result], None],
        failed: Callable[[Exception], None],
        loop: asyncio.AbstractEventLoop,
        context: Context,
    ) -> None:
        self._coroutine = coroutine
        self._done = done
        self._failed = failed
        self._loop = loop
        self._context = context
        self._handed_on = False
        self.task: asyncio.Task[None] | None = (
            None  # kept while it runs, so that it is not collected; no longer, since it keeps this
        )
        self._wait(first)

    def _wait(self, first: Any) -> None:
        if getattr(first, _TASKLESS, False):
            first._asyncio_future_blocking = False  # a task says so that it has taken a future
            first.add_done_callback(self._go_on, context=self._context)
        else:
            self._first = first
            self.task = self._loop.create_task(self, context=self._context)

    def _go_on(self, _future: object) -> None:
        """Take a step outside of any task."""
        try:
            first = self._coroutine.send(None)
        except StopIteration as ended:
            self._done(ended.value)
        except Exception as error:  # noqa: BLE001 - it is handed on
            self._failed(error)
        else:
            self._wait(first)

    def send(self, value: Any) -> Any:
        """Go on; at first with what the coroutine waits for already."""
        if not self._handed_on:
            self._handed_on = True
            first, self._first = self._first, None
            return first
        return self._step(self._coroutine.send, value)

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        """Raise in the coroutine what was raised in the task: a cancellation."""
        self._handed_on = True
        return self._step(self._coroutine.throw, kind if value is None else value)

    def close(self) -> None:
        """Nobody waits any more."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, None]:
        raise TypeError("it is a task's alone")

    def _step(self, step: Callable[[Any], Any], given: Any) -> Any:
        try:
            return step(given)
        except StopIteration as ended:
            self.task = None
            self._done(ended.value)
        except Exception as error:  # noqa: BLE001 - it is handed on
            self.task = None
            self._failed(error)
        except BaseException:
            self.task = None
            raise
        raise StopIteration


def start(
    coroutine: Coroutine[Any, Any, Result],
    done: Callable[[Result], None],
    failed: Callable[[Exception], None],
    loop: asyncio.AbstractEventLoop,
) -> Begun[Result] | None:
    """Begin `coroutine`; None if it has ended.  One of `done` and `failed` is called: before this returns, or later."""
    context = copy_context()
    try:
        first = context.run(coroutine.send, None)
    except StopIteration as ended:
        done(ended.value)
    except Exception as error:  # noqa: BLE001 - it is handed on
        failed(error)
    else:
        return Begun(coroutine, first, done, failed, loop, context)
    return None
