"""Content encodings of request bodies."""

import zlib
from typing import Final

from penstock.core.errors import Error
from penstock.core.limits import REQUEST_BODY_MAX_BYTES

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


def decode_body(body: bytes, encoding: str, max_bytes: int = REQUEST_BODY_MAX_BYTES) -> bytes:
    """The body behind a Content-Encoding: gzip, or none.

    Raises BAD_CONTENT_ENCODING for another encoding or broken gzip, BODY_TOO_LARGE as soon as it expands over the limit.
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Error.BAD_CONTENT_ENCODING(encoding=encoding[:64])
    inflate = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = inflate.decompress(body, max_bytes + 1)
    except zlib.error:
        raise Error.BAD_CONTENT_ENCODING(encoding="gzip") from None
    if len(plain) > max_bytes:
        raise Error.BODY_TOO_LARGE(limit_bytes=max_bytes)
    if not inflate.eof or inflate.unused_data:
        raise Error.BAD_CONTENT_ENCODING(encoding="gzip")
    return plain
