"""Inline policies of users and roles."""

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.identity_errors import IamError
from penstock.core.limits import ROLE_INLINE_CHARS, USER_INLINE_CHARS
from penstock.services.iam.identities import Held
from penstock.services.iam.ops.shapes import (
    IamInput,
    IamOutput,
    ListOutput,
    ListRequest,
    check_document,
    counted_chars,
    page,
    told_document,
)
from penstock.services.iam.policy import PolicyKind
from penstock.services.iam.records import Holder, Role, User
from penstock.services.iam.service import Iam


class UserPolicyRequest(IamInput, kw_only=True):
    """An input that names a user's policy."""

    user_name: str
    policy_name: str


class PutUserPolicyRequest(UserPolicyRequest, kw_only=True):
    """PutUserPolicy."""

    policy_document: str


class RolePolicyRequest(IamInput, kw_only=True):
    """An input that names a role's policy."""

    role_name: str
    policy_name: str


class PutRolePolicyRequest(RolePolicyRequest, kw_only=True):
    """PutRolePolicy."""

    policy_document: str


class ListUserPoliciesRequest(ListRequest, kw_only=True):
    """ListUserPolicies."""

    user_name: str


class ListRolePoliciesRequest(ListRequest, kw_only=True):
    """ListRolePolicies."""

    role_name: str


class UserPolicyOutput(IamOutput, kw_only=True):
    """GetUserPolicy's answer."""

    user_name: str
    policy_name: str
    policy_document: str


class RolePolicyOutput(IamOutput, kw_only=True):
    """GetRolePolicy's answer."""

    role_name: str
    policy_name: str
    policy_document: str


class PolicyNamesOutput(ListOutput, kw_only=True):
    """Names of policies."""

    policy_names: list[str]


async def put_user_policy(iam: Iam, caller: Caller, request: PutUserPolicyRequest) -> None:
    """Give a user a policy, in place of one of that name.  Raises NO_USER, MALFORMED_POLICY, INLINE_TOO_LARGE."""
    held = iam.find_user(iam.account(caller), request.user_name)
    await _put(iam, held, request.policy_name, request.policy_document)


async def put_role_policy(iam: Iam, caller: Caller, request: PutRolePolicyRequest) -> None:
    """Give a role a policy, in place of one of that name.  Raises NO_ROLE, MALFORMED_POLICY, INLINE_TOO_LARGE."""
    held = iam.find_role(iam.account(caller), request.role_name)
    await _put(iam, held, request.policy_name, request.policy_document)


async def get_user_policy(iam: Iam, caller: Caller, request: UserPolicyRequest) -> UserPolicyOutput:
    """Tell a user's policy.  Raises NO_USER, NO_INLINE."""
    user = iam.find_user(iam.account(caller), request.user_name).record
    document = told_document(_found(user, request.policy_name))
    return UserPolicyOutput(user_name=user.name, policy_name=request.policy_name, policy_document=document)


async def get_role_policy(iam: Iam, caller: Caller, request: RolePolicyRequest) -> RolePolicyOutput:
    """Tell a role's policy.  Raises NO_ROLE, NO_INLINE."""
    role = iam.find_role(iam.account(caller), request.role_name).record
    document = told_document(_found(role, request.policy_name))
    return RolePolicyOutput(role_name=role.name, policy_name=request.policy_name, policy_document=document)


async def delete_user_policy(iam: Iam, caller: Caller, request: UserPolicyRequest) -> None:
    """Take a policy from a user.  Raises NO_USER, NO_INLINE."""
    await _delete(iam, iam.find_user(iam.account(caller), request.user_name), request.policy_name)


async def delete_role_policy(iam: Iam, caller: Caller, request: RolePolicyRequest) -> None:
    """Take a policy from a role.  Raises NO_ROLE, NO_INLINE."""
    await _delete(iam, iam.find_role(iam.account(caller), request.role_name), request.policy_name)


async def list_user_policies(iam: Iam, caller: Caller, request: ListUserPoliciesRequest) -> PolicyNamesOutput:
    """List the names of a user's policies.  Raises NO_USER."""
    return _names(iam.find_user(iam.account(caller), request.user_name).record, request)


async def list_role_policies(iam: Iam, caller: Caller, request: ListRolePoliciesRequest) -> PolicyNamesOutput:
    """List the names of a role's policies.  Raises NO_ROLE."""
    return _names(iam.find_role(iam.account(caller), request.role_name).record, request)


async def _put(iam: Iam, held: Held[User] | Held[Role], name: str, document: str) -> None:
    check_document(document, PolicyKind.IDENTITY)
    holder: Holder = held.record
    inline = holder.inline | {name: document}
    limit = ROLE_INLINE_CHARS if isinstance(holder, Role) else USER_INLINE_CHARS
    if sum(map(counted_chars, inline.values())) > limit:
        raise IamError.INLINE_TOO_LARGE(limit=limit, kind=_kind(holder), name=holder.name)
    await iam.identities.commit([(replace(holder, inline=inline), held.version)])


async def _delete(iam: Iam, held: Held[User] | Held[Role], name: str) -> None:
    holder: Holder = held.record
    _found(holder, name)
    inline = {each: document for each, document in holder.inline.items() if each != name}
    await iam.identities.commit([(replace(holder, inline=inline), held.version)])


def _found(holder: Holder, name: str) -> str:
    if name not in holder.inline:
        raise IamError.NO_INLINE(kind=_kind(holder), name=name)
    return holder.inline[name]


def _names(holder: Holder, request: ListRequest) -> PolicyNamesOutput:
    taken, marker = page(holder.inline, request, lambda name: name)
    return PolicyNamesOutput(policy_names=taken, is_truncated=marker is not None, marker=marker)


def _kind(holder: Holder) -> str:
    return "role" if isinstance(holder, Role) else "user"
