"""Tags of keys."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.kms_errors import KmsError
from penstock.core.limits import TAGS_MAX
from penstock.services.kms.ops.paging import TAGS_PAGE, page_of
from penstock.services.kms.service import Kms
from penstock.services.kms.state import Key
from penstock.wire.operation import Input, Output

_RESERVED: Final = "aws:"


class Tag(Input):
    """A tag, as inputs and outputs have it."""

    tag_key: str
    tag_value: str


def checked_tags(held: Mapping[str, str], added: Sequence[Tag]) -> dict[str, str]:
    """The tags of a key with more of them.  Raises TAGS, TAG_LIMIT."""
    names = [tag.tag_key for tag in added]
    if len(set(names)) != len(names):
        raise KmsError.TAGS(problem="Duplicate tag keys")  # UNVERIFIED: wording
    if any(name.lower().startswith(_RESERVED) for name in names):
        raise KmsError.TAGS(problem="Tags beginning with aws: are reserved")  # UNVERIFIED: wording
    tags = {**held, **{tag.tag_key: tag.tag_value for tag in added}}
    if len(tags) > TAGS_MAX:
        raise KmsError.TAG_LIMIT(limit=TAGS_MAX)
    return tags


class TagResourceRequest(Input):
    """TagResource."""

    key_id: str
    tags: list[Tag]


async def tag_resource(kms: Kms, caller: Caller, request: TagResourceRequest) -> None:
    """Add tags to a key.  Raises PENDING_DELETION, TAGS, TAG_LIMIT."""
    key = _taggable(kms, caller, request.key_id)
    await kms.keys.change(key.id, lambda held: replace(held, tags=checked_tags(held.tags, request.tags)))


class UntagResourceRequest(Input):
    """UntagResource."""

    key_id: str
    tag_keys: list[str]


async def untag_resource(kms: Kms, caller: Caller, request: UntagResourceRequest) -> None:
    """Take tags from a key.  Raises PENDING_DELETION."""
    key = _taggable(kms, caller, request.key_id)
    gone = set(request.tag_keys)
    await kms.keys.change(
        key.id,
        lambda held: replace(held, tags={name: value for name, value in held.tags.items() if name not in gone}),
    )


class ListResourceTagsRequest(Input):
    """ListResourceTags."""

    key_id: str
    limit: int = TAGS_PAGE
    marker: str | None = None


class TagsAnswer(Output):
    """A page of tags."""

    tags: list[Tag]
    truncated: bool
    next_marker: str | None = None


async def list_resource_tags(kms: Kms, caller: Caller, request: ListResourceTagsRequest) -> TagsAnswer:
    """List the tags of a key, by name."""
    held = kms.find(caller, request.key_id).record.tags
    page, marker = page_of(sorted(held.items()), lambda tag: tag[0], request.limit, request.marker)
    tags = [Tag(tag_key=name, tag_value=value) for name, value in page]
    return TagsAnswer(tags=tags, next_marker=marker, truncated=marker is not None)


def _taggable(kms: Kms, caller: Caller, key_id: str) -> Key:
    key = kms.find_own(caller, key_id).record
    if key.deletion_ms is not None:
        raise KmsError.PENDING_DELETION(arn=key.arn)
    return key
