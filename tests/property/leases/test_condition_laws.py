"""Laws of expressions: a condition that is written out and read again is the same, and holds where a naive reading says so."""

import operator
from collections.abc import Callable
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import ServiceError
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
    holds,
)
from penstock.services.leases.conditiontext import parse_condition
from penstock.services.leases.grammar import Substitutions
from penstock.services.leases.numbers import parse_number
from penstock.services.leases.paths import Path, Step
from penstock.services.leases.updates import Update, parse_update
from penstock.services.leases.values import Item, List, Map, Number, String, Value

NAMES: Final = ("a", "b", "c")
scalars: st.SearchStrategy[Value] = st.one_of(
    st.sampled_from(["", "x", "xy", "z"]).map(String), st.integers(0, 3).map(lambda n: Number(parse_number(str(n))))
)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda some: List(tuple(some))),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=2).map(Map),
    ),
    max_leaves=4,
)
items = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
steps: st.SearchStrategy[Step] = st.one_of(st.sampled_from(NAMES), st.integers(0, 1))
paths: st.SearchStrategy[Path] = st.builds(
    lambda name, more: (name, *more), st.sampled_from(NAMES), st.lists(steps, max_size=1)
)
operands = st.one_of(paths.map(At), scalars.map(Given), paths.map(lambda path: Size(At(path))))
comparisons = st.one_of(
    st.builds(Compare, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), operands, operands),
    st.builds(Between, operands, operands, operands),
    st.builds(In, operands, st.lists(operands, min_size=1, max_size=3).map(tuple)),
    st.builds(Exists, paths),
    st.builds(lambda path: Not(Exists(path)), paths),
    st.builds(HasType, paths, st.sampled_from(["S", "N", "L", "M"])),
    st.builds(BeginsWith, paths.map(At), st.sampled_from(["", "x"]).map(lambda text: Given(String(text)))),
    st.builds(Contains, paths.map(At), scalars.map(Given)),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda some: Both(tuple(some))),
        st.lists(inner, min_size=2, max_size=3).map(lambda some: Either(tuple(some))),
        inner.map(Not),
    ),
    max_leaves=5,
)
ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Writer:
    """Writes conditions, with the values that stand in them."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}

    def given(self, value: Value) -> str:
        name = f":v{len(self.values)}"
        self.values[name] = value
        return name

    def path(self, path: Path) -> str:
        first, *rest = path
        return f"#{first}" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)

    def operand(self, operand: Operand) -> str:
        match operand:
            case At(path):
                return self.path(path)
            case Given(value):
                return self.given(value)
            case Size(of):
                return f"size ({self.operand(of)})"

    def condition(self, condition: Condition) -> str:
        match condition:
            case Compare(sign, left, right):
                return f"{self.operand(left)}{sign}{self.operand(right)}"
            case Between(value, low, high):
                return f"{self.operand(value)} BETWEEN {self.operand(low)} AND {self.operand(high)}"
            case In(value, options):
                return f"{self.operand(value)} IN ({', '.join(map(self.operand, options))})"
            case Not(Exists(path)):
                return f"attribute_not_exists({self.path(path)})"
            case Exists(path):
                return f"attribute_exists({self.path(path)})"
            case HasType(path, name):
                return f"attribute_type({self.path(path)}, {self.given(String(name))})"
            case BeginsWith(value, prefix):
                return f"begins_with({self.operand(value)}, {self.operand(prefix)})"
            case Contains(value, part):
                return f"contains({self.operand(value)}, {self.operand(part)})"
            case Not(of):
                return f"NOT ({self.condition(of)})"
            case Both(parts):
                return " AND ".join(f"({self.condition(part)})" for part in parts)
            case Either(parts):
                return " OR ".join(f"({self.condition(part)})" for part in parts)


def plain(value: Value) -> Any:
    """A value as Python's nearest, beside its type."""
    match value:
        case List(inner):
            return [plain(each) for each in inner]
        case Map(members):
            return {name: plain(each) for name, each in members.items()}
        case String(text):
            return text
        case Number(number):
            return number
    raise AssertionError(value)


