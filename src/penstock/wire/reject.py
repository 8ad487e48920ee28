"""Constraints: whether a model value keeps the model's bounds, and AWS's own words when it does not.

Theory.  AWS checks every constraint of a request before any of its meaning, and reports all violations in one message:
"2 validation errors detected: Value '0' at 'limit' failed to satisfy constraint: Member must ...; Value ...".
Rules of this file:
  1. This is the slow path: fast decoders only say yes, and a request that they do not accept is read again here.
  2. Violations come in the model's order of members, the pattern before the length; at most ten are listed, as AWS does.
  3. No value costs more than a linear walk: the patterns are run by RE2 (see model.py).
Source: recorded answers.
"""

from collections.abc import Iterator
from typing import Any, Final

from penstock.core.errors import Error
from penstock.wire.model import Shape

VIOLATIONS_MAX: Final = 10
_SCALARS: Final = ("string", "integer", "long", "float", "double")
ECHO_MAX_CHARS: Final = 4096  # ours: how much of a refused value is told back


def check(shape: Shape, value: dict[str, Any]) -> None:
    """Raise CONSTRAINTS with every violation of the input structure's constraints, or return."""
    violations: list[str] = []
    for violation in _structure(shape, value, ""):
        violations.append(violation)
        if len(violations) == VIOLATIONS_MAX:
            break
    if violations:
        count = len(violations)
        noun = "error" if count == 1 else "errors"
        raise Error.CONSTRAINTS(text=f"{count} validation {noun} detected: " + "; ".join(violations))


def _structure(shape: Shape, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        where = path + name[0].lower() + name[1:]
        given = value.get(name)
        if given is None:
            if name in shape.required:
                yield f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
            continue
        for rule in _broken(member, given):
            yield f"Value '{_echo(member, given)}' at '{where}' failed to satisfy constraint: {rule}"
        yield from _inside(member, given, where)


def _inside(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """Violations within a container whose own bounds were already looked at."""
    match shape.kind:
        case "structure":
            yield from _structure(shape, value, where + ".")
        case "list":
            assert shape.member is not None
            for number, item in enumerate(value, 1):
                if item is None:
                    yield f"Value null at '{where}.{number}.member' failed to satisfy constraint: Member must not be null"
                else:
                    yield from _inside(shape.member, item, f"{where}.{number}.member")
        case "map":
            assert shape.member is not None
            for key, item in value.items():
                if item is None:
                    yield f"Value null at '{where}.{key}.member' failed to satisfy constraint: Member must not be null"
                else:
                    yield from _inside(shape.member, item, f"{where}.{key}.member")


def _broken(shape: Shape, value: Any) -> Iterator[str]:
    """The rules that one value breaks; for a list or map of scalars, those that any of its items breaks."""
    match shape.kind:
        case "string":
            if shape.regex is not None and shape.regex.fullmatch(value) is None:
                yield f"Member must satisfy regular expression pattern: {_pattern_text(shape)}"
            if shape.enum and value not in shape.enum:
                yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
            yield from _length(shape, len(value))
        case "integer" | "long" | "float" | "double":
            if shape.minimum is not None and value < shape.minimum:
                yield f"Member must have value greater than or equal to {shape.minimum}"
            if shape.maximum is not None and value > shape.maximum:
                yield f"Member must have value less than or equal to {shape.maximum}"
        case "blob":
            yield from _length(shape, len(value))
        case "list":
            yield from _length(shape, len(value))
            yield from _items("Member", shape.member, value)
        case "map":
            yield from _length(shape, len(value))
            yield from _items("Map keys", shape.key, value)
            yield from _items("Map value", shape.member, value.values())


def _items(what: str, shape: Shape | None, values: Any) -> Iterator[str]:
    assert shape is not None
    if shape.kind in _SCALARS and any(item is not None and any(_broken(shape, item)) for item in values):
        yield f"{what} must satisfy constraint: [{', '.join(_rules(shape))}]"


def _rules(shape: Shape) -> Iterator[str]:
    if shape.kind != "string":
        if shape.maximum is not None:
            yield f"Member must have value less than or equal to {shape.maximum}"
        if shape.minimum is not None:
            yield f"Member must have value greater than or equal to {shape.minimum}"
        return
    if shape.maximum is not None:
        yield f"Member must have length less than or equal to {shape.maximum}"
    if shape.minimum is not None:
        yield f"Member must have length greater than or equal to {shape.minimum}"
    if shape.pattern is not None:
        yield f"Member must satisfy regular expression pattern: {_pattern_text(shape)}"
    if shape.enum:
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def _length(shape: Shape, length: int) -> Iterator[str]:
    if shape.minimum is not None and length < shape.minimum:
        yield f"Member must have length greater than or equal to {shape.minimum}"
    if shape.maximum is not None and length > shape.maximum:
        yield f"Member must have length less than or equal to {shape.maximum}"


def _pattern_text(shape: Shape) -> str:
    """The pattern as the service words it: the model adds anchors to some."""
    assert shape.pattern is not None
    text = shape.pattern
    return text[2:-2] if text.startswith("^(") and text.endswith(")$") else text


def _echo(shape: Shape, value: Any) -> str:
    """A value as Java prints it, cut where it would only be noise."""
    match shape.kind:
        case "blob":
            return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
        case "structure":
            return shape.name
        case "list":
            assert shape.member is not None
            text = "[" + ", ".join(_echo(shape.member, item) for item in value[:1000]) + "]"
        case "map":
            text = "{" + ", ".join(f"{key}={item}" for key, item in value.items()) + "}"
        case _:
            text = str(value)
    return text if len(text) <= ECHO_MAX_CHARS else text[:ECHO_MAX_CHARS] + "..."
