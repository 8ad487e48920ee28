"""Signed requests for the tests of signatures, made with botocore's signer or by hand."""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qsl

from penstock.core.errors import ServiceError
from penstock.wire.canonical import RawHeaders
from penstock.wire.signature import Expectation, Secret, Verified, verify

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SECRETS = {KEY_ID: Secret(SECRET)}
NOW_S = 1_440_938_160  # 2015-08-30T12:36:00Z
SIGNED_AT = "20150830T123600Z"
SCOPE = "20150830/us-east-1/kinesis/aws4_request"
EXPECTED = Expectation("kinesis")
BODY = b'{"StreamName":"s"}'


class Head(NamedTuple):
    """A request's head, as the signature sees it."""

    method: str
    target: bytes
    query: dict[str, str]
    headers: dict[str, str]
    raw_headers: RawHeaders


def head(method: str, target: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> Head:
    """A head from its lines."""
    raw = tuple((name.lower(), value.strip(b" \t")) for name, value in pairs)
    query = dict(parse_qsl(target.partition(b"?")[2].decode("latin-1"), keep_blank_values=True))
    return Head(method, target, query, {n.decode("latin-1"): v.decode("latin-1") for n, v in raw}, raw)


def sign_by_hand(canonical: str, signed_at: str = SIGNED_AT, scope: str = SCOPE, secret: str = SECRET) -> str:
    """The signature of a canonical request that a test spells out."""
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    digest = sha256(canonical.encode()).hexdigest()
    return hmac.digest(key, f"AWS4-HMAC-SHA256\n{signed_at}\n{scope}\n{digest}".encode(), "sha256").hex()


def authorization(signature: str, signed: str = "host;x-amz-date;x-amz-target", scope: str = SCOPE) -> str:
    return f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={signed}, Signature={signature}"


HEADERS = {"host": "localhost:4566", "x-amz-date": SIGNED_AT, "x-amz-target": "Kinesis_20131202.ListStreams"}


def call(
    body: bytes = BODY,
    method: str = "POST",
    target: str = "/",
    payload: str | None = None,
    secret: str = SECRET,
    scope: str = SCOPE,
    **more: str,
) -> Head:
    """A call with a right signature over all its headers; `more` by name with underscores."""
    headers = dict(sorted((HEADERS | {name.replace("_", "-"): value for name, value in more.items()}).items()))
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    names = ";".join(headers)
    payload = sha256(body).hexdigest() if payload is None else payload
    path, _, query = target.partition("?")
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}"
    signature = sign_by_hand(canonical, headers["x-amz-date"], scope, secret)
    headers["authorization"] = authorization(signature, names, scope)
    return head(method, target.encode(), [(n.encode(), v.encode()) for n, v in headers.items()])


def changed(original: Head, **headers: str | None) -> Head:
    """The same call with other header values; None takes one away.  Names have underscores."""
    wanted = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    pairs = [(name, value) for name, value in original.raw_headers if name not in wanted]
    pairs += [(name, value.encode("latin-1")) for name, value in wanted.items() if value is not None]
    return head(original.method, original.target, pairs)


def outcome(
    of: Head,
    body: bytes = BODY,
    now_s: int = NOW_S,
    expected: Expectation = EXPECTED,
    secrets: dict[str, Secret] | None = None,
) -> Verified | tuple[str, str | None]:
    """Who signed, or the code and text of the refusal."""
    try:
        return verify(of, body, now_s * 1000, expected, (SECRETS if secrets is None else secrets).get)
    except ServiceError as error:
        return error.code, error.message
