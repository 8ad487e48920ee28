"""Managed policies and their versions."""

import re
from collections.abc import Sequence
from typing import Final, Literal

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.identity_errors import IamError
from penstock.core.ids import AccountId, Millis
from penstock.core.limits import MANAGED_POLICIES_MAX, MANAGED_POLICY_CHARS, POLICY_VERSIONS_MAX
from penstock.services.iam.identities import Held
from penstock.services.iam.managed import AWS_POLICIES
from penstock.services.iam.ops.shapes import (
    IamInput,
    IamOutput,
    ListOutput,
    ListRequest,
    Tag,
    check_document,
    counted_chars,
    page,
    tags_of,
    told_document,
    told_tags,
)
from penstock.services.iam.policy import PolicyKind
from penstock.services.iam.records import Holder, ManagedPolicy, PolicyVersion, Role, User
from penstock.services.iam.service import Iam

_VERSION: Final = re.compile(r"v([1-9][0-9]{0,8})(?:\.[A-Za-z0-9-]*)?", re.ASCII)


class CreatePolicyRequest(IamInput, kw_only=True):
    """CreatePolicy."""

    policy_name: str
    policy_document: str
    path: str = "/"
    description: str | None = None
    tags: Sequence[Tag] = ()


class PolicyRequest(IamInput, kw_only=True):
    """An input that names a policy."""

    policy_arn: str


class ListPoliciesRequest(ListRequest, kw_only=True):
    """ListPolicies."""

    scope: Literal["All", "AWS", "Local"] = "All"
    only_attached: bool = False
    path_prefix: str = "/"
    policy_usage_filter: Literal["PermissionsPolicy", "PermissionsBoundary"] | None = None


class CreatePolicyVersionRequest(PolicyRequest, kw_only=True):
    """CreatePolicyVersion."""

    policy_document: str
    set_as_default: bool = False


class PolicyVersionRequest(PolicyRequest, kw_only=True):
    """An input that names a version."""

    version_id: str


class ListPolicyVersionsRequest(ListRequest, kw_only=True):
    """ListPolicyVersions."""

    policy_arn: str


class ToldPolicy(IamOutput, kw_only=True, omit_defaults=False):
    """A policy as it is told."""

    policy_name: str
    policy_id: str
    arn: str
    path: str
    default_version_id: str
    attachment_count: int
    permissions_boundary_usage_count: int
    is_attachable: bool
    create_date: Millis
    update_date: Millis
    description: str | None = None
    tags: list[Tag] | None = None


class PolicyOutput(IamOutput, kw_only=True):
    """A policy."""

    policy: ToldPolicy


class PoliciesOutput(ListOutput, kw_only=True):
    """Policies."""

    policies: list[ToldPolicy]


class ToldVersion(IamOutput, kw_only=True, omit_defaults=False):
    """A version as it is told."""

    version_id: str
    is_default_version: bool
    create_date: Millis
    document: str | None = None


class VersionOutput(IamOutput, kw_only=True):
    """A version."""

    policy_version: ToldVersion


class VersionsOutput(ListOutput, kw_only=True):
    """Versions."""

    versions: list[ToldVersion]


async def create_policy(iam: Iam, caller: Caller, request: CreatePolicyRequest) -> PolicyOutput:
    """Make a managed policy.  Raises POLICY_EXISTS, MALFORMED_POLICY, QUOTA."""
    account, now_ms = iam.account(caller), iam.clock.now_ms()
    _check(request.policy_document)
    if iam.identities.find(ManagedPolicy, account, request.policy_name) is not None:
        raise IamError.POLICY_EXISTS(name=request.policy_name)
    if len(iam.identities.all(ManagedPolicy, account)) >= MANAGED_POLICIES_MAX:
        raise IamError.QUOTA(quota="PoliciesPerAccount", limit=MANAGED_POLICIES_MAX)
    policy = ManagedPolicy(
        account=AccountId(account),
        created_ms=now_ms,
        updated_ms=now_ms,
        name=request.policy_name,
        path=request.path,
        uid=iam.uid("ANPA"),
        tags=tags_of(request.tags),
        versions=(PolicyVersion(1, request.policy_document, now_ms),),
        description=request.description,
    )
    await iam.identities.commit([(policy, 0)])
    return PolicyOutput(policy=_told(iam, account, policy))


async def get_policy(iam: Iam, caller: Caller, request: PolicyRequest) -> PolicyOutput:
    """Tell a managed policy.  Raises NO_POLICY."""
    account = iam.account(caller)
    return PolicyOutput(policy=_told(iam, account, _found(iam, account, request.policy_arn)))


async def list_policies(iam: Iam, caller: Caller, request: ListPoliciesRequest) -> PoliciesOutput:
    """List managed policies, AWS's own and the account's, by name."""
    account = iam.account(caller)
    policies: list[ManagedPolicy] = []
    if request.scope != "Local":
        policies += AWS_POLICIES.values()
    if request.scope != "AWS":
        policies += iam.identities.all(ManagedPolicy, account)
    chosen = [policy for policy in policies if policy.path.startswith(request.path_prefix)]
    if request.only_attached:
        bounds = request.policy_usage_filter == "PermissionsBoundary"
        chosen = [policy for policy in chosen if _uses(iam, account, policy.arn)[bounds]]
    taken, marker = page(chosen, request, lambda policy: f"{policy.name}/{policy.account}")
    told = [_told(iam, account, policy, listed=True) for policy in taken]
    return PoliciesOutput(policies=told, is_truncated=marker is not None, marker=marker)


