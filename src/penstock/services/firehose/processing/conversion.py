"""Format conversion: the JSON records of one object as a file of Parquet or ORC, by the schema of a table in the catalog.

Theory.  A parcel is taken in chunks, so that no more than a chunk of it is in Python's values at a time; what of a chunk does not fit the
schema is found by halves, and fails by itself.  All of it runs beside the loop.
Source: Firehose developer guide, "Record format conversion", "Record format conversion error handling".
"""

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.core.processing_errors import ProcessingError
from penstock.services.catalog.service import TableSchema
from penstock.services.catalog.types import BadType, parse_type
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.processing import instants
from penstock.services.firehose.processing.api import Converted
from penstock.services.firehose.processing.coercion import Rules, instant_of
from penstock.services.firehose.processing.jsonrows import BadRecord, Chunk, Column, RowReader
from penstock.services.firehose.processing.measures import Measures, NoMeasures
from penstock.services.firehose.shapes import (
    DataFormatConversionConfiguration,
    Deserializer,
    HiveJsonSerDe,
    OpenXJsonSerDe,
    OrcSerDe,
    ParquetSerDe,
    SchemaConfiguration,
    Serializer,
)
from penstock.services.firehose.site import Site

KIND: Final = "format-conversion-failed"
CHUNK_BYTES: Final = 1 << 20
CHUNK_RECORDS: Final = 1000  # ten times as many make the garbage collector walk more, and cost a quarter of the rate
COLUMNS_MAX: Final = 5000  # ours
EXTENSIONS: Final = {ParquetSerDe: ".parquet", OrcSerDe: ".orc"}


class Tables(Protocol):
    """Where schemas are: the catalog."""

    async def table(
        self, account: AccountId, region: Region, catalog_id: str | None, database: str, table: str, version: str
    ) -> TableSchema:
        """A table's columns at a version.  Raises ServiceError."""
        ...


class _Compiled(NamedTuple):
    """A version of the schema, ready for use."""

    version_id: str
    columns: Sequence[Column]
    readers: list[RowReader]  # that are free: a reader learns, and is one parcel's at a time


def make_converter(
    configuration: DataFormatConversionConfiguration, site: Site, tables: Tables, measures: Measures | None = None
) -> "Conversion | None":
    """The conversion of a destination; None where it is off.

    Raises CONVERSION_MISSING, CONVERSION_ONE_OF, CONVERSION_FORMAT, NOT_INSTALLED.
    """
    if not configuration.enabled:
        return None
    given = configuration
    if given.schema_configuration is None or given.input_format_configuration is None:
        missing = "SchemaConfiguration" if given.schema_configuration is None else "InputFormatConfiguration"
        raise ProcessingError.CONVERSION_MISSING(member=missing)
    if given.output_format_configuration is None:
        raise ProcessingError.CONVERSION_MISSING(member="OutputFormatConfiguration")
    schema = given.schema_configuration
    if not schema.database_name or not schema.table_name:
        missing = "DatabaseName" if not schema.database_name else "TableName"
        raise ProcessingError.CONVERSION_MISSING(member=f"SchemaConfiguration.{missing}")
    serializer = _serializer(given.output_format_configuration.serializer)
    reading = _reading(given.input_format_configuration.deserializer)
    if importlib.util.find_spec("pyarrow") is None:
        raise ProcessingError.NOT_INSTALLED(what="Data format conversion")
    return Conversion(schema, reading, serializer, site, tables, measures or NoMeasures())


