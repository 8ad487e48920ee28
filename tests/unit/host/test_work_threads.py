"""Threads for work beside the loop."""

import asyncio
import gc
import threading
import weakref

import pytest

from penstock.host.threads import WorkThreads


def test_work_when_given_at_once_is_done_in_order_on_one_thread() -> None:
    async def scenario() -> None:
        thread, seen = WorkThreads("test-work", 1), list[tuple[int, str]]()

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
        thread, done = WorkThreads("test-work", 1), threading.Event()
        with pytest.raises(OSError, match="of the test"):
            await thread.run(fail)
        await thread.run(done.set)
        assert done.is_set()
        thread.close()

    asyncio.run(scenario())


def test_work_when_its_caller_or_the_loop_is_gone_is_done_all_the_same_before_it_closes() -> None:
    thread, gate, done = WorkThreads("test-work", 1), threading.Event(), threading.Event()

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


def test_work_when_there_are_several_threads_is_done_side_by_side_and_answers() -> None:
    async def scenario() -> None:
        threads, meeting = WorkThreads(count=2), threading.Barrier(2, timeout=60)
        assert sorted(await asyncio.gather(threads.run(meeting.wait), threads.run(meeting.wait))) == [0, 1]
        threads.close()
        with pytest.raises(AssertionError):
            await threads.run(meeting.wait)

    asyncio.run(scenario())


def test_work_when_it_is_done_is_let_go_of_before_more_comes() -> None:
    class Large:
        def work(self) -> "Large":
            return Large()

    async def scenario() -> None:
        threads = WorkThreads(count=1)
        large = Large()
        held = [weakref.ref(large), weakref.ref(await threads.run(large.work))]
        del large
        async with asyncio.timeout(60):
            while any(each() is not None for each in held):
                gc.collect()
                await turn()
        threads.close()

    asyncio.run(scenario())


async def turn() -> None:
    """One turn of the loop."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done
