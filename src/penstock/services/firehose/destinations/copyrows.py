r"""Rows: what COPY would make of the data, read here for servers that cannot read it from S3 themselves.

Theory.  Redshift reads objects by its own rules (copyoptions.py): what separates fields, what is null, which keys of JSON go where.
Here the same bytes become fields, and the fields the one form that every PostgreSQL takes: tab-separated text with `\N` for null.
Rules of this file: pure; one bad row fails the load, as a COPY does, and is named by its number; no field is changed but as an option
or a column's type asks.
Source: Amazon Redshift developer guide, COPY: data conversion parameters, "COPY from JSON format".
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from penstock.core.warehouse import Column
from penstock.services.firehose.destinations.copyoptions import CopyPlan

TEXTS: Final = frozenset({18, 19, 25, 1042, 1043})  # char, name, text, bpchar, varchar
TIMESTAMPS: Final = frozenset({1114, 1184})
PIECE_BYTES: Final = 1 << 20
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]", re.ASCII)
_EPOCH: Final = {"epochsecs": 1, "epochmillisecs": 1000}
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\v": "\\v"}
)
_compact: Final = msgspec.json.Encoder(decimal_format="number")
csv.field_size_limit(1 << 27)  # for the whole process: the default of 128 KiB is less than a record

Field = str | None
Path = Sequence[str | int]


class BadRow(Exception):
    """Data that COPY would refuse; its text names the row."""


def copy_text(
    plan: CopyPlan, data: bytes, columns: Sequence[Column], paths: Sequence[Path] | None = None
) -> list[bytes]:
    """The pieces that COPY ... FROM STDIN is given for the data.  Raises BadRow.  Cost: runs beside the loop."""
    pieces, lines, size = [], [], 0
    for row in _rows(plan, _decoded(plan, data), columns, paths):
        line = "\t".join(["\\N" if field is None else field.translate(_ESCAPES) for field in row]) + "\n"
        lines.append(line)
        size += len(line)
        if size >= PIECE_BYTES:
            pieces.append("".join(lines).encode())
            lines, size = [], 0
    pieces.append("".join(lines).encode())
    return pieces


def read_paths(document: bytes) -> list[Path]:
    """The paths of a JSONPaths file, one for each column.  Raises BadRow."""
    try:
        texts = msgspec.json.decode(document, type=dict[str, list[str]])["jsonpaths"]
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        raise BadRow('the file of JSON paths is not {"jsonpaths": ["$...", ...]}') from None
    return [_path(text) for text in texts]


def _path(text: str) -> Path:
    at, steps = 1, list[str | int]()
    while at < len(text) and text.startswith("$"):
        match = _STEP.match(text, at)
        if match is None:
            break
        at = match.end()
        name, index, *quoted = match.groups()
        steps.append(int(index) if index is not None else next(one for one in (name, *quoted) if one is not None))
    if at != len(text) or not steps:
        raise BadRow(f"{text[:80]!r} is no JSON path that is known here")
    return steps


def _decoded(plan: CopyPlan, data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if not plan.replacement:
            raise BadRow(f"byte {error.start} of the data is not UTF-8") from None
        text = data.decode("utf-8", "replace").replace("\ufffd", plan.replacement[0])
    if "\0" in text:
        if not plan.replacement:
            raise BadRow("the data has a NUL character, which no column can hold")
        text = text.replace("\0", plan.replacement[0])
    return text


def _rows(
    plan: CopyPlan, text: str, columns: Sequence[Column], paths: Sequence[Path] | None
) -> Iterator[Sequence[Field]]:
    if plan.format == "json":
        yield from _json_rows(plan, text, columns, paths)
        return
    for number, fields in enumerate(_csv_rows(plan, text) if plan.format == "csv" else _text_rows(plan, text), 1):
        if number <= plan.ignore_header or (plan.ignore_blank_lines and fields in ([], [""])):
            continue
        if len(fields) != len(columns):
            if len(fields) > len(columns) or not plan.fill_record:
                raise BadRow(f"row {number} has {len(fields)} fields, and {len(columns)} columns are loaded")
            fields = [*fields, *[""] * (len(columns) - len(fields))]
        yield [_value(plan, field, column, number) for field, column in zip(fields, columns, strict=True)]


def _csv_rows(plan: CopyPlan, text: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=plan.separator, quotechar=plan.quote, strict=True)
    try:
        for fields in reader:
            yield fields or [""]
    except csv.Error as error:
        raise BadRow(f"row {reader.line_num} is no CSV: {error}") from None


def _text_rows(plan: CopyPlan, text: str) -> Iterator[list[str]]:
    if plan.escape or plan.remove_quotes:
        yield from _scanned(plan, text)
        return
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for line in lines:
        yield line.removesuffix("\r").split(plan.separator)


def _scanned(plan: CopyPlan, text: str) -> Iterator[list[str]]:
    """Fields where a backslash or quotes protect what would end them."""
    fields, field, quote, at = list[str](), list[str](), "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and plan.escape and at + 1 < len(text):
            at += 1
            field.append("\\N" if text[at] == "N" else text[at])
        elif quote:
            quote = "" if char == quote else quote
            if quote:
                field.append(char)
        elif plan.remove_quotes and char in "'\"" and not field:
            quote = char
        elif char == plan.separator or char == "\n":
            fields.append("".join(field))
            field = []
            if char == "\n":
                yield fields
                fields = []
        elif char != "\r" or not text.startswith("\n", at + 1):
            field.append(char)
        at += 1
    if fields or field:
        yield [*fields, "".join(field)]


def _value(plan: CopyPlan, field: str, column: Column, number: int) -> Field:
    if field == plan.null:
        return None
    is_text = column.type_oid in TEXTS
    if is_text and plan.trim_blanks:
        field = field.rstrip(" ")
    if not field.strip():
        null = plan.blanks_as_null or not is_text or (plan.empty_as_null and not field)
        return None if null else field
    scale = _EPOCH.get(plan.time_format) if column.type_oid in TIMESTAMPS else None
    return field if scale is None else _instant(field, scale, number)


def _instant(field: str, scale: int, number: int) -> str:
    try:
        return datetime.fromtimestamp(float(field) / scale, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise BadRow(f"row {number} has a time that is no number of an epoch") from None


def _json_rows(
    plan: CopyPlan, text: str, columns: Sequence[Column], paths: Sequence[Path] | None
) -> Iterator[Sequence[Field]]:
    if paths is not None and len(paths) != len(columns):
        raise BadRow(f"there are {len(paths)} JSON paths for {len(columns)} columns")
    fold = plan.json == "auto ignorecase"
    names = [column.name.lower() if fold else column.name for column in columns]
    for number, document in enumerate(_documents(text), 1):
        if plan.json == "noshred":
            yield [_compact.encode(document).decode()]
            continue
        if paths is not None:
            found = [_walk(document, path) for path in paths]
        elif isinstance(document, dict):
            keyed: Mapping[str, Any] = {key.lower(): value for key, value in document.items()} if fold else document
            found = [keyed.get(name) for name in names]
        else:
            raise BadRow(f"document {number} is no JSON object")
        fields = [_field(value) for value in found]
        pairs = zip(fields, columns, strict=True)
        yield [None if field is None else _value(plan, field, column, number) for field, column in pairs]


def _documents(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(parse_float=Decimal)
    at, end, number = 0, len(text), 1
    while True:
        while at < end and text[at] in " \t\r\n":
            at += 1
        if at == end:
            return
        try:
            document, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise BadRow(f"document {number} is not valid JSON") from None
        yield document
        number += 1


def _walk(document: Any, path: Path) -> Any:
    for step in path:
        if isinstance(step, int) and isinstance(document, list) and step < len(document):
            document = document[step]
        elif isinstance(step, str) and isinstance(document, dict):
            document = document.get(step)
        else:
            return None
    return document


def _field(value: Any) -> Field:
    match value:
        case None:
            return None
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case _:
            return _compact.encode(value).decode()
