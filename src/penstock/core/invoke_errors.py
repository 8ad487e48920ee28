"""The error table of invocations: why a function is not run, beside the rows of functions themselves.

The rules are those of errors.py.  What a function fails with is an answer and no row; those are words of running/outcome.py.
Source of texts, where no other is named: the API reference, and answers of Lambda that users' reports quote.
"""

from typing import Final

from penstock.core.errors import Row, ServiceError, Table


class InvokeError(Table):
    """The rows."""

    TOO_MANY = Row("TooManyRequestsException", "Rate Exceeded.", 429)
    PENDING = Row(
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the following state: {state}",
        409,
    )
    # Ours: they say what to do
    RUNTIME = Row("InvalidRuntimeException", "Functions in {runtime} cannot be run: {why}", 502)
    CANNOT_RUN = Row("InvalidRuntimeException", "The function cannot be started: {why}", 502)
    CODE_LOST = Row("InvalidZipFileException", "Lambda could not unzip the deployment package: {why}", 502)
    ENDPOINT = Row("ServiceException", "The endpoint that functions run at cannot be asked: {why}", 502)


RESERVED: Final = "ReservedFunctionConcurrentInvocationLimitExceeded"
UNRESERVED: Final = "ConcurrentInvocationLimitExceeded"


def throttled(reason: str) -> ServiceError:
    """A refusal for concurrency; the reason is one of the model's."""
    refusal = InvokeError.TOO_MANY()
    refusal.details = {"Reason": reason, "Type": "User"}
    return refusal
