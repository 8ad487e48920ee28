"""Reading conditions: the text of a ConditionExpression, FilterExpression or KeyConditionExpression becomes a condition.

Theory.  Recursive descent, OR over AND over NOT over what compares.  A parenthesis may hold a condition or an operand, which is known only
when it has been read: so both are read by the same functions, and each place says which of the two it takes.
Rules of this file:
  1. Pure.  What can be refused without an item is refused here, so that evaluation never fails.
  2. An expression means one condition or is refused; nothing is ignored.
Source: as grammar.py.
"""

from collections.abc import Callable, Mapping
from typing import Final

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
    HasType,
    In,
    Not,
    Operand,
    Size,
    compare,
)
from penstock.services.leases.grammar import Substitutions, Words
from penstock.services.leases.paths import Path, path_text
from penstock.services.leases.values import TYPE_NAMES, Binary, Scalar, String, Value, shown, type_name

IN_MAX: Final = 100
SIGNS: Final = frozenset(("=", "<>", "<", "<=", ">", ">="))

_Read = Condition | Operand


def parse_condition(kind: str, text: str, substitutions: Substitutions) -> Condition:
    """The condition that a text means; `kind` is the parameter, for refusals.  Raises what Words raises, and rows on operands."""
    parser = _Parser(Words(kind, text, substitutions))
    read = parser.condition(parser.alternatives())
    parser.words.expect_end()
    return read


class _Parser:
    def __init__(self, words: Words) -> None:
        self.words = words
        self._group: tuple[int, int] | None = None  # the tokens of the last parenthesis that was closed

    # What a place takes

    def condition(self, read: _Read) -> Condition:
        if isinstance(read, Operand):
            if isinstance(read, Size):
                raise LeaseError.FUNCTION_MISPLACED(kind=self.words.kind, function="size")
            raise self.words.unexpected()
        return read

    def operand(self, read: _Read) -> Operand:
        if isinstance(read, Operand):
            return read
        for made, name in _MADE_BY.items():
            if isinstance(read, made):
                raise LeaseError.FUNCTION_MISPLACED(kind=self.words.kind, function=name)
        raise self.words.unexpected()

    # From the loosest to the tightest

    def alternatives(self) -> _Read:
        first = self._conjunction()
        parts = [first]
        while self.words.is_word("OR"):
            self.condition(parts[-1])
            self.words.take()
            parts.append(self._conjunction())
        return first if len(parts) == 1 else Either(tuple(map(self.condition, parts)))

    def _conjunction(self) -> _Read:
        first = self._negation()
        parts = [first]
        while self.words.is_word("AND"):
            self.condition(parts[-1])
            self.words.take()
            parts.append(self._negation())
        return first if len(parts) == 1 else Both(tuple(map(self.condition, parts)))

    def _negation(self) -> _Read:
        if not self.words.is_word("NOT"):
            return self._comparison()
        self.words.take()
        self.words.deeper()
        of = self.condition(self._negation())
        self.words.higher()
        return Not(of)

    def _comparison(self) -> _Read:
        left = self._primary()
        words = self.words
        if words.next.kind == "sign" and words.next.text in SIGNS:
            first = self.operand(left)
            sign = words.take().text
            return self._compared(sign, first, self.operand(self._primary()))
        if words.is_word("BETWEEN"):
            first = self.operand(left)
            words.take()
            low = self.operand(self._primary())
            if not words.accept_word("AND"):
                raise words.unexpected()
            return self._between(first, low, self.operand(self._primary()))
        if words.is_word("IN"):
            first = self.operand(left)
            words.take()
            return In(first, self._options())
        return left

    def _options(self) -> tuple[Operand, ...]:
        self.words.expect("(")
        options = [self.operand(self._primary())]
        while self.words.accept(","):
            options.append(self.operand(self._primary()))
        self.words.expect(")")
        if len(options) > IN_MAX:
            raise LeaseError.OPERAND_COUNT(kind=self.words.kind, name="IN", count=len(options) + 1)
        return tuple(options)

    def _primary(self) -> _Read:
        if self.words.next.text == "(" and self.words.next.kind == "sign":
            return self._parenthesis()
        if self.words.next.kind == "value":
            return Given(self.words.value())
        if self.words.is_call():
            return self._call()
        return At(self.words.path())

    def _parenthesis(self) -> _Read:
        start = self.words.at
        self.words.take()
        self.words.deeper()
        read = self.alternatives()
        inside = self._group
        self.words.expect(")")
        self.words.higher()
        if inside == (start + 1, self.words.at - 1):
            raise LeaseError.PARENTHESES(kind=self.words.kind)
        self._group = (start, self.words.at)
        return read

    def _compared(self, sign: str, left: Operand, right: Operand) -> Condition:
        if isinstance(left, At) and left == right:
            raise LeaseError.OPERANDS_SAME(kind=self.words.kind, sign=sign, path=path_text(left.path))
        if sign not in ("=", "<>"):
            for operand in (left, right):
                if isinstance(operand, Given) and not isinstance(operand.value, Scalar):
                    raise LeaseError.OPERATOR_TYPE(kind=self.words.kind, name=sign, type=type_name(operand.value))
        return Compare(sign, left, right)

    def _between(self, operand: Operand, low: Operand, high: Operand) -> Condition:
        for bound in (low, high):
            if isinstance(bound, Given) and not isinstance(bound.value, Scalar):
                raise LeaseError.OPERATOR_TYPE(kind=self.words.kind, name="BETWEEN", type=type_name(bound.value))
        if isinstance(low, Given) and isinstance(high, Given):
            check_bounds(self.words.kind, low.value, high.value)
        return Between(operand, low, high)

    # Functions

    def _call(self) -> _Read:
        name = self.words.take().text
        function = _FUNCTIONS.get(name)
        if function is None:
            raise LeaseError.FUNCTION_UNKNOWN(kind=self.words.kind, function=name)
        self.words.expect("(")
        self.words.deeper()
        arguments = [self.operand(self._primary())] if self.words.next.text != ")" else []
        while self.words.accept(","):
            arguments.append(self.operand(self._primary()))
        self.words.expect(")")
        self.words.higher()
        count, make = function
        if len(arguments) != count:
            raise LeaseError.OPERAND_COUNT(kind=self.words.kind, name=name, count=len(arguments))
        return make(self.words.kind, arguments)


