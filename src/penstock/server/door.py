"""The door: who makes a request, found out before anything is done for it."""

from typing import Final, Protocol
from urllib.parse import urlsplit

from penstock.core.context import Caller
from penstock.core.errors import Error, ServiceError
from penstock.core.ids import AccountId, Region
from penstock.core.settings import is_loopback
from penstock.wire import sigv4
from penstock.wire.authorization import TEXT_KEPT_MAX_CHARS, usual_parts
from penstock.wire.route import Head, Route
from penstock.wire.signature import Proof

RUNS_CODE: Final = "lambda:"  # actions that make this machine run what is sent to it


def _is_ours(origin: str) -> bool:
    """Whether a page came from this machine."""
    try:
        return is_loopback(urlsplit(origin).hostname or "")
    except ValueError:
        return False


Claimant = tuple[Caller, Proof | None]  # and what its signature must be held against; None where it is believed


class Door(Protocol):
    """Finds out who calls."""

    hashes: bool  # whether it needs the hash of a body

    def caller(
        self, route: Route, head: Head, body: bytes, body_sha256: str | None = None, request_id: str = ""
    ) -> Caller:
        """Who calls; `body` is as it came, and so is its hash, if it is known already.  Raises the refusals of credentials."""
        ...

    def claimant(self, claim: str, date: str, action: str) -> "Claimant | None":
        """Who makes a call that is spelled as SDKs do, for an operation of Kinesis; None: ask `caller`.

        `claim`: its Authorization header up to the signature.
        """
        ...

    def check_named(self, head: Head) -> None:
        """Raise what AWS tells of credentials that are missing or half there, where no operation is known."""
        ...


class OpenDoor:
    """With `--auth open`: credentials must be well formed, and are believed.

    A key id of 12 digits names its account, any other belongs to the default one.
    """

    hashes = False

    def __init__(self, default_account: str) -> None:
        self._default_account = AccountId(default_account)

    def caller(
        self, route: Route, head: Head, body: bytes, body_sha256: str | None = None, request_id: str = ""
    ) -> Caller:
        """Who says that they call.  Raises WEB_PAGE: any page that is open in a browser here can send a request."""
        origin = head.headers.get("origin")
        if origin is not None and route.action.startswith(RUNS_CODE) and not _is_ours(origin):
            raise Error.WEB_PAGE(origin=origin[:100])
        if route.operation.model.unsigned and not sigv4.is_signed(head.headers, head.query):
            return Caller(
                self._default_account, Region(""), "", route.action, None, None, *head.surroundings, request_id
            )
        credential = sigv4.read_credential(head.headers, head.query)
        key_id = credential.access_key_id
        account = self._account_of(key_id)
        token = head.headers.get("x-amz-security-token") or head.query.get("X-Amz-Security-Token")
        return Caller(
            account, Region(credential.region), key_id, route.action, token, None, *head.surroundings, request_id
        )

    def claimant(self, claim: str, date: str, action: str) -> Claimant | None:
        """Who says that they call."""
        parts = usual_parts(claim) if date and len(claim) <= TEXT_KEPT_MAX_CHARS else None
        if parts is None:
            return None
        try:
            credential = sigv4.credential_of(parts[1])
        except ServiceError:
            return None
        key_id = credential.access_key_id
        return Caller(self._account_of(key_id), Region(credential.region), key_id, action), None

    def _account_of(self, key_id: str) -> AccountId:
        return AccountId(key_id) if len(key_id) == 12 and key_id.isdecimal() else self._default_account

    def check_named(self, head: Head) -> None:
        """Raise what is wrong with the credentials' form."""
        sigv4.read_credential(head.headers, head.query)