async def delete_policy(iam: Iam, caller: Caller, request: PolicyRequest) -> None:
    """Forget a managed policy.  Raises NO_POLICY, UNMODIFIABLE, IS_ATTACHED, HAS_VERSIONS."""
    held = _own(iam, iam.account(caller), request.policy_arn)
    if any(_uses(iam, held.record.account, held.record.arn)):
        raise IamError.IS_ATTACHED()
    if len(held.record.versions) > 1:
        raise IamError.HAS_VERSIONS()
    await iam.identities.commit([], [held])


async def create_policy_version(iam: Iam, caller: Caller, request: CreatePolicyVersionRequest) -> VersionOutput:
    """Add a version to a policy.  Raises NO_POLICY, UNMODIFIABLE, MALFORMED_POLICY, QUOTA, VERSIONS_FULL."""
    held = _own(iam, iam.account(caller), request.policy_arn)
    _check(request.policy_document)
    policy, now_ms = held.record, iam.clock.now_ms()
    if len(policy.versions) >= POLICY_VERSIONS_MAX:
        raise IamError.VERSIONS_FULL(limit=POLICY_VERSIONS_MAX)
    version = PolicyVersion(policy.next_number, request.policy_document, now_ms)
    changed = replace(
        policy,
        versions=(*policy.versions, version),
        next_number=version.number + 1,
        default=version.number if request.set_as_default else policy.default,
        updated_ms=now_ms,
    )
    await iam.identities.commit([(changed, held.version)])
    return VersionOutput(policy_version=_told_version(changed, version))


async def get_policy_version(iam: Iam, caller: Caller, request: PolicyVersionRequest) -> VersionOutput:
    """Tell a version with its document.  Raises NO_POLICY, NO_VERSION."""
    policy = _found(iam, iam.account(caller), request.policy_arn)
    version = _version(policy, request.version_id)
    return VersionOutput(policy_version=_told_version(policy, version, document=True))


async def list_policy_versions(iam: Iam, caller: Caller, request: ListPolicyVersionsRequest) -> VersionsOutput:
    """List the versions of a policy, the newest first.  Raises NO_POLICY."""
    policy = _found(iam, iam.account(caller), request.policy_arn)
    taken, marker = page(policy.versions, request, lambda version: f"{10**9 - version.number:010d}")
    told = [_told_version(policy, version) for version in taken]
    return VersionsOutput(versions=told, is_truncated=marker is not None, marker=marker)


async def delete_policy_version(iam: Iam, caller: Caller, request: PolicyVersionRequest) -> None:
    """Forget a version that is not the default.  Raises NO_POLICY, UNMODIFIABLE, NO_VERSION, VERSION_IS_DEFAULT."""
    held = _own(iam, iam.account(caller), request.policy_arn)
    gone = _version(held.record, request.version_id)
    if gone.number == held.record.default:
        raise IamError.VERSION_IS_DEFAULT()
    rest = tuple(version for version in held.record.versions if version != gone)
    await iam.identities.commit([(replace(held.record, versions=rest), held.version)])


async def set_default_policy_version(iam: Iam, caller: Caller, request: PolicyVersionRequest) -> None:
    """Put a version in force.  Raises NO_POLICY, UNMODIFIABLE, NO_VERSION."""
    held = _own(iam, iam.account(caller), request.policy_arn)
    default = _version(held.record, request.version_id).number
    changed = replace(held.record, default=default, updated_ms=iam.clock.now_ms())
    await iam.identities.commit([(changed, held.version)])


def _check(document: str) -> None:
    check_document(document, PolicyKind.IDENTITY)
    if counted_chars(document) > MANAGED_POLICY_CHARS:
        raise IamError.QUOTA(quota="PolicySize", limit=MANAGED_POLICY_CHARS)


def _found(iam: Iam, account: str, arn: str) -> ManagedPolicy:
    return AWS_POLICIES[arn] if arn in AWS_POLICIES else _own(iam, account, arn).record


def _own(iam: Iam, account: str, arn: str) -> Held[ManagedPolicy]:
    if arn in AWS_POLICIES:
        raise IamError.UNMODIFIABLE(arn=arn)
    held = iam.identities.find_policy_held(arn)
    if held is None or held.record.account != account:
        raise IamError.NO_POLICY(arn=arn)
    return held


def _version(policy: ManagedPolicy, version_id: str) -> PolicyVersion:
    match = _VERSION.fullmatch(version_id)
    for version in policy.versions:
        if match is not None and version.number == int(match[1]):
            return version
    raise IamError.NO_VERSION(arn=policy.arn, version=version_id)


def _uses(iam: Iam, account: str, arn: str) -> tuple[int, int]:
    """How many have it attached, and how many are bounded by it."""
    holders: list[Holder] = [*iam.identities.all(User, account), *iam.identities.all(Role, account)]
    return sum(arn in holder.attached for holder in holders), sum(holder.boundary == arn for holder in holders)


def _told(iam: Iam, account: str, policy: ManagedPolicy, *, listed: bool = False) -> ToldPolicy:
    attached, bounding = _uses(iam, account, policy.arn)
    return ToldPolicy(
        policy_name=policy.name,
        policy_id=policy.uid,
        arn=policy.arn,
        path=policy.path,
        default_version_id=f"v{policy.default}",
        attachment_count=attached,
        permissions_boundary_usage_count=bounding,
        is_attachable=True,
        create_date=policy.created_ms,
        update_date=policy.updated_ms,
        description=None if listed else policy.description,
        tags=None if listed else told_tags(policy.tags),
    )


def _told_version(policy: ManagedPolicy, version: PolicyVersion, *, document: bool = False) -> ToldVersion:
    return ToldVersion(
        version_id=f"v{version.number}",
        is_default_version=version.number == policy.default,
        create_date=version.created_ms,
        document=told_document(version.document) if document else None,
    )
