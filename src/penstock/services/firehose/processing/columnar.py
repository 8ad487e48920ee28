"""Columns: Arrow's arrays of rows, and files of Parquet and ORC of them.

Rules of this file: it is imported when the first conversion is made, because Arrow takes 60 MiB; what it does, it does beside the loop.
Instants are 96 bits wide in Parquet, as Hive's writer has them.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.orc as orc
import pyarrow.parquet as parquet

from penstock.services.catalog import types
from penstock.services.firehose.processing.coercion import MISMATCH, BadValue, Coerce
from penstock.services.firehose.processing.instants import MILLI_NS, MILLIS_FROM, NS_MAX, SECOND_NS
from penstock.services.firehose.processing.jsonrows import MALFORMED, BadRecord, Chunk, Column
from penstock.services.firehose.shapes import OrcSerDe, ParquetSerDe

GROUP_MAX_BYTES: Final = 64 << 20  # of a row group in memory, whatever the configuration says
GZIP_LEVEL: Final = 6  # Hadoop's; Arrow's 9 takes several times as long
_SCALARS: Final[dict[types.ScalarKind, Any]] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ns"),
}
# Texts that Arrow reads as we do, within the years that 64 bits of nanoseconds have
_PLAIN: Final = r"^(?:1[7-9]|20|21)\d{2}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d{1,9})?$"
_STRICT: Final = r"^((?:1[7-9]|20|21)\d{2}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)Z$"


def arrow_type(kind: types.HiveType) -> Any:
    """Arrow's type for one of Hive's."""
    match kind:
        case types.Scalar():
            return _SCALARS[kind.kind]
        case types.Decimal():
            return pa.decimal128(kind.precision, kind.scale)
        case types.Text():
            return pa.string()
        case types.Array():
            return pa.list_(arrow_type(kind.item))
        case types.Map():
            return pa.map_(arrow_type(kind.key), arrow_type(kind.value))
        case types.Struct():
            return pa.struct([pa.field(member.name, arrow_type(member.type)) for member in kind.members])


def schema_of(columns: Sequence[Column]) -> Any:
    """Arrow's schema of columns."""
    return pa.schema([pa.field(column.name, arrow_type(column.type)) for column in columns])


class Builder:
    """Makes batches of rows; what does not fit is told by the number of its record."""

    def __init__(self, columns: Sequence[Column], finishing: Sequence[Coerce | None], *, openx: bool) -> None:
        self.schema = schema_of(columns)
        self._columns = columns
        self._finishing = finishing
        self._openx = openx  # or Hive: that takes fewer forms of instants

    def batches(self, chunk: Chunk) -> list[Any]:
        """The rows of a chunk, in the order of their records; of those that end up in `chunk.bad` there is none."""
        quick = [self._quick(place, values, chunk) for place, values in enumerate(chunk.quick)]
        slow = [
            self._array(field.type, values, chunk, chunk.slow_owners)
            for field, values in zip(self.schema, chunk.slow, strict=True)
        ]
        quick_rows, slow_rows = (pa.RecordBatch.from_arrays(arrays, schema=self.schema) for arrays in (quick, slow))
        if not chunk.slow_owners and not chunk.bad:
            return [quick_rows]
        rows = pa.Table.from_batches([quick_rows, slow_rows])
        owners = [*chunk.quick_owners, *chunk.slow_owners]
        kept = sorted((place for place, owner in enumerate(owners) if owner not in chunk.bad), key=owners.__getitem__)
        found: list[Any] = rows.take(pa.array(kept, pa.int64())).to_batches()
        return found

    def _quick(self, place: int, values: list[Any], chunk: Chunk) -> Any:
        kind, finish = self.schema.field(place).type, self._finishing[place]
        if finish is None:
            return self._array(kind, values, chunk, chunk.quick_owners)
        if self._columns[place].type == types.Scalar("timestamp"):
            found = self._instants(values)
            if found is not None:
                return found
        return self._array(kind, _finished(values, finish, chunk), chunk, chunk.quick_owners)

    def _instants(self, values: list[Any]) -> Any:
        """Instants that are all told in one of the usual ways; None if they are not."""
        first = next((value for value in values if value is not None), None)
        try:
            if type(first) is int:
                return _from_numbers(pa.array(values, pa.int64())) if self._openx else None
            return _from_texts(pa.array(values, pa.string()), strict=self._openx)
        except (pa.ArrowException, TypeError, OverflowError):
            return None

    @staticmethod
    def _array(kind: Any, values: list[Any], chunk: Chunk, owners: Sequence[int]) -> Any:
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):  # what one value is to blame for
            fitting = [_fits(kind, value) for value in values]
            for owner, fits in zip(owners, fitting, strict=True):
                if not fits:
                    chunk.bad[owner] = BadRecord(MALFORMED, MISMATCH + "A value is out of range.")
            return pa.array([value if fits else None for value, fits in zip(values, fitting, strict=True)], kind)


