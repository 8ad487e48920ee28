"""Laws of format conversion: what goes in comes out, as two independent readers read it, and the quick way says what the slow one does."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from conversion_world import ORC, PARQUET, convert, duck_rows, failures, rows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
INSTANTS = st.integers(-(2**32), 2**33)  # seconds: from 1833 to 2242
# By type: JSON that it takes, with the value that comes out
SCALARS: dict[str, st.SearchStrategy[tuple[Any, Any]]] = {
    "boolean": st.booleans().map(lambda value: (value, value)),
    "tinyint": st.integers(-128, 127).map(lambda value: (value, value)),
    "smallint": st.integers(-(2**15), 2**15 - 1).map(lambda value: (str(value), value)),
    "int": st.integers(-(2**31), 2**31 - 1).map(lambda value: (value, value)),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(lambda value: (value, value)),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda value: (value, value)),
    "double": st.floats(allow_nan=False, allow_infinity=False).map(lambda value: (value, value)),
    "string": TEXTS.map(lambda value: (value, value)),
    "decimal(9,3)": st.integers(-(10**9) + 1, 10**9 - 1).map(
        lambda digits: (digits / 1000, Decimal(digits).scaleb(-3))
    ),
    "date": st.dates(date(1, 1, 1)).map(lambda value: (f"{value.year:04}-{value.month}-{value.day}", value)),
    "timestamp": INSTANTS.map(lambda at_s: (at_s, datetime(1970, 1, 1) + timedelta(seconds=at_s))),
    "timestamp ": INSTANTS.map(lambda at_s: _told(datetime.fromtimestamp(at_s, UTC))),
}


def _told(at: datetime) -> tuple[Any, Any]:
    return f"{at:%Y-%m-%d %H:%M:%S}", at.replace(tzinfo=None)


def _typed(name: str) -> st.SearchStrategy[tuple[str, Any]]:
    """A type's text, and a strategy of its values."""
    return st.just((name.strip(), st.none().map(lambda _: (None, None)) | SCALARS[name]))


def _nested(inner: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[tuple[str, Any]]:
    lists = inner.map(lambda pair: (f"array<{pair[0]}>", st.lists(pair[1], max_size=3).map(_split_list)))
    structs = st.tuples(inner, inner).map(
        lambda pair: (
            f"struct<a:{pair[0][0]},b:{pair[1][0]}>",
            st.tuples(pair[0][1], pair[1][1]).map(
                lambda given: ({"a": given[0][0], "b": given[1][0]}, {"a": given[0][1], "b": given[1][1]})
            ),
        )
    )
    maps = inner.map(
        lambda pair: (
            f"map<string,{pair[0]}>",
            st.dictionaries(st.sampled_from("abc"), pair[1], max_size=3).map(
                lambda given: ({k: v[0] for k, v in given.items()}, [(k, v[1]) for k, v in given.items()])
            ),
        )
    )
    return lists | structs | maps


def _split_list(pairs: list[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    return [given for given, _ in pairs], [expected for _, expected in pairs]


TYPES = st.recursive(st.sampled_from(sorted(SCALARS)).flatmap(_typed), _nested, max_leaves=4)
FLAT = st.sampled_from(sorted(SCALARS)).flatmap(_typed)


@st.composite
def tables(draw: st.DrawFn, types: st.SearchStrategy[tuple[str, Any]] = TYPES) -> tuple[dict[str, str], list[Any]]:
    """Columns, and rows of (given, expected) values."""
    columns = draw(st.lists(types, min_size=1, max_size=4))
    rows = draw(st.lists(st.tuples(*(values for _, values in columns)), min_size=1, max_size=8))
    return {f"c{number}": text for number, (text, _) in enumerate(columns)}, rows


def _records(columns: dict[str, str], rows: list[Any], *, full: bool = False) -> list[bytes]:
    """Rows as JSON; what is null is sometimes left out."""
    told = []
    for number, row in enumerate(rows):
        members = {name: given for name, (given, _) in zip(columns, row, strict=True)}
        kept = {name: given for name, given in members.items() if full or given is not None or number % 2}
        told.append(json.dumps(kept, ensure_ascii=bool(number % 3)).encode())
    return told


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(tables(), st.sampled_from([PARQUET, ORC]))
def test_rows_when_they_are_converted_then_arrow_reads_them_back(table: Any, serializer: Any) -> None:
    columns, rows = table
    done = convert(columns, *_records(columns, rows), serializer=serializer)
    assert failures(done) == []
    expected = [[value for _, value in row] for row in rows]
    assert sorted(map(_text, (row.values() for row in rows_of(done)))) == sorted(map(_text, expected))


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(tables(FLAT))
def test_rows_when_they_are_converted_then_duckdb_reads_them_back(table: Any) -> None:
    columns, rows = table
    done = convert(columns, *_records(columns, rows))
    expected = [[value for _, value in row] for row in rows]
    assert sorted(map(_text, duck_rows(done))) == sorted(map(_text, expected))


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(tables(), st.lists(st.sampled_from([b"", b"x", b"{}", b"[]", b'{"c0": {}}', b'{"C0": [[1]], "z": 1}', b"{}{}"])))
def test_record_when_it_is_among_others_then_it_is_converted_as_it_would_be_alone(table: Any, odd: list[bytes]) -> None:
    columns, rows = table
    records = [one for pair in zip(_records(columns, rows), [*odd, *[b"{}"] * len(rows)], strict=False) for one in pair]
    together = convert(columns, *records)
    alone = [convert(columns, record) for record in records]
    assert failures(together) == [
        (place, code, text) for place, done in enumerate(alone) for _, code, text in failures(done)
    ]
    assert sorted(map(_text, rows_of(together))) == sorted(_text(row) for done in alone for row in rows_of(done))


def _text(row: Any) -> str:
    """A row as a text by which rows can be compared: -0.0 is 0.0."""
    return repr(list(row.items()) if isinstance(row, dict) else list(row)).replace("-0.0", "0.0")
