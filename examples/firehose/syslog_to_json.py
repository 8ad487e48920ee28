"""Syslog as JSON: a line a record becomes an object of its fields.

Set it up as general.py.  Missing fields are null.
"""

import base64
import json
import re
from typing import Any

_LINE = re.compile(
    r"(?:<(?P<priority>\d{1,3})>)?(?P<timestamp>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) (?P<hostname>\S+)"
    r" (?P<program>[^\s:\[]+)(?:\[(?P<processid>\d+)\])?: (?P<message>.*)"
)


def transform(line: str) -> str | None:
    """The object of a line; None for what is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    fields: dict[str, Any] = match.groupdict()
    for name in ("priority", "processid"):
        fields[name] = int(fields[name]) if (fields[name] or "-").isdigit() else None
    return json.dumps(fields)


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
