"""A thread for work in order."""

import asyncio
import threading

import pytest

from penstock.host.threads import WorkThread


def test_work_when_given_at_once_is_done_in_order_on_one_thread() -> None:
    async def scenario() -> None:
        thread, seen = WorkThread("test-work"), list[tuple[int, str]]()

        def note(number: int) -> None:
            seen.append((number, threading.current_thread().name))

        await asyncio.gather(*(thread.run(lambda number=number: note(number)) for number in range(100)))  # type: ignore[misc]
        assert seen == [(number, "test-work") for number in range(100)]
        thread.close()

    asyncio.run(scenario())


def test_work_when_it_raises_then_its_caller_hears_it_and_the_thread_goes_on() -> None:
    def fail() -> None:
        raise OSError("of the test")

    async def scenario() -> None:
        thread, done = WorkThread("test-work"), threading.Event()
        with pytest.raises(OSError, match="of the test"):
            await thread.run(fail)
        await thread.run(done.set)
        assert done.is_set()
        thread.close()

    asyncio.run(scenario())


def test_work_when_its_caller_or_the_loop_is_gone_is_done_all_the_same_before_it_closes() -> None:
    thread, gate, done = WorkThread("test-work"), threading.Event(), threading.Event()

    def wait() -> None:
        gate.wait()

    async def scenario() -> None:
        waiting = [asyncio.get_running_loop().create_task(thread.run(work)) for work in (wait, done.set)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.gather(*waiting)

    asyncio.run(scenario())
    gate.set()
    thread.close()
    assert done.is_set()
