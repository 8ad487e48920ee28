"""Calls that arrive together: one lot a turn, an answer each, and the long way for everything that is not plain."""

import asyncio
import gc
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from tapes import Client as Connected
from tapes import turn
from test_connection import on_a_loop

from penstock.server.exchange import ID_DRAWN_BYTES, Answer
from penstock.server.gather import PILE_MAX_BYTES, PILE_MAX_CALLS, Gatherer
from penstock.server.traffic import Handlers
from penstock.wire.route import Head


class Call(NamedTuple):
    """`SMALL <who> <place> <text>`, whole."""

    request: bytes
    who: bytes
    place: bytes
    text: bytes


class Ready(NamedTuple):
    """An answer in capitals; what was drawn for its ids names it."""

    text: bytes
    drawn: bytes

    def whole(self, lines: str) -> bytes:
        return b"HTTP/1.1 200 OK\r\nx-whole: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
            self.drawn[:1],
            lines.encode(),
            len(self.text),
            self.text,
        )

    @property
    def parts(self) -> tuple[list[tuple[str, str]], bytes]:
        return [("x-kind", "small")], self.text


class Lot:
    """Answers each call in capitals once it may, at once where one is `quick`; `lost` is not carried out, `broken` breaks."""

    def __init__(self, small: "Small", texts: list[bytes]) -> None:
        self.small = small
        self.texts = texts

    async def carry_out(self, drawn: bytes) -> Sequence[Ready | None]:
        self.small.told.append(b" ".join(self.texts).decode())
        if b"quick" not in self.texts:
            await self.small.go.wait()
        assert b"broken" not in self.texts
        ids = [drawn[at : at + ID_DRAWN_BYTES] for at in range(0, len(drawn), ID_DRAWN_BYTES)]
        rows = zip(self.texts, ids, strict=True)
        return [None if text == b"lost" else Ready(text.upper(), each) for text, each in rows]


class Small:
    """A kind of calls."""

    operation = "Small"

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.told: list[str] = []  # lots that were begun, callers that were looked up, and what went the long way
        self.counted: list[tuple[str, str, int]] = []
        self.barred = {b"nobody"}
        self._drawn = 0

    def read(self, request: bytes) -> Call | None:
        words = request.split(b" ")
        return Call(request, *words[1:]) if words[0] == b"SMALL" and len(words) == 4 else None

    def lots(self, calls: Sequence[Call]) -> Sequence[tuple[Lot, Sequence[int]]]:
        self.told += [f"who is {who.decode()}" for who in dict.fromkeys(call.who for call in calls)]
        fine = [n for n, call in enumerate(calls) if call.who not in self.barred and call.text != b"forged"]
        lots = []
        for of in dict.fromkeys(calls[number].place for number in fine):
            places = [number for number in fine if calls[number].place == of]
            lots.append((Lot(self, [calls[number].text for number in places]), places))
        return lots

    def draw(self, count: int) -> bytes:
        """As many bytes of `1`, the next time of `2`, and so on."""
        self._drawn += 1
        return str(self._drawn).encode() * count

    def observe_all(self, operation: str, outcome: str, seconds: Sequence[float]) -> None:
        assert all(each >= 0 for each in seconds)
        self.counted.append((operation, outcome, len(seconds)))


