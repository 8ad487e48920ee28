"""Signatures: whether the one who holds a secret key made a request, and made it now.

Theory.  Signature Version 4 is an HMAC over the canonical request, the moment and the scope, with a key derived from the secret for one
day, region and service.  Whoever knows the secret computes the same; nothing else is believed.
Rules of this file:
  1. Pure: no clock, no randomness; the caller brings the moment and the secrets.  Nothing but a ServiceError is ever raised.
  2. Checks are made in AWS's order (source: mhart/dynalite, index.js, notes on DynamoDB's answers): both forms at once, missing parts,
     the date and its age, the host signed, the algorithm, the credential's parts, its scope, the key, its token, the signature.
  3. Signatures and tokens are compared in constant time; secrets and derived keys have no repr.
  4. What is verified are the bytes that arrived: the caller passes the body before it undoes any encoding.

Cost: see `python -m bench.signature`.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from msgspec import Struct

from penstock.core.errors import Error, ServiceError
from penstock.wire.authorization import (
    ALGORITHM,
    SIGNATURE_CHARS,
    TERMINATOR,
    TEXT_KEPT_MAX_CHARS,
    TEXTS_KEPT_MAX,
    Claim,
    Instant,
    Scope,
    read_claim,
    read_instant,
    read_scope,
    usual_parts,
    written,
)
from penstock.wire.canonical import (
    SignedHead,
    SignedHeaders,
    canonical_path,
    canonical_query,
    header_part,
    read_signed_headers,
)
from penstock.wire.mac import mac, native_key, signing_key
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import SignedNames, SigningKey

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
STREAMING_PAYLOAD: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_PAYLOAD_TRAILER: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
PAYLOAD_MARKS: Final = frozenset(
    (UNSIGNED_PAYLOAD, STREAMING_PAYLOAD, STREAMING_PAYLOAD_TRAILER, STREAMING_UNSIGNED_TRAILER)
)
SKEW_MIN: Final = 5  # of Kinesis; source: s12v/awsbeats#48 and awslabs/amazon-kinesis-producer#41 quote both texts
EXPIRES_MAX_S: Final = 604_800

_region = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_expires = re.compile(r"[0-9]{1,6}", re.ASCII)
_NO_FIELDS: Final[frozenset[str]] = frozenset()
_SIGNATURE_FIELD: Final = frozenset(("X-Amz-Signature",))
_TOKEN_FIELDS: Final = frozenset(("X-Amz-Signature", "X-Amz-Security-Token"))


class Expectation(NamedTuple):
    """What a signature must be for."""

    service: str  # the signing name
    regions: frozenset[str] | None = None  # None: any that looks like one
    skew_min: int = SKEW_MIN  # STS and SQS allow 15 (source: aws-amplify/aws-sdk-android#88)
    explains: bool = False  # tell, as AWS once did, which texts should have been signed


class Secret(NamedTuple):
    """What the server knows of an access key."""

    secret_key: str
    session_token: str | None = None  # of temporary credentials
    expires_ms: int | None = None  # when they end

    def __repr__(self) -> str:
        return "Secret(...)"


class Seed(NamedTuple):
    """What signatures of chunks begin with."""

    signing_key: bytes
    signed_at: str
    scope: str
    signature: str

    def __repr__(self) -> str:
        return "Seed(...)"


class Pending(Struct, frozen=True):
    """A request whose signature can be compared as soon as the body's hash is known."""

    needs_hash: bool  # of the body as it arrived; a body that is unsigned, or signed in chunks, is not hashed
    head: SignedHead
    claim: Claim
    instant: Instant
    scope: Scope
    secret: Secret
    token: str | None
    payload: str | None  # the hash or mark that the client gave
    signed: SignedHeaders
    before: bytes  # the string to sign up to the hash
    explains: bool

    def __repr__(self) -> str:
        return "Pending(...)"


class Verified(Struct, frozen=True):
    """Who made a request."""

    access_key_id: str
    date: str  # YYYYMMDD
    region: str
    service: str
    session_token: str | None
    payload: str  # what was signed of the body: a hash, or one of PAYLOAD_MARKS
    seed: Seed | None  # of a body that is signed in chunks

    def __repr__(self) -> str:
        return f"Verified({self.access_key_id}, {self.date}, {self.region}, {self.service})"


