"""A coroutine that is begun at once, and becomes a task only if it has to wait.

Theory.  A task costs its making and a turn of the loop before it begins.  Most of what a request does before it waits (for a commit,
say) can be done where its last byte arrived.  What a coroutine waits for is a future that it yielded; a task that takes over yields the
same future once more, and goes on from there.
Rule of this file: the first step runs outside of any task, so that in it `asyncio.current_task()` is None; whoever needs one
(asyncio.timeout does) must wait for something first.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class _Begun(Coroutine[Any, Any, None], Generic[Result]):
    """The rest of a coroutine, for a task to carry out.

    It is no coroutine function of its own, because a task that is cancelled before its first step would not enter one, and the coroutine,
    which has begun, would not hear of it.
    """

    __slots__ = ("_coroutine", "_done", "_failed", "_first", "_handed_on")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Result],
        first: Any,
        done: Callable[[Result], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._coroutine = coroutine
        self._first = first
        self._handed_on = False
        self._done = done
        self._failed = failed

    def send(self, value: Any) -> Any:
        """Go on; at first with what the coroutine waits for already."""
        if not self._handed_on:
            self._handed_on = True
            return self._first
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
            self._done(ended.value)
        except Exception as error:  # noqa: BLE001 - it is handed on
            self._failed(error)
        raise StopIteration


def start(
    coroutine: Coroutine[Any, Any, Result],
    done: Callable[[Result], None],
    failed: Callable[[Exception], None],
    loop: asyncio.AbstractEventLoop,
) -> asyncio.Task[None] | None:
    """Begin `coroutine`.  One of `done` and `failed` is called: before this returns if it did not wait, else by the task returned."""
    context = copy_context()
    try:
        first = context.run(coroutine.send, None)
    except StopIteration as ended:
        done(ended.value)
    except Exception as error:  # noqa: BLE001 - it is handed on
        failed(error)
    else:
        return loop.create_task(_Begun(coroutine, first, done, failed), context=context)
    return None
