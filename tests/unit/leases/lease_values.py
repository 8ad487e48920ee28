"""Short ways to write values and expressions in tests."""

from typing import Any

from penstock.services.leases.conditions import Condition, holds
from penstock.services.leases.conditiontext import parse_condition
from penstock.services.leases.grammar import Substitutions
from penstock.services.leases.numbers import parse_number
from penstock.services.leases.updates import Update, parse_update
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


def value(given: Any) -> Value:
    """A value from Python's nearest."""
    match given:
        case None:
            return Null()
        case bool():
            return Boolean(given)
        case int():
            return Number(parse_number(str(given)))
        case str():
            return String(given)
        case bytes():
            return Binary(given)
        case list():
            return List(tuple(map(value, given)))
        case dict():
            return Map({name: value(each) for name, each in given.items()})
        case _:
            return _set(given)


def _set(given: set[Any]) -> Value:
    match next(iter(given)):
        case str():
            return StringSet(tuple(sorted(given)))
        case bytes():
            return BinarySet(tuple(sorted(given)))
        case _:
            return NumberSet(tuple(sorted(parse_number(str(each)) for each in given)))


def item(**attributes: Any) -> Item:
    """An item."""
    return {name: value(given) for name, given in attributes.items()}


def substitutions(values: dict[str, Any], names: dict[str, str] | None = None) -> Substitutions:
    """What stands for values (without their colons) and names."""
    return Substitutions(names, {f":{name}": value(given) for name, given in values.items()} or None)


def condition(text: str, names: dict[str, str] | None = None, **values: Any) -> Condition:
    """A ConditionExpression read; everything given must be used."""
    given = substitutions(values, names)
    read = parse_condition("ConditionExpression", text, given)
    given.check_used()
    return read


def true(text: str, of: Item, **values: Any) -> bool:
    """Whether a ConditionExpression is true of an item."""
    return holds(condition(text, None, **values), of)


def update(text: str, names: dict[str, str] | None = None, **values: Any) -> Update:
    """An UpdateExpression read; everything given must be used."""
    given = substitutions(values, names)
    read = parse_update(text, given)
    given.check_used()
    return read
