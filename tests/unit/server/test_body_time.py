"""The time that a body over HTTP/2 may take: it grows with what comes, and one timer keeps it."""

import asyncio

import pytest

from penstock.host.sim.loop import SimLoop
from penstock.server.exchange import Answer
from penstock.server.place import Place
from penstock.server.traffic import Handlers, Patience, Traffic
from penstock.wire.route import Head

PATIENCE = Patience(body_s=2.0, body_bytes_per_s=1000)
HEAD = Head("POST", "/", {}, {}, ())


async def nobody(_head: Head, _body: bytes) -> Answer:
    raise AssertionError("nothing is handled here")


def a_place() -> Place:
    handlers = Handlers(nobody, lambda _head, _error: Answer(400, [], b""), lambda status: Answer(status, [], b""))
    return Place(Traffic(handlers, PATIENCE), HEAD)


def test_limit_when_nothing_comes_then_it_is_over_when_it_is_due() -> None:
    loop = SimLoop()

    async def scenario() -> None:
        began_s, place = loop.time(), a_place()
        with pytest.raises(TimeoutError), place.limited():
            await loop.create_future()
        assert loop.time() - began_s == pytest.approx(2.0, abs=0.01)

    loop.run(scenario())


def test_limit_when_more_comes_then_there_is_more_time_for_the_rest() -> None:
    loop = SimLoop()

    async def scenario() -> None:
        began_s, place = loop.time(), a_place()

        def arrive() -> None:
            place.size += 3000

        loop.call_later(1.9, arrive)
        with pytest.raises(TimeoutError), place.limited():
            await loop.create_future()
        assert loop.time() - began_s == pytest.approx(5.0, abs=0.01)

    loop.run(scenario())


def test_limit_when_the_body_is_whole_then_nobody_is_interrupted_later() -> None:
    loop = SimLoop()

    async def scenario() -> None:
        with a_place().limited():
            pass
        later = loop.create_future()
        loop.call_later(60, later.set_result, None)
        await later

    loop.run(scenario())


def test_limit_when_who_waits_is_cancelled_then_that_is_no_timeout() -> None:
    loop = SimLoop()

    async def wait() -> None:
        with a_place().limited():
            await loop.create_future()

    async def scenario() -> None:
        task = loop.create_task(wait())
        loop.call_later(0.5, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.run(scenario())
