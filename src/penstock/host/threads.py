"""Threads for work beside the loop: for what takes long, and for what may never end."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

Result = TypeVar("Result")


class WorkThreads:
    """Threads for work that waits for nothing but the disk, begun in its order; made when they are needed.

    An executor's future, its locks and the copying of its state cost 20 us and more for each piece of work; here it is a queue, and
    one call of the loop.
    """

    def __init__(self, name: str = "penstock-work", count: int = 0) -> None:
        """`count`: as many as there are cores, where it is 0."""
        self._name = name
        self._count = count or os.cpu_count() or 1
        self._queue: SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], Callable[[], Any]] | None] = (
            SimpleQueue()
        )
        self._threads: list[Thread] = []
        self._closed = False

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises."""
        assert not self._closed, "nobody would do it"
        if not self._threads:
            self._threads = [Thread(target=self._work, name=self._name, daemon=True) for _ in range(self._count)]
            for thread in self._threads:
                thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        self._queue.put((loop, done, work))
        return await done

    def close(self) -> None:
        """End them, when what is queued is done."""
        self._closed = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            loop, done, work = item
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:  # noqa: BLE001 - it is the caller's
                error = raised
            with suppress(RuntimeError):  # the loop is gone, and with it who waited
                loop.call_soon_threadsafe(_settle, done, result, error)
            del item, done, work, result, error  # else they would live until there is more to do


class BlockingCalls:
    """Calls of libraries that block for who knows how long, as many at a time as `limit`.

    A call that hangs keeps its place until it ends; neither its caller nor the end of the process waits for it.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._room = asyncio.Semaphore(limit)

    async def run(self, work: Callable[[], Result], wait_s: float) -> Result:
        """What `work` returns or raises.  Raises TimeoutError if that, or room for it, does not come in time."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Result] = loop.create_future()
        async with asyncio.timeout(wait_s):
            await self._room.acquire()
            Thread(target=self._call, args=(loop, told, work), name=self._name, daemon=True).start()
            return await told

    def _call(self, loop: asyncio.AbstractEventLoop, told: "asyncio.Future[Any]", work: Callable[[], Any]) -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - it is the caller's
            error = raised
        with suppress(RuntimeError):  # the loop is gone, and with it who waited
            loop.call_soon_threadsafe(self._ended, told, result, error)

    def _ended(self, told: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
        self._room.release()
        _settle(told, result, error)


def _settle(told: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    """Tell who waits, if anybody still does."""
    if told.done():
        return
    if error is not None:
        told.set_exception(error)
    else:
        told.set_result(result)
