"""Targets of what is read from texts that strangers bring: policies, and tokens of every kind."""

import base64
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.services.iam import oidc, principals
from penstock.services.iam.evaluate import Identity, Judge, Need, Request, denial_text
from penstock.services.iam.pattern import Values
from penstock.services.iam.policy import MalformedPolicy, Policy, PolicyKind, parse_policy
from penstock.services.iam.vault import Session
from penstock.services.iam.vault import Vault as SessionVault
from penstock.services.kms import vault as kms
from penstock.services.streams.iterator import open_iterator, seal
from penstock.services.streams.ops.paging import PageToken
from penstock.services.streams.policy import check_policy
from penstock.services.streams.tokens import Sealer
from penstock.wire.authorization import written

ACCOUNT: Final = AccountId("123456789012")
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/team/reader"
STREAM: Final = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/a"
CALLERS: Final = (
    principals.root(ACCOUNT),
    principals.user(f"arn:aws:iam::{ACCOUNT}:user/ann", "AIDA1", {"team": "a"}),
    principals.role_session(ROLE, "me", "AROA1"),
    principals.user("arn:aws:iam::222222222222:user/bob", "AIDA2"),
)
ASKED: Final = (
    ("kinesis:PutRecord", STREAM),
    ("sts:AssumeRole", ROLE),
    ("kms:Decrypt", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{'0' * 8}-0000-0000-0000-{'0' * 12}"),
    ("iam:ListUsers", "*"),
)
KEYS: Final[dict[str, Values]] = {
    "aws:sourceip": ("10.1.2.3",),
    "aws:currenttime": ("2026-01-01T00:00:00Z",),
    "aws:epochtime": ("1767225600",),
    "aws:tagkeys": ("a", "b"),
    "aws:securetransport": ("true",),
    "aws:useragent": ("curl/8 \ud800",),
}
NOW_MS: Final = 1_790_000_000_000
NONCE: Final = bytes(12)
ISSUER_KEY: Final = ec.derive_private_key(7, ec.SECP256R1())


def policy(data: bytes) -> None:
    """A byte that chooses the kind of policy, then its document: it is refused, or it decides the same twice."""
    if not data:
        return
    kind = list(PolicyKind)[data[0] % 3]
    text = data[1:].decode("utf-8", "replace")
    try:
        check_policy(text)
    except ServiceError as refused:
        msgspec.json.encode(refused.message)
    try:
        parsed = parse_policy(text, kind)
    except MalformedPolicy as refused:
        msgspec.json.encode(str(refused))  # it can be told
        return
    judge = Judge()
    for principal in CALLERS:
        for action, resource in ASKED:
            identity, request = _asked(parsed, principal, action, resource)
            decision = judge.decide(identity, request)
            assert judge.decide(identity, request) == decision
            if not decision.allowed:
                msgspec.json.encode(denial_text(principal, request, decision))


def _asked(parsed: Policy, principal: principals.Principal, action: str, resource: str) -> tuple[Identity, Request]:
    """A question that the policy is asked, as what it is."""
    lookup = lambda key: KEYS.get(key, ())  # noqa: E731
    match parsed.kind:
        case PolicyKind.IDENTITY:
            identity = Identity(principal, (parsed,), parsed, (parsed,))
            return identity, Request(action, resource, ACCOUNT, None, lookup)
        case PolicyKind.RESOURCE:
            return Identity(principal), Request(action, resource, ACCOUNT, parsed, lookup, Need.REQUIRED)
        case PolicyKind.TRUST:
            return Identity(principal), Request(action, resource, ACCOUNT, parsed, lookup, Need.TRUST)


class Tokens:
    """A byte that chooses the kind of token, then its text."""

    def __init__(self) -> None:
        self.sealer = Sealer(bytes(32))
        self.vault = SessionVault(bytes(32))
        self.caller = Caller(ACCOUNT, Region("us-east-1"), "test", "kinesis:GetRecords")
        self._kinds: tuple[Callable[[bytes], None], ...] = (
            self._iterator,
            self._page,
            self._session,
            self._web_identity,
            self._keys,
            self._ciphertext,
            self._claims,
        )

    def __call__(self, data: bytes) -> None:
        if data:
            self._kinds[data[0] % len(self._kinds)](data[1:])

    def _iterator(self, data: bytes) -> None:
        try:
            opened = open_iterator(self.sealer, self.caller, data.decode("utf-8", "replace"), NOW_MS)
        except ServiceError as refused:
            assert refused.code in ("InvalidArgumentException", "ExpiredIteratorException")
        else:
            assert seal(self.sealer, NONCE, self.caller, opened)

    def _page(self, data: bytes) -> None:
        self.sealer.open(data.decode("utf-8", "replace"), "ListStreams", PageToken)

    def _session(self, data: bytes) -> None:
        key_id, _, token = data.decode("utf-8", "replace").partition("/")
        opened = self.vault.open_session(key_id, token)
        assert opened is None or isinstance(opened, Session)

    def _web_identity(self, data: bytes) -> None:
        with suppress(oidc.NotAToken, oidc.Outdated):
            oidc.verify(oidc.read_token(data.decode("utf-8", "replace")), {}, frozenset(), NOW_MS // 1000)

    def _keys(self, data: bytes) -> None:
        with suppress(oidc.NotAToken):
            oidc.read_keys(data)

    def _ciphertext(self, data: bytes) -> None:
        parts = kms.take_apart(data)
        assert parts is None or parts.header + parts.nonce + parts.sealed == data

    def _claims(self, data: bytes) -> None:
        """What an issuer signs: the claims, whatever they are."""
        parts = (b'{"alg":"ES256","kid":"e"}', data)
        signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
        r, s = decode_dss_signature(ISSUER_KEY.sign(signed, ec.ECDSA(SHA256())))
        signature = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=")
        keys, audiences = {"e": ISSUER_KEY.public_key()}, frozenset({"sts.amazonaws.com"})
        try:
            oidc.verify(oidc.read_token(f"{signed.decode()}.{signature.decode()}"), keys, audiences, NOW_MS // 1000)
        except oidc.Outdated as refused:
            written(refused.end_s)
        except oidc.NotAToken as refused:
            msgspec.json.encode(str(refused))
