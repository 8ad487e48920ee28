"""HTTP/2 as its connection decides: windows, bodies, resets, time and the end.  Whatever is hostile is in tests/wire/test_http2_abuse.py."""

import asyncio
import struct
from collections.abc import Iterable

import pytest
from frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    block,
    error_of,
    frame,
    headers,
    kinds,
    opening,
)  # fmt: skip
from http2_tapes import Http2Client, Pieces, body_of
from tapes import turn

from penstock.host.sim.loop import SimLoop
from penstock.server.exchange import Answer
from penstock.server.http2.sending import TURN_BYTES
from penstock.server.http2.stream import WINDOW_BYTES
from penstock.server.http2.unasked import PARCEL_BYTES
from penstock.server.traffic import SMALL_BODY_BYTES, Bounds, Patience
from penstock.wire.route import Head

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, REFUSED_STREAM, CANCEL = (
    0,
    1,
    2,
    3,
    5,
    7,
    8,
)
OPEN = END_HEADERS
ACK = 1
PADDED = 8
FIRST_WINDOW = 65_535


def settings(**values: int) -> bytes:
    numbers = {"window": 4, "frame": 5}
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", numbers[name], value) for name, value in values.items()))


def window(stream: int, more: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, more.to_bytes(4, "big"))


def reset(stream: int) -> bytes:
    return frame(RST_STREAM, 0, stream, bytes(4))


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


def answering(body: bytes, status: int = 200) -> "type[Fixed]":
    class Same(Fixed):
        pass

    Same.answer = Answer(status, [], body)
    return Same


class Fixed:
    answer: Answer

    @classmethod
    async def handle(cls, _head: Head, _body: bytes) -> Answer:
        return cls.answer._replace(headers=[])


def resets(found: list[Frame]) -> dict[int, int]:
    return {each.stream: int.from_bytes(each.payload, "big") for each in found if each.kind == RST_STREAM}


def test_answer_when_its_stream_has_a_small_window_then_it_leaves_as_that_opens() -> None:
    async def run() -> None:
        client = Http2Client(answering(b"0123456789" * 3).handle)
        assert body_of(await client.send(settings(window=12) + headers(1))) == (b"012345678901", False)
        assert body_of(await client.send(window(1, 8))) == (b"23456789", False)
        assert body_of(await client.send(window(0, 8))) == (b"", False)
        assert body_of(await client.send(window(1, 100))) == (b"0123456789", True)

    asyncio.run(run())


def test_answers_when_the_connection_has_a_small_window_then_they_share_it() -> None:
    async def run() -> None:
        client = Http2Client(answering(bytes(40_000)).handle)
        found = await client.send(headers(1) + headers(3))
        assert body_of(found, 1) == (bytes(40_000), True)
        assert body_of(found, 3) == (bytes(FIRST_WINDOW - 40_000), False)
        assert body_of(await client.send(window(0, 10)), 3) == (bytes(10), False)
        assert body_of(await client.send(window(0, 100_000)), 3)[1]

    asyncio.run(run())


def test_window_when_settings_change_it_then_open_streams_have_the_difference_too() -> None:
    async def run() -> None:
        client = Http2Client(answering(bytes(100)).handle)
        assert body_of(await client.send(settings(window=60) + headers(1))) == (bytes(60), False)
        assert body_of(await client.send(settings(window=20))) == (b"", False)
        assert body_of(await client.send(window(1, 40))) == (b"", False)
        assert body_of(await client.send(settings(window=25))) == (bytes(5), False)
        assert body_of(await client.send(settings(window=2000))) == (bytes(35), True)

    asyncio.run(run())


@pytest.mark.parametrize(("size", "most"), [(16_384, 16_384), (100_000, 100_000), (1 << 24, 16_384)])
def test_frames_of_an_answer_are_no_larger_than_the_client_takes(size: int, most: int) -> None:
    async def run() -> None:
        client = Http2Client(answering(bytes(60_000)).handle)
        found = await client.send(settings(frame=size) + headers(1))
        if size >= 1 << 24:
            assert error_of(found, GOAWAY) == PROTOCOL_ERROR
        else:
            assert max(len(each.payload) for each in found if each.kind == DATA) == min(most, 60_000)

    asyncio.run(run())


