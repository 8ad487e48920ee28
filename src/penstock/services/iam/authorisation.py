"""Authorisation: the gate of `--auth enforced`, where policies say whether a caller may do what it asks.

Theory.  The row of an operation (actions.py) says which action on which kind of resource it is; the service's finder says which
resource the input means; evaluation (evaluate.py) decides.  STS judges its own calls, because trust policies are part of what it answers.
Rules of this file:
  1. What no row knows is refused, and so is a resource policy that cannot be read any more.
  2. Refusals are worded as AWS does, and never tell whether the resource exists.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ports import Clock
from penstock.services.iam import principals
from penstock.services.iam.actions import ResourceKind, action_of
from penstock.services.iam.evaluate import ALLOWED, Identity, Judge, Need, Request, denial_text, evaluate
from penstock.services.iam.identities import Identities
from penstock.services.iam.keys import Circumstances
from penstock.services.iam.policy import MalformedPolicy, Policy, PolicyKind, parse_policy
from penstock.services.targets import Demands, Finder, Target

Gate = Callable[[Caller, Any], None]
POLICIES_KEPT: Final = 4096
_DENY_ALL: Final = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}'
_MEMBERS: Final = {
    "Role": "role",
    "Tags": "tags",
    "tags": "tags",
    "DestinationKeyId": "destination_key_id",
}  # of inputs, by AWS's names


class Authoriser:
    """Asks policies."""

    def __init__(self, identities: Identities, clock: Clock) -> None:
        self._identities = identities
        self._clock = clock
        self._judge = Judge()

    def admit(
        self,
        service: str,
        finders: Mapping[ResourceKind, Finder],
        demands: Mapping[str, Demands] = MappingProxyType({}),
    ) -> Callable[[str], Gate | None]:
        """The gates of a service, by operation."""
        return lambda operation: self.gate(service, operation, finders, demands)

    def gate(
        self,
        service: str,
        operation: str,
        finders: Mapping[ResourceKind, Finder],
        demands: Mapping[str, Demands] = MappingProxyType({}),
    ) -> Gate | None:
        """What to ask before each call of an operation; None for one that everybody with credentials may call.

        `demands`: of operations that name several resources.  The gate raises ACCESS_DENIED.
        """
        row = action_of(service, operation)
        if row.free:
            return None
        if row.kind is ResourceKind.SEVERAL:
            return self._gate_of_several(demands[operation])
        finder, name, need = finders.get(row.kind, _anything), row.name, row.need
        others = [(also, finders[also.kind]) for also in row.also if also.kind in finders]

        def admit(caller: Caller, request: Any) -> None:
            self.check(caller, name, finder(caller, request), request, need)
            for also, find in others:
                if _asks_for(request, also.member):
                    self.check(caller, also.action, find(caller, request), request, also.need)

        return admit

    def _gate_of_several(self, demanded: Demands) -> Gate:
        def admit(caller: Caller, request: Any) -> None:
            for action, target in demanded(caller, request):
                self.check(caller, action, target, request)

        return admit

    @staticmethod
    def is_unnamed(service: str, operation: str) -> bool:
        """Whether an operation is about no single resource."""
        return action_of(service, operation).kind is ResourceKind.ANY

    @staticmethod
    def problem_of(text: str) -> str | None:
        """What is wrong with a resource policy; None if nothing is."""
        try:
            parse_policy(text, PolicyKind.RESOURCE)
        except MalformedPolicy as problem:
            return str(problem)
        return None

    def check(self, caller: Caller, action: str, target: Target, request: Any, need: Need = Need.UNION) -> None:
        """Raise ACCESS_DENIED unless a caller may do `action` on a resource.  Cost: 3 us where the decision is remembered."""
        refusal = self.why_not(caller, action, target, request, need)
        if refusal is not None:
            raise Error.ACCESS_DENIED(text=refusal)

    def why_not(self, caller: Caller, action: str, target: Target, request: Any, need: Need) -> str | None:
        """Why a caller may not, in AWS's words; None if it may.  Raises TOKEN_EXPIRED for credentials that are over by now."""
        identity = self._identities.identity_of(caller.access_key_id, caller.session_token, self._clock.now_ms())
        if identity is None:
            raise Error.TOKEN_EXPIRED()
        if self._recalls(identity, action, target):
            return None
        policy = None if target.policy is None else resource_policy(target.policy)

        def lookup(key: str) -> tuple[str, ...]:
            return self._circumstances(caller, target, request).lookup(key)

        asked = Request(action, target.arn, target.account, policy, lookup, need)
        decision = self._judge.decide(identity, asked)
        return None if decision.allowed else denial_text(identity.principal, asked, decision)

    def remembers(self, caller: Caller, action: str, target: Target) -> bool:
        """Whether a caller may, whatever the circumstances, as far as that was asked before.  Cost: 1 us."""
        identity = self._identities.identity_of(caller.access_key_id, caller.session_token, self._clock.now_ms())
        return identity is not None and self._recalls(identity, action, target)

    def _recalls(self, identity: Identity, action: str, target: Target) -> bool:
        policy = None if target.policy is None else resource_policy(target.policy)
        return self._judge.recall(identity, policy, action, target.arn, target.account) is ALLOWED

    def why_role_not(
        self, role_arn: str, session: str, action: str, target: Target, need: Need = Need.UNION
    ) -> str | None:
        """Why a service may not do `action` as a role that it was given; None if it may."""
        role = self._identities.find_role(role_arn)
        if role is None:
            return f"There is no role {role_arn}"
        identity = self._identities.role_identity(role, session)
        facts = Circumstances(
            self._clock.now_ms(), secure=True, resource_account=target.account, resource_tags=target.tags
        )
        policy = None if target.policy is None else resource_policy(target.policy)
        asked = Request(action, target.arn, target.account, policy, facts.lookup, need)
        decision = self._judge.decide(identity, asked)
        return None if decision.allowed else denial_text(identity.principal, asked, decision)

    def why_service_not(self, service: str, action: str, target: Target, source_arn: str) -> str | None:
        """Why a service may not act as itself, for a resource of its own; None if the target's policy lets it."""
        facts = Circumstances(
            self._clock.now_ms(),
            secure=True,
            resource_account=target.account,
            resource_tags=target.tags,
            source_arn=source_arn,
            source_account=source_arn.split(":")[4],
        )
        identity = Identity(principals.service(service))
        policy = None if target.policy is None else resource_policy(target.policy)
        asked = Request(action, target.arn, target.account, policy, facts.lookup)
        decision = evaluate(identity, asked)
        return None if decision.allowed else denial_text(identity.principal, asked, decision)

    def _circumstances(self, caller: Caller, target: Target, request: Any) -> Circumstances:
        tags = getattr(request, "tags", None)
        return Circumstances(
            now_ms=self._clock.now_ms(),
            secure=caller.secure,
            source_ip=caller.source_ip,
            region=caller.region,
            user_agent=caller.user_agent,
            resource_account=target.account,
            resource_tags=target.tags,
            request_tags=tags if isinstance(tags, Mapping) else {},
            tag_keys=tuple(getattr(request, "tag_keys", None) or ()),
            others=target.facts,
        )


@lru_cache(POLICIES_KEPT)
def resource_policy(text: str) -> Policy:
    """A resource policy as it was stored; one that cannot be read denies everything."""
    try:
        return parse_policy(text, PolicyKind.RESOURCE)
    except MalformedPolicy:
        return parse_policy(_DENY_ALL, PolicyKind.RESOURCE)


def _anything(caller: Caller, _request: Any) -> Target:
    return Target("*", caller.account)


def _asks_for(request: Any, member: str | None) -> bool:
    return member is None or bool(getattr(request, _MEMBERS[member], None))
