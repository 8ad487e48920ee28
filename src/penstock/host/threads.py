"""Threads for work beside the loop: for what takes long, and for what may never end."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

Result = TypeVar("Result")


class WorkThreads:
    """As many threads as there are cores, made when they are needed."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, "penstock-work")

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """End them, when what is under way is done."""
        self._pool.shutdown()


class WorkThread:
    """One thread, for short work in order, which waits for nothing but the disk.

    An executor's future, its locks and the copying of its state cost 20 us for each piece of work; here it is a queue, and one call
    of the loop.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Future[None], Callable[[], None]] | None] = (
            SimpleQueue()
        )
        self._thread: Thread | None = None

    async def run(self, work: Callable[[], None]) -> None:
        """Do it.  Raises what `work` raises."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._queue.put((loop, done, work))
        await done

    def close(self) -> None:
        """End it, when what is queued is done."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            loop, done, work = item
            error = None
            try:
                work()
            except BaseException as raised:  # noqa: BLE001 - it is the caller's
                error = raised
            with suppress(RuntimeError):  # the loop is gone, and with it who waited
                loop.call_soon_threadsafe(_settle, done, None, error)
            del item, done, work, error  # else they would live until there is more to do


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
