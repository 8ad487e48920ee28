"""What a front had asked for is answered on its own link, or to nobody; streams are let go of, whenever their client leaves."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from penstock.core.errors import ServiceError
from penstock.host.clock import SystemClock
from penstock.host.tasks import LoopTasks
from penstock.server.crew import Crew, Front
from penstock.server.exchange import Answer
from penstock.server.link import Frame, Kind, Link, ask_payload
from penstock.server.traffic import Bounds, Handlers, Patience
from penstock.wire.route import Head

HEAD = Head("GET", "/", {}, {}, ())
WAIT_S = 60


class Nobody:
    """Counts nothing."""

    def observe(self, operation: str, outcome: str, seconds: float) -> None: ...


class Body:
    """A stream that never has a piece, and tells when it is closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def aclose(self) -> None:
        assert not self.closed.is_set(), "it is closed once"
        self.closed.set()


async def linked(front: Front) -> tuple[Link, list[Frame]]:
    """A link for a front, and the other end, with what that one hears."""
    ours, theirs = socket.socketpair()
    heard: list[Frame] = []
    loop = asyncio.get_running_loop()
    other = Link(heard.append, lambda: None)
    front.link = Link(front._hear, front._lose)
    await loop.create_connection(lambda: front.link, sock=ours)
    await loop.create_connection(lambda: other, sock=theirs)
    return other, heard


def front_of(answer: "asyncio.Future[Answer]") -> Front:
    async def handle(head: Head, body: bytes) -> Answer:
        return await answer

    def refuse(head: Head, error: ServiceError) -> Answer:
        raise AssertionError

    handlers = Handlers(handle, refuse, lambda status: Answer(status, [], b""))
    crew = Crew(1, handlers, Nobody(), SystemClock(), LoopTasks(), Patience(), Bounds())
    crew._stopping = True  # no process is to be started
    return Front([], [], crew)


async def turns() -> None:
    for _ in range(20):
        await SystemClock().sleep(0)


def test_answer_when_its_front_was_replaced_is_told_to_nobody() -> None:
    async def run() -> None:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        front = front_of(answer)
        dying, _ = await linked(front)
        dying.say(Kind.ASK, 1, *ask_payload(HEAD, b""))
        await turns()
        dying.close()
        await turns()
        other, heard = await linked(front)
        answer.set_result(Answer(200, [], b"somebody else's"))
        await turns()
        front.link.say(Kind.STOP)
        await turns()
        assert [frame.kind for frame in heard] == [Kind.STOP]
        other.close()
        await turns()

    asyncio.run(run())


@pytest.mark.parametrize("left", ["before it began", "while it waits", "before it was wanted", "with its front"])
def test_stream_when_its_client_leaves_is_closed_once(left: str) -> None:
    async def run() -> None:
        body = Body()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        front = front_of(answer)
        other, _ = await linked(front)
        other.say(Kind.ASK, 1, *ask_payload(HEAD, b""))
        await turns()
        if left == "with its front":
            other.close()
            await turns()
        answer.set_result(Answer(200, [], body))
        await turns()
        if left in ("before it began", "while it waits"):
            other.say(Kind.WANT, 1)
        if left == "while it waits":
            await turns()
        if left != "with its front":
            other.say(Kind.LEAVE, 1)
        async with asyncio.timeout(WAIT_S):
            await body.closed.wait()
        other.close()
        await turns()

    asyncio.run(run())
