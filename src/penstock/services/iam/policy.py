"""Policies: a JSON document read once into statements that are ready to match.

Theory.  A policy is a list of statements.  A statement covers a request if its actions, resources, conditions and (in a policy of a
resource) principals do; what follows from that is evaluate.py's business.  Everything that can be prepared is prepared here: patterns are
compiled, conditions are closures, and nothing of the document is kept.
Rules of this file:
  1. Pure.  A text is bounded before it is parsed, so that no document costs more than its length.
  2. A document that IAM would not take is refused for its first problem, in IAM's words; the problems of a policy of a stream are worded
     by the stream's service.
  3. Variables are read only in version 2012-10-17, and a document without a version is 2008-10-17.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import Final, NoReturn

from msgspec import Struct

from penstock.services.iam.conditions import Condition, Presence, UnknownOperator, compile_condition
from penstock.services.iam.pattern import Lookup, PatternSet
from penstock.services.iam.principals import Named, Principal, PrincipalSet

TEXT_BYTES_MAX: Final = 20 * 1024  # of any policy that is parsed; IAM's quotas are lower, and its operations' business
VERSION_WITH_VARIABLES: Final = "2012-10-17"
VERSIONS: Final = (VERSION_WITH_VARIABLES, "2008-10-17")

_DOCUMENT: Final = {"Version", "Id", "Statement"}
_STATEMENT: Final = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
}
_PRINCIPALS: Final = {"AWS", "Service", "Federated", "CanonicalUser"}
_SID = re.compile(r"[0-9A-Za-z]*", re.ASCII)
_ACTION = re.compile(r"[a-z0-9*?-]+:[a-z0-9*?]+", re.ASCII | re.IGNORECASE)
_VENDOR = re.compile(r"[a-z0-9-]+", re.ASCII | re.IGNORECASE)
_AWS_PRINCIPAL = re.compile(
    r"\*|\d{12}|A[A-Z0-9]{15,127}"
    r"|arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(user|role|assumed-role|federated-user)/[\w+=,.@/-]+)",
    re.ASCII,
)
_KEY = re.compile(r"[^:\s]+:\S+")
_ARN_PARTS: Final = 6

# IAM's words (source: recorded answers that other emulators' tests quote)
SYNTAX: Final = "Syntax errors in policy."
INVALID_JSON: Final = "This policy contains invalid Json"
TOO_LARGE: Final = "The policy is larger than {limit_bytes} bytes."  # UNVERIFIED: wording
OLD_VERSION: Final = "Policy document must be version 2012-10-17 or greater."
NO_ACTIONS: Final = "Policy statement must contain actions."
NO_RESOURCES: Final = "Policy statement must contain resources."
NO_VENDOR: Final = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
BAD_VENDOR: Final = "Vendor {vendor} is not valid"
NO_ARN: Final = 'Resource {resource} must be in ARN format or "*".'
WITH_PRINCIPAL: Final = "Policy document should not specify a principal."
NO_PRINCIPAL: Final = "Missing required field Principal"
WITH_RESOURCE: Final = "Has prohibited field Resource"
BAD_PRINCIPAL: Final = 'Invalid principal in policy: "AWS":"{principal}"'
NOT_PRINCIPAL_ALLOWED: Final = (
    "NotPrincipal is only supported with Deny, and not in a trust policy."  # UNVERIFIED: wording
)
NOT_ASSUME_ROLE: Final = "AssumeRole policy may only specify STS AssumeRole actions."
SAME_SIDS: Final = "Statement IDs (SID) in a single policy must be unique."
BAD_SID: Final = (
    "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
)


class PolicyKind(Enum):
    """What a document is attached to, and so which elements it has."""

    IDENTITY = "identity"  # also boundaries and session policies: no principal
    RESOURCE = "resource"  # principal and resource
    TRUST = "trust"  # of a role: principal, no resource


class MalformedPolicy(ValueError):
    """A document that cannot be attached; its text is the message of MalformedPolicyDocument."""


class Statement(Struct, frozen=True, eq=False):
    """One statement, compiled.  Compared and hashed by identity."""

    sid: str
    allows: bool  # or denies
    actions: PatternSet
    not_actions: bool  # it covers the actions that are not among them
    resources: PatternSet | None  # None: of a trust policy, whose resource is its role
    not_resources: bool
    principals: PrincipalSet | None
    not_principals: bool
    conditions: tuple[Condition | Presence, ...]

    def covers(self, action: str, resource: str, lookup: Lookup) -> bool:
        """Whether it speaks of this request, whoever makes it.  Cost: 0.5 us for a plain statement."""
        if self.actions.matches(action, lookup) is self.not_actions:
            return False
        resources = self.resources
        if resources is not None and resources.matches(resource, lookup) is self.not_resources:
            return False
        if self.not_resources and resources is not None and resources.doubts(resource, lookup):
            return False  # without the variable's value no resource matches (source: IAM user guide, variables with no value)
        return all(condition.holds(lookup) for condition in self.conditions) if self.conditions else True

    def names(self, principal: Principal, *, bounded: bool = False) -> Named:
        """How it means the one who asks.

        NotPrincipal exempts whom it names, and the sessions of a role that it names; an account in it exempts that account's root alone.
        It exempts nobody who is `bounded` by a permissions boundary.  Source: IAM user guide, NotPrincipal.
        """
        assert self.principals is not None, "of a resource's policy"
        named = self.principals.names(principal)
        if not self.not_principals:
            return named
        # UNVERIFIED: an account in NotPrincipal does not exempt those in it
        return Named.NOT if named >= Named.PARENT and not bounded else Named.ITSELF


class Policy(Struct, frozen=True, eq=False):
    """One document, compiled.  Compared and hashed by identity: a changed document is another policy."""

    kind: PolicyKind
    version: str
    statements: tuple[Statement, ...]


def parse_policy(text: str, kind: PolicyKind, bytes_max: int = TEXT_BYTES_MAX) -> Policy:
    """Read a policy.

    Raises MalformedPolicy.
    """
    if len(text) > bytes_max or len(text.encode("utf-8", "replace")) > bytes_max:
        _refuse(TOO_LARGE.format(limit_bytes=bytes_max))
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except MalformedPolicy:
        raise
    except (ValueError, RecursionError):  # of no JSON, of numbers without end, of nesting without end
        _refuse(INVALID_JSON)
    document = _fields(document, _DOCUMENT)
    version = document.get("Version", VERSIONS[-1])
    if version not in VERSIONS:
        _refuse(SYNTAX)
    if kind is PolicyKind.IDENTITY and version != VERSION_WITH_VARIABLES:
        _refuse(OLD_VERSION)
    if not isinstance(document.get("Id", ""), str):
        _refuse(SYNTAX)
    listed = document.get("Statement")
    fields = [_fields(statement, _STATEMENT) for statement in (listed if isinstance(listed, list) else [listed])]
    statements = tuple(_statement(each, kind, version == VERSION_WITH_VARIABLES) for each in fields)
    sids = [statement.sid for statement in statements if statement.sid]
    if len(set(sids)) != len(sids):
        _refuse(SAME_SIDS)
    if not statements:
        _refuse(SYNTAX)
    return Policy(kind, str(version), statements)


def _statement(fields: Mapping[str, object], kind: PolicyKind, variables: bool) -> Statement:
    sid, effect = fields.get("Sid", ""), fields.get("Effect")
    if not isinstance(sid, str) or effect not in ("Allow", "Deny"):
        _refuse(SYNTAX)
    if kind is not PolicyKind.RESOURCE and not _SID.fullmatch(sid):
        _refuse(BAD_SID)
    principals, not_principals = _principals(fields, kind, allows=effect == "Allow")
    actions, not_actions = _actions(fields, kind)
    resources, not_resources = _resources(fields, kind)
    return Statement(
        sid,
        effect == "Allow",
        PatternSet(actions, fold=True),
        not_actions,
        PatternSet(resources, variables=variables) if resources else None,
        not_resources,
        principals,
        not_principals,
        tuple(_conditions(fields.get("Condition", {}), variables)),
    )


def _principals(fields: Mapping[str, object], kind: PolicyKind, *, allows: bool) -> tuple[PrincipalSet | None, bool]:
    name = _one_of(fields, "Principal", "NotPrincipal")
    if kind is PolicyKind.IDENTITY:
        return (None, False) if name is None else _refuse(WITH_PRINCIPAL)
    if name is None:
        _refuse(NO_PRINCIPAL)
    if name == "NotPrincipal" and (allows or kind is PolicyKind.TRUST):
        _refuse(NOT_PRINCIPAL_ALLOWED)
    element = fields[name]
    if element == "*":
        return PrincipalSet({"AWS": ["*"]}), name == "NotPrincipal"
    listed = {each: _texts(values) for each, values in _fields(element, _PRINCIPALS).items()}
    for text in listed.get("AWS", ()):
        if _AWS_PRINCIPAL.fullmatch(text) is None:  # the only wildcard is everyone
            _refuse(BAD_PRINCIPAL.format(principal=text))
    if not any(listed.values()):
        _refuse(SYNTAX)
    return PrincipalSet(listed), name == "NotPrincipal"


def _actions(fields: Mapping[str, object], kind: PolicyKind) -> tuple[list[str], bool]:
    name = _one_of(fields, "Action", "NotAction")
    actions = _texts(fields[name]) if name is not None else []
    if not actions:
        _refuse(NO_ACTIONS)
    for action in actions:
        if action in ("*", "*:*"):
            continue
        if _ACTION.fullmatch(action) is None:
            _refuse(NO_VENDOR if ":" not in action else SYNTAX)
        vendor = action.partition(":")[0]
        if _VENDOR.fullmatch(vendor) is None:  # no wildcards before the colon
            _refuse(BAD_VENDOR.format(vendor=vendor))
        if kind is PolicyKind.TRUST and vendor.lower() != "sts":
            _refuse(NOT_ASSUME_ROLE)
    return actions, name == "NotAction"


def _resources(fields: Mapping[str, object], kind: PolicyKind) -> tuple[list[str], bool]:
    name = _one_of(fields, "Resource", "NotResource")
    if kind is PolicyKind.TRUST:
        return ([], False) if name is None else _refuse(WITH_RESOURCE)
    resources = _texts(fields[name]) if name is not None else []
    if not resources:
        _refuse(NO_RESOURCES)
    for resource in resources:
        if resource != "*" and not resource.startswith(("arn:", "${")):
            _refuse(NO_ARN.format(resource=resource))
    return [_whole_arn(resource) for resource in resources], name == "NotResource"


def _whole_arn(resource: str) -> str:
    """An ARN with all its parts: AWS reads those that are left out as `*`."""
    missing = _ARN_PARTS - 1 - resource.count(":")
    return resource if resource == "*" or "${" in resource or "*" in resource else resource + ":*" * max(missing, 0)


def _conditions(block: object, variables: bool) -> Iterable[Condition | Presence]:
    for operator, keys in _fields(block, None).items():
        for key, values in _fields(keys, None).items():
            if _KEY.fullmatch(key) is None:
                _refuse(NO_VENDOR)
            listed = tuple(_scalar(value) for value in (values if isinstance(values, list) else [values]))
            try:
                yield compile_condition(operator, key, listed, variables=variables)
            except UnknownOperator:
                _refuse(SYNTAX)


def _scalar(value: object) -> str:
    """A condition's value as text: numbers and booleans may be written as such."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            return _refuse(SYNTAX)


def _texts(values: object) -> list[str]:
    """One text or a list of them."""
    listed = values if isinstance(values, list) else [values]
    texts = [value for value in listed if isinstance(value, str) and value]
    return texts if len(texts) == len(listed) else _refuse(SYNTAX)


def _one_of(fields: Mapping[str, object], *names: str) -> str | None:
    """Which of two elements a statement has; it cannot have both."""
    found = [name for name in names if name in fields]
    return _refuse(SYNTAX) if len(found) > 1 else found[0] if found else None


def _fields(value: object, known: Collection[str] | None) -> dict[str, object]:
    if not isinstance(value, dict) or (known is not None and not value.keys() <= set(known)):
        _refuse(SYNTAX)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse(SYNTAX)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity, which are Python's, not JSON's


def _refuse(text: str) -> NoReturn:
    """Raise with a text that can be told: what it quotes may hold escaped halves of characters."""
    raise MalformedPolicy(text.encode("utf-8", "replace").decode())
