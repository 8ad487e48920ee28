"""Coercion: values of JSON made into values of columns, as OpenX and as Hive do it.

Theory.  The two deserializers differ in what they forgive.  OpenX takes a number in a text, a single value for an array of it, an array for
a struct, anything for a text; Hive takes a number for a text, and little else.  A coercer is compiled from a type once and called for each
value; what it cannot take is a BadValue in the words of AWS's error objects.
Rules of this file: pure; None stays None; numbers with a fraction come in as Decimal, so that no digit is lost.
Source: Firehose developer guide, "Record format conversion"; the tables of both, with their words, as floci's authors tried them on AWS.
UNVERIFIED: what is not in those tables: booleans from other than booleans, integers with a fraction, char, varchar and binary.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, assert_never

import msgspec

from penstock.services.catalog import types
from penstock.services.firehose.processing import instants

Coerce = Callable[[Any], Any]

MISMATCH: Final = "Data does not match the schema. "
FORMAT: Final = "One or more fields have incorrect format. Exception when validating field (root)"
_NOT_NUMERIC: Final = "Current token (VALUE_STRING) not numeric, can not use numeric value accessors"
_RANGES: Final[Mapping[str, int]] = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}
_FLOAT_MAX: Final = 3.4028234663852886e38
_JSON: Final = msgspec.json.Encoder(decimal_format="number")


class BadValue(Exception):
    """A value that does not fit its column; the text is the error object's."""


class Rules(NamedTuple):
    """What a deserializer forgives, and how it reads names and times."""

    lenient: bool  # OpenX
    key: Callable[[str], str]  # a member's name as it is looked up
    map_key: Callable[[str], str]  # a key of a map as it is kept
    instant: Coerce


def make_coercer(kind: types.HiveType, rules: Rules) -> Coerce:
    """What makes values of a type."""
    match kind:
        case types.Scalar():
            return _optional(_scalar(kind.kind, rules))
        case types.Decimal():
            return _optional(_decimal(kind, rules))
        case types.Text():
            text = _texts(rules)
            return _optional(lambda value: text(value)[: kind.length])
        case types.Array():
            return _optional(_array(make_coercer(kind.item, rules), rules))
        case types.Map():
            return _optional(_map(make_coercer(kind.key, rules), make_coercer(kind.value, rules), rules))
        case types.Struct():
            return _optional(_struct(kind, rules))
        case _:
            assert_never(kind)


def _optional(coerce: Coerce) -> Coerce:
    return lambda value: None if value is None else coerce(value)


def _scalar(kind: types.ScalarKind, rules: Rules) -> Coerce:
    match kind:
        case "string":
            return _texts(rules)
        case "boolean":
            return _boolean(rules)
        case "float" | "double":
            return _real(rules, _FLOAT_MAX if kind == "float" else None)
        case "date":
            return _date
        case "timestamp":
            return rules.instant
        case "binary":
            text = _texts(rules)
            return lambda value: text(value).encode()
        case "tinyint" | "smallint" | "int" | "bigint":
            return _whole(rules, kind)
        case _:
            assert_never(kind)


def _texts(rules: Rules) -> Coerce:
    def text(value: Any) -> str:
        match value:
            case str():
                return value
            case bool():
                return "true" if value else "false"
            case int():
                return str(value)
            case Decimal():
                return repr(float(value))
        if not rules.lenient:
            raise BadValue(FORMAT)
        return _JSON.encode(_folded(value, rules.map_key)).decode()

    return text


def _folded(value: Any, fold: Callable[[str], str]) -> Any:
    """A value with the names in it folded, at every depth."""
    if isinstance(value, dict):
        return {fold(name): _folded(one, fold) for name, one in value.items()}
    return [_folded(one, fold) for one in value] if isinstance(value, list) else value


