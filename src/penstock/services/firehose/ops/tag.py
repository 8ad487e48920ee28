"""Tags of delivery streams."""

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.firehose_errors import FirehoseError
from penstock.core.limits import LIST_TAGS_PAGE, TAGS_MAX
from penstock.services.firehose.configuration import invalid
from penstock.services.firehose.ops.naming import Empty, NamedRequest, Tag, ToldTag
from penstock.services.firehose.service import Firehose
from penstock.services.firehose.state import DeliveryStream
from penstock.wire.operation import Output

_ALLOWED = re.compile(r"[\w\s.:/=+\-@%]*")  # Unicode letters and digits, blanks, _ . : / = + - @ %


class TagRequest(NamedRequest, kw_only=True):
    """TagDeliveryStream."""

    tags: Sequence[Tag]


class UntagRequest(NamedRequest, kw_only=True):
    """UntagDeliveryStream."""

    tag_keys: Sequence[str]


class ListTagsRequest(NamedRequest, kw_only=True):
    """ListTagsForDeliveryStream."""

    exclusive_start_tag_key: str = ""
    limit: int = LIST_TAGS_PAGE


class ListTagsOutput(Output):
    """A page of tags."""

    tags: Sequence[ToldTag]
    has_more_tags: bool


async def tag_delivery_stream(firehose: Firehose, caller: Caller, request: TagRequest) -> Empty:
    """Add tags; a key that it has gets the new value.  Raises TAG_LIMIT, INVALID."""

    def changed(held: DeliveryStream) -> DeliveryStream:
        return replace(held, tags=checked_tags(held.tags, request.tags))

    await firehose.change(firehose.find(caller, request.delivery_stream_name), changed)
    return Empty()


async def untag_delivery_stream(firehose: Firehose, caller: Caller, request: UntagRequest) -> Empty:
    """Remove tags; keys that it has not are passed over."""
    gone = set(request.tag_keys)

    def changed(held: DeliveryStream) -> DeliveryStream:
        return replace(held, tags={key: value for key, value in held.tags.items() if key not in gone})

    await firehose.change(firehose.find(caller, request.delivery_stream_name), changed)
    return Empty()


async def list_tags_for_delivery_stream(firehose: Firehose, caller: Caller, request: ListTagsRequest) -> ListTagsOutput:
    """List tags by key."""
    held = firehose.find(caller, request.delivery_stream_name).stream.tags
    tags = [ToldTag(key=key, value=held[key]) for key in sorted(held) if key > request.exclusive_start_tag_key]
    return ListTagsOutput(tags=tags[: request.limit], has_more_tags=len(tags) > request.limit)


def checked_tags(held: Mapping[str, str], added: Sequence[Tag]) -> dict[str, str]:
    """Tags with others added.  Raises TAG_LIMIT, INVALID."""
    tags = {**held, **{tag.key: tag.value or "" for tag in added}}
    for tag in added:
        if tag.key.lower().startswith("aws:"):  # UNVERIFIED: wording
            raise invalid("Tag keys that begin with aws: are reserved.")
        if not _ALLOWED.fullmatch(tag.key) or not _ALLOWED.fullmatch(tag.value or ""):  # UNVERIFIED: wording
            raise invalid(f"The tag {tag.key} has characters that are not allowed.")
    if len(tags) > TAGS_MAX:
        raise FirehoseError.TAG_LIMIT(limit=TAGS_MAX)
    return tags
