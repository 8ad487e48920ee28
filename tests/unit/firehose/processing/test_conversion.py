"""Format conversion: what OpenX and Hive take, what fails and how, and files as independent readers find them."""

import asyncio
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow.orc as orc
import pyarrow.parquet as parquet
import pytest
from conversion_world import (
    HIVE,
    ORC,
    Tables,
    configured,
    convert,
    converter,
    duck_rows,
    failures,
    rows_of,
    values,
)
from processing_world import World, entries, play

from penstock.core.errors import ServiceError
from penstock.services.catalog.types import Scalar
from penstock.services.firehose.processing.coercion import Rules, instant_of
from penstock.services.firehose.processing.conversion import make_converter
from penstock.services.firehose.processing.instants import from_number, from_text
from penstock.services.firehose.processing.jsonrows import EMPTY, NAMES_MAX, NO_JSON, PRIMITIVE, Column, RowReader

EVENT = {"id": "string", "tags": "array<string>", "person": "struct<name:string,age:int>", "attrs": "map<string,int>"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


OPENX_VALUES: list[tuple[str, str, Any]] = [
    ("int", "1", 1),
    ("int", '"12"', 12),
    ("int", "1.0", 1),
    ("int", "2147483648", "Value 2147483648 is out of range for the type int"),
    ("int", '"oops"', 'For input string: "oops"'),
    ("int", "1.5", 'For input string: "1.5"'),
    ("int", "1e400", 'For input string: "1E+400"'),
    ("tinyint", "-128", -128),
    ("tinyint", "128", "Value 128 is out of range for the type tinyint"),
    ("bigint", "9223372036854775807", 2**63 - 1),
    ("double", "1", 1.0),
    ("double", '"1.5"', 1.5),
    ("double", "1e400", float("inf")),
    ("float", "0.5", 0.5),
    ("boolean", "true", True),
    ("boolean", '"FALSE"', False),
    ("boolean", "1", "java.lang.Long is no boolean"),
    ("string", "12", "12"),
    ("string", "1.50", "1.5"),
    ("string", "true", "true"),
    ("string", '{"Outer": {"Inner": 1}}', '{"outer":{"inner":1}}'),
    ("string", '["a", 1.5]', '["a",1.5]'),
    ("string", "null", None),
    ("varchar(2)", '"abc"', "ab"),
    ("char(3)", '"abcd"', "abc"),
    ("binary", '"é"', "é".encode()),
    ("decimal(4,2)", "12.345", Decimal("12.35")),
    ("decimal(4,2)", '"1.5"', Decimal("1.50")),
    ("decimal(4,2)", "12345.67", "Value 12345.67 is out of range for the type decimal(4,2)"),
    ("decimal(22,2)", "12345678901234567890.12", Decimal("12345678901234567890.12")),
    ("decimal(22,2)", '"1e1000000000"', "Value 1E+1000000000 is out of range for the type decimal(22,2)"),
    ("decimal(22,2)", '"1e-1000000000"', Decimal("0.00")),
    ("date", '"2026-9-7"', date(2026, 9, 7)),
    ("date", '"2026-02-30"', "day is out of range for month"),
    ("timestamp", '"2026-9-7 1:2:3"', at("2026-09-07 01:02:03")),
    ("timestamp", '"2026-09-07 12:00:02.5"', at("2026-09-07 12:00:02.500")),
    ("timestamp", '"2018-02-07T20:38:48Z"', at("2018-02-07 20:38:48")),
    ("timestamp", '"2026-9-7T12:00:02Z"', "Timestamp format must be yyyy-mm-dd hh:mm:ss[.fffffffff]"),
    ("timestamp", '"2026-05-21T14:00:00+00:00"', "Timestamp format must be yyyy-mm-dd hh:mm:ss[.fffffffff]"),
    ("timestamp", "1518033528", at("2018-02-07 19:58:48")),
    ("timestamp", "1518033528123", at("2018-02-07 19:58:48.123")),
    ("timestamp", '"1518033528123"', at("2018-02-07 19:58:48.123")),
    ("timestamp", "1518033528.123", at("2018-02-07 19:58:48.123")),
    ("timestamp", "1000000000000", at("2001-09-09 01:46:40")),
    ("timestamp", "-1000", at("1969-12-31 23:43:20")),
    ("timestamp", "999999999999", "the instant is before 1677 or after 2262"),
    ("timestamp", '"1e1000000000"', "1E+1000000000 is no instant"),
    ("timestamp", "true", "no timestamp"),
    ("array<string>", '"solo"', ["solo"]),
    ("array<int>", '[1, "2", null]', [1, 2, None]),
    ("array<int>", "[true]", "java.lang.Boolean is no number"),
    ("struct<name:string,age:int>", '["Zoe", 9, "more"]', {"name": "Zoe", "age": 9}),
    ("struct<name:string,age:int>", '["Zoe"]', {"name": "Zoe", "age": None}),
    ("struct<name:string,age:int>", '{"NAME": "Bob", "x": 1}', {"name": "Bob", "age": None}),
    ("struct<name:string,age:int>", "{}", {"name": None, "age": None}),
    ("struct<name:string,age:int>", "42", "Data is not JSONObject  but java.lang.Long with value 42"),
    ("map<string,int>", '{"MixedKey": 1, "b": null}', [("mixedkey", 1), ("b", None)]),
    ("map<string,int>", '[["k", 1]]', "A map column cannot hold a JSON array."),
    ("array<struct<sku:string,qty:int>>", '{"sku": "x", "QTY": "3"}', [{"sku": "x", "qty": 3}]),
]


@pytest.mark.parametrize("other", ["alone", "after usual ones"])
def test_openx_when_values_are_not_as_their_columns_then_they_are_coerced_or_fail(other: str) -> None:
    """Each value by itself, and behind records that have taught the decoder what is usual."""
    for column, text, expected in OPENX_VALUES:
        before = ("null", "null") if other == "after usual ones" else ()
        assert values(column, *before, text)[-1] == expected, (column, text)


FORMATS: Mapping[str, Any] = {
    "HiveJsonSerDe": {"TimestampFormats": ["millis", "dd/MMM/yyyy:HH:mm:ss Z", "yyyy-MM-dd'T'HH:mm:ss.SSSZZ"]}
}
HIVE_VALUES: list[tuple[str, str, Any, Mapping[str, Any]]] = [
    ("string", "12", "12", HIVE),
    ("string", '{"a": 1}', "One or more fields have incorrect format. Exception when validating field (root)", HIVE),
    ("int", "1", 1, HIVE),
    ("int", '"1"', "Current token (VALUE_STRING) not numeric, can not use numeric value accessors", HIVE),
    ("array<string>", '"solo"', "java.io.IOException: Start of Array expected", HIVE),
    ("array<string>", "[1, null]", ["1", None], HIVE),
    ("struct<a:int>", "[1]", "java.io.IOException: Start of Object expected", HIVE),
    ("struct<a:int>", '{"A": 1, "b": 2}', {"a": 1}, HIVE),
    ("map<string,int>", '{"MixedKey": 1}', [("MixedKey", 1)], HIVE),
    ("timestamp", '"2026-09-07 12:00:02"', at("2026-09-07 12:00:02"), HIVE),
    ("timestamp", '"2026-09-07T12:00:02Z"', "Timestamp format must be yyyy-mm-dd hh:mm:ss[.fffffffff]", HIVE),
    ("timestamp", "1518033528123", "no timestamp", HIVE),
    ("timestamp", "1518033528123", at("2018-02-07 19:58:48.123"), FORMATS),
    ("timestamp", '"07/Feb/2018:19:58:48 +0100"', at("2018-02-07 18:58:48"), FORMATS),
    ("timestamp", '"2018-02-07T19:58:48.123-02:30"', at("2018-02-07 22:28:48.123"), FORMATS),
]


def test_hive_when_values_are_not_as_their_columns_then_most_fail() -> None:
    for column, text, expected, deserializer in HIVE_VALUES:
        assert values(column, text, deserializer=deserializer) == [expected], (column, text)


@pytest.mark.parametrize("pattern", ["QQ", "'open", "", "yyyy-MM-dd'"])
def test_hive_when_a_format_is_none_then_it_is_refused(pattern: str) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(ServiceError, match="InvalidArgument"):
            converter(world, Tables({"a": "int"}), configured({"HiveJsonSerDe": {"TimestampFormats": [pattern]}}))

    play(scenario)


@pytest.mark.parametrize(
    ("record", "code", "message"),
    [
        (b"", "MalformedData", EMPTY),
        (b" \n", "MalformedData", EMPTY),
        (b"12", "MalformedData", PRIMITIVE),
        (b'"x"', "MalformedData", PRIMITIVE),
        (b"[{}]", "MalformedData", "Data does not match the schema. The top level is an array"),
        (b"text", "ParseError", NO_JSON),
        (b'{"id": "a"', "ParseError", NO_JSON),
        (b'{"id": "a"} and more', "ParseError", NO_JSON),
        (b'{"id": "\xff"}', "ParseError", NO_JSON),
        (b'{"id": "a"}{"id": ', "ParseError", NO_JSON),
        (b'{"x": ' + b"[" * 100_000, "ParseError", NO_JSON),
        (b'{"person": 1}', "MalformedData", "Data is not JSONObject"),
        (b'{"id": "a"}{"person": 1}', "MalformedData", "Data is not JSONObject"),
    ],
)
def test_record_when_it_is_bad_then_it_alone_fails_with_its_error_object(
    record: bytes, code: str, message: str
) -> None:
    good = [b'{"id": "%d"}\n' % number for number in range(40)]
    done = convert(EVENT, *good[:20], record, *good[20:])
    [(place, told, text)] = failures(done)
    assert (place, told) == (20, code)
    assert message in text
    assert done.failed[0].entry.data == record
    assert done.failed[0].kind == "format-conversion-failed"
    assert done.failed[0].facts == {
        "dataCatalogTable": {
            "catalogId": "123456789012",
            "databaseName": "db",
            "tableName": "t",
            "region": "us-east-1",
            "versionId": "LATEST",
            "catalogArn": None,
        }
    }
    assert [row["id"] for row in rows_of(done)] == [str(number) for number in range(40)]
    assert done.converted == 40


def test_record_when_it_nests_100_deep_then_it_is_converted() -> None:
    deep = b"[" * 100 + b"]" * 100
    done = convert({"id": "string"}, b'{"id": %b, "more": %b}' % (deep, deep))
    assert rows_of(done) == [{"id": deep.decode()}]


def test_record_when_it_holds_several_objects_then_each_is_a_row_in_one_file() -> None:
    done = convert(EVENT, b'{"id": "a"}', b'{"id": "b"} {"id": "c"}\n{"id": "d"}', b'{"id": "e"}\n')
    assert sorted(row["id"] for row in rows_of(done)) == ["a", "b", "c", "d", "e"]
    assert (done.converted, done.failed, done.extension) == (3, [], ".parquet")


def test_records_when_they_only_look_like_lines_then_none_is_taken_for_another() -> None:
    """Two objects in one record and none in the next are as many lines as records."""
    done = convert({"id": "string"}, b'{"id": "a"}', b'{"id": "b"}\n{"id": "c"}', b"", b'{"id": "d"}')
    assert failures(done) == [(2, "MalformedData", EMPTY)]
    done = convert({"id": "string"}, b'{"id": "a"}', b'{"id": "b"', b'"x": 1}', b'{"id": "d"}{"id": "e"}')
    assert [place for place, _, _ in failures(done)] == [1, 2]
    assert sorted(row["id"] for row in rows_of(done)) == ["a", "d", "e"]


def test_names_when_their_case_differs_then_openx_finds_them_unless_it_is_told_not_to() -> None:
    records = [b'{"Id": "a", "x": 1}', b'{"ID": "b"}', b'{"id": "c", "y": {}}', b'{"id": null, "iD": "d"}']
    assert sorted(row["id"] for row in rows_of(convert({"id": "string"}, *records * 30))) == sorted("abcd" * 30)
    strict = {"OpenXJsonSerDe": {"CaseInsensitive": False}}
    rows = rows_of(convert({"id": "string"}, *records, deserializer=strict))
    assert sorted(str(row["id"]) for row in rows) == ["None", "None", "None", "c"]


def test_names_when_a_record_has_two_for_one_column_then_the_later_counts() -> None:
    records = [b'{"id": "a"}', b'{"ID": "b"}'] * 30
    done = convert({"id": "string"}, *records, b'{"id": "c", "ID": "d"}', b'{"ID": "e", "id": "f"}')
    assert sorted(row["id"] for row in rows_of(done)) == sorted([*"ab" * 30, "d", "f"])


def test_names_when_they_are_mapped_or_have_dots_then_columns_are_filled_from_them() -> None:
    options = {
        "OpenXJsonSerDe": {"ConvertDotsInJsonKeysToUnderscores": True, "ColumnToJsonKeyMappings": {"ts": "timeStamp"}}
    }
    columns = {"a_b": "int", "ts": "string"}
    rows = rows_of(convert(columns, b'{"a.b": 1, "timestamp": "x", "ts": "no"}', deserializer=options))
    assert rows == [{"a_b": 1, "ts": "x"}]


def test_names_when_there_are_ever_new_ones_then_what_is_learnt_is_bounded() -> None:
    records = [b'{"id": "a", "n%d": 1}' % number for number in range(2000)]
    done = convert({"id": "string"}, *records)
    assert done.converted == 2000
    assert {row["id"] for row in rows_of(done)} == {"a"}


def test_schema_when_it_changes_then_the_next_parcel_has_the_new_one() -> None:
    async def scenario(world: World) -> None:
        tables = Tables({"a": "int"})
        made = converter(world, tables, configured())
        assert rows_of(await made.convert(entries(b'{"a": 1, "b": 2}'))) == [{"a": 1}]
        tables.columns, tables.version = {"a": "int", "b": "string"}, "1"
        assert rows_of(await made.convert(entries(b'{"a": 1, "b": 2}'))) == [{"a": 1, "b": "2"}]
        told = dict(world.told.values)
        assert (told["SucceedConversion.Records"], told["FailedConversion.Bytes"]) == (1, 0)
        await made.check()
        for columns in ({}, {"a": "uniontype<int>"}, {"a": "int", "A": "int"}):
            tables.columns, tables.version = columns, tables.version + "1"
            with pytest.raises(ServiceError, match="schema cannot be used"):
                await made.convert(entries(b"{}"))
            with pytest.raises(ServiceError, match="schema cannot be used"):
                await made.check()

    play(scenario)


def test_parcel_when_all_of_it_fails_then_there_is_no_file() -> None:
    done = convert({"a": "int"}, b"x", b"y")
    assert (done.body, done.converted, len(done.failed)) == (b"", 0, 2)


def test_parquet_when_options_are_given_then_the_file_has_them() -> None:
    records = [b'{"a": "x%d", "t": "2026-01-02 03:04:05"}' % (number % 3) for number in range(100)]
    columns = {"a": "string", "t": "timestamp"}
    usual = parquet.ParquetFile(io.BytesIO(convert(columns, *records).body)).metadata
    column = usual.row_group(0).column(0)
    assert (column.compression, column.has_dictionary_page, usual.format_version) == ("SNAPPY", False, "1.0")
    assert usual.schema.column(1).physical_type == "INT96"
    options = {"Compression": "GZIP", "EnableDictionaryCompression": True, "WriterVersion": "V2"}
    other = convert(columns, *records, serializer={"ParquetSerDe": options})
    column = parquet.ParquetFile(io.BytesIO(other.body)).metadata.row_group(0).column(0)
    assert (column.compression, column.has_dictionary_page) == ("GZIP", True)
    assert rows_of(other) == rows_of(convert(columns, *records))
    assert duck_rows(other)[4][0] == "x1"


@pytest.mark.parametrize("compression", ["NONE", "ZLIB", "SNAPPY"])
@pytest.mark.parametrize("version", ["V0_11", "V0_12"])
def test_orc_when_options_are_given_then_the_file_has_them(compression: str, version: str) -> None:
    options = {"Compression": compression, "FormatVersion": version, "BloomFilterColumns": ["A"], "EnablePadding": True}
    done = convert(EVENT, b'{"id": "x", "tags": ["t"], "attrs": {"k": 1}}', serializer={"OrcSerDe": options})
    found = orc.ORCFile(io.BytesIO(done.body))
    expected = {"NONE": "UNCOMPRESSED"}.get(compression, compression)
    assert (found.compression, str(found.file_version), done.extension) == (
        expected,
        version[1:].replace("_", "."),
        ".orc",
    )
    assert rows_of(done) == [{"id": "x", "tags": ["t"], "person": None, "attrs": [("k", 1)]}]


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        (configured(SchemaConfiguration=None), "SchemaConfiguration must"),
        (configured(InputFormatConfiguration=None), "InputFormatConfiguration must"),
        (configured(OutputFormatConfiguration=None), "OutputFormatConfiguration must"),
        (configured(SchemaConfiguration={"DatabaseName": "d"}), "TableName must"),
        (configured({}), "Exactly one of OpenXJsonSerDe"),
        (configured({"OpenXJsonSerDe": {}, "HiveJsonSerDe": {}}), "Exactly one of OpenXJsonSerDe"),
        (configured(serializer={}), "Exactly one of ParquetSerDe"),
    ],
)
def test_configuration_when_it_lacks_something_then_it_is_refused(configuration: Any, text: str) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(ServiceError) as caught:
            make_converter(configuration, world.site, Tables({}))
        assert text in (caught.value.message or "")
        assert make_converter(configured(Enabled=False), world.site, Tables({})) is None

    play(scenario)


