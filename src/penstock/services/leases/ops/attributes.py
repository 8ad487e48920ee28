"""Attribute values as the wire has them: an object with one member, named after the type."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from penstock.core.lease_errors import LeaseError
from penstock.services.leases.numbers import number_text, parse_number
from penstock.services.leases.values import (
    Binary,
    BinarySet,
    Boolean,
    Item,
    List,
    Map,
    Null,
    Number,
    NumberSet,
    String,
    StringSet,
    Value,
)

NESTING_MAX: Final = 32
_SHOWN_MAX_CHARS: Final = 1000

Flag = bool  # a member of that name stands in the way


class AttributeValue(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """One value; exactly one member is to be set."""

    s: str | None = msgspec.field(default=None, name="S")
    n: str | None = msgspec.field(default=None, name="N")
    b: bytes | None = msgspec.field(default=None, name="B")
    ss: list[str] | None = msgspec.field(default=None, name="SS")
    ns: list[str] | None = msgspec.field(default=None, name="NS")
    bs: list[bytes] | None = msgspec.field(default=None, name="BS")
    m: "dict[str, AttributeValue] | None" = msgspec.field(default=None, name="M")
    elements: "list[AttributeValue] | None" = msgspec.field(default=None, name="L")
    null: Flag | None = msgspec.field(default=None, name="NULL")
    bool: Flag | None = msgspec.field(default=None, name="BOOL")


Attributes = dict[str, AttributeValue]


def read_item(given: Mapping[str, AttributeValue]) -> Item:
    """The item that a map of attributes means.  Raises what read_value raises."""
    return {name: read_value(value) for name, value in given.items()}


def read_value(given: AttributeValue, depth: int = 0) -> Value:
    """The value that one attribute means.

    Raises VALUE_EMPTY, VALUE_AMBIGUOUS, VALUE_NULL, SET_EMPTY, SET_DUPLICATES, VALUE_NESTING, and what parse_number raises.
    """
    if depth > NESTING_MAX:
        raise LeaseError.VALUE_NESTING()
    found: list[Value] = []
    if given.s is not None:
        found.append(String(given.s))
    if given.n is not None:
        found.append(Number(parse_number(given.n)))
    if given.b is not None:
        found.append(Binary(given.b))
    if given.bool is not None:
        found.append(Boolean(given.bool))
    if given.null is not None:
        found.append(_null(given.null))
    if given.m is not None:
        found.append(Map({name: read_value(value, depth + 1) for name, value in given.m.items()}))
    if given.elements is not None:
        found.append(List(tuple(read_value(value, depth + 1) for value in given.elements)))
    found += _sets(given)
    if len(found) != 1:
        raise LeaseError.VALUE_AMBIGUOUS() if found else LeaseError.VALUE_EMPTY()
    return found[0]


def _null(given: Flag) -> Value:
    if not given:
        raise LeaseError.VALUE_NULL()
    return Null()


def _sets(given: AttributeValue) -> list[Value]:
    found: list[Value] = []
    if given.ss is not None:
        found.append(_texts(given.ss))
    if given.ns is not None:
        found.append(_numbers(given.ns))
    if given.bs is not None:
        found.append(_pieces(given.bs))
    return found


def _texts(given: Sequence[str]) -> Value:
    if not given:
        raise LeaseError.SET_EMPTY(kind="string")
    texts = tuple(sorted(set(given)))
    if len(texts) != len(given):
        raise LeaseError.SET_DUPLICATES(shown=f"[{', '.join(given)}]"[:_SHOWN_MAX_CHARS])
    return StringSet(texts)


def _numbers(given: Sequence[str]) -> Value:
    if not given:
        raise LeaseError.SET_EMPTY(kind="number")
    numbers = tuple(sorted({parse_number(text) for text in given}))
    if len(numbers) != len(given):
        raise LeaseError.NUMBER_DUPLICATES()
    return NumberSet(numbers)


def _pieces(given: Sequence[bytes]) -> Value:
    if not given:
        raise LeaseError.BINARY_SET_EMPTY()
    pieces = tuple(sorted(set(given)))
    if len(pieces) != len(given):
        raise LeaseError.SET_DUPLICATES(shown=f"of {len(given)} binary values")  # UNVERIFIED: how AWS shows bytes
    return BinarySet(pieces)


def write_item(item: Item) -> Attributes:
    """An item as answers have it."""
    return {name: write_value(value) for name, value in item.items()}


def write_value(value: Value) -> AttributeValue:
    """A value as answers have it."""
    match value:
        case String(text):
            return AttributeValue(s=text)
        case Number(number):
            return AttributeValue(n=number_text(number))
        case Binary(data):
            return AttributeValue(b=data)
        case Boolean(flag):
            return AttributeValue(bool=flag)
        case Null():
            return AttributeValue(null=True)
        case StringSet(texts):
            return AttributeValue(ss=list(texts))
        case NumberSet(numbers):
            return AttributeValue(ns=list(map(number_text, numbers)))
        case BinarySet(pieces):
            return AttributeValue(bs=list(pieces))
        case Map(members):
            return AttributeValue(m=write_item(members))
        case List(values):
            return AttributeValue(elements=list(map(write_value, values)))
