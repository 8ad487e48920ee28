"""The vault: key material at rest, under the server's master key; and ciphertexts, under key material.

Theory.  A ciphertext describes itself: a mark, the key's id, the version of its material, a nonce, then AES-256-GCM.  All of what comes
before the nonce is bound to it, and so is the encryption context, in a form that no two contexts share.  So whatever bit is changed, it
does not open.
Rules of this file: pure; nonces come from the caller; nothing here has a repr that tells a secret.
"""

import hmac
from collections.abc import Mapping
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MATERIAL_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_MARK: Final = b"\x50\x01"  # a format: never changed, another one gets another mark
_ID_END: Final = len(_MARK) + 16
_HEADER_BYTES: Final = _ID_END + 4
_BOX_BYTES: Final = _HEADER_BYTES + NONCE_BYTES


class Ciphertext(NamedTuple):
    """A ciphertext taken apart, not opened."""

    header: bytes
    key_id: str  # a UUID
    material_no: int
    nonce: bytes
    sealed: bytes


class Vault:
    """Seals key material under the master key."""

    def __init__(self, master_key: bytes) -> None:
        # A key of its own for this purpose: one block of HKDF's expansion (RFC 5869); the master key is uniform already.
        self._cipher = AESGCM(hmac.digest(master_key, b"material of KMS keys\x01", "sha256"))

    def seal(self, arn: str, material_no: int, material: bytes, nonce: bytes) -> bytes:
        """Material as it is stored, good for this key and version alone."""
        assert len(material) == MATERIAL_BYTES
        assert len(nonce) == NONCE_BYTES
        return nonce + self._cipher.encrypt(nonce, material, _bound(arn, material_no))

    def open(self, arn: str, material_no: int, sealed: bytes) -> AESGCM | None:
        """The material, ready for use, or None if it was not sealed with this master key for this key and version."""
        try:
            return AESGCM(self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(arn, material_no)))
        except (InvalidTag, ValueError):
            return None


def _bound(arn: str, material_no: int) -> bytes:
    return f"{arn}/{material_no}".encode()


def seal(
    material: AESGCM, key_id: str, material_no: int, plaintext: bytes, context: Mapping[str, str], nonce: bytes
) -> bytes:
    """A ciphertext."""
    assert len(nonce) == NONCE_BYTES
    header = _MARK + bytes.fromhex(key_id.replace("-", "")) + material_no.to_bytes(4, "big")
    return header + nonce + material.encrypt(nonce, plaintext, header + _canonical(context))


def take_apart(blob: bytes) -> Ciphertext | None:
    """What a ciphertext says of itself, or None for what is none."""
    if len(blob) < _BOX_BYTES + TAG_BYTES or not blob.startswith(_MARK):
        return None
    digits = blob[len(_MARK) : _ID_END].hex()
    key_id = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    number = int.from_bytes(blob[_ID_END:_HEADER_BYTES], "big")
    return Ciphertext(blob[:_HEADER_BYTES], key_id, number, blob[_HEADER_BYTES:_BOX_BYTES], blob[_BOX_BYTES:])


def open_sealed(material: AESGCM, ciphertext: Ciphertext, context: Mapping[str, str]) -> bytes | None:
    """The plaintext, or None if anything of it was changed or the context is another."""
    try:
        return material.decrypt(ciphertext.nonce, ciphertext.sealed, ciphertext.header + _canonical(context))
    except InvalidTag:
        return None


def _canonical(context: Mapping[str, str]) -> bytes:
    """A context as bytes: sorted, each text with its length before it."""
    parts = (text.encode("utf-8", "surrogatepass") for pair in sorted(context.items()) for text in pair)
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
