"""What requests ask in common: expressions or their legacy forms, values to be returned, capacity to be told.

Rule of this file: an input says a thing in one of two languages, never in both (MIXED); what comes out is the same either way.
"""

import math
from collections.abc import Mapping
from typing import Final, Literal

from penstock.core.errors import ServiceError
from penstock.core.lease_errors import LeaseError
from penstock.core.limits import KIB
from penstock.services.leases.conditions import Condition
from penstock.services.leases.conditiontext import parse_condition
from penstock.services.leases.grammar import Substitutions, parse_projection
from penstock.services.leases.legacy import Comparison, Expectation, expecting
from penstock.services.leases.ops.attributes import Attributes, AttributeValue, read_value
from penstock.services.leases.paths import Path, check_apart
from penstock.services.leases.values import Value
from penstock.wire.operation import Input, Output

ComparisonName = Literal[
    "EQ", "NE", "IN", "LE", "LT", "GE", "GT", "BETWEEN", "NOT_NULL", "NULL", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH"
]
Conditional = Literal["AND", "OR"]
ReturnValue = Literal["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]
ReturnOnFailure = Literal["ALL_OLD", "NONE"]
CapacityAsked = Literal["INDEXES", "TOTAL", "NONE"]
MetricsAsked = Literal["SIZE", "NONE"]
READ_UNIT_BYTES: Final = 4 * KIB
WRITE_UNIT_BYTES: Final = KIB


class ExpectedAttributeValue(Input, forbid_unknown_fields=True):
    """One attribute of Expected."""

    value: AttributeValue | None = None
    exists: bool | None = None
    comparison_operator: ComparisonName | None = None
    attribute_value_list: list[AttributeValue] | None = None


class LegacyCondition(Input):
    """One attribute of a filter or of KeyConditions."""

    comparison_operator: ComparisonName
    attribute_value_list: list[AttributeValue] | None = None


class Capacity(Output):
    """What a call would have used."""

    table_name: str
    capacity_units: float


class ReturnsCapacity(Output):
    """An answer that may tell it."""

    consumed_capacity: Capacity | None = None


def capacity(asked: str | None, table: str, size_bytes: int, unit_bytes: int, *, half: bool = False) -> Capacity | None:
    """What a call on one table would have used, if it asks.  Half of it is counted for reads that are not consistent."""
    if asked in (None, "NONE"):
        return None
    units = max(1, math.ceil(size_bytes / unit_bytes))
    return Capacity(table_name=table, capacity_units=units / 2 if half else float(units))


def read_values(given: Mapping[str, AttributeValue] | None) -> dict[str, Value] | None:
    """ExpressionAttributeValues.  Raises VALUE_IN_SUBSTITUTION."""
    if given is None:
        return None
    read: dict[str, Value] = {}
    for key, value in given.items():
        try:
            read[key] = read_value(value)
        except ServiceError as error:
            raise LeaseError.VALUE_IN_SUBSTITUTION(
                parameter="ExpressionAttributeValues", problem=error.message, key=key[:100]
            ) from None
    return read


def check_language(expressions: Mapping[str, object | None], legacy: Mapping[str, object | None]) -> None:
    """Raise MIXED if a request uses both languages; each maps a parameter's name to what was given."""
    modern = [name for name, given in expressions.items() if given is not None]
    old = [name for name, given in legacy.items() if given is not None]
    if modern and old:
        raise LeaseError.MIXED(legacy=", ".join(old), expressions=", ".join(modern))


def substitutions(
    expressions: Mapping[str, str | None], names: Mapping[str, str] | None, values: Attributes | None
) -> Substitutions:
    """What the request's expressions may stand for.  Raises SUBSTITUTIONS_ALONE where there is none of them."""
    if not any(text is not None for text in expressions.values()):
        verb = "is" if len(expressions) == 1 else "are"
        absent = f": {' and '.join(expressions)} {verb} null" if expressions else ""
        for parameter, given in (("ExpressionAttributeNames", names), ("ExpressionAttributeValues", values)):
            if given is not None:
                raise LeaseError.SUBSTITUTIONS_ALONE(
                    parameter=parameter, absent=absent if parameter.endswith("Values") else ""
                )
    return Substitutions(names, read_values(values))


def condition(text: str | None, given: Substitutions) -> Condition | None:
    """The ConditionExpression of a request."""
    return None if text is None else parse_condition("ConditionExpression", text, given)


def expectation(
    expected: Mapping[str, ExpectedAttributeValue] | None, operator: Conditional | None
) -> Condition | None:
    """The condition that Expected is.  Raises PARAMETERS and rows on values."""
    if not expected:
        if operator is not None:
            raise LeaseError.CONDITIONAL_OPERATOR()
        return None
    read = {
        name: Expectation(
            None if given.value is None else read_value(given.value),
            given.exists,
            given.comparison_operator,
            None if given.attribute_value_list is None else list(map(read_value, given.attribute_value_list)),
        )
        for name, given in expected.items()
    }
    return expecting(read, operator)


def comparisons(given: Mapping[str, LegacyCondition]) -> dict[str, Comparison]:
    """Legacy conditions with their values read."""
    return {
        name: Comparison(asked.comparison_operator, list(map(read_value, asked.attribute_value_list or ())))
        for name, asked in given.items()
    }


def projection(text: str | None, attributes: list[str] | None, given: Substitutions) -> list[Path] | None:
    """The paths that a read is to answer; None for everything.  Raises MIXED, PATHS_OVERLAP, PARAMETERS, rows on expressions."""
    check_language({"ProjectionExpression": text}, {"AttributesToGet": attributes})
    if attributes is not None:
        repeated = [name for place, name in enumerate(attributes) if name in attributes[:place]]
        if repeated:
            raise LeaseError.PARAMETERS(problem=f"Duplicate value in attribute name: {repeated[0]}")
        return [(name,) for name in attributes]
    if text is None:
        return None
    paths = parse_projection(text, given)
    check_apart("ProjectionExpression", paths)
    return paths


class Request(Input, kw_only=True):
    """An input that names a table."""

    table_name: str
