"""Evaluation: whether a request is allowed, and if not, which kind of policy is the reason.

Theory.  Every policy that applies is asked for its verdict: deny, allow, or nothing.  One deny ends it.  Otherwise, in one account, an
allow of the principal's own policies or of the resource's is enough, under the caps of its permissions boundary and session policies;
across accounts both sides must allow.  How exactly a resource's policy names the principal decides what its allow is worth
(principals.py): itself, and nothing else is asked for an allow; its role, and the caps are; its account, and all of them are.
Rules of this file:
  1. Pure.  What the request is like comes through `Request.keys`, which is asked for a key only if a policy asks.
  2. Decisions are cached by identity of the policies, and only those in which no key was read that changes from request to request.
  3. A root user is allowed everything in its account but what the policy of a resource denies, or must allow and does not.
Source: IAM user guide, policy evaluation logic (within one account, across accounts); troubleshooting access denied messages.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from msgspec import Struct

from penstock.services.iam.pattern import Lookup, Values
from penstock.services.iam.policy import Policy, PolicyKind
from penstock.services.iam.principals import Named, Principal, PrincipalKind

DECISIONS_KEPT: Final = 8192  # all are forgotten when there are more
_CONSTANT: Final = ("aws:principal", "aws:userid", "aws:username")  # keys that begin so belong to the principal
_OUTSIDE: Final = (PrincipalKind.SERVICE, PrincipalKind.FEDERATED, PrincipalKind.ANONYMOUS)


class Source(Enum):
    """The kinds of policies, in the order in which a missing allow is reported.

    # UNVERIFIED: which kind AccessDenied names if several are the reason
    """

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"


class Need(Enum):
    """What a resource's policy must do."""

    UNION = "it or the principal's own policies allow"  # streams and most resources
    REQUIRED = "it must allow, at least the account"  # KMS keys
    TRUST = "it must allow, and is called a role trust policy"  # roles, for sts:AssumeRole*


class Identity(Struct, frozen=True, eq=False):
    """A principal with its policies.  Make a new one when any of them changes: decisions are remembered by identity."""

    principal: Principal
    policies: tuple[Policy, ...] = ()  # inline, attached and of groups
    boundary: Policy | None = None
    session: tuple[Policy, ...] | None = None  # passed when the session began; None if none were

    def __post_init__(self) -> None:
        own = (*self.policies, *(self.session or ()), *((self.boundary,) if self.boundary is not None else ()))
        assert all(policy.kind is PolicyKind.IDENTITY for policy in own), "a principal is in none of its own policies"


def no_keys(_key: str) -> Values:
    """The keys of a request of which nothing is known."""
    return ()


class Request(Struct, frozen=True):
    """What is asked for."""

    action: str  # "kinesis:PutRecord"
    resource: str  # an ARN, or "*"
    account: str  # the resource's
    policy: Policy | None = None  # the resource's
    keys: Lookup = no_keys  # its condition keys; the principal's come first
    need: Need = Need.UNION  # a function of the action


class Decision(NamedTuple):
    """The answer."""

    allowed: bool
    source: Source | None = None  # of a refusal: the kind of policy that denies, or that lacks an allow
    explicit: bool = False


ALLOWED: Final = Decision(True)


class _Asked:
    """The condition keys of one evaluation, and whether any was read that another request might have otherwise."""

    __slots__ = ("_constant", "_others", "varied")

    def __init__(self, constant: Mapping[str, Values], others: Lookup) -> None:
        self._constant = constant
        self._others = others
        self.varied = False

    def lookup(self, key: str) -> Values:
        values = self._constant.get(key)
        if values is not None:
            return values
        if key.startswith(_CONSTANT):
            return ()
        self.varied = True
        return self._others(key)


def evaluate(identity: Identity, request: Request) -> Decision:
    """Decide.  Cost: 1 us for each statement that must be looked at."""
    return _evaluate(identity, request, _Asked(identity.principal.keys, request.keys).lookup)


class Judge:
    """Decides, and remembers decisions that cannot change until a policy does."""

    def __init__(self) -> None:
        self._decisions: dict[tuple[Identity, Policy | None, str, str, str], Decision] = {}

    @property
    def remembered(self) -> int:
        """How many decisions are remembered."""
        return len(self._decisions)

    def recall(
        self, identity: Identity, policy: Policy | None, action: str, resource: str, account: str
    ) -> Decision | None:
        """The remembered decision on a request with these properties.  Cost: 0.3 us."""
        return self._decisions.get((identity, policy, action, resource, account))

    def decide(self, identity: Identity, request: Request) -> Decision:
        """As `evaluate`, or as it is remembered."""
        known = (identity, request.policy, request.action, request.resource, request.account)
        decision = self._decisions.get(known)
        if decision is not None:
            return decision
        asked = _Asked(identity.principal.keys, request.keys)
        decision = _evaluate(identity, request, asked.lookup)
        if not asked.varied:
            if len(self._decisions) >= DECISIONS_KEPT:
                self._decisions.clear()
            self._decisions[known] = decision
        return decision