def test_answers_when_the_transport_is_full_then_wait_and_take_turns_and_nothing_is_read() -> None:
    async def run() -> None:
        client = Http2Client(answering(bytes(TURN_BYTES + 10)).handle)
        await client.send(settings(window=1 << 30) + window(0, 1 << 30))
        client.connection.pause_writing()
        reads = [client.tape.reading]
        found = await client.send(headers(1) + headers(3))
        assert kinds(found) == [HEADERS, HEADERS]
        client.connection.resume_writing()
        assert [*reads, client.tape.reading] == [False, True]
        sent = [each.stream for each in client.frames()]
        assert sent == [1] * (TURN_BYTES // 16_384) + [3] * (TURN_BYTES // 16_384) + [1, 3]

    asyncio.run(run())


def test_answer_when_it_has_no_body_then_its_head_ends_it() -> None:
    async def run() -> None:
        client = Http2Client(answering(b"", 204).handle)
        found = await client.send(headers(1))
        assert [each[:3] for each in found if each.stream] == [(HEADERS, END_HEADERS | END_STREAM, 1)]
        client = Http2Client(answering(b"abc").handle)
        head = block([(b":method", b"HEAD"), (b":scheme", b"http"), (b":path", b"/")])
        found = await client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, head))
        assert [each[:3] for each in found if each.stream] == [(HEADERS, END_HEADERS | END_STREAM, 1)]

    asyncio.run(run())


def test_blocks_when_they_are_the_first_then_say_that_no_table_is_kept() -> None:
    async def run() -> None:
        client = Http2Client()
        blocks = [each.payload for each in await client.send(headers(1), headers(3)) if each.kind == HEADERS]
        assert [each[0] for each in blocks] == [0x20, 0x88]

    asyncio.run(run())


def test_head_when_it_is_larger_than_a_frame_then_it_goes_on_in_others() -> None:
    async def run() -> None:
        async def handle(_head: Head, _body: bytes) -> Answer:
            return Answer(200, [(f"x-{number}", "v" * 1000) for number in range(40)], b"abc")

        found = await Http2Client(handle).send(headers(1))
        parts = [each for each in found if each.stream == 1]
        assert [(each.kind, each.flags) for each in parts] == [
            (HEADERS, 0),
            (9, 0),
            (9, END_HEADERS),
            (DATA, END_STREAM),
        ]

    asyncio.run(run())


# Bodies


def test_body_when_it_is_padded_then_the_padding_is_given_back_to_its_window() -> None:
    async def run() -> None:
        client = Http2Client()
        found = await client.send(headers(1, length(3), flags=OPEN) + frame(DATA, PADDED, 1, b"\x05abc" + bytes(5)))
        assert (1, (6).to_bytes(4, "big")) in [(each.stream, each.payload) for each in found]
        await client.send(frame(DATA, END_STREAM, 1))
        assert [body for _, body in client.seen] == [b"abc"]

    asyncio.run(run())


def test_body_when_trailers_follow_then_it_is_whole() -> None:
    async def run() -> None:
        client = Http2Client()
        trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, block([(b"x-sum", b"1")]))
        await client.send(headers(1, flags=OPEN) + frame(DATA, 0, 1, b"abc") + trailers)
        assert [body for _, body in client.seen] == [b"abc"]
        found = await client.send(headers(3, flags=OPEN), headers(3))
        assert resets(found) == {3: PROTOCOL_ERROR}, "another request is no trailer"
        found = await client.send(headers(5, flags=OPEN), frame(HEADERS, END_HEADERS, 5, block([(b"x-sum", b"1")])))
        assert resets(found) == {5: PROTOCOL_ERROR}, "trailers end a stream"
        assert len(client.seen) == 1

    asyncio.run(run())


def test_body_when_it_is_announced_too_large_then_it_is_refused_and_what_still_comes_is_ignored() -> None:
    async def run() -> None:
        client = Http2Client(bounds=Bounds(body_max_bytes=1000))
        found = await client.send(headers(1, length(1001), flags=OPEN))
        assert body_of(found) == (b"refused", True)
        assert resets(found) == {1: NO_ERROR}
        found = await client.send(frame(DATA, 0, 1, bytes(900)) + frame(DATA, END_STREAM, 1, bytes(101)) + headers(3))
        assert kinds(found) == [HEADERS], "the next request is answered"
        assert client.refusals == [413]

    asyncio.run(run())


