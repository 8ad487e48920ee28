"""Keys: how they come to be, are described and go."""

from typing import Final

import msgspec
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.core.kms_errors import KmsError
from penstock.core.limits import DAY_MS
from penstock.services.kms.managed import default_policy
from penstock.services.kms.ops.paging import PAGE, page_of
from penstock.services.kms.ops.policy import check_policy
from penstock.services.kms.ops.tag import Tag, checked_tags
from penstock.services.kms.service import Kms
from penstock.services.kms.state import Key, KeyState, Place
from penstock.wire.operation import Input, Output

WINDOW_DEFAULT_DAYS: Final = 30
WINDOW_MIN_DAYS: Final = 7
SYMMETRIC: Final = "SYMMETRIC_DEFAULT"


class KeyRequest(Input, kw_only=True):
    """An input that names a key."""

    key_id: str


class KeyMetadata(Output, kw_only=True):
    """A key as answers tell it."""

    aws_account_id: str = msgspec.field(name="AWSAccountId")
    key_id: str
    arn: str = msgspec.field(name="Arn")
    creation_date: Millis
    enabled: bool
    description: str | None = None
    key_usage: str
    key_state: KeyState
    deletion_date: Millis | None = None
    origin: str
    key_manager: str
    customer_master_key_spec: str
    key_spec: str
    encryption_algorithms: list[str]
    multi_region: bool


class KeyAnswer(Output):
    """CreateKey and DescribeKey."""

    key_metadata: KeyMetadata


def metadata_of(kms: Kms, key: Key) -> KeyMetadata:
    """A key described."""
    state = kms.keys.state(key)
    return KeyMetadata(
        aws_account_id=key.account,
        key_id=key.id,
        arn=key.arn,
        creation_date=key.created_ms,
        enabled=state == "Enabled",
        description=key.description,
        key_usage="ENCRYPT_DECRYPT",
        key_state=state,
        deletion_date=key.deletion_ms,
        origin="AWS_KMS",
        key_manager=key.manager,
        customer_master_key_spec=SYMMETRIC,
        key_spec=SYMMETRIC,
        encryption_algorithms=[SYMMETRIC],
        multi_region=False,
    )


class CreateKeyRequest(Input):
    """CreateKey."""

    policy: str | None = None
    description: str = ""
    key_usage: str = "ENCRYPT_DECRYPT"
    customer_master_key_spec: str | None = None
    key_spec: str | None = None
    origin: str = "AWS_KMS"
    custom_key_store_id: str | None = None
    xks_key_id: str | None = None
    multi_region: bool = False
    bypass_policy_lockout_safety_check: bool = False
    tags: list[Tag] = msgspec.field(default_factory=list)


async def create_key(kms: Kms, caller: Caller, request: CreateKeyRequest) -> KeyAnswer:
    """Make a symmetric key, enabled.

    Raises KEY_SPEC, KEY_SPEC_TWICE, KEY_USAGE, UNSUPPORTED, POLICY, POLICY_SIZE, TAGS, TAG_LIMIT, MASTER_KEY.
    """
    _check_kind(request)
    if request.policy is not None:
        check_policy(kms, request.policy)
    place = Place(caller.account, caller.region)
    policy = default_policy(place) if request.policy is None else request.policy
    key = await kms.create(place, policy, request.description, checked_tags({}, request.tags))
    return KeyAnswer(key_metadata=metadata_of(kms, key))


def _check_kind(request: CreateKeyRequest) -> None:
    """Refuse every kind of key but the symmetric one that encrypts and whose material is made here."""
    if request.key_spec is not None and request.customer_master_key_spec is not None:
        raise KmsError.KEY_SPEC_TWICE()
    spec = request.key_spec or request.customer_master_key_spec or SYMMETRIC
    if spec != SYMMETRIC:
        raise KmsError.KEY_SPEC(spec=spec)
    if request.key_usage != "ENCRYPT_DECRYPT":
        raise KmsError.KEY_USAGE(usage=request.key_usage)
    if request.origin != "AWS_KMS":
        raise KmsError.UNSUPPORTED(what=f"Origin {request.origin}")
    if request.custom_key_store_id is not None or request.xks_key_id is not None:
        raise KmsError.UNSUPPORTED(what="A custom key store")
    if request.multi_region:
        raise KmsError.UNSUPPORTED(what="A multi-Region key")


