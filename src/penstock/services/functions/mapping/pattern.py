"""Filter patterns: EventBridge's language, as event source mappings take it.

Theory.  A pattern is an object.  Its keys are looked up in the event: all of them must match.  The value of a key is a pattern again, or a
list of alternatives: values that are meant literally, or objects with one operator.  Where the event has a list, one of its elements
must match.  `$or` is a list of patterns of which one must match beside the other keys.
A record's event is what the `kinesis` member of Lambda's event holds, with `data` decoded where it is JSON.
Rules of this file:
  1. Pure.  A pattern is read once, to a tree of tests; what cannot be read raises InvalidPattern.
  2. Whatever an event holds, a test answers yes or no.
  3. A pattern of `data` is an object: text can only be told from JSON by its record, and Lambda refuses such patterns.
Source: EventBridge user guide, "Comparison operators"; Lambda developer guide, "Event filtering".
"""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Final

import msgspec

Test = Callable[[Any], bool]  # of one value of an event
_NUMBER_MAX: Final = 5e9
_ALTERNATIVES_MAX: Final = 1000  # UNVERIFIED: AWS counts combinations
_ABSENT: Final = object()
_DEPTH_MAX: Final = 64


class InvalidPattern(Exception):
    """It is no pattern; says why."""


class Pattern:
    """One filter."""

    def __init__(self, text: str) -> None:
        """Raises InvalidPattern."""
        try:
            tree = msgspec.json.decode(text)
        except (msgspec.MsgspecError, RecursionError):
            raise InvalidPattern("it is not JSON") from None
        if not isinstance(tree, dict) or not tree:
            raise InvalidPattern("it must be a JSON object with at least one key")
        data = tree.get("data", {"": []})
        if not isinstance(data, dict):
            raise InvalidPattern("the pattern of data must be a JSON object")
        self.reads_data = "data" in tree or "$or" in tree
        self._test = _object(tree, 0)

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is let through; one that is too deep to be looked at is not."""
        try:
            return self._test(event)
        except RecursionError:
            return False


def _object(tree: Mapping[str, Any], depth: int) -> Test:
    if depth > _DEPTH_MAX:
        raise InvalidPattern("it is too deep")
    if not tree:
        raise InvalidPattern("an object needs at least one key")
    tests = [(key, _member(value, depth)) for key, value in tree.items() if not _is_or(key, value)]
    either = [_either(value, depth) for key, value in tree.items() if _is_or(key, value)]

    def test(value: Any) -> bool:
        if isinstance(value, list):
            return any(test(element) for element in value)
        if not isinstance(value, dict):
            return (
                value is _ABSENT and all(check(_ABSENT) for _, check in tests) and all(one(_ABSENT) for one in either)
            )
        return all(check(value.get(key, _ABSENT)) for key, check in tests) and all(one(value) for one in either)

    return test


def _is_or(key: str, value: Any) -> bool:
    return key == "$or" and isinstance(value, list)


def _either(value: list[Any], depth: int) -> Test:
    if len(value) < 2 or not all(isinstance(part, dict) for part in value):
        raise InvalidPattern("$or needs a list of at least two objects")
    parts = [_object(part, depth + 1) for part in value]
    return lambda event: any(part(event) for part in parts)


def _member(value: Any, depth: int) -> Test:
    if isinstance(value, dict):
        return _object(value, depth + 1)
    if not isinstance(value, list) or not value:
        raise InvalidPattern("the value of a key must be an object or a list with at least one element")
    if len(value) > _ALTERNATIVES_MAX:
        raise InvalidPattern(f"a list has more than {_ALTERNATIVES_MAX} elements")
    tests = [_alternative(each) for each in value]

    def test(found: Any) -> bool:
        if isinstance(found, list):
            return any(test(element) for element in found)
        return any(check(found) for check in tests)

    return test


def _alternative(value: Any) -> Test:
    if isinstance(value, dict):
        if len(value) != 1:
            raise InvalidPattern("an alternative that is an object has one operator")
        [(name, argument)] = value.items()
        if name not in _OPERATORS:
            raise InvalidPattern(f"there is no operator {name!r}")
        return _OPERATORS[name](argument)
    if isinstance(value, list):
        raise InvalidPattern("a list in a list means nothing")
    return lambda found: _same(found, value)


def _same(found: Any, value: Any) -> bool:
    """Equality as JSON has it: true is not 1."""
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    return found is not _ABSENT and found == value


def _text(argument: Any, operator: str) -> str:
    if not isinstance(argument, str):
        raise InvalidPattern(f"{operator} needs a string")
    return argument


def _on_text(check: Callable[[str], bool]) -> Test:
    return lambda found: isinstance(found, str) and check(found)


def _any_case(argument: Any) -> Test:
    wanted = _text(argument, "equals-ignore-case").casefold()
    return _on_text(lambda found: found.casefold() == wanted)


def _prefix(argument: Any) -> Test:
    if isinstance(argument, dict) and list(argument) == ["equals-ignore-case"]:
        folded = _text(argument["equals-ignore-case"], "prefix").casefold()
        return _on_text(lambda found: found.casefold().startswith(folded))
    wanted = _text(argument, "prefix")
    return _on_text(lambda found: found.startswith(wanted))


def _suffix(argument: Any) -> Test:
    if isinstance(argument, dict) and list(argument) == ["equals-ignore-case"]:
        folded = _text(argument["equals-ignore-case"], "suffix").casefold()
        return _on_text(lambda found: found.casefold().endswith(folded))
    wanted = _text(argument, "suffix")
    return _on_text(lambda found: found.endswith(wanted))


def _wildcard(argument: Any) -> Test:
    """A star stands for any characters; behind a backslash for itself."""
    text = _text(argument, "wildcard")
    bare = text.replace("\\\\", "x").replace("\\*", "x")
    if "\\" in bare:
        raise InvalidPattern("a backslash in a wildcard stands before * or another")
    if "**" in bare:
        raise InvalidPattern("two * side by side in a wildcard")
    return _on_text(_wild(text))


def _wild(text: str) -> Callable[[str], bool]:
    """Literal parts in their order, each at its first place: linear, whatever is matched."""
    parts, part, at = [], "", 0
    while at < len(text):
        if text[at] == "*":
            parts.append(part)
            part = ""
        else:
            at += text[at] == "\\"
            part += text[at]
        at += 1
    parts.append(part)
    first, *between = parts
    if not between:
        return lambda found: found == first
    last = between.pop()

    def check(found: str) -> bool:
        if len(found) < len(first) + len(last) or not (found.startswith(first) and found.endswith(last)):
            return False
        place, stop = len(first), len(found) - len(last)
        for literal in between:
            place = found.find(literal, place, stop)
            if place < 0:
                return False
            place += len(literal)
        return True

    return check


def _numeric(argument: Any) -> Test:
    if not isinstance(argument, list) or len(argument) not in (2, 4):
        raise InvalidPattern("numeric needs one or two comparisons")
    pairs = list(zip(argument[::2], argument[1::2], strict=True))
    for operator, bound in pairs:
        if operator not in _COMPARISONS or isinstance(bound, bool) or not isinstance(bound, int | float):
            raise InvalidPattern("numeric compares by =, <, <=, > or >= with a number")
        if abs(bound) > _NUMBER_MAX:
            raise InvalidPattern(f"a number lies beyond {_NUMBER_MAX:.0f}")
    if len(pairs) == 2:
        (low, least), (high, most) = pairs
        if low not in (">", ">=") or high not in ("<", "<=") or least >= most:
            raise InvalidPattern("a range has its lower bound first")

    def test(found: Any) -> bool:
        if isinstance(found, bool) or not isinstance(found, int | float):
            return False
        return all(_COMPARISONS[operator](found, bound) for operator, bound in pairs)

    return test


def _exists(argument: Any) -> Test:
    if not isinstance(argument, bool):
        raise InvalidPattern("exists needs true or false")
    if argument:
        return lambda found: found is not _ABSENT and not isinstance(found, dict)  # it is asked of leaves
    return lambda found: found is _ABSENT


def _cidr(argument: Any) -> Test:
    try:
        network = ip_network(_text(argument, "cidr"), strict=False)
    except ValueError:
        raise InvalidPattern("cidr needs an address range") from None

    def check(found: str) -> bool:
        try:
            return ip_address(found) in network
        except ValueError:
            return False

    return _on_text(check)


def _anything_but(argument: Any) -> Test:
    """What is there, and none of these."""
    tests = _excluded(argument)
    return lambda found: found is not _ABSENT and not isinstance(found, dict) and not any(test(found) for test in tests)


def _excluded(argument: Any) -> Sequence[Test]:
    if isinstance(argument, dict):
        if len(argument) != 1:
            raise InvalidPattern("anything-but has one operator")
        [(name, inner)] = argument.items()
        if name not in _EXCLUDING:
            raise InvalidPattern(f"anything-but has no operator {name!r}")
        values = inner if isinstance(inner, list) else [inner]
        if not values:
            raise InvalidPattern("anything-but needs something")
        return [_EXCLUDING[name](value) for value in values]
    values = argument if isinstance(argument, list) else [argument]
    if not values or not (_all_are(values, str) or _all_are(values, (int, float))):
        raise InvalidPattern("anything-but needs strings, or numbers")
    return [_alternative(value) for value in values]


def _all_are(values: Sequence[Any], kind: type | tuple[type, ...]) -> bool:
    return all(isinstance(value, kind) and not isinstance(value, bool) for value in values)


_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": lambda found, bound: found == bound,
    "<": lambda found, bound: found < bound,
    "<=": lambda found, bound: found <= bound,
    ">": lambda found, bound: found > bound,
    ">=": lambda found, bound: found >= bound,
}
_EXCLUDING: Final[Mapping[str, Callable[[Any], Test]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _any_case,
    "wildcard": _wildcard,
}
_OPERATORS: Final[Mapping[str, Callable[[Any], Test]]] = {
    **_EXCLUDING,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "exists": _exists,
    "cidr": _cidr,
}