def check_bounds(kind: str, low: Value, high: Value) -> None:
    """Raise BOUNDS_TYPES or BOUNDS_ORDER unless a BETWEEN can hold."""
    if type(low) is not type(high):
        raise LeaseError.BOUNDS_TYPES(kind=kind, low=shown(low), high=shown(high))
    if not compare("<=", low, high):
        raise LeaseError.BOUNDS_ORDER(kind=kind, low=shown(low), high=shown(high))


def _document_path(kind: str, name: str, operand: Operand) -> Path:
    if not isinstance(operand, At):
        raise LeaseError.PATH_NEEDED(kind=kind, name=name)
    return operand.path


def _has_type(kind: str, arguments: list[Operand]) -> Condition:
    path = _document_path(kind, "attribute_type", arguments[0])
    given = arguments[1].value if isinstance(arguments[1], Given) else None
    if not isinstance(given, String):
        found = "{NULL}" if given is None else type_name(given)  # UNVERIFIED: of a path
        raise LeaseError.FUNCTION_TYPE(kind=kind, name="attribute_type", type=found)
    if given.value not in TYPE_NAMES:
        raise LeaseError.TYPE_UNKNOWN(kind=kind, type=given.value[:100])
    return HasType(path, given.value)


def _begins_with(kind: str, arguments: list[Operand]) -> Condition:
    for operand in arguments:
        if isinstance(operand, Given) and not isinstance(operand.value, String | Binary):
            raise LeaseError.FUNCTION_TYPE(kind=kind, name="begins_with", type=type_name(operand.value))
    return BeginsWith(*arguments)


def _contains(kind: str, arguments: list[Operand]) -> Condition:
    if isinstance(arguments[0], At) and arguments[0] == arguments[1]:
        raise LeaseError.OPERANDS_SAME(kind=kind, sign="contains", path=path_text(arguments[0].path))
    return Contains(*arguments)


def _size(kind: str, arguments: list[Operand]) -> Operand:
    of = arguments[0]
    if isinstance(of, Size):
        raise LeaseError.FUNCTION_MISPLACED(kind=kind, function="size")
    if isinstance(of, Given) and type_name(of.value) in ("N", "BOOL", "NULL"):
        raise LeaseError.FUNCTION_TYPE(kind=kind, name="size", type=type_name(of.value))
    return Size(of)


def _exists(kind: str, arguments: list[Operand]) -> Condition:
    return Exists(_document_path(kind, "attribute_exists", arguments[0]))


def _missing(kind: str, arguments: list[Operand]) -> Condition:
    return Not(Exists(_document_path(kind, "attribute_not_exists", arguments[0])))


# How many operands a function takes, and what it makes of them.
_FUNCTIONS: Final[Mapping[str, tuple[int, Callable[[str, list[Operand]], _Read]]]] = {
    "attribute_exists": (1, _exists),
    "attribute_not_exists": (1, _missing),
    "attribute_type": (2, _has_type),
    "begins_with": (2, _begins_with),
    "contains": (2, _contains),
    "size": (1, _size),
}
_MADE_BY: Final[Mapping[type[Condition], str]] = {
    Exists: "attribute_exists",
    Not: "attribute_not_exists",
    HasType: "attribute_type",
    BeginsWith: "begins_with",
    Contains: "contains",
}
