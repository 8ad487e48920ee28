"""Functions that run elsewhere: events are sent to one URL that answers as Lambda does.

Theory.  AWS's own runtime images hold an emulator of Lambda's interface that runs one function; it, and what speaks like it, takes an
event as a POST and answers with what the function returned.  Nothing of a stranger's runs on this machine.
Rules of this file: admission, errors of the function, log lines and metrics are those of functions that run here.
Source: developer guide, "Using the runtime interface emulator".
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Final

import msgspec

from penstock.core.errors import ServiceError
from penstock.core.ids import UUID_BYTES, uuid_text
from penstock.core.invoke_errors import UNRESERVED, InvokeError, throttled
from penstock.host.httppost import CannotPost, HttpPost, Posted, TookTooLong
from penstock.services.functions.invoking import FunctionSource, FunctionVersion, Invocation, Invoked
from penstock.services.functions.running import outcome
from penstock.services.functions.running.admission import admit
from penstock.services.functions.running.concurrency import Concurrency
from penstock.services.functions.running.lines import Lines
from penstock.services.functions.running.messages import RESPONSE_MAX_BYTES
from penstock.services.functions.running.meter import Meter
from penstock.services.functions.running.outcome import Outcome
from penstock.services.functions.running.surroundings import Surroundings, time_text
from penstock.services.logs.sink import LogSink

PATH: Final = "/2015-03-31/functions/function/invocations"
GRACE_S: Final = 2.0  # beyond the function's own timeout
_OK: Final = 200
_TOO_MANY: Final = 429


class _Failure(msgspec.Struct):
    """What an emulator answers for a function that failed, with no header to say so."""

    errorType: str  # noqa: N815 - the document's own name
    errorMessage: str  # noqa: N815


class RemoteRunner:
    """Runs functions at one URL."""

    def __init__(
        self,
        source: FunctionSource,
        post: HttpPost,
        around: Surroundings,
        logs: LogSink,
        meter: Meter,
        concurrency: Concurrency,
    ) -> None:
        self._source = source
        self._post = post
        self._around = around
        self._logs = logs
        self._meter = meter
        self._concurrency = concurrency

    async def invoke(self, invocation: Invocation) -> Invoked:
        """Run a function once.  See Invoker."""
        version = self._source.find(invocation.account, invocation.region, invocation.function)
        admit(version)
        request_id = invocation.request_id or uuid_text(self._around.entropy.bytes(UUID_BYTES))
        if invocation.kind == "DryRun":
            return Invoked(request_id, b"", None, version.version)
        try:
            under_way = self._concurrency.enter(version)
        except ServiceError:
            self._meter.throttled(version)
            raise
        began_s = self._around.seconds()
        lines = self._lines(version)
        lines.say(f"START RequestId: {request_id} Version: {version.version}\n")
        try:
            how = await self._ask(version, invocation, request_id, lines)
        finally:
            self._concurrency.leave(version)
        took_ms = (self._around.seconds() - began_s) * 1000
        lines.say(
            f"{how.log}END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: {took_ms:.2f} ms\t\n"
        )
        self._meter.ran(version, took_ms, failed=how.error is not None, concurrent=under_way)
        return Invoked(request_id, how.payload, how.error, version.version, lines.tail if invocation.wants_log else b"")

    async def _ask(self, version: FunctionVersion, invocation: Invocation, request_id: str, lines: Lines) -> Outcome:
        headers = {"Content-Type": "application/json", "X-Amz-Log-Type": "Tail"}
        if invocation.client_context:
            headers["X-Amz-Client-Context"] = invocation.client_context
        timeout_s = invocation.timeout_s(version)
        try:
            posted = await self._post.post(
                PATH, invocation.payload or b"{}", headers, timeout_s + GRACE_S, RESPONSE_MAX_BYTES
            )
        except TookTooLong:
            return outcome.timed_out(request_id, timeout_s, time_text(self._around.clock.now_ms()))
        except CannotPost as problem:
            raise InvokeError.ENDPOINT(why=problem) from None
        lines.take(_log_of(posted))
        return _read(posted)

    def _lines(self, version: FunctionVersion) -> Lines:
        day = datetime.fromtimestamp(self._around.clock.now_ms() / 1000, UTC).strftime("%Y/%m/%d")
        group = version.log_group or f"/aws/lambda/{version.name}"
        return Lines(self._logs, version, group, f"{day}/[{version.version}]endpoint", self._around.clock)


def _read(posted: Posted) -> Outcome:
    """What an answer means.  Raises TOO_MANY, ENDPOINT."""
    if posted.status == _TOO_MANY:
        raise throttled(UNRESERVED)
    if posted.status != _OK:
        raise InvokeError.ENDPOINT(why=f"it answers {posted.status}")
    if len(posted.body) > RESPONSE_MAX_BYTES:
        return outcome.too_large()
    kind = posted.headers.get("x-amz-function-error", "")
    if kind or _is_failure(posted.body):
        return outcome.raised(posted.body, kind.encode("latin-1", "replace"))
    return outcome.returned(posted.body)


def _is_failure(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=_Failure)
    except msgspec.DecodeError:
        return False
    return True


def _log_of(posted: Posted) -> bytes:
    try:
        return base64.b64decode(posted.headers.get("x-amz-log-result", ""), validate=True)
    except (binascii.Error, ValueError):
        return b""
