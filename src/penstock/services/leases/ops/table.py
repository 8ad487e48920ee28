"""Tables: how they come to be, are described, changed and go."""

from typing import Final, Literal

from msgspec import field
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.ids import UUID_BYTES, Millis, uuid_text
from penstock.core.lease_errors import LeaseError
from penstock.services.leases.keys import ScalarType
from penstock.services.leases.ops.asked import Request
from penstock.services.leases.ops.describing import (
    AttributeDefinition,
    GlobalSecondaryIndex,
    KeySchemaElement,
    ProvisionedThroughput,
    SecondaryIndex,
    TableDescription,
    check_indexes,
    check_types_used,
    describe,
    parameters,
    read_index,
    read_schema,
    read_types,
    read_units,
)
from penstock.services.leases.ops.tag import Tag, checked_tags
from penstock.services.leases.service import Leases, place_of
from penstock.services.leases.state import Billing, Index, Table
from penstock.wire.operation import Input, Output

TABLES_MAX: Final = 2500  # of an account and region


class StreamSpecification(Input):
    """Of a table's own stream, which there is not here; only "off" is taken."""

    stream_enabled: bool = False


class SSESpecification(Input):
    """Of encryption with a key of one's own, which there is not here; only "off" is taken."""

    enabled: bool = False


class Unread(Input):
    """What is refused as soon as it is given."""


class TableChange(Request, kw_only=True):
    """What CreateTable and UpdateTable have in common."""

    billing_mode: Billing | None = None
    provisioned_throughput: ProvisionedThroughput | None = None
    stream_specification: StreamSpecification | None = None
    sse_specification: SSESpecification | None = field(name="SSESpecification", default=None)
    table_class: Literal["STANDARD", "STANDARD_INFREQUENT_ACCESS"] | None = None
    deletion_protection_enabled: bool | None = None


class CreateTableRequest(TableChange, kw_only=True):
    """CreateTable."""

    attribute_definitions: list[AttributeDefinition] | None = None
    key_schema: list[KeySchemaElement] | None = None
    local_secondary_indexes: list[SecondaryIndex] | None = None
    global_secondary_indexes: list[GlobalSecondaryIndex] | None = None
    tags: list[Tag] | None = None
    resource_policy: str | None = None
    global_table_source_arn: str | None = field(name="GlobalTableSourceArn", default=None)


class TableAnswer(Output):
    """A table, as CreateTable, UpdateTable and DeleteTable tell it."""

    table_description: TableDescription


async def create_table(leases: Leases, caller: Caller, request: CreateTableRequest) -> TableAnswer:
    """Make a table."""
    place = place_of(caller, request.table_name)
    _check_supported(request)
    for name, given in (
        ("ResourcePolicy", request.resource_policy),
        ("GlobalTableSourceArn", request.global_table_source_arn),
    ):
        if given:
            raise LeaseError.UNSUPPORTED(what=name)
    if not request.attribute_definitions or not request.key_schema:
        raise LeaseError.MISSING(member="attributeDefinitions" if request.key_schema else "keySchema")
    billing = request.billing_mode or "PROVISIONED"
    _check_throughput(billing, request.provisioned_throughput)
    types, now_ms, ready_ms = (
        read_types(request.attribute_definitions),
        leases.clock.now_ms(),
        leases.after_transition(),
    )
    schema, indexes = read_schema(request.key_schema, types), _indexes(request, types)
    check_types_used(schema, indexes, types)
    check_indexes(schema, indexes)
    if len(leases.tables.of(place.account, place.region)) >= TABLES_MAX:
        raise LeaseError.TABLES_MAX(limit=TABLES_MAX)
    table = Table(
        account=place.account,
        region=place.region,
        name=place.name,
        uid=uuid_text(leases.entropy.bytes(UUID_BYTES)),
        created_ms=now_ms,
        ready_ms=ready_ms,
        schema=schema,
        types=types,
        billing=billing,
        on_demand_ms=now_ms if billing == "PAY_PER_REQUEST" else None,
        units=read_units(request.provisioned_throughput),
        indexes=indexes,
        protected=bool(request.deletion_protection_enabled),
        table_class=request.table_class,
        tags=checked_tags({}, request.tags or []),
    )
    return TableAnswer(describe(await leases.tables.create(table), now_ms))


def _indexes(request: CreateTableRequest, types: dict[str, ScalarType]) -> tuple[Index, ...]:
    every: list[tuple[bool, SecondaryIndex]] = [(False, given) for given in request.local_secondary_indexes or ()]
    every += [(True, given) for given in request.global_secondary_indexes or ()]
    return tuple(read_index(given, types, is_global=is_global, ready_ms=Millis(0)) for is_global, given in every)


class DescribeTableRequest(Request, kw_only=True):
    """DescribeTable."""


class DescribedAnswer(Output):
    """DescribeTable's."""

    table: TableDescription


async def describe_table(leases: Leases, caller: Caller, request: DescribeTableRequest) -> DescribedAnswer:
    """Describe a table."""
    return DescribedAnswer(describe(leases.described(caller, request.table_name), leases.clock.now_ms()))


class DeleteTableRequest(Request, kw_only=True):
    """DeleteTable."""


async def delete_table(leases: Leases, caller: Caller, request: DeleteTableRequest) -> TableAnswer:
    """Delete a table with its items."""
    view = leases.changeable(caller, request.table_name)
    if view.table.protected:
        raise LeaseError.TABLE_PROTECTED()
    described = describe(view, leases.clock.now_ms())
    described.table_status = "DELETING"
    await leases.delete(view)
    return TableAnswer(described)


