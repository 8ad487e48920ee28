"""Framings: how an object's bytes are compressed, and what is said of it in its headers.

Theory.  Each CompressionFormat is a row: an extension, a Content-Encoding, and a function from pieces to pieces, so that neither the body
nor what is made of it is ever in memory as a whole.  The names mean what readers of S3 expect by them: Snappy is the stream of
snappy-java (xerial), HADOOP_SNAPPY are Hadoop's blocks.
Rules of this file: pure; the same body gives the same object, however it is cut into pieces; what needs cramjam says which extra brings
it (MissingCodec).
Source: facts checked against AWS by several projects; the developer guide names .hsnappy, objects end in .snappy.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from penstock.services.firehose.shapes import Compression

GZIP_LEVEL: Final = 1  # of ISA-L, or where that is not there of zlib, which makes as much of it in four times the time; AWS's is not known
ZIP_LEVEL: Final = 6
PIECE_BYTES: Final = 256 << 10  # what is compressed at once
XERIAL_BLOCK_BYTES: Final = 32 * 1024  # snappy-java's
HADOOP_BLOCK_BYTES: Final = 256 * 1024  # Hadoop's
_XERIAL_HEAD: Final = b"\x82SNAPPY\x00" + (1).to_bytes(4, "big") * 2  # version, and the oldest that reads it
_GZIP_BITS: Final = 31  # of a window, and a gzip head


class MissingCodec(ImportError):
    """A compression that nothing here can write; the text says what to install."""


class Framing(NamedTuple):
    """One way of compressing."""

    extension: str
    content_encoding: str | None
    pack: Callable[[Iterable[bytes], str], Iterator[bytes]]  # of a body; the text names the entry of an archive


class _Packer(Protocol):
    """A stream of deflate."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _plain(body: Iterable[bytes], name: str) -> Iterator[bytes]:
    return iter(body)


def _gzip(body: Iterable[bytes], name: str) -> Iterator[bytes]:
    packer = _gzip_packer()
    for piece in blocks(body, PIECE_BYTES):
        yield packer.compress(piece)
    yield packer.flush()


def _gzip_packer() -> _Packer:
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    packer: _Packer = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_BITS)
    return packer


class _Drain:
    """A file that cannot be read or sought in: what is written to it is taken away again and again."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def taken(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(held)


def _zip(body: Iterable[bytes], name: str) -> Iterator[bytes]:
    """As java.util.zip streams one: sizes and checksum stand behind the entry."""
    drain = _Drain()
    with (
        zipfile.ZipFile(drain, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as archive,
        archive.open(name, "w") as file,  # dated 1980, as long as nobody says otherwise
    ):
        for piece in blocks(body, PIECE_BYTES):
            file.write(piece)
            yield drain.taken()
    yield drain.taken()


def _snappy() -> Callable[[Any], bytes]:
    try:
        from cramjam import snappy
    except ImportError:
        raise MissingCodec("Snappy needs: pip install 'penstock[firehose]'") from None
    return lambda piece: bytes(snappy.compress_raw(piece))


def _xerial(body: Iterable[bytes], name: str) -> Iterator[bytes]:
    compress = _snappy()
    yield _XERIAL_HEAD
    for block in blocks(body, XERIAL_BLOCK_BYTES):
        packed = compress(block)
        yield len(packed).to_bytes(4, "big") + packed


def _hadoop(body: Iterable[bytes], name: str) -> Iterator[bytes]:
    compress = _snappy()
    for block in blocks(body, HADOOP_BLOCK_BYTES):
        packed = compress(block)
        yield len(block).to_bytes(4, "big") + len(packed).to_bytes(4, "big") + packed


def blocks(body: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    """The bytes of pieces in blocks of one size, but for the last."""
    held: list[bytes | memoryview] = []
    held_bytes = 0
    for piece in body:
        at = 0
        while held_bytes + len(piece) - at >= size_bytes:
            end = at + size_bytes - held_bytes
            yield b"".join([*held, memoryview(piece)[at:end]])
            held, held_bytes, at = [], 0, end
        if at < len(piece):
            held.append(memoryview(piece)[at:])
            held_bytes += len(piece) - at
    if held:
        yield b"".join(held)


FRAMINGS: Final[Mapping[Compression, Framing]] = {
    "UNCOMPRESSED": Framing("", None, _plain),
    "GZIP": Framing(".gz", "gzip", _gzip),
    "ZIP": Framing(".zip", "zip", _zip),
    "Snappy": Framing(".snappy", "snappy-java", _xerial),
    "HADOOP_SNAPPY": Framing(".snappy", "hadoop-snappy", _hadoop),
}


def check_codec(compression: Compression) -> None:
    """Raise MissingCodec if a compression cannot be written here."""
    if compression in ("Snappy", "HADOOP_SNAPPY"):
        _snappy()