def test_body_when_it_grows_too_large_then_it_is_refused() -> None:
    async def run() -> None:
        client = Http2Client(bounds=Bounds(body_max_bytes=1000))
        await client.send(headers(1, flags=OPEN), frame(DATA, 0, 1, bytes(1000)))
        assert body_of(await client.send(frame(DATA, 0, 1, b"x"))) == (b"refused", True)
        assert client.seen == []

    asyncio.run(run())


@pytest.mark.parametrize("announced", [True, False])
def test_body_when_it_is_large_then_its_window_opens_for_all_of_it_and_a_byte_more(announced: bool) -> None:
    async def run() -> None:
        size, sent = 3 * WINDOW_BYTES, SMALL_BODY_BYTES + 1
        client = Http2Client(bounds=Bounds(body_max_bytes=size))
        await client.send(headers(1, *([length(size)] if announced else []), flags=OPEN))
        pieces = [frame(DATA, 0, 1, bytes(min(16_384, sent - at))) for at in range(0, sent, 16_384)]
        await client.send(*pieces)
        client.tape.written = b""
        rest = size - sent
        found = await client.send(
            *[frame(DATA, 0, 1, bytes(min(16_384, rest - at))) for at in range(0, rest, 16_384)],
            frame(DATA, END_STREAM, 1),
        )
        assert resets(found) == {}
        assert [len(body) for _, body in client.seen] == [size]

    asyncio.run(run())


