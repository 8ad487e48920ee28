"""COPY: options as Redshift reads them, and rows as it would have read them."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.core.warehouse import Column
from penstock.services.firehose.destinations.copyoptions import CopyPlan, NotCopyable, read_options
from penstock.services.firehose.destinations.copyrows import BadRow, copy_text, read_paths
from penstock.services.firehose.destinations.jdbc import Database, read_jdbc
from penstock.services.firehose.destinations.tablenames import BadName, column_names, literal, table_name

VARCHAR, BIGINT, TIMESTAMP = 1043, 20, 1114
ESCAPED = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r", "\\b": "\b", "\\f": "\f", "\\v": "\v"}
texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8)


def columns(*types: int) -> list[Column]:
    return [Column(f"c{number}", oid) for number, oid in enumerate(types)]


def read_back(pieces: list[bytes]) -> list[list[str | None]]:
    """Rows of PostgreSQL's text format, read independently."""
    found = []
    for line in b"".join(pieces).decode().split("\n")[:-1]:
        row: list[str | None] = []
        for field in line.split("\t"):
            out, at = "", 0
            while at < len(field):
                step = 2 if field[at] == "\\" else 1
                out += ESCAPED.get(field[at : at + step], field[at : at + step])
                at += step
            row.append(None if field == "\\N" else out)
        found.append(row)
    return found


def loaded(options: str, data: bytes, *types: int) -> list[list[str | None]]:
    return read_back(copy_text(read_options(options), data, columns(*types)))


@given(st.lists(st.lists(texts, min_size=2, max_size=2), max_size=5))
@example([["\\N", ""]])
def test_csv_when_written_by_another_is_read_as_it_was_meant(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    meant = [[None if field == "\\N" else field for field in row] for row in rows]
    assert loaded("csv", out.getvalue().encode(), VARCHAR, VARCHAR) == meant


@given(
    st.lists(st.lists(texts, min_size=1, max_size=3).filter(lambda row: row != [""]), max_size=4).map(
        lambda rows: [(row + ["x"] * 3)[:3] for row in rows]
    )
)
def test_text_when_escaped_is_read_as_it_was_meant(rows: list[list[str]]) -> None:
    def escaped(field: str) -> str:
        return "".join("\\" + char if char in "\\|\n\r'\"N" else char for char in field)

    data = "".join("|".join(escaped(field) for field in row) + "\n" for row in rows).encode()
    found = loaded("escape null 'never-there'", data, VARCHAR, VARCHAR, VARCHAR)
    assert found == [[field.replace("N", "\\N") for field in row] for row in rows]


@pytest.mark.parametrize(
    ("options", "data", "types", "rows"),
    [
        ("", b"a|1\n", (VARCHAR, BIGINT), [["a", "1"]]),
        ("", b"a|1", (VARCHAR, BIGINT), [["a", "1"]]),
        ("", b"a|1\r\n", (VARCHAR, BIGINT), [["a", "1"]]),
        ("", b"|\n", (VARCHAR, BIGINT), [["", None]]),
        ("emptyasnull", b"|\n", (VARCHAR, BIGINT), [[None, None]]),
        ("blanksasnull", b"  |\n", (VARCHAR, BIGINT), [[None, None]]),
        ("trimblanks", b"a  |1\n", (VARCHAR, BIGINT), [["a", "1"]]),
        ("null as 'NIL'", b"NIL|\\N\n", (VARCHAR, VARCHAR), [[None, "\\N"]]),
        ("fillrecord", b"a\n", (VARCHAR, BIGINT), [["a", None]]),
        ("ignoreheader as 1", b"x|y\na|1\n", (VARCHAR, BIGINT), [["a", "1"]]),
        ("ignoreblanklines", b"\na|1\n\n", (VARCHAR, BIGINT), [["a", "1"]]),
        ("removequotes delimiter ','", b"\"a,b\",'c'\n", (VARCHAR, VARCHAR), [["a,b", "c"]]),
        ("csv quote as '%'", b"%a,b%,1\n", (VARCHAR, BIGINT), [["a,b", "1"]]),
        ("format as csv delimiter ';'", b"a;1\n", (VARCHAR, BIGINT), [["a", "1"]]),
        ("acceptinvchars as '^'", b"a\xff\0|1\n", (VARCHAR, BIGINT), [["a^^", "1"]]),
        ("timeformat 'epochsecs'", b"1767323045\n", (TIMESTAMP,), [["2026-01-02T03:04:05+00:00"]]),
        ("json 'auto'", b'{"c0":1}{"C0":2}', (BIGINT,), [["1"], [None]]),
        ("json 'auto ignorecase'", b'{"C0":2}', (BIGINT,), [["2"]]),
        ("json 'noshred'", b'{"a": [1.50]}', (VARCHAR,), [['{"a":[1.50]}']]),
        ("json", b' \n{"c0":""}\n', (BIGINT,), [[None]]),
    ],
)
def test_data_when_read_as_redshift_reads_it_are_these_rows(
    options: str, data: bytes, types: tuple[int, ...], rows: list[list[str | None]]
) -> None:
    assert loaded(options, data, *types) == rows


@pytest.mark.parametrize(
    "options",
    [
        "csv; drop table x", "csv -- x", "delimiter", "delimiter 'ab'", "delimiter ''", "quote 'x'", "'x'", "null 'a", "ignoreheader x", "nonsense",
        "csv quote '\"\"'", "/* x */ csv", "csv) x (", "ignoreheader 99999999999",
    ],
)  # fmt: skip
def test_options_when_they_are_none_are_refused(options: str) -> None:
    with pytest.raises(NotCopyable):
        read_options(options)


def test_options_when_known_are_read_and_those_of_redshift_alone_are_named() -> None:
    plan = read_options("gzip region as 'eu-west-1' compupdate off statupdate on maxerror as 5 dateformat 'auto' csv;")
    assert (plan.format, plan.packed, plan.unsupported) == ("csv", True, "")
    assert read_options("lzop delimiter '\\t'") == CopyPlan(delimiter="\t", unsupported="LZOP")
    assert read_options("fixedwidth 'a:3,b:4'").unsupported == "FIXEDWIDTH"
    assert read_options("compupdate csv").format == "csv"
    assert read_options("json 's3://b/p.json' truncatecolumns").json == "s3://b/p.json"


@given(st.text(max_size=40))
def test_options_when_they_are_anything_are_read_or_refused(text: str) -> None:
    with suppress(NotCopyable):
        read_options(text)


@given(st.text(max_size=30))
def test_name_when_it_is_anything_is_an_identifier_or_refused(text: str) -> None:
    try:
        name = table_name(text)
    except BadName:
        return
    assert name.startswith('"')
    assert name.endswith('"')
    assert name.replace('""', "").count('"') % 2 == 0


def test_names_when_unquoted_are_folded_and_when_quoted_kept() -> None:
    assert table_name('Public."Or""ders"') == '"public"."Or""ders"'
    assert column_names('id, "Name" ,größe') == ['"id"', '"Name"', '"größe"']
    assert literal("it's") == "'it''s'"
    for bad in ("", "a b", "a;b", "a.b.c.d", '"a', "a.", "1a", "a--"):
        with pytest.raises(BadName):
            table_name(bad)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b'{"jsonpaths":[7]}',
        b'{"jsonpaths":["a"]}',
        b'{"jsonpaths":["$.a["]}',
        b'{"jsonpaths":["$..a"]}',
        b"\xff",
    ],
)
def test_paths_when_they_are_none_are_refused(document: bytes) -> None:
    with pytest.raises(BadRow):
        read_paths(document)


