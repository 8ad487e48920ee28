"""Chunked bodies inside a body (aws-chunked): each chunk signed on its own, so that a long upload is verified while it arrives.

Theory.  A chunk is its size in hexadecimal, its signature, and its bytes; its signature covers the signature before, beginning with that
of the head.  The last chunk is empty; trailing headers may follow it, signed as a chunk of their own.
Rules of this file:
  1. Sans-IO: bytes in, verified bytes out.  Not one byte of a signed chunk is given out before its signature was compared.
  2. Linear in what arrives, however it was cut; what is held at a time is one chunk, and its size is bounded by the caller.
  3. After a refusal the body has ended: every further byte is refused.

Source: Amazon S3, "Transferring Payload in Multiple Chunks" and "Including Trailing Headers", and the examples there.
"""

import hmac
import re
from enum import Enum, auto
from hashlib import sha256
from typing import Final

from penstock.core.errors import Error, ServiceError
from penstock.wire import signature
from penstock.wire.signature import Seed, Verified

LINE_MAX_BYTES: Final = 1024
TRAILERS_MAX_BYTES: Final = 8 * 1024
CHUNK_MAX_BYTES: Final = 1024 * 1024  # ours; SDKs send 64 to 128 KiB

_NOTHING: Final = sha256(b"").hexdigest()
_size = re.compile(rb"([0-9A-Fa-f]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?")
_TRAILER_SIGNATURE: Final = b"x-amz-trailer-signature"


class _Phase(Enum):
    SIZE = auto()
    DATA = auto()
    AFTER = auto()  # the line's end behind a chunk
    TRAILER = auto()
    END = auto()
    REFUSED = auto()


