"""Heads over HTTP/2: what is a request, what is none, and that answers can be read by somebody else's decoder."""

import hpack
import pytest
from frames import block
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.server.http1 import Malformed
from penstock.server.http2.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, PROTOCOL_ERROR, Broken
from penstock.server.http2.heads import UNKNOWN, HeadReader, Nonsense, slow_reader, write_block, write_fields
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import BlockReader
from penstock.wire.route import Peer

Field = tuple[bytes, bytes]

CALL: list[Field] = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/")]
AUTHORITY: Field = (b":authority", b"kinesis:4566")
PEER = Peer("192.0.2.1")
READERS = [slow_reader] if NATIVE is None else [slow_reader, NATIVE.BlockReader]

pytestmark = pytest.mark.parametrize(
    "blocks", [reader() for reader in READERS], ids=["python", "native"][: len(READERS)]
)


def reader_of(blocks: BlockReader, most: int = 4096) -> HeadReader:
    return HeadReader(PEER, most, blocks)


def test_head_when_read_then_it_is_like_one_of_http_1(blocks: BlockReader) -> None:
    fields = [*CALL, AUTHORITY, (b"content-length", b"12"), (b"x-a", b"b"), (b"x-a", b"c\xe4")]
    head, body_bytes, _ = reader_of(blocks).read(block(fields))
    assert (head.method, head.path, head.query, head.target, head.peer) == ("POST", "/", {}, b"/", PEER)
    assert head.headers == {"host": "kinesis:4566", "content-length": "12", "x-a": "c\xe4"}
    assert head.raw_headers == (
        (b"host", b"kinesis:4566"), (b"content-length", b"12"), (b"x-a", b"b"), (b"x-a", b"c\xe4"),
    )  # fmt: skip
    assert body_bytes == 12


def test_head_when_it_has_a_target_then_path_and_query_are_read(blocks: BlockReader) -> None:
    head, body_bytes, _ = reader_of(blocks).read(block([CALL[0], CALL[1], (b":path", b"/a%20b?x=1&y=%41")]))
    assert (head.path, head.query, head.target) == ("/a b", {"x": "1", "y": "A"}, b"/a%20b?x=1&y=%41")
    assert body_bytes == UNKNOWN
    head, _, _ = reader_of(blocks).read(block([(b":method", b"OPTIONS"), CALL[1], (b":path", b"*")]))
    assert head.path == "*"


@pytest.mark.parametrize("order", [0, 1])
def test_host_when_it_comes_beside_the_authority_then_it_is_the_one(blocks: BlockReader, order: int) -> None:
    head, _, _ = reader_of(blocks).read(block([*CALL, AUTHORITY, *[(b"x", b"y")] * order, (b"host", b"other")]))
    assert [value for name, value in head.raw_headers if name == b"host"] == [b"other"]
    head, _, _ = reader_of(blocks).read(block([*CALL, (b"host", b"other")]))
    assert head.headers == {"host": "other"}
    head, _, _ = reader_of(blocks).read(block(CALL))
    assert head.headers == {}


@pytest.mark.parametrize(
    "fields",
    [
        CALL[1:],
        CALL[:2],
        [CALL[0], CALL[2]],
        [*CALL, CALL[0]],
        [*CALL, (b"x", b"y"), AUTHORITY],
        [*CALL, (b":status", b"200")],
        [*CALL, (b":other", b"")],
        [(b":method", b"post"), *CALL[1:]],
        [(b":method", b"A" * 33), *CALL[1:]],
        [*CALL[:2], (b":path", b"")],
        [*CALL[:2], (b":path", b"a")],
        [*CALL[:2], (b":path", b"/ a")],
        [*CALL[:2], (b":path", b"/\xe4")],
        [*CALL[:2], (b":path", b"/\r\nx: y")],
        [*CALL, (b":authority", b"a\nb")],
        [*CALL, (b"connection", b"close")],
        [*CALL, (b"keep-alive", b"1")],
        [*CALL, (b"proxy-connection", b"close")],
        [*CALL, (b"upgrade", b"h2c")],
        [*CALL, (b"transfer-encoding", b"chunked")],
        [*CALL, (b"te", b"gzip")],
        [*CALL, (b"content-length", b"")],
        [*CALL, (b"content-length", b"+1")],
        [*CALL, (b"content-length", b"1" * 19)],
        [*CALL, (b"content-length", b"1"), (b"content-length", b"1")],
    ],
)
def test_head_when_it_makes_no_sense_then_it_is_none(blocks: BlockReader, fields: list[Field]) -> None:
    with pytest.raises(Nonsense):
        reader_of(blocks).read(block(fields))


