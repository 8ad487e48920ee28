"""Coroutines that are begun at once."""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest
from tapes import turn

from penstock.server.eager import start

place: ContextVar[str] = ContextVar("place", default="outside")


class Outcome:
    """What became of a coroutine."""

    def __init__(self, coroutine: Coroutine[Any, Any, str]) -> None:
        self.results: list[str] = []
        self.errors: list[Exception] = []
        self.task = start(coroutine, self.results.append, self.errors.append, asyncio.get_running_loop())


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
        assert (outcome.task is None) == (waits == 0)
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
        assert outcome.task is not None
        outcome.task.cancel()
        await asyncio.gather(outcome.task, return_exceptions=True)
        assert outcome.results == ["cleaned up"]

    asyncio.run(run())