async def describe_key(kms: Kms, caller: Caller, request: KeyRequest) -> KeyAnswer:
    """Describe a key.  A predefined alias that has no key yet is given an AWS managed one (source: the API reference)."""
    await kms.ensure_managed(caller, request.key_id)
    return KeyAnswer(key_metadata=metadata_of(kms, kms.find(caller, request.key_id).record))


class ListRequest(Input):
    """A page of a listing."""

    limit: int = PAGE
    marker: str | None = None


class KeyEntry(Output):
    """A key in a listing."""

    key_id: str
    key_arn: str = msgspec.field(name="KeyArn")


class KeysAnswer(Output):
    """A page of keys."""

    keys: list[KeyEntry]
    truncated: bool
    next_marker: str | None = None


async def list_keys(kms: Kms, caller: Caller, request: ListRequest) -> KeysAnswer:
    """List the keys of the caller's account and region."""
    keys = kms.keys.of(Place(caller.account, caller.region))
    page, marker = page_of(keys, lambda key: key.id, request.limit, request.marker)
    rows = [KeyEntry(key_id=key.id, key_arn=key.arn) for key in page]
    return KeysAnswer(keys=rows, next_marker=marker, truncated=marker is not None)


async def enable_key(kms: Kms, caller: Caller, request: KeyRequest) -> None:
    """Let a key be used.  Raises PENDING_DELETION."""
    await _switch(kms, caller, request, enabled=True)


async def disable_key(kms: Kms, caller: Caller, request: KeyRequest) -> None:
    """Let a key not be used.  Raises PENDING_DELETION."""
    await _switch(kms, caller, request, enabled=False)


async def _switch(kms: Kms, caller: Caller, request: KeyRequest, *, enabled: bool) -> None:
    key = kms.find_own(caller, request.key_id).record
    check_staying(key)
    await kms.keys.change(key.id, lambda held: replace(held, enabled=enabled))


class UpdateKeyDescriptionRequest(KeyRequest, kw_only=True):
    """UpdateKeyDescription."""

    description: str


async def update_key_description(kms: Kms, caller: Caller, request: UpdateKeyDescriptionRequest) -> None:
    """Describe a key anew.  Raises PENDING_DELETION."""
    key = kms.find_own(caller, request.key_id).record
    check_staying(key)
    await kms.keys.change(key.id, lambda held: replace(held, description=request.description))


class ScheduleKeyDeletionRequest(KeyRequest, kw_only=True):
    """ScheduleKeyDeletion."""

    pending_window_in_days: int = WINDOW_DEFAULT_DAYS


class ScheduledAnswer(Output):
    """When a key will be gone."""

    key_id: str
    deletion_date: Millis
    key_state: KeyState
    pending_window_in_days: int


async def schedule_key_deletion(kms: Kms, caller: Caller, request: ScheduleKeyDeletionRequest) -> ScheduledAnswer:
    """Have a key deleted in 7 to 30 days; until then it can not be used, and the deletion can be called off.

    Raises WINDOW, PENDING_DELETION.
    """
    days = request.pending_window_in_days
    if not WINDOW_MIN_DAYS <= days <= WINDOW_DEFAULT_DAYS:
        raise KmsError.WINDOW(low=WINDOW_MIN_DAYS, high=WINDOW_DEFAULT_DAYS)
    key = kms.find_own(caller, request.key_id).record
    check_staying(key)
    at_ms = Millis(kms.clock.now_ms() + days * DAY_MS)
    await kms.keys.change(key.id, lambda held: replace(held, deletion_ms=at_ms))
    return ScheduledAnswer(
        key_id=key.arn, deletion_date=at_ms, key_state="PendingDeletion", pending_window_in_days=days
    )


class KeyIdAnswer(Output):
    """The ARN of a key."""

    key_id: str


async def cancel_key_deletion(kms: Kms, caller: Caller, request: KeyRequest) -> KeyIdAnswer:
    """Call a deletion off; the key is disabled then.  Raises NOT_PENDING_DELETION."""
    key = kms.find_own(caller, request.key_id).record
    if key.deletion_ms is None:
        raise KmsError.NOT_PENDING_DELETION(arn=key.arn)
    await kms.keys.change(key.id, lambda held: replace(held, deletion_ms=None, enabled=False))
    return KeyIdAnswer(key_id=key.arn)


def check_staying(key: Key) -> None:
    """Raise PENDING_DELETION for a key that is about to go."""
    if key.deletion_ms is not None:
        raise KmsError.PENDING_DELETION(arn=key.arn)