class _Verdict(Enum):
    DENY = "deny"
    ALLOW = "allow"
    NOTHING = "nothing"


def _evaluate(identity: Identity, request: Request, lookup: Lookup) -> Decision:
    principal = identity.principal
    resource_source = Source.TRUST if request.need is Need.TRUST else Source.RESOURCE
    own = _verdict(identity.policies, request, lookup)
    if own is _Verdict.DENY:
        return Decision(False, Source.IDENTITY, True)
    denied, named = _resource_verdict(request, identity, lookup)
    if denied:
        return Decision(False, resource_source, True)
    capped, source = _caps(identity, request, lookup)
    if capped is _Verdict.DENY:
        return Decision(False, source, True)
    if principal.kind in _OUTSIDE:
        return ALLOWED if named is Named.ITSELF else Decision(False, resource_source)
    lacking = _lacking(principal, own, source, request, named)
    return ALLOWED if lacking is None else Decision(False, resource_source if lacking is Source.RESOURCE else lacking)


def _lacking(principal: Principal, own: _Verdict, cap: Source | None, request: Request, named: Named) -> Source | None:
    """The kind of policy whose allow is missing, where nothing denies; `cap` is the cap that does not allow."""
    own_allows = own is _Verdict.ALLOW or principal.kind is PrincipalKind.ROOT
    if principal.account != request.account:
        if not own_allows:
            return Source.IDENTITY
        return cap if cap is not None else Source.RESOURCE if named is Named.NOT else None
    if named is Named.ITSELF:
        return None
    if request.need is not Need.UNION and named is Named.NOT:
        return Source.RESOURCE
    if not own_allows and named is not Named.PARENT:
        return Source.IDENTITY
    return cap


def _verdict(policies: tuple[Policy, ...], request: Request, lookup: Lookup) -> _Verdict:
    """Of policies that hold for whoever has them."""
    action, resource = request.action, request.resource
    verdict = _Verdict.NOTHING
    for policy in policies:
        for statement in policy.statements:
            if statement.allows and verdict is _Verdict.ALLOW:
                continue
            if statement.covers(action, resource, lookup):
                if not statement.allows:
                    return _Verdict.DENY
                verdict = _Verdict.ALLOW
    return verdict


def _resource_verdict(request: Request, identity: Identity, lookup: Lookup) -> tuple[bool, Named]:
    """Whether the resource's policy denies, and else how exactly it names the principal in what it allows."""
    best = Named.NOT
    if request.policy is None:
        return False, best
    assert request.policy.kind is not PolicyKind.IDENTITY, "a resource's policy says whom it is for"
    bounded = identity.boundary is not None
    for statement in request.policy.statements:
        named = statement.names(identity.principal, bounded=bounded)
        if named is Named.NOT or (statement.allows and named <= best):
            continue
        if statement.covers(request.action, request.resource, lookup):
            if not statement.allows:
                return True, Named.NOT
            best = named
    return False, best


def _caps(identity: Identity, request: Request, lookup: Lookup) -> tuple[_Verdict, Source | None]:
    """The verdict of boundary and session policies together, and which of them is not ALLOW."""
    missing: Source | None = None
    for policies, source in (
        (None if identity.boundary is None else (identity.boundary,), Source.BOUNDARY),
        (identity.session, Source.SESSION),
    ):
        if policies is None:
            continue
        verdict = _verdict(policies, request, lookup)
        if verdict is _Verdict.DENY:
            return verdict, source
        if verdict is _Verdict.NOTHING and missing is None:
            missing = source
    return (_Verdict.ALLOW if missing is None else _Verdict.NOTHING), missing


def denial_text(principal: Principal, request: Request, decision: Decision) -> str:
    """The message of AccessDenied, as AWS words it."""
    assert not decision.allowed
    assert decision.source is not None
    where = "" if request.resource == "*" else f" on resource: {request.resource}"
    text = f"User: {principal.arn} is not authorized to perform: {request.action}{where}"
    name = decision.source.value
    if decision.explicit:
        article = "the" if decision.source is Source.TRUST else "an" if name.startswith("i") else "a"
        return f"{text} with an explicit deny in {article} {name}"
    return f"{text} because no {name} allows the {request.action} action"