Lookup = Callable[[str], Secret | None]  # by access key id


def verify(
    head: SignedHead, body: bytes, now_ms: int, expected: Expectation, lookup: Lookup, body_sha256: str | None = None
) -> Verified:
    """Who signed a request whose body is there, and perhaps its hash: `begin` and `finish` in one."""
    usual = _verify_usual(head, body, now_ms, expected, lookup, body_sha256)
    if usual is not None:
        return usual
    pending = begin(head, now_ms, expected, lookup)
    return finish(pending, (body_sha256 or sha256(body).hexdigest()) if pending.needs_hash else None)


def _verify_usual(
    head: SignedHead, body: bytes, now_ms: int, expected: Expectation, lookup: Lookup, body_sha256: str | None
) -> Verified | None:
    """Who signed a call that is spelled as SDKs do, with a key that is no session's, where the native part says so.

    None: look closely.  What it checks is what `begin` and `finish` check of such a call; it words no refusal.
    """
    headers = head.headers
    authorization, date = headers.get("authorization", ""), headers.get("x-amz-date", "")
    plain = NATIVE is not None and head.target == b"/" and head.method == "POST"
    if not plain or "x-amz-security-token" in headers or "x-amz-content-sha256" in headers:
        return None
    proof = usual_proof(authorization[:-SIGNATURE_CHARS], date, now_ms, expected, lookup)
    if proof is None or not isinstance(head.raw_headers, tuple):
        return None
    given, payload = authorization[-SIGNATURE_CHARS:].encode(), body_sha256
    if payload is None:
        payload = proof.names.signs_body(proof.key, proof.before, head.raw_headers, body, given)
    elif not proof.names.signs(proof.key, proof.before, head.raw_headers, payload.encode(), given):
        return None
    return None if payload is None else Verified(*proof.scope[:4], None, payload, None)


class Proof(NamedTuple):
    """What the native part holds a signature against."""

    scope: Scope
    names: SignedNames
    key: SigningKey
    before: bytes  # the string to sign up to the hash

    def __repr__(self) -> str:
        return f"Proof({self.scope})"


def usual_proof(claim: str, date: str, now_ms: int, expected: Expectation, lookup: Lookup) -> Proof | None:
    """What the signature must be of a call that is spelled as SDKs do and made in time, with a key that is no session's.

    `claim`: its Authorization header up to the signature.  None: look closely.
    """
    read = _read_usual(claim, date, expected) if len(claim) + len(date) <= TEXT_KEPT_MAX_CHARS else None
    if read is None or read.signed.native is None:
        return None
    scope = read.scope
    secret, skew_s = lookup(scope.access_key_id), expected.skew_min * 60
    timely = -skew_s <= read.instant.at_s - now_ms // 1000 <= skew_s
    if secret is None or secret.session_token is not None or not timely:
        return None
    key = native_key(signing_key(secret.secret_key, scope.date, scope.region, scope.service))
    return Proof(scope, read.signed.native, key, read.before)