def test_paths_when_walked_find_values_or_nothing() -> None:
    paths = read_paths(b'{"jsonpaths":["$.a[1]","$[\'b c\']","$.a.x"]}')
    plan = read_options("json 's3://b/p'")
    assert read_back(copy_text(plan, b'{"a":[1,{"x":2}],"b c":true}', columns(VARCHAR, VARCHAR, VARCHAR), paths)) == [
        ['{"x":2}', "true", None]
    ]
    with pytest.raises(BadRow, match="3 JSON paths for 1 columns"):
        copy_text(plan, b"{}", columns(VARCHAR), paths)


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("jdbc:redshift://c.abc.eu-west-1.redshift.amazonaws.com:5439/dev", Database("c.abc.eu-west-1.redshift.amazonaws.com", 5439, "dev", "prefer")),
        ("jdbc:postgresql://127.0.0.1/db?ssl=true&user=x", Database("127.0.0.1", 5432, "db", "require")),
        ("jdbc:postgresql://[::1]:1/a%20b?sslmode=verify-full", Database("::1", 1, "a b", "verify-full")),
        ("jdbc:redshift://h/d;ssl=false", Database("h", 5439, "d", "disable")),
        ("jdbc:postgresql://h:0/d", None), ("jdbc:postgresql://h:99999/d", None), ("jdbc:postgresql:///d", None), ("postgresql://h/d", None), ("", None),
        ("jdbc:postgresql://h/d/e", None), ("jdbc:postgresql://u:p@h/d", None),
    ],
)  # fmt: skip
def test_url_when_read_is_a_database_or_none(url: str, database: Database | None) -> None:
    assert read_jdbc(url) == database
