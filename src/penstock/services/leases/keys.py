"""Keys: which attributes of an item are its key, and where it stands among the others.

Theory.  An item's position is two byte strings: the partition (a hash of its hash key, then the key itself) and the sort bytes of its
range key.  Positions compare as DynamoDB orders: partitions by their hash, which scans and their segments walk, items of a partition by
range key.  An entry of an index has the index's two, then the item's two, so that no two are alike.
Rule of this file: pure; a position is part of the data directory's format (it is in the MetaStore key).
"""

import hashlib
from typing import Final, Literal

import msgspec

from penstock.core.lease_errors import LeaseError
from penstock.services.leases.numbers import sort_bytes
from penstock.services.leases.values import Binary, Item, Number, Scalar, String, Value, type_name

HASH_KEY_MAX_BYTES: Final = 2048
RANGE_KEY_MAX_BYTES: Final = 1024
_HASH_BYTES: Final = 8

ScalarType = Literal["S", "N", "B"]
Position = tuple[bytes, bytes]


class KeyAttribute(msgspec.Struct, frozen=True):
    """One attribute of a key."""

    name: str
    type: ScalarType


class Schema(msgspec.Struct, frozen=True):
    """The key of a table or index."""

    hash: KeyAttribute
    range: KeyAttribute | None = None

    @property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        """Its one or two attributes."""
        return (self.hash,) if self.range is None else (self.hash, self.range)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(attribute.name for attribute in self.attributes)


def partition_of(value: Scalar) -> bytes:
    """The partition of a hash key."""
    raw = range_of(value)
    return hashlib.md5(raw, usedforsecurity=False).digest()[:_HASH_BYTES] + raw


def range_of(value: Scalar) -> bytes:
    """The sort bytes of a range key."""
    match value:
        case String(text):
            return text.encode()
        case Binary(data):
            return data
        case Number(number):
            return sort_bytes(number)


def segment_start(segment: int, total: int) -> Position:
    """The first position of a scan's segment; of the segment after the last, one behind every other."""
    bound = -(-(segment << (8 * _HASH_BYTES)) // total)
    return (b"\xff" * (_HASH_BYTES + 1), b"") if segment == total else (bound.to_bytes(_HASH_BYTES, "big"), b"")


def position_of(schema: Schema, item: Item) -> Position | None:
    """Where an item stands under a schema; None if it lacks a part of that key, or has it in another type."""
    first = _part(schema.hash, item.get(schema.hash.name))
    if first is None:
        return None
    if schema.range is None:
        return partition_of(first), b""
    second = _part(schema.range, item.get(schema.range.name))
    return None if second is None else (partition_of(first), range_of(second))


def _part(attribute: KeyAttribute, value: Value | None) -> Scalar | None:
    return value if isinstance(value, Scalar) and type_name(value) == attribute.type else None


def item_position(schema: Schema, item: Item) -> Position:
    """Where a whole item stands.  Raises KEY_MISSING, KEY_TYPE, KEY_EMPTY, KEY_SIZE."""
    for attribute in schema.attributes:
        value = item.get(attribute.name)
        if value is None:
            raise LeaseError.KEY_MISSING(name=attribute.name)
        if type_name(value) != attribute.type:
            raise LeaseError.KEY_TYPE(name=attribute.name, expected=attribute.type, actual=type_name(value))
    return _checked(schema, item)


def key_position(schema: Schema, key: Item) -> Position:
    """Where a key stands that is given alone.  Raises KEY_SHAPE, KEY_EMPTY, KEY_SIZE."""
    if set(key) != set(schema.names):
        raise LeaseError.KEY_SHAPE()
    if any(_part(attribute, key[attribute.name]) is None for attribute in schema.attributes):
        raise LeaseError.KEY_SHAPE()
    return _checked(schema, key)


def _checked(schema: Schema, item: Item) -> Position:
    position = position_of(schema, item)
    assert position is not None, "its attributes are there, in their types"
    sides = ((schema.hash, "hashkey", HASH_KEY_MAX_BYTES), (schema.range, "aggregated range keys", RANGE_KEY_MAX_BYTES))
    for attribute, role, limit in sides:
        value = None if attribute is None else item[attribute.name]
        if attribute is None or not isinstance(value, String | Binary):
            continue
        size = len(range_of(value))
        if size == 0:
            raise LeaseError.KEY_EMPTY(kind=empty_kind(value), name=attribute.name)
        if size > limit:
            raise LeaseError.KEY_SIZE(role=role, limit=limit)
    return position


def empty_kind(value: String | Binary) -> str:
    """What DynamoDB calls the type of a value that is empty."""
    return "string" if isinstance(value, String) else "binary"
