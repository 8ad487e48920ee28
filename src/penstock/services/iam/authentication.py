"""Authentication: the door of `--auth enforced`, where every request proves who made it.

Rules of this file:
  1. A caller exists only if its signature was verified and its credentials are in force; there is no other way to make one here.
  2. Signatures are held against the machine's time, whatever a test does with the server's clock; sessions end by the latter.
"""

from typing import Final

from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import AccountId, Region
from penstock.core.ports import Clock
from penstock.services.iam.identities import Identities
from penstock.wire import sigv4
from penstock.wire.authorization import read_claim
from penstock.wire.route import Head, Route
from penstock.wire.signature import Expectation, Proof, usual_proof, verify

_SKEW_MIN: Final = {"sts": 15}  # source: STS's own refusals name 15 minutes
_ANONYMOUS: Final = "anonymous"


class SignedDoor:
    """With `--auth enforced`."""

    hashes = True

    def __init__(self, identities: Identities, clock: Clock, machine: Clock, default_account: str) -> None:
        self._identities = identities
        self._clock = clock
        self._machine = machine
        self._default_account = AccountId(default_account)
        self._expectations: dict[str, Expectation] = {}

    def caller(
        self, route: Route, head: Head, body: bytes, body_sha256: str | None = None, request_id: str = ""
    ) -> Caller:
        """Who signed.  Raises AUTH_*, SIGNATURE_*, KEY_UNKNOWN, TOKEN_EXPIRED.  Cost: 12 us."""
        if route.operation.model.unsigned and not sigv4.is_signed(head.headers, head.query):
            return Caller(
                self._default_account, Region(""), "", route.action, None, _ANONYMOUS, *head.surroundings, request_id
            )
        identities, service = self._identities, route.service.model.signing_name
        token = head.headers.get("x-amz-security-token") or head.query.get("X-Amz-Security-Token")
        expected = self._expect(service)
        signer = verify(head, body, self._machine.now_ms(), expected, identities.lookup(token), body_sha256)
        identity = identities.identity_of(signer.access_key_id, token, self._clock.now_ms())
        if identity is None:  # what was signed with is known; so it is a session, and over
            raise Error.TOKEN_EXPIRED()
        principal = identity.principal
        return Caller(
            AccountId(principal.account),
            Region(signer.region),
            signer.access_key_id,
            route.action,
            token,
            principal.arn,
            *head.surroundings,
            request_id,
        )

    def claimant(self, claim: str, date: str, action: str) -> tuple[Caller, Proof | None] | None:
        """Who makes a call that is spelled as SDKs do, for an operation of Kinesis, if its signature is right; None: ask `caller`."""
        identities, expected = self._identities, self._expect("kinesis")
        proof = usual_proof(claim, date, self._machine.now_ms(), expected, identities.secret)
        identity = (
            None if proof is None else identities.identity_of(proof.scope.access_key_id, None, self._clock.now_ms())
        )
        if proof is None or identity is None:
            return None
        principal, scope = identity.principal, proof.scope
        account, region = AccountId(principal.account), Region(scope.region)
        return Caller(account, region, scope.access_key_id, action, None, principal.arn), proof

    def check_named(self, head: Head) -> None:
        """Raise what is wrong with the credentials' form."""
        read_claim(head.headers, head.query)

    def _expect(self, service: str) -> Expectation:
        expected = self._expectations.get(service)
        if expected is None:
            expected = self._expectations[service] = Expectation(service, skew_min=_SKEW_MIN.get(service, 5))
        return expected
