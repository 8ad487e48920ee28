"""Tables and indexes as inputs define and answers describe them."""

from typing import Final, Literal, TypedDict

from msgspec import field

from penstock.core.errors import ServiceError
from penstock.core.ids import Millis
from penstock.core.lease_errors import LeaseError
from penstock.services.leases.keys import KeyAttribute, ScalarType, Schema
from penstock.services.leases.state import Billing, Index, ProjectionType, Table, TableStatus, Units
from penstock.services.leases.tables import IndexView, TableView
from penstock.wire.operation import Input, Output

GLOBAL_INDEXES_MAX: Final = 20
LOCAL_INDEXES_MAX: Final = 5

KeyType = Literal["HASH", "RANGE"]


class AttributeDefinition(Input, kw_only=True):
    """The type of a key attribute."""

    attribute_name: str
    attribute_type: ScalarType


class KeySchemaElement(Input, kw_only=True):
    """One attribute of a key."""

    attribute_name: str
    key_type: KeyType


class Projection(Input, omit_defaults=True):
    """What an index has of its items."""

    projection_type: ProjectionType | None = None
    non_key_attributes: list[str] | None = None


class ProvisionedThroughput(Input, kw_only=True):
    """Throughput, which is told back and never enforced."""

    read_capacity_units: int
    write_capacity_units: int


class SecondaryIndex(Input, kw_only=True):
    """An index to be made."""

    index_name: str
    key_schema: list[KeySchemaElement]
    projection: Projection


class GlobalSecondaryIndex(SecondaryIndex, kw_only=True):
    """One over all hash keys."""

    provisioned_throughput: ProvisionedThroughput | None = None


class ThroughputDescription(Output, kw_only=True):
    """Throughput as it is."""

    number_of_decreases_today: int
    read_capacity_units: int
    write_capacity_units: int


class BillingModeSummary(Output):
    """How a table would be paid for."""

    billing_mode: Billing
    last_update_to_pay_per_request_date_time: Millis | None = None


class IndexDescription(Output, kw_only=True):
    """An index as it is."""

    index_name: str
    key_schema: list[KeySchemaElement]
    projection: Projection
    index_size_bytes: int
    item_count: int
    index_arn: str = field(name="IndexArn")


class GlobalIndexDescription(IndexDescription, kw_only=True):
    """One over all hash keys."""

    index_status: TableStatus
    backfilling: bool | None = None
    provisioned_throughput: ThroughputDescription


class TableClassSummary(Output):
    """Its storage class, which is told back."""

    table_class: str


class TableDescription(Output, kw_only=True):
    """A table as it is."""

    attribute_definitions: list[AttributeDefinition]
    table_name: str
    key_schema: list[KeySchemaElement]
    table_status: TableStatus
    creation_date_time: Millis
    provisioned_throughput: ThroughputDescription
    table_size_bytes: int
    item_count: int
    table_arn: str = field(name="TableArn")
    table_id: str
    billing_mode_summary: BillingModeSummary | None = None
    local_secondary_indexes: list[IndexDescription] | None = None
    global_secondary_indexes: list[GlobalIndexDescription] | None = None
    table_class_summary: TableClassSummary | None = None
    deletion_protection_enabled: bool


def describe(view: TableView, now_ms: int) -> TableDescription:
    """A table described."""
    table = view.table
    views = view.indexes.values()
    return TableDescription(
        attribute_definitions=[
            AttributeDefinition(attribute_name=name, attribute_type=kind) for name, kind in table.types.items()
        ],
        table_name=table.name,
        key_schema=_elements(table.schema),
        table_status=table.status(now_ms),
        creation_date_time=table.created_ms,
        provisioned_throughput=_throughput(table.units),
        table_size_bytes=view.size_bytes,
        item_count=len(view.items),
        table_arn=table.arn,
        table_id=table.uid,
        billing_mode_summary=None
        if table.on_demand_ms is None
        else BillingModeSummary(
            billing_mode=table.billing, last_update_to_pay_per_request_date_time=table.on_demand_ms
        ),
        local_secondary_indexes=[_describe_index(table, index) for index in views if not index.index.is_global] or None,
        global_secondary_indexes=[_describe_global(table, index, now_ms) for index in views if index.index.is_global]
        or None,
        table_class_summary=None if table.table_class is None else TableClassSummary(table_class=table.table_class),
        deletion_protection_enabled=table.protected,
    )


def _describe_index(table: Table, view: IndexView) -> IndexDescription:
    return IndexDescription(**_shared(table, view))


def _describe_global(table: Table, view: IndexView, now_ms: int) -> GlobalIndexDescription:
    creating = now_ms < max(view.index.ready_ms, table.ready_ms)
    return GlobalIndexDescription(
        **_shared(table, view),
        index_status="CREATING" if creating else "ACTIVE",
        backfilling=True if now_ms < view.index.ready_ms else None,
        provisioned_throughput=_throughput(view.index.units),
    )


class _Shared(TypedDict):
    index_name: str
    key_schema: list[KeySchemaElement]
    projection: Projection
    index_size_bytes: int
    item_count: int
    index_arn: str


