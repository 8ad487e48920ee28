"""Which managed policies users and roles have: attached ones, and the permissions boundary."""

from typing import Literal

import msgspec
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.identity_errors import IamError
from penstock.core.limits import ATTACHED_MAX
from penstock.services.iam.identities import Held
from penstock.services.iam.ops.inline import ListRolePoliciesRequest, ListUserPoliciesRequest
from penstock.services.iam.ops.role import RoleRequest
from penstock.services.iam.ops.shapes import IamInput, IamOutput, ListOutput, ListRequest, page
from penstock.services.iam.ops.user import UserRequest, check_boundary
from penstock.services.iam.records import AWS_ACCOUNT, Holder, Record, Role, User
from penstock.services.iam.service import Iam


class AttachUserPolicyRequest(IamInput, kw_only=True):
    """AttachUserPolicy, DetachUserPolicy."""

    user_name: str
    policy_arn: str


class AttachRolePolicyRequest(IamInput, kw_only=True):
    """AttachRolePolicy, DetachRolePolicy."""

    role_name: str
    policy_arn: str


class UserBoundaryRequest(UserRequest, kw_only=True):
    """PutUserPermissionsBoundary."""

    permissions_boundary: str


class RoleBoundaryRequest(RoleRequest, kw_only=True):
    """PutRolePermissionsBoundary."""

    permissions_boundary: str


class ListAttachedUserPoliciesRequest(ListUserPoliciesRequest, kw_only=True):
    """ListAttachedUserPolicies."""

    path_prefix: str = "/"


class ListAttachedRolePoliciesRequest(ListRolePoliciesRequest, kw_only=True):
    """ListAttachedRolePolicies."""

    path_prefix: str = "/"


class AttachedPolicy(IamOutput, kw_only=True):
    """A policy that is attached."""

    policy_name: str
    policy_arn: str


class AttachedPoliciesOutput(ListOutput, kw_only=True):
    """Policies that are attached."""

    attached_policies: list[AttachedPolicy]


class ListEntitiesForPolicyRequest(ListRequest, kw_only=True):
    """ListEntitiesForPolicy."""

    policy_arn: str
    entity_filter: Literal["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"] | None = None
    path_prefix: str = "/"
    policy_usage_filter: Literal["PermissionsPolicy", "PermissionsBoundary"] | None = None


class PolicyUser(IamOutput, kw_only=True):
    """A user that has a policy."""

    user_name: str
    user_id: str


class PolicyRole(IamOutput, kw_only=True):
    """A role that has a policy."""

    role_name: str
    role_id: str


class PolicyGroup(IamOutput, kw_only=True):
    """A group that has a policy: there are none."""


class EntitiesOutput(ListOutput, kw_only=True):
    """Who has a policy."""

    policy_groups: list[PolicyGroup] = msgspec.field(default_factory=list)
    policy_users: list[PolicyUser]
    policy_roles: list[PolicyRole]


async def attach_user_policy(iam: Iam, caller: Caller, request: AttachUserPolicyRequest) -> None:
    """Give a user a managed policy.  Raises NO_USER, NO_ATTACHABLE, QUOTA."""
    await _attach(iam, iam.find_user(iam.account(caller), request.user_name), request.policy_arn)


async def attach_role_policy(iam: Iam, caller: Caller, request: AttachRolePolicyRequest) -> None:
    """Give a role a managed policy.  Raises NO_ROLE, NO_ATTACHABLE, QUOTA."""
    await _attach(iam, iam.find_role(iam.account(caller), request.role_name), request.policy_arn)


async def detach_user_policy(iam: Iam, caller: Caller, request: AttachUserPolicyRequest) -> None:
    """Take a managed policy from a user.  Raises NO_USER, NO_POLICY."""
    await _detach(iam, iam.find_user(iam.account(caller), request.user_name), request.policy_arn)


async def detach_role_policy(iam: Iam, caller: Caller, request: AttachRolePolicyRequest) -> None:
    """Take a managed policy from a role.  Raises NO_ROLE, NO_POLICY."""
    await _detach(iam, iam.find_role(iam.account(caller), request.role_name), request.policy_arn)


async def list_attached_user_policies(
    iam: Iam, caller: Caller, request: ListAttachedUserPoliciesRequest
) -> AttachedPoliciesOutput:
    """List the managed policies of a user.  Raises NO_USER."""
    holder = iam.find_user(iam.account(caller), request.user_name).record
    return _attached(iam, holder, request, request.path_prefix)


async def list_attached_role_policies(
    iam: Iam, caller: Caller, request: ListAttachedRolePoliciesRequest
) -> AttachedPoliciesOutput:
    """List the managed policies of a role.  Raises NO_ROLE."""
    holder = iam.find_role(iam.account(caller), request.role_name).record
    return _attached(iam, holder, request, request.path_prefix)