def _number(value: Any, rules: Rules) -> int | Decimal:
    """A number, from a text if that is forgiven."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise BadValue(MISMATCH + f"{_java(value)} is no number")
    if not rules.lenient:
        raise BadValue(MISMATCH + _NOT_NUMERIC)
    try:
        number = Decimal(value.strip()) if value.isascii() and "_" not in value else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise BadValue(MISMATCH + f'For input string: "{value[:200]}"')
    return number


def _whole(rules: Rules, kind: str) -> Coerce:
    limit = 1 << _RANGES[kind]

    def whole(value: Any) -> int:
        number = _number(value, rules)
        if isinstance(number, Decimal):
            if number.adjusted() > 20 or number != number.to_integral_value():
                raise BadValue(MISMATCH + f'For input string: "{str(value)[:200]}"')
            number = int(number)
        if not -limit <= number < limit:
            raise BadValue(MISMATCH + f"Value {number} is out of range for the type {kind}")
        return number

    return whole


def _real(rules: Rules, limit: float | None) -> Coerce:
    def real(value: Any) -> float:
        try:
            number = float(_number(value, rules))
        except OverflowError:
            raise BadValue(MISMATCH + "the number is out of range") from None
        return number if limit is None or abs(number) <= limit else float("inf") * (1 if number > 0 else -1)

    return real


def _boolean(rules: Rules) -> Coerce:
    def boolean(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if rules.lenient and isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise BadValue(MISMATCH + f"{_java(value)} is no boolean")

    return boolean


def _decimal(kind: types.Decimal, rules: Rules) -> Coerce:
    unit = Decimal(1).scaleb(-kind.scale)
    context = Context(prec=kind.precision, rounding=ROUND_HALF_UP)

    def decimal(value: Any) -> Decimal:
        number = Decimal(_number(value, rules))
        try:
            return number.quantize(unit, context=context) if number else Decimal(0).quantize(unit)
        except InvalidOperation:
            text = f"Value {str(number)[:80]} is out of range for the type decimal({kind.precision},{kind.scale})"
            raise BadValue(MISMATCH + text) from None

    return decimal


def _date(value: Any) -> int:
    try:
        if isinstance(value, str):
            return instants.day_of(value)
    except ValueError as problem:
        raise BadValue(MISMATCH + str(problem)) from None
    raise BadValue(MISMATCH + f"{_java(value)} is no date")


def _array(item: Coerce, rules: Rules) -> Coerce:
    def array(value: Any) -> list[Any]:
        if isinstance(value, list):
            return [item(one) for one in value]
        if not rules.lenient:
            raise BadValue(MISMATCH + "java.io.IOException: Start of Array expected")
        return [item(value)]

    return array


def _map(key: Coerce, item: Coerce, rules: Rules) -> Coerce:
    def pairs(value: Any) -> list[tuple[Any, Any]]:
        if not isinstance(value, dict):
            problem = "A map column cannot hold a JSON array." if isinstance(value, list) else _no_object(value)
            raise BadValue(MISMATCH + (problem if rules.lenient else "java.io.IOException: Start of Object expected"))
        found = {rules.map_key(name): one for name, one in value.items()}
        return [(key(name), item(one)) for name, one in found.items()]

    return pairs


def _struct(kind: types.Struct, rules: Rules) -> Coerce:
    members = [(member.name, rules.key(member.name), make_coercer(member.type, rules)) for member in kind.members]

    def struct(value: Any) -> dict[str, Any]:
        if isinstance(value, list) and rules.lenient:
            given: Sequence[Any] = [*value[: len(members)], *[None] * (len(members) - len(value))]
            return {name: coerce(one) for (name, _, coerce), one in zip(members, given, strict=True)}
        if not isinstance(value, dict):
            raise BadValue(
                MISMATCH + (_no_object(value) if rules.lenient else "java.io.IOException: Start of Object expected")
            )
        found = {rules.key(name): one for name, one in value.items()}
        return {name: coerce(found.get(key)) for name, key, coerce in members}

    return struct


def instant_of(texts: Sequence[Callable[[str], int]], *, numbers: Callable[[int | Decimal], int] | None) -> Coerce:
    """What makes instants: of texts by the first reader that takes them, of numbers if any are taken."""

    def instant(value: Any) -> int:
        problem = "no timestamp"
        try:
            if isinstance(value, int | Decimal) and not isinstance(value, bool) and numbers is not None:
                return numbers(value)
        except (ValueError, OverflowError) as error:
            problem = str(error)
        for read in texts if isinstance(value, str) else ():
            try:
                return read(value)
            except (ValueError, OverflowError) as error:
                problem = str(error)
        raise BadValue(MISMATCH + problem)

    return instant


def _no_object(value: Any) -> str:
    return f"Data is not JSONObject  but {_java(value)} with value {str(value)[:200]}"  # two blanks, as AWS has it


def _java(value: Any) -> str:
    match value:
        case bool():
            return "java.lang.Boolean"
        case int():
            return "java.lang.Long"
        case Decimal():
            return "java.lang.Double"
        case str():
            return "java.lang.String"
        case list():
            return "a JSON array"
        case _:
            return "a JSON object"
