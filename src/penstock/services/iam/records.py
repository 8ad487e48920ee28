"""What is kept of accounts, users, roles, policies, access keys and instance profiles: immutable records, one MetaStore key each.

Every field is part of the data directory's format: add with a default, never rename.  A secret is only ever here sealed (vault.py).
Names are unique in their account without regard to case, so the key has them in lower case.
"""

from typing import Final, Literal, TypeVar

import msgspec

from penstock.core.ids import AccountId, Millis

ROOT: Final = "iam/"  # every key of this service begins with it
AWS_ACCOUNT: Final = "aws"  # stands where an account would, in ARNs of AWS's own policies

KeyStatus = Literal["Active", "Inactive"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What every record has."""

    account: AccountId
    created_ms: Millis

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{ROOT}account/{self.account}"


class Account(Record, frozen=True, kw_only=True):
    """An account: there is one for each that credentials were made for."""


class Named(Record, frozen=True, kw_only=True):
    """A resource with a name, a path and an id that is never given again."""

    name: str
    path: str = "/"
    uid: str
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:iam::{self.account}:{KINDS[type(self)]}{self.path}{self.name}"

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return named_key(type(self), self.account, self.name)


class Holder(Named, frozen=True, kw_only=True):
    """Who has policies: a user or a role."""

    inline: dict[str, str] = msgspec.field(default_factory=dict)  # documents by name
    attached: tuple[str, ...] = ()  # ARNs of managed policies
    boundary: str | None = None  # ARN of the managed policy that bounds it


class User(Holder, frozen=True, kw_only=True):
    """A user."""


class Role(Holder, frozen=True, kw_only=True):
    """A role."""

    trust: str  # its trust policy
    description: str | None = None
    max_session_s: int = 3600


class PolicyVersion(msgspec.Struct, frozen=True):
    """One version of a managed policy."""

    number: int
    document: str
    created_ms: Millis


class ManagedPolicy(Named, frozen=True, kw_only=True):
    """A managed policy of a customer, or one of AWS's own."""

    versions: tuple[PolicyVersion, ...]  # by number
    default: int = 1
    next_number: int = 2
    updated_ms: Millis
    description: str | None = None

    @property
    def document(self) -> str:
        """The text in force."""
        return next(version.document for version in self.versions if version.number == self.default)


class Profile(Named, frozen=True, kw_only=True):
    """An instance profile."""

    role: str | None = None  # name of its one role


class AccessKey(Record, frozen=True, kw_only=True):
    """A long-term access key of a user, or of the account's root."""

    id: str
    user: str | None  # name of its user; None: the root's
    user_uid: str | None
    status: KeyStatus = "Active"
    sealed: bytes  # the secret

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{ROOT}key/{self.account}/{self.id}"


Kept = TypeVar("Kept", bound=Record)

KINDS: Final[dict[type[Record], str]] = {
    Account: "account",
    User: "user",
    Role: "role",
    ManagedPolicy: "policy",
    Profile: "instance-profile",
    AccessKey: "key",
}
_DECODERS: Final = {name: msgspec.msgpack.Decoder(kind) for kind, name in KINDS.items()}
_encoder: Final = msgspec.msgpack.Encoder()


def named_key(kind: type[Record], account: str, name: str) -> str:
    """The MetaStore key of what has this name."""
    return f"{ROOT}{KINDS[kind]}/{account}/{name.lower()}"


def encode(record: Record) -> bytes:
    """The MetaStore value of a record."""
    return _encoder.encode(record)


def decode(key: str, value: bytes) -> Record:
    """The record under a key.  Raises msgspec.DecodeError, also for a key that is none of this service's."""
    decoder = _DECODERS.get(key.split("/", 2)[1])
    if decoder is None:
        raise msgspec.DecodeError(f"no record of IAM has the key {key!r}")
    record: Record = decoder.decode(value)
    return record
