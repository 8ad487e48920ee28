"""Tables."""

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import re2

from penstock.core.catalog_errors import CatalogError
from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import Millis
from penstock.services.catalog.definitions import Column, Index, Storage, TableDefinition, TargetTable
from penstock.services.catalog.ops.paging import page_of
from penstock.services.catalog.service import Catalog, fold, place_of
from penstock.services.catalog.state import Place, Table
from penstock.wire.operation import Input, Output

Attributes = Sequence[Literal["NAME", "TABLE_TYPE", "DEFAULT", "LATEST_ICEBERG_METADATA"]]
TIME_MAX_MS: Final = 253_402_300_799_999  # the end of the year 9999
_LONE_STAR = re.compile(r"(?<![.\])}])\*")  # Hive's wildcard, where a regular expression would have nothing to repeat


class TableOutput(Output, kw_only=True):
    """A table in an answer."""

    name: str
    database_name: str
    description: str | None = None
    owner: str | None = None
    create_time: Millis
    update_time: Millis
    last_access_time: Millis | None = None
    last_analyzed_time: Millis | None = None
    retention: int
    storage_descriptor: Storage | None = None
    partition_keys: list[Column] | None = None
    view_original_text: str | None = None
    view_expanded_text: str | None = None
    table_type: str | None = None
    parameters: dict[str, str] | None = None
    created_by: str
    is_registered_with_lake_formation: bool
    target_table: TargetTable | None = None
    catalog_id: str
    version_id: str


class CreateTableRequest(Input, kw_only=True):
    """CreateTable."""

    catalog_id: str | None = None
    database_name: str
    name: str | None = None
    table_input: TableDefinition | None = None
    partition_indexes: Sequence[Index] = ()


class CreateTableAnswer(Output, kw_only=True):
    """Nothing."""


async def create_table(catalog: Catalog, caller: Caller, request: CreateTableRequest) -> CreateTableAnswer:
    """Make a table.  Raises NO_TABLE_INPUT, NO_DATABASE, TABLE_EXISTS."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    definition = _checked(request.table_input)
    now_ms = catalog.clock.now_ms()
    table = Table(
        definition=definition,
        created_ms=now_ms,
        updated_ms=now_ms,
        created_by=caller.arn,
        indexes=list(request.partition_indexes),
    )
    await catalog.create_table(place, database, table)
    return CreateTableAnswer()


class GetTableRequest(Input, kw_only=True):
    """GetTable."""

    catalog_id: str | None = None
    database_name: str
    name: str
    attributes_to_get: Attributes = ()


class TableAnswer(Output, kw_only=True):
    """A table."""

    table: TableOutput


async def get_table(catalog: Catalog, caller: Caller, request: GetTableRequest) -> TableAnswer:
    """Answer a table as it is now.  Raises NO_ENTITY."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    try:
        found, _ = await catalog.find_table(place, database, fold(request.name))
    except ServiceError:
        raise CatalogError.NO_ENTITY() from None  # source: databricks/iceberg-kafka-connect#184 quotes GetTable's words
    return TableAnswer(table=described(place, database, found))


class GetTablesRequest(Input, kw_only=True):
    """GetTables."""

    catalog_id: str | None = None
    database_name: str
    expression: str | None = None
    next_token: str | None = None
    max_results: int | None = None
    attributes_to_get: Attributes = ()


class TablesAnswer(Output, kw_only=True):
    """A page of tables."""

    table_list: list[TableOutput]
    next_token: str | None = None


async def get_tables(catalog: Catalog, caller: Caller, request: GetTablesRequest) -> TablesAnswer:
    """List the tables of a database, by name, those that an expression matches.  Raises NO_DATABASE, EXPRESSION, TOKEN."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    await catalog.find_database(place, database)
    found = await catalog.tables(place, database)
    if request.expression:
        matches = _pattern(request.expression)
        found = [table for table in found if matches.fullmatch(table.definition.name) is not None]
    page, token = page_of(found, lambda each: each.definition.name, request.max_results, request.next_token)
    return TablesAnswer(table_list=[described(place, database, table) for table in page], next_token=token)


class UpdateTableRequest(Input, kw_only=True):
    """UpdateTable."""

    catalog_id: str | None = None
    database_name: str
    name: str | None = None
    table_input: TableDefinition | None = None
    skip_archive: bool = False
    version_id: str | None = None


class UpdateTableAnswer(Output, kw_only=True):
    """Nothing."""


async def update_table(catalog: Catalog, caller: Caller, request: UpdateTableRequest) -> UpdateTableAnswer:
    """Give a table its next version, on top of the one that the caller names.  Raises NO_TABLE_INPUT, NO_TABLE, CHANGED."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    definition = _checked(request.table_input)
    held = await catalog.find_table(place, database, definition.name)
    if request.version_id not in (None, str(held.table.version_no)):
        raise CatalogError.CHANGED()
    table = msgspec.structs.replace(
        held.table,
        definition=definition,
        version_no=held.table.version_no + 1,
        updated_ms=catalog.clock.now_ms(),
    )
    await catalog.replace_table(place, database, held, table, archive=not request.skip_archive)
    return UpdateTableAnswer()


class DeleteTableRequest(Input, kw_only=True):
    """DeleteTable."""

    catalog_id: str | None = None
    database_name: str
    name: str


