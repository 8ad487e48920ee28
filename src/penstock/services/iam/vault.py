"""The vault: secrets of access keys at rest, and temporary credentials, both under one master key.

Theory.  Three keys are derived from the master key.  The first seals the secret of each access key with AES-GCM; the access key's id is
bound to it, so that a sealed secret is good for no other.  The second seals sessions: all that is known of temporary credentials is in
their token, and nothing is stored.  The third makes the secret of temporary credentials from their access key id, so that the token need
not carry it.  Any process that has the master key can read all of them.
Rules of this file: pure; nonces come from the caller; nothing here has a repr that tells a secret.
"""

import binascii
import hmac
from typing import Final, Literal

import msgspec
import pybase64
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock.core.ids import AccountId, Millis

MASTER_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SECRET_BYTES: Final = 30  # 40 letters, as AWS's
TOKEN_MAX_CHARS: Final = 32 * 1024  # longer ones are not looked at
_TAG_BYTES: Final = 16
_encoder: Final = msgspec.msgpack.Encoder()


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Temporary credentials, as their token carries them.  A format: add with a default, never reorder."""

    kind: Literal["role", "user", "root"]
    account: AccountId
    name: str  # of the role or user; empty for root
    uid: str  # of the role or user: a new one of the same name is another
    session: str  # the session's name, of a role's
    issued_ms: Millis
    expires_ms: Millis
    policy: str | None = None  # the session policy that was passed
    policy_arns: tuple[str, ...] = ()  # managed policies that were passed as session policies
    provider: str = ""  # who vouched for a web identity


class Vault:
    """Seals and opens with what one master key gives."""

    def __init__(self, master_key: bytes) -> None:
        assert len(master_key) == MASTER_KEY_BYTES
        self._secrets = AESGCM(_derived(master_key, "secrets of access keys"))
        self._sessions = AESGCM(_derived(master_key, "sessions"))
        self._session_secrets = _derived(master_key, "secrets of sessions")

    def seal_secret(self, key_id: str, secret: str, nonce: bytes) -> bytes:
        """A secret as it is stored, good for this access key alone."""
        assert len(nonce) == NONCE_BYTES
        return nonce + self._secrets.encrypt(nonce, secret.encode(), key_id.encode())

    def open_secret(self, key_id: str, sealed: bytes) -> str | None:
        """The secret again, or None if it was not sealed with this master key for this access key."""
        try:
            return self._secrets.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], key_id.encode()).decode()
        except (InvalidTag, ValueError):
            return None

    def seal_session(self, key_id: str, session: Session, nonce: bytes) -> str:
        """The session token that goes with an access key id."""
        assert len(nonce) == NONCE_BYTES
        sealed = self._sessions.encrypt(nonce, _encoder.encode(session), key_id.encode())
        return pybase64.b64encode_as_string(nonce + sealed)

    def open_session(self, key_id: str, token: str) -> Session | None:
        """What a session token carries, or None if this vault did not seal it for this access key.  Cost: 5 us."""
        if len(token) > TOKEN_MAX_CHARS:
            return None
        try:
            raw = pybase64.b64decode(token, validate=True)
            if len(raw) < NONCE_BYTES + _TAG_BYTES:
                return None
            content = self._sessions.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], key_id.encode())
            return msgspec.msgpack.decode(content, type=Session)
        except (binascii.Error, ValueError, InvalidTag, msgspec.MsgspecError):
            return None

    def session_secret(self, key_id: str) -> str:
        """The secret of temporary credentials."""
        return pybase64.b64encode_as_string(
            hmac.digest(self._session_secrets, key_id.encode(), "sha256")[:SECRET_BYTES]
        )


def _derived(master_key: bytes, purpose: str) -> bytes:
    """A key of its own for a purpose: one block of HKDF's expansion (RFC 5869); the master key is uniform already."""
    return hmac.digest(master_key, purpose.encode() + b"\x01", "sha256")
