"""Instance profiles: kept and told, so that tools that make them with their roles go on; no machine ever gets credentials by one."""

from collections.abc import Sequence

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.identity_errors import IamError
from penstock.core.ids import AccountId, Millis
from penstock.core.limits import PROFILES_MAX
from penstock.services.iam.identities import Held
from penstock.services.iam.ops.role import RoleRequest, ToldRole, told_role
from penstock.services.iam.ops.shapes import IamInput, IamOutput, ListOutput, ListRequest, Tag, page, tags_of, told_tags
from penstock.services.iam.records import Profile, Record, Role
from penstock.services.iam.service import Iam


class ProfileRequest(IamInput, kw_only=True):
    """An input that names an instance profile."""

    instance_profile_name: str


class CreateInstanceProfileRequest(ProfileRequest, kw_only=True):
    """CreateInstanceProfile."""

    path: str = "/"
    tags: Sequence[Tag] = ()


class ProfileRoleRequest(RoleRequest, kw_only=True):
    """AddRoleToInstanceProfile, RemoveRoleFromInstanceProfile."""

    instance_profile_name: str


class ListInstanceProfilesRequest(ListRequest, kw_only=True):
    """ListInstanceProfiles."""

    path_prefix: str = "/"


class ListInstanceProfilesForRoleRequest(ListRequest, kw_only=True):
    """ListInstanceProfilesForRole."""

    role_name: str


class ToldProfile(IamOutput, kw_only=True, omit_defaults=False):
    """An instance profile as it is told."""

    path: str
    instance_profile_name: str
    instance_profile_id: str
    arn: str
    create_date: Millis
    roles: list[ToldRole]
    tags: list[Tag]


class ProfileOutput(IamOutput, kw_only=True):
    """An instance profile."""

    instance_profile: ToldProfile


class ProfilesOutput(ListOutput, kw_only=True):
    """Instance profiles."""

    instance_profiles: list[ToldProfile]


async def create_instance_profile(iam: Iam, caller: Caller, request: CreateInstanceProfileRequest) -> ProfileOutput:
    """Make an instance profile.  Raises PROFILE_EXISTS, QUOTA."""
    account, name = iam.account(caller), request.instance_profile_name
    if iam.identities.find(Profile, account, name) is not None:
        raise IamError.PROFILE_EXISTS(name=name)
    if len(iam.identities.all(Profile, account)) >= PROFILES_MAX:
        raise IamError.QUOTA(quota="InstanceProfilesPerAccount", limit=PROFILES_MAX)
    profile = Profile(
        account=AccountId(account),
        created_ms=iam.clock.now_ms(),
        name=name,
        path=request.path,
        uid=iam.uid("AIPA"),
        tags=tags_of(request.tags),
    )
    await iam.identities.commit([(profile, 0)])
    return ProfileOutput(instance_profile=_told(iam, profile))


async def get_instance_profile(iam: Iam, caller: Caller, request: ProfileRequest) -> ProfileOutput:
    """Tell an instance profile with its role.  Raises NO_PROFILE."""
    held = _find(iam, caller, request.instance_profile_name)
    return ProfileOutput(instance_profile=_told(iam, held.record))


async def delete_instance_profile(iam: Iam, caller: Caller, request: ProfileRequest) -> None:
    """Forget an instance profile.  Raises NO_PROFILE, HAS_PROFILES while it has a role."""
    held = _find(iam, caller, request.instance_profile_name)
    if held.record.role is not None:
        raise IamError.HAS_PROFILES()
    await iam.identities.commit([], [held])


async def add_role_to_instance_profile(iam: Iam, caller: Caller, request: ProfileRoleRequest) -> None:
    """Put a role into an instance profile, which has room for one.  Raises NO_PROFILE, NO_ROLE, QUOTA."""
    held = _find(iam, caller, request.instance_profile_name)
    role = iam.find_role(held.record.account, request.role_name)
    if held.record.role is not None:
        raise IamError.QUOTA(quota="InstanceSessionsPerInstanceProfile", limit=1)
    changed = replace(held.record, role=role.record.name)
    writes: list[tuple[Record, int]] = [(changed, held.version), (role.record, role.version)]
    await iam.identities.commit(writes)  # with the role, or it might be deleted meanwhile


async def remove_role_from_instance_profile(iam: Iam, caller: Caller, request: ProfileRoleRequest) -> None:
    """Take the role out of an instance profile.  Raises NO_PROFILE, NO_ROLE."""
    held = _find(iam, caller, request.instance_profile_name)
    if held.record.role is None or held.record.role.lower() != request.role_name.lower():
        raise IamError.NO_ROLE(name=request.role_name)
    await iam.identities.commit([(replace(held.record, role=None), held.version)])


async def list_instance_profiles(iam: Iam, caller: Caller, request: ListInstanceProfilesRequest) -> ProfilesOutput:
    """List instance profiles by name."""
    profiles = iam.identities.all(Profile, iam.account(caller))
    return _page(iam, [profile for profile in profiles if profile.path.startswith(request.path_prefix)], request)


async def list_instance_profiles_for_role(
    iam: Iam, caller: Caller, request: ListInstanceProfilesForRoleRequest
) -> ProfilesOutput:
    """List the instance profiles that have a role.  Raises NO_ROLE."""
    role = iam.find_role(iam.account(caller), request.role_name).record
    profiles = iam.identities.all(Profile, role.account)
    return _page(iam, [profile for profile in profiles if profile.role == role.name], request)


def _find(iam: Iam, caller: Caller, name: str) -> Held[Profile]:
    held = iam.identities.find(Profile, iam.account(caller), name)
    if held is None:
        raise IamError.NO_PROFILE(name=name)
    return held


def _page(iam: Iam, profiles: list[Profile], request: ListRequest) -> ProfilesOutput:
    taken, marker = page(profiles, request, lambda profile: profile.name)
    told = [_told(iam, profile) for profile in taken]
    return ProfilesOutput(instance_profiles=told, is_truncated=marker is not None, marker=marker)


def _told(iam: Iam, profile: Profile) -> ToldProfile:
    role = None if profile.role is None else iam.identities.find(Role, profile.account, profile.role)
    return ToldProfile(
        path=profile.path,
        instance_profile_name=profile.name,
        instance_profile_id=profile.uid,
        arn=profile.arn,
        create_date=profile.created_ms,
        roles=[] if role is None else [told_role(role.record)],
        tags=told_tags(profile.tags),
    )