class DeleteTableAnswer(Output, kw_only=True):
    """Nothing."""


async def delete_table(catalog: Catalog, caller: Caller, request: DeleteTableRequest) -> DeleteTableAnswer:
    """Forget a table and its versions.  Raises NO_TABLE, CHANGED."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    await catalog.remove_table(place, database, fold(request.name))
    return DeleteTableAnswer()


class BatchDeleteTableRequest(Input, kw_only=True):
    """BatchDeleteTable."""

    catalog_id: str | None = None
    database_name: str
    tables_to_delete: list[str]


class ErrorOutput(Output, kw_only=True):
    """Why a part of a request was refused."""

    error_code: str
    error_message: str | None


class TableErrorOutput(Output, kw_only=True):
    """A table that was not deleted."""

    table_name: str
    error_detail: ErrorOutput


class BatchDeleteTableAnswer(Output, kw_only=True):
    """What was not deleted."""

    errors: list[TableErrorOutput]


async def batch_delete_table(
    catalog: Catalog, caller: Caller, request: BatchDeleteTableRequest
) -> BatchDeleteTableAnswer:
    """Forget several tables; what cannot be is told.  Raises NO_DATABASE."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    await catalog.find_database(place, database)
    errors: list[TableErrorOutput] = []
    for name in request.tables_to_delete:
        try:
            await catalog.remove_table(place, database, fold(name))
        except ServiceError as error:
            errors.append(TableErrorOutput(table_name=name, error_detail=error_of(error)))
    return BatchDeleteTableAnswer(errors=errors)


class GetPartitionIndexesRequest(Input, kw_only=True):
    """GetPartitionIndexes."""

    catalog_id: str | None = None
    database_name: str
    table_name: str
    next_token: str | None = None


class KeyOutput(Output, kw_only=True):
    """A key of an index."""

    name: str
    type: str


class IndexOutput(Output, kw_only=True):
    """An index in an answer."""

    index_name: str
    keys: list[KeyOutput]
    index_status: str


class IndexesAnswer(Output, kw_only=True):
    """The indexes of a table."""

    partition_index_descriptor_list: list[IndexOutput]


async def get_partition_indexes(catalog: Catalog, caller: Caller, request: GetPartitionIndexesRequest) -> IndexesAnswer:
    """List the indexes that a table was made with.  Raises NO_TABLE."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    table, _ = await catalog.find_table(place, database, fold(request.table_name))
    types = {column.name: column.type or "string" for column in table.definition.partition_keys or ()}
    rows = [
        IndexOutput(
            index_name=index.index_name,
            keys=[KeyOutput(name=key, type=types.get(key, "string")) for key in index.keys],
            index_status="ACTIVE",
        )
        for index in table.indexes
    ]
    return IndexesAnswer(partition_index_descriptor_list=rows)


def described(place: Place, database: str, table: Table) -> TableOutput:
    """A table as answers carry it."""
    definition = table.definition
    return TableOutput(
        name=definition.name,
        database_name=database,
        description=definition.description,
        owner=definition.owner,
        create_time=table.created_ms,
        update_time=table.updated_ms,
        last_access_time=definition.last_access_time,
        last_analyzed_time=definition.last_analyzed_time,
        retention=definition.retention or 0,
        storage_descriptor=_filled(definition.storage_descriptor),
        partition_keys=definition.partition_keys,
        view_original_text=definition.view_original_text,
        view_expanded_text=definition.view_expanded_text,
        table_type=definition.table_type,
        parameters=definition.parameters,
        created_by=table.created_by,
        is_registered_with_lake_formation=False,
        target_table=definition.target_table,
        catalog_id=place.catalog,
        version_id=str(table.version_no),
    )


def _filled(storage: Storage | None) -> Storage | None:
    """A storage descriptor as it is told: Glue fills in what it has defaults for.  Source: the AWS CLI's examples of get-table."""
    if storage is None:
        return None
    return msgspec.structs.replace(
        storage,
        compressed=bool(storage.compressed),
        number_of_buckets=storage.number_of_buckets or 0,
        sort_columns=storage.sort_columns or [],
        stored_as_sub_directories=bool(storage.stored_as_sub_directories),
    )


def error_of(error: ServiceError) -> ErrorOutput:
    """A refusal as batches carry it."""
    return ErrorOutput(error_code=error.code, error_message=error.message)


def _checked(definition: TableDefinition | None) -> TableDefinition:
    """What a table is to be, with its name folded.  Raises NO_TABLE_INPUT, TIME."""
    if definition is None:
        raise CatalogError.NO_TABLE_INPUT()
    for at_ms in (definition.last_access_time, definition.last_analyzed_time):
        if at_ms is not None and not 0 <= at_ms <= TIME_MAX_MS:
            raise CatalogError.TIME()
    return msgspec.structs.replace(definition, name=fold(definition.name))


def _pattern(expression: str) -> "re.Pattern[str]":
    """What names must match.  A lone `*` is any text, as clients that come from Hive write it.  Raises EXPRESSION.

    UNVERIFIED: that the whole name must match.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        compiled: re.Pattern[str] = re2.compile(_LONE_STAR.sub(".*", expression.lower()), options)
    except re2.error:
        raise CatalogError.EXPRESSION(expression=expression[:200]) from None
    return compiled