def _shared(table: Table, view: IndexView) -> _Shared:
    index = view.index
    return _Shared(
        index_name=index.name,
        key_schema=_elements(index.schema),
        projection=Projection(projection_type=index.projection, non_key_attributes=list(index.included) or None),
        index_size_bytes=view.size_bytes,
        item_count=len(view.entries),
        index_arn=f"{table.arn}/index/{index.name}",
    )


def _elements(schema: Schema) -> list[KeySchemaElement]:
    kinds: tuple[KeyType, ...] = ("HASH", "RANGE")
    return [
        KeySchemaElement(attribute_name=name, key_type=kind) for name, kind in zip(schema.names, kinds, strict=False)
    ]


def _throughput(units: Units) -> ThroughputDescription:
    return ThroughputDescription(
        number_of_decreases_today=0, read_capacity_units=units.read, write_capacity_units=units.write
    )


# Definitions


def read_types(given: list[AttributeDefinition]) -> dict[str, ScalarType]:
    """The types of key attributes.  Raises PARAMETERS for a name that is defined twice."""
    types = {definition.attribute_name: definition.attribute_type for definition in given}
    if len(types) != len(given):
        raise parameters("Attribute definitions contain duplicates")  # UNVERIFIED: wording
    return dict(types)


def read_schema(given: list[KeySchemaElement], types: dict[str, ScalarType]) -> Schema:
    """The key of a table or index.  Raises KEY_SCHEMA, PARAMETERS."""
    if given[0].key_type != "HASH":
        raise LeaseError.KEY_SCHEMA(text="Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(given) > 1 and given[1].key_type != "RANGE":
        raise LeaseError.KEY_SCHEMA(text="Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
    if len(given) > 2:
        raise LeaseError.KEY_SCHEMA(
            text="1 validation error detected: Value at 'keySchema' failed to satisfy constraint:"
            " Member must have length less than or equal to 2"
        )
    names = [element.attribute_name for element in given]
    if len(set(names)) != len(names):
        raise LeaseError.KEY_SCHEMA(
            text="Both the Hash Key and the Range Key element in the KeySchema have the same name"
        )
    missing = [name for name in names if name not in types]
    if missing:
        raise parameters(
            f"Some index key attributes are not defined in AttributeDefinitions. Keys: [{', '.join(names)}],"
            f" AttributeDefinitions: [{', '.join(types)}]"
        )
    parts = [KeyAttribute(name, types[name]) for name in names]
    return Schema(parts[0], parts[1] if len(parts) > 1 else None)


def read_index(given: SecondaryIndex, types: dict[str, ScalarType], *, is_global: bool, ready_ms: Millis) -> Index:
    """An index to be made.  Raises as read_schema, and PARAMETERS for its projection."""
    kind, included = given.projection.projection_type, given.projection.non_key_attributes
    if kind is None:
        raise parameters("Unknown ProjectionType: null")
    if kind != "INCLUDE" and included is not None:
        raise parameters(f"ProjectionType is {kind}, but NonKeyAttributes is specified")
    if kind == "INCLUDE" and not included:
        raise parameters("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    return Index(
        name=given.index_name,
        schema=read_schema(given.key_schema, types),
        projection=kind,
        included=tuple(included or ()),
        is_global=is_global,
        ready_ms=ready_ms,
        units=read_units(given.provisioned_throughput if isinstance(given, GlobalSecondaryIndex) else None),
    )


def read_units(given: ProvisionedThroughput | None) -> Units:
    """Throughput as it is kept."""
    return Units() if given is None else Units(given.read_capacity_units, given.write_capacity_units)


def check_types_used(schema: Schema, indexes: tuple[Index, ...], types: dict[str, ScalarType]) -> None:
    """Raise PARAMETERS for definitions of attributes that are in no key."""
    used = {name for each in (schema, *(index.schema for index in indexes)) for name in each.names}
    if set(types) == used:
        return
    if not indexes:
        raise parameters(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"
        )
    raise parameters(
        f"Some AttributeDefinitions are not used. AttributeDefinitions: [{', '.join(types)}],"
        f" keys used: [{', '.join(sorted(used))}]"
    )


def check_indexes(table: Schema, indexes: tuple[Index, ...]) -> None:
    """Raise PARAMETERS unless indexes have different names, are not too many, and local ones share the table's hash key."""
    names = [index.name for index in indexes]
    for name in names:
        if names.count(name) > 1:
            raise parameters(f"Duplicate index name: {name}")
    for kind, most, is_global in (("Global", GLOBAL_INDEXES_MAX, True), ("Local", LOCAL_INDEXES_MAX, False)):
        count = sum(index.is_global is is_global for index in indexes)
        if count > most:
            raise parameters(f"{kind}SecondaryIndex count exceeds the per-table limit of {most}")
    for index in indexes:
        if not index.is_global and index.schema.range is None:
            raise parameters(f"Index KeySchema does not have a range key for index: {index.name}")
        if not index.is_global and index.schema.hash != table.hash:
            raise parameters(
                f"Index KeySchema does not have the same leading hash key as table KeySchema for index: {index.name}."
                f" index hash key: {index.schema.hash.name}, table hash key: {table.hash.name}"
            )


def parameters(problem: str) -> ServiceError:
    """The refusal of parameters that do not go together."""
    return LeaseError.PARAMETERS(problem=problem)
