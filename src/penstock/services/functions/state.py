"""What is kept of functions: immutable records, one MetaStore key for a function and one for each published version.

Every field is part of the data directory's format: add with a default, never rename.  What is asked of a configuration and only told back
(a VPC, tracing, ...) is kept as the API spells it.
"""

from typing import Any, Final, Literal

import msgspec

from penstock.core.ids import AccountId, Millis, Region
from penstock.services.functions.invoking import LATEST
from penstock.services.functions.names import function_arn

ROOT: Final = "functions/"  # every key of the service begins with it, those of mappings too
FUNCTIONS: Final = ROOT + "function/"
VERSIONS: Final = ROOT + "version/"
EVENTS: Final = ROOT + "event/"

State = Literal["Pending", "Active"]


class Code(msgspec.Struct, frozen=True):
    """Where the code of a version is: a zip in the Blobs, or a directory of this machine."""

    sha256: str  # base64
    size_bytes: int
    blob: str | None = None
    directory: str | None = None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What a function is: its code and configuration, of $LATEST or of a number."""

    number: str = LATEST
    revision: str  # changes with everything here
    code: Code
    role: str
    runtime: str
    handler: str
    modified_ms: Millis
    ready_ms: Millis  # from when on it is in force: Pending or InProgress until then
    new: bool = True  # what it waits for is its creation, not an update
    description: str = ""
    timeout_s: int = 3
    memory_mb: int = 128
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    dead_letter_arn: str = ""
    kept: dict[str, Any] = msgspec.field(default_factory=dict)  # members that are told back, by AWS's names

    def state(self, now_ms: int) -> State:
        """Whether it can be invoked."""
        return "Pending" if self.new and now_ms < self.ready_ms else "Active"

    def updating(self, now_ms: int) -> bool:
        """Whether an update of it is under way."""
        return not self.new and now_ms < self.ready_ms


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """Another name of a version, or of two by their shares."""

    version: str
    revision: str
    description: str = ""
    weights: dict[str, float] = msgspec.field(default_factory=dict)  # of another version


class Policy(msgspec.Struct, frozen=True):
    """The resource policy of a function, or of a version or alias of it."""

    revision: str
    statements: dict[str, dict[str, Any]]  # by their ids

    @property
    def document(self) -> bytes:
        """It, as IAM reads it."""
        statements = list(self.statements.values())
        return msgspec.json.encode({"Version": "2012-10-17", "Id": "default", "Statement": statements})


class EventConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of events."""

    modified_ms: Millis
    retries: int | None = None
    age_s: int | None = None
    on_success: str = ""
    on_failure: str = ""


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function, and everything of it but its published versions."""

    account: AccountId
    region: Region
    name: str
    uid: str  # never reused, unlike the name
    created_ms: Millis
    latest: Version
    next_version: int = 1
    aliases: dict[str, Alias] = msgspec.field(default_factory=dict)
    policies: dict[str, Policy] = msgspec.field(default_factory=dict)  # by qualifier; of the function itself: ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    reserved_concurrency: int | None = None
    event_configs: dict[str, EventConfig] = msgspec.field(default_factory=dict)  # by qualifier
    recursive_loop: str = "Terminate"

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return function_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        """Its ARN, without a qualifier."""
        return function_arn(self.region, self.account, self.name)


def function_key(account: str, region: str, name: str) -> str:
    """The MetaStore key of a function."""
    return f"{FUNCTIONS}{account}/{region}/{name}"


def version_key(uid: str, number: str) -> str:
    """The MetaStore key of a published version; in order of numbers."""
    return f"{VERSIONS}{uid}/{int(number):010}"


def read_version_key(key: str) -> tuple[str, str]:
    """The function's uid and the number that a key of a version tells."""
    uid, _, number = key.removeprefix(VERSIONS).partition("/")
    return uid, str(int(number))


function_decoder: Final = msgspec.msgpack.Decoder(Function)
version_decoder: Final = msgspec.msgpack.Decoder(Version)


def encode(record: Function | Version) -> bytes:
    """The MetaStore value of a record."""
    return msgspec.msgpack.encode(record)
