"""A transformation to begin with: each record goes through `transform`, by itself.

Give it to a delivery stream as the Lambda processor (docs/firehose-processing.md).  What `transform` answers decides: bytes are delivered
in the record's place, None drops it, and an exception sends it, unchanged, to the error prefix.
"""

import base64
from typing import Any


def transform(data: bytes) -> bytes | None:
    """The record that is delivered in another's place.  Put your own work here; this one ends each record with a line's end."""
    return data if data.endswith(b"\n") else data + b"\n"


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """What Firehose calls: it must answer for each record, by its id."""
    return {"records": [answer(record) for record in event["records"]]}


def answer(record: dict[str, Any]) -> dict[str, Any]:
    """What is said of one record."""
    try:
        made = transform(base64.b64decode(record["data"]))
    except Exception as problem:  # noqa: BLE001 - whatever is wrong with a record, the others go on
        print(f"{record['recordId']}: {problem}")  # noqa: T201 - into the function's log
        return {"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}
    if made is None:
        return {"recordId": record["recordId"], "result": "Dropped"}
    return {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(made).decode()}
