"""Requests that are signed, for servers that verify: botocore signs them before the clock runs.

Rule of this file: a signature is good for 5 minutes, so requests are signed anew for each load.
"""

import configparser
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench import payload

REGION: Final = "us-east-1"


def read_credentials(path: Path) -> Credentials:
    """The key in a file of AWS's format.  Raises FileNotFoundError while there is none."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(path.read_text())
    held = parser["default"]
    return Credentials(held["aws_access_key_id"], held["aws_secret_access_key"])


def headers(credentials: Credentials, host: str, operation: str, body: bytes) -> dict[str, str]:
    """The headers of a signed request, but for its host and length."""
    request = AWSRequest("POST", f"http://{host}/", data=body)
    request.headers["Content-Type"] = payload.CONTENT_TYPE
    request.headers["X-Amz-Target"] = f"{payload.TARGET_PREFIX}.{operation}"
    SigV4Auth(credentials, "kinesis", REGION).add_auth(request)
    return dict(request.headers.items())


def http_request(
    credentials: Credentials, port: int, operation: str, document: dict[str, Any], more: Mapping[str, str] | None = None
) -> bytes:
    """A whole HTTP/1.1 request, head and body, signed now; headers in `more` are not signed."""
    body = json.dumps(document, separators=(",", ":")).encode()
    host = f"127.0.0.1:{port}"
    return payload.assemble(host, headers(credentials, host, operation, body) | dict(more or {}), body)
