"""What is kept of an event source mapping, and of how far it has come: immutable records, one MetaStore key each.

Every field is part of the data directory's format: add with a default, never rename.
"""

from typing import Final, Literal

import msgspec

from penstock.core.ids import AccountId, Millis, Region, StreamUid
from penstock.services.streams.course import StartingPosition

ROOT: Final = "functions/mapping/"  # every key of this part begins with it
MAPPINGS: Final = ROOT + "map/"
PLACES: Final = ROOT + "place/"

State = Literal["Creating", "Enabling", "Enabled", "Disabling", "Disabled", "Updating", "Deleting"]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How records are made into batches, and what happens to a batch that fails."""

    batch_size: int = 100
    batching_window_s: int = 0
    parallelization_factor: int = 1
    retries_max: int = -1  # -1: until the records expire
    record_age_max_s: int = -1  # -1: the stream's retention
    bisect: bool = False
    tumbling_window_s: int = 0  # 0: none
    reports_items: bool = False  # ReportBatchItemFailures
    filters: tuple[str, ...] = ()  # patterns, any of which is to match; none: every record is taken


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping of a stream, or of a fan-out consumer of one, to a function."""

    uuid: str
    account: AccountId
    region: Region
    source_arn: str
    function: str  # the function's ARN, with a qualifier where one was given
    stream_uid: StreamUid | None = None  # of the stream that it reads; another stream of that name is another course
    since: int = 0  # see course.py
    starting_position: StartingPosition
    starting_ms: Millis | None = None  # of AT_TIMESTAMP
    policy: Policy = Policy()
    destination: str | None = None  # ARN of where records go that were given up
    kms_key_arn: str | None = None
    counts_events: bool = False  # MetricsConfig: EventCount
    enabled: bool = True
    state: State
    modified_ms: Millis
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{MAPPINGS}{self.uuid}"


class WindowState(msgspec.Struct, frozen=True):
    """A tumbling window that is open."""

    start_ms: Millis
    state: bytes = b"{}"  # JSON, as the function returned it


class LanePlace(msgspec.Struct, frozen=True):
    """How far one lane of a shard has come."""

    place: int  # the first record that is unfinished (rows.py)
    window: WindowState | None = None
    tries: int = 0  # that failed, of the batch that begins there
    until: int = 0  # the last record of that batch


class ShardPlace(msgspec.Struct, frozen=True):
    """How far a mapping has come in a shard: a checkpoint."""

    uuid: str  # of the mapping
    stream_uid: StreamUid
    shard_no: int
    lanes: tuple[LanePlace, ...] = ()  # one for each lane
    finished: bool = False

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return place_key(self.uuid, self.stream_uid, self.shard_no)


def place_key(uuid: str, stream_uid: StreamUid, shard_no: int) -> str:
    """The MetaStore key of a checkpoint."""
    return f"{PLACES}{uuid}/{stream_uid}/{shard_no:012d}"


_mapping_decoder = msgspec.msgpack.Decoder(Mapping)
_place_decoder = msgspec.msgpack.Decoder(ShardPlace)


def encode(state: Mapping | ShardPlace) -> bytes:
    """The bytes of a record's MetaStore value."""
    return msgspec.msgpack.encode(state)


def decode_mapping(value: bytes) -> Mapping:
    """Read a mapping back."""
    return _mapping_decoder.decode(value)


def decode_place(value: bytes) -> ShardPlace:
    """Read a checkpoint back."""
    return _place_decoder.decode(value)


def check(key: str, value: bytes) -> None:
    """Raise msgspec.MsgspecError if what is stored under a key of this part does not decode."""
    if key.startswith(MAPPINGS):
        decode_mapping(value)
    elif key.startswith(PLACES):
        decode_place(value)
