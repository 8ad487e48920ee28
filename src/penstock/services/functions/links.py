"""Links to code: URLs on this server that give a zip to whoever has them, for ten minutes, as the ones in S3 that Lambda answers.

Theory.  A link is its own proof: a code's name and an end, signed with a key that this process drew.  It says nothing else, so it works
without credentials, and a restart ends it.
Rule of this file: nothing is looked up before the signature fits.
"""

import hmac
from typing import Final

import msgspec
import pybase64

from penstock.core.context import Caller
from penstock.core.ports import Clock, Entropy
from penstock.services.functions.state import Code

VALID_MS: Final = 600_000  # source: GetFunction in the API reference
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 32
_LINK_MAX_CHARS: Final = 512


class _Link(msgspec.Struct, frozen=True, array_like=True):
    blob: str
    until_ms: int


_decoder: Final = msgspec.msgpack.Decoder(_Link)


class CodeLinks:
    """Makes and reads links."""

    def __init__(self, clock: Clock, entropy: Entropy, path: str) -> None:
        self._path = path
        self._clock = clock
        self._key = entropy.bytes(_KEY_BYTES)

    def url(self, caller: Caller, code: Code) -> str | None:
        """A link to a zip, at the address that the caller has used; to a directory, on the server's machine."""
        if code.blob is None:
            return None if code.directory is None else f"file://{code.directory}"
        said = msgspec.msgpack.encode(_Link(code.blob, self._clock.now_ms() + VALID_MS))
        token = pybase64.urlsafe_b64encode(self._signature(said) + said).decode().rstrip("=")
        return f"{'https' if caller.secure else 'http'}://{caller.host or 'localhost'}{self._path}{token}"

    def blob(self, token: str) -> str | None:
        """The blob that a link is to; None for one that is over, or none of ours."""
        if len(token) > _LINK_MAX_CHARS:
            return None
        try:
            raw = pybase64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        signature, said = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(said)):
            return None
        link = _decoder.decode(said)
        return link.blob if self._clock.now_ms() < link.until_ms else None

    def _signature(self, said: bytes) -> bytes:
        return hmac.new(self._key, said, "sha256").digest()
