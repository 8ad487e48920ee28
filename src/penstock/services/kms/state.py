"""What is kept of keys and aliases: immutable records, one MetaStore key each.

Every field is part of the data directory's format: add with a default, never rename.  Key material is only ever here sealed (vault.py).
"""

from typing import Final, Literal, NamedTuple

import msgspec

from penstock.core.ids import AccountId, Millis, Region

ROOT: Final = "kms/"  # every key of this service begins with it

KeyState = Literal["Enabled", "Disabled", "PendingDeletion", "Unavailable"]
Manager = Literal["AWS", "CUSTOMER"]
RotationType = Literal["AUTOMATIC", "ON_DEMAND"]


class Place(NamedTuple):
    """Where a key lives."""

    account: AccountId
    region: Region


class Material(msgspec.Struct, frozen=True):
    """One version of a key's material.  Ciphertexts name it, so it lasts as long as the key."""

    no: int
    sealed: bytes
    created_ms: Millis
    rotation: RotationType | None = None  # what made it; None: the key's creation


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A symmetric master key."""

    account: AccountId
    region: Region
    id: str  # a UUID
    created_ms: Millis
    manager: Manager = "CUSTOMER"
    enabled: bool = True
    deletion_ms: Millis | None = None  # when it will be gone; None: it is not to be deleted
    description: str = ""
    policy: str
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    materials: tuple[Material, ...]  # by number; the last one encrypts
    rotation_days: int | None = None  # None: it is not rotated by itself
    rotation_from_ms: Millis | None = None  # when the present period began

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{ROOT}key/{self.account}/{self.region}/{self.id}"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:kms:{self.region}:{self.account}:key/{self.id}"

    @property
    def place(self) -> Place:
        """Where it lives."""
        return Place(self.account, self.region)

    def gone(self, now_ms: int) -> bool:
        """Whether its deletion is due."""
        return self.deletion_ms is not None and now_ms >= self.deletion_ms


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """Another name of a key."""

    account: AccountId
    region: Region
    name: str  # with its "alias/"
    key_id: str
    created_ms: Millis
    updated_ms: Millis

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return alias_key(Place(self.account, self.region), self.name)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return alias_arn(Place(self.account, self.region), self.name)


def alias_key(place: Place, name: str) -> str:
    """The MetaStore key of an alias."""
    return f"{ROOT}alias/{place.account}/{place.region}/{name.removeprefix('alias/')}"


def alias_arn(place: Place, name: str) -> str:
    """The ARN of an alias, whether it exists or not."""
    return f"arn:aws:kms:{place.region}:{place.account}:{name}"


def key_arn(place: Place, key_id: str) -> str:
    """The ARN of a key, whether it exists or not."""
    return f"arn:aws:kms:{place.region}:{place.account}:key/{key_id}"


_key_decoder: Final = msgspec.msgpack.Decoder(Key)
_alias_decoder: Final = msgspec.msgpack.Decoder(Alias)


def encode(record: Key | Alias) -> bytes:
    """The MetaStore value of a record."""
    return msgspec.msgpack.encode(record)


def decode(key: str, value: bytes) -> Key | Alias | None:
    """The record under a key; None for a key that is none of this service's.  Raises msgspec.DecodeError."""
    kind = key.split("/", 2)[1]
    if kind == "key":
        return _key_decoder.decode(value)
    return _alias_decoder.decode(value) if kind == "alias" else None
