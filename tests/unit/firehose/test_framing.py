"""Compressed objects, read back by readers that are not ours."""

import gzip
import io
import zipfile
from collections.abc import Callable
from itertools import pairwise

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.services.firehose.framing import FRAMINGS, HADOOP_BLOCK_BYTES, XERIAL_BLOCK_BYTES
from penstock.services.firehose.shapes import Compression


def read_xerial(body: bytes) -> bytes:
    """As snappy-java reads: a header, then blocks with their lengths."""
    assert body[:16] == b"\x82SNAPPY\x00" + b"\x00\x00\x00\x01" * 2
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in cut(body[16:]))


def cut(body: bytes) -> list[bytes]:
    """Blocks behind their lengths."""
    blocks = []
    while body:
        length = int.from_bytes(body[:4], "big")
        blocks.append(body[4 : 4 + length])
        assert len(blocks[-1]) == length
        body = body[4 + length :]
    return blocks


def read_hadoop(body: bytes) -> bytes:
    """As Hadoop's BlockDecompressorStream reads: raw length, then chunks until it is reached."""
    out = b""
    while body:
        wanted, body = int.from_bytes(body[:4], "big"), body[4:]
        block = b""
        while len(block) < wanted:
            length = int.from_bytes(body[:4], "big")
            block += bytes(cramjam.snappy.decompress_raw(body[4 : 4 + length]))
            body = body[4 + length :]
        out += block
    return out


def read_zip(body: bytes) -> bytes:
    """The one entry of an archive."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        [name] = archive.namelist()
        assert name == "a-uuid"
        return archive.read(name)


READERS: dict[Compression, Callable[[bytes], bytes]] = {
    "UNCOMPRESSED": bytes,
    "GZIP": gzip.decompress,
    "ZIP": read_zip,
    "Snappy": read_xerial,
    "HADOOP_SNAPPY": read_hadoop,
}


def packed(compression: Compression, body: bytes, *cuts: int) -> bytes:
    """A body's object, where the body comes in pieces that are cut at some places."""
    ends = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(ends)]
    return b"".join(FRAMINGS[compression].pack(pieces, "a-uuid"))


@pytest.mark.parametrize("compression", FRAMINGS)
@given(
    st.one_of(st.binary(max_size=3000), st.integers(1, 90_000).map(lambda size: b"abcdefghi" * size)),
    st.lists(st.integers(0), max_size=4),
)
@settings(max_examples=25)
def test_framing_when_read_back_then_the_body_is_the_same_however_it_was_cut(
    compression: Compression, body: bytes, cuts: list[int]
) -> None:
    framed = packed(compression, body, *cuts)
    assert READERS[compression](framed) == body
    assert framed == packed(compression, body)


def test_snappy_when_a_body_is_long_then_it_is_in_the_blocks_that_its_readers_have() -> None:
    body = b"x" * (2 * HADOOP_BLOCK_BYTES + 1)
    assert len(cut(packed("Snappy", body)[16:])) == len(body) // XERIAL_BLOCK_BYTES + 1
    assert packed("HADOOP_SNAPPY", body)[:4] == HADOOP_BLOCK_BYTES.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("compression", "extension", "encoding"),
    [
        ("UNCOMPRESSED", "", None),
        ("GZIP", ".gz", "gzip"),
        ("ZIP", ".zip", "zip"),
        ("Snappy", ".snappy", "snappy-java"),
        ("HADOOP_SNAPPY", ".snappy", "hadoop-snappy"),
    ],
)
def test_framing_when_named_then_extension_and_content_encoding_are_awss(
    compression: Compression, extension: str, encoding: str | None
) -> None:
    assert FRAMINGS[compression][:2] == (extension, encoding)
