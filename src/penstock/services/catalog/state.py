"""What is kept of databases and tables: immutable records, one MetaStore key each.

Every field is part of the data directory's format: add with a default, never rename.  Names are folded to lower case before they come here,
and hexadecimal in keys, because they may hold anything.
"""

from typing import Final, NamedTuple

import msgspec

from penstock.core.ids import AccountId, Millis, Region
from penstock.services.catalog.definitions import DatabaseDefinition, Index, TableDefinition

ROOT: Final = "catalog/"  # every key of this service begins with it
_DATABASES: Final = ROOT + "database/"
_TABLES: Final = ROOT + "table/"
_VERSIONS: Final = ROOT + "version/"


class Place(NamedTuple):
    """A catalog: every account has one in each region."""

    catalog: AccountId
    region: Region


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """A database."""

    definition: DatabaseDefinition
    created_ms: Millis
    tags: dict[str, str] = msgspec.field(default_factory=dict)


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table, or what it was at an earlier version."""

    definition: TableDefinition
    version_no: int = 0
    created_ms: Millis
    updated_ms: Millis
    created_by: str
    indexes: list[Index] = msgspec.field(default_factory=list)


def database_key(place: Place, name: str) -> str:
    """The MetaStore key of a database; of all of a place's for no name."""
    return f"{_DATABASES}{place.catalog}/{place.region}/{_hex(name)}"


def table_key(place: Place, database: str, name: str) -> str:
    """The MetaStore key of a table; the prefix of a database's for no name."""
    return f"{_TABLES}{place.catalog}/{place.region}/{_hex(database)}/{_hex(name)}"


def version_key(place: Place, database: str, name: str, version_no: int) -> str:
    """The MetaStore key of a version that is past."""
    return f"{versions_prefix(place, database, name)}{version_no:010d}"


def versions_prefix(place: Place, database: str, name: str) -> str:
    """What the keys of a table's past versions begin with."""
    return f"{_VERSIONS}{place.catalog}/{place.region}/{_hex(database)}/{_hex(name)}/"


def all_versions_prefix(place: Place, database: str) -> str:
    """What the keys of the past versions of all tables of a database begin with."""
    return f"{_VERSIONS}{place.catalog}/{place.region}/{_hex(database)}/"


def database_arn(place: Place, name: str) -> str:
    """The ARN of a database, whether it exists or not."""
    return f"arn:aws:glue:{place.region}:{place.catalog}:database/{name}"


def table_arn(place: Place, database: str, name: str) -> str:
    """The ARN of a table, whether it exists or not."""
    return f"arn:aws:glue:{place.region}:{place.catalog}:table/{database}/{name}"


def _hex(name: str) -> str:
    return name.encode().hex()


database_decoder: Final = msgspec.msgpack.Decoder(Database)
table_decoder: Final = msgspec.msgpack.Decoder(Table)


def encode(record: Database | Table) -> bytes:
    """The MetaStore value of a record."""
    return msgspec.msgpack.encode(record)
