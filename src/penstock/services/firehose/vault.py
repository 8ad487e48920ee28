"""The vault: access keys, passwords and tokens of destinations at rest, under the server's master key.

Theory.  A configuration is taken apart: what is secret in it goes, as one map from path to text, through AES-256-GCM, bound to the
delivery stream's uid, so that it opens for no other.
Rules of this file: pure but for the master key, which its holder gives; nothing here has a repr that tells a secret.
"""

import hmac
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock.core.firehose_errors import FirehoseError
from penstock.core.ports import Entropy
from penstock.services.firehose.destinations.rules import without_user
from penstock.services.firehose.state import DeliveryStream, Document

NONCE_BYTES: Final = 12
_PATHS: Final = (  # of secrets in a destination's document; those of its other members are none
    ("EndpointConfiguration", "AccessKey"),
    ("HECToken",),
    ("KeyPassphrase",),
    ("Password",),
    ("PrivateKey",),
)
_URLS: Final = ("ClusterEndpoint", "CollectionEndpoint")  # which may hold a user and a password


class MasterKeys(Protocol):
    """Where the server's master key is."""

    async def read(self) -> bytes | None:
        """The key, or None if there is none yet.  Raises OSError, ValueError."""
        ...

    async def make(self) -> bytes:
        """The key, made now if there is none."""
        ...


def take_apart(document: Document) -> tuple[Document, dict[str, str]]:
    """A document without its secrets, and those by path."""
    secrets: dict[str, str] = {}
    for path in _PATHS:
        document = _taken(document, path, "/".join(path), secrets)
    for name in _URLS:
        url = document.get(name)
        if isinstance(url, str) and (bare := without_user(url)) != url:
            secrets[name] = url
            document = {**document, name: bare}
    return document, secrets


def put_together(document: Document, secrets: Mapping[str, str]) -> Document:
    """The document with its secrets again."""
    for path, secret in secrets.items():
        first, _, second = path.partition("/")
        if not second:
            document = {**document, first: secret}
        else:
            inner = document.get(first)
            document = {**document, first: {**(inner if isinstance(inner, dict) else {}), second: secret}}
    return document


def _taken(document: Document, path: tuple[str, ...], name: str, secrets: dict[str, str]) -> Document:
    held = document.get(path[0])
    if len(path) > 1 and isinstance(held, dict):
        return {**document, path[0]: _taken(held, path[1:], name, secrets)}
    if len(path) == 1 and isinstance(held, str):
        secrets[name] = held
        return {key: value for key, value in document.items() if key != path[0]}
    return document


class Vault:
    """Seals and opens the secrets of delivery streams."""

    def __init__(self, master: MasterKeys, entropy: Entropy) -> None:
        self._master = master
        self._entropy = entropy
        self._cipher: AESGCM | None = None

    async def seal(self, name: str, uid: str, secrets: Mapping[str, str]) -> bytes:
        """Secrets as they are stored; nothing for none.  Raises SECRETS."""
        if not secrets:
            return b""
        cipher = self._cipher or await self._open_cipher(name, make=True)
        nonce = self._entropy.bytes(NONCE_BYTES)
        return nonce + cipher.encrypt(nonce, msgspec.msgpack.encode(dict(secrets)), uid.encode())

    async def open(self, stream: DeliveryStream) -> dict[str, str]:
        """The secrets of a delivery stream.  Raises SECRETS."""
        if not stream.sealed:
            return {}
        cipher = self._cipher or await self._open_cipher(stream.name, make=False)
        nonce, sealed = stream.sealed[:NONCE_BYTES], stream.sealed[NONCE_BYTES:]
        try:
            return msgspec.msgpack.decode(cipher.decrypt(nonce, sealed, stream.uid.encode()), type=dict[str, str])
        except (InvalidTag, ValueError):
            raise FirehoseError.SECRETS(
                name=stream.name, problem="they were sealed under another master key; put it back, or set them anew"
            ) from None

    async def _open_cipher(self, name: str, *, make: bool) -> AESGCM:
        try:
            key = await (self._master.make() if make else self._master.read())
        except (OSError, ValueError) as error:
            raise FirehoseError.SECRETS(name=name, problem=f"the master key cannot be read: {error}") from None
        if key is None:
            raise FirehoseError.SECRETS(name=name, problem="there is no master key; put it back, or set them anew")
        # A key of its own for this purpose: one block of HKDF's expansion (RFC 5869); the master key is uniform already.
        self._cipher = AESGCM(hmac.digest(key, b"secrets of delivery streams\x01", "sha256"))
        return self._cipher
