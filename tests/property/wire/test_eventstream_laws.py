"""Event-stream frames: whatever is written is read back, by us and by botocore, however it is cut."""

from contextlib import suppress
from typing import Any

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire.eventstream import BadFrame, Decoder, Headers, Message, encode

names = st.text(min_size=1, max_size=20).filter(lambda text: len(text.encode()) < 256)
headers = st.dictionaries(names, st.text(max_size=40), max_size=4).map(lambda found: tuple(found.items()))
messages = st.lists(st.tuples(headers, st.binary(max_size=300)), min_size=1, max_size=5)


@given(messages, st.lists(st.integers(1, 60), min_size=1))
def test_decoder_when_frames_are_cut_anywhere_then_it_gives_what_went_in(
    given_messages: list[tuple[Headers, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(encode(*message) for message in given_messages)
    found: list[Message] = []
    decoder, at, turn = Decoder(), 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += decoder.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert found == [Message(*message) for message in given_messages]
    assert decoder.rest == 0


@given(messages)
def test_encode_when_botocore_reads_it_then_it_finds_the_same(given_messages: list[tuple[Headers, bytes]]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(encode(*message) for message in given_messages))
    events: list[Any] = list(buffer)
    assert [(event.headers, event.payload) for event in events] == [(dict(head), load) for head, load in given_messages]


@given(st.binary(max_size=200))
def test_decoder_when_bytes_are_anything_then_it_gives_messages_or_refuses(noise: bytes) -> None:
    with suppress(BadFrame):
        assert all(isinstance(message, Message) for message in Decoder().feed(noise))