def test_body_when_it_is_larger_than_its_window_then_its_stream_is_reset() -> None:
    async def run() -> None:
        client = Http2Client(bounds=Bounds(bodies_max_bytes=1))  # so that no window opens
        await client.send(headers(1, length(1 << 20), flags=OPEN))
        found = await client.send(
            *[frame(DATA, 0, 1, bytes(16_384))] * (WINDOW_BYTES // 16_384), frame(DATA, 0, 1, b"x")
        )
        assert resets(found) == {1: FLOW_CONTROL_ERROR}
        assert client.traffic.room.free_bytes == 1

    asyncio.run(run())


def test_room_when_a_request_is_answered_or_reset_then_it_is_given_back() -> None:
    async def run() -> None:
        size = SMALL_BODY_BYTES + 1
        client = Http2Client(bounds=Bounds(bodies_max_bytes=size))
        for number in (1, 3):
            await client.send(headers(number, length(size), flags=OPEN))
        assert client.traffic.room.free_bytes == 0
        await client.send(reset(3))  # which waited
        await client.send(reset(1))
        assert client.traffic.room.free_bytes == size
        body = [frame(DATA, 0, 5, bytes(16_384))] * 4
        await client.send(headers(5, length(size), flags=OPEN), *body, frame(DATA, END_STREAM, 5, b"x"))
        assert [len(body) for _, body in client.seen] == [size]
        assert client.traffic.room.free_bytes == size

    asyncio.run(run())


SMALL = 16_000  # a body that needs no room


def small_bodies(numbers: Iterable[int], *, ends: bool) -> bytes:
    return b"".join(
        headers(number, length(SMALL), flags=OPEN)
        + frame(DATA, END_STREAM if ends else 0, number, bytes(SMALL - (not ends)))
        for number in numbers
    )


def test_small_bodies_when_one_connection_holds_many_then_they_count_until_they_are_answered_or_reset() -> None:
    async def run() -> None:
        client = Http2Client(bounds=Bounds(bodies_max_bytes=8 * PARCEL_BYTES))
        client._handle = client.wait
        free = client.traffic.unasked
        few = WINDOW_BYTES // SMALL
        await client.send(small_bodies(range(1, 2 * few, 2), ends=True))
        assert free.free_bytes == 8 * PARCEL_BYTES, "as much as one stream may bring is free"
        await client.send(small_bodies(range(101, 221, 2), ends=False))
        assert free.free_bytes == 4 * PARCEL_BYTES
        assert client.traffic.room.free_bytes == 8 * PARCEL_BYTES
        await client.send(*map(reset, range(101, 221, 2)))
        assert free.free_bytes >= 7 * PARCEL_BYTES
        for answer in client.waiting:
            answer.set_result(Answer(200, [], b""))
        await client.send()
        assert free.free_bytes == 8 * PARCEL_BYTES

    asyncio.run(run())


def test_small_bodies_when_there_is_no_room_for_more_then_what_brings_more_is_refused_and_the_others_go_on() -> None:
    async def run() -> None:
        client = Http2Client(bounds=Bounds(bodies_max_bytes=PARCEL_BYTES))
        numbers = range(1, 121, 2)
        found = await client.send(small_bodies(numbers, ends=False))
        refused = resets(found)
        assert set(refused.values()) == {REFUSED_STREAM}
        kept = [number for number in numbers if number not in refused]
        assert len(kept) == (WINDOW_BYTES + PARCEL_BYTES) // (SMALL - 1)
        await client.send(*(frame(DATA, END_STREAM, number, b"x") for number in kept))
        assert [len(body) for _, body in client.seen] == [SMALL] * len(kept)
        assert client.traffic.unasked.free_bytes == PARCEL_BYTES

    asyncio.run(run())


def test_large_bodies_when_they_wait_for_room_then_what_came_of_them_counts_until_they_have_it() -> None:
    async def run() -> None:
        size, numbers = 200_000, (1, 3, 5, 7, 9)
        client = Http2Client(bounds=Bounds(bodies_max_bytes=3 * size))
        body = [frame(DATA, 0, number, bytes(16_000)) for number in numbers for _ in range(6)]
        await client.send(*(headers(number, length(size), flags=OPEN) for number in numbers), *body)
        assert client.traffic.room.free_bytes == size, "two have room, and the third part stays for others"
        assert client.traffic.unasked.free_bytes == 3 * size - PARCEL_BYTES
        await client.send(*map(reset, numbers[:3]))
        assert client.traffic.room.free_bytes == size
        assert client.traffic.unasked.free_bytes == 3 * size
        assert client.refusals == []

    asyncio.run(run())


def test_connection_window_when_half_of_it_is_used_then_it_is_opened_again() -> None:
    async def run() -> None:
        client = Http2Client(bounds=Bounds(bodies_max_bytes=1 << 30))
        found: list[Frame] = []
        for number in range(1, 81, 2):
            pieces = [frame(DATA, 0, number, bytes(16_384))] * 4
            found += await client.send(headers(number, flags=OPEN), *pieces, frame(DATA, END_STREAM, number))
        opened = [
            int.from_bytes(each.payload, "big") for each in found if each.kind == WINDOW_UPDATE and not each.stream
        ]
        assert opened[1:] == [2 << 20]

    asyncio.run(run())


# Resets


def test_frames_when_their_stream_was_ended_by_the_client_then_end_the_connection() -> None:
    async def run() -> None:
        for late in (frame(DATA, 0, 1, b"x"), headers(1)):
            client = Http2Client()
            assert error_of(await client.send(headers(1), late), GOAWAY) == STREAM_CLOSED
            client = Http2Client()
            client._handle = client.wait
            assert error_of(await client.send(headers(1), late), GOAWAY) == STREAM_CLOSED

    asyncio.run(run())


def test_handler_when_its_stream_is_reset_then_it_goes_on_and_counts_as_a_stream_until_it_ends() -> None:
    async def run() -> None:
        client = Http2Client(bounds=Bounds(streams_max=1))
        client._handle = client.wait
        await client.send(headers(1))
        assert resets(await client.send(reset(1), headers(3))) == {3: REFUSED_STREAM}
        source = Pieces(b"a")
        client.waiting[0].set_result(Answer(200, [], source._make()))
        assert kinds(await client.send()) == [], "nobody is told"
        assert kinds(await client.send(headers(5))) == []
        client.waiting[1].set_result(Answer(200, [], b"ok"))
        assert body_of(await client.send(), 5) == (b"ok", True)

    asyncio.run(run())


def test_requests_when_they_are_reset_in_the_read_that_brought_them_then_are_never_begun() -> None:
    async def run() -> None:
        client = Http2Client()
        found = await client.send(headers(1) + reset(1) + headers(3))
        assert len(client.seen) == 1
        assert [each.stream for each in found if each.kind == HEADERS] == [3]

    asyncio.run(run())


# Streamed answers


def test_stream_when_its_window_is_shut_then_no_more_pieces_are_asked_for() -> None:
    async def run() -> None:
        source = Pieces(b"abc", b"def", b"ghi")
        client = Http2Client(source.handle)
        assert body_of(await client.send(settings(window=4) + headers(1))) == (b"abcd", False)
        assert source.asked == 2
        assert body_of(await client.send(window(1, 100))) == (b"efghi", True)
        assert source.closed

    asyncio.run(run())


@pytest.mark.parametrize(
    ("opened", "then", "code"), [(100, RuntimeError("of the test"), INTERNAL_ERROR), (4, None, CANCEL)]
)
def test_stream_when_it_fails_or_is_ended_amid_a_piece_then_it_is_reset(
    opened: int, then: Exception | None, code: int
) -> None:
    async def run() -> None:
        source = Pieces(b"abc", b"def", then=then)
        client = Http2Client(source.handle)
        found = await client.send(settings(window=opened) + headers(1))
        if then is None:
            client.connection.end()
            found += await client.send()
        assert resets(found) == {1: code}
        assert not body_of(found)[1]
        assert source.closed

    asyncio.run(run())


def test_stream_when_the_client_resets_it_then_it_is_closed_and_nothing_more_is_written() -> None:
    async def run() -> None:
        source = Pieces(b"abc", hang=True)
        client = Http2Client(source.handle)
        await client.send(headers(1))
        assert await client.send(reset(1)) == []
        assert source.closed

    asyncio.run(run())


def test_stream_when_it_is_reset_before_it_began_then_it_is_closed() -> None:
    async def run() -> None:
        closed = asyncio.Event()

        class Unread:
            def __aiter__(self) -> "Unread":
                raise AssertionError("nobody waits for it")

            async def aclose(self) -> None:
                closed.set()

        async def handle(_head: Head, _body: bytes) -> Answer:
            return Answer(200, [], Unread())  # type: ignore[arg-type]

        client = Http2Client(handle)
        client.connection.data_received(headers(1))
        client.connection.data_received(reset(1))
        await client.send()
        assert closed.is_set()

    asyncio.run(run())


# Time


def timed(scenario: object) -> None:
    SimLoop().run(scenario)  # type: ignore[arg-type]


async def wait(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(seconds, done.set_result, None)
    await done


def test_body_when_more_of_it_comes_then_it_has_more_time_for_the_rest() -> None:
    async def scenario() -> None:
        client = Http2Client(patience=Patience(tick_s=0.1, body_s=2.0, body_bytes_per_s=1000))
        await client.send(headers(1, flags=OPEN))
        await wait(1.9)
        await client.send(frame(DATA, 0, 1, bytes(3000)))
        await wait(3)
        assert client.refusals == []
        await wait(0.5)
        assert client.refusals == [408]
        found = client.frames()
        assert resets(found) == {1: NO_ERROR}
        assert kinds(await client.send(headers(3))) == [HEADERS], "the connection goes on"

    timed(scenario())


def test_body_when_it_waits_for_room_then_its_time_stands_still() -> None:
    async def scenario() -> None:
        size = SMALL_BODY_BYTES + 1
        client = Http2Client(patience=Patience(body_s=2.0), bounds=Bounds(bodies_max_bytes=size))
        client._handle = client.wait
        body = [frame(DATA, 0, 1, bytes(16_384))] * 4
        await client.send(headers(1, length(size), flags=OPEN), *body, frame(DATA, END_STREAM, 1, b"x"))
        await client.send(headers(3, length(size), flags=OPEN) + frame(DATA, 0, 3, b"x"))
        await wait(50)
        client.waiting[0].set_result(Answer(200, [], b""))
        await wait(1.5)
        assert client.refusals == []
        await wait(2)
        assert client.refusals == [408]

    timed(scenario())


def test_head_when_it_does_not_end_then_the_connection_does() -> None:
    async def scenario() -> None:
        for begin in (opening()[:20], opening() + frame(HEADERS, 0, 1, block([(b"a", b"b")]))):
            client = Http2Client(patience=Patience(head_s=5.0, linger_s=1.0), begin=begin)
            await wait(4)
            assert not client.tape.closed
            await wait(4)
            assert client.tape.closed

    timed(scenario())


def test_connection_when_nothing_is_asked_for_long_then_it_is_told_goodbye() -> None:
    async def scenario() -> None:
        client = Http2Client(patience=Patience(http2_idle_s=100.0))
        await wait(90)
        await client.send(headers(1))
        await wait(90)
        assert not client.tape.closed
        await wait(20)
        assert error_of(client.frames(), GOAWAY) == NO_ERROR
        assert client.tape.closed

    timed(scenario())


def test_connection_when_its_client_is_gone_without_a_word_then_it_is_found_out_by_a_ping() -> None:
    async def scenario() -> None:
        client = Http2Client(Pieces(b"a", hang=True).handle)
        await client.send(headers(1))
        for _ in range(5):
            await wait(62)
            assert kinds(client.frames()) == [PING]
            await client.send(frame(PING, ACK, 0, bytes(8)))
        await wait(62)
        assert not client.tape.closed
        await wait(21)
        assert client.tape.closed

    timed(scenario())


def test_answer_when_its_window_never_opens_then_it_is_given_up() -> None:
    async def scenario() -> None:
        client = Http2Client(answering(bytes(100)).handle, Patience(stall_s=30.0))
        await client.send(settings(window=10) + headers(1))
        await wait(25)
        await client.send(window(1, 10))
        await wait(25)
        assert resets(client.frames()) == {}
        await wait(10)
        assert resets(client.frames()) == {1: CANCEL}

    timed(scenario())


def test_client_when_it_takes_nothing_then_it_is_hung_up_on_and_one_that_takes_a_little_is_not() -> None:
    async def scenario() -> None:
        client = Http2Client(answering(bytes(100)).handle, Patience(stall_s=100.0))
        client.tape.buffered_bytes = 5000
        client.connection.pause_writing()
        await wait(90)
        client.tape.buffered_bytes = 4000
        await wait(100)
        assert not client.tape.closed
        await wait(110)
        assert client.tape.closed

    timed(scenario())


def test_frames_that_bring_nothing_when_they_come_slowly_are_no_flood() -> None:
    async def scenario() -> None:
        client = Http2Client()
        for _ in range(4):
            found = await client.send(frame(PING, 0, 0, bytes(8)) * 900)
            assert kinds(found).count(PING) == 900
            await wait(1.1)
        assert error_of(await client.send(frame(PING, 0, 0, bytes(8)) * 1100), GOAWAY) == ENHANCE_YOUR_CALM

    timed(scenario())


# The end


def test_stop_when_requests_are_under_way_then_they_are_answered_and_what_is_not_whole_or_new_is_refused() -> None:
    async def run() -> None:
        client = Http2Client()
        client._handle = client.wait
        await client.send(headers(1) + headers(3, flags=OPEN))
        stopping = asyncio.get_running_loop().create_task(client.stop())
        await turn()
        found = await client.send(headers(5))
        assert resets(found) == {3: REFUSED_STREAM, 5: REFUSED_STREAM}
        client.waiting[0].set_result(Answer(200, [], b"ok"))
        found = await client.send()
        assert kinds(found) == [HEADERS, DATA, GOAWAY]
        assert error_of(found, GOAWAY) == NO_ERROR
        await stopping
        assert client.tape.closed

    asyncio.run(run())


def test_stop_when_an_answer_is_streamed_then_it_is_ended_before_goodbye_is_said() -> None:
    async def run() -> None:
        source = Pieces(b"abc", hang=True)
        client = Http2Client(source.handle)
        await client.send(headers(1))
        await client.stop()
        assert [(each.kind, each.flags) for each in client.frames()] == [(DATA, END_STREAM), (GOAWAY, 0)]
        assert source.closed

    asyncio.run(run())


def test_connection_when_it_is_lost_then_handlers_end_unheard_and_all_else_is_let_go() -> None:
    async def run() -> None:
        source = Pieces(b"abc", hang=True)
        client = Http2Client(bounds=Bounds(bodies_max_bytes=SMALL_BODY_BYTES * 2))
        client._handle = client.wait
        await client.send(headers(1) + headers(3) + headers(5, length(SMALL_BODY_BYTES + 1), flags=OPEN))
        client.waiting[0].set_result(Answer(200, [], source._make()))
        await client.send()
        client.tape.close()
        await client.send()
        client.waiting[1].set_result(Answer(200, [], b"unheard"))
        await client.send()
        assert source.closed
        assert client.traffic.room.free_bytes == SMALL_BODY_BYTES * 2

    asyncio.run(run())
