"""Records of asynchronous invocations, as destinations get them.

Rule of this file: pure.  Source: Lambda developer guide, "Capturing records of Lambda asynchronous invocations".
"""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from penstock.services.functions.invoking import Invoked

MESSAGE_MAX_CHARS: Final = 1024  # of the error in a dead letter


def describe(
    request_id: str,
    function: str,
    condition: str,
    attempts: int,
    payload: bytes,
    invoked: Invoked | None,
    now_ms: int,
) -> bytes:
    """The record of an event that has come to its end; one that was never processed has no response."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now_ms % 1000:03}Z",
        "requestContext": {
            "requestId": request_id,
            "functionArn": function,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": msgspec.Raw(payload),
    }
    if invoked is not None:
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": invoked.version}
        if invoked.function_error is not None:
            response["functionError"] = invoked.function_error
        record["responseContext"] = response
        record["responsePayload"] = _as_json(invoked.payload)
    return msgspec.json.encode(record)


def _as_json(payload: bytes) -> msgspec.Raw | str:
    """What a function answered; UNVERIFIED: a runtime of one's own may answer what is no JSON, which is told as a text."""
    try:
        msgspec.json.decode(payload or b"null")
        payload.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return payload.decode(errors="replace")
    return msgspec.Raw(payload or b"null")


def bucket_key(name: str, now_ms: int, fresh_id: str) -> str:
    """Where a record is put in a bucket."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"aws/lambda/async/{name}/{moment:%Y/%m/%d}/{moment:%Y-%m-%dT%H.%M.%S}-{fresh_id}"


def error_message(invoked: Invoked | None, condition: str) -> str:
    """What a dead letter says of the error."""
    if invoked is None:
        return condition
    try:
        told = msgspec.json.decode(invoked.payload)
    except msgspec.DecodeError:
        return condition
    message = told.get("errorMessage") if isinstance(told, dict) else None
    return str(message)[:MESSAGE_MAX_CHARS] if message else condition
