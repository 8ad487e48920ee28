"""Inbox: what other services say is written a little later, in order, and never at their expense."""

import asyncio
from collections.abc import Sequence

import pytest

from penstock.core.log_errors import LogError
from penstock.engines.api import MetaUnavailable
from penstock.host.clock import TestClock
from penstock.host.tasks import LoopTasks
from penstock.services.logs import inbox as inbox_module
from penstock.services.logs.events import Told
from penstock.services.logs.inbox import FLUSH_MS, MESSAGE_MAX_BYTES, Inbox, Target

A = Target("1", "r", "g", "a")
B = Target("1", "r", "g", "b")


class Written:
    """Notes what is written; refuses as it is told."""

    def __init__(self) -> None:
        self.batches: list[tuple[Target, list[Told]]] = []
        self.refusals: list[Exception] = []

    async def __call__(self, target: Target, batch: Sequence[Told]) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.batches.append((target, list(batch)))


async def turns() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(20):
        done = loop.create_future()
        loop.call_soon(done.set_result, None)
        await done


def test_put_when_time_passes_then_each_stream_gets_one_batch_in_the_order_of_time() -> None:
    async def run() -> None:
        written, clock, tasks = Written(), TestClock(), LoopTasks()
        clock.stand()
        inbox = Inbox(written, clock, tasks)
        assert not tasks._running
        inbox.put(A, 5, "late")
        inbox.put(B, 1, "other")
        inbox.put(A, 3, "early")
        inbox.put(A, -7, "before all time")
        await turns()
        assert not written.batches
        clock.advance(FLUSH_MS)
        await turns()
        assert written.batches == [(A, [(0, "before all time"), (3, "early"), (5, "late")]), (B, [(1, "other")])]
        assert not tasks._running, "nothing to do, no task"
        inbox.put(A, 6, "again")
        await inbox.flush()
        assert written.batches[-1] == (A, [(6, "again")])
        await tasks.stop()

    asyncio.run(run())


def test_flush_when_storage_is_away_then_what_was_not_written_is_kept_and_nothing_is_written_twice() -> None:
    async def run() -> None:
        written, clock, tasks = Written(), TestClock(), LoopTasks()
        clock.stand()
        inbox = Inbox(written, clock, tasks)
        for number, target in enumerate((A, B, A)):
            inbox.put(target, number, str(number))
        written.refusals = [MetaUnavailable("full")]
        clock.advance(0)
        await turns()
        clock.advance(FLUSH_MS)
        await turns()
        assert not written.batches
        clock.advance(FLUSH_MS)
        await turns()
        assert written.batches == [(A, [(0, "0"), (2, "2")]), (B, [(1, "1")])]
        assert inbox.dropped == 0
        written.refusals = [LogError.NO_GROUP()]
        inbox.put(A, 9, "lost")
        inbox.put(B, 9, "not lost")
        await inbox.flush()
        assert written.batches[-1] == (B, [(9, "not lost")])
        await tasks.stop()

    asyncio.run(run())


def test_put_when_there_is_too_much_then_the_oldest_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr(inbox_module, "PENDING_MAX_BYTES", 1000)
        written, tasks = Written(), LoopTasks()
        inbox = Inbox(written, TestClock(), tasks)
        for number in range(100):
            inbox.put(A, number, "x" * 74)
        assert inbox.dropped == 90
        await inbox.flush()
        assert [at_ms for at_ms, _ in written.batches[0][1]] == list(range(90, 100))
        inbox.put(A, 1, "\ud800" + "é" * MESSAGE_MAX_BYTES)
        assert inbox.dropped == 91, "alone too much"
        monkeypatch.setattr(inbox_module, "PENDING_MAX_BYTES", 8 << 20)
        inbox.put(A, 1, "\ud800" + "é" * MESSAGE_MAX_BYTES)
        await inbox.flush()
        [(_, [(_, message)])] = written.batches[1:]
        assert message.startswith("?é")
        assert MESSAGE_MAX_BYTES - 1 <= len(message.encode()) <= MESSAGE_MAX_BYTES
        await tasks.stop()

    asyncio.run(run())
