"""HMACs of signatures: keys that were derived and begun, because the same few sign all day.

Rule of this file: secrets and derived keys have no repr, and are kept by themselves, so that a new secret never meets an old key.
"""

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from penstock.wire.authorization import TERMINATOR
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import SigningKey

if TYPE_CHECKING:
    from _hashlib import HASH

SIGNING_KEYS_KEPT_MAX: Final = 512

_BLOCK_BYTES: Final = 64  # of SHA-256
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


@lru_cache(maxsize=SIGNING_KEYS_KEPT_MAX)
def _begun(key: bytes) -> "tuple[HASH, HASH]":
    """The two hashes of an HMAC (RFC 2104), the key already in them.  Copying them costs a third of an HMAC begun anew."""
    assert len(key) <= _BLOCK_BYTES, "a longer key would have to be hashed first"
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    return sha256(padded.translate(_INNER)), sha256(padded.translate(_OUTER))


@lru_cache(maxsize=SIGNING_KEYS_KEPT_MAX)
def native_key(key: bytes) -> SigningKey:
    """An HMAC of the native part, which is there."""
    assert NATIVE is not None
    return NATIVE.SigningKey(key)


def mac(key: bytes, text: bytes) -> str:
    """The HMAC-SHA256 of a text, in hexadecimal; for keys that come again and again."""
    begun_inner, begun_outer = _begun(key)
    inner, outer = begun_inner.copy(), begun_outer.copy()
    inner.update(text)
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=SIGNING_KEYS_KEPT_MAX)
def signing_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    """The key for one day, region and service.  Kept by the secret itself, so that a new secret never meets an old key."""
    key = f"AWS4{secret_key}".encode()
    for text in (date, region, service, TERMINATOR):
        key = hmac.digest(key, text.encode(), "sha256")
    return key
