"""Log groups: made, described, kept for a while, and deleted."""

from collections.abc import Sequence
from typing import Final

from msgspec import field
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.core.log_errors import LogError
from penstock.services.logs.ops.shapes import Input, Output
from penstock.services.logs.service import Logs
from penstock.services.logs.state import Group, GroupClass

LIST_MAX: Final = 50
TAGS_MAX: Final = 50
RETENTION_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class CreateLogGroupRequest(Input):
    """CreateLogGroup."""

    log_group_name: str
    kms_key_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    log_group_class: GroupClass = "STANDARD"
    deletion_protection_enabled: bool = False


async def create_log_group(logs: Logs, caller: Caller, request: CreateLogGroupRequest) -> None:
    """Make a group.  Raises GROUP_EXISTS, TAG_RESERVED."""
    check_tags(request.tags)
    group = replace(
        logs.new_group(caller.account, caller.region, request.log_group_name),
        kms_key=request.kms_key_id,
        group_class=request.log_group_class,
        tags=request.tags,
        protected=request.deletion_protection_enabled,
    )
    await logs.records.add_group(group)


class GroupRequest(Input):
    """DeleteLogGroup, DeleteRetentionPolicy, DisassociateKmsKey."""

    log_group_name: str


async def delete_log_group(logs: Logs, caller: Caller, request: GroupRequest) -> None:
    """Delete a group with its streams and events.  Raises NO_GROUP, GROUP_PROTECTED."""
    group, _ = await logs.group(caller, request.log_group_name)
    if group.protected:
        raise LogError.GROUP_PROTECTED()
    await logs.records.remove(group.key, group.uid)
    logs.purge_soon()


class DescribeLogGroupsRequest(Input):
    """DescribeLogGroups.  There are no linked accounts here."""

    account_identifiers: Sequence[str] = ()
    log_group_name_prefix: str | None = None
    log_group_name_pattern: str | None = None
    next_token: str | None = None
    limit: int = LIST_MAX
    include_linked_accounts: bool = False
    log_group_class: GroupClass | None = None
    log_group_identifiers: list[str] | None = None


class GroupOutput(Output):
    """A group as it is described."""

    log_group_name: str
    creation_time: Millis
    metric_filter_count: int
    arn: str
    stored_bytes: int
    log_group_class: GroupClass
    log_group_arn: str
    retention_in_days: int | None = None
    kms_key_id: str | None = None
    deletion_protection_enabled: bool | None = None


class GroupsAnswer(Output):
    """A page of groups."""

    log_groups: list[GroupOutput]
    next_token: str | None = None


async def describe_log_groups(logs: Logs, caller: Caller, request: DescribeLogGroupsRequest) -> GroupsAnswer:
    """Describe groups by name; a token is the name at which the last page ended.  Raises PREFIX_AND_PATTERN.

    Cost: the bytes that are stored are added up over the streams of each group that is told.
    """
    if request.log_group_name_prefix is not None and request.log_group_name_pattern is not None:
        raise LogError.PREFIX_AND_PATTERN()
    page: list[Group] = []
    found = logs.records.groups(
        caller.account, caller.region, request.log_group_name_prefix or "", request.next_token or ""
    )
    async for group in found:
        if _is_wanted(group, request):
            page.append(group)
        if len(page) > request.limit:
            break
    shown = page[: request.limit]
    return GroupsAnswer(
        log_groups=[await _described(logs, group) for group in shown],
        next_token=shown[-1].name if len(page) > len(shown) else None,
    )


def _is_wanted(group: Group, request: DescribeLogGroupsRequest) -> bool:
    if request.log_group_class not in (None, group.group_class):
        return False
    if request.log_group_identifiers is not None and not {group.name, group.arn} & set(request.log_group_identifiers):
        return False
    return (request.log_group_name_pattern or "").lower() in group.name.lower()


async def _described(logs: Logs, group: Group) -> GroupOutput:
    stored_bytes = 0
    async for stream in logs.records.streams(group):
        stored_bytes += stream.stored_bytes
    return GroupOutput(
        log_group_name=group.name,
        creation_time=group.created_ms,
        metric_filter_count=0,
        arn=f"{group.arn}:*",
        stored_bytes=stored_bytes,
        log_group_class=group.group_class,
        log_group_arn=group.arn,
        retention_in_days=group.retention_days,
        kms_key_id=group.kms_key,
        deletion_protection_enabled=group.protected,
    )


class PutRetentionPolicyRequest(Input):
    """PutRetentionPolicy."""

    log_group_name: str
    retention_in_days: int


async def put_retention_policy(logs: Logs, caller: Caller, request: PutRetentionPolicyRequest) -> None:
    """Say for how many days events are kept.  Raises NO_GROUP, RETENTION, GROUP_CHANGED."""
    days = request.retention_in_days
    if days not in RETENTION_DAYS:
        raise LogError.RETENTION(days=days, allowed=", ".join(map(str, RETENTION_DAYS)))
    group, version = await logs.group(caller, request.log_group_name)
    await logs.records.replace_group(replace(group, retention_days=days), version)


async def delete_retention_policy(logs: Logs, caller: Caller, request: GroupRequest) -> None:
    """Keep events for ever.  Raises NO_GROUP, GROUP_CHANGED."""
    group, version = await logs.group(caller, request.log_group_name)
    await logs.records.replace_group(replace(group, retention_days=None), version)


class PutLogGroupDeletionProtectionRequest(Input):
    """PutLogGroupDeletionProtection."""

    log_group_identifier: str
    deletion_protection_enabled: bool


async def put_log_group_deletion_protection(
    logs: Logs, caller: Caller, request: PutLogGroupDeletionProtectionRequest
) -> None:
    """Protect a group from deletion, or do not.  Raises NO_GROUP, GROUP_CHANGED."""
    group, version = await logs.group(caller, None, request.log_group_identifier)
    await logs.records.replace_group(replace(group, protected=request.deletion_protection_enabled), version)


def check_tags(tags: dict[str, str]) -> None:
    """Raise TAG_RESERVED for a key that is AWS's."""
    if any(key.lower().startswith("aws:") for key in tags):
        raise LogError.TAG_RESERVED()
