"""Versions of tables."""

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.services.catalog.ops.paging import page_of
from penstock.services.catalog.ops.table import ErrorOutput, TableOutput, described, error_of
from penstock.services.catalog.service import LATEST, Catalog, fold, place_of
from penstock.services.catalog.state import Place, Table
from penstock.wire.operation import Input, Output


class VersionOutput(Output, kw_only=True):
    """A version of a table in an answer."""

    table: TableOutput
    version_id: str


class GetTableVersionRequest(Input, kw_only=True):
    """GetTableVersion."""

    catalog_id: str | None = None
    database_name: str
    table_name: str
    version_id: str | None = None


class VersionAnswer(Output, kw_only=True):
    """A version of a table."""

    table_version: VersionOutput


async def get_table_version(catalog: Catalog, caller: Caller, request: GetTableVersionRequest) -> VersionAnswer:
    """Answer a version of a table, the newest if none is named.  Raises NO_TABLE, VERSION_ID, NO_VERSION."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    found = await catalog.at_version(place, database, fold(request.table_name), request.version_id or LATEST)
    return VersionAnswer(table_version=_described(place, database, found))


class GetTableVersionsRequest(Input, kw_only=True):
    """GetTableVersions."""

    catalog_id: str | None = None
    database_name: str
    table_name: str
    next_token: str | None = None
    max_results: int | None = None


class VersionsAnswer(Output, kw_only=True):
    """A page of versions."""

    table_versions: list[VersionOutput]
    next_token: str | None = None


async def get_table_versions(catalog: Catalog, caller: Caller, request: GetTableVersionsRequest) -> VersionsAnswer:
    """List the versions of a table, the newest first.  Raises NO_TABLE, TOKEN."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    found = await catalog.versions(place, database, fold(request.table_name))
    page, token = page_of(found, lambda each: str(each.version_no), request.max_results, request.next_token)
    return VersionsAnswer(table_versions=[_described(place, database, each) for each in page], next_token=token)


class DeleteTableVersionRequest(Input, kw_only=True):
    """DeleteTableVersion."""

    catalog_id: str | None = None
    database_name: str
    table_name: str
    version_id: str


class DeleteTableVersionAnswer(Output, kw_only=True):
    """Nothing."""


async def delete_table_version(
    catalog: Catalog, caller: Caller, request: DeleteTableVersionRequest
) -> DeleteTableVersionAnswer:
    """Forget a past version of a table.  Raises NO_TABLE, CURRENT_VERSION, VERSION_ID, NO_VERSION."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    await catalog.remove_version(place, database, fold(request.table_name), request.version_id)
    return DeleteTableVersionAnswer()


class BatchDeleteTableVersionRequest(Input, kw_only=True):
    """BatchDeleteTableVersion."""

    catalog_id: str | None = None
    database_name: str
    table_name: str
    version_ids: list[str]


class VersionErrorOutput(Output, kw_only=True):
    """A version that was not deleted."""

    table_name: str
    version_id: str
    error_detail: ErrorOutput


class BatchDeleteTableVersionAnswer(Output, kw_only=True):
    """What was not deleted."""

    errors: list[VersionErrorOutput]


async def batch_delete_table_version(
    catalog: Catalog, caller: Caller, request: BatchDeleteTableVersionRequest
) -> BatchDeleteTableVersionAnswer:
    """Forget several past versions of a table; what cannot be is told."""
    place, database = place_of(caller, request.catalog_id), fold(request.database_name)
    name, errors = fold(request.table_name), list[VersionErrorOutput]()
    for version in request.version_ids:
        try:
            await catalog.remove_version(place, database, name, version)
        except ServiceError as error:
            errors.append(VersionErrorOutput(table_name=name, version_id=version, error_detail=error_of(error)))
    return BatchDeleteTableVersionAnswer(errors=errors)


def _described(place: Place, database: str, table: Table) -> VersionOutput:
    return VersionOutput(table=described(place, database, table), version_id=str(table.version_no))
