"""Invocations."""

from typing import Final, Literal

import msgspec
import pybase64

from penstock.core.context import Caller
from penstock.core.function_errors import FunctionError
from penstock.services.functions.invoking import Invocation
from penstock.services.functions.ops.shapes import FunctionInput, FunctionOutput, QualifiedRequest
from penstock.services.functions.service import Functions

PAYLOAD_MAX_BYTES: Final = 6_291_456
EVENT_MAX_BYTES: Final = 1_048_576
CONTEXT_MAX_BYTES: Final = 3583
QUEUED, CHECKED, DONE = 202, 204, 200

_syntax: Final = msgspec.json.Decoder(msgspec.Raw)


class InvocationRequest(QualifiedRequest):
    """Invoke."""

    invocation_type: Literal["Event", "RequestResponse", "DryRun"] = "RequestResponse"
    log_type: Literal["None", "Tail"] = "None"
    client_context: str | None = None
    durable_execution_name: str | None = None
    tenant_id: str | None = None
    payload: bytes = b""


class InvocationResponse(FunctionOutput):
    """What a function answers."""

    status_code: int
    payload: bytes | None = None
    function_error: str | None = None
    log_result: str | None = None
    executed_version: str | None = None


async def invoke(functions: Functions, caller: Caller, request: InvocationRequest) -> InvocationResponse:
    """Run a function and answer what it answers; or keep an event for it; or only see whether it could be run."""
    if request.durable_execution_name is not None or request.tenant_id is not None:
        raise FunctionError.UNSUPPORTED(what="DurableExecutionName or TenantId")
    name, _, version = functions.found(caller, request.function_name, request.qualifier)
    payload = checked_payload(request.payload, request.invocation_type)
    if version.state(functions.clock.now_ms()) != "Active":
        raise FunctionError.NOT_ACTIVE(state=version.state(functions.clock.now_ms()))
    if request.invocation_type == "DryRun":
        return InvocationResponse(status_code=CHECKED)
    if request.invocation_type == "Event":
        await functions.events.put(name, payload, caller.request_id)
        return InvocationResponse(status_code=QUEUED)
    wants_log = request.log_type == "Tail"
    invoked = await functions.invoker.invoke(
        Invocation(
            name.account,
            name.region,
            name.qualified_arn,
            payload,
            wants_log=wants_log,
            client_context=checked_context(request.client_context),
            request_id=caller.request_id,
        )
    )
    return InvocationResponse(
        status_code=DONE,
        payload=invoked.payload,
        function_error=invoked.function_error,
        log_result=pybase64.b64encode_as_string(invoked.log_tail) if wants_log else None,
        executed_version=invoked.version,
    )


class InvokeAsyncRequest(FunctionInput):
    """InvokeAsync."""

    function_name: str
    invoke_args: bytes = b""


class InvokeAsyncResponse(FunctionOutput):
    """Nothing but a status."""

    status: int


async def invoke_async(functions: Functions, caller: Caller, request: InvokeAsyncRequest) -> InvokeAsyncResponse:
    """Keep an event for a function, as Invoke does with `Event`."""
    name, _, _ = functions.found(caller, request.function_name)
    await functions.events.put(name, checked_payload(request.invoke_args, "Event"), caller.request_id)
    return InvokeAsyncResponse(status=QUEUED)


def checked_payload(payload: bytes, kind: str) -> bytes:
    """An event as a function gets it.  Raises PAYLOAD_TOO_LARGE, EVENT_TOO_LARGE, PAYLOAD_NOT_JSON."""
    if kind == "Event" and len(payload) > EVENT_MAX_BYTES:
        raise FunctionError.EVENT_TOO_LARGE(size=len(payload), limit=EVENT_MAX_BYTES)
    if len(payload) > PAYLOAD_MAX_BYTES:
        raise FunctionError.PAYLOAD_TOO_LARGE(limit=PAYLOAD_MAX_BYTES)
    if not payload.strip():
        return b"{}"
    try:
        _syntax.decode(payload)
        payload.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FunctionError.PAYLOAD_NOT_JSON(problem=str(error)[:200]) from None
    return payload


def checked_context(text: str | None) -> str | None:
    """A client context.  Raises CONTEXT_MALFORMED."""
    if text is None:
        return None
    try:
        if len(text) > CONTEXT_MAX_BYTES:
            raise ValueError(text[:1])
        decoded = msgspec.json.decode(pybase64.b64decode(text, validate=True))
    except (ValueError, RecursionError):
        raise FunctionError.CONTEXT_MALFORMED() from None
    if not isinstance(decoded, dict):
        raise FunctionError.CONTEXT_MALFORMED()
    return text
