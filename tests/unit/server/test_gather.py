"""Calls that arrive together: one lot a turn, an answer each, and the long way for everything that is not plain."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tapes import Client as Connected
from tapes import turn
from test_connection import on_a_loop

from penstock.server.exchange import Answer
from penstock.server.gather import Gatherer
from penstock.server.traffic import Handlers
from penstock.wire.route import Head

PLACE = b"s"


class Call(NamedTuple):
    """`SMALL <who> <place> <text>`, whole."""

    who: bytes
    place: bytes
    text: bytes

    @property
    def origin(self) -> bytes:
        return self.who + b" " + self.place


class Standing(NamedTuple):
    place: bytes
    headers: tuple[tuple[str, str], ...] = (("x-kind", "small"),)

    def proves(self, call: Call) -> bool:
        return call.text != b"forged"


class Lot:
    """Answers each call in capitals once it may; `lost` is not carried out, `broken` breaks."""

    def __init__(self, small: "Small") -> None:
        self.small = small
        self.texts: list[bytes] = []

    def add(self, call: Call, standing: Standing) -> bool:
        assert standing.place == call.place
        taken = len(self.texts) < 3
        if taken:
            self.texts.append(call.text)
        return taken

    async def carry_out(self) -> Sequence[bytes | None]:
        self.small.told.append(b" ".join(self.texts).decode())
        await self.small.go.wait()
        assert b"broken" not in self.texts
        return [None if text == b"lost" else text.upper() for text in self.texts]


class Small:
    """A kind of calls."""

    operation = "Small"

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.told: list[str] = []  # lots that were begun, callers that were looked up, and what went the long way
        self.counted: list[tuple[str, str]] = []

    def read(self, request: bytes) -> Call | None:
        words = request.split(b" ")
        return Call(*words[1:]) if words[0] == b"SMALL" and len(words) == 4 else None

    def stand(self, call: Call) -> Standing | None:
        self.told.append(f"who is {call.who.decode()}")
        return None if call.who == b"nobody" else Standing(call.place)

    def place(self, standing: Standing) -> bytes:
        return standing.place

    def lot(self, standing: Standing) -> Lot:
        return Lot(self)

    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.counted.append((operation, outcome))


class Hall:
    """Connections to a server that gathers."""

    def __init__(self) -> None:
        self.small = Small()
        self._ids: Iterator[tuple[str, str]] = ((f"id-{number}", f"longer-{number}") for number in range(100))
        gatherer = Gatherer(
            lambda: self.small, self._ids.__next__, self.small, asyncio.get_running_loop().time,
            asyncio.get_running_loop(), 100,
        )  # fmt: skip
        self.handlers = Handlers(
            self._handle,
            lambda _, error: Answer(error.status, [], b""),
            lambda status: Answer(status, [], b""),
            gatherer.take,
        )

    async def _handle(self, head: Head, body: bytes) -> Answer:
        self.small.told.append(f"long {head.path}")
        return Answer(200, [], b"long")

    def arrive(self, *requests: bytes) -> list[Connected]:
        """Each on a connection of its own, in one turn."""
        clients = [Connected(self.handlers) for _ in requests]
        for client, request in zip(clients, requests, strict=True):
            client.connection.data_received(request)
        return clients

    async def settle(self) -> None:
        for _ in range(8):
            await turn()


@on_a_loop
async def test_calls_when_they_arrive_in_one_turn_are_one_lot_and_each_has_its_answer() -> None:
    hall = Hall()
    clients = hall.arrive(b"SMALL a s one", b"SMALL b s two", b"SMALL a s three")
    assert hall.small.told == ["who is a", "who is b"]
    await hall.settle()
    assert hall.small.told[2:] == ["one two three"]
    assert not any(client.tape.written for client in clients)
    hall.small.go.set()
    await hall.settle()
    assert [client.statuses for client in clients] == [[200]] * 3
    assert [client.tape.written.rpartition(b"\r\n\r\n")[2] for client in clients] == [b"ONE", b"TWO", b"THREE"]
    assert (
        b"\r\nx-kind: small\r\nx-amzn-RequestId: id-1\r\nx-amz-id-2: longer-1\r\nserver: Penstock\r\n"
        in clients[1].tape.written
    )
    assert hall.small.counted == [("Small", "ok")] * 3


@on_a_loop
async def test_caller_when_the_turn_is_over_is_looked_up_again() -> None:
    hall = Hall()
    hall.small.go.set()
    for _ in range(2):
        hall.arrive(b"SMALL a s one", b"SMALL a s two")
        await hall.settle()
    assert hall.small.told == ["who is a", "one two"] * 2


@on_a_loop
async def test_calls_when_a_lot_is_under_way_are_the_next_one_and_other_places_do_not_wait() -> None:
    hall = Hall()
    [first] = hall.arrive(b"SMALL a s one")
    await hall.settle()
    [second] = hall.arrive(b"SMALL a s two")
    await hall.settle()
    [elsewhere, third] = hall.arrive(b"SMALL a t other", b"SMALL a s three")
    await hall.settle()
    assert hall.small.told == ["who is a", "one", "who is a", "who is a", "who is a", "other"]
    hall.small.go.set()
    await hall.settle()
    assert hall.small.told[6:] == ["two three"]
    assert [each.statuses for each in (first, second, third, elsewhere)] == [[200]] * 4


@on_a_loop
async def test_call_when_it_is_not_plain_goes_the_long_way_at_once() -> None:
    hall = Hall()
    usual = b"POST /%b HTTP/1.1\r\nHost: x\r\n\r\n"
    hall.small.read = lambda request: Call(*request.split(b" ")[1][1:].split(b"-"))  # type: ignore[method-assign]
    clients = hall.arrive(
        usual % b"nobody-s-x",
        usual % b"a-s-forged",
        usual % b"a-s-good",
        b"GET /long HTTP/1.1\r\nX: " + bytes([65]) * 99 + b"\r\n\r\n",
    )
    assert [client.statuses for client in clients] == [[200], [200], [], [200]]
    assert [each for each in hall.small.told if "long" in each] == [
        "long /nobody-s-x",
        "long /a-s-forged",
        "long /long",
    ]


@on_a_loop
async def test_call_when_the_lot_is_full_goes_the_long_way() -> None:
    hall = Hall()
    hall.small.read = lambda request: Call(b"a", PLACE, b"x")  # type: ignore[method-assign]
    clients = hall.arrive(*[b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(4)])
    assert [client.statuses for client in clients] == [[], [], [], [200]]


@on_a_loop
async def test_call_when_it_was_not_carried_out_goes_the_long_way_with_what_came_behind_it() -> None:
    hall = Hall()
    hall.small.read = lambda request: Call(b"a", PLACE, b"lost")  # type: ignore[method-assign]
    [client] = hall.arrive(b"GET /first HTTP/1.1\r\n\r\n")
    hall.small.read = lambda request: None  # type: ignore[method-assign]
    client.connection.data_received(b"GET /second HTTP/1.1\r\n\r\nGET /thi")
    assert not client.tape.reading
    hall.small.go.set()
    await hall.settle()
    client.connection.data_received(b"rd HTTP/1.1\r\n\r\n")
    await hall.settle()
    assert hall.small.told[2:] == ["long /first", "long /second", "long /third"]
    assert client.statuses == [200] * 3


@on_a_loop
async def test_lot_when_it_breaks_ends_its_connections_and_the_next_is_carried_out() -> None:
    hall = Hall()
    hall.small.go.set()
    [one, two] = hall.arrive(b"SMALL a s broken", b"SMALL a s fine")
    await hall.settle()
    assert [(each.statuses, each.tape.ended) for each in (one, two)] == [([500], True)] * 2
    [three] = hall.arrive(b"SMALL a s fine")
    await hall.settle()
    assert three.statuses == [200]


@on_a_loop
async def test_client_when_it_has_left_costs_the_others_nothing() -> None:
    hall = Hall()
    [gone, lost, here] = hall.arrive(b"SMALL a s one", b"SMALL a s lost", b"SMALL a s two")
    for each in (gone, lost):
        each.connection.connection_lost(None)
    hall.small.go.set()
    await hall.settle()
    assert [each.statuses for each in (gone, lost, here)] == [[], [], [200]]


@on_a_loop
async def test_answer_when_the_server_stops_says_that_it_is_the_last() -> None:
    hall = Hall()
    [client] = hall.arrive(b"SMALL a s one")
    client.connection.end()
    hall.small.go.set()
    await hall.settle()
    assert (client.statuses, client.tape.closed) == ([200], True)
    assert b"\r\nconnection: close\r\n" in client.tape.written
