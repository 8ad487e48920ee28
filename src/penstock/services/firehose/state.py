"""What is kept of a delivery stream: immutable records, one MetaStore key each.

Every field is part of the data directory's format: add with a default, never rename.  Secrets are only ever here sealed (vault.py).
"""

from typing import Final, Literal, NamedTuple

import msgspec

from penstock.core.ids import AccountId, Millis, Region
from penstock.engines.api import Position
from penstock.services.firehose.destinations.shapes import DestinationKind

ROOT: Final = "firehose/"  # every key of this service begins with it
STREAMS: Final = ROOT + "stream/"
CHECKPOINTS: Final = ROOT + "checkpoint/"

Status = Literal["CREATING", "CREATING_FAILED", "ACTIVE", "DELETING", "DELETING_FAILED"]
SourceType = Literal["DirectPut", "KinesisStreamAsSource", "MSKAsSource", "DatabaseAsSource"]
EncryptionStatus = Literal["ENABLED", "ENABLING", "ENABLING_FAILED", "DISABLED", "DISABLING", "DISABLING_FAILED"]
KeyType = Literal["AWS_OWNED_CMK", "CUSTOMER_MANAGED_CMK"]
DESTINATION_ID: Final = "destinationId-000000000001"

Document = dict[str, object]  # as the API has it, members under AWS's names


class Encryption(msgspec.Struct, frozen=True):
    """The state of server-side encryption."""

    status: EncryptionStatus = "DISABLED"
    key_type: KeyType | None = None
    key_arn: str | None = None
    failure: tuple[str, str] | None = None  # type and details


class DeliveryStream(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery stream."""

    account: AccountId
    region: Region
    name: str
    uid: str  # never reused, unlike the name
    created_ms: Millis
    updated_ms: Millis | None = None
    status: Status
    type: SourceType = "DirectPut"
    version: int = 1
    kind: DestinationKind
    destination: Document  # accepted, its defaults filled in, without its secrets
    sealed: bytes = b""  # its secrets
    source: Document | None = None  # of the source's description
    source_uid: str = ""  # of the Kinesis stream: another one of the same name is another source
    source_since: int = 0  # course.Beginning.since of the source stream
    encryption: Encryption = Encryption()
    encryption_changes_ms: tuple[Millis, ...] = ()  # within the last 24 hours
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    failure: tuple[str, str] | None = None  # why creation failed: type and details

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{STREAMS}{self.account}/{self.region}/{self.name}"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:firehose:{self.region}:{self.account}:deliverystream/{self.name}"

    @property
    def inlet(self) -> str:
        """The name of the hidden stream that takes its direct puts."""
        return f"firehose:{self.name}:{self.uid}"

    @property
    def source_arn(self) -> str | None:
        """The ARN of the Kinesis stream that it reads from."""
        arn = (self.source or {}).get("KinesisStreamARN")
        return arn if isinstance(arn, str) else None


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a shard of the source is accounted for."""

    uid: str  # of the delivery stream
    shard_no: int
    incarnation: int
    offset: int
    finished: bool = False  # the shard was closed, and all of it is accounted for

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{CHECKPOINTS}{self.uid}/{self.shard_no:012d}"

    @property
    def position(self) -> Position:
        """The first record that is not accounted for."""
        return Position(self.incarnation, self.offset)


class Kept(NamedTuple):
    """A checkpoint and the version that its next writer must name."""

    checkpoint: Checkpoint
    version: int


_streams = msgspec.msgpack.Decoder(DeliveryStream)
_checkpoints = msgspec.msgpack.Decoder(Checkpoint)


def encode(record: DeliveryStream | Checkpoint) -> bytes:
    """The bytes of a record's MetaStore value."""
    return msgspec.msgpack.encode(record)


def decode_stream(value: bytes) -> DeliveryStream:
    """Read a delivery stream back."""
    return _streams.decode(value)


def decode_checkpoint(value: bytes) -> Checkpoint:
    """Read a checkpoint back."""
    return _checkpoints.decode(value)