def _finished(values: list[Any], finish: Coerce, chunk: Chunk) -> list[Any]:
    try:
        return [finish(value) for value in values]
    except BadValue:
        done: list[Any] = []
    for number, value in enumerate(values):
        try:
            done.append(finish(value))
        except BadValue as problem:
            done.append(None)
            chunk.bad[chunk.quick_owners[number]] = BadRecord(MALFORMED, str(problem))
    return done


def _fits(kind: Any, value: Any) -> bool:
    try:
        pa.array([value], kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return False
    return True


def _from_numbers(numbers: Any) -> Any:
    low, high = (pc.min(numbers).as_py(), pc.max(numbers).as_py())
    if high is None or high < MILLIS_FROM:
        unit = SECOND_NS
    elif low >= MILLIS_FROM:
        unit = MILLI_NS
    else:
        return None
    if high is not None and (high > NS_MAX // unit or low < -NS_MAX // unit):
        return None
    return pc.multiply(numbers, unit).cast(pa.timestamp("ns"))


def _from_texts(texts: Any, *, strict: bool) -> Any:
    if pc.all(pc.match_substring_regex(texts, _PLAIN)).as_py() is not False:
        return texts.cast(pa.timestamp("ns"))
    if strict and pc.all(pc.match_substring_regex(texts, _STRICT)).as_py():
        return pc.replace_substring_regex(texts, _STRICT, r"\1 \2").cast(pa.timestamp("ns"))
    return None


# Files


class Writer(Protocol):
    """Takes tables one behind the other."""

    def write_table(self, table: Any) -> None:
        """Write a row group, or stripes."""
        ...

    def close(self) -> None:
        """Write what is at the end of a file."""
        ...


def write_file(serializer: ParquetSerDe | OrcSerDe, schema: Any, batches: Iterator[Any]) -> bytes:
    """A file of batches."""
    target = io.BytesIO()
    writer = (
        _parquet(serializer, schema, target)
        if isinstance(serializer, ParquetSerDe)
        else _orc(serializer, schema, target)
    )
    group_bytes = min(GROUP_MAX_BYTES, serializer.block_size_bytes)
    group: list[Any] = []
    size = 0
    for batch in batches:
        group.append(batch)
        size += batch.nbytes
        if size >= group_bytes:
            writer.write_table(pa.Table.from_batches(group, schema))
            group, size = [], 0
    if group:
        writer.write_table(pa.Table.from_batches(group, schema))
    writer.close()
    return target.getvalue()


def _parquet(options: ParquetSerDe, schema: Any, target: io.BytesIO) -> Writer:
    writer: Writer = parquet.ParquetWriter(
        target,
        schema,
        version="1.0" if options.writer_version == "V1" else "2.6",
        data_page_version="1.0" if options.writer_version == "V1" else "2.0",
        compression={"UNCOMPRESSED": "none", "GZIP": "gzip", "SNAPPY": "snappy"}[options.compression],
        compression_level=GZIP_LEVEL if options.compression == "GZIP" else None,
        use_dictionary=options.enable_dictionary_compression,
        data_page_size=options.page_size_bytes,
        use_deprecated_int96_timestamps=True,
    )
    return writer


class _OrcWriter:
    """ORC's writer, which calls it otherwise."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write_table(self, table: Any) -> None:
        self._writer.write(table)

    def close(self) -> None:
        self._writer.close()


def _orc(options: OrcSerDe, schema: Any, target: io.BytesIO) -> Writer:
    names = [name.lower() for name in schema.names]
    wanted = {name.lower() for name in options.bloom_filter_columns}
    return _OrcWriter(
        orc.ORCWriter(
            target,
            file_version="0.11" if options.format_version == "V0_11" else "0.12",
            stripe_size=options.stripe_size_bytes,
            compression={"NONE": "uncompressed", "ZLIB": "zlib", "SNAPPY": "snappy"}[options.compression],
            row_index_stride=options.row_index_stride,
            padding_tolerance=options.padding_tolerance if options.enable_padding else 0.0,
            dictionary_key_size_threshold=options.dictionary_key_threshold,
            bloom_filter_columns=[place for place, name in enumerate(names) if name in wanted],
            bloom_filter_fpp=options.bloom_filter_false_positive_probability,
        )
    )
