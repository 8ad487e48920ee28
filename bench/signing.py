"""Requests that are signed, for servers that verify: signed before the clock runs, and used again and again.

Theory.  Signature Version 4 over content-type, host, date and target, the headers that every SDK signs.  A signature holds for one body and
for 5 minutes; nothing forbids to send it twice, so a load signs each of its requests once.  botocore takes 150 us for that, `Signer` 10:
it keeps the day's key.  A test holds its signatures against botocore's.
Rule of this file: requests are signed anew for each load.
"""

import configparser
import hashlib
import hmac
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from botocore.credentials import Credentials

from bench import payload
from bench.payload import JSON, Wire

REGION: Final = "us-east-1"
SERVICE: Final = "kinesis"
SIGNED_HEADERS: Final = "content-type;host;x-amz-date;x-amz-target"


def read_credentials(path: Path) -> Credentials:
    """The key in a file of AWS's format.  Raises FileNotFoundError while there is none."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(path.read_text())
    held = parser["default"]
    return Credentials(held["aws_access_key_id"], held["aws_secret_access_key"])


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


class Signer:
    """Signs many requests of one moment."""

    def __init__(self, credentials: Credentials, at: time.struct_time | None = None) -> None:
        moment = at or time.gmtime()
        self._stamp = time.strftime("%Y%m%dT%H%M%SZ", moment)
        day = self._stamp[:8]
        self._scope = f"{day}/{REGION}/{SERVICE}/aws4_request"
        self._key = f"AWS4{credentials.secret_key}".encode()
        for text in (day, REGION, SERVICE, "aws4_request"):
            self._key = _hmac(self._key, text)
        self._credential = f"{credentials.access_key}/{self._scope}"

    def headers(self, host: str, operation: str, body: bytes, wire: Wire = JSON) -> dict[str, str]:
        """The headers of a signed request, but for its host and length."""
        target = f"{payload.TARGET_PREFIX}.{operation}"
        canonical = (
            f"POST\n/\n\ncontent-type:{wire.content_type}\nhost:{host}\nx-amz-date:{self._stamp}\nx-amz-target:{target}\n\n"
            f"{SIGNED_HEADERS}\n{hashlib.sha256(body).hexdigest()}"
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = _hmac(self._key, f"AWS4-HMAC-SHA256\n{self._stamp}\n{self._scope}\n{digest}").hex()
        return {
            "Content-Type": wire.content_type,
            "X-Amz-Target": target,
            "X-Amz-Date": self._stamp,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self._credential}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}",
        }

    def http_request(self, port: int, operation: str, document: dict[str, Any], wire: Wire = JSON) -> bytes:
        """A whole HTTP/1.1 request, head and body."""
        body = wire.body(document)
        host = f"127.0.0.1:{port}"
        return payload.assemble(host, self.headers(host, operation, body, wire), body)


def http_request(
    credentials: Credentials, port: int, operation: str, document: dict[str, Any], more: Mapping[str, str] | None = None
) -> bytes:
    """A whole HTTP/1.1 request, head and body, signed now; headers in `more` are not signed."""
    body = JSON.body(document)
    host = f"127.0.0.1:{port}"
    return payload.assemble(host, Signer(credentials).headers(host, operation, body) | dict(more or {}), body)
