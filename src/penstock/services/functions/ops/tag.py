"""Tags of functions and of event source mappings."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from penstock.core.context import Caller
from penstock.core.function_errors import FunctionError
from penstock.core.limits import TAGS_MAX
from penstock.services.functions.names import FunctionName
from penstock.services.functions.ops.shapes import FunctionInput, FunctionOutput
from penstock.services.functions.service import Functions

_RESERVED: Final = "aws:"
_MAPPING: Final = ":event-source-mapping:"


def checked_tags(held: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Tags with more of them.  Raises INVALID, TAG_LIMIT."""
    if any(key.lower().startswith(_RESERVED) for key in added):
        text = "System tags cannot be added/updated by requester."  # UNVERIFIED: wording
        raise FunctionError.INVALID(text=text)
    tags = {**held, **added}
    if len(tags) > TAGS_MAX:
        raise FunctionError.TAG_LIMIT()
    return tags


class ResourceRequest(FunctionInput):
    """An input that names what has tags by its ARN."""

    resource: str


Change = Callable[[Mapping[str, str]], dict[str, str]]


def _function(functions: Functions, caller: Caller, arn: str) -> FunctionName:
    """The function that an ARN names.  Raises TAGS_OF_QUALIFIED, UNSUPPORTED, NO_FUNCTION."""
    if ":function:" not in arn:
        raise FunctionError.UNSUPPORTED(what=f"Tagging of {arn[:200]}")
    name = functions.named(caller, arn)
    if name.qualifier is not None:
        raise FunctionError.TAGS_OF_QUALIFIED()
    functions.directory.held(name)
    return name


def _tags(functions: Functions, caller: Caller, arn: str) -> Mapping[str, str]:
    _, is_mapping, uuid = arn.partition(_MAPPING)
    if is_mapping and functions.mappings is not None:
        return functions.mappings.tags(caller.account, caller.region, uuid)
    return functions.directory.held(_function(functions, caller, arn)).function.tags


async def _retag(functions: Functions, caller: Caller, arn: str, change: Change) -> None:
    _, is_mapping, uuid = arn.partition(_MAPPING)
    if is_mapping and functions.mappings is not None:
        await functions.mappings.retag(caller.account, caller.region, uuid, change)
        return
    name = _function(functions, caller, arn)
    await functions.directory.change(name, lambda held: msgspec.structs.replace(held, tags=change(held.tags)))


class TagResourceRequest(ResourceRequest):
    """TagResource."""

    tags: dict[str, str]


async def tag_resource(functions: Functions, caller: Caller, request: TagResourceRequest) -> None:
    """Add tags."""
    await _retag(functions, caller, request.resource, lambda held: checked_tags(held, request.tags))


class UntagResourceRequest(ResourceRequest):
    """UntagResource."""

    tag_keys: list[str]


async def untag_resource(functions: Functions, caller: Caller, request: UntagResourceRequest) -> None:
    """Take tags away."""
    gone = set(request.tag_keys)
    await _retag(functions, caller, request.resource, lambda held: {key: held[key] for key in held if key not in gone})


class ListTagsRequest(ResourceRequest):
    """ListTags."""


class ListTagsResponse(FunctionOutput, omit_defaults=False):
    """The tags."""

    tags: dict[str, str]


async def list_tags(functions: Functions, caller: Caller, request: ListTagsRequest) -> ListTagsResponse:
    """The tags of a function or mapping."""
    return ListTagsResponse(tags=dict(_tags(functions, caller, request.resource)))