def begin(head: SignedHead, now_ms: int, expected: Expectation, lookup: Lookup) -> Pending:
    """Check all that can be known without the body.

    Raises AUTH_*, SIGNATURE_EXPIRED, SIGNATURE_EARLY, KEY_UNKNOWN and TOKEN_EXPIRED.
    """
    claim = read_claim(head.headers, head.query)
    read = _read(claim.algorithm, claim.credential, claim.signed_headers, claim.date, expected)
    if read is None:
        read = _read_step_by_step(claim, head.query, now_ms // 1000, expected)
    else:
        _check_age(claim, read.instant, head.query, now_ms // 1000, expected)
    instant, signed, scope, _ = read
    secret = lookup(scope.access_key_id)
    if secret is None:
        raise Error.KEY_UNKNOWN()
    token = head.headers.get("x-amz-security-token")
    if claim.presigned:
        token = head.query.get("X-Amz-Security-Token") or token
    if secret.session_token is not None:
        _check_session(secret, token, now_ms)
    payload = _claimed_payload(head, claim, scope)
    needs_hash = payload not in PAYLOAD_MARKS
    return Pending(
        needs_hash, head, claim, instant, scope, secret, token, payload, signed, read.before, expected.explains
    )


class _Read(NamedTuple):
    """What a claim says, in order but for its age."""

    instant: Instant
    signed: SignedHeaders
    scope: Scope
    before: bytes  # the string to sign up to the hash


def _read_step_by_step(claim: Claim, query: Mapping[str, str], now_s: int | None, expected: Expectation) -> _Read:
    """Read a claim, its age checked too where it is known what time it is.  Whatever is wrong is raised in AWS's order."""
    instant = read_instant(claim.date)
    if now_s is not None:
        _check_age(claim, instant, query, now_s, expected)
    signed = read_signed_headers(claim.signed_headers)
    if not signed.with_host:
        raise Error.AUTH_HOST_UNSIGNED()
    if claim.algorithm != ALGORITHM:
        raise Error.AUTH_ALGORITHM(algorithm=claim.algorithm)
    scope = read_scope(claim.credential)
    _check_scope(scope, instant, expected)
    return _Read(instant, signed, scope, _before_hash(instant, scope).encode())


def _read(algorithm: str, credential: str, signed_headers: str, date: str, expected: Expectation) -> _Read | None:
    """What a claim says, remembered: within a second it is the same for all of a client's calls.  None: look closely."""
    if len(credential) + len(signed_headers) + len(date) > TEXT_KEPT_MAX_CHARS:
        return None
    return _remembered(algorithm, credential, signed_headers, date, expected)


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def _read_usual(authorization: str, date: str, expected: Expectation) -> _Read | None:
    """What an Authorization header up to its signature says, if SDKs could have written it."""
    parts = usual_parts(authorization)
    return None if parts is None or not date else _read(*parts, date, expected)


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def _remembered(algorithm: str, credential: str, signed_headers: str, date: str, expected: Expectation) -> _Read | None:
    try:
        claim = Claim(algorithm, credential, signed_headers, "", date, False)
        return _read_step_by_step(claim, {}, None, expected)
    except ServiceError:
        return None


def finish(pending: Pending, body_sha256: str | None) -> Verified:
    """Compare the signature, given the body's hash (lower-case hexadecimal) if it was needed.

    Raises SIGNATURE_WRONG and TOKEN_INVALID.
    """
    claim, scope, secret, token, given = pending.claim, pending.scope, pending.secret, pending.token, pending.payload
    payload = body_sha256 if pending.needs_hash else given
    assert payload is not None, "a body whose hash is needed was hashed"
    key = signing_key(secret.secret_key, scope.date, scope.region, scope.service)
    without = _SIGNATURE_FIELD if claim.presigned else _NO_FIELDS
    right = _signs(key, pending, payload, without)
    if not right and claim.presigned and token:  # IoT's signers add the token after they have signed
        right = _signs(key, pending, payload, _TOKEN_FIELDS)
    if not right or (given is not None and given != payload):
        raise _wrong(pending, payload, without)
    if token and secret.session_token is None:
        raise Error.TOKEN_INVALID()
    seed = None
    if payload in (STREAMING_PAYLOAD, STREAMING_PAYLOAD_TRAILER):
        seed = Seed(key, pending.instant.text, scope.text, claim.signature)
    return Verified(scope.access_key_id, scope.date, scope.region, scope.service, secret.session_token, payload, seed)


def canonical_request(pending: Pending, payload: str, without: frozenset[str]) -> bytes | None:
    """The canonical request; None where a signed header is missing."""
    head = pending.head
    part = header_part(pending.signed, head.raw_headers)
    if part is None:
        return None
    target = head.target
    if target == b"/":
        return b"%b\n/\n\n%b%b" % (head.method.encode("utf-8", "replace"), part, payload.encode())
    path, _, query = target.partition(b"?")
    return b"\n".join(
        (
            head.method.encode("utf-8", "replace"),
            canonical_path(path, verbatim=pending.scope.service == "s3"),
            canonical_query(query, without),
            part + payload.encode(),
        )
    )


def string_to_sign(instant: Instant, scope: Scope, canonical: bytes) -> str:
    """The text whose HMAC is the signature."""
    return _before_hash(instant, scope) + sha256(canonical).hexdigest()


def _before_hash(instant: Instant, scope: Scope) -> str:
    return f"{ALGORITHM}\n{instant.text}\n{scope.text}\n"


def _signs(key: bytes, pending: Pending, payload: str, without: frozenset[str]) -> bool:
    given = pending.claim.signature
    if not given.isascii():
        return False
    native, head = pending.signed.native, pending.head
    if native is not None and head.target == b"/" and head.method == "POST" and isinstance(head.raw_headers, tuple):
        text = pending.before
        if native.signs(native_key(key), text, head.raw_headers, payload.encode(), given.encode()):
            return True
    canonical = canonical_request(pending, payload, without)
    if canonical is None:
        return False
    return hmac.compare_digest(mac(key, pending.before + sha256(canonical).hexdigest().encode()), given)


def _wrong(pending: Pending, payload: str, without: frozenset[str]) -> ServiceError:
    canonical = canonical_request(pending, payload, without) if pending.explains else None
    if canonical is None:
        return Error.SIGNATURE_WRONG(explained="")
    text = string_to_sign(pending.instant, pending.scope, canonical)
    return Error.SIGNATURE_WRONG(
        explained=f"\n\nThe Canonical String for this request should have been\n'{canonical.decode('utf-8', 'replace')}'"
        f"\n\nThe String-to-Sign should have been\n'{text}'\n"
    )


def _check_age(claim: Claim, instant: Instant, query: Mapping[str, str], now_s: int, expected: Expectation) -> None:
    skew_s = expected.skew_min * 60
    lasts_s = skew_s
    if claim.presigned and "X-Amz-Expires" in query:
        # UNVERIFIED: STS was seen to ignore it (aws/aws-sdk-go#2167); S3 and the video services do not
        text = query["X-Amz-Expires"]
        if not _expires.fullmatch(text) or not 1 <= int(text) <= EXPIRES_MAX_S:
            raise Error.AUTH_EXPIRES_INVALID(limit_s=EXPIRES_MAX_S)
        lasts_s = int(text)
    if instant.at_s < now_s - lasts_s:
        lasts = f"{lasts_s // 60} min." if lasts_s % 60 == 0 else f"{lasts_s} s."  # UNVERIFIED: what is no whole minute
        raise Error.SIGNATURE_EXPIRED(
            signed=instant.text, earliest=written(now_s - lasts_s), now=written(now_s), lasts=lasts
        )
    if instant.at_s > now_s + skew_s:
        raise Error.SIGNATURE_EARLY(
            signed=instant.text, latest=written(now_s + skew_s), now=written(now_s), skew_min=expected.skew_min
        )


def _check_scope(scope: Scope, instant: Instant, expected: Expectation) -> None:
    """Complain of all that is wrong with a scope, in one text."""
    _, date, region, service, term, _ = scope
    known = _region.fullmatch(region) if expected.regions is None else region in expected.regions
    today = instant.text[:8]
    if known and service == expected.service and term == TERMINATOR and date == today:
        return
    text = ""
    if not known:
        text += f"Credential should be scoped to a valid region, not '{region}'. "
    if service != expected.service:
        text += f"Credential should be scoped to correct service: '{expected.service}'. "
    if term != TERMINATOR:
        text += f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{term}'. "
    if date != today:
        text += (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date}' != '{today}', from '{instant.text}'."
        )
    raise Error.AUTH_SCOPE(text=text)


def _check_session(secret: Secret, token: str | None, now_ms: int) -> None:
    """Temporary credentials: their token must come along, and they end."""
    # UNVERIFIED: that both are looked at before the signature
    assert secret.session_token is not None
    if token is None or not hmac.compare_digest(token.encode("utf-8", "replace"), secret.session_token.encode()):
        raise Error.KEY_UNKNOWN()
    if secret.expires_ms is not None and now_ms >= secret.expires_ms:
        raise Error.TOKEN_EXPIRED()


def _claimed_payload(head: SignedHead, claim: Claim, scope: Scope) -> str | None:
    """What the client says that it signed of the body, if it says so."""
    # UNVERIFIED: which services but S3 take the marks; a hash that is not the body's is a wrong signature either way
    given = head.headers.get("x-amz-content-sha256")
    if given is None and claim.presigned:
        given = head.query.get("X-Amz-Content-Sha256")
        if given is None and scope.service == "s3":
            given = UNSIGNED_PAYLOAD
    return given
