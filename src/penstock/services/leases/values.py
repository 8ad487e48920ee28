"""Attribute values: DynamoDB's ten types, as immutable values that are equal when DynamoDB calls them equal.

Theory.  An item is a mapping of names to values.  Sets are kept sorted, numbers canonical, so that comparing is Python's own `==`.  The
types are a closed union that msgspec can store: their tags are the type names of the wire, and part of the data directory's format.
Rules of this file: pure; nothing here is checked against limits (attributes.py does, where values come in).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from penstock.services.leases.numbers import number_bytes, number_text


class String(msgspec.Struct, frozen=True, array_like=True, tag="S"):
    """Text."""

    value: str


class Number(msgspec.Struct, frozen=True, array_like=True, tag="N"):
    """A canonical number (numbers.py)."""

    value: Decimal


class Binary(msgspec.Struct, frozen=True, array_like=True, tag="B"):
    """Bytes."""

    value: bytes


class Boolean(msgspec.Struct, frozen=True, array_like=True, tag="BOOL"):
    """True or false."""

    value: bool


class Null(msgspec.Struct, frozen=True, array_like=True, tag="NULL"):
    """The one null value."""


class StringSet(msgspec.Struct, frozen=True, array_like=True, tag="SS"):
    """Texts, each once, sorted; never none."""

    value: tuple[str, ...]


class NumberSet(msgspec.Struct, frozen=True, array_like=True, tag="NS"):
    """Numbers, each once, sorted; never none."""

    value: tuple[Decimal, ...]


class BinarySet(msgspec.Struct, frozen=True, array_like=True, tag="BS"):
    """Byte strings, each once, sorted; never none."""

    value: tuple[bytes, ...]


class List(msgspec.Struct, frozen=True, array_like=True, tag="L"):
    """Values in order."""

    value: tuple["Value", ...]


class Map(msgspec.Struct, frozen=True, array_like=True, tag="M"):
    """Values by name.  The mapping is never changed once it is here."""

    value: dict[str, "Value"]


Scalar = String | Number | Binary
Set = StringSet | NumberSet | BinarySet
Value = Scalar | Boolean | Null | Set | List | Map
Item = Mapping[str, Value]

_TAGS: Final = {
    String: "S", Number: "N", Binary: "B", Boolean: "BOOL", Null: "NULL",
    StringSet: "SS", NumberSet: "NS", BinarySet: "BS", List: "L", Map: "M",
}  # fmt: skip
TYPE_NAMES: Final = frozenset(_TAGS.values())
_COLLECTION_BYTES: Final = 3  # of a list or map, beside one for each element

_item_decoder: Final = msgspec.msgpack.Decoder(dict[str, Value])
_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")


def type_name(value: Value) -> str:
    """The type as the wire names it: "S", "N", ..."""
    return _TAGS[type(value)]


def encode_item(item: Item) -> bytes:
    """The MetaStore value of an item."""
    return _encoder.encode(item)


def decode_item(stored: bytes) -> Item:
    """The item again.  Raises msgspec.DecodeError."""
    return _item_decoder.decode(stored)


def item_bytes(item: Item) -> int:
    """The size of an item as DynamoDB counts it.  Source: developer guide, "Item sizes and formats"."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Value) -> int:
    """The size of one value, without its name."""
    match value:
        case String(text):
            return len(text) if text.isascii() else len(text.encode())
        case Number(number):
            return number_bytes(number)
        case Binary(data):
            return len(data)
        case Boolean() | Null():
            return 1
        case StringSet(texts):
            return sum(len(text.encode()) for text in texts)
        case NumberSet(numbers):
            return sum(map(number_bytes, numbers))
        case BinarySet(pieces):
            return sum(map(len, pieces))
        case List(values):
            return _COLLECTION_BYTES + sum(1 + value_bytes(each) for each in values)
        case Map(members):
            return _COLLECTION_BYTES + len(members) + item_bytes(members)


def shown(value: Value) -> str:
    """A value as DynamoDB's messages show it: {S:abc}."""
    match value:
        case String(text):
            return f"{{S:{text}}}"
        case Number(number):
            return f"{{N:{number_text(number)}}}"
        case Binary(data):
            return f"{{B:java.nio.HeapByteBuffer[pos=0 lim={len(data)} cap={len(data)}]}}"
        case _:
            return f"{{{type_name(value)}}}"
