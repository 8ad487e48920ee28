"""Access keys of users, and of an account's root."""

from typing import Literal

from penstock.core.context import Caller
from penstock.core.identity_errors import IamError
from penstock.core.ids import Millis
from penstock.services.iam.identities import Held
from penstock.services.iam.ops.shapes import IamInput, IamOutput, ListOutput, ListRequest, page
from penstock.services.iam.principals import PrincipalKind
from penstock.services.iam.records import AccessKey, KeyStatus, User
from penstock.services.iam.service import Iam

ROOT_NAME = "root"  # UNVERIFIED: what AWS tells as the user name of a root's key


class CreateAccessKeyRequest(IamInput, kw_only=True):
    """CreateAccessKey."""

    user_name: str | None = None


class AccessKeyRequest(IamInput, kw_only=True):
    """DeleteAccessKey."""

    access_key_id: str
    user_name: str | None = None


class UpdateAccessKeyRequest(AccessKeyRequest, kw_only=True):
    """UpdateAccessKey."""

    status: Literal["Active", "Inactive", "Expired"]


class ListAccessKeysRequest(ListRequest, kw_only=True):
    """ListAccessKeys."""

    user_name: str | None = None


class LastUsedRequest(IamInput, kw_only=True):
    """GetAccessKeyLastUsed."""

    access_key_id: str


class ToldKey(IamOutput, kw_only=True):
    """A new access key as it is told, once."""

    user_name: str
    access_key_id: str
    status: KeyStatus
    secret_access_key: str
    create_date: Millis


class CreateAccessKeyOutput(IamOutput, kw_only=True):
    """CreateAccessKey's answer."""

    access_key: ToldKey


class KeyMetadata(IamOutput, kw_only=True):
    """An access key as it is listed."""

    user_name: str | None = None
    access_key_id: str
    status: KeyStatus
    create_date: Millis


class AccessKeysOutput(ListOutput, kw_only=True):
    """Access keys."""

    access_key_metadata: list[KeyMetadata]


class LastUsed(IamOutput, kw_only=True):
    """When and where a key was used last: not kept."""

    service_name: str
    region: str


class LastUsedOutput(IamOutput, kw_only=True):
    """GetAccessKeyLastUsed's answer."""

    user_name: str | None = None
    access_key_last_used: LastUsed


async def create_access_key(iam: Iam, caller: Caller, request: CreateAccessKeyRequest) -> CreateAccessKeyOutput:
    """Make an access key for a user, or for who calls.  Raises NO_USER, QUOTA, MASTER_KEY."""
    account, user = _whose(iam, caller, request.user_name)
    made = await iam.new_key(iam.account(caller), user)
    assert made.record.account == account
    return CreateAccessKeyOutput(
        access_key=ToldKey(
            user_name=made.record.user or ROOT_NAME,
            access_key_id=made.record.id,
            status=made.record.status,
            secret_access_key=made.secret,
            create_date=made.record.created_ms,
        )
    )


async def update_access_key(iam: Iam, caller: Caller, request: UpdateAccessKeyRequest) -> None:
    """Switch an access key on or off.  Raises NO_USER, NO_KEY, INVALID_INPUT for the status that only AWS sets."""
    held = _find(iam, caller, request)
    if request.status == "Expired":
        raise IamError.INVALID_INPUT(text="Status Expired can not be set.")  # UNVERIFIED: wording
    await iam.set_status(held, active=request.status == "Active")


async def delete_access_key(iam: Iam, caller: Caller, request: AccessKeyRequest) -> None:
    """Forget an access key.  Raises NO_USER, NO_KEY."""
    await iam.identities.commit([], [_find(iam, caller, request)])


async def list_access_keys(iam: Iam, caller: Caller, request: ListAccessKeysRequest) -> AccessKeysOutput:
    """List the access keys of a user, or of who calls.  Raises NO_USER."""
    account, user = _whose(iam, caller, request.user_name)
    keys = iam.identities.access_keys(account, None if user is None else user.record.name)
    taken, marker = page(keys, request, lambda key: key.id)
    told = [
        KeyMetadata(user_name=key.user, access_key_id=key.id, status=key.status, create_date=key.created_ms)
        for key in taken
    ]
    return AccessKeysOutput(access_key_metadata=told, is_truncated=marker is not None, marker=marker)


async def get_access_key_last_used(iam: Iam, caller: Caller, request: LastUsedRequest) -> LastUsedOutput:
    """Tell whose an access key is.  When it was used last is not kept.  Raises NO_KEY."""
    held = iam.identities.find_access_key(request.access_key_id)
    if held is None or held.record.account != iam.account(caller):
        raise IamError.NO_KEY(id=request.access_key_id)
    return LastUsedOutput(user_name=held.record.user, access_key_last_used=LastUsed(service_name="N/A", region="N/A"))


def _whose(iam: Iam, caller: Caller, name: str | None) -> tuple[str, Held[User] | None]:
    """The account and user that a request is about; no user: the account's root."""
    principal = iam.principal(caller)
    if name is not None:
        return principal.account, iam.find_user(principal.account, name)
    if principal.kind is PrincipalKind.ROOT:
        return principal.account, None
    if principal.kind is PrincipalKind.USER:
        return principal.account, iam.find_user(principal.account, principal.arn.rpartition("/")[2])
    raise IamError.INVALID(text="Must specify userName when calling with non-User credentials")


def _find(iam: Iam, caller: Caller, request: AccessKeyRequest) -> Held[AccessKey]:
    account, user = _whose(iam, caller, request.user_name)
    held = iam.identities.find_access_key(request.access_key_id)
    name = None if user is None else user.record.name
    if held is None or held.record.account != account or held.record.user != name:
        raise IamError.NO_KEY(id=request.access_key_id)
    return held