def looked_up(item: Any, path: Path) -> Any:
    for step in path:
        try:
            item = item[step] if isinstance(step, int) == isinstance(item, list) else None
        except (KeyError, IndexError, TypeError):
            return None
        if item is None:
            return None
    return item


def naive_operand(operand: Operand, item: Any) -> Any:
    match operand:
        case At(path):
            return looked_up(item, path)
        case Given(value):
            return plain(value)
        case Size(At(path)):
            held = looked_up(item, path)
            return parse_number(str(len(held))) if isinstance(held, str | list | dict) else None
    raise AssertionError(operand)


def naive_compare(sign: str, left: Any, right: Any) -> bool:
    if sign in ("=", "<>"):
        same = left is not None and type(left) is type(right) and left == right
        return same if sign == "=" else not (same or (left is None and right is None))
    ordered = type(left) is type(right) and not isinstance(left, list | dict) and left is not None
    return ordered and ORDERS[sign](left, right)


def naive(condition: Condition, item: Any) -> bool:
    """Whether a condition holds, as one would say it in Python."""
    match condition:
        case Compare(sign, left, right):
            return naive_compare(sign, naive_operand(left, item), naive_operand(right, item))
        case Between(value, low, high):
            return naive(Compare(">=", value, low), item) and naive(Compare("<=", value, high), item)
        case In(value, options):
            return any(naive(Compare("=", value, option), item) for option in options)
        case Exists(path):
            return looked_up(item, path) is not None
        case HasType(path, name):
            kinds = {str: "S", list: "L", dict: "M", type(None): ""}
            return kinds.get(type(looked_up(item, path)), "N") == name
        case BeginsWith(value, prefix):
            held, start = naive_operand(value, item), naive_operand(prefix, item)
            return isinstance(held, str) and held.startswith(start)
        case Contains(value, part):
            held, piece = naive_operand(value, item), naive_operand(part, item)
            if isinstance(held, str):
                return isinstance(piece, str) and piece in held
            return isinstance(held, list) and any(type(each) is type(piece) and each == piece for each in held)
        case Both(parts):
            return all(naive(part, item) for part in parts)
        case Either(parts):
            return any(naive(part, item) for part in parts)
        case Not(of):
            return not naive(of, item)


def read_or_refused(text: str, given: Substitutions) -> Condition | ServiceError:
    try:
        return parse_condition("ConditionExpression", text, given)
    except ServiceError as refused:
        return refused


def update_or_refused(text: str, given: Substitutions) -> Update | ServiceError:
    try:
        return parse_update(text, given)
    except ServiceError as refused:
        return refused


@settings(max_examples=150)
@given(conditions, st.lists(items, min_size=1, max_size=4))
def test_a_condition_reads_as_it_was_written_and_holds_where_a_naive_reading_says_so(
    condition: Condition, some: list[Item]
) -> None:
    writer = Writer()
    text = writer.condition(condition)
    used = {f"#{name}": name for name in NAMES if f"#{name}" in text}
    read = read_or_refused(text, Substitutions(used or None, writer.values or None))
    if isinstance(read, ServiceError):  # operands that are the same, or bounds that cannot hold
        assert "distinct" in str(read) or "BETWEEN" in str(read)
        return
    for item in [{}, *some]:
        expected = naive(condition, {name: plain(each) for name, each in item.items()})
        assert holds(condition, item) is expected
        assert holds(read, item) is expected


@settings(max_examples=150)
@given(st.text("ab:#v=<>()[].,+- \n\x00é019ANDORNOTINBETWEENSETREMOVEADDsizecontains_", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    given = Substitutions({"#a": "a"}, {":v": String("v")})
    for read in (read_or_refused(text, given), update_or_refused(text, given)):
        assert not isinstance(read, ServiceError) or read.code == "ValidationException"
