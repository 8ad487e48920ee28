"""A connection: phases, order, deadlines, back-pressure, and its end."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps

import pytest
from tapes import Client, turn

from penstock.core.limits import HEAD_MAX_BYTES, MIB, REQUEST_BODY_MAX_BYTES
from penstock.server.exchange import Answer
from penstock.server.room import BodyRoom
from penstock.server.traffic import SMALL_BODY_BYTES, Handlers, Patience
from penstock.wire.route import Head

GET = b"GET /a HTTP/1.1\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
BIG = b"POST /big HTTP/1.1\r\nContent-Length: %d\r\n\r\n"


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @wraps(test)
    def run(**arguments: object) -> None:
        asyncio.run(test(**arguments))  # type: ignore[arg-type]

    return run


class Waiting:
    """A handler that answers when told."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.go = asyncio.Event()

    async def handle(self, head: Head, _: bytes) -> Answer:
        self.begun += 1
        await self.go.wait()
        self.ended += 1
        return Answer(200, [], head.path.encode())

    def client(self, patience: Patience | None = None) -> Client:
        reject = lambda status: Answer(status, [], b"")  # noqa: E731
        return Client(Handlers(self.handle, lambda _, error: Answer(error.status, [], b""), reject), patience)


@on_a_loop
async def test_request_when_whole_is_answered_before_anything_else_runs() -> None:
    client = Client()
    client.connection.data_received(POST)
    assert client.statuses == [200]
    assert client.seen == [("POST", "/b", b"body")]
    assert client.tape.written.endswith(b"\r\ncontent-length: 4\r\n\r\nbody")


@on_a_loop
async def test_requests_when_the_handler_waits_are_handled_one_after_the_other() -> None:
    waiting = Waiting()
    client = waiting.client()
    client.connection.data_received(GET * 3)
    client.connection.data_received(GET)
    assert (waiting.begun, client.tape.reading) == (1, False)
    waiting.go.set()
    for _ in range(20):
        await turn()
    assert (client.statuses, client.tape.reading) == ([200] * 4, True)


@on_a_loop
async def test_request_when_the_client_ends_its_side_is_answered_and_then_closed() -> None:
    waiting = Waiting()
    client = waiting.client()
    client.connection.data_received(GET * 2)
    assert client.connection.eof_received() is True
    waiting.go.set()
    for _ in range(10):
        await turn()
    assert (client.statuses, client.tape.closed) == ([200, 200], True)


@on_a_loop
async def test_handler_when_the_client_leaves_ends_what_it_does() -> None:
    waiting = Waiting()
    client = waiting.client()
    client.connection.data_received(GET)
    client.connection.connection_lost(ConnectionResetError())
    waiting.go.set()
    for _ in range(5):
        await turn()
    assert (waiting.ended, client.tape.written) == (1, b"")


@on_a_loop
async def test_handler_when_it_raises_is_a_500_without_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: Head, body: bytes) -> Answer:
        if body:
            await turn()
        raise RuntimeError("of the test")

    for sent in (GET, POST):
        client = Client(Handlers(fail, lambda _, error: Answer(error.status, [], b""), lambda s: Answer(s, [], b"")))
        await client.send(sent)
        assert client.statuses == [500]
        assert b"of the test" not in client.tape.written
    assert caplog.text.count("a request could not be answered") == 2


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("option", [b"", b"close", b"keep-alive", b"Upgrade, HTTP2-Settings", b"keep-alive, Close"])
@on_a_loop
async def test_connection_when_asked_is_kept_or_closed(version: bytes, option: bytes) -> None:
    client = Client()
    await client.send(b"GET / HTTP/" + version + b"\r\nConnection: " + option + b"\r\nUpgrade: h2c\r\n\r\n")
    kept = b"lose" not in option and (version == b"1.1" or option == b"keep-alive")
    assert client.statuses == [200]
    assert client.tape.closed is not kept
    assert (b"connection: close" in client.tape.written) is not kept
    assert (b"connection: keep-alive" in client.tape.written) is (kept and version == b"1.0")