class Conversion:
    """Converts parcels."""

    def __init__(
        self,
        schema: SchemaConfiguration,
        reading: "Reading",
        serializer: ParquetSerDe | OrcSerDe,
        site: Site,
        tables: Tables,
        measures: Measures,
    ) -> None:
        self._schema = schema
        self._reading = reading
        self._serializer = serializer
        self._site = site
        self._tables = tables
        self._measures = measures
        self._compiled: _Compiled | None = None

    async def convert(self, entries: Sequence[Entry]) -> Converted:
        """Convert a parcel.  Raises ServiceError where the schema cannot be had, or cannot be used."""
        table = await self._find_table()
        compiled = self._compiled
        if compiled is None or compiled.version_id != table.version_id:
            compiled = self._compiled = self._compile(table)
        body, bad = await self._site.threads.run(lambda: self._file(compiled, entries))
        facts = {"dataCatalogTable": self._told_table()}
        failed = [
            Failure(entries[number], KIND, problem.code, problem.message, facts=facts)
            for number, problem in sorted(bad.items())
        ]
        converted = len(entries) - len(failed)
        self._measure(entries, bad)
        return Converted(body if converted else b"", EXTENSIONS[type(self._serializer)], converted, failed)

    async def _find_table(self) -> TableSchema:
        """The table of the schema, as it is now.  Raises ServiceError."""
        schema, site = self._schema, self._site
        region = Region(schema.region) if schema.region else site.region
        assert schema.database_name, "make_converter has looked"
        assert schema.table_name, "make_converter has looked"
        return await self._tables.table(
            site.account, region, schema.catalog_id, schema.database_name, schema.table_name, schema.version_id
        )

    async def check(self) -> None:
        """Raise CONVERSION_TABLE unless the schema is there and can be used."""
        try:
            table = await self._find_table()
        except ServiceError as refusal:
            raise ProcessingError.CONVERSION_TABLE(problem=f"{refusal.message} ({refusal.code})") from None
        self._compile(table)

    def _compile(self, table: TableSchema) -> _Compiled:
        if not 0 < len(table.columns) <= COLUMNS_MAX:
            raise ProcessingError.CONVERSION_TABLE(problem=f"it has {len(table.columns)} columns.")
        try:
            columns = [
                Column(column.name, parse_type(column.type or "string"), self._reading.key_of(column.name))
                for column in table.columns
            ]
        except BadType as problem:
            raise ProcessingError.CONVERSION_TABLE(problem=f"{problem}.") from None
        if len({column.key for column in columns}) != len(columns):
            raise ProcessingError.CONVERSION_TABLE(problem="two of its columns have one name.")
        return _Compiled(table.version_id, columns, [])

    def _file(self, compiled: _Compiled, entries: Sequence[Entry]) -> tuple[bytes, Mapping[int, BadRecord]]:
        """The file, and what failed by its number in the parcel."""
        from penstock.services.firehose.processing.columnar import Builder, write_file

        reader = compiled.readers.pop() if compiled.readers else RowReader(compiled.columns, self._reading.rules)
        builder = Builder(compiled.columns, reader.finishing, openx=self._reading.rules.lenient)
        bad: dict[int, BadRecord] = {}

        def batches() -> Iterator[object]:
            for first, chunk in _chunks(reader, entries):
                yield from builder.batches(chunk)
                bad.update((first + number, problem) for number, problem in chunk.bad.items())

        body = write_file(self._serializer, builder.schema, batches())
        compiled.readers.append(reader)
        return body, bad

    def _told_table(self) -> dict[str, object]:
        """The table, as error objects name it."""
        schema, site = self._schema, self._site
        return {
            "catalogId": schema.catalog_id or site.account,
            "databaseName": schema.database_name,
            "tableName": schema.table_name,
            "region": schema.region or site.region,
            "versionId": schema.version_id,
            "catalogArn": None,  # as AWS tells it of a catalog that has none
        }

    def _measure(self, entries: Sequence[Entry], bad: Mapping[int, BadRecord]) -> None:
        failed_bytes = sum(len(entries[number].data) for number in bad)
        all_bytes = sum(len(entry.data) for entry in entries)
        self._measures.add("SucceedConversion.Records", len(entries) - len(bad))
        self._measures.add("SucceedConversion.Bytes", all_bytes - failed_bytes)
        self._measures.add("FailedConversion.Records", len(bad))
        self._measures.add("FailedConversion.Bytes", failed_bytes)


def _chunks(reader: RowReader, entries: Sequence[Entry]) -> Iterator[tuple[int, Chunk]]:
    first = size = 0
    for number, entry in enumerate(entries):
        if number > first and (size + len(entry.data) > CHUNK_BYTES or number - first >= CHUNK_RECORDS):
            yield first, reader.read([one.data for one in entries[first:number]])
            first, size = number, 0
        size += len(entry.data)
    if first < len(entries):
        yield first, reader.read([one.data for one in entries[first:]])


class Reading(NamedTuple):
    """How records are read."""

    rules: Rules
    key_of: Callable[[str], str]  # the key that a column's values are under


def _reading(deserializer: Deserializer) -> Reading:
    openx, hive = deserializer.open_x_json_ser_de, deserializer.hive_json_ser_de
    if (openx is None) == (hive is None):
        raise ProcessingError.CONVERSION_ONE_OF(one="OpenXJsonSerDe", other="HiveJsonSerDe")
    return _openx(openx) if openx is not None else _hive(hive or HiveJsonSerDe())


def _openx(options: OpenXJsonSerDe) -> Reading:
    """UNVERIFIED: that dots become underscores at every depth, as the case of names is folded at every depth."""
    folds: list[Callable[[str], str]] = [str.lower] if options.case_insensitive else []
    if options.convert_dots_in_json_keys_to_underscores:
        folds.append(lambda name: name.replace(".", "_"))

    def key(name: str) -> str:
        for fold in folds:
            name = fold(name)
        return name

    mapped = {column.lower(): json_key for column, json_key in options.column_to_json_key_mappings.items()}
    instant = instant_of([instants.from_text], numbers=instants.from_number)
    return Reading(Rules(True, key, key, instant), lambda column: key(mapped.get(column.lower(), column)))


def _hive(options: HiveJsonSerDe) -> Reading:
    """Hive finds columns and members whatever their case, and leaves keys of maps as they are."""
    texts: list[instants.Parse] = [instants.from_plain_text]
    millis = False
    for pattern in options.timestamp_formats:
        if pattern == instants.MILLIS:
            millis = True
            continue
        try:
            texts.append(instants.compile_joda(pattern))
        except ValueError as problem:
            raise ProcessingError.CONVERSION_FORMAT(problem=str(problem)) from None
    instant = instant_of(texts, numbers=instants.from_millis if millis else None)
    return Reading(Rules(False, str.lower, str, instant), str.lower)


def _serializer(serializer: Serializer) -> ParquetSerDe | OrcSerDe:
    parquet, orc = serializer.parquet_ser_de, serializer.orc_ser_de
    if (parquet is None) == (orc is None):
        raise ProcessingError.CONVERSION_ONE_OF(one="ParquetSerDe", other="OrcSerDe")
    found = parquet if parquet is not None else orc
    assert found is not None, "one of two"
    return found
