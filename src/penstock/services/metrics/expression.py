"""Metric math: the expressions of GetMetricData.

Theory.  An expression is read into a tree, and worked out over numbers, lines (a value for some periods) and lists of lines.  Two lines
meet where both have a value; a number meets every value of a line, and a line every line of a list.  What cannot be divided has none.
There are + - * /, brackets, and the functions of FUNCTIONS; all else is refused by name.
Rules of this file:
  1. Pure; every text ends in a value or in BadExpression.
  2. A tree is no deeper than DEPTH_MAX, whatever its text.
Source: CloudWatch user guide, "Using metric math".
"""

import math
import operator
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from penstock.core.limits import MATH_POINTS_MAX
from penstock.services.metrics.statistics import Points

DEPTH_MAX: Final = 50
_TOKEN = re.compile(
    r"\s*(?:((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)|([A-Za-z][A-Za-z0-9_]*)"
    r"""|"([^"]*)"|'([^']*)'|(.))""",
    re.ASCII | re.DOTALL,
)


class BadExpression(Exception):
    """An expression that cannot be worked out; its text says why."""


class Line(NamedTuple):
    """A metric or result: values by minute, one for each period that has any."""

    points: Points
    start: int  # of its first period, whether that has a value or not
    end: int
    period: int  # minutes
    label: str = ""


Value = float | Line | list[Line]


class Scope(NamedTuple):
    """What an expression may name."""

    find: Callable[[str], Value]  # by id; raises BadExpression
    metrics: Callable[[str], list[Line]]  # those that are no expressions, whose id holds a text


Node = Callable[[Scope], Value]


def parse(text: str) -> tuple[Node, frozenset[str]]:
    """What an expression works out, and the ids that it names.  Raises BadExpression."""
    parser = _Parser(list(_tokens(text)))
    node = parser.sum(0)
    parser.expect("end", "")
    return node, frozenset(parser.names)


class _Token(NamedTuple):
    kind: str  # number, name, text, sign or end
    text: str


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        assert match is not None, "the last alternative takes any character"
        at = match.end()
        for kind, found in zip(("number", "name", "text", "text", "sign"), match.groups(), strict=True):
            if found is not None:
                yield _Token(kind, found)
    yield _Token("end", "")


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self.names: set[str] = set()

    def _take(self, *signs: str) -> str | None:
        token = self._tokens[self._at]
        if token.kind != "sign" or token.text not in signs:
            return None
        self._at += 1
        return token.text

    def expect(self, kind: str, text: str) -> None:
        token = self._tokens[self._at]
        if token != (kind, text):
            raise BadExpression(f"unexpected {token.text!r}" if token.text else "it ends too early")
        self._at += kind != "end"

    def sum(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise BadExpression(f"it is nested deeper than {DEPTH_MAX}")
        return self._chain(self._product, "+-", depth)

    def _product(self, depth: int) -> Node:
        return self._chain(self._single, "*/", depth)

    def _chain(self, part: Callable[[int], Node], signs: str, depth: int) -> Node:
        first, rest = part(depth), list[tuple[Operator, Node]]()
        while (sign := self._take(*signs)) is not None:
            rest.append((_OPERATORS[sign], part(depth)))
        return _chained(first, rest) if rest else first

    def _single(self, depth: int) -> Node:
        if self._take("-") is not None:
            return _chained(_constant(0.0), [(operator.sub, self._deeper(depth))])
        if self._take("(") is not None:
            node = self.sum(depth + 1)
            self.expect("sign", ")")
            return node
        if self._take("[") is not None:
            return _list(self._arguments(depth, "]"))
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        if token.kind == "number":
            return _constant(float(token.text))
        if token.kind == "name":
            return self._call(depth, token.text) if self._take("(") is not None else self._name(token.text)
        raise BadExpression(f"unexpected {token.text!r}" if token.text else "it ends too early")

    def _deeper(self, depth: int) -> Node:
        if depth >= DEPTH_MAX:
            raise BadExpression(f"it is nested deeper than {DEPTH_MAX}")
        return self._single(depth + 1)

    def _name(self, name: str) -> Node:
        self.names.add(name)
        return lambda scope: scope.find(name)

    def _arguments(self, depth: int, end: str) -> list[Node]:
        found: list[Node] = []
        while self._take(end) is None:
            if found:
                self.expect("sign", ",")
            found.append(self.sum(depth + 1))
        return found

    def _call(self, depth: int, name: str) -> Node:
        if name == "METRICS":
            return self._metrics()
        if name == "FILL":
            return self._fill(depth)
        function = FUNCTIONS.get(name)
        if function is None:
            known = ", ".join([*FUNCTIONS, "METRICS", "FILL"])
            raise BadExpression(f"{name} is not supported here; {known} are")
        arguments = self._arguments(depth, ")")
        if len(arguments) != 1:
            raise BadExpression(f"{name} takes one argument")
        [argument] = arguments
        return lambda scope: function(argument(scope))

    def _metrics(self) -> Node:
        token, part = self._tokens[self._at], ""
        if token.kind == "text":
            self._at += 1
            part = token.text
        self.expect("sign", ")")
        self.names.add("")  # it names every metric
        return lambda scope: scope.metrics(part)

    def _fill(self, depth: int) -> Node:
        lines = self.sum(depth + 1)
        self.expect("sign", ",")
        token = self._tokens[self._at]
        if token.kind == "name" and token.text in _FILLERS:
            self._at += 1
            filler = _FILLERS[token.text]
            self.expect("sign", ")")
            return lambda scope: _each(_bounded(lines(scope)), lambda line: line._replace(points=filler(line)))
        value = self.sum(depth + 1)
        self.expect("sign", ")")
        return lambda scope: _filled(_bounded(lines(scope)), value(scope))


# How values meet

Operator = Callable[[float, float], float]


def _divide(left: float, right: float) -> float:
    return left / right if right else math.nan


_OPERATORS: Final[Mapping[str, Operator]] = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divide}


