"""Roles."""

from collections.abc import Sequence

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.identity_errors import IamError
from penstock.core.ids import AccountId, Millis
from penstock.core.limits import CHAINED_SESSION_S, ROLES_MAX, TRUST_POLICY_CHARS
from penstock.services.iam.ops.shapes import (
    Boundary,
    IamInput,
    IamOutput,
    ListOutput,
    ListRequest,
    Tag,
    check_document,
    counted_chars,
    page,
    tags_of,
    told_boundary,
    told_document,
    told_tags,
)
from penstock.services.iam.ops.user import TagsOutput, check_boundary
from penstock.services.iam.policy import PolicyKind
from penstock.services.iam.records import Profile, Role
from penstock.services.iam.service import Iam


class CreateRoleRequest(IamInput, kw_only=True):
    """CreateRole."""

    role_name: str
    assume_role_policy_document: str
    path: str = "/"
    description: str | None = None
    max_session_duration: int = CHAINED_SESSION_S
    permissions_boundary: str | None = None
    tags: Sequence[Tag] = ()


class RoleRequest(IamInput, kw_only=True):
    """An input that names a role."""

    role_name: str


class ListRolesRequest(ListRequest, kw_only=True):
    """ListRoles."""

    path_prefix: str = "/"


class UpdateRoleRequest(RoleRequest, kw_only=True):
    """UpdateRole."""

    description: str | None = None
    max_session_duration: int | None = None


class UpdateAssumeRolePolicyRequest(RoleRequest, kw_only=True):
    """UpdateAssumeRolePolicy."""

    policy_document: str


class TagRoleRequest(RoleRequest, kw_only=True):
    """TagRole."""

    tags: list[Tag]


class UntagRoleRequest(RoleRequest, kw_only=True):
    """UntagRole."""

    tag_keys: list[str]


class ListRoleTagsRequest(ListRequest, kw_only=True):
    """ListRoleTags."""

    role_name: str


class ToldRole(IamOutput, kw_only=True):
    """A role as it is told."""

    path: str
    role_name: str
    role_id: str
    arn: str
    create_date: Millis
    assume_role_policy_document: str
    description: str | None = None
    max_session_duration: int | None = None
    permissions_boundary: Boundary | None = None
    tags: Sequence[Tag] = ()


class RoleOutput(IamOutput, kw_only=True):
    """A role."""

    role: ToldRole


class RolesOutput(ListOutput, kw_only=True):
    """Roles."""

    roles: list[ToldRole]


class UpdateRoleOutput(IamOutput, kw_only=True):
    """UpdateRole's answer: nothing."""


async def create_role(iam: Iam, caller: Caller, request: CreateRoleRequest) -> RoleOutput:
    """Make a role.  Raises ROLE_EXISTS, QUOTA, MALFORMED_POLICY, NO_ATTACHABLE for an unknown boundary."""
    account = iam.account(caller)
    check_trust(request.assume_role_policy_document)
    check_boundary(iam, request.permissions_boundary)
    if iam.identities.find(Role, account, request.role_name) is not None:
        raise IamError.ROLE_EXISTS(name=request.role_name)
    if len(iam.identities.all(Role, account)) >= ROLES_MAX:
        raise IamError.QUOTA(quota="RolesPerAccount", limit=ROLES_MAX)
    role = Role(
        account=AccountId(account),
        created_ms=iam.clock.now_ms(),
        name=request.role_name,
        path=request.path,
        uid=iam.uid("AROA"),
        tags=tags_of(request.tags),
        boundary=request.permissions_boundary,
        trust=request.assume_role_policy_document,
        description=request.description,
        max_session_s=request.max_session_duration,
    )
    await iam.identities.commit([(role, 0)])
    return RoleOutput(role=told_role(role))


async def get_role(iam: Iam, caller: Caller, request: RoleRequest) -> RoleOutput:
    """Tell a role.  Raises NO_ROLE."""
    return RoleOutput(role=told_role(iam.find_role(iam.account(caller), request.role_name).record))


