"""Sealed tokens: what a client carries for us between calls, so that no server needs to remember it.

Theory.  A token is AES-GCM over a packed value: opaque, and impossible to forge or to change.  What is bound but not carried (the
account, the region, the kind of token) is the associated data, so a token of one account is noise to another.
Rules of this file: pure; the key and each nonce come from the caller.
"""

import binascii
from typing import Final, TypeVar

import msgspec
import pybase64
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_encoder = msgspec.msgpack.Encoder()

Content = TypeVar("Content", bound=msgspec.Struct)


class Sealer:
    """Seals and opens tokens with one key."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._cipher = AESGCM(key)

    def seal(self, content: msgspec.Struct, nonce: bytes, bound: str) -> str:
        """The token for `content`, good only with the same `bound`.  Cost: 4 us."""
        assert len(nonce) == NONCE_BYTES
        sealed = self._cipher.encrypt(nonce, _encoder.encode(content), bound.encode())
        return pybase64.b64encode_as_string(nonce + sealed)

    def open(self, token: str, bound: str, kind: type[Content]) -> Content | None:
        """What a token carries, or None if it was not sealed by this key for this `bound` and kind."""
        try:
            raw = pybase64.b64decode(token, validate=True)
            if len(raw) < NONCE_BYTES + _TAG_BYTES:
                return None
            return msgspec.msgpack.decode(
                self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound.encode()), type=kind
            )
        except (binascii.Error, ValueError, InvalidTag, msgspec.ValidationError):
            return None
