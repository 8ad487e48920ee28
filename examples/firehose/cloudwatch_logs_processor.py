"""CloudWatch Logs: what a subscription sends, as one line for each log event.

Set it up as general.py, for a delivery stream that a subscription filter sends to.  A record is gzip of a document with many log events;
each goes through `transform`, and the lines of a record stay together.  Control messages, with which CloudWatch Logs asks whether
somebody listens, are dropped.

A function answers with 6 MB at most.  What would not fit is sent to the error prefix, whole and unchanged; smaller buffers of the processor
(BufferSizeInMBs) keep that from happening.
"""

import base64
import gzip
import json
from typing import Any

ANSWER_MAX_BYTES = 6_000_000 - 100_000  # with room for the ids


def transform(log_event: dict[str, Any], message: dict[str, Any]) -> str:
    """The line of one log event; `message` has logGroup, logStream and owner.  Put your own work here."""
    return str(log_event["message"])


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """What Firehose calls."""
    answers, left = [], ANSWER_MAX_BYTES
    for record in event["records"]:
        answer = _answer(record)
        if len(answer.get("data", "")) > left:
            answer = {"recordId": record["recordId"], "result": "ProcessingFailed"}
        left -= len(answer.get("data", ""))
        answers.append(answer)
    return {"records": answers}


def _answer(record: dict[str, Any]) -> dict[str, Any]:
    """What is said of one record."""
    try:
        message = json.loads(gzip.decompress(base64.b64decode(record["data"])))
        kind = message["messageType"]
        if kind == "CONTROL_MESSAGE":
            return {"recordId": record["recordId"], "result": "Dropped"}
        if kind != "DATA_MESSAGE":
            raise ValueError(f"unknown messageType {kind}")
        lines = "".join(f"{transform(each, message)}\n" for each in message["logEvents"])
    except Exception as problem:  # noqa: BLE001 - whatever is wrong with a record, the others go on
        print(f"{record['recordId']}: {problem}")  # noqa: T201 - into the function's log
        return {"recordId": record["recordId"], "result": "ProcessingFailed"}
    return {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(lines.encode()).decode()}