class ListTablesRequest(Input):
    """ListTables."""

    exclusive_start_table_name: str | None = None
    limit: int = 100


class ListTablesAnswer(Output):
    """A page of names."""

    table_names: list[str]
    last_evaluated_table_name: str | None = None


async def list_tables(leases: Leases, caller: Caller, request: ListTablesRequest) -> ListTablesAnswer:
    """List the names of tables, in order."""
    after = request.exclusive_start_table_name or ""
    names = [table.name for table in leases.tables.of(caller.account, caller.region) if table.name > after]
    page = names[: request.limit]
    return ListTablesAnswer(table_names=page, last_evaluated_table_name=page[-1] if len(names) > len(page) else None)


class IndexName(Input, kw_only=True):
    """An index to be deleted."""

    index_name: str


class IndexThroughput(IndexName, kw_only=True):
    """An index to be given another throughput."""

    provisioned_throughput: ProvisionedThroughput | None = None


class IndexUpdate(Input):
    """What becomes of one index."""

    update: IndexThroughput | None = None
    create: GlobalSecondaryIndex | None = None
    delete: IndexName | None = None


class UpdateTableRequest(TableChange, kw_only=True):
    """UpdateTable."""

    attribute_definitions: list[AttributeDefinition] | None = None
    global_secondary_index_updates: list[IndexUpdate] | None = None
    replica_updates: list[Unread] | None = None


async def update_table(leases: Leases, caller: Caller, request: UpdateTableRequest) -> TableAnswer:
    """Change a table: its billing, throughput, protection, class, or one index."""
    _check_supported(request)
    if request.replica_updates:
        raise LeaseError.UNSUPPORTED(what="ReplicaUpdates")
    view = leases.changeable(caller, request.table_name)
    now_ms = leases.clock.now_ms()
    table = _indexed(leases, _resized(view.table, request, now_ms), request)
    changed = replace(
        table,
        protected=table.protected
        if request.deletion_protection_enabled is None
        else request.deletion_protection_enabled,
        table_class=request.table_class or table.table_class,
    )
    if changed == view.table and not _asks_for_something(request):
        raise LeaseError.UPDATE_NOTHING()
    await leases.tables.replace(view, replace(changed, updated_ms=leases.after_transition()))
    return TableAnswer(describe(view, now_ms))


def _asks_for_something(request: UpdateTableRequest) -> bool:
    return any(
        given is not None
        for given in (
            *(request.billing_mode, request.provisioned_throughput, request.global_secondary_index_updates),
            *(request.table_class, request.deletion_protection_enabled, request.stream_specification),
            request.sse_specification,
        )
    )


def _resized(table: Table, request: UpdateTableRequest, now_ms: Millis) -> Table:
    billing = request.billing_mode or table.billing
    if billing == "PAY_PER_REQUEST":
        _check_throughput(billing, request.provisioned_throughput)
        on_demand_ms = table.on_demand_ms if table.billing == billing else now_ms
        return replace(table, billing=billing, on_demand_ms=on_demand_ms, units=read_units(None))
    if request.provisioned_throughput is None and table.billing == billing:
        return table
    _check_throughput(billing, request.provisioned_throughput)
    return replace(table, billing=billing, units=read_units(request.provisioned_throughput))


def _indexed(leases: Leases, table: Table, request: UpdateTableRequest) -> Table:
    """The table with its indexes as the update wants them."""
    types = {**table.types, **read_types(request.attribute_definitions or [])}
    indexes = {index.name: index for index in table.indexes}
    made_or_gone = 0
    for wanted in request.global_secondary_index_updates or ():
        if wanted.create is not None:
            made_or_gone += 1
            if wanted.create.index_name in indexes:
                raise LeaseError.INDEX_EXISTS()
            index = read_index(wanted.create, types, is_global=True, ready_ms=leases.after_transition())
            indexes[index.name] = index
        elif wanted.delete is not None:
            made_or_gone += 1
            del indexes[_global_index(table, wanted.delete.index_name).name]
        elif wanted.update is not None:
            index = _global_index(table, wanted.update.index_name)
            indexes[index.name] = replace(index, units=read_units(wanted.update.provisioned_throughput))
        else:
            raise parameters("One of GlobalSecondaryIndexUpdate's members must be given")  # UNVERIFIED: wording
    if made_or_gone > 1:
        raise LeaseError.INDEX_UPDATES_MAX()
    kept = tuple(indexes.values())
    check_indexes(table.schema, kept)
    used = {name for each in (table.schema, *(index.schema for index in kept)) for name in each.names}
    return replace(table, indexes=kept, types={name: kind for name, kind in types.items() if name in used})


def _global_index(table: Table, name: str) -> Index:
    for index in table.indexes:
        if index.name == name and index.is_global:
            return index
    raise LeaseError.NO_INDEX_NAMED(index=name, table=table.name)


def _check_throughput(billing: Billing, given: ProvisionedThroughput | None) -> None:
    if billing == "PROVISIONED" and given is None:
        raise LeaseError.THROUGHPUT_NEEDED()
    if billing == "PAY_PER_REQUEST" and given is not None:
        raise LeaseError.THROUGHPUT_UNWANTED()


def _check_supported(request: TableChange) -> None:
    """Raise UNSUPPORTED for what would be silently missing."""
    if request.stream_specification is not None and request.stream_specification.stream_enabled:
        raise LeaseError.UNSUPPORTED(what="StreamSpecification")
    if request.sse_specification is not None and request.sse_specification.enabled:
        raise LeaseError.UNSUPPORTED(what="SSESpecification")
