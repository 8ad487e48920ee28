"""Content encodings: gzip read whole, broken gzip refused, and a bomb stopped at the limit."""

import gzip
import tracemalloc
import zlib

import pytest

from penstock.core.errors import ServiceError
from penstock.core.limits import MIB, REQUEST_BODY_MAX_BYTES
from penstock.wire.content import decode_body

GOOD = gzip.compress(b'{"a":1}', mtime=0)


def refusal(body: bytes, encoding: str) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        decode_body(body, encoding)
    return caught.value


@pytest.mark.parametrize("encoding", ["", "identity"])
@pytest.mark.parametrize("body", [b"", b"{}", GOOD])
def test_decode_body_when_not_encoded_answers_it_as_it_is(body: bytes, encoding: str) -> None:
    assert decode_body(body, encoding) == body


@pytest.mark.parametrize("plain", [b"", b"{}", bytes(range(256)) * 4096])
def test_decode_body_when_gzip_answers_what_was_packed(plain: bytes) -> None:
    assert decode_body(gzip.compress(plain, mtime=0), "gzip") == plain


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        GOOD[:5],
        GOOD[:-1],
        GOOD[:-8],
        GOOD + b"x",
        GOOD[:-8] + bytes(4) + GOOD[-4:],
        GOOD[:-4] + b"\xff\xff\xff\xff",
        zlib.compress(b"{}"),
        b"\x1f\x8b" + b"\xff" * 40,
    ],
    ids=["empty", "plain", "head", "tail", "no sum", "more", "wrong sum", "wrong size", "zlib", "garbage"],
)
def test_decode_body_when_gzip_is_broken_is_refused(body: bytes) -> None:
    error = refusal(body, "gzip")
    assert (error.code, error.message) == ("SerializationException", "The body is not valid gzip.")


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x" * 1000])
def test_decode_body_when_the_encoding_is_unknown_is_refused_by_its_name(encoding: str) -> None:
    error = refusal(GOOD, encoding)
    assert error.message == f"The body is not valid {encoding[:64]}."


def test_decode_body_when_it_expands_to_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    packed = zlib.compressobj(wbits=31)
    body = packed.compress(bytes(REQUEST_BODY_MAX_BYTES)) + packed.flush()
    assert len(decode_body(body, "gzip")) == REQUEST_BODY_MAX_BYTES
    packed = zlib.compressobj(wbits=31)
    error = refusal(packed.compress(bytes(REQUEST_BODY_MAX_BYTES + 1)) + packed.flush(), "gzip")
    assert (error.code, error.status) == ("RequestEntityTooLarge", 413)


def test_decode_body_when_it_is_a_bomb_is_refused_in_bounded_memory() -> None:
    packed = zlib.compressobj(wbits=31)
    bomb = b"".join(packed.compress(bytes(MIB)) for _ in range(200)) + packed.flush()
    assert len(bomb) < MIB
    tracemalloc.start()
    try:
        error = refusal(bomb, "gzip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.status == 413
    assert peak < 3 * REQUEST_BODY_MAX_BYTES
