"""Tags of log groups, in the two forms that the API has had."""

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.log_errors import LogError
from penstock.services.logs.ops.group import TAGS_MAX, GroupRequest, check_tags
from penstock.services.logs.ops.shapes import Input, Output
from penstock.services.logs.service import Logs
from penstock.services.logs.state import Group


class TagResourceRequest(Input):
    """TagResource."""

    resource_arn: str
    tags: dict[str, str]


class UntagResourceRequest(Input):
    """UntagResource."""

    resource_arn: str
    tag_keys: list[str]


class ListTagsForResourceRequest(Input):
    """ListTagsForResource."""

    resource_arn: str


class TagLogGroupRequest(GroupRequest):
    """TagLogGroup."""

    tags: dict[str, str]


class UntagLogGroupRequest(GroupRequest):
    """UntagLogGroup."""

    tags: list[str]


class TagsAnswer(Output):
    """Tags."""

    tags: dict[str, str]


async def tag_resource(logs: Logs, caller: Caller, request: TagResourceRequest) -> None:
    """Add tags to a group.  Raises NO_RESOURCE, TAG_RESERVED, TAGS."""
    await _tag(logs, await _tagged(logs, caller, request.resource_arn), request.tags, LogError.TAGS)


async def untag_resource(logs: Logs, caller: Caller, request: UntagResourceRequest) -> None:
    """Take tags from a group.  Raises NO_RESOURCE."""
    await _untag(logs, await _tagged(logs, caller, request.resource_arn), request.tag_keys)


async def list_tags_for_resource(logs: Logs, caller: Caller, request: ListTagsForResourceRequest) -> TagsAnswer:
    """The tags of a group.  Raises NO_RESOURCE."""
    group, _ = await _tagged(logs, caller, request.resource_arn)
    return TagsAnswer(tags=group.tags)


async def tag_log_group(logs: Logs, caller: Caller, request: TagLogGroupRequest) -> None:
    """Add tags to a group.  Raises NO_GROUP, TAG_RESERVED, TAGS_OF_GROUP."""
    await _tag(logs, await logs.group(caller, request.log_group_name), request.tags, LogError.TAGS_OF_GROUP)


async def untag_log_group(logs: Logs, caller: Caller, request: UntagLogGroupRequest) -> None:
    """Take tags from a group.  Raises NO_GROUP."""
    await _untag(logs, await logs.group(caller, request.log_group_name), request.tags)


async def list_tags_log_group(logs: Logs, caller: Caller, request: GroupRequest) -> TagsAnswer:
    """The tags of a group.  Raises NO_GROUP."""
    group, _ = await logs.group(caller, request.log_group_name)
    return TagsAnswer(tags=group.tags)


async def _tagged(logs: Logs, caller: Caller, arn: str) -> tuple[Group, int]:
    if not arn.startswith("arn:"):
        raise LogError.NO_RESOURCE()
    try:
        return await logs.group(caller, None, arn)
    except ServiceError as error:
        raise LogError.NO_RESOURCE() if error.code == LogError.NO_GROUP.code else error from None


async def _tag(logs: Logs, held: tuple[Group, int], added: dict[str, str], too_many: LogError) -> None:
    check_tags(added)
    group, version = held
    tags = {**group.tags, **added}
    if len(tags) > TAGS_MAX:
        raise too_many(limit=TAGS_MAX)
    await logs.records.replace_group(replace(group, tags=tags), version)


async def _untag(logs: Logs, held: tuple[Group, int], keys: list[str]) -> None:
    group, version = held
    left = {key: value for key, value in group.tags.items() if key not in keys}
    await logs.records.replace_group(replace(group, tags=left), version)
