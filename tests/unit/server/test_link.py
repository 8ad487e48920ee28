"""Frames come out of a link as they went in, however its bytes are cut."""

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.server.link import (
    _HEADER,
    Frame,
    FrameReader,
    Kind,
    answer_payload,
    ask_payload,
    read_answer,
    read_ask,
)
from penstock.wire.route import Head, Peer

FRAMES = st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 2**64 - 1), st.binary(max_size=40)), max_size=8)
TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
PAIRS = st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=5)), max_size=3).map(tuple)
PEERS = st.none() | st.builds(Peer, st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
HEADS = st.builds(
    Head,
    method=st.text(max_size=5),
    path=st.text(max_size=5),
    query=TEXTS,
    headers=TEXTS,
    raw_headers=PAIRS,
    peer=PEERS,
    target=st.binary(max_size=9),
    takes_long=st.just(False),  # does not travel: fronts are told whole answers
)


@settings(max_examples=200, derandomize=True)
@given(frames=FRAMES, cuts=st.lists(st.integers(1, 30), max_size=30))
def test_reader_when_bytes_are_cut_anywhere_gives_the_same_frames(
    frames: list[tuple[Kind, int, bytes]], cuts: list[int]
) -> None:
    content = b"".join(_HEADER.pack(len(payload), number, kind) + payload for kind, number, payload in frames)
    reader = FrameReader()
    found: list[Frame] = []
    for size in [*cuts, len(content)]:
        piece, content = content[:size], content[size:]
        if piece:
            found += reader.feed(piece)
    assert [(frame.kind, frame.number, frame.payload.tobytes()) for frame in found] == frames


@settings(max_examples=200, derandomize=True)
@given(head=HEADS, body=st.binary(max_size=40))
def test_ask_when_it_arrives_is_the_request_that_was_sent(head: Head, body: bytes) -> None:
    assert read_ask(memoryview(b"".join(ask_payload(head, body)))) == (head, body)


def test_answer_when_it_arrives_is_the_answer_that_was_sent() -> None:
    payload = b"".join(answer_payload(418, [("a", "b"), ("a", "c")], b"body"))
    answer = read_answer(memoryview(payload))
    assert (answer.status, answer.headers, answer.body) == (418, [("a", "b"), ("a", "c")], b"body")
