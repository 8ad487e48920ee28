"""Web identities: tokens (JWT) of OpenID Connect issuers, checked against the issuers' keys.

Theory.  A token is three parts joined by dots: a header that names algorithm and key, the claims, and a signature over both.  Only RS256
and ES256 are taken, and each only with a key of its kind, so that no header can choose a weaker check.
Rules of this file:
  1. Pure: keys and time are given.  A token is bounded by the API model (20,000 characters) before it gets here.
  2. What is wrong with a token is told by NotAToken; what is wrong with its time by Outdated.
Source: RFC 7515, 7517, 7518, 7519; EKS and the IAM user guide for what AWS checks.
"""

import binascii
import json
from collections.abc import Mapping
from typing import Final, NamedTuple, NoReturn

import pybase64
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192
SKEW_S: Final = 300  # between the issuer's clock and ours; UNVERIFIED: AWS's
_EC_BYTES: Final = 32

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class NotAToken(Exception):
    """A token that is not believed; its text says why."""


class Outdated(Exception):
    """A sound token whose time is over, at `end_s`."""

    def __init__(self, end_s: int) -> None:
        super().__init__(end_s)
        self.end_s = end_s


class Unverified(NamedTuple):
    """A token taken apart; nothing of it is to be believed yet."""

    algorithm: str
    key_id: str | None
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes

    @property
    def issuer(self) -> str:
        """Who it says made it."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""


class WebIdentity(NamedTuple):
    """What a token that was verified says."""

    issuer: str
    subject: str
    audience: str


def read_token(text: str) -> Unverified:
    """Take a token apart.  Raises NotAToken."""
    parts = text.split(".")
    if len(parts) != 3:
        raise NotAToken(
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        )
    header, claims = _object(parts[0]), _object(parts[1])
    key_id = header.get("kid")
    if "crit" in header:
        raise NotAToken("The token has critical headers, which are not understood")
    return Unverified(
        str(header.get("alg")),
        key_id if isinstance(key_id, str) else None,
        claims,
        f"{parts[0]}.{parts[1]}".encode(),
        _bytes(parts[2]),
    )


def read_keys(document: bytes) -> dict[str, PublicKey]:
    """The keys of a JWKS document by key id; keys of other kinds or uses are passed over.  Raises NotAToken."""
    try:
        listed = json.loads(document)["keys"]
        rows = [row for row in listed if isinstance(row, dict) and row.get("use", "sig") == "sig"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotAToken("The keys of the issuer are no JWKS document") from None
    keys: dict[str, PublicKey] = {}
    for number, row in enumerate(rows):
        try:
            key = _key(row)
        except (ValueError, KeyError, TypeError, NotAToken):
            continue
        if key is not None:
            keys[str(row.get("kid", f"#{number}"))] = key
    return keys


def verify(token: Unverified, keys: Mapping[str, PublicKey], audiences: frozenset[str], now_s: int) -> WebIdentity:
    """Believe a token, or not.  `keys` are its issuer's.  Raises NotAToken, Outdated."""
    known = list(keys.values()) if token.key_id is None else [key for name, key in keys.items() if name == token.key_id]
    if not any(_signs(key, token) for key in known):
        raise NotAToken("Couldn't retrieve verification key from your identity provider,"
                        " please reference AssumeRoleWithWebIdentity documentation for requirements")  # fmt: skip
    claims = token.claims
    ends_s, begins_s = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(ends_s, int | float) or not isinstance(begins_s, int | float):
        raise NotAToken("Missing a required claim: exp")
    if not now_s < ends_s:
        raise Outdated(int(max(ends_s, 0)))  # a claim may be any number: -1e999 is no moment
    if begins_s > now_s + SKEW_S:
        raise NotAToken("The token is not valid yet")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise NotAToken("Missing a required claim: sub")
    given = claims.get("aud")
    listed = given if isinstance(given, list) else [given]
    matching = [each for each in listed if isinstance(each, str) and each in audiences]
    if not matching:
        raise NotAToken("Incorrect token audience")
    return WebIdentity(token.issuer, subject, matching[0])


def _signs(key: PublicKey, token: Unverified) -> bool:
    try:
        match key, token.algorithm:
            case rsa.RSAPublicKey(), "RS256":
                key.verify(token.signature, token.signed, padding.PKCS1v15(), SHA256())
            case ec.EllipticCurvePublicKey(), "ES256" if len(token.signature) == 2 * _EC_BYTES:
                halves = token.signature[:_EC_BYTES], token.signature[_EC_BYTES:]
                r, s = (int.from_bytes(half, "big") for half in halves)
                key.verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(SHA256()))
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _key(row: Mapping[str, object]) -> PublicKey | None:
    def number(name: str) -> int:
        return int.from_bytes(_bytes(str(row[name])), "big")

    if row.get("kty") == "RSA":
        modulus = number("n")
        if not RSA_BITS_MIN <= modulus.bit_length() <= RSA_BITS_MAX:
            return None
        return rsa.RSAPublicNumbers(number("e"), modulus).public_key()
    if row.get("kty") == "EC" and row.get("crv") == "P-256":
        return ec.EllipticCurvePublicNumbers(number("x"), number("y"), ec.SECP256R1()).public_key()
    return None


def _object(part: str) -> dict[str, object]:
    try:
        found = json.loads(_bytes(part), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotAToken("The ID Token provided is not a valid JWT") from None
    if not isinstance(found, dict):
        raise NotAToken("The ID Token provided is not a valid JWT")
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity, which are Python's, not JSON's


def _bytes(part: str) -> bytes:
    """Base64url without padding."""
    try:
        return pybase64.b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NotAToken("The ID Token provided is not a valid JWT") from None