class Hall:
    """Connections to a server that gathers."""

    def __init__(self) -> None:
        self.small = Small()
        self.kind: Small | None = self.small
        loop = asyncio.get_running_loop()
        gatherer = Gatherer(lambda: self.kind, self.small.draw, self.small, loop.time, loop, 100)
        self.handlers = Handlers(
            self._handle,
            lambda _, error: Answer(error.status, [], b""),
            lambda status: Answer(status, [], b""),
            gatherer.take,
        )

    async def _handle(self, head: Head, body: bytes) -> Answer:
        self.small.told.append(f"long {head.path}")
        return Answer(200, [], b"long")

    def read_paths(self) -> None:
        """Take `GET /<who>-<place>-<text>` for a call."""
        self.small.read = lambda request: Call(request, *request.split(b" ")[1][1:].split(b"-"))  # type: ignore[method-assign]

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
    assert hall.small.told == []
    await hall.settle()
    assert hall.small.told == ["who is a", "who is b", "one two three"]
    assert not any(client.tape.written for client in clients)
    hall.small.go.set()
    await hall.settle()
    assert [client.statuses for client in clients] == [[200]] * 3
    assert [client.tape.written.rpartition(b"\r\n\r\n")[2] for client in clients] == [b"ONE", b"TWO", b"THREE"]
    assert b"\r\nx-whole: 1\r\nserver: Penstock\r\n" in clients[1].tape.written
    assert hall.small.counted == [("Small", "ok", 3)]


@on_a_loop
async def test_caller_when_the_pile_is_taken_up_is_looked_up_again() -> None:
    hall = Hall()
    hall.small.go.set()
    for _ in range(2):
        hall.arrive(b"SMALL a s one", b"SMALL a s two")
        await hall.settle()
    assert hall.small.told == ["who is a", "one two"] * 2


@on_a_loop
async def test_calls_while_lots_are_under_way_are_the_next_ones() -> None:
    hall = Hall()
    first = hall.arrive(b"SMALL a s one", b"SMALL a t two")
    await hall.settle()
    second = hall.arrive(b"SMALL a s three")
    await hall.settle()
    second += hall.arrive(b"SMALL a s four", b"SMALL a t five")
    await hall.settle()
    assert hall.small.told == ["who is a", "one", "two"]
    hall.small.go.set()
    await hall.settle()
    assert hall.small.told[3:] == ["who is a", "three four", "five"]
    assert [each.statuses for each in first + second] == [[200]] * 5


@on_a_loop
async def test_calls_when_lots_end_as_they_begin_are_each_answered_once() -> None:
    hall = Hall()
    for _ in range(2):
        clients = hall.arrive(b"SMALL a s quick", b"SMALL a t quick")
        await hall.settle()
        assert [each.statuses for each in clients] == [[200]] * 2
    assert hall.small.told == ["who is a", "quick", "quick"] * 2


@on_a_loop
async def test_pile_when_only_some_lots_of_the_one_before_have_ended_waits() -> None:
    hall = Hall()
    [quick, *slow] = hall.arrive(b"SMALL a t quick", *[b"SMALL a s x"] * PILE_MAX_CALLS)
    await hall.settle()
    assert hall.small.told == ["who is a", "quick", " ".join("x" * (PILE_MAX_CALLS - 1))]
    assert [each.statuses for each in (quick, slow[0])] == [[200], []]
    hall.small.go.set()
    await hall.settle()
    assert hall.small.told[3:] == ["who is a", "x"]
    assert [each.statuses for each in slow] == [[200]] * PILE_MAX_CALLS


@on_a_loop
async def test_caller_when_they_are_barred_while_their_call_waits_goes_the_long_way() -> None:
    hall = Hall()
    hall.read_paths()
    [first] = hall.arrive(b"GET /a-s-one HTTP/1.1\r\n\r\n")
    await hall.settle()
    [second] = hall.arrive(b"GET /b-s-two HTTP/1.1\r\n\r\n")
    hall.small.barred.add(b"b")
    hall.small.go.set()
    await hall.settle()
    assert hall.small.told == ["who is a", "one", "who is b", "long /b-s-two"]
    assert [each.statuses for each in (first, second)] == [[200]] * 2


@on_a_loop
async def test_call_when_it_is_not_plain_goes_the_long_way() -> None:
    hall = Hall()
    usual = b"POST /%b HTTP/1.1\r\nHost: x\r\n\r\n"
    hall.read_paths()
    clients = hall.arrive(
        usual % b"nobody-s-x",
        usual % b"a-s-forged",
        usual % b"a-s-good",
        b"GET /long HTTP/1.1\r\nX: " + bytes([65]) * 99 + b"\r\n\r\n",
    )
    assert hall.small.told == ["long /long"]
    await hall.settle()
    assert [client.statuses for client in clients] == [[200], [200], [], [200]]
    assert hall.small.told[-2:] == ["long /nobody-s-x", "long /a-s-forged"]


