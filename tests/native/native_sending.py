"""Pages that are sent while they are written: what arrives is, byte for byte, what is written whole."""

import asyncio
import os
import resource
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
import uvloop
from fronts import GET, Front, front, read_answer
from hypothesis import given, settings
from hypothesis import strategies as st
from native_answers import FORMS, page_of

from penstock.engines.api import Position
from penstock.host.certificates import ensure_certificates
from penstock.server import longanswers
from penstock.server.exchange import Answer
from penstock.server.longanswers import LongAnswers
from penstock.server.tls import TlsFiles
from penstock.services.streams import sequence
from penstock.services.streams.codec import CODECS
from penstock.services.streams.ops.record import GetRecordsOutput
from penstock.services.streams.sequence import ShardOrigin
from penstock.wire.native import NATIVE
from penstock.wire.nativeoutlets import Handover, Outlet
from penstock.wire.operation import LongBody
from penstock.wire.route import Head

WAIT_S = 60
PIECE_BYTES = 256 * 1024  # of native/src/sending.rs
SIZES = st.sampled_from([0, 1, 1000, 70_000, PIECE_BYTES - 200, PIECE_BYTES, PIECE_BYTES + 1, 1_000_000])
MANY = [1000] * 10_000  # as long as an answer may be


def output_of(sizes: list[int], token: str | None = "token") -> GetRecordsOutput:
    """An output with records of such sizes."""
    records = [
        (f"key-{place}".encode(), (bytes(range(place % 251, 256)) * (size // 5 + 1))[:size], 1_700_000_000_000 + place)
        for place, size in enumerate(sizes)
    ]
    return GetRecordsOutput(
        sequence.base(ShardOrigin(3, 1_700_000_000)), page_of(records, [3, 7], Position(0, 5)), 7, token
    )


def long_body(output: GetRecordsOutput, form: Any) -> LongBody:
    """It as a body that is written later."""
    made = CODECS["GetRecords"].encode_long[form](output)
    assert made is not None
    return made


def handed(end: socket.socket) -> Outlet:
    """An outlet to one end of a pair, which does not block, as no transport's does."""
    assert NATIVE is not None
    handover, descriptor = NATIVE.Handover.open()
    end.setblocking(False)
    with socket.socket(fileno=descriptor) as there:
        socket.send_fds(there, [b"."], [end.fileno()])
        return handover.take()


def head_of(size: int) -> bytes:
    return b"head of %d\n" % size


class Drain(Thread):
    """A client that takes everything, `at_once` bytes at a time, until the other end is closed."""

    def __init__(self, end: socket.socket, at_once: int = 1 << 20) -> None:
        super().__init__(daemon=True)
        self.took = bytearray()
        self._end, self._at_once = end, at_once
        self.start()

    def run(self) -> None:
        while piece := self._end.recv(self._at_once):
            self.took += piece


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30, derandomize=True, deadline=None)
@given(sizes=st.lists(SIZES, min_size=1, max_size=8))
def test_send_when_the_client_takes_everything_leaves_nothing(form: Any, sizes: list[int]) -> None:
    output = output_of(sizes)
    whole = CODECS["GetRecords"].encode[form](output)
    here, there = socket.socketpair()
    with here, there:
        drain, outlet = Drain(there), handed(here)
        left = long_body(output, form).send(head_of, outlet)
        outlet.close()
        here.close()
        drain.join(WAIT_S)
    assert bytes(drain.took) + left == head_of(len(whole)) + whole


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30, derandomize=True, deadline=None)
@given(sizes=st.lists(SIZES, min_size=1, max_size=8), takes=st.integers(0, 3_000_000))
def test_send_when_the_client_stops_taking_leaves_the_rest(form: Any, sizes: list[int], takes: int) -> None:
    output = output_of(sizes)
    whole = head_of(len(CODECS["GetRecords"].encode[form](output))) + CODECS["GetRecords"].encode[form](output)
    here, there = socket.socketpair()
    with here, there:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        outlet = handed(here)
        took = bytearray()

        def take() -> None:
            while len(took) < min(takes, len(whole)):
                took.extend(there.recv(min(takes, len(whole)) - len(took)))

        taker = Thread(target=take, daemon=True)
        taker.start()
        left = long_body(output, form).send(head_of, outlet)
        outlet.close()
        here.setblocking(True)
        drain = Thread(target=lambda: took.extend(iter_all(there, taker)), daemon=True)
        drain.start()
        here.sendall(left)
        here.close()
        drain.join(WAIT_S)
    assert bytes(took) == whole


def iter_all(end: socket.socket, before: Thread) -> bytes:
    """What comes once another has taken what it wants."""
    before.join(WAIT_S)
    taken = bytearray()
    while piece := end.recv(1 << 20):
        taken += piece
    return bytes(taken)


def test_send_when_nobody_takes_anything_returns_soon_with_the_rest() -> None:
    output = output_of(MANY)
    whole = head_of(len(CODECS["GetRecords"].encode["json"](output))) + CODECS["GetRecords"].encode["json"](output)
    here, there = socket.socketpair()
    with here, there:
        left = long_body(output, "json").send(head_of, handed(here))
        there.setblocking(False)
        sent = b""
        while len(sent) < len(whole) - len(left):
            sent += there.recv(1 << 20)
    assert len(sent) > 0
    assert sent + left == whole


def test_send_when_the_client_takes_little_at_a_time_returns_soon_with_the_rest() -> None:
    output = output_of([30_000] * 1000)
    whole = CODECS["GetRecords"].encode["json"](output)
    for _ in range(4):  # a client that is kept from its core for 2 ms is given up anyway
        here, there = socket.socketpair()
        with here, there:
            here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            drain, outlet = (
                Drain(there, 128),
                handed(here),
            )  # takes something all the time, and hundreds of milliseconds for all
            left = long_body(output, "json").send(head_of, outlet)
            outlet.close()
            here.close()
            drain.join(WAIT_S)
        assert left
        assert bytes(drain.took) + left == head_of(len(whole)) + whole


def test_send_when_the_client_is_gone_raises_oserror() -> None:
    here, there = socket.socketpair()
    with here:
        there.close()
        with pytest.raises(BrokenPipeError):
            long_body(output_of(MANY), "json").send(head_of, handed(here))


def test_send_when_its_outlet_was_closed_sends_nothing() -> None:
    here, there = socket.socketpair()
    with here, there:
        outlet = handed(here)
        outlet.close()
        with pytest.raises(BrokenPipeError):
            long_body(output_of([10, 20]), "json").send(head_of, outlet)
        there.setblocking(False)
        with pytest.raises(BlockingIOError):
            there.recv(1)


def test_send_when_there_is_no_outlet_writes_it_whole() -> None:
    output = output_of([10, 20])
    whole = CODECS["GetRecords"].encode["json"](output)
    assert long_body(output, "json").send(head_of, None) == head_of(len(whole)) + whole


def test_send_when_the_native_part_declines_is_done_by_python() -> None:
    output = output_of([10, 20])
    page = output.page
    bad = page._replace(keys=[b"\xff", b"\xfe"])
    body = long_body(GetRecordsOutput(output.number_base, bad, 7, None), "json")
    with pytest.raises(UnicodeDecodeError):  # no partition key is like that: Python was asked
        body.send(head_of, None)


def test_take_when_nothing_was_handed_over_raises_oserror() -> None:
    assert NATIVE is not None
    handover, descriptor = NATIVE.Handover.open()
    with socket.socket(fileno=descriptor) as there:
        with pytest.raises(BlockingIOError):
            handover.take()
        there.send(b".")
        with pytest.raises(OSError, match="no socket was handed over"):
            handover.take()


class Unread(list[bytes]):
    """Values that the loop must not look at."""

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("they are for a thread")


def test_encode_long_when_values_are_apart_leaves_joining_them_to_the_thread() -> None:
    output = output_of([10, 20])
    page = output.page._replace(keys=Unread(output.page.keys), data=Unread(output.page.data))
    body = long_body(GetRecordsOutput(output.number_base, page, 7, None), "json")
    with pytest.raises(AssertionError, match="for a thread"):
        body.send(head_of, None)


# What is handed over


class Plain(asyncio.Transport):
    """A transport of a socket in the clear, in some state."""

    def __init__(self, end: socket.socket, held_bytes: int = 0, *, closing: bool = False) -> None:
        super().__init__({"socket": end})
        self._held_bytes, self._closing = held_bytes, closing

    def get_write_buffer_size(self) -> int:
        return self._held_bytes

    def is_closing(self) -> bool:
        return self._closing


def tells(socket_is_there: list[bool]) -> LongBody:
    """A body that notes whether it is given a socket."""

    def send(_: Callable[[int], bytes], outlet: Outlet | None) -> bytes:
        socket_is_there.append(outlet is not None)
        return b""

    return LongBody(send)


def test_long_answers_when_the_transport_holds_bytes_or_closes_hand_over_nothing() -> None:
    async def scenario() -> None:
        here, there = socket.socketpair()
        answers, told = LongAnswers(), list[bool]()
        with here, there:
            for transport in (Plain(here), Plain(here, 1), Plain(here, closing=True)):
                await answers.send(tells(told), head_of, transport)
        answers.close()
        assert told == [True, False, False]

    asyncio.run(scenario())


def test_long_answers_when_a_socket_is_not_taken_never_take_it_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        """A place that fails once."""

        def __init__(self, place: Handover) -> None:
            self._place = place
            fails.append(len(fails) == 0)

        def take(self) -> Outlet:
            if fails[-1]:
                fails[-1] = False
                raise InterruptedError
            return self._place.take()

    class Maker:
        """Makes them."""

        @staticmethod
        def open() -> tuple[Failing, int]:
            place, descriptor = made.Handover.open()
            return Failing(place), descriptor

    class Part:
        """The native part, as it is looked at here."""

        Handover = Maker

    async def scenario() -> None:
        one, its_client = socket.socketpair()
        other, others_client = socket.socketpair()
        answers, body = LongAnswers(), long_body(output_of([10]), "json")
        with one, its_client, other, others_client:
            one.setblocking(False)
            other.setblocking(False)
            its_client.setblocking(False)
            others_client.setblocking(False)
            assert await answers.send(body, head_of, Plain(one))
            assert await answers.send(body, head_of, Plain(other)) == b""
            assert others_client.recv(1 << 20).startswith(b"head of ")
            with pytest.raises(BlockingIOError):
                its_client.recv(1)
        answers.close()

    assert NATIVE is not None
    made, fails = NATIVE, list[bool]()
    monkeypatch.setattr(longanswers, "NATIVE", Part)
    asyncio.run(scenario())


# Through a front


def answering(output: GetRecordsOutput) -> Callable[[Head, bytes], Coroutine[Any, Any, Answer]]:
    async def handle(_head: Head, _body: bytes) -> Answer:
        return Answer(200, [], long_body(output, "json"))

    return handle


LOOPS = [pytest.param(asyncio.run, id="asyncio"), pytest.param(uvloop.run, id="uvloop")]


def descriptors() -> list[int]:
    """Those that are open."""
    return [int(each.name) for each in Path("/proc/self/fd").iterdir()]


@pytest.mark.parametrize("run", LOOPS)
def test_front_when_clients_ask_for_long_answers_sends_each_whole_and_keeps_no_descriptor(run: Any) -> None:
    output = output_of(MANY)
    whole = CODECS["GetRecords"].encode["json"](output)

    async def ask(there: Front, times: int) -> None:
        reader, writer = await there.connect()
        for _ in range(times):
            writer.write(GET + GET)  # the second finds bytes of the first in the transport, or does not
            for _ in range(2):
                assert (await read_answer(reader))[1] == whole
        writer.close()

    async def scenario() -> None:
        async with front(answering(output)) as there:
            await ask(there, 1)
            before = len(descriptors())
            await asyncio.gather(*(ask(there, 2) for _ in range(6)))
            assert len(descriptors()) <= before + 6  # the ends that have yet to hear of it

    run(scenario())


def test_front_when_a_client_takes_nothing_for_a_while_sends_it_everything() -> None:
    output = output_of(MANY)
    whole = CODECS["GetRecords"].encode["json"](output)

    async def scenario() -> None:
        async with front(answering(output)) as there:
            slow_reader, slow = await there.connect()
            cast("asyncio.Transport", slow.transport).pause_reading()
            slow.write(GET)
            reader, writer = await there.connect()
            for _ in range(20):  # meanwhile others are answered
                writer.write(GET)
                assert (await read_answer(reader))[1] == whole
            cast("asyncio.Transport", slow.transport).resume_reading()
            assert (await read_answer(slow_reader))[1] == whole
            writer.close()
            slow.close()

    uvloop.run(scenario())


def test_front_when_it_speaks_tls_sends_long_answers_encrypted(tmp_path: Path) -> None:
    output = output_of(MANY[:2000])
    whole = CODECS["GetRecords"].encode["json"](output)
    files = ensure_certificates(tmp_path, "localhost")

    async def scenario() -> None:
        async with front(answering(output), tls=TlsFiles(files.certificate, files.key)) as there:
            context = ssl.create_default_context(cafile=str(files.ca))
            reader, writer = await asyncio.open_connection("localhost", there.port, ssl=context)
            writer.write(GET)
            assert (await read_answer(reader))[1] == whole
            writer.close()

    uvloop.run(scenario())


def test_front_when_no_descriptor_is_left_sends_long_answers_all_the_same() -> None:
    output = output_of(MANY[:1000])
    whole = CODECS["GetRecords"].encode["json"](output)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scenario() -> None:
        async with front(answering(output)) as there:
            reader, writer = await there.connect()
            writer.write(GET)
            assert (await read_answer(reader))[1] == whole
            highest = max(descriptors())
            kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest + 1 - len(descriptors()))]  # the gaps
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
            try:
                for _ in range(3):
                    writer.write(GET)
                    assert (await read_answer(reader))[1] == whole
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for descriptor in kept:
                    os.close(descriptor)
            writer.close()

    uvloop.run(scenario())


@pytest.mark.parametrize("run", LOOPS)
def test_front_when_a_client_hangs_up_in_the_middle_goes_on(run: Any) -> None:
    output = output_of(MANY)
    whole = CODECS["GetRecords"].encode["json"](output)

    async def scenario() -> None:
        async with front(answering(output)) as there:
            for _ in range(10):
                reader, writer = await there.connect()
                writer.write(GET)
                await reader.readexactly(1000)
                writer.transport.abort()
            reader, writer = await there.connect()
            writer.write(GET)
            assert (await read_answer(reader))[1] == whole
            writer.close()

    run(scenario())
