"""Outcomes: how an invocation ended, in Lambda's words.

Rules of this file: pure.  A function's failure is a document of errorType and errorMessage, as whoever invoked it is told; what stands in
the log is said here too, because both say the same in two ways.
Source: answers and logs that Lambda's documentation and users' reports quote.
"""

import signal
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from penstock.services.functions.running.messages import RESPONSE_MAX_BYTES

FunctionError = Literal["Handled", "Unhandled"]


class Outcome(msgspec.Struct, frozen=True):
    """How an invocation ended."""

    payload: bytes
    error: FunctionError | None = None
    status: str = ""  # in the REPORT line; empty where the function itself answered
    error_type: str = ""  # likewise
    log: str = ""  # a line that says why


def returned(payload: bytes) -> Outcome:
    """The function returned."""
    return Outcome(payload)


def raised(payload: bytes, kind: bytes) -> Outcome:
    """The runtime reported an error."""
    return Outcome(payload, "Handled" if kind.lower() == b"handled" else "Unhandled")


def failed_to_start(payload: bytes, kind: bytes) -> Outcome:
    """The runtime reported that it cannot begin."""
    return Outcome(payload, "Unhandled", "error", kind.decode("ascii", "replace")[:128])


def timed_out(request_id: str, after_s: float, at: str) -> Outcome:
    """The deadline came first; `at` is the time as the log has it."""
    why = f"Task timed out after {after_s:.2f} seconds"
    payload = _document("Sandbox.Timedout", f"RequestId: {request_id} Error: {why}")
    return Outcome(payload, "Unhandled", "timeout", log=f"{at} {request_id} {why}\n")


def exited(request_id: str, code: int | None) -> Outcome:
    """The process ended by itself, or was killed by something else."""
    why = f"RequestId: {request_id} Error: Runtime exited {_reason(code)}"
    return Outcome(
        _document("Runtime.ExitError", why), "Unhandled", "error", "Runtime.ExitError", f"{why}\nRuntime.ExitError\n"
    )


def _reason(code: int | None) -> str:
    if code is None or code == 0:
        return "without providing a reason"
    if code > 0:
        return f"with error: exit status {code}"
    return f"with error: signal: {_SIGNALS.get(-code, str(-code))}"


_SIGNALS: Final[Mapping[int, str]] = {  # as Go words them, which Lambda's supervisor is written in
    signal.SIGHUP: "hangup",
    signal.SIGINT: "interrupt",
    signal.SIGQUIT: "quit",
    signal.SIGILL: "illegal instruction",
    signal.SIGTRAP: "trace/breakpoint trap",
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGPIPE: "broken pipe",
    signal.SIGALRM: "alarm clock",
    signal.SIGTERM: "terminated",
}


def too_large() -> Outcome:
    """The answer is larger than answers may be; runtimes log it themselves."""
    why = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_MAX_BYTES} bytes)."
    kind = "Function.ResponseSizeTooLarge"
    return Outcome(_document(kind, why), "Unhandled", "error", kind)


def no_entry(request_id: str) -> Outcome:
    """There is no program to run, or it is none."""
    why = f"RequestId: {request_id} Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    kind = "Runtime.InvalidEntrypoint"
    return Outcome(_document(kind, why), "Unhandled", "error", kind, f"{why}\n{kind}\n")


def _document(kind: str, message: str) -> bytes:
    return msgspec.json.encode({"errorType": kind, "errorMessage": message})
