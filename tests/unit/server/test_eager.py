"""Coroutines that are begun at once."""

import asyncio
import gc
import weakref
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest
from tapes import turn

from penstock.engines.taskless import TasklessFuture
from penstock.server.eager import start

place: ContextVar[str] = ContextVar("place", default="outside")


class Outcome:
    """What became of a coroutine."""

    def __init__(self, coroutine: Coroutine[Any, Any, str]) -> None:
        self.results: list[str] = []
        self.errors: list[Exception] = []
        self.begun = start(coroutine, self.results.append, self.errors.append, asyncio.get_running_loop())


async def work(waits: int, fail: bool = False) -> str:
    place.set("inside")
    for _ in range(waits):
        await turn()
    if fail:
        raise ValueError("of the test")
    return place.get()


@pytest.mark.parametrize("waits", [0, 1, 5])
@pytest.mark.parametrize("fail", [False, True])
def test_coroutine_when_begun_ends_as_it_would_in_a_task(waits: int, fail: bool) -> None:
    async def run() -> None:
        outcome = Outcome(work(waits, fail))
        assert (outcome.begun is None) == (waits == 0)
        for _ in range(20):
            await turn()
        assert outcome.results == ([] if fail else ["inside"])
        assert [str(error) for error in outcome.errors] == (["of the test"] if fail else [])
        assert place.get() == "outside"

    asyncio.run(run())


def test_coroutine_when_cancelled_while_it_waits_is_told_so() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await turn()
            return "cleaned up"
        return "never"

    async def run() -> None:
        outcome = Outcome(stubborn())
        assert outcome.begun is not None
        assert outcome.begun.task is not None
        outcome.begun.task.cancel()
        await asyncio.gather(outcome.begun.task, return_exceptions=True)
        assert outcome.results == ["cleaned up"]

    asyncio.run(run())


@pytest.mark.parametrize("fail", [False, True])
def test_coroutine_when_it_waits_for_a_taskless_future_ends_without_a_task(fail: bool) -> None:
    async def run() -> None:
        told: TasklessFuture[str] = TasklessFuture()

        async def waiting() -> str:
            place.set("inside")
            word = await told
            if fail:
                raise ValueError(word)
            return f"{word}, {place.get()}"

        outcome = Outcome(waiting())
        assert outcome.begun is not None
        told.set_result("done")
        await turn()
        assert outcome.begun.task is None
        assert outcome.results == ([] if fail else ["done, inside"])
        assert [str(error) for error in outcome.errors] == (["done"] if fail else [])
        assert place.get() == "outside"

    asyncio.run(run())


def test_coroutine_when_it_waits_for_something_else_after_a_taskless_future_has_a_task_from_then_on() -> None:
    async def run() -> None:
        told: TasklessFuture[str] = TasklessFuture()

        async def waiting() -> str:
            await told
            assert asyncio.current_task() is None
            await turn()
            async with asyncio.timeout(60):
                await turn()
            return "in time"

        outcome = Outcome(waiting())
        told.set_result("done")
        for _ in range(5):
            await turn()
        assert outcome.results == ["in time"]
        assert outcome.errors == []

    asyncio.run(run())


def test_taskless_future_when_a_task_waits_for_it_is_like_any_other() -> None:
    async def run() -> None:
        told: TasklessFuture[str] = TasklessFuture()

        async def waiting() -> str:
            return await told

        both = asyncio.gather(waiting(), waiting())
        await turn()
        told.set_result("done")
        assert list(await both) == ["done", "done"]

    asyncio.run(run())


class Body:
    """What a request is read from."""


def test_coroutine_when_it_has_ended_leaves_nothing_for_the_collector() -> None:
    async def reading(body: "asyncio.Future[Body]") -> str:
        return repr(await body)

    async def run() -> None:
        read: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        outcome = Outcome(reading(read))
        body = Body()
        held = weakref.ref(body)
        read.set_result(body)
        del body, read
        for _ in range(5):
            await turn()
        assert len(outcome.results) == 1
        del outcome
        assert held() is None

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()
