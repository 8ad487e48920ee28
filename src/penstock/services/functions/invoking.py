"""Invoking: what is asked of a function, what it answers, and what must be known of it to run it.

Theory.  Whoever wants a function to run - the API, a mapping, a delivery stream - hands an `Invocation` to the `Invoker`.  It finds the
function through a `FunctionSource`, as a `FunctionVersion`: everything that running it takes, and nothing of how it is kept.
Rules of this file: values and protocols only; a function's own failure is an answer (`function_error`), a refusal of ours is a ServiceError
whose code is one of Lambda's.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, Protocol

import msgspec

from penstock.core.ids import AccountId, Region

LATEST: Final = "$LATEST"

Kind = Literal["RequestResponse", "Event", "DryRun"]


class Invocation(msgspec.Struct, frozen=True):
    """One call of a function."""

    account: AccountId  # of who calls, where `function` is no ARN
    region: Region
    function: str  # a name, a partial or a full ARN, with its qualifier
    payload: bytes
    kind: Kind = "RequestResponse"
    wants_log: bool = False  # the last 4 KiB of what it wrote
    client_context: str | None = None  # base64 of JSON, as it came
    request_id: str = ""  # that the caller is told; without one it is given a new one
    patience_s: int | None = None  # its caller's: then it has timed out, though the function may run for longer

    def timeout_s(self, version: "FunctionVersion") -> int:
        """How long it may take."""
        return version.timeout_s if self.patience_s is None else min(version.timeout_s, self.patience_s)


class Invoked(msgspec.Struct, frozen=True):
    """What came of it.  For Event and DryRun there is no payload."""

    request_id: str
    payload: bytes
    function_error: Literal["Handled", "Unhandled"] | None
    version: str  # that was executed
    log_tail: bytes = b""


class Invoker(Protocol):
    """Runs functions."""

    async def invoke(self, invocation: Invocation) -> Invoked:
        """Run a function once.  Events are queued by whoever takes them (the API), and come when it is their turn.

        Raises ServiceError: ResourceNotFoundException, TooManyRequestsException (details: Reason), RequestTooLargeException,
        InvalidRequestContentException, InvalidRuntimeException, ResourceNotReadyException, ...
        """
        ...


class CodeRef(msgspec.Struct, frozen=True):
    """Where a function's code is: a zip in the Blobs, or a directory of this machine that is used as it is."""

    sha256: str  # base64, as CodeSha256 is told; of a directory: empty
    blob: str | None = None
    directory: str | None = None


class FunctionVersion(msgspec.Struct, frozen=True):
    """One version of a function, ready to be run."""

    arn: str  # as it was invoked: with the qualifier that was given, if one was
    account: AccountId
    region: Region
    name: str
    version: str  # $LATEST or a number
    revision: str  # changes with its code and with its configuration: processes of an older one are not used again
    runtime: str  # python3.12, provided.al2023, nodejs22.x, ...
    handler: str
    role: str  # ARN of the execution role
    code: CodeRef
    environment: Mapping[str, str] = MappingProxyType({})
    timeout_s: int = 3
    memory_mb: int = 128
    log_group: str = ""  # empty: /aws/lambda/NAME
    reserved_concurrency: int | None = None  # of the function, over all its versions
    alias: str | None = None  # that it was invoked by
    state: str = "Active"  # Pending, Active, Inactive, Failed


class FunctionSource(Protocol):
    """Who knows the functions."""

    def find(self, account: AccountId, region: Region, function: str) -> FunctionVersion:
        """The version that a name, partial or full ARN means, with its qualifier; without one: $LATEST.

        Raises ServiceError: ResourceNotFoundException, InvalidParameterValueException.
        """
        ...
