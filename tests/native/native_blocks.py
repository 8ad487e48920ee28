"""Header blocks that the native part reads, Python reads too: the same fields, the same refusals, the same table afterwards."""

from collections.abc import Callable

import hpack
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.server.http1 import Malformed, parse_head
from penstock.server.http2.frames import Broken
from penstock.server.http2.heads import HeadReader, Nonsense, slow_reader
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import BlockReader

assert NATIVE is not None
NATIVE_READER: Callable[[], BlockReader] = NATIVE.BlockReader

MOST = 2000
NAMES = st.sampled_from(
    [b":method", b":scheme", b":path", b":authority", b":status", b"host", b"content-length", b"te", b"connection", b"x-amz-date",
     b"authorization", b"x-a", b"X-A", b"", b"a b", b"\xe4"]
)  # fmt: skip
VALUES = st.sampled_from(
    [b"POST", b"GET", b"post", b"https", b"/", b"/a?b=c", b"*", b"", b" a", b"a\t", b"1", b"007", b"1" * 18, b"1" * 19, b"-1", b"trailers",
     b"\xff", b"a\0", b"a\r\nb", b"x" * 60, b"x" * 400]
) | st.binary(max_size=8)  # fmt: skip
USUAL = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"localhost")]
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6) | st.lists(st.tuples(NAMES, VALUES), max_size=5).map(
    lambda more: [*USUAL, *more]
)


def outcome(reader: HeadReader, data: bytes) -> object:
    try:
        return reader.read(data)[:2]  # the text is the native part's alone
    except Broken as error:
        return "broken", error.code
    except Nonsense:
        return "nonsense"
    except Malformed as error:
        return "malformed", error.status


def ended(found: object) -> bool:
    return isinstance(found, tuple) and found[0] == "broken"


@settings(max_examples=1500, derandomize=True)
@given(
    blocks=st.lists(st.tuples(FIELDS, st.booleans(), st.none() | st.integers(0, 4096)), min_size=1, max_size=6),
)
def test_blocks_when_read_natively_then_python_reads_the_same(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, int | None]],
) -> None:
    encoder = hpack.Encoder()
    native, python = HeadReader(None, MOST, NATIVE_READER()), HeadReader(None, MOST, slow_reader())
    for fields, huffman, table_bytes in blocks:
        if table_bytes is not None:
            encoder.header_table_size = table_bytes
        data = encoder.encode(fields, huffman=huffman)
        found = outcome(native, data)
        assert found == outcome(python, data)
        if ended(found):
            return


@settings(max_examples=3000, derandomize=True)
@given(fields=FIELDS, at=st.integers(0, 200), cut=st.integers(0, 3), put=st.binary(max_size=4), huffman=st.booleans())
def test_block_when_it_is_damaged_then_both_read_or_refuse_it(
    fields: list[tuple[bytes, bytes]], at: int, cut: int, put: bytes, huffman: bool
) -> None:
    data = hpack.Encoder().encode(fields, huffman=huffman)
    at = at % (len(data) + 1)
    damaged = data[:at] + put + data[at + cut :]
    native, python = HeadReader(None, MOST, NATIVE_READER()), HeadReader(None, MOST, slow_reader())
    assert outcome(native, damaged) == outcome(python, damaged)


@settings(max_examples=2000, derandomize=True)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=3))
def test_blocks_when_they_are_any_bytes_then_both_read_or_refuse_them(blocks: list[bytes]) -> None:
    native, python = HeadReader(None, MOST, NATIVE_READER()), HeadReader(None, MOST, slow_reader())
    for data in blocks:
        found = outcome(native, data)
        assert found == outcome(python, data), data
        if ended(found):
            return


def test_head_when_it_is_as_sdks_send_it_then_it_is_read_natively() -> None:
    encoder, reader = hpack.Encoder(), NATIVE_READER()
    for number in range(3):
        fields = [*USUAL, (b"content-type", b"application/x-amz-json-1.1"), (b"content-length", b"%d" % number)]
        found = reader.read(encoder.encode(fields), MOST)
        assert isinstance(found, tuple)
        request = parse_head(found[5].removesuffix(b"\r\n"))
        assert (request.head.method, request.head.path) == found[:2]
        assert (request.head.headers, request.head.raw_headers, request.body_bytes) == found[2:5]