@on_a_loop
async def test_pile_when_none_of_it_is_fine_keeps_nobody_waiting() -> None:
    hall = Hall()
    hall.read_paths()
    for _ in range(2):
        clients = hall.arrive(*[b"GET /nobody-s-x HTTP/1.1\r\n\r\n"] * (PILE_MAX_CALLS + 1))
        await hall.settle()
        assert [client.statuses for client in clients] == [[200]] * (PILE_MAX_CALLS + 1)
    assert len(hall.small.told) == 2 * (PILE_MAX_CALLS + 1) + 4


@pytest.mark.parametrize(("request_bytes", "most"), [(13, PILE_MAX_CALLS), (PILE_MAX_BYTES // 4, 4)])
@on_a_loop
async def test_pile_when_it_is_too_high_is_taken_up_in_parts(request_bytes: int, most: int) -> None:
    hall = Hall()
    hall.small.read = lambda request: Call(bytes(request_bytes), b"a", b"s", b"x")  # type: ignore[method-assign]
    clients = hall.arrive(*[b"SMALL a s one"] * (most + 1))
    await hall.settle()
    assert hall.small.told == ["who is a", " ".join("x" * most)]
    hall.small.go.set()
    await hall.settle()
    assert hall.small.told[2:] == ["who is a", "x"]
    assert [client.statuses for client in clients] == [[200]] * (most + 1)


@on_a_loop
async def test_call_when_its_kind_is_gone_before_it_is_taken_up_goes_the_long_way() -> None:
    hall = Hall()
    hall.read_paths()
    [client] = hall.arrive(b"GET /a-s-one HTTP/1.1\r\n\r\n")
    hall.kind = None
    await hall.settle()
    assert hall.small.told == ["long /a-s-one"]
    assert client.statuses == [200]


@on_a_loop
async def test_answer_when_the_client_takes_nothing_keeps_the_next_call_until_it_does() -> None:
    hall = Hall()
    hall.read_paths()
    hall.small.go.set()
    [client] = hall.arrive(b"GET /a-s-one HTTP/1.1\r\n\r\n")
    client.connection.pause_writing()
    await hall.settle()
    client.connection.data_received(b"GET /a-s-two HTTP/1.1\r\n\r\n")
    await hall.settle()
    assert client.statuses == [200]
    client.connection.resume_writing()
    await hall.settle()
    assert client.statuses == [200, 200]


@on_a_loop
async def test_call_when_it_was_not_carried_out_goes_the_long_way_with_what_came_behind_it() -> None:
    hall = Hall()
    hall.small.read = lambda request: Call(request, b"a", b"s", b"lost")  # type: ignore[method-assign]
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
async def test_pile_when_it_cannot_be_looked_at_goes_the_long_way() -> None:
    hall = Hall()
    hall.read_paths()

    def lots(_: Sequence[Call]) -> Sequence[tuple[Lot, Sequence[int]]]:
        raise AssertionError

    hall.small.lots = lots  # type: ignore[method-assign, assignment]
    clients = hall.arrive(b"GET /a-s-one HTTP/1.1\r\nhost: h\r\n\r\n", b"GET /b-s-two HTTP/1.1\r\nhost: h\r\n\r\n")
    await hall.settle()
    assert hall.small.told == ["long /a-s-one", "long /b-s-two"]
    assert [client.statuses for client in clients] == [[200], [200]]


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
async def test_calls_when_they_are_answered_are_let_go_of_at_once() -> None:
    hall = Hall()
    gc.disable()
    try:
        hall.arrive(b"SMALL a s one", b"SMALL a s lost")
        await hall.settle()
        hall.small.go.set()
        await hall.settle()
        assert not [each for each in gc.get_objects() if isinstance(each, Call)]
    finally:
        gc.enable()


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
