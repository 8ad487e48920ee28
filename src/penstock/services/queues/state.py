"""What is kept of queues and messages: immutable records, and the MetaStore keys that they are kept under.

Theory.  A message is a record under its id, and a pointer under the moment at which it becomes visible.  The order of pointers is
the order in which messages are received; receiving one moves its pointer into the future, by the visibility timeout.  So nothing is held
in memory, and what a crash interrupts is visible again when its time has come.
Every field is part of the data directory's format: add with a default, never rename.
"""

from typing import Final, NamedTuple

import msgspec

from penstock.core.ids import AccountId, Millis, Region

ROOT: Final = "queues/"  # every key of this service begins with it
QUEUES: Final = ROOT + "queue/"
MESSAGES: Final = ROOT + "message/"
DUE: Final = ROOT + "due/"
GONE: Final = ROOT + "gone/"  # uids of what was deleted or purged, until all of it is


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue."""

    account: AccountId
    region: Region
    name: str
    uid: str  # of its messages; a purge gives it a new one
    created_ms: Millis
    modified_ms: Millis
    attributes: dict[str, str] = msgspec.field(default_factory=dict)  # those that were set, in canonical form
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    purged_ms: Millis | None = None

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return queue_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return queue_arn(self.region, self.account, self.name)


class Value(msgspec.Struct, frozen=True, array_like=True):
    """The value of a message attribute."""

    data_type: str  # "String", "Number", "Binary", each perhaps with ".<label>"
    text: str | None = None
    data: bytes | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message."""

    id: str
    body: str
    attributes: dict[str, Value] = msgspec.field(default_factory=dict)
    trace: str | None = None  # its AWSTraceHeader
    sender: str = ""
    sent_ms: Millis
    due: str  # where its pointer is, behind the queue's prefix
    receives: int = 0
    first_receive_ms: Millis | None = None
    source: str | None = None  # the ARN of the queue that it failed in


class Pointer(msgspec.Struct, frozen=True, array_like=True):
    """Which message becomes visible, and what it waits for."""

    id: str
    sent_ms: int
    state: int  # WAITING (visible at once), DELAYED, IN_FLIGHT


WAITING, DELAYED, IN_FLIGHT = 0, 1, 2


class Counts(NamedTuple):
    """About how many messages there are."""

    visible: int
    in_flight: int
    delayed: int


def queue_key(account: str, region: str, name: str) -> str:
    """The MetaStore key of a queue."""
    return f"{QUEUES}{account}/{region}/{name}"


def message_key(uid: str, message_id: str) -> str:
    """The MetaStore key of a message."""
    return f"{MESSAGES}{uid}/{message_id}"


def due_name(due_ms: int, order: int, message_id: str) -> str:
    """The name of a pointer within its queue; `order` tells apart what becomes visible in one millisecond."""
    return f"{due_ms:014d}-{order:012d}-{message_id}"


def queue_arn(region: str, account: str, name: str) -> str:
    """The ARN of a queue."""
    return f"arn:aws:sqs:{region}:{account}:{name}"


encode: Final = msgspec.msgpack.Encoder().encode
decode_queue: Final = msgspec.msgpack.Decoder(Queue).decode
decode_message: Final = msgspec.msgpack.Decoder(Message).decode
decode_pointer: Final = msgspec.msgpack.Decoder(Pointer).decode