async def put_user_permissions_boundary(iam: Iam, caller: Caller, request: UserBoundaryRequest) -> None:
    """Bound a user by a managed policy.  Raises NO_USER, NO_ATTACHABLE."""
    held = iam.find_user(iam.account(caller), request.user_name)
    await _bound(iam, held, request.permissions_boundary)


async def put_role_permissions_boundary(iam: Iam, caller: Caller, request: RoleBoundaryRequest) -> None:
    """Bound a role by a managed policy.  Raises NO_ROLE, NO_ATTACHABLE."""
    held = iam.find_role(iam.account(caller), request.role_name)
    await _bound(iam, held, request.permissions_boundary)


async def delete_user_permissions_boundary(iam: Iam, caller: Caller, request: UserRequest) -> None:
    """Unbind a user.  Raises NO_USER, NO_BOUNDARY."""
    await _bound(iam, iam.find_user(iam.account(caller), request.user_name), None)


async def delete_role_permissions_boundary(iam: Iam, caller: Caller, request: RoleRequest) -> None:
    """Unbind a role.  Raises NO_ROLE, NO_BOUNDARY."""
    await _bound(iam, iam.find_role(iam.account(caller), request.role_name), None)


async def list_entities_for_policy(iam: Iam, caller: Caller, request: ListEntitiesForPolicyRequest) -> EntitiesOutput:
    """List the users and roles that have a managed policy, or are bounded by it.  Raises NO_POLICY."""
    account, arn = iam.account(caller), request.policy_arn
    if iam.identities.find_policy(arn) is None:
        raise IamError.NO_POLICY(arn=arn)
    holders: list[Holder] = []
    if request.entity_filter in (None, "User"):
        holders += iam.identities.all(User, account)
    if request.entity_filter in (None, "Role"):
        holders += iam.identities.all(Role, account)
    bounds = request.policy_usage_filter == "PermissionsBoundary"
    found = [
        holder
        for holder in holders
        if (holder.boundary == arn if bounds else arn in holder.attached)
        and holder.path.startswith(request.path_prefix)
    ]
    taken, marker = page(found, request, lambda holder: f"{isinstance(holder, Role):d}{holder.name}")
    return EntitiesOutput(
        policy_users=[PolicyUser(user_name=each.name, user_id=each.uid) for each in taken if isinstance(each, User)],
        policy_roles=[PolicyRole(role_name=each.name, role_id=each.uid) for each in taken if isinstance(each, Role)],
        is_truncated=marker is not None,
        marker=marker,
    )


async def _attach(iam: Iam, held: Held[User] | Held[Role], arn: str) -> None:
    holder: Holder = held.record
    found = iam.identities.find_policy(arn)
    if found is None or found.account not in (AWS_ACCOUNT, holder.account):
        raise IamError.NO_ATTACHABLE(arn=arn)
    if arn in holder.attached:
        return
    if len(holder.attached) >= ATTACHED_MAX:
        quota = "PoliciesPerRole" if isinstance(holder, Role) else "PoliciesPerUser"
        raise IamError.QUOTA(quota=quota, limit=ATTACHED_MAX)
    writes: list[tuple[Record, int]] = [(replace(holder, attached=(*holder.attached, arn)), held.version)]
    policy = iam.identities.find_policy_held(arn)
    if policy is not None:
        writes.append((policy.record, policy.version))  # or it might be deleted meanwhile
    await iam.identities.commit(writes)


async def _detach(iam: Iam, held: Held[User] | Held[Role], arn: str) -> None:
    holder: Holder = held.record
    if arn not in holder.attached:
        raise IamError.NO_POLICY(arn=arn)
    attached = tuple(each for each in holder.attached if each != arn)
    await iam.identities.commit([(replace(holder, attached=attached), held.version)])


async def _bound(iam: Iam, held: Held[User] | Held[Role], arn: str | None) -> None:
    holder: Holder = held.record
    check_boundary(iam, arn)
    if arn is None and holder.boundary is None:
        kind = "role" if isinstance(holder, Role) else "user"
        raise IamError.NO_BOUNDARY(kind=kind, name=holder.name)
    await iam.identities.commit([(replace(holder, boundary=arn), held.version)])


def _attached(iam: Iam, holder: Holder, request: ListRequest, path_prefix: str) -> AttachedPoliciesOutput:
    policies = [policy for arn in holder.attached if (policy := iam.identities.find_policy(arn)) is not None]
    matching = [policy for policy in policies if policy.path.startswith(path_prefix)]
    taken, marker = page(matching, request, lambda policy: policy.name)
    told = [AttachedPolicy(policy_name=policy.name, policy_arn=policy.arn) for policy in taken]
    return AttachedPoliciesOutput(attached_policies=told, is_truncated=marker is not None, marker=marker)
