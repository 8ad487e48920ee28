"""What is kept of a stream and of its shards: immutable records, one MetaStore key each.

Every field is part of the data directory's format: add with a default, never rename.
"""

from typing import Literal

import msgspec

from penstock.core.ids import AccountId, Millis, Region, StreamName, StreamUid
from penstock.core.limits import RECORD_DEFAULT_MAX_KIB, RETENTION_MIN_HOURS
from penstock.engines.api import LogId
from penstock.services.streams.sequence import ShardOrigin
from penstock.services.streams.topology import HashRange

Status = Literal["CREATING", "ACTIVE", "UPDATING", "DELETING"]
ConsumerStatus = Literal["CREATING", "ACTIVE", "DELETING"]
Mode = Literal["PROVISIONED", "ON_DEMAND"]
Distribution = Literal["USER_PARTITION_KEY", "AUTO"]

ROOT = "streams/"  # every key of this service begins with it
DATA_KEYS = ROOT + "datakey/"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream, but for its shards."""

    account: AccountId
    region: Region
    name: StreamName
    uid: StreamUid
    created_ms: Millis
    status: Status
    mode: Mode
    distribution: Distribution = "USER_PARTITION_KEY"
    retention_hours: int = RETENTION_MIN_HOURS
    max_record_kib: int = RECORD_DEFAULT_MAX_KIB
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    target: tuple[str, ...] = ()  # while it is resharded: the first hash keys of the shards to come, decimal, ascending
    rescaled_ms: tuple[Millis, ...] = ()  # when UpdateShardCount began, within the last 24 hours
    mode_changed_ms: tuple[Millis, ...] = ()  # when UpdateStreamMode changed it, within the last 24 hours
    warm_throughput_mibps: int | None = None
    shard_level_metrics: tuple[str, ...] = ()  # enhanced monitoring, sorted
    key_id: str | None = None  # of its KMS key, as it was given; None: not encrypted
    encrypted_ms: tuple[Millis, ...] = ()  # when StartStreamEncryption set a key, within the last 24 hours
    decrypted_ms: tuple[Millis, ...] = ()  # when StopStreamEncryption took it away, within the last 24 hours
    policy: str | None = None  # its resource policy, as it was given

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{ROOT}stream/{self.account}/{self.region}/{self.name}"

    @property
    def is_hidden(self) -> bool:
        """Whether it is another service's, which its clients neither see nor count: no client can name it."""
        return ":" in self.name


def shard_log(uid: StreamUid, shard_no: int) -> LogId:
    """The log that holds the records of a shard."""
    return LogId(f"{uid}/{shard_no}")


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A shard, open or closed."""

    uid: StreamUid  # of its stream
    no: int
    hash_start: str  # decimal: 128 bits fit no integer of the encoding
    hash_end: str
    created_ms: Millis
    created_s: int  # as its sequence numbers carry it; above its parents'
    parent_no: int | None = None
    adjacent_parent_no: int | None = None  # the other parent of a merge
    closed_ms: Millis | None = None  # None while open

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{ROOT}shard/{self.uid}/{self.no:012d}"

    @property
    def log(self) -> LogId:
        """The log that holds its records."""
        return shard_log(self.uid, self.no)

    @property
    def origin(self) -> ShardOrigin:
        """What its sequence numbers are made from."""
        return ShardOrigin(self.no, self.created_s)

    @property
    def hash_range(self) -> HashRange:
        """Its range of hash keys."""
        return HashRange(int(self.hash_start), int(self.hash_end))


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """A registered fan-out consumer of a stream."""

    uid: StreamUid  # of its stream
    name: str
    created_ms: Millis
    status: ConsumerStatus
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    policy: str | None = None  # its resource policy, as it was given

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{ROOT}consumer/{self.uid}/{self.name}"


class DataKey(msgspec.Struct, frozen=True, kw_only=True):
    """A data key of an encrypted stream, as it is kept: itself encrypted.  Each record that it sealed names its number."""

    uid: StreamUid  # of its stream
    no: int
    key_id: str  # the stream's KeyId, as it was given when this was made
    arn: str  # of the master key that it is encrypted with
    blob: bytes
    created_ms: Millis

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{DATA_KEYS}{self.uid}/{self.no:012d}"


_stream_decoder = msgspec.msgpack.Decoder(Stream)
_shard_decoder = msgspec.msgpack.Decoder(Shard)
_consumer_decoder = msgspec.msgpack.Decoder(Consumer)
_data_key_decoder = msgspec.msgpack.Decoder(DataKey)


def encode(state: Stream | Shard | Consumer | DataKey) -> bytes:
    """The bytes of a record's MetaStore value."""
    return msgspec.msgpack.encode(state)


def decode_stream(value: bytes) -> Stream:
    """Read a stream back."""
    return _stream_decoder.decode(value)


def decode_shard(value: bytes) -> Shard:
    """Read a shard back."""
    return _shard_decoder.decode(value)


def decode_consumer(value: bytes) -> Consumer:
    """Read a consumer back."""
    return _consumer_decoder.decode(value)


def decode_data_key(value: bytes) -> DataKey:
    """Read a data key back."""
    return _data_key_decoder.decode(value)
