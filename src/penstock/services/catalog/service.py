"""The catalog: databases, tables and their versions, read and changed in the MetaStore.

Theory.  Nothing is held in memory: a catalog is small and asked seldom, so each lookup is one read of the MetaStore, and one that nobody
uses costs nothing.  A change names the versions of the records that it replaces, so of two that meet one is refused.
Rules of this file:
  1. Names are folded to lower case on the way in: Glue keeps them so, for Hive's sake.
  2. A catalog's id is an account's.  Whether a caller may use another's is for the gate in front of the operations to say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from penstock.core.catalog_errors import CatalogError
from penstock.core.context import Caller
from penstock.core.ids import AccountId, Region
from penstock.core.ports import Clock
from penstock.engines.api import Conflict, MetaStore, Write
from penstock.services.catalog.definitions import Column
from penstock.services.catalog.state import (
    ROOT,
    Database,
    Place,
    Table,
    all_versions_prefix,
    database_decoder,
    database_key,
    encode,
    table_decoder,
    table_key,
    version_key,
    versions_prefix,
)

LATEST: Final = "LATEST"
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)


class Held(NamedTuple):
    """A table and the MetaStore's version of it."""

    table: Table
    version: int


class TableSchema(NamedTuple):
    """What converting records needs of a table."""

    columns: Sequence[Column]
    partition_keys: Sequence[Column]
    parameters: dict[str, str]
    version_id: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that an operation of this service may need."""

    meta: MetaStore
    clock: Clock

    # For other services

    async def table(
        self,
        account: AccountId,
        region: Region,
        catalog_id: str | None,
        database: str,
        table: str,
        version: str = LATEST,
    ) -> TableSchema:
        """A table's columns at a version.  Raises NO_TABLE, NO_VERSION, VERSION_ID, NO_CATALOG."""
        place = place_at(account, region, catalog_id)
        found = await self.at_version(place, fold(database), fold(table), version)
        storage = found.definition.storage_descriptor
        return TableSchema(
            columns=(storage.columns if storage is not None else None) or (),
            partition_keys=found.definition.partition_keys or (),
            parameters=found.definition.parameters or {},
            version_id=str(found.version_no),
        )

    # Databases

    async def find_database(self, place: Place, name: str) -> tuple[Database, int]:
        """A database and the MetaStore's version of it.  Raises NO_DATABASE."""
        held = await self.meta.get(database_key(place, name))
        if held is None:
            raise CatalogError.NO_DATABASE(name=name)
        return database_decoder.decode(held.value), held.version

    async def databases(self, place: Place) -> list[Database]:
        """The databases of a catalog, by name."""
        found = [database_decoder.decode(held.value) for _, held in await self.meta.scan(database_key(place, ""))]
        return sorted(found, key=lambda database: database.definition.name)

    async def store_database(self, place: Place, database: Database, version: int) -> None:
        """Store a database at the version that it replaces (0: new).  Raises DATABASE_EXISTS, DATABASE_CHANGED."""
        try:
            await self.meta.commit([Write(database_key(place, database.definition.name), encode(database), version)])
        except Conflict:
            raise (CatalogError.DATABASE_CHANGED if version else CatalogError.DATABASE_EXISTS)() from None

    async def remove_database(self, place: Place, name: str) -> None:
        """Forget a database with its tables.  Raises NO_DATABASE, DATABASE_CHANGED."""
        _, version = await self.find_database(place, name)
        inside = [
            *await self.meta.scan(table_key(place, name, "")),
            *await self.meta.scan(all_versions_prefix(place, name)),
        ]
        writes = [Write(key, None, held.version) for key, held in inside]
        try:
            await self.meta.commit([Write(database_key(place, name), None, version), *writes])
        except Conflict:
            raise CatalogError.DATABASE_CHANGED() from None

    # Tables

    async def find_table(self, place: Place, database: str, name: str) -> Held:
        """A table as it is now.  Raises NO_TABLE."""
        held = await self.meta.get(table_key(place, database, name))
        if held is None:
            raise CatalogError.NO_TABLE(name=name)
        return Held(table_decoder.decode(held.value), held.version)

    async def at_version(self, place: Place, database: str, name: str, version: str) -> Table:
        """A table as it was at a version, or is.  Raises NO_TABLE, VERSION_ID, NO_VERSION."""
        current, _ = await self.find_table(place, database, name)
        if version == LATEST or version == str(current.version_no):
            return current
        old = await self.meta.get(version_key(place, database, name, version_no_of(version)))
        if old is None:
            raise CatalogError.NO_VERSION()
        return table_decoder.decode(old.value)

    async def tables(self, place: Place, database: str) -> list[Table]:
        """The tables of a database, by name."""
        found = [table_decoder.decode(held.value) for _, held in await self.meta.scan(table_key(place, database, ""))]
        return sorted(found, key=lambda table: table.definition.name)

    async def versions(self, place: Place, database: str, name: str) -> list[Table]:
        """The versions of a table, the newest first.  Raises NO_TABLE."""
        current, _ = await self.find_table(place, database, name)
        past = [
            table_decoder.decode(held.value) for _, held in await self.meta.scan(versions_prefix(place, database, name))
        ]
        return [current, *reversed(past)]

    async def create_table(self, place: Place, database: str, table: Table) -> None:
        """Store a new table.  Raises NO_DATABASE, TABLE_EXISTS."""
        key = table_key(place, database, table.definition.name)
        while True:
            inside, version = await self.find_database(place, database)
            kept = Write(database_key(place, database), encode(inside), version)  # or it is deleted meanwhile
            try:
                return await self.meta.commit([Write(key, encode(table), 0), kept])
            except Conflict as conflict:
                if conflict.key == key:
                    raise CatalogError.TABLE_EXISTS() from None

    async def replace_table(self, place: Place, database: str, held: Held, table: Table, *, archive: bool) -> None:
        """Store a table's next version; the one before is kept if it is to be.  Raises CHANGED."""
        name = table.definition.name
        writes = [Write(table_key(place, database, name), encode(table), held.version)]
        if archive:
            writes.append(Write(version_key(place, database, name, held.table.version_no), encode(held.table), 0))
        try:
            await self.meta.commit(writes)
        except Conflict:
            raise CatalogError.CHANGED() from None

    async def remove_table(self, place: Place, database: str, name: str) -> None:
        """Forget a table with its versions.  Raises NO_TABLE, CHANGED."""
        held = await self.find_table(place, database, name)
        past = await self.meta.scan(versions_prefix(place, database, name))
        writes = [Write(key, None, old.version) for key, old in past]
        try:
            await self.meta.commit([Write(table_key(place, database, name), None, held.version), *writes])
        except Conflict:
            raise CatalogError.CHANGED() from None

    async def remove_version(self, place: Place, database: str, name: str, version: str) -> None:
        """Forget a past version of a table.  Raises NO_TABLE, CURRENT_VERSION, VERSION_ID, NO_VERSION."""
        current, _ = await self.find_table(place, database, name)
        if version == str(current.version_no):
            raise CatalogError.CURRENT_VERSION()
        key = version_key(place, database, name, version_no_of(version))
        held = await self.meta.get(key)
        if held is None:
            raise CatalogError.NO_VERSION()
        try:
            await self.meta.commit([Write(key, None, held.version)])
        except Conflict:
            raise CatalogError.NO_VERSION() from None

    async def clear(self) -> None:
        """Forget everything.  Nothing else may be changing it."""
        entries = await self.meta.scan(ROOT)
        if entries:
            await self.meta.commit([Write(key, None, held.version) for key, held in entries])


def fold(name: str) -> str:
    """A name as it is kept."""
    return name.lower()


def place_of(caller: Caller, catalog_id: str | None) -> Place:
    """The catalog that a request is about: the caller's own unless it names another.  Raises NO_CATALOG."""
    return place_at(caller.account, caller.region, catalog_id)


def place_at(account: AccountId, region: Region, catalog_id: str | None) -> Place:
    """A catalog by its id, or an account's own.  Raises NO_CATALOG."""
    if catalog_id is None:
        return Place(account, region)
    if not _ACCOUNT.fullmatch(catalog_id):
        raise CatalogError.NO_CATALOG(id=catalog_id)
    return Place(AccountId(catalog_id), region)


def version_no_of(version: str) -> int:
    """The number that a VersionId is.  Raises VERSION_ID."""
    if not version.isascii() or not version.isdigit() or len(version) > 9:
        raise CatalogError.VERSION_ID(id=version[:40])
    return int(version)
