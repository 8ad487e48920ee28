"""Updates: how an item is changed, as a list of actions that expressions and legacy AttributeUpdates are both turned into.

Theory.  Every value of an update is read from the item as it was before any of its actions: `SET a = b, b = a` swaps.  No two actions touch
the same place, so their order tells nothing; removals come last, since an index of a list means the place that it had.
Rules of this file: pure; an item is never changed, a new one is built; what the types forbid is refused whole.
Source: DynamoDB developer guide, "Update expressions"; API reference, AttributeUpdates.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from penstock.core.errors import Table
from penstock.core.lease_errors import LeaseError
from penstock.services.leases.conditions import At, Given
from penstock.services.leases.grammar import Substitutions, Words
from penstock.services.leases.numbers import add, subtract
from penstock.services.leases.paths import Path, check_apart, find, removed, replaced
from penstock.services.leases.values import (
    BinarySet,
    Item,
    List,
    Number,
    NumberSet,
    Set,
    StringSet,
    Value,
    type_name,
)

KIND: Final = "UpdateExpression"


class Sum(msgspec.Struct, frozen=True):
    """`left + right` or `left - right`."""

    sign: str
    left: "Source"
    right: "Source"


class IfMissing(msgspec.Struct, frozen=True):
    """What stands at a path, or else another value."""

    path: Path
    other: "Source"


class Append(msgspec.Struct, frozen=True):
    """One list after another."""

    left: "Source"
    right: "Source"


Source = At | Given | Sum | IfMissing | Append


class Put(msgspec.Struct, frozen=True):
    """A value is put at a path."""

    path: Path
    source: Source


class Remove(msgspec.Struct, frozen=True):
    """What stands at a path goes."""

    path: Path


class Add(msgspec.Struct, frozen=True):
    """A number is added to, or a set united with, what stands at a path or is made there."""

    path: Path
    value: Number | Set


class Take(msgspec.Struct, frozen=True):
    """The elements of a set go; of a set that would be empty, all of it."""

    path: Path
    value: Set


Action = Put | Remove | Add | Take


class Update(NamedTuple):
    """What is done to an item."""

    actions: tuple[Action, ...]
    mismatch: Table = LeaseError.UPDATE_TYPE  # how a value of the wrong type in the item is refused

    @property
    def paths(self) -> list[Path]:
        """The places that it touches."""
        return [action.path for action in self.actions]


def apply(update: Update, item: Item) -> Item:
    """The item after an update.  Raises UPDATE_ATTRIBUTE, UPDATE_PATH, the update's `mismatch`, and what numbers.add raises."""
    changed, gone = item, []
    for action in update.actions:
        match action:
            case Put(path, source):
                changed = replaced(changed, path, _value(source, item, update.mismatch))
            case Remove(path):
                gone.append(path)
            case Add(path, value):
                changed = replaced(changed, path, _added(find(item, path), value, update.mismatch))
            case Take(path, value):
                left = _left(find(item, path), value, update.mismatch)
                if left is not None:
                    changed = replaced(changed, path, left)
                elif find(item, path) is not None:
                    gone.append(path)
    return removed(changed, gone) if gone else changed


def _value(source: Source, item: Item, mismatch: Table) -> Value:
    match source:
        case Given(value):
            return value
        case At(path):
            found = find(item, path)
            if found is None:
                raise LeaseError.UPDATE_ATTRIBUTE()
            return found
        case IfMissing(path, other):
            found = find(item, path)
            return _value(other, item, mismatch) if found is None else found
        case Sum(sign, left, right):
            match _value(left, item, mismatch), _value(right, item, mismatch):
                case Number(one), Number(two):
                    return Number(add(one, two) if sign == "+" else subtract(one, two))
        case Append(left, right):
            match _value(left, item, mismatch), _value(right, item, mismatch):
                case List(before), List(after):
                    return List((*before, *after))
    raise mismatch()


def _added(held: Value | None, value: Number | Set, mismatch: Table) -> Value:
    match held, value:
        case None, _:
            return value
        case Number(one), Number(two):
            return Number(add(one, two))
        case StringSet(have), StringSet(more):
            return StringSet(tuple(sorted({*have, *more})))
        case NumberSet(numbers), NumberSet(others):
            return NumberSet(tuple(sorted({*numbers, *others})))
        case BinarySet(pieces), BinarySet(added):
            return BinarySet(tuple(sorted({*pieces, *added})))
        case _:
            raise mismatch()