def test_orc_when_instants_are_told_then_they_are_instants() -> None:
    done = convert({"t": "timestamp"}, b'{"t": "2026-01-02T03:04:05.000000001Z"}', serializer=ORC)
    told = orc.read_table(io.BytesIO(done.body))["t"].cast("int64").to_pylist()
    assert told == [int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()) * 10**9 + 1]


def test_reader_when_records_are_usual_then_they_are_read_in_one_step() -> None:
    """The decoder is made at the first record; from then on nothing is read slowly."""
    rules = Rules(True, str.lower, str.lower, instant_of([from_text], numbers=from_number))
    columns = [Column("a", Scalar("int"), "a"), Column("b", Scalar("string"), "b"), Column("no", Scalar("int"), "no")]
    reader = RowReader(columns, rules)
    reader.read([b'{"a": 1, "b": "x", "c": [1]}'])
    chunk = reader.read([b'{"b": "y", "c": {"d": 1}, "a": %d}\n' % number for number in range(500)])
    assert chunk.quick_owners == list(range(500))
    assert chunk.slow_owners == []
    assert [column[7] for column in chunk.quick] == [7, "y", None]


def test_reader_when_names_never_end_then_it_knows_so_many_and_no_more() -> None:
    rules = Rules(True, str.lower, str.lower, instant_of([from_text], numbers=from_number))
    reader = RowReader([Column("a", Scalar("int"), "a")], rules)
    chunk = reader.read([b'{"a": %d, "n%d": 1}' % (number, number) for number in range(2 * NAMES_MAX)])
    assert len(reader._names) == NAMES_MAX
    assert len(chunk.quick_owners) + len(chunk.slow_owners) == 2 * NAMES_MAX


def test_parcels_when_many_are_converted_at_once_then_none_meets_anothers_names() -> None:
    async def scenario(world: World) -> None:
        made = converter(world, Tables({"a": "int", "b": "string"}), configured())
        parcels = [
            entries(
                *(b'{"a": %d, "x%d": 1, "b": "%d"}' % (number, number % (parcel + 1), parcel) for number in range(300))
            )
            for parcel in range(12)
        ]
        done = await asyncio.gather(*(made.convert(parcel) for parcel in parcels))
        for parcel, converted in enumerate(done):
            assert rows_of(converted) == [{"a": number, "b": str(parcel)} for number in range(300)]

    play(scenario)