@on_a_loop
async def test_head_when_asked_for_has_the_length_and_no_body() -> None:
    client = Client()
    await client.send(POST.replace(b"POST", b"HEAD"))
    assert client.tape.written.endswith(b"content-length: 4\r\n\r\n")


@on_a_loop
async def test_body_when_the_client_waits_for_our_word_is_asked_for() -> None:
    client = Client()
    head, _, body = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n").partition(b"\r\n\r\n")
    await client.send(head + b"\r\n\r\n")
    assert client.tape.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(body)
    assert client.statuses == [100, 200]
    await client.send(head + b"\r\n\r\n" + body)
    assert client.statuses == [100, 200, 200]  # it did not wait, so that nothing need be said
    await client.send(BIG % (REQUEST_BODY_MAX_BYTES + 1))
    assert client.statuses[3:] == [413]


@pytest.mark.parametrize("late", ["idle", "head", "body", "chunks"])
@on_a_loop
async def test_client_when_late_is_told_if_it_had_begun_and_hung_up_on(late: str) -> None:
    client = Client()
    chunks = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
    sent = {"idle": b"", "head": GET[:9], "body": POST[:-1], "chunks": chunks}[late]
    await client.send(sent)
    allowed = client.traffic.patience.idle_s if late == "idle" else client.traffic.patience.head_s
    assert client.connection.due_s - client.traffic.now_s() == pytest.approx(allowed, abs=1)
    client.connection.expire()
    assert client.statuses == ([] if late == "idle" else [408])
    if late != "idle":
        assert client.tape.ended
        client.connection.expire()  # it lingered for long enough
    assert client.tape.closed


