"""Conversions in tests: a table, some JSON, and what independent readers find in the file."""

import asyncio
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow.orc as orc
import pyarrow.parquet as parquet
from processing_world import World, entries, opened

from penstock.core.ids import AccountId, Region
from penstock.services.catalog.definitions import Column
from penstock.services.catalog.service import TableSchema
from penstock.services.firehose.processing.api import Converted
from penstock.services.firehose.processing.conversion import Conversion, make_converter
from penstock.services.firehose.shapes import DataFormatConversionConfiguration

OPENX: Mapping[str, Any] = {"OpenXJsonSerDe": {}}
HIVE: Mapping[str, Any] = {"HiveJsonSerDe": {}}
PARQUET: Mapping[str, Any] = {"ParquetSerDe": {}}
ORC: Mapping[str, Any] = {"OrcSerDe": {}}


class Tables:
    """A catalog of one table."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = columns
        self.version = "0"

    async def table(
        self, account: AccountId, region: Region, catalog_id: str | None, database: str, table: str, version: str
    ) -> TableSchema:
        assert (database, table, version) == ("db", "t", "LATEST")
        return TableSchema([Column(name=name, type=text) for name, text in self.columns.items()], [], {}, self.version)


def configured(
    deserializer: Mapping[str, Any] = OPENX, serializer: Mapping[str, Any] = PARQUET, **members: Any
) -> DataFormatConversionConfiguration:
    """A configuration of conversion."""
    document = {
        "SchemaConfiguration": {"DatabaseName": "db", "TableName": "t", "RoleARN": "arn:aws:iam::1:role/r"},
        "InputFormatConfiguration": {"Deserializer": deserializer},
        "OutputFormatConfiguration": {"Serializer": serializer},
        **members,
    }
    return msgspec.convert(document, DataFormatConversionConfiguration)


def converter(world: World, tables: Tables, configuration: DataFormatConversionConfiguration) -> Conversion:
    """The conversion of a configuration."""
    made = make_converter(configuration, world.site, tables, world.told)
    assert made is not None
    return made


def convert(
    columns: Mapping[str, str],
    *records: bytes,
    deserializer: Mapping[str, Any] = OPENX,
    serializer: Mapping[str, Any] = PARQUET,
) -> Converted:
    """One parcel, converted."""

    async def run() -> Converted:
        async with opened() as world:
            made = converter(world, Tables(columns), configured(deserializer, serializer))
            return await made.convert(entries(*records))

    return asyncio.run(run())


def rows_of(done: Converted) -> list[dict[str, Any]]:
    """What Arrow finds in a file."""
    if not done.body:
        return []
    read = parquet.read_table if done.extension == ".parquet" else orc.read_table
    rows: list[dict[str, Any]] = read(io.BytesIO(done.body)).to_pylist()
    return rows


def duck_rows(done: Converted) -> list[tuple[Any, ...]]:
    """What DuckDB finds in a file of Parquet."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder) / "f.parquet"
        path.write_bytes(done.body)
        with duckdb.connect() as connection:
            return connection.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()


def failures(done: Converted) -> list[tuple[int, str, str]]:
    """What failed: place, code without its beginning, text."""
    return [(one.entry.place, one.code.removeprefix("DataFormatConversion."), one.message) for one in done.failed]


def values(column: str, *texts: str, **options: Any) -> Sequence[Any]:
    """The values that a column of one type gets from JSON texts; a failed record's is its message."""
    done = convert({"c": column}, *(b'{"c": %b}' % text.encode() for text in texts), **options)
    told = {place: message.removeprefix("Data does not match the schema. ") for place, _, message in failures(done)}
    found = iter(rows_of(done))
    values = [told[place] if place in told else next(found)["c"] for place in range(len(texts))]
    assert list(found) == [], "a record that failed is no row"
    return values