def _constant(value: float) -> Node:
    return lambda _: value


def _chained(first: Node, rest: Sequence[tuple[Operator, Node]]) -> Node:
    """Operators of one rank, from the left; however many there are, they are worked out without recursion."""

    def chained(scope: Scope) -> Value:
        value = first(scope)
        for work, node in rest:
            value = _meet(work, value, node(scope))
        return value

    return chained


def _list(nodes: Sequence[Node]) -> Node:
    def all_of_them(scope: Scope) -> Value:
        found: list[Line] = []
        for node in nodes:
            value = node(scope)
            found += value if isinstance(value, list) else [_line(value, "a list")]
        return found

    return all_of_them


def _meet(work: Operator, left: Value, right: Value) -> Value:
    if isinstance(left, list):
        if isinstance(right, list):
            raise BadExpression("two lists of metrics cannot be combined")
        return [line for each in left if isinstance(line := _meet(work, each, right), Line)]
    if isinstance(right, list):
        return [line for each in right if isinstance(line := _meet(work, left, each), Line)]
    if isinstance(left, Line):
        if isinstance(right, Line):
            both = {at: work(value, right.points[at]) for at, value in left.points.items() if at in right.points}
            return left._replace(points=_kept(both), period=max(left.period, right.period))
        return left._replace(points=_kept({at: work(value, right) for at, value in left.points.items()}))
    if isinstance(right, Line):
        return right._replace(points=_kept({at: work(left, value) for at, value in right.points.items()}))
    return work(left, right)


def _kept(found: Points) -> Points:
    return {at: value for at, value in found.items() if math.isfinite(value)}


def _line(value: Value, what: str) -> Line:
    if not isinstance(value, Line):
        raise BadExpression(f"{what} is of metrics")
    return value


# Functions

Reduce = Callable[[Sequence[float]], float]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _reducing(reduce: Reduce) -> Callable[[Value], Value]:
    """Of a line: a number; of a list: a line, of what its lines have in each period."""

    def function(value: Value) -> Value:
        if isinstance(value, Line):
            return reduce([*value.points.values()]) if value.points else math.nan
        if isinstance(value, list):
            columns: dict[int, list[float]] = {}
            for line in value:
                for at, each in line.points.items():
                    columns.setdefault(at, []).append(each)
            if not value:
                return []
            found = {at: reduce(columns[at]) for at in sorted(columns)}
            return value[0]._replace(points=_kept(found), period=max(line.period for line in value))
        return value

    return function


def _mapping(work: Callable[[float], float]) -> Callable[[Value], Value]:
    def function(value: Value) -> Value:
        if isinstance(value, float):
            return work(value)
        return _each(value, lambda line: line._replace(points={at: work(each) for at, each in line.points.items()}))

    return function


def _period(value: Value) -> Value:
    return float(_line(value, "PERIOD").period * 60)


def _each(value: Value, work: Callable[[Line], Line]) -> Value:
    return [work(line) for line in value] if isinstance(value, list) else work(_line(value, "the function"))


FUNCTIONS: Final[Mapping[str, Callable[[Value], Value]]] = {
    "SUM": _reducing(math.fsum),
    "AVG": _reducing(_mean),
    "MIN": _reducing(min),
    "MAX": _reducing(max),
    "ABS": _mapping(abs),
    "CEIL": _mapping(lambda value: float(math.ceil(value)) if math.isfinite(value) else value),
    "FLOOR": _mapping(lambda value: float(math.floor(value)) if math.isfinite(value) else value),
    "PERIOD": _period,
}


def _filled(value: Value, filler: Value) -> Value:
    if isinstance(filler, list):
        raise BadExpression("FILL takes a number, a metric, REPEAT or LINEAR")

    def fill(line: Line) -> Line:
        spare = filler.points if isinstance(filler, Line) else dict.fromkeys(_grid(line), filler)
        return line._replace(points=_kept({at: line.points.get(at, spare.get(at, math.nan)) for at in _grid(line)}))

    return _each(value, fill)


def _bounded(value: Value) -> Value:
    """A value whose periods are not too many to fill."""
    lines = value if isinstance(value, list) else [_line(value, "FILL")]
    if sum(len(_grid(line)) for line in lines) > MATH_POINTS_MAX:
        raise BadExpression(f"FILL would make more than {MATH_POINTS_MAX:,} data points")
    return value


def _grid(line: Line) -> range:
    return range(line.start, line.end, line.period)


def _repeat(line: Line) -> Points:
    found: Points = {}
    last = math.nan
    for at in _grid(line):
        last = line.points.get(at, last)
        found[at] = last
    return _kept(found)


def _linear(line: Line) -> Points:
    known = sorted(line.points)
    found: Points = {}
    for at in range(known[0], known[-1] + 1, line.period) if known else ():
        place = bisect_left(known, at)
        right, left = known[place], known[max(place - 1, 0)]
        share = (at - left) / (right - left) if right > left else 1.0
        found[at] = line.points[left] + (line.points[right] - line.points[left]) * share
    return _kept(found)


_FILLERS: Final[Mapping[str, Callable[[Line], Points]]] = {"REPEAT": _repeat, "LINEAR": _linear}
