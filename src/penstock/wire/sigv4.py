"""Signature Version 4, as far as it is read without verifying: whose credentials a request names, and for which region.

Theory.  With `--auth open` nobody is asked for proof, yet the credential's scope, `<key id>/<date>/<region>/<service>/aws4_request`,
tells the region, which no other part of a request does.
Rules of this file: pure; what a request claims is read by authorization.py, here it is only checked for being well-formed.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from penstock.core.errors import Error
from penstock.wire.authorization import (
    TERMINATOR,
    TEXT_KEPT_MAX_CHARS,
    TEXTS_KEPT_MAX,
    read_claim,
    read_scope,
    usual_credential,
)

_ASYMMETRIC: Final = "AWS4-ECDSA-"  # SigV4a: its scope names no region
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_KEY_ID: Final = re.compile(
    r"[!-~]{1,128}", re.ASCII
)  # AWS's are letters and digits; stand-ins may have hyphens and dots


class Credential(NamedTuple):
    """The scope that a request was signed for."""

    access_key_id: str
    date: str  # YYYYMMDD
    region: str
    service: str


def is_signed(headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """Whether a request claims to be signed at all; some operations of STS are not."""
    return bool(headers.get("authorization")) or "X-Amz-Algorithm" in query


def read_credential(headers: Mapping[str, str], query: Mapping[str, str]) -> Credential:
    """The credential that a request names; `headers` by lower-case name.

    Raises AUTH_MISSING, AUTH_TWICE, AUTH_INCOMPLETE, AUTH_PAIR_MALFORMED, AUTH_ALGORITHM (for SigV4a) and AUTH_CREDENTIAL_PARTS.
    """
    text = usual_credential(headers, query)
    if text is None:
        claim = read_claim(headers, query)
        if claim.algorithm.startswith(_ASYMMETRIC):
            raise Error.AUTH_ALGORITHM(algorithm=claim.algorithm)
        text = claim.credential
    return credential_of(text)


def credential_of(text: str) -> Credential:
    """The credential that a text is.  Raises AUTH_INCOMPLETE and AUTH_CREDENTIAL_PARTS."""
    return _credential(text) if len(text) <= TEXT_KEPT_MAX_CHARS else _credential.__wrapped__(text)


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def _credential(text: str) -> Credential:
    scope = read_scope(text)
    if (
        not _KEY_ID.fullmatch(scope.access_key_id)
        or not _REGION.fullmatch(scope.region)
        or scope.terminator != TERMINATOR
    ):
        raise Error.AUTH_INCOMPLETE(
            text=f"Credential should be scoped to a valid region and end with 'aws4_request', got '{text}'"
        )
    return Credential(scope.access_key_id, scope.date, scope.region, scope.service)
