"""What is kept of tables: immutable records, one MetaStore key each; and the keys of their items.

Every field is part of the data directory's format: add with a default, never rename.
"""

from typing import Final, Literal

import msgspec

from penstock.core.ids import AccountId, Millis, Region
from penstock.services.leases.keys import KeyAttribute, Position, ScalarType, Schema

ROOT: Final = "leases/"  # every key of this service begins with it
TABLES: Final = ROOT + "table/"
ITEMS: Final = ROOT + "item/"
TOKENS: Final = ROOT + "token/"

Billing = Literal["PROVISIONED", "PAY_PER_REQUEST"]
ProjectionType = Literal["ALL", "KEYS_ONLY", "INCLUDE"]
TableStatus = Literal["CREATING", "UPDATING", "DELETING", "ACTIVE"]


class Units(msgspec.Struct, frozen=True):
    """Provisioned throughput: told back, and never enforced."""

    read: int = 0
    write: int = 0


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """A secondary index."""

    name: str
    schema: Schema
    projection: ProjectionType
    included: tuple[str, ...] = ()
    is_global: bool = True
    ready_ms: Millis = Millis(0)  # when it can be read
    units: Units = Units()


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table."""

    account: AccountId
    region: Region
    name: str
    uid: str  # a UUID; never reused, unlike the name
    created_ms: Millis
    ready_ms: Millis  # when it becomes ACTIVE
    updated_ms: Millis = Millis(0)  # when its last update is over
    deleting: bool = False
    schema: Schema
    types: dict[str, ScalarType]  # of key attributes, by name: AttributeDefinitions
    billing: Billing
    on_demand_ms: Millis | None = None  # when it was last made PAY_PER_REQUEST
    units: Units = Units()
    indexes: tuple[Index, ...] = ()
    protected: bool = False  # against deletion
    table_class: str | None = None
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    ttl_attribute: str | None = None  # None: items do not expire
    backed_up_ms: Millis | None = None  # since when PITR is said to be on
    backup_days: int = 35

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return table_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return table_arn(self.region, self.account, self.name)

    def status(self, now_ms: int) -> TableStatus:
        """Its state at a moment."""
        if self.deleting:
            return "DELETING"
        if now_ms < self.ready_ms:
            return "CREATING"
        return "UPDATING" if now_ms < self.updated_ms else "ACTIVE"

    def key_attribute(self, name: str) -> KeyAttribute:
        """A key attribute with its type."""
        return KeyAttribute(name, self.types[name])


class Token(msgspec.Struct, frozen=True):
    """A transaction that was carried out, so that it is not again."""

    digest: bytes  # of the request
    until_ms: Millis


def table_key(account: str, region: str, name: str) -> str:
    """The MetaStore key of a table."""
    return f"{TABLES}{account}/{region}/{name}"


def table_arn(region: str, account: str, name: str) -> str:
    """The ARN of a table, whether it exists or not."""
    return f"arn:aws:dynamodb:{region}:{account}:table/{name}"


def item_key(uid: str, position: Position) -> str:
    """The MetaStore key of an item."""
    return f"{ITEMS}{uid}/{position[0].hex()}/{position[1].hex()}"


def read_item_key(key: str) -> tuple[str, Position]:
    """The table's uid and the position in an item's key."""
    uid, partition, rest = key.removeprefix(ITEMS).split("/")
    return uid, (bytes.fromhex(partition), bytes.fromhex(rest))


def token_key(account: str, region: str, token: str) -> str:
    """The MetaStore key of a transaction's token."""
    return f"{TOKENS}{account}/{region}/{token.encode().hex()}"


table_decoder: Final = msgspec.msgpack.Decoder(Table)
token_decoder: Final = msgspec.msgpack.Decoder(Token)


def encode(record: Table | Token) -> bytes:
    """The MetaStore value of a record."""
    return msgspec.msgpack.encode(record)
