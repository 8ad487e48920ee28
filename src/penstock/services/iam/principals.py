"""Principals: who makes a request, and which of them a resource policy's Principal element means.

Theory.  A request is made by a root user, a user, a session of a role, a federated user, a service, a federated identity that has no role
yet, or nobody known.  A resource policy may name the principal itself, its role, or only its account; what it names decides how much an
Allow is worth (`Named`), because a permission for an account is one to delegate, and a permission for a role is one to cap.
Rules of this file:
  1. Pure.  A principal's ARNs are given, not looked up.
  2. There are no wildcards in principals but `*` alone.
Source: IAM user guide, Principal element; policy evaluation logic, identity-based with resource-based policies.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum
from typing import Final

from msgspec import Struct, field

from penstock.services.iam.pattern import Values

_ACCOUNT = re.compile(r"(\d{12})|arn:[a-z-]+:iam::(\d{12}):root", re.ASCII)
_NO_KEYS: Final[Mapping[str, Values]] = {}
_NO_TAGS: Final[Mapping[str, str]] = {}


class PrincipalKind(Enum):
    """Kinds of principals, as aws:PrincipalType words those that it has."""

    ROOT = "Account"
    USER = "User"
    SESSION = "AssumedRole"
    FEDERATED_USER = "FederatedUser"  # a session of GetFederationToken
    SERVICE = "Service"
    FEDERATED = "Federated"  # a web identity or a SAML one that is about to assume a role
    ANONYMOUS = "Anonymous"


class Named(IntEnum):
    """How a Principal element means a principal; the more exactly, the more an Allow is worth."""

    NOT = 0
    ACCOUNT = 1  # its account: the account's own policies must allow as well
    PARENT = 2  # its role, or the user that federated it: boundaries and session policies cap it
    ITSELF = 3  # or everyone: nothing else is needed in the same account


class Principal(Struct, frozen=True, eq=False):
    """Who makes a request."""

    kind: PrincipalKind
    arn: str  # as GetCallerIdentity and AccessDenied show it; a service's name; a provider's ARN
    account: str  # empty for services, providers and nobody
    parent_arn: str = ""  # of a session: its role; of a federated user: the user
    unique_id: str = ""  # AIDA..., or AROA...:session
    keys: Mapping[str, Values] = field(default_factory=lambda: _NO_KEYS)  # its condition keys, lower case


def root(account: str) -> Principal:
    """The root user of an account."""
    arn = f"arn:aws:iam::{account}:root"
    return Principal(PrincipalKind.ROOT, arn, account, "", account, _keys(PrincipalKind.ROOT, arn, account, account))


def user(arn: str, unique_id: str = "", tags: Mapping[str, str] = _NO_TAGS) -> Principal:
    """A user, by its ARN."""
    account, name = arn.split(":")[4], arn.rpartition("/")[2]
    keys = _keys(PrincipalKind.USER, arn, account, unique_id, tags) | {"aws:username": (name,)}
    return Principal(PrincipalKind.USER, arn, account, "", unique_id, keys)


def role_session(role_arn: str, session: str, role_id: str = "", tags: Mapping[str, str] = _NO_TAGS) -> Principal:
    """A session of a role, by the role's ARN (with its path) and the session's name; tags are the role's under the session's."""
    account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    unique_id = f"{role_id}:{session}" if role_id else ""
    keys = _keys(PrincipalKind.SESSION, role_arn, account, unique_id, tags)
    return Principal(PrincipalKind.SESSION, arn, account, role_arn, unique_id, keys)


def federated_user(by: Principal, name: str, tags: Mapping[str, str] = _NO_TAGS) -> Principal:
    """A session that a user got with GetFederationToken."""
    arn = f"arn:aws:sts::{by.account}:federated-user/{name}"
    keys = _keys(PrincipalKind.FEDERATED_USER, arn, by.account, f"{by.account}:{name}", tags)
    return Principal(PrincipalKind.FEDERATED_USER, arn, by.account, by.arn, f"{by.account}:{name}", keys)


def service(name: str) -> Principal:
    """A service that acts for itself, such as `firehose.amazonaws.com`."""
    keys = {"aws:principalisawsservice": ("true",), "aws:principalservicename": (name,)}
    return Principal(PrincipalKind.SERVICE, name, "", keys=keys)


def federated(provider: str, keys: Mapping[str, Values] = _NO_KEYS) -> Principal:
    """An identity of a provider (its ARN or host name), before it has a role; `keys` are the token's claims."""
    return Principal(
        PrincipalKind.FEDERATED, provider, "", keys={name.lower(): values for name, values in keys.items()}
    )


ANONYMOUS: Final = Principal(PrincipalKind.ANONYMOUS, "anonymous", "")


def _keys(
    kind: PrincipalKind, arn: str, account: str, unique_id: str, tags: Mapping[str, str] = _NO_TAGS
) -> dict[str, Values]:
    keys: dict[str, Values] = {
        "aws:principalarn": (arn,),
        "aws:principalaccount": (account,),
        "aws:principaltype": (kind.value,),
        "aws:principalisawsservice": ("false",),
    }
    if unique_id:
        keys["aws:userid"] = (unique_id,)
    return keys | {f"aws:principaltag/{name.lower()}": (value,) for name, value in tags.items()}


class PrincipalSet:
    """The Principal (or NotPrincipal) element of a statement, ready to match."""

    __slots__ = ("_accounts", "_everyone", "_federated", "_names", "_services")

    def __init__(self, element: Mapping[str, Iterable[str]]) -> None:
        """From lists by kind: AWS, Service, Federated, CanonicalUser."""
        accounts, names = set(), set()
        for text in element.get("AWS", ()):
            match = _ACCOUNT.fullmatch(text)
            if match is not None:
                accounts.add(match[1] or match[2])
            else:
                names.add(text)
        self._everyone = "*" in names
        self._accounts, self._names = frozenset(accounts), frozenset(names)
        self._services = frozenset(element.get("Service", ()))
        self._federated = frozenset(element.get("Federated", ()))

    def names(self, principal: Principal) -> Named:
        """How exactly it means this principal."""
        if self._everyone:
            return Named.ITSELF
        match principal.kind:
            case PrincipalKind.SERVICE:
                return _either(principal.arn in self._services or "*" in self._services)
            case PrincipalKind.FEDERATED:
                return _either(principal.arn in self._federated or "*" in self._federated)
            case PrincipalKind.ANONYMOUS:
                return Named.NOT
            case PrincipalKind.ROOT:
                return _either(principal.account in self._accounts)
            case _:
                return self._names_identity(principal)

    def _names_identity(self, principal: Principal) -> Named:
        if principal.arn in self._names or (principal.unique_id and principal.unique_id in self._names):
            return Named.ITSELF
        if principal.parent_arn and principal.parent_arn in self._names:
            return Named.PARENT
        role_id = principal.unique_id.partition(":")[0] if principal.kind is PrincipalKind.SESSION else ""
        if role_id and role_id in self._names:
            return Named.PARENT
        return Named.ACCOUNT if principal.account in self._accounts else Named.NOT


def _either(itself: bool) -> Named:
    return Named.ITSELF if itself else Named.NOT
