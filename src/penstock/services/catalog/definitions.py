"""What a database and a table are, as who makes them says it.  The same structs are taken, kept and told back.

Rules of this file:
  1. Names are as the model has them, so that a test can hold them against it; what is absent is None and is not told back.
  2. They are part of the data directory's format: add with a default, never rename.
"""

import msgspec

from penstock.core.ids import Millis
from penstock.wire.operation import member_name


class Defined(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=member_name):
    """Base of these structs."""


class Column(Defined, frozen=True, kw_only=True):
    """A column; what its type means is for types.py to say."""

    name: str
    type: str | None = None
    comment: str | None = None
    parameters: dict[str, str] | None = None


class SerDe(Defined, frozen=True, kw_only=True):
    """How rows are read and written."""

    name: str | None = None
    serialization_library: str | None = None
    parameters: dict[str, str] | None = None


class Order(Defined, frozen=True, kw_only=True):
    """A column that rows are sorted by."""

    column: str
    sort_order: int


class Skew(Defined, frozen=True, kw_only=True):
    """Columns whose values are frequent."""

    skewed_column_names: list[str] | None = None
    skewed_column_values: list[str] | None = None
    skewed_column_value_location_maps: dict[str, str] | None = None


class Storage(Defined, frozen=True, kw_only=True):
    """Where and how a table is stored."""

    columns: list[Column] | None = None
    location: str | None = None
    additional_locations: list[str] | None = None
    input_format: str | None = None
    output_format: str | None = None
    compressed: bool | None = None
    number_of_buckets: int | None = None
    serde_info: SerDe | None = None
    bucket_columns: list[str] | None = None
    sort_columns: list[Order] | None = None
    parameters: dict[str, str] | None = None
    skewed_info: Skew | None = None
    stored_as_sub_directories: bool | None = None


class TargetTable(Defined, frozen=True, kw_only=True):
    """The table that a resource link stands for."""

    catalog_id: str | None = None
    database_name: str | None = None
    name: str | None = None
    region: str | None = None


class TargetDatabase(Defined, frozen=True, kw_only=True):
    """The database that a resource link stands for."""

    catalog_id: str | None = None
    database_name: str | None = None
    region: str | None = None


class TableDefinition(Defined, frozen=True, kw_only=True):
    """A table."""

    name: str
    description: str | None = None
    owner: str | None = None
    last_access_time: Millis | None = None
    last_analyzed_time: Millis | None = None
    retention: int | None = None
    storage_descriptor: Storage | None = None
    partition_keys: list[Column] | None = None
    view_original_text: str | None = None
    view_expanded_text: str | None = None
    table_type: str | None = None
    parameters: dict[str, str] | None = None
    target_table: TargetTable | None = None


class Principal(Defined, frozen=True, kw_only=True):
    """Who is given rights."""

    data_lake_principal_identifier: str | None = None


class Grant(Defined, frozen=True, kw_only=True):
    """Rights on tables that are to come: told back, and never enforced."""

    principal: Principal | None = None
    permissions: list[str] | None = None


class DatabaseDefinition(Defined, frozen=True, kw_only=True):
    """A database."""

    name: str
    description: str | None = None
    location_uri: str | None = None
    parameters: dict[str, str] | None = None
    create_table_default_permissions: list[Grant] | None = None
    target_database: TargetDatabase | None = None


class Index(Defined, frozen=True, kw_only=True):
    """An index of partitions: told back, and never built."""

    keys: list[str]
    index_name: str
