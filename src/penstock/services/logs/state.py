"""What is kept of groups, streams and events: immutable records, and the MetaStore keys that they are kept under.

Theory.  A stream's events are kept in chunks: up to CHUNK_BYTES of them in the order of (time, sequence number), under a key that is the
place of the first.  The ranges of chunks do not overlap, so that the order of keys is the order of events, and any moment is found by one
look-up.  Nothing of this service is held in memory: what is asked for is read.
Every field is part of the data directory's format: add with a default, never rename.
"""

from typing import Final, Literal, NamedTuple

import msgspec

from penstock.core.ids import AccountId, Millis, Region
from penstock.core.limits import DAY_MS

ROOT: Final = "logs/"  # every key of this service begins with it
GROUPS: Final = ROOT + "group/"
STREAMS: Final = ROOT + "stream/"
EVENTS: Final = ROOT + "event/"
GONE: Final = ROOT + "gone/"  # uids of what was deleted, until all of it is

CHUNK_BYTES: Final = 64 << 10
EVENT_OVERHEAD_BYTES: Final = 26  # what AWS counts for each event beside its message

GroupClass = Literal["STANDARD", "INFREQUENT_ACCESS", "DELIVERY", "ESSENTIALS"]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A log group."""

    account: AccountId
    region: Region
    name: str
    uid: str  # never reused, unlike the name
    created_ms: Millis
    retention_days: int | None = None  # None: events are kept for ever
    kms_key: str | None = None  # told back; nothing is encrypted with it
    group_class: GroupClass = "STANDARD"
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    protected: bool = False  # against deletion

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return group_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return group_arn(self.region, self.account, self.name)

    def horizon_ms(self, now_ms: int) -> int:
        """The moment before which its events have expired."""
        return 0 if self.retention_days is None else max(0, now_ms - self.retention_days * DAY_MS)


class LogStream(msgspec.Struct, frozen=True, kw_only=True):
    """A log stream."""

    group_uid: str
    name: str
    uid: str
    created_ms: Millis
    first_ms: Millis | None = None  # of its events
    last_ms: Millis | None = None
    ingested_ms: Millis | None = None  # when the last one came
    next_sequence: int = 0
    stored_bytes: int = 0

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return stream_key(self.group_uid, self.name)


class Place(NamedTuple):
    """A place in a stream: before the event of this time and sequence number."""

    at_ms: int
    sequence: int


class Event(msgspec.Struct, frozen=True, array_like=True):
    """A log event."""

    at_ms: int
    sequence: int  # of its stream; later events of one moment have higher ones
    ingested_ms: int
    message: str

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.at_ms, self.sequence)

    @property
    def size_bytes(self) -> int:
        """What AWS counts for it."""
        return event_bytes(self.message)


def event_bytes(message: str) -> int:
    """What AWS counts for an event of this message."""
    return len(message.encode()) + EVENT_OVERHEAD_BYTES


def group_key(account: str, region: str, name: str) -> str:
    """The MetaStore key of a group."""
    return f"{GROUPS}{account}/{region}/{name}"


def stream_key(group_uid: str, name: str) -> str:
    """The MetaStore key of a stream."""
    return f"{STREAMS}{group_uid}/{name}"


def chunk_key(stream_uid: str, place: Place) -> str:
    """The MetaStore key of the chunk whose first event stands there."""
    return f"{EVENTS}{stream_uid}/{place.at_ms:014d}-{place.sequence:015d}"


def group_arn(region: str, account: str, name: str) -> str:
    """The ARN of a group, as policies name it; DescribeLogGroups appends `:*` to one of the two that it tells."""
    return f"arn:aws:logs:{region}:{account}:log-group:{name}"


encode: Final = msgspec.msgpack.Encoder().encode
decode_group: Final = msgspec.msgpack.Decoder(Group).decode
decode_stream: Final = msgspec.msgpack.Decoder(LogStream).decode
decode_chunk: Final = msgspec.msgpack.Decoder(list[Event]).decode
