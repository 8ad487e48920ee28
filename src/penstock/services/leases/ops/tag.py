"""Tags of tables."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import field
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.lease_errors import LeaseError
from penstock.services.leases.service import Leases, place_of
from penstock.services.leases.tables import TableView
from penstock.wire.operation import Input, Output

TAGS_MAX: Final = 50
TAGS_PAGE: Final = 10
_RESERVED: Final = "aws:"


class Tag(Input, kw_only=True):
    """A key and its value."""

    key: str
    value: str


def checked_tags(held: Mapping[str, str], added: Sequence[Tag]) -> dict[str, str]:
    """The tags of a table with more of them.  Raises TAGS, TAG_LIMIT."""
    names = [tag.key for tag in added]
    if len(set(names)) != len(names):
        raise LeaseError.TAGS(problem="One or more parameter values were invalid: Duplicate tag keys")  # UNVERIFIED
    if any(name.lower().startswith(_RESERVED) for name in names):
        raise LeaseError.TAGS(
            problem="One or more parameter values were invalid: Tag keys starting with aws: are reserved"
        )
    tags = {**held, **{tag.key: tag.value for tag in added}}
    if len(tags) > TAGS_MAX:
        raise LeaseError.TAG_LIMIT(count=len(tags), limit=TAGS_MAX)
    return tags


class TagResourceRequest(Input, kw_only=True):
    """TagResource."""

    resource_arn: str = field(name="ResourceArn")
    tags: list[Tag]


async def tag_resource(leases: Leases, caller: Caller, request: TagResourceRequest) -> None:
    """Add tags to a table."""
    view = _tagged(leases, caller, request.resource_arn)
    await leases.tables.replace(view, replace(view.table, tags=checked_tags(view.table.tags, request.tags)))


class UntagResourceRequest(Input, kw_only=True):
    """UntagResource."""

    resource_arn: str = field(name="ResourceArn")
    tag_keys: list[str]


async def untag_resource(leases: Leases, caller: Caller, request: UntagResourceRequest) -> None:
    """Take tags from a table."""
    view = _tagged(leases, caller, request.resource_arn)
    left = {name: value for name, value in view.table.tags.items() if name not in request.tag_keys}
    await leases.tables.replace(view, replace(view.table, tags=left))


class ListTagsOfResourceRequest(Input, kw_only=True):
    """ListTagsOfResource."""

    resource_arn: str = field(name="ResourceArn")
    next_token: str | None = None


class TagsAnswer(Output):
    """A page of tags."""

    tags: list[Tag]
    next_token: str | None = None


async def list_tags_of_resource(leases: Leases, caller: Caller, request: ListTagsOfResourceRequest) -> TagsAnswer:
    """List the tags of a table, by name; a token is the name where the last page ended."""
    held = _tagged(leases, caller, request.resource_arn).table.tags
    rest = [name for name in sorted(held) if name > (request.next_token or "")]
    page = rest[:TAGS_PAGE]
    tags = [Tag(key=name, value=held[name]) for name in page]
    return TagsAnswer(tags=tags, next_token=page[-1] if len(rest) > len(page) else None)


def _tagged(leases: Leases, caller: Caller, arn: str) -> TableView:
    view = leases.find(caller, arn) if arn.startswith("arn:") else None
    if view is None:
        if not arn.startswith("arn:"):
            place_of(caller, f"arn:{arn}")  # refuses
        raise LeaseError.NO_TAGGED(arn=arn)
    return view
