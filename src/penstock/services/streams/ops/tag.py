"""Tags, in both families of operations: of streams by name, and of resources by ARN."""

import re
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from penstock.core import limits
from penstock.core.arn import parse_stream_arn
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.naming import StreamRequest
from penstock.services.streams.service import Streams
from penstock.wire.operation import Input, Output

_ALLOWED = re.compile(r"[\w\s.:/=+\-@%]*")  # Unicode letters and digits, blanks, _ . : / = + - @ %


class Tag(Output):
    """One tag."""

    key: str
    value: str


def check_tags(added: Mapping[str, str], all_tags: Mapping[str, str], resource: str) -> None:
    """Hold the tags to be added against AWS's rules.  Raises TAG_CHARACTERS, TAG_RESERVED, TAG_LIMIT."""
    texts = [*added, *added.values()]
    if not all(_ALLOWED.fullmatch(text) for text in texts):
        raise Error.TAG_CHARACTERS()
    if any(key.lower().startswith("aws:") for key in added):
        raise Error.TAG_RESERVED()
    if len(all_tags) > limits.TAGS_MAX:
        raise Error.TAG_LIMIT(resource=resource, limit=limits.TAGS_MAX)


class AddTagsRequest(StreamRequest, kw_only=True):
    """AddTagsToStream."""

    tags: dict[str, str]


async def add_tags_to_stream(streams: Streams, caller: Caller, request: AddTagsRequest) -> None:
    """Add tags to a stream; a key that it has gets the new value."""
    await _add(streams, streams.find(caller, request), request.tags)


class RemoveTagsRequest(StreamRequest, kw_only=True):
    """RemoveTagsFromStream."""

    tag_keys: list[str]


async def remove_tags_from_stream(streams: Streams, caller: Caller, request: RemoveTagsRequest) -> None:
    """Remove tags from a stream; keys that it has not are passed over."""
    await _remove(streams, streams.find(caller, request), request.tag_keys)


class ListTagsRequest(StreamRequest, kw_only=True):
    """ListTagsForStream."""

    exclusive_start_tag_key: str | None = None
    limit: int = limits.LIST_TAGS_PAGE


class ListTagsOutput(Output):
    """A page of a stream's tags."""

    tags: list[Tag]
    has_more_tags: bool


async def list_tags_for_stream(streams: Streams, caller: Caller, request: ListTagsRequest) -> ListTagsOutput:
    """List a stream's tags by key."""
    after = request.exclusive_start_tag_key or ""
    tags = [tag for tag in _tags(streams.find(caller, request)) if tag.key > after]
    return ListTagsOutput(tags=tags[: request.limit], has_more_tags=len(tags) > request.limit)


class TagResourceRequest(Input):
    """TagResource."""

    resource_arn: str
    tags: dict[str, str]


async def tag_resource(streams: Streams, caller: Caller, request: TagResourceRequest) -> None:
    """Add tags to the resource that an ARN names."""
    await _add(streams, _resource(streams, caller, request.resource_arn), request.tags)


class UntagResourceRequest(Input):
    """UntagResource."""

    resource_arn: str
    tag_keys: list[str]


async def untag_resource(streams: Streams, caller: Caller, request: UntagResourceRequest) -> None:
    """Remove tags from the resource that an ARN names."""
    await _remove(streams, _resource(streams, caller, request.resource_arn), request.tag_keys)


class ListTagsForResourceRequest(Input):
    """ListTagsForResource."""

    resource_arn: str


class ListTagsForResourceOutput(Output):
    """All tags of a resource."""

    tags: list[Tag]


async def list_tags_for_resource(
    streams: Streams, caller: Caller, request: ListTagsForResourceRequest
) -> ListTagsForResourceOutput:
    """List the tags of the resource that an ARN names."""
    return ListTagsForResourceOutput(tags=_tags(_resource(streams, caller, request.resource_arn)))


def _resource(streams: Streams, caller: Caller, arn: str) -> StreamView:
    """The stream that an ARN names.  Raises CONSUMER_NOT_FOUND for a consumer: none can be registered."""
    if parse_stream_arn(arn).consumer is not None:
        raise Error.CONSUMER_NOT_FOUND(arn=arn)
    return streams.find(caller, StreamRequest(stream_arn=arn))


async def _add(streams: Streams, view: StreamView, added: Mapping[str, str]) -> None:
    merged = {**view.stream.tags, **added}
    check_tags(added, merged, view.stream.name)
    await streams.directory.update(view, replace(view.stream, tags=merged))


async def _remove(streams: Streams, view: StreamView, keys: Iterable[str]) -> None:
    gone = set(keys)
    kept = {key: value for key, value in view.stream.tags.items() if key not in gone}
    await streams.directory.update(view, replace(view.stream, tags=kept))


def _tags(view: StreamView) -> list[Tag]:
    return [Tag(key=key, value=value) for key, value in sorted(view.stream.tags.items())]
