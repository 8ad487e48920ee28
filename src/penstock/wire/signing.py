"""Signing requests of our own with Signature Version 4: the other side of signature.py.

Rules of this file: pure; the host, the time, the body's hash, the token and the content type are signed, and nothing else.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import msgspec

from penstock.wire.authorization import ALGORITHM, TERMINATOR
from penstock.wire.canonical import canonical_path, canonical_query
from penstock.wire.mac import signing_key

_INSTANT: Final = "%Y%m%dT%H%M%SZ"
_SIGNED: Final = frozenset({"content-type", "host"})


class AwsCredentials(msgspec.Struct, frozen=True):
    """Whom a request is signed for."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"AwsCredentials({self.access_key_id})"


def sign(
    credentials: AwsCredentials,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    region: str,
    service: str,
    now_ms: int,
) -> dict[str, str]:
    """The headers of a POST, with its signature among them."""
    parts = urlsplit(url)
    instant = datetime.fromtimestamp(now_ms / 1000, UTC).strftime(_INSTANT)
    payload = sha256(body).hexdigest()
    added = {"X-Amz-Date": instant, "X-Amz-Content-Sha256": payload}
    if credentials.session_token:
        added["X-Amz-Security-Token"] = credentials.session_token
    signed = {name.lower(): value.strip() for name, value in headers.items() if name.lower() in _SIGNED}
    signed |= {"host": parts.netloc.rpartition("@")[2]} | {name.lower(): value for name, value in added.items()}
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        (
            "POST",
            canonical_path(parts.path.encode()).decode(),
            canonical_query(parts.query.encode()).decode(),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            payload,
        )
    )
    scope = f"{instant[:8]}/{region}/{service}/{TERMINATOR}"
    text = f"{ALGORITHM}\n{instant}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = signing_key(credentials.secret_access_key, instant[:8], region, service)
    signature = hmac.new(key, text.encode(), sha256).hexdigest()
    claim = f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, **added, "Authorization": claim}