@pytest.mark.parametrize(
    "field",
    [(b"X-A", b"b"), (b"", b"b"), (b"a b", b"c"), (b"a:", b"c"), (b"a", b"b\0"), (b"a", b"b\rc"), (b"a", b"\x7f")],
)
def test_field_when_no_text_of_http_can_hold_it_then_the_connection_ends(blocks: BlockReader, field: Field) -> None:
    with pytest.raises(Broken) as caught:
        reader_of(blocks).read(block([*CALL, field]))
    assert caught.value.code == PROTOCOL_ERROR
    with pytest.raises(Broken):
        reader_of(blocks).read_trailers(block([field]))


def test_hosts_when_there_are_two_then_the_request_is_malformed(blocks: BlockReader) -> None:
    with pytest.raises(Malformed):
        reader_of(blocks).read(block([*CALL, (b"host", b"a"), (b"host", b"a")]))


def test_blanks_around_a_value_then_are_no_part_of_it(blocks: BlockReader) -> None:
    head, _, _ = reader_of(blocks).read(block([*CALL, (b"x", b" a\tb\t"), (b"te", b"trailers")]))
    assert head.headers == {"x": "a\tb", "te": "trailers"}


@pytest.mark.parametrize(
    "broken",
    [
        b"\x80",  # nothing has the number 0
        b"\xff\xff\xff\xff\xff\xff\xff\xff",  # a number without end
        b"\xbe",  # beyond both tables
        b"\x00\x05abc",  # a name that does not end
        b"\x00\x81\xff\x00",  # Huffman: a padding of eight bits
        b"\x00\x84\xff\xff\xff\xff\x00",  # Huffman: the end of it
        b"\x00\x81\x00\x00",  # Huffman: a padding of zeros
        b"\x3f\xe2\x1f",  # a table larger than we allow
        b"\x82\x20",  # a table's size behind a field
    ],
)
def test_block_when_its_compression_is_broken_then_the_connection_ends(blocks: BlockReader, broken: bytes) -> None:
    with pytest.raises(Broken) as caught:
        HeadReader(PEER, 4096, type(blocks)()).read(broken)
    assert caught.value.code == COMPRESSION_ERROR


def test_fields_when_they_count_more_than_may_be_then_the_connection_ends(blocks: BlockReader) -> None:
    fields = [*CALL, (b"x", b"y" * 100)]
    size = sum(len(name) + len(value) + 32 for name, value in fields)
    reader_of(blocks, size).read(block(fields))
    with pytest.raises(Broken) as caught:
        reader_of(blocks, size - 1).read(block(fields))
    assert caught.value.code == ENHANCE_YOUR_CALM


def test_heads_when_another_encoder_compresses_them_then_are_read(blocks: BlockReader) -> None:
    encoder, reader = hpack.Encoder(), HeadReader(PEER, 1 << 16, type(blocks)())
    for number in range(200):
        if number == 100:
            encoder.header_table_size = 200
        fields = [
            *CALL,
            AUTHORITY,
            (b"x-number", b"%d" % (number % 7)),
            (b"x-%d" % (number % 90), b"v" * (number % 50)),
        ]
        head, _, _ = reader.read(encoder.encode(fields, huffman=number % 3 > 0))
        assert head.raw_headers == (
            (b"host", AUTHORITY[1]), (b"x-number", b"%d" % (number % 7)), (b"x-%d" % (number % 90), b"v" * (number % 50)),
        )  # fmt: skip


@settings(derandomize=True)
@given(
    status=st.sampled_from([200, 204, 302, 400, 403, 413, 500, 503]),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["content-type", "x-amzn-RequestId", "date", "x-long-" + "n" * 130]),
            st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=300),
        ),
        max_size=5,
    ),
)  # fmt: skip
def test_answer_when_written_then_another_decoder_reads_it(
    blocks: BlockReader, status: int, headers: list[tuple[str, str]]
) -> None:
    assert blocks is not None
    written = write_block(status, headers, write_fields([("server", "Penstock")]))
    read = [(bytes(name), bytes(value)) for name, value in hpack.Decoder(1 << 20).decode(written, raw=True)]
    expected = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    assert read == [(b":status", b"%d" % status), *expected, (b"server", b"Penstock")]


def test_answer_when_a_header_would_end_early_then_it_is_a_bug(blocks: BlockReader) -> None:
    assert blocks is not None
    with pytest.raises(AssertionError):
        write_fields([("x", "a\r\ny: b")])
