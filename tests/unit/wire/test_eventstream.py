"""Event-stream frames: their bytes, and what is refused as no frame."""

import zlib
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from penstock.wire.eventstream import (
    HEADERS_MAX_BYTES,
    PAYLOAD_MAX_BYTES,
    BadFrame,
    Decoder,
    Message,
    encode,
    event_headers,
    exception_headers,
    joined,
)

HEADERS = event_headers("initial-response", "application/json")


def test_encode_when_a_message_is_small_then_every_byte_is_where_the_format_says() -> None:
    frame = encode(((":a", "bc"),), b"{}")
    assert frame[:8] == (12 + 8 + 2 + 4).to_bytes(4, "big") + (8).to_bytes(4, "big")
    assert frame[8:12] == zlib.crc32(frame[:8]).to_bytes(4, "big")
    assert frame[12:20] == b"\x02:a\x07\x00\x02bc"
    assert frame[20:22] == b"{}"
    assert frame[22:] == zlib.crc32(frame[:22]).to_bytes(4, "big")


def test_encode_when_botocore_reads_it_then_headers_and_payload_are_the_same() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(
        encode(HEADERS, b"{}") + encode(exception_headers("ResourceInUseException", "application/json"), b"")
    )
    events: list[Any] = list(buffer)
    first, second = events
    assert (first.headers, first.payload) == (dict(HEADERS), b"{}")
    assert second.headers[":exception-type"] == "ResourceInUseException"
    assert second.headers[":message-type"] == "exception"


@pytest.mark.parametrize("at", [0, 5, 9, 14, 60, -6, -1])
def test_decoder_when_any_byte_is_flipped_then_it_says_so_or_waits(at: int) -> None:
    frame = bytearray(encode(HEADERS, b"payload"))
    frame[at] ^= 1
    with pytest.raises(BadFrame):
        list(Decoder().feed(bytes(frame)))


def framed(header_block: bytes, payload: bytes = b"", *, total: int | None = None, headers: int | None = None) -> bytes:
    """A frame whose checksums are right, whatever its lengths say."""
    size = 16 + len(header_block) + len(payload) if total is None else total
    prelude = size.to_bytes(4, "big") + (len(header_block) if headers is None else headers).to_bytes(4, "big")
    checked = prelude + zlib.crc32(prelude).to_bytes(4, "big") + header_block + payload
    return checked + zlib.crc32(checked).to_bytes(4, "big")


@pytest.mark.parametrize(
    "frame",
    [
        framed(b"", total=15),
        framed(b"", total=2**31),
        framed(b"", total=16 + PAYLOAD_MAX_BYTES + 1),
        framed(b"", total=16 + HEADERS_MAX_BYTES + 1, headers=HEADERS_MAX_BYTES + 1),
        framed(b"", headers=1),
        framed(b"\x02:a\x06\x00\x02bc"),  # not a string
        framed(b"\x02:a\x07\x00\x03bc"),  # ends behind the block
        framed(b"\x02:a\x07\x00"),
        framed(b"\x09:a"),
        framed(b"\x01a\x07\x00\x01\xff"),  # no UTF-8
    ],
)
def test_decoder_when_lengths_or_headers_make_no_sense_then_it_is_no_frame(frame: bytes) -> None:
    with pytest.raises(BadFrame):
        list(Decoder().feed(frame))


def test_decoder_when_a_frame_is_unfinished_then_it_is_held() -> None:
    decoder, frame = Decoder(), encode(HEADERS, b"abc")
    assert list(decoder.feed(frame[:-1])) == []
    assert decoder.rest == len(frame) - 1
    assert list(decoder.feed(frame[-1:])) == [Message(HEADERS, b"abc")]
    assert decoder.rest == 0


def test_joined_when_there_is_one_frame_then_it_is_not_copied() -> None:
    frame = encode(HEADERS, b"x")
    assert joined([frame]) is frame
    assert joined([frame, frame]) == frame + frame
