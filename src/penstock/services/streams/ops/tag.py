"""Tags, in both families of operations: of streams by name, and of resources by ARN."""

import re
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from penstock.core import limits
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.engines.api import Conflict
from penstock.services.streams.ops.naming import Resource, ResourceRequest, StreamRequest, find_resource
from penstock.services.streams.quota import RATE_TAGS, is_rate
from penstock.services.streams.service import Streams
from penstock.wire.operation import Output

_ALLOWED = re.compile(r"[\w\s.:/=+\-@%]*")  # Unicode letters and digits, blanks, _ . : / = + - @ %


class Tag(Output):
    """One tag."""

    key: str
    value: str


def check_tags(added: Mapping[str, str], all_tags: Mapping[str, str], resource: str) -> None:
    """Hold the tags to be added against AWS's rules.  Raises TAG_CHARACTERS, TAG_RESERVED, TAG_RATE_INVALID, TAG_LIMIT."""
    texts = [*added, *added.values()]
    if not all(_ALLOWED.fullmatch(text) for text in texts):
        raise Error.TAG_CHARACTERS()
    if any(key.lower().startswith("aws:") for key in added):
        raise Error.TAG_RESERVED()
    for key in RATE_TAGS:
        if key in added and not is_rate(added[key]):
            raise Error.TAG_RATE_INVALID(key=key)
    if len(all_tags) > limits.TAGS_MAX:
        raise Error.TAG_LIMIT(resource=resource, limit=limits.TAGS_MAX)


class AddTagsRequest(StreamRequest, kw_only=True):
    """AddTagsToStream."""

    tags: dict[str, str]


async def add_tags_to_stream(streams: Streams, caller: Caller, request: AddTagsRequest) -> None:
    """Add tags to a stream; a key that it has gets the new value."""
    await _add(streams, (streams.find(caller, request), None), request.tags)


class RemoveTagsRequest(StreamRequest, kw_only=True):
    """RemoveTagsFromStream."""

    tag_keys: list[str]


async def remove_tags_from_stream(streams: Streams, caller: Caller, request: RemoveTagsRequest) -> None:
    """Remove tags from a stream; keys that it has not are passed over."""
    await _remove(streams, (streams.find(caller, request), None), request.tag_keys)


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
    tags = [tag for tag in _tags((streams.find(caller, request), None)) if tag.key > after]
    return ListTagsOutput(tags=tags[: request.limit], has_more_tags=len(tags) > request.limit)


class TagResourceRequest(ResourceRequest, kw_only=True):
    """TagResource."""

    tags: dict[str, str]


async def tag_resource(streams: Streams, caller: Caller, request: TagResourceRequest) -> None:
    """Add tags to the resource that an ARN names."""
    await _add(streams, find_resource(streams, caller, request), request.tags)


class UntagResourceRequest(ResourceRequest, kw_only=True):
    """UntagResource."""

    tag_keys: list[str]


async def untag_resource(streams: Streams, caller: Caller, request: UntagResourceRequest) -> None:
    """Remove tags from the resource that an ARN names."""
    await _remove(streams, find_resource(streams, caller, request), request.tag_keys)


class ListTagsForResourceRequest(ResourceRequest):
    """ListTagsForResource."""


class ListTagsForResourceOutput(Output):
    """All tags of a resource."""

    tags: list[Tag]


async def list_tags_for_resource(
    streams: Streams, caller: Caller, request: ListTagsForResourceRequest
) -> ListTagsForResourceOutput:
    """List the tags of the resource that an ARN names."""
    return ListTagsForResourceOutput(tags=_tags(find_resource(streams, caller, request)))


async def _add(streams: Streams, tagged: Resource, added: Mapping[str, str]) -> None:
    view, held = tagged
    merged = {**_held_tags(tagged), **added}
    check_tags(added, merged, view.stream.name if held is None else held.consumer.name)
    await _store(streams, tagged, merged)


async def _remove(streams: Streams, tagged: Resource, keys: Iterable[str]) -> None:
    gone = set(keys)
    await _store(streams, tagged, {key: value for key, value in _held_tags(tagged).items() if key not in gone})


async def _store(streams: Streams, tagged: Resource, tags: dict[str, str]) -> None:
    """Raises STREAM_NOT_ACTIVE or CONSUMER_NOT_ACTIVE if another change came first, or the stream is still CREATING."""
    view, held = tagged
    if held is None:
        if view.stream.status == "CREATING":  # source: CreateStream's text on tags
            streams.lifecycle.check_active(view)
        await streams.directory.update(view, replace(view.stream, tags=tags))
        return
    consumer = held.consumer
    try:
        await streams.directory.replace_consumer(held, replace(consumer, tags=tags))
    except Conflict:
        raise Error.CONSUMER_NOT_ACTIVE(
            consumer=consumer.name,
            created_s=consumer.created_ms // 1000,
            stream=view.stream.name,
            account=view.stream.account,
        ) from None


def _held_tags(tagged: Resource) -> Mapping[str, str]:
    view, held = tagged
    return view.stream.tags if held is None else held.consumer.tags


def _tags(tagged: Resource) -> list[Tag]:
    return [Tag(key=key, value=value) for key, value in sorted(_held_tags(tagged).items())]