async def list_roles(iam: Iam, caller: Caller, request: ListRolesRequest) -> RolesOutput:
    """List roles by name."""
    roles = [
        role for role in iam.identities.all(Role, iam.account(caller)) if role.path.startswith(request.path_prefix)
    ]
    taken, marker = page(roles, request, lambda role: role.name)
    told = [told_role(role, listed=True) for role in taken]
    return RolesOutput(roles=told, is_truncated=marker is not None, marker=marker)


async def update_role(iam: Iam, caller: Caller, request: UpdateRoleRequest) -> UpdateRoleOutput:
    """Change a role's description and its longest session.  What is left out stays.  Raises NO_ROLE."""
    held = iam.find_role(iam.account(caller), request.role_name)
    changed = replace(
        held.record,
        description=held.record.description if request.description is None else request.description or None,
        max_session_s=request.max_session_duration or held.record.max_session_s,
    )
    await iam.identities.commit([(changed, held.version)])
    return UpdateRoleOutput()


async def update_assume_role_policy(iam: Iam, caller: Caller, request: UpdateAssumeRolePolicyRequest) -> None:
    """Replace a role's trust policy.  Raises NO_ROLE, MALFORMED_POLICY, QUOTA."""
    held = iam.find_role(iam.account(caller), request.role_name)
    check_trust(request.policy_document)
    await iam.identities.commit([(replace(held.record, trust=request.policy_document), held.version)])


async def delete_role(iam: Iam, caller: Caller, request: RoleRequest) -> None:
    """Forget a role; its sessions end at once.  Raises NO_ROLE, HAS_PROFILES, HAS_ATTACHED, HAS_INLINE."""
    held = iam.find_role(iam.account(caller), request.role_name)
    role = held.record
    if any(profile.role == role.name for profile in iam.identities.all(Profile, role.account)):
        raise IamError.HAS_PROFILES()
    if role.attached:
        raise IamError.HAS_ATTACHED()
    if role.inline:
        raise IamError.HAS_INLINE()
    await iam.identities.commit([], [held])


async def tag_role(iam: Iam, caller: Caller, request: TagRoleRequest) -> None:
    """Put tags on a role.  Raises NO_ROLE, INVALID_INPUT, QUOTA."""
    held = iam.find_role(iam.account(caller), request.role_name)
    tags = tags_of(told_tags(held.record.tags | tags_of(request.tags)))
    await iam.identities.commit([(replace(held.record, tags=tags), held.version)])


async def untag_role(iam: Iam, caller: Caller, request: UntagRoleRequest) -> None:
    """Take tags off a role.  Raises NO_ROLE."""
    held = iam.find_role(iam.account(caller), request.role_name)
    tags = {key: value for key, value in held.record.tags.items() if key not in request.tag_keys}
    await iam.identities.commit([(replace(held.record, tags=tags), held.version)])


async def list_role_tags(iam: Iam, caller: Caller, request: ListRoleTagsRequest) -> TagsOutput:
    """List the tags of a role.  Raises NO_ROLE."""
    held = iam.find_role(iam.account(caller), request.role_name)
    taken, marker = page(told_tags(held.record.tags), request, lambda tag: tag.key)
    return TagsOutput(tags=taken, is_truncated=marker is not None, marker=marker)


def check_trust(document: str) -> None:
    """Raise MALFORMED_POLICY or QUOTA for what cannot be a trust policy."""
    check_document(document, PolicyKind.TRUST)
    if counted_chars(document) > TRUST_POLICY_CHARS:
        raise IamError.QUOTA(quota="ACLSizePerRole", limit=TRUST_POLICY_CHARS)


def told_role(role: Role, *, listed: bool = False) -> ToldRole:
    """A role as it is told; lists leave out tags and boundaries, as AWS's do."""
    return ToldRole(
        path=role.path,
        role_name=role.name,
        role_id=role.uid,
        arn=role.arn,
        create_date=role.created_ms,
        assume_role_policy_document=told_document(role.trust),
        description=role.description,
        max_session_duration=role.max_session_s,
        permissions_boundary=None if listed else told_boundary(role.boundary),
        tags=() if listed else told_tags(role.tags),
    )
