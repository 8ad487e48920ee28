"""Tokens and keys of an issuer that tests made up."""

import json
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

ISSUER = "https://oidc.example.com/id/CLUSTER"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int) -> str:
    return text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwks(*, with_ec: bool = True) -> bytes:
    numbers, point = RSA_KEY.public_key().public_numbers(), EC_KEY.public_key().public_numbers()
    rows: list[dict[str, str]] = [
        {"kid": "r", "kty": "RSA", "use": "sig", "alg": "RS256", "n": number(numbers.n), "e": number(numbers.e)},
        {"kid": "strange", "kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kid": "broken", "kty": "RSA", "n": "*", "e": "AQAB"},
    ]
    if with_ec:
        row = {
            "kty": "EC",
            "crv": "P-256",
            "x": text(point.x.to_bytes(32, "big")),
            "y": text(point.y.to_bytes(32, "big")),
        }
        rows.append({"kid": "e", **row})
    return json.dumps({"keys": rows}).encode()


def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
    signed = f"{text(json.dumps(header).encode())}.{text(json.dumps(claims).encode())}"
    if header.get("alg") == "ES256":
        r, s = decode_dss_signature(EC_KEY.sign(signed.encode(), ec.ECDSA(SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    else:
        signature = RSA_KEY.sign(signed.encode(), padding.PKCS1v15(), SHA256())
    return f"{signed}.{text(signature)}"


def token(now_ms: int, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token that is fine, but for what is given."""
    now_s = now_ms // 1000
    whole: dict[str, Any] = {"iss": ISSUER, "sub": "system:serviceaccount:default:app", "aud": ["sts.amazonaws.com"]}
    whole |= {"iat": now_s, "exp": now_s + 600, **claims}
    return sign({"alg": "RS256", "kid": "r", **(header or {})}, whole)
