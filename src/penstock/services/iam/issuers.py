"""Issuers: the OpenID Connect providers that the server believes, and their keys.

Theory.  A setting names each issuer with the place of its keys, a file or a URL.  Keys are read when a token first needs them, and again
when a token names one that is not known, but no sooner than a minute after the last time: strangers choose what tokens name.
Rule of this file: what checks tokens is imported by the first of them; most servers see none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from penstock.core.identity_errors import IamError
from penstock.core.ports import Clock
from penstock.wire.authorization import written

if TYPE_CHECKING:
    from penstock.services.iam.oidc import PublicKey, Unverified, WebIdentity

REREAD_MS: Final = 60_000
KEPT_MS: Final = 3_600_000  # keys that an issuer took back are forgotten after so long

Fetch = Callable[[str], Awaitable[bytes]]  # of a path or URL; raises an Exception whose text says why not


class _Held(Struct):
    keys: "Mapping[str, PublicKey]" = field(default_factory=dict)
    read_ms: int | None = None
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Issuers:
    """The issuers that settings name."""

    def __init__(
        self,
        sources: Mapping[str, str],
        audiences: frozenset[str],
        clock: Clock,
        fetch: Fetch,
        refused: type[Exception],
    ) -> None:
        """`sources`: where the keys of each issuer are; `refused`: what `fetch` raises."""
        self._sources = sources
        self._audiences = audiences
        self._clock = clock
        self._fetch = fetch
        self._refused = refused
        self._held: dict[str, _Held] = {}

    async def verify(self, text: str) -> "WebIdentity":
        """Who a token speaks of.  Raises TOKEN_REFUSED, TOKEN_OUTDATED, KEYS_UNREACHABLE."""
        from penstock.services.iam.oidc import NotAToken, Outdated, read_token, verify

        try:
            token = read_token(text)
            if token.issuer not in self._sources:
                raise NotAToken("No OpenIDConnect provider found in your account for " + token.issuer[:200])
            keys = await self._keys(token)
            return verify(token, keys, self._audiences, self._clock.now_ms() // 1000)
        except NotAToken as error:
            raise IamError.TOKEN_REFUSED(text=str(error)) from None
        except Outdated as error:
            now_s = self._clock.now_ms() // 1000
            raise IamError.TOKEN_OUTDATED(now=written(now_s), end=written(max(0, min(error.end_s, now_s)))) from None

    async def _keys(self, token: "Unverified") -> "Mapping[str, PublicKey]":
        from penstock.services.iam.oidc import read_keys

        held = self._held.setdefault(token.issuer, _Held())
        async with held.reading:  # who comes meanwhile does not ask again
            now_ms = self._clock.now_ms()
            age_ms = KEPT_MS if held.read_ms is None else now_ms - held.read_ms
            missing = token.key_id is not None and token.key_id not in held.keys
            if age_ms >= KEPT_MS or (missing and age_ms >= REREAD_MS):
                try:
                    held.keys = read_keys(await self._fetch(self._sources[token.issuer]))
                except self._refused:
                    raise IamError.KEYS_UNREACHABLE(issuer=token.issuer) from None
                held.read_ms = now_ms
            return held.keys
