"""Failed calls: which may be made again, and for how long.

Source: the Kinesis API reference's common errors, and the AWS SDKs' list of throttling codes.
"""

from enum import Enum, auto
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
)
from botocore.parsers import ResponseParserError

from penstock.host.clock import monotonic_s

CALL_ERRORS: Final = (ClientError, BotoCoreError, ResponseParserError)
NOBODY_THERE: Final = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)
PATIENCE_S: Final = 15.0  # without one success, then the call has failed for good
FIRST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 0.25
THROTTLING_CODES: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "KMSThrottlingException",
        "ThrottlingException",
    }
)


class Fate(Enum):
    """What became of a call that raised."""

    REFUSED = auto()  # nothing was done: make it again
    UNKNOWN = auto()  # it may have been done: make it again, knowing that
    FAILED = auto()  # it would fail again


def fate_of(error: Exception) -> Fate:
    """Judge one of CALL_ERRORS."""
    match error:
        case ClientError():
            if error_code(error) in THROTTLING_CODES:
                return Fate.REFUSED
            return Fate.UNKNOWN if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500 else Fate.FAILED
        case EndpointConnectionError() | ConnectTimeoutError() | ProxyConnectionError():
            return Fate.REFUSED
        case HTTPClientError() | ResponseParserError():
            return Fate.UNKNOWN
        case _:
            return Fate.FAILED


def error_code(error: Exception) -> str:
    """The error's name on the wire, or "" for one that never came from a server."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def error_text(error: Exception) -> str:
    """What to tell of one of CALL_ERRORS, or of a call that took too long."""
    if not isinstance(error, ClientError):
        return str(error) or type(error).__name__
    row = error.response["Error"]
    return f"{row['Code']}: {row['Message']}" if row.get("Message") else str(row["Code"])


class Patience:
    """The waits between attempts: twice as long each time, until nothing has worked for PATIENCE_S."""

    def __init__(self) -> None:
        self.worked()

    def worked(self) -> None:
        """Start anew."""
        self._wait_s = FIRST_WAIT_S
        self._failing_since_s: float | None = None

    def wait_s(self) -> float | None:
        """Seconds to wait before the next attempt, or None to give up."""
        now_s = monotonic_s()
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if now_s - self._failing_since_s > PATIENCE_S:
            return None
        wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, LONGEST_WAIT_S)
        return wait_s
