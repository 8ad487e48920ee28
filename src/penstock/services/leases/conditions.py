"""Conditions: what must hold of an item, as a tree that expressions and legacy parameters are both turned into.

Theory.  A condition is true or false of every item, one that does not exist included (it has no attributes).  An operand may have no value;
then every comparison is false but `<>`.  Values of different types are different, and neither is less than the other.
Rules of this file: pure; evaluation is linear in the condition and in what it looks at.
Source: DynamoDB developer guide, "Condition and filter expressions, operators, and functions".
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

import msgspec

from penstock.services.leases.numbers import parse_number
from penstock.services.leases.paths import Path, find
from penstock.services.leases.values import (
    Binary,
    BinarySet,
    Item,
    List,
    Map,
    Number,
    NumberSet,
    Scalar,
    String,
    StringSet,
    Value,
    type_name,
)


class At(msgspec.Struct, frozen=True):
    """What stands at a path."""

    path: Path


class Given(msgspec.Struct, frozen=True):
    """A value of the request."""

    value: Value


class Size(msgspec.Struct, frozen=True):
    """How large another operand is."""

    of: "At | Given"


Operand = At | Given | Size


class Compare(msgspec.Struct, frozen=True):
    """`=`, `<>`, `<`, `<=`, `>`, `>=`."""

    sign: str
    left: Operand
    right: Operand


class Between(msgspec.Struct, frozen=True):
    """Neither below `low` nor above `high`."""

    operand: Operand
    low: Operand
    high: Operand


class In(msgspec.Struct, frozen=True):
    """Equal to one of several."""

    operand: Operand
    options: tuple[Operand, ...]


class Exists(msgspec.Struct, frozen=True):
    """There is something at a path."""

    path: Path


class HasType(msgspec.Struct, frozen=True):
    """What stands at a path is of a type, by its name on the wire."""

    path: Path
    name: str


class BeginsWith(msgspec.Struct, frozen=True):
    """A text or bytes begin with others."""

    operand: Operand
    prefix: Operand


class Contains(msgspec.Struct, frozen=True):
    """A text has a part; a set or list has an element."""

    operand: Operand
    part: Operand


class Both(msgspec.Struct, frozen=True):
    """All of several."""

    parts: tuple["Condition", ...]


class Either(msgspec.Struct, frozen=True):
    """One of several."""

    parts: tuple["Condition", ...]


class Not(msgspec.Struct, frozen=True):
    """The opposite."""

    of: "Condition"


Condition = Compare | Between | In | Exists | HasType | BeginsWith | Contains | Both | Either | Not

_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def holds(condition: Condition, item: Item) -> bool:
    """Whether a condition is true of an item."""
    match condition:
        case Compare(sign, left, right):
            return compare(sign, resolve(left, item), resolve(right, item))
        case Between(operand, low, high):
            value = resolve(operand, item)
            return compare(">=", value, resolve(low, item)) and compare("<=", value, resolve(high, item))
        case In(operand, options):
            value = resolve(operand, item)
            return any(compare("=", value, resolve(option, item)) for option in options)
        case Exists(path):
            return find(item, path) is not None
        case HasType(path, name):
            found = find(item, path)
            return found is not None and type_name(found) == name
        case BeginsWith(operand, prefix):
            return _begins(resolve(operand, item), resolve(prefix, item))
        case Contains(operand, part):
            return _contains(resolve(operand, item), resolve(part, item))
        case Both(parts):
            return all(holds(part, item) for part in parts)
        case Either(parts):
            return any(holds(part, item) for part in parts)
        case Not(of):
            return not holds(of, item)
        case _:
            assert_never(condition)


def resolve(operand: Operand, item: Item) -> Value | None:
    """The value of an operand, if it has one."""
    match operand:
        case At(path):
            return find(item, path)
        case Given(value):
            return value
        case Size(of):
            return _size(resolve(of, item))


def compare(sign: str, left: Value | None, right: Value | None) -> bool:
    """One comparison."""
    if sign == "=":
        return left is not None and left == right
    if sign == "<>":
        return left != right
    if isinstance(left, Scalar) and type(left) is type(right) and isinstance(right, Scalar):
        return _ORDERS[sign](left.value, right.value)
    return False


def _size(value: Value | None) -> Number | None:
    match value:
        case String() | Binary() | List() | Map():
            return number_of(len(value.value))
        case StringSet() | NumberSet() | BinarySet():
            return number_of(len(value.value))
        case _:
            return None


def number_of(count: int) -> Number:
    """A whole number as a value."""
    return Number(parse_number(str(count)))


def _begins(value: Value | None, prefix: Value | None) -> bool:
    match value, prefix:
        case String(text), String(begin):
            return text.startswith(begin)
        case Binary(data), Binary(start):
            return data.startswith(start)
        case _:
            return False


def _contains(value: Value | None, part: Value | None) -> bool:
    match value, part:
        case String(text), String(piece):
            return piece in text
        case Binary(data), Binary(some):
            return some in data
        case StringSet(texts), String(text):
            return text in texts
        case NumberSet(numbers), Number(number):
            return number in numbers
        case BinarySet(pieces), Binary(data):
            return data in pieces
        case List(values), _:
            return part in values
        case _:
            return False
