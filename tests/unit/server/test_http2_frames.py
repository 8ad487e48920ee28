"""Frames as RFC 9113 has them: cuts change nothing, and what breaks the table ends the connection."""

from itertools import pairwise

import pytest
from frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    cut_frames,
    frame,
)  # fmt: skip
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.server.http2.frames import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    FRAME_MAX_BYTES,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    Broken,
    Frame,
    FrameReader,
    write_data,
    write_goodbye,
    write_head,
    write_number,
)

BLOCK_MAX_BYTES = 1000
PADDED, WITH_PRIORITY, PRIORITY, PUSH_PROMISE = 8, 32, 2, 5
OPENING = PREFACE + frame(SETTINGS)

ANY = st.builds(
    frame,
    st.integers(0, 11),
    st.sampled_from([0, END_STREAM, END_HEADERS, 5, PADDED, WITH_PRIORITY, 45]),
    st.integers(0, 3),
    st.binary(max_size=12) | st.sampled_from([bytes(4), bytes(8), b"\0\4\0\0\0\1", b"\1ab\0", b"\0\0\0\2\0abc"]),
)


def read(*pieces: bytes) -> tuple[list[Frame], int | None]:
    """The frames, and the code by which it ended."""
    reader, found = FrameReader(BLOCK_MAX_BYTES), list[Frame]()
    try:
        for piece in pieces:
            found += reader.feed(piece)
    except Broken as error:
        return found, error.code
    return found, None


def partly(*pieces: bytes) -> tuple[list[Frame], int | None]:
    """The same, of a reader whose last feed is broken off: what came before counts."""
    reader, found = FrameReader(BLOCK_MAX_BYTES), list[Frame]()
    for piece in pieces:
        try:
            for each in reader.feed(piece):
                found.append(each)
        except Broken as error:
            return found, error.code
    return found, None


@settings(max_examples=500, derandomize=True)
@given(frames=st.lists(ANY, max_size=6), places=st.lists(st.integers(0, 300), max_size=8))
def test_frames_however_they_are_cut_are_the_same(frames: list[bytes], places: list[int]) -> None:
    data = OPENING + b"".join(frames)
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    whole = partly(data)
    assert partly(*[data[begin:end] for begin, end in pairwise(edges)]) == whole
    assert partly(*[bytes([byte]) for byte in data]) == whole


@settings(max_examples=300, derandomize=True)
@given(data=st.binary(max_size=200))
def test_bytes_when_they_are_anything_then_nothing_but_frames_and_broken_comes_of_it(data: bytes) -> None:
    for sent in (data, PREFACE + data, OPENING + data):
        partly(sent)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSN", PROTOCOL_ERROR),
        (PREFACE + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
        (PREFACE + frame(SETTINGS, 1), PROTOCOL_ERROR),
        (OPENING + frame(DATA, 0, 0), PROTOCOL_ERROR),
        (OPENING + frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
        (OPENING + frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
        (OPENING + frame(SETTINGS, 1, 0, bytes(6)), FRAME_SIZE_ERROR),
        (OPENING + frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (OPENING + frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
        (OPENING + frame(RST_STREAM, 0, 1, bytes(5)), FRAME_SIZE_ERROR),
        (OPENING + frame(WINDOW_UPDATE, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
        (OPENING + frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (OPENING + frame(PRIORITY, 0, 1, bytes(4)), FRAME_SIZE_ERROR),
        (OPENING + frame(PRIORITY, 0, 1, b"\0\0\0\1\0"), PROTOCOL_ERROR),
        (OPENING + frame(HEADERS, WITH_PRIORITY, 1, b"\x80\0\0\1\0"), PROTOCOL_ERROR),
        (OPENING + frame(HEADERS, WITH_PRIORITY, 1, bytes(4)), FRAME_SIZE_ERROR),
        (OPENING + frame(HEADERS, PADDED | END_HEADERS, 1), FRAME_SIZE_ERROR),
        (OPENING + frame(DATA, PADDED, 1, b"\4abc"), PROTOCOL_ERROR),
        (OPENING + frame(DATA, 0, 1, bytes(FRAME_MAX_BYTES + 1)), FRAME_SIZE_ERROR),
        (OPENING + frame(CONTINUATION, END_HEADERS, 1), PROTOCOL_ERROR),
        (OPENING + frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 3, b"a"), PROTOCOL_ERROR),
        (OPENING + frame(HEADERS, 0, 1) + frame(DATA, 0, 1), PROTOCOL_ERROR),
        (OPENING + frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1), ENHANCE_YOUR_CALM),
        (OPENING + frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1, bytes(BLOCK_MAX_BYTES + 1)), ENHANCE_YOUR_CALM),
    ],
)
def test_frame_when_it_breaks_the_table_then_the_connection_ends(sent: bytes, code: int) -> None:
    assert partly(sent)[1] == code


def test_head_when_it_comes_in_parts_with_padding_and_priority_then_it_is_one_block() -> None:
    first = frame(HEADERS, PADDED | WITH_PRIORITY | END_STREAM, 1, b"\2" + bytes(4) + b"\x10" + b"ab" + bytes(2))
    found, code = read(OPENING + first + frame(CONTINUATION, 0, 1, b"cd") + frame(CONTINUATION, END_HEADERS, 1))
    assert code is None
    assert [(each.kind, each.payload) for each in found] == [(SETTINGS, b""), (HEADERS, b"abcd")]
    assert found[1].flags & END_STREAM


def test_padding_when_taken_off_then_it_still_counts() -> None:
    found, _ = read(OPENING + frame(DATA, PADDED, 1, b"\3ab" + bytes(3)))
    assert (found[1].payload, found[1].size) == (b"ab", 6)


def test_frame_when_it_is_as_large_as_may_be_then_it_is_taken() -> None:
    found, code = read(OPENING, frame(DATA, 0, 1, bytes(FRAME_MAX_BYTES)), frame(11, 0, 1, b"unknown"))
    assert code is None
    assert [each.size for each in found] == [0, FRAME_MAX_BYTES, 7]


@settings(derandomize=True)
@given(size=st.integers(0, 100), most=st.integers(1, 40), ends=st.booleans())
def test_data_and_heads_when_written_then_are_read_as_they_were(size: int, most: int, ends: bool) -> None:
    body = bytes(range(size))
    written = b"".join(write_data(5, memoryview(body), END_STREAM if ends else 0, most))
    found, _ = read(OPENING, written)
    assert b"".join(each.payload for each in found[1:]) == body
    assert all(each.size <= most for each in found[1:])
    assert [bool(each.flags) for each in found[1:]] == [False] * (len(found) - 2) + [ends]
    found, _ = read(OPENING, write_head(5, body, END_STREAM, most))
    assert [(each.kind, each.payload) for each in found[1:]] == [(HEADERS, body)]
    assert all(len(each.payload) <= most for each in cut_frames(write_head(5, body, 0, most)))


def test_frames_that_are_numbers_when_written_then_are_as_they_are_read() -> None:
    assert write_number(RST_STREAM, 7, COMPRESSION_ERROR) == frame(RST_STREAM, 0, 7, b"\0\0\0\x09")
    assert write_goodbye(7, PROTOCOL_ERROR) == frame(GOAWAY, 0, 0, b"\0\0\0\7\0\0\0\1")
