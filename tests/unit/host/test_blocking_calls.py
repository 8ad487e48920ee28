"""Calls that block: what they give, and what happens when they do not end."""

import asyncio
import threading

import pytest

from penstock.host.threads import BlockingCalls


def test_call_when_it_hangs_keeps_its_place_and_nobody_waiting() -> None:
    async def scenario() -> None:
        calls, gate = BlockingCalls("test", 1), threading.Event()
        assert await calls.run(lambda: 7, 5) == 7
        with pytest.raises(ValueError, match="its own"):
            await calls.run(lambda: int("its own"), 5)
        with pytest.raises(TimeoutError):
            await calls.run(gate.wait, 0.05)
        with pytest.raises(TimeoutError):
            await calls.run(lambda: 7, 0.05)
        gate.set()
        assert await calls.run(lambda: 8, 5) == 8

    asyncio.run(scenario())


def test_call_when_the_loop_is_gone_is_told_to_nobody() -> None:
    gate, ended = threading.Event(), threading.Event()

    def work() -> None:
        gate.wait()
        ended.set()

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await BlockingCalls("test", 1).run(work, 0.05)

    asyncio.run(scenario())
    gate.set()
    assert ended.wait(5)
