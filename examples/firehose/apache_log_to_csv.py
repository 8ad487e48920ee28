"""Apache's access log as CSV: a line a record becomes a row of its fields, quoted where it must be.

Set it up as general.py.  Missing fields are empty.
"""

import base64
import csv
import io
import re
from typing import Any

_LINE = re.compile(
    r'(?P<host>\S+) (?P<ident>\S+) (?P<authuser>\S+) \[(?P<datetime>[^\]]+)\] "(?P<request>(?:[^"\\]|\\.)*)"'
    r' (?P<response>\d{3}) (?P<bytes>\d+|-)(?: "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)


def transform(line: str) -> str | None:
    """The row of a line; None for what is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(match.groups(""))
    return row.getvalue()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """What Firehose calls: a line that cannot be read goes to the error prefix, the others are delivered."""
    return {"records": [answer(record) for record in event["records"]]}


def answer(record: dict[str, Any]) -> dict[str, Any]:
    """What is said of one record."""
    line = base64.b64decode(record["data"]).decode(errors="replace").strip()
    made = transform(line)
    if made is None:
        return {"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}
    return {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(f"{made}\n".encode()).decode()}
