"""Tags, of databases; tables have none."""

import re

import msgspec

from penstock.core.catalog_errors import CatalogError
from penstock.core.context import Caller
from penstock.core.ids import AccountId, Region
from penstock.core.limits import TAGS_MAX
from penstock.services.catalog.service import Catalog
from penstock.services.catalog.state import Database, Place
from penstock.wire.operation import Input, Output

_DATABASE = re.compile(
    r"arn:aws[a-z-]*:glue:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):database/(?P<name>.+)", re.ASCII
)


class GetTagsRequest(Input, kw_only=True):
    """GetTags."""

    resource_arn: str = msgspec.field(name="ResourceArn")


class TagsAnswer(Output, kw_only=True):
    """The tags of a resource."""

    tags: dict[str, str]


async def get_tags(catalog: Catalog, _caller: Caller, request: GetTagsRequest) -> TagsAnswer:
    """Answer the tags of a database.  Raises ARN, NO_DATABASE."""
    _, database, _ = await _tagged(catalog, request.resource_arn)
    return TagsAnswer(tags=database.tags)


class TagResourceRequest(Input, kw_only=True):
    """TagResource."""

    resource_arn: str = msgspec.field(name="ResourceArn")
    tags_to_add: dict[str, str]


class TagResourceAnswer(Output, kw_only=True):
    """Nothing."""


async def tag_resource(catalog: Catalog, _caller: Caller, request: TagResourceRequest) -> TagResourceAnswer:
    """Add tags to a database.  Raises ARN, NO_DATABASE, TAGS, DATABASE_CHANGED."""
    place, database, version = await _tagged(catalog, request.resource_arn)
    tags = {**database.tags, **request.tags_to_add}
    if len(tags) > TAGS_MAX:
        raise CatalogError.TAGS(problem=f"A resource has at most {TAGS_MAX} tags")
    await catalog.store_database(place, msgspec.structs.replace(database, tags=tags), version)
    return TagResourceAnswer()


class UntagResourceRequest(Input, kw_only=True):
    """UntagResource."""

    resource_arn: str = msgspec.field(name="ResourceArn")
    tags_to_remove: list[str]


class UntagResourceAnswer(Output, kw_only=True):
    """Nothing."""


async def untag_resource(catalog: Catalog, _caller: Caller, request: UntagResourceRequest) -> UntagResourceAnswer:
    """Take tags from a database.  Raises ARN, NO_DATABASE, DATABASE_CHANGED."""
    place, database, version = await _tagged(catalog, request.resource_arn)
    tags = {name: value for name, value in database.tags.items() if name not in request.tags_to_remove}
    await catalog.store_database(place, msgspec.structs.replace(database, tags=tags), version)
    return UntagResourceAnswer()


async def _tagged(catalog: Catalog, arn: str) -> tuple[Place, Database, int]:
    match = _DATABASE.fullmatch(arn)
    if match is None:
        raise CatalogError.ARN(arn=arn[:200])
    place = Place(AccountId(match["account"]), Region(match["region"]))
    return (place, *await catalog.find_database(place, match["name"]))