@on_a_loop
async def test_body_when_it_comes_is_given_time_in_proportion() -> None:
    client = Client()
    began_s = client.traffic.now_s()
    await client.send(BIG % MIB, bytes(MIB // 2))
    patience = client.traffic.patience
    allowed_s = patience.body_s + MIB / 2 / patience.body_bytes_per_s
    assert client.connection.due_s - began_s == pytest.approx(allowed_s, abs=1)


@on_a_loop
async def test_body_when_it_begins_behind_its_head_and_ends_before_another_is_cut_there() -> None:
    client = Client()
    await client.send(b"POST /b HTTP/1.1\r\nContent-Length: 12\r\n\r\n0123", b"4567", b"89ab" + GET)
    assert client.seen == [("POST", "/b", b"0123456789ab"), ("GET", "/a", b"")]


@on_a_loop
async def test_handler_when_it_takes_long_is_not_the_clients_lateness() -> None:
    client = Waiting().client()
    await client.send(GET)
    assert client.connection.due_s > client.traffic.now_s() + 1e9


@on_a_loop
async def test_client_when_it_takes_nothing_is_waited_for_while_it_moves_and_then_left() -> None:
    client = Client()
    client.connection.pause_writing()
    await client.send(GET)
    assert client.statuses == [200]
    client.tape.buffered_bytes = 100
    client.connection.pause_writing()
    await client.send(GET)
    assert client.statuses == [200]  # the next is looked at when the first has been taken
    client.tape.buffered_bytes = 50
    client.connection.expire()
    assert not client.tape.closed
    client.connection.expire()
    assert client.tape.closed


@on_a_loop
async def test_requests_when_an_answer_was_not_taken_wait_until_it_is() -> None:
    client = Client()
    client.connection.pause_writing()
    await client.send(GET)
    await client.send(GET)
    assert client.statuses == [200]
    client.connection.resume_writing()
    await turn()
    assert client.statuses == [200, 200]


@on_a_loop
async def test_large_bodies_when_there_is_no_room_wait_unread_in_order() -> None:
    client = Client()
    client.traffic.room = BodyRoom(MIB)
    assert client.traffic.room.ask(None, "", MIB, lambda: None)
    await client.send(BIG % (MIB // 2) + b"early")
    assert not client.reads()
    assert not client.traffic.room.ask("another", "", 1, lambda: None)
    client.traffic.room.give_back("", MIB)
    await turn()
    assert client.reads()
    await client.send(bytes(MIB // 2 - 5))
    assert client.statuses == [200]
    assert client.seen[0][2] == b"early" + bytes(MIB // 2 - 5)
    assert client.traffic.room.ask(None, "other", MIB - 1, lambda: None)  # all was given back


@on_a_loop
async def test_chunks_when_they_grow_large_ask_for_room_too() -> None:
    client = Client()
    client.traffic.room = BodyRoom(REQUEST_BODY_MAX_BYTES)
    assert client.traffic.room.ask(None, "", 1, lambda: None)
    chunk = b"%x\r\n%b\r\n" % (SMALL_BODY_BYTES, bytes(SMALL_BODY_BYTES))
    await client.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
    assert client.reads()
    client.connection.data_received(b"1\r\nx\r\n")
    assert not client.reads()
    client.traffic.room.give_back("", 1)
    await turn()
    await client.send(b"0\r\n\r\n")
    assert client.statuses == [200]
    assert client.traffic.room.ask(None, "", REQUEST_BODY_MAX_BYTES, lambda: None)


@on_a_loop
async def test_room_when_whoever_waits_has_left_goes_to_the_next() -> None:
    client = Client()
    client.traffic.room = BodyRoom(MIB)
    client.traffic.room.ask(None, "", MIB, lambda: None)
    await client.send(BIG % MIB)
    granted: list[bool] = []
    client.traffic.room.ask(None, "", MIB, lambda: granted.append(True))
    client.connection.connection_lost(None)
    client.traffic.room.give_back("", MIB)
    assert granted == [True]


@pytest.mark.parametrize("size", [HEAD_MAX_BYTES - 20, HEAD_MAX_BYTES + 1])
@on_a_loop
async def test_head_when_it_is_over_the_limit_is_refused_however_it_arrives(size: int) -> None:
    head = b"GET /" + b"a" * (size - 14) + b" HTTP/1.1\r\n\r\n"
    for pieces in ([head], [head[:-2], head[-2:]], [head[at : at + 1000] for at in range(0, len(head), 1000)]):
        client = Client()
        await client.send(*pieces)
        assert client.statuses == ([200] if size < HEAD_MAX_BYTES else [431])


@on_a_loop
async def test_preface_of_http_2_when_first_is_handed_over_and_later_is_no_request() -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for pieces in ([preface], [preface[:1], preface[1:]], [bytes([byte]) for byte in preface]):
        client = Client()
        await client.send(*pieces)
        assert client.taken_over == preface
    client = Client()
    await client.send(GET, preface)
    assert client.statuses == [200, 400]


@on_a_loop
async def test_connection_when_the_server_stops_is_closed_unless_a_request_is_under_way() -> None:
    waiting = Waiting()
    idle, busy, halfway = Client(), waiting.client(), Client()
    await busy.send(GET * 2)
    await halfway.send(POST[:-1])
    for client in (idle, busy, halfway):
        client.connection.end()
    assert (idle.tape.closed, busy.tape.closed, halfway.tape.closed) == (True, False, True)
    waiting.go.set()
    for _ in range(10):
        await turn()
    assert (busy.statuses, busy.tape.closed) == ([200], True)
    assert b"connection: close" in busy.tape.written


@on_a_loop
async def test_room_when_it_comes_back_to_hundreds_who_wait_is_no_recursion() -> None:
    room = BodyRoom(MIB)
    assert room.ask(None, "", MIB, lambda: None)
    clients = [Client() for _ in range(500)]
    for client in clients:
        client.traffic.room = room
        client.connection.data_received(BIG % MIB + bytes(MIB // 2))
    room.give_back("", MIB)
    for client in clients:
        await turn()
        await client.send(bytes(MIB // 2))
        assert client.statuses == [200]