class Chunks:
    """A body in chunks, verified as it arrives."""

    def __init__(self, seed: Seed | None, *, trailers: bool, chunk_max_bytes: int = CHUNK_MAX_BYTES) -> None:
        self._seed = seed  # None: the chunks are not signed
        self._previous = seed.signature if seed is not None else ""
        self._with_trailers = trailers
        self._chunk_max_bytes = chunk_max_bytes
        self._phase = _Phase.SIZE
        self._line = bytearray()  # of a line that has not ended
        self._chunk = bytearray()  # of a signed chunk that is not whole
        self._left = 0  # bytes of the chunk that are still to come
        self._signature = ""  # of the chunk under way
        self._trailer_text = b""
        self._trailer_signature = ""
        self.trailers: dict[str, str] = {}

    @property
    def ended(self) -> bool:
        """Whether the body is whole."""
        return self._phase is _Phase.END

    def feed(self, data: bytes) -> bytes:
        """Read on; the bytes of the payload that may be used now.

        Raises SIGNATURE_WRONG and CHUNKS_MALFORMED.
        """
        payload: list[bytes] = []
        at = 0
        try:
            while at < len(data):
                at = self._read_data(data, at, payload) if self._left else self._read_line(data, at, payload)
        except ServiceError:
            self._phase, self._left = _Phase.REFUSED, 0
            raise
        return b"".join(payload)

    def close(self) -> None:
        """Say that nothing more arrives.  Raises CHUNKS_MALFORMED if the body is not whole."""
        if not self.ended:
            raise Error.CHUNKS_MALFORMED(problem="it ends early")

    def _read_data(self, data: bytes, at: int, payload: list[bytes]) -> int:
        piece = data[at : at + self._left]
        self._left -= len(piece)
        if self._seed is None:
            payload.append(piece)
        else:
            self._chunk += piece
        if not self._left:
            self._phase = _Phase.AFTER
            self._end_chunk(payload)
        return at + len(piece)

    def _end_chunk(self, payload: list[bytes]) -> None:
        if self._seed is not None:
            chunk, self._chunk = bytes(self._chunk), bytearray()
            text = f"{_NOTHING}\n{sha256(chunk).hexdigest()}"
            self._compare("AWS4-HMAC-SHA256-PAYLOAD", text, self._signature)
            payload.append(chunk)

    def _compare(self, algorithm: str, hashes: str, given: str) -> None:
        seed = self._seed
        assert seed is not None
        text = f"{algorithm}\n{seed.signed_at}\n{seed.scope}\n{self._previous}\n{hashes}"
        if not hmac.compare_digest(hmac.digest(seed.signing_key, text.encode(), "sha256").hex(), given):
            raise Error.SIGNATURE_WRONG(explained="")
        self._previous = given

    def _read_line(self, data: bytes, at: int, payload: list[bytes]) -> int:
        if self._phase in (_Phase.END, _Phase.REFUSED):
            raise Error.CHUNKS_MALFORMED(problem="something follows its end")
        end = data.find(b"\n", at, at + LINE_MAX_BYTES + 1)
        self._line += data[at : end + 1 if end >= 0 else at + LINE_MAX_BYTES + 1]
        if len(self._line) > LINE_MAX_BYTES:
            raise Error.CHUNKS_MALFORMED(problem="a line is too long")
        if end < 0:
            return len(data)
        line, self._line = bytes(self._line), bytearray()
        if not line.endswith(b"\r\n"):
            raise Error.CHUNKS_MALFORMED(problem="a line does not end with CRLF")
        match self._phase:
            case _Phase.SIZE:
                self._read_size(line[:-2], payload)
            case _Phase.AFTER:
                if line != b"\r\n":
                    raise Error.CHUNKS_MALFORMED(problem="a chunk is longer than it says")
                self._phase = _Phase.SIZE
            case _:
                self._read_trailer(line[:-2])
        return end + 1

    def _read_size(self, line: bytes, payload: list[bytes]) -> None:
        size = _size.fullmatch(line)
        if size is None or (size[2] is None) != (self._seed is None):
            raise Error.CHUNKS_MALFORMED(problem="a chunk's size or signature cannot be read")
        self._left = int(size[1], 16)
        self._signature = (size[2] or b"").decode()
        if self._left and self._seed is not None and self._left > self._chunk_max_bytes:
            raise Error.CHUNKS_MALFORMED(problem=f"a chunk is larger than {self._chunk_max_bytes} bytes")
        self._phase = _Phase.DATA
        if not self._left:
            self._end_chunk(payload)
            self._phase = _Phase.TRAILER

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self._end()
            return
        name, colon, value = line.partition(b":")
        name, value = name.lower(), b" ".join(value.split())
        if not colon or not name or not self._with_trailers or self._trailer_signature:
            raise Error.CHUNKS_MALFORMED(problem="a trailing header is out of place")
        if name == _TRAILER_SIGNATURE:
            self._trailer_signature = value.decode("ascii", "backslashreplace")
            return
        self._trailer_text += b"%b:%b\n" % (name, value)
        if len(self._trailer_text) > TRAILERS_MAX_BYTES:
            raise Error.CHUNKS_MALFORMED(problem="its trailing headers are too long")
        self.trailers[name.decode("latin-1")] = value.decode("latin-1")

    def _end(self) -> None:
        if self._seed is not None and self._with_trailers:
            text = sha256(self._trailer_text).hexdigest()
            self._compare("AWS4-HMAC-SHA256-TRAILER", text, self._trailer_signature)
        self._phase = _Phase.END


def chunks_of(verified: Verified, chunk_max_bytes: int = CHUNK_MAX_BYTES) -> Chunks | None:
    """The reader for a body that was announced as one in chunks; None for a plain body."""
    match verified.payload:
        case signature.STREAMING_PAYLOAD:
            return Chunks(verified.seed, trailers=False, chunk_max_bytes=chunk_max_bytes)
        case signature.STREAMING_PAYLOAD_TRAILER:
            return Chunks(verified.seed, trailers=True, chunk_max_bytes=chunk_max_bytes)
        case signature.STREAMING_UNSIGNED_TRAILER:
            return Chunks(None, trailers=True, chunk_max_bytes=chunk_max_bytes)
        case _:
            return None
