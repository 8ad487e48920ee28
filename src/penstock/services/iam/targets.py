"""Which user, role or policy an IAM input is about."""

from typing import Any

from penstock.core.context import Caller
from penstock.services.iam.actions import ResourceKind
from penstock.services.iam.records import Role, User
from penstock.services.iam.service import Iam
from penstock.services.targets import Finder, Target


def finders(iam: Iam) -> dict[ResourceKind, Finder]:
    """The finders of the service."""

    def user(caller: Caller, request: Any) -> Target:
        name = getattr(request, "user_name", None)
        if name is None:  # the caller itself
            return Target(caller.arn, caller.account)
        held = iam.identities.find(User, caller.account, name)
        path = getattr(request, "path", None) or "/"
        arn = f"arn:aws:iam::{caller.account}:user{path}{name}"
        return (
            Target(arn, caller.account)
            if held is None
            else Target(held.record.arn, caller.account, None, _tags(held.record))
        )

    def role(caller: Caller, request: Any) -> Target:
        name = request.role_name
        held = iam.identities.find(Role, caller.account, name)
        path = getattr(request, "path", None) or "/"
        arn = f"arn:aws:iam::{caller.account}:role{path}{name}"
        return (
            Target(arn, caller.account)
            if held is None
            else Target(held.record.arn, caller.account, None, _tags(held.record))
        )

    def policy(caller: Caller, request: Any) -> Target:
        arn = getattr(request, "policy_arn", None)
        path = getattr(request, "path", None) or "/"
        return Target(arn or f"arn:aws:iam::{caller.account}:policy{path}{request.policy_name}", caller.account)

    def profile(caller: Caller, request: Any) -> Target:
        path = getattr(request, "path", None) or "/"
        name = request.instance_profile_name
        return Target(f"arn:aws:iam::{caller.account}:instance-profile{path}{name}", caller.account)

    return {
        ResourceKind.USER: user,
        ResourceKind.ROLE: role,
        ResourceKind.POLICY: policy,
        ResourceKind.PROFILE: profile,
    }


def _tags(record: User | Role) -> dict[str, str]:
    return dict(record.tags)
