"""Users."""

from collections.abc import Sequence

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.identity_errors import IamError
from penstock.core.ids import AccountId, Millis
from penstock.core.limits import USERS_MAX
from penstock.services.iam.ops.shapes import (
    Boundary,
    IamInput,
    IamOutput,
    ListOutput,
    ListRequest,
    Tag,
    page,
    tags_of,
    told_boundary,
    told_tags,
)
from penstock.services.iam.principals import PrincipalKind
from penstock.services.iam.records import User
from penstock.services.iam.service import Iam


class CreateUserRequest(IamInput, kw_only=True):
    """CreateUser."""

    user_name: str
    path: str = "/"
    permissions_boundary: str | None = None
    tags: Sequence[Tag] = ()


class GetUserRequest(IamInput, kw_only=True):
    """GetUser."""

    user_name: str | None = None


class UserRequest(IamInput, kw_only=True):
    """An input that names a user."""

    user_name: str


class ListUsersRequest(ListRequest, kw_only=True):
    """ListUsers."""

    path_prefix: str = "/"


class TagUserRequest(UserRequest, kw_only=True):
    """TagUser."""

    tags: list[Tag]


class UntagUserRequest(UserRequest, kw_only=True):
    """UntagUser."""

    tag_keys: list[str]


class ListUserTagsRequest(ListRequest, kw_only=True):
    """ListUserTags."""

    user_name: str


class ToldUser(IamOutput, kw_only=True):
    """A user as it is told."""

    path: str
    user_name: str
    user_id: str
    arn: str
    create_date: Millis
    permissions_boundary: Boundary | None = None
    tags: Sequence[Tag] = ()


class UserOutput(IamOutput, kw_only=True):
    """A user."""

    user: ToldUser


class UsersOutput(ListOutput, kw_only=True):
    """Users."""

    users: list[ToldUser]


class TagsOutput(ListOutput, kw_only=True):
    """Tags."""

    tags: list[Tag]


async def create_user(iam: Iam, caller: Caller, request: CreateUserRequest) -> UserOutput:
    """Make a user.  Raises USER_EXISTS, QUOTA, NO_ATTACHABLE for an unknown boundary."""
    account = iam.account(caller)
    check_boundary(iam, request.permissions_boundary)
    if iam.identities.find(User, account, request.user_name) is not None:
        raise IamError.USER_EXISTS(name=request.user_name)
    if len(iam.identities.all(User, account)) >= USERS_MAX:
        raise IamError.QUOTA(quota="UsersPerAccount", limit=USERS_MAX)
    user = User(
        account=AccountId(account),
        created_ms=iam.clock.now_ms(),
        name=request.user_name,
        path=request.path,
        uid=iam.uid("AIDA"),
        tags=tags_of(request.tags),
        boundary=request.permissions_boundary,
    )
    await iam.identities.commit([(user, 0)])
    return UserOutput(user=told_user(user))


async def get_user(iam: Iam, caller: Caller, request: GetUserRequest) -> UserOutput:
    """Tell a user, or who calls.  Raises NO_USER, and INVALID where who calls is a role."""
    principal = iam.principal(caller)
    name = request.user_name
    if name is None and principal.kind is PrincipalKind.ROOT:
        return UserOutput(
            user=ToldUser(
                path="/", user_name="root", user_id=principal.account, arn=principal.arn, create_date=Millis(0)
            )  # UNVERIFIED: what AWS tells of a root's name and age
        )
    if name is None and principal.kind is not PrincipalKind.USER:
        raise IamError.INVALID(text="Must specify userName when calling with non-User credentials")
    held = iam.find_user(principal.account, name or principal.arn.rpartition("/")[2])
    return UserOutput(user=told_user(held.record))


async def list_users(iam: Iam, caller: Caller, request: ListUsersRequest) -> UsersOutput:
    """List users by name."""
    users = [
        user for user in iam.identities.all(User, iam.account(caller)) if user.path.startswith(request.path_prefix)
    ]
    taken, marker = page(users, request, lambda user: user.name)
    told = [told_user(user, listed=True) for user in taken]
    return UsersOutput(users=told, is_truncated=marker is not None, marker=marker)


async def delete_user(iam: Iam, caller: Caller, request: UserRequest) -> None:
    """Forget a user.  Raises NO_USER, HAS_KEYS, HAS_ATTACHED, HAS_INLINE."""
    held = iam.find_user(iam.account(caller), request.user_name)
    user = held.record
    if iam.identities.access_keys(user.account, user.name):
        raise IamError.HAS_KEYS()
    if user.attached:
        raise IamError.HAS_ATTACHED()
    if user.inline:
        raise IamError.HAS_INLINE()
    await iam.identities.commit([], [held])


async def tag_user(iam: Iam, caller: Caller, request: TagUserRequest) -> None:
    """Put tags on a user.  Raises NO_USER, INVALID_INPUT, QUOTA."""
    held = iam.find_user(iam.account(caller), request.user_name)
    tags = tags_of(told_tags(held.record.tags | tags_of(request.tags)))
    await iam.identities.commit([(replace(held.record, tags=tags), held.version)])


async def untag_user(iam: Iam, caller: Caller, request: UntagUserRequest) -> None:
    """Take tags off a user.  Raises NO_USER."""
    held = iam.find_user(iam.account(caller), request.user_name)
    tags = {key: value for key, value in held.record.tags.items() if key not in request.tag_keys}
    await iam.identities.commit([(replace(held.record, tags=tags), held.version)])


async def list_user_tags(iam: Iam, caller: Caller, request: ListUserTagsRequest) -> TagsOutput:
    """List the tags of a user.  Raises NO_USER."""
    held = iam.find_user(iam.account(caller), request.user_name)
    taken, marker = page(told_tags(held.record.tags), request, lambda tag: tag.key)
    return TagsOutput(tags=taken, is_truncated=marker is not None, marker=marker)


def check_boundary(iam: Iam, arn: str | None) -> None:
    """Raise NO_ATTACHABLE for a boundary that is no managed policy."""
    if arn is not None and iam.identities.find_policy(arn) is None:
        raise IamError.NO_ATTACHABLE(arn=arn)


def told_user(user: User, *, listed: bool = False) -> ToldUser:
    """A user as it is told; lists leave out tags and boundaries, as AWS's do."""
    return ToldUser(
        path=user.path,
        user_name=user.name,
        user_id=user.uid,
        arn=user.arn,
        create_date=user.created_ms,
        permissions_boundary=None if listed else told_boundary(user.boundary),
        tags=() if listed else told_tags(user.tags),
    )
