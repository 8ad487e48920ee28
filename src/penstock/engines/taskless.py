"""A future that tells its waiter to stay without a task.

Theory.  Whoever drives a coroutine outside of any task (server/eager.py) makes one when it has to wait, since what follows may need
it: asyncio.timeout, say.  A task costs 4 us and a turn of the loop.  Who makes a TasklessFuture promises that what waits for it needs no
task afterwards, unless it waits for something else; in a task, and to everybody else, it is a future like any other.
"""

import asyncio
from typing import ClassVar, TypeVar

Result = TypeVar("Result")


class TasklessFuture(asyncio.Future[Result]):
    """A future after which no task is needed."""

    __slots__ = ()
    taskless: ClassVar[bool] = True  # a mark, because who drives knows no engine
