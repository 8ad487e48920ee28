"""Databases."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from penstock.core.catalog_errors import CatalogError
from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.services.catalog.definitions import DatabaseDefinition, Grant, TargetDatabase
from penstock.services.catalog.ops.paging import page_of
from penstock.services.catalog.service import Catalog, fold, place_of
from penstock.services.catalog.state import Database, Place
from penstock.wire.operation import Input, Output

Attributes = Sequence[Literal["NAME", "TARGET_DATABASE"]]


class DatabaseOutput(Output, kw_only=True):
    """A database in an answer."""

    name: str
    description: str | None = None
    location_uri: str | None = None
    parameters: dict[str, str] | None = None
    create_time: Millis
    create_table_default_permissions: list[Grant] | None = None
    target_database: TargetDatabase | None = None
    catalog_id: str


class CreateDatabaseRequest(Input, kw_only=True):
    """CreateDatabase."""

    catalog_id: str | None = None
    database_input: DatabaseDefinition
    tags: dict[str, str] = msgspec.field(default_factory=dict)


class CreateDatabaseAnswer(Output, kw_only=True):
    """Nothing."""


async def create_database(catalog: Catalog, caller: Caller, request: CreateDatabaseRequest) -> CreateDatabaseAnswer:
    """Make a database.  Raises DATABASE_EXISTS."""
    place = place_of(caller, request.catalog_id)
    database = Database(
        definition=_folded(request.database_input), created_ms=catalog.clock.now_ms(), tags=request.tags
    )
    await catalog.store_database(place, database, 0)
    return CreateDatabaseAnswer()


class NamedDatabaseRequest(Input, kw_only=True):
    """GetDatabase and DeleteDatabase."""

    catalog_id: str | None = None
    name: str


class DatabaseAnswer(Output, kw_only=True):
    """A database."""

    database: DatabaseOutput


async def get_database(catalog: Catalog, caller: Caller, request: NamedDatabaseRequest) -> DatabaseAnswer:
    """Answer a database.  Raises NO_DATABASE."""
    place = place_of(caller, request.catalog_id)
    found, _ = await catalog.find_database(place, fold(request.name))
    return DatabaseAnswer(database=_described(place, found))


class GetDatabasesRequest(Input, kw_only=True):
    """GetDatabases."""

    catalog_id: str | None = None
    next_token: str | None = None
    max_results: int | None = None
    resource_share_type: Literal["FOREIGN", "ALL", "FEDERATED"] | None = None
    attributes_to_get: Attributes = ()


class DatabasesAnswer(Output, kw_only=True):
    """A page of databases."""

    database_list: list[DatabaseOutput]
    next_token: str | None = None


async def get_databases(catalog: Catalog, caller: Caller, request: GetDatabasesRequest) -> DatabasesAnswer:
    """List the databases of a catalog, by name.  Raises TOKEN."""
    place = place_of(caller, request.catalog_id)
    foreign = request.resource_share_type in ("FOREIGN", "FEDERATED")  # there are none here
    found = [] if foreign else await catalog.databases(place)
    page, token = page_of(found, lambda each: each.definition.name, request.max_results, request.next_token)
    return DatabasesAnswer(database_list=[_described(place, each) for each in page], next_token=token)


class UpdateDatabaseRequest(Input, kw_only=True):
    """UpdateDatabase."""

    catalog_id: str | None = None
    name: str
    database_input: DatabaseDefinition


class UpdateDatabaseAnswer(Output, kw_only=True):
    """Nothing."""


async def update_database(catalog: Catalog, caller: Caller, request: UpdateDatabaseRequest) -> UpdateDatabaseAnswer:
    """Replace what a database is; its name stays.  Raises NO_DATABASE, NAMES_DIFFER, DATABASE_CHANGED."""
    place, name = place_of(caller, request.catalog_id), fold(request.name)
    found, version = await catalog.find_database(place, name)
    definition = _folded(request.database_input)
    if definition.name != name:
        raise CatalogError.NAMES_DIFFER(entity="database", name=definition.name)
    await catalog.store_database(place, msgspec.structs.replace(found, definition=definition), version)
    return UpdateDatabaseAnswer()


class DeleteDatabaseAnswer(Output, kw_only=True):
    """Nothing."""


async def delete_database(catalog: Catalog, caller: Caller, request: NamedDatabaseRequest) -> DeleteDatabaseAnswer:
    """Forget a database and its tables.  Raises NO_DATABASE, DATABASE_CHANGED."""
    await catalog.remove_database(place_of(caller, request.catalog_id), fold(request.name))
    return DeleteDatabaseAnswer()


def _folded(definition: DatabaseDefinition) -> DatabaseDefinition:
    return msgspec.structs.replace(definition, name=fold(definition.name))


def _described(place: Place, database: Database) -> DatabaseOutput:
    definition = database.definition
    return DatabaseOutput(
        name=definition.name,
        description=definition.description,
        location_uri=definition.location_uri,
        parameters=definition.parameters,
        create_time=database.created_ms,
        create_table_default_permissions=definition.create_table_default_permissions,
        target_database=definition.target_database,
        catalog_id=place.catalog,
    )
