"""Legacy parameters: Expected, filters, KeyConditions and AttributeUpdates, turned into the conditions and updates of expressions.

Theory.  What came before expressions says less, in tables: so it has no evaluation of its own.  KCL writes leases with it to this day.
Rule of this file: pure.  What a comparison operator takes is a row of _OPERATORS.
Source: API reference, "Legacy conditional parameters"; refusals as clients report them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from penstock.core.lease_errors import LeaseError
from penstock.services.leases.conditions import (
    At,
    BeginsWith,
    Between,
    Both,
    Compare,
    Condition,
    Contains,
    Either,
    Exists,
    Given,
    In,
    Not,
)
from penstock.services.leases.updates import Add, Append, IfMissing, Put, Remove, Take, Update
from penstock.services.leases.values import List, Number, Set, Value, type_name


class Comparison(NamedTuple):
    """A ComparisonOperator with its AttributeValueList."""

    operator: str
    values: Sequence[Value]


class Expectation(NamedTuple):
    """What Expected says of an attribute."""

    value: Value | None = None
    exists: bool | None = None
    operator: str | None = None
    values: Sequence[Value] | None = None


class AttributeChange(NamedTuple):
    """What AttributeUpdates says of an attribute."""

    action: str  # PUT, ADD, DELETE
    value: Value | None


_SCALARS: Final = "S N B"
_ALL: Final = "S N B SS NS BS BOOL NULL L M"
_Make = Callable[[At, Sequence[Given]], Condition]


class _Operator(NamedTuple):
    least: int  # how many values it takes
    most: int
    types: str
    make: _Make


def _comparing(sign: str) -> _Make:
    return lambda at, values: Compare(sign, at, values[0])


_OPERATORS: Final[Mapping[str, _Operator]] = {
    "EQ": _Operator(1, 1, _ALL, _comparing("=")),
    "NE": _Operator(1, 1, _ALL, _comparing("<>")),
    "LT": _Operator(1, 1, _SCALARS, _comparing("<")),
    "LE": _Operator(1, 1, _SCALARS, _comparing("<=")),
    "GT": _Operator(1, 1, _SCALARS, _comparing(">")),
    "GE": _Operator(1, 1, _SCALARS, _comparing(">=")),
    "BETWEEN": _Operator(2, 2, _SCALARS, lambda at, values: Between(at, values[0], values[1])),
    "IN": _Operator(1, 100, _SCALARS, lambda at, values: In(at, tuple(values))),
    "NULL": _Operator(0, 0, "", lambda at, _: Not(Exists(at.path))),
    "NOT_NULL": _Operator(0, 0, "", lambda at, _: Exists(at.path)),
    "CONTAINS": _Operator(1, 1, "S N B BOOL NULL", lambda at, values: Contains(at, values[0])),
    # UNVERIFIED: NOT_CONTAINS is false of an attribute that is not there
    "NOT_CONTAINS": _Operator(
        1, 1, "S N B BOOL NULL", lambda at, values: Both((Exists(at.path), Not(Contains(at, values[0]))))
    ),
    "BEGINS_WITH": _Operator(1, 1, "S B", lambda at, values: BeginsWith(at, values[0])),
}


def comparison(name: str, asked: Comparison) -> Condition:
    """The condition that a comparison of an attribute is.  Raises PARAMETERS."""
    row = _OPERATORS[asked.operator]
    if not row.least <= len(asked.values) <= row.most:
        raise _refusal(f"Invalid number of argument(s) for the {asked.operator} ComparisonOperator")
    for value in asked.values:
        if type_name(value) not in row.types.split():
            raise _refusal(
                f"ComparisonOperator {asked.operator} is not valid for {type_name(value)} AttributeValue type"
            )
    if asked.operator in ("BETWEEN", "IN") and len({type_name(value) for value in asked.values}) > 1:
        raise _refusal("AttributeValues inside AttributeValueList must be of same type")
    return row.make(At((name,)), [Given(value) for value in asked.values])


def filtering(conditions: Mapping[str, Comparison], operator: str | None) -> Condition | None:
    """The condition that a QueryFilter or ScanFilter is; None if it is empty.  Raises PARAMETERS, CONDITIONAL_OPERATOR_ALONE."""
    return _joined([comparison(name, asked) for name, asked in conditions.items()], operator)


def expecting(expected: Mapping[str, Expectation], operator: str | None) -> Condition | None:
    """The condition that Expected is; None if it is empty.  Raises PARAMETERS, CONDITIONAL_OPERATOR_ALONE."""
    return _joined([_expected(name, asked) for name, asked in expected.items()], operator)


def _joined(parts: Sequence[Condition], operator: str | None) -> Condition | None:
    if operator is not None and len(parts) < 2:
        raise LeaseError.CONDITIONAL_OPERATOR_ALONE() if parts else LeaseError.CONDITIONAL_OPERATOR()
    if len(parts) < 2:
        return parts[0] if parts else None
    return Either(tuple(parts)) if operator == "OR" else Both(tuple(parts))


def _expected(name: str, asked: Expectation) -> Condition:
    where = f"for Attribute: {name}"
    if asked.operator is not None:
        if asked.exists is not None:
            raise _refusal(f"Exists and ComparisonOperator cannot be used together {where}")
        if asked.value is not None and asked.values is not None:
            raise _refusal(f"Value and AttributeValueList cannot be used together {where}")
        values = asked.values if asked.values is not None else [] if asked.value is None else [asked.value]
        if not values and _OPERATORS[asked.operator].least:
            raise _refusal(
                f"Value or AttributeValueList must be used with ComparisonOperator: {asked.operator} {where}"
            )
        return comparison(name, Comparison(asked.operator, values))
    if asked.values is not None:
        raise _refusal(f"AttributeValueList can only be used with a ComparisonOperator {where}")
    if asked.exists is False:
        if asked.value is not None:
            raise _refusal(f"Value cannot be used when Exists is false {where}")
        return Not(Exists((name,)))
    if asked.value is None:
        raise _refusal(f"Value must be provided when Exists is {'null' if asked.exists is None else 'true'} {where}")
    return Compare("=", At((name,)), Given(asked.value))


def updating(changes: Mapping[str, AttributeChange]) -> Update:
    """The update that AttributeUpdates is.  Raises PARAMETERS."""
    return Update(tuple(_action(name, asked) for name, asked in changes.items()), LeaseError.UPDATE_TYPE_LEGACY)


def _action(name: str, asked: AttributeChange) -> Put | Remove | Add | Take:
    path = (name,)
    match asked.action, asked.value:
        case "PUT", value if value is not None:
            return Put(path, Given(value))
        case "DELETE", None:
            return Remove(path)
        case _, None:
            raise _refusal("Only DELETE action is allowed when no attribute value is specified")
        case "DELETE", value if isinstance(value, Set):
            return Take(path, value)
        case "ADD", value if isinstance(value, Number | Set):
            return Add(path, value)
        case "ADD", List() as more:
            return Put(path, Append(IfMissing(path, Given(List(()))), Given(more)))
        case "DELETE", value:
            raise _refusal(f"DELETE action with value is not supported for the type {type_name(value)}")
        case _, value:
            raise _refusal(f"ADD action is not supported for the type {type_name(value)}")


def _refusal(problem: str) -> Exception:
    return LeaseError.PARAMETERS(problem=problem)
