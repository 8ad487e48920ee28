"""Long bodies, written by a thread of the front: as they go out where nothing is sent but by the transport."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from threading import enumerate as enumerate_threads

import pytest
from fronts import GET, Front, Handle, front, read_all, read_answer

from penstock.server.exchange import Answer
from penstock.server.listener import Patience
from penstock.server.sending import turn
from penstock.wire.nativeoutlets import Outlet
from penstock.wire.operation import LongBody
from penstock.wire.route import Head

BODY = b"0123456789" * 100_000


def answering(send: Callable[[Callable[[int], bytes]], bytes]) -> Handle:
    """A handler whose answer's body is written by `send`; what the head says comes first."""

    async def handle(head: Head, _: bytes) -> Answer:
        assert head.takes_long

        def without_outlet(head_of: Callable[[int], bytes], _outlet: Outlet | None) -> bytes:
            return send(head_of)

        return Answer(200, [("x-said", head.path)], LongBody(without_outlet))

    return handle


async def refused(there: Front) -> None:
    """Be told off, which needs no handler."""
    reader, writer = await there.connect()
    writer.write(b"no request\r\n\r\n")
    assert b" 400 " in await read_all(reader)
    writer.close()


whole = answering(lambda head_of: head_of(len(BODY)) + BODY)


def test_long_body_when_it_is_left_to_the_transport_is_an_answer_with_a_length() -> None:
    async def run() -> None:
        async with front(whole) as there:
            reader, writer = await there.connect()
            for path in (b"/first", b"/second"):  # on the connection that stays
                writer.write(GET.replace(b"/ ", path + b" "))
                head, body = await read_answer(reader)
                assert body == BODY
                assert b"x-said: " + path in head
            writer.close()

    asyncio.run(run())


def test_long_body_when_requests_come_together_is_sent_in_their_order() -> None:
    async def run() -> None:
        async with front(whole) as there:
            reader, writer = await there.connect()
            writer.write(GET.replace(b"/ ", b"/first ") + GET.replace(b"/ ", b"/second "))
            for path in (b"/first", b"/second"):
                head, body = await read_answer(reader)
                assert b"x-said: " + path in head
                assert body == BODY
            writer.close()

    asyncio.run(run())


def test_long_body_when_the_client_speaks_http_1_0_is_followed_by_the_end() -> None:
    async def run() -> None:
        async with front(whole) as there:
            reader, writer = await there.connect()
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            said = await read_all(reader)
            head, _, body = said.partition(b"\r\n\r\n")
            assert body == BODY
            assert b"content-length: 1000000" in head
            assert b"connection: close" in head
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize(("error", "logged"), [(BrokenPipeError(), 0), (ValueError("a bug"), 1)])
def test_long_body_when_it_cannot_be_written_ends_the_connection(
    error: Exception, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        def fail(_: Callable[[int], bytes]) -> bytes:
            raise error

        async with front(answering(fail)) as there:
            reader, writer = await there.connect()
            writer.write(GET)
            with suppress(ConnectionResetError):  # or an end: the kernel's choice
                assert await read_all(reader) == b""
            writer.close()

    asyncio.run(run())
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == logged


def test_long_body_when_the_client_has_gone_meanwhile_is_let_go() -> None:
    async def run() -> None:
        loop, begun, gone = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

        def wait(head_of: Callable[[int], bytes]) -> bytes:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(gone.wait(), loop).result()
            return head_of(len(BODY)) + BODY

        async with front(answering(wait)) as there:
            _, writer = await there.connect()
            writer.write(GET)
            await begun.wait()
            writer.transport.abort()
            await refused(there)  # so that the news has arrived
            gone.set()
            await refused(there)

    asyncio.run(run())


def test_front_when_it_stops_sends_a_long_body_that_is_being_written() -> None:
    async def run() -> None:
        loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

        def wait(head_of: Callable[[int], bytes]) -> bytes:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            return head_of(len(BODY)) + BODY

        async with front(answering(wait), Patience(stop_s=60)) as there:
            reader, writer = await there.connect()
            writer.write(GET)
            await begun.wait()
            stopping = loop.create_task(there.listener.stop())
            await turn()
            go_on.set()
            assert (await read_answer(reader))[1] == BODY
            await stopping
            assert not [thread for thread in enumerate_threads() if thread.name == "penstock-send"]
            writer.close()

    asyncio.run(run())
