"""Documents and shapes: turning a decoded body into model values, and model values into a body's document.

Theory.  A protocol decodes bytes into plain Python values; what they mean is the model's to say.  `coerce` walks value and shape
together and answers in one form whatever the protocol was: structures are dicts by AWS's member name, blobs `bytes`, timestamps
`int` milliseconds.  `render` is the way back.  Protocols differ only in their scalars, which a `Scalars` supplies.
Rules of this file:
  1. A member that is absent, null or unknown to the model is left out; nothing else is dropped.
  2. Type errors are worded as AWS words them (source: recorded answers); constraints are reject.py's business.
  3. Numbers are cut to the model's width as Java cuts them: ShardCount 10**11 arrives as 1215752192.
"""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple, NoReturn

from penstock.core.errors import Error
from penstock.wire.model import Shape

LIST_UNEXPECTED: Final = "Start of list found where not expected"
MAP_UNEXPECTED: Final = "Start of structure or map found where not expected."
NUMBER_CLASS: Final = "com.amazon.coral.value.json.numbers.TruncatingBigNumber"
_TRUE_WORDS: Final = frozenset({"TRUE", "YES", "1"})
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # as JSON spells them
_FALSE_WORDS: Final = frozenset({"FALSE", "NO", "0"})


class Scalars(NamedTuple):
    """How one protocol carries blobs and timestamps."""

    blob_in: Callable[[Any], bytes]  # raises ServiceError
    blob_out: Callable[[bytes], Any]
    timestamp_in: Callable[[float], int]  # a number of the protocol's unit -> milliseconds
    timestamp_out: Callable[[int], Any]


def coerce(shape: Shape, value: Any, scalars: Scalars) -> Any:
    """The model value that a decoded value stands for, or None for null.

    Raises WRONG_TYPE, worded for the first value whose type the shape does not allow.
    """
    if value is None:
        return None
    match shape.kind:
        case "structure":
            return _structure(shape, value, scalars)
        case "list":
            return _list(shape, value, scalars)
        case "map":
            return _map(shape, value, scalars)
        case "string":
            return value if isinstance(value, str) else _refuse(value, "an String")
        case "blob":
            if isinstance(value, bool | int | float | list | dict):
                _refuse(value, "a Blob")
            return scalars.blob_in(value)
        case "integer" | "long":
            return _whole(shape, value)
        case "boolean":
            return _boolean(value)
        case "float" | "double":
            named = _NOT_FINITE.get(value) if isinstance(value, str) else None
            return float(_number(value, "an " + shape.kind.capitalize())) if named is None else named
        case "timestamp":
            return _finite(scalars.timestamp_in, _number(value, "milliseconds since epoch"))


def render(shape: Shape, value: Any, scalars: Scalars) -> Any:
    """The document for a model value: the inverse of `coerce`.  Members that are None or absent are left out."""
    match shape.kind:
        case "structure":
            return {
                name: render(member, value[name], scalars)
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list":
            assert shape.member is not None
            return [render(shape.member, item, scalars) for item in value]
        case "map":
            assert shape.member is not None
            return {key: render(shape.member, item, scalars) for key, item in value.items()}
        case "blob":
            return scalars.blob_out(value)
        case "timestamp":
            return scalars.timestamp_out(value)
        case _:
            return value


def _structure(shape: Shape, value: Any, scalars: Scalars) -> dict[str, Any]:
    if isinstance(value, list):
        raise Error.WRONG_TYPE(text=LIST_UNEXPECTED)
    if not isinstance(value, dict):
        raise Error.WRONG_TYPE(text="Expected null")
    return {
        name: coerce(member, value[name], scalars)
        for name, member in shape.members.items()
        if value.get(name) is not None
    }


def _list(shape: Shape, value: Any, scalars: Scalars) -> list[Any]:
    assert shape.member is not None
    if isinstance(value, dict):
        raise Error.WRONG_TYPE(text=MAP_UNEXPECTED)
    if not isinstance(value, list):
        raise Error.WRONG_TYPE(text="Expected list or null")
    return [coerce(shape.member, item, scalars) for item in value]


def _map(shape: Shape, value: Any, scalars: Scalars) -> dict[str, Any]:
    assert shape.member is not None
    if isinstance(value, list):
        raise Error.WRONG_TYPE(text=LIST_UNEXPECTED)
    if not isinstance(value, dict):
        raise Error.WRONG_TYPE(text="Expected map or null")
    for key in value:
        if not isinstance(key, str):
            _refuse(key, "an String")
    return {key: coerce(shape.member, item, scalars) for key, item in value.items()}


def _whole(shape: Shape, value: Any) -> int:
    width = 32 if shape.kind == "integer" else 64
    number: int = _finite(math.trunc, _number(value, "an " + shape.kind.capitalize()))
    half = 1 << (width - 1)
    return (number + half) % (1 << width) - half


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.upper()
        if word in _TRUE_WORDS or word in _FALSE_WORDS:
            return word in _TRUE_WORDS
        raise Error.WRONG_TYPE(text=f"'{word}' can not be converted to an Boolean")
    return _refuse(value, "an Boolean")


def _number(value: Any, target: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return _refuse(value, target)


def _finite(convert: Callable[[float], int], number: float) -> int:
    try:
        return convert(number)
    except (OverflowError, ValueError):  # infinity, not a number
        raise Error.WRONG_TYPE(text=f"{number} can not be converted to a number") from None


def _refuse(value: Any, target: str) -> NoReturn:
    match value:
        case bool():
            found = "class java.lang.Boolean"
        case int() | float():
            found = "class " + NUMBER_CLASS
        case list():
            raise Error.WRONG_TYPE(text=LIST_UNEXPECTED)
        case dict():
            raise Error.WRONG_TYPE(text=MAP_UNEXPECTED)
        case str():
            found = "class java.lang.String"
        case bytes():
            found = "class java.nio.HeapByteBuffer"
        case _:  # CBOR has more types than the models do
            raise Error.BODY_NOT_PARSED()
    raise Error.WRONG_TYPE(text=f"{found} can not be converted to {target}")