def _left(held: Value | None, gone: Set, mismatch: Table) -> Value | None:
    """What is left of a set; None if nothing is."""
    match held, gone:
        case None, _:
            return None
        case StringSet(texts), StringSet():
            left: Set = StringSet(tuple(text for text in texts if text not in gone.value))
        case NumberSet(numbers), NumberSet():
            left = NumberSet(tuple(number for number in numbers if number not in gone.value))
        case BinarySet(pieces), BinarySet():
            left = BinarySet(tuple(piece for piece in pieces if piece not in gone.value))
        case _:
            raise mismatch()
    return left if left.value else None


# Reading


def parse_update(text: str, substitutions: Substitutions) -> Update:
    """The update that an UpdateExpression means.  Raises what Words raises, rows on operands, PATHS_OVERLAP, PATHS_CONFLICT."""
    words = Words(KIND, text, substitutions)
    actions: list[Action] = []
    seen: set[str] = set()
    while words.next.kind != "end":
        section = words.next.text.upper() if words.next.kind == "name" else ""
        if section not in _SECTIONS:
            raise words.unexpected()
        if section in seen:
            raise LeaseError.SECTION_TWICE(section=section)
        seen.add(section)
        words.take()
        actions.append(_SECTIONS[section](words))
        while words.accept(","):
            actions.append(_SECTIONS[section](words))
    update = Update(tuple(actions))
    check_apart(KIND, update.paths)
    return update


def _set(words: Words) -> Action:
    path = words.path()
    words.expect("=")
    left = _source(words)
    if words.next.text not in ("+", "-") or words.next.kind != "sign":
        return Put(path, left)
    sign = words.take().text
    right = _source(words)
    for side in (left, right):
        if isinstance(side, Given) and not isinstance(side.value, Number):
            raise LeaseError.FUNCTION_TYPE(kind=KIND, name=sign, type=type_name(side.value))
    return Put(path, Sum(sign, left, right))


def _source(words: Words) -> Source:
    if words.accept("("):
        words.deeper()
        inner = _source(words)
        words.expect(")")
        words.higher()
        return inner
    if words.next.kind == "value":
        return Given(words.value())
    return _call(words) if words.is_call() else At(words.path())


def _call(words: Words) -> Source:
    name = words.take().text
    if name not in ("if_not_exists", "list_append"):
        known = name in (
            "attribute_exists",
            "attribute_not_exists",
            "attribute_type",
            "begins_with",
            "contains",
            "size",
        )
        row = LeaseError.FUNCTION_FORBIDDEN if known else LeaseError.FUNCTION_UNKNOWN
        raise row(kind=KIND, function=name)
    words.expect("(")
    words.deeper()
    arguments = [_source(words)]
    while words.accept(","):
        arguments.append(_source(words))
    words.expect(")")
    words.higher()
    if len(arguments) != 2:
        raise LeaseError.OPERAND_COUNT(kind=KIND, name=name, count=len(arguments))
    left, right = arguments
    if name == "if_not_exists":
        if not isinstance(left, At):
            raise LeaseError.PATH_NEEDED(kind=KIND, name=name)
        return IfMissing(left.path, right)
    for side in arguments:
        if isinstance(side, Given) and not isinstance(side.value, List):
            raise LeaseError.FUNCTION_TYPE(kind=KIND, name=name, type=type_name(side.value))
    return Append(left, right)


def _remove(words: Words) -> Action:
    return Remove(words.path())


def _add(words: Words) -> Action:
    path, value = words.path(), words.value()
    if not isinstance(value, Number | Set):
        raise LeaseError.SECTION_TYPE(section="ADD", type=_LONG_NAMES[type_name(value)])
    return Add(path, value)


def _delete(words: Words) -> Action:
    path, value = words.path(), words.value()
    if not isinstance(value, Set):
        raise LeaseError.SECTION_TYPE(section="DELETE", type=_LONG_NAMES[type_name(value)])
    return Take(path, value)


_SECTIONS: Final[Mapping[str, Callable[[Words], Action]]] = {
    "SET": _set,
    "REMOVE": _remove,
    "ADD": _add,
    "DELETE": _delete,
}
_LONG_NAMES: Final = {
    "S": "STRING", "N": "NUMBER", "B": "BINARY", "BOOL": "BOOLEAN", "NULL": "NULL", "L": "LIST", "M": "MAP",
}  # fmt: skip
