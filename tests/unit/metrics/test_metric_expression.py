"""Metric math: what expressions make of lines, and which texts are none."""

import math
from typing import Any

import pytest

from penstock.services.metrics.expression import DEPTH_MAX, BadExpression, Line, Scope, Value, parse

LINES = {
    "m1": Line({0: 1.0, 1: 2.0, 3: 4.0}, 0, 5, 1, "one"),
    "m2": Line({1: 10.0, 3: 0.0, 4: 5.0}, 0, 5, 1, "two"),
    "none": Line({}, 0, 5, 1, "none"),
    "old": Line({0: 1.0, 30_000_000: 1.0}, 0, 30_000_001, 1, "old"),
}


def worked_out(text: str) -> Value:
    node, _ = parse(text)
    return node(Scope(LINES.__getitem__, lambda part: [LINES[name] for name in ("m1", "m2") if part in name]))


def plain(value: Value) -> Any:
    if isinstance(value, list):
        return [line.points for line in value]
    return value.points if isinstance(value, Line) else value


CASES: dict[str, Any] = {
    "1 + 2 * 3 - 4 / 2": 5.0,
    "-(1 + 2) * .5e1": -15.0,
    "m1 * 2": {0: 2.0, 1: 4.0, 3: 8.0},
    "100 - m1": {0: 99.0, 1: 98.0, 3: 96.0},
    "m1 + m2": {1: 12.0, 3: 4.0},
    "m1 / m2": {1: 0.2},
    "SUM(m1)": 7.0,
    "AVG(m1) + MAX(m1) - MIN(m1)": 7 / 3 + 3,
    "m1 / SUM(m1) * 7": {0: 1.0, 1: 2.0, 3: 4.0},
    "SUM(METRICS())": {0: 1.0, 1: 12.0, 3: 4.0, 4: 5.0},
    "AVG([m1, m2])": {0: 1.0, 1: 6.0, 3: 2.0, 4: 5.0},
    'MAX(METRICS("m2"))': {1: 10.0, 3: 0.0, 4: 5.0},
    "METRICS() + 1": [{0: 2.0, 1: 3.0, 3: 5.0}, {1: 11.0, 3: 1.0, 4: 6.0}],
    "METRICS('1') * m2": [{1: 20.0, 3: 0.0}],
    "FILL(m1, 0)": {0: 1.0, 1: 2.0, 2: 0.0, 3: 4.0, 4: 0.0},
    "FILL(m1, REPEAT)": {0: 1.0, 1: 2.0, 2: 2.0, 3: 4.0, 4: 4.0},
    "FILL(m2, REPEAT)": {1: 10.0, 2: 10.0, 3: 0.0, 4: 5.0},
    "FILL(m1, LINEAR)": {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0},
    "FILL(m1, m2)": {0: 1.0, 1: 2.0, 3: 4.0, 4: 5.0},
    "FILL(METRICS(), 1 + 1)": [{0: 1, 1: 2, 2: 2, 3: 4, 4: 2}, {0: 2, 1: 10, 2: 2, 3: 0, 4: 5}],
    "FILL(none, REPEAT)": {},
    "FILL(none, LINEAR)": {},
    "m1 / PERIOD(m1) * 60": {0: 1.0, 1: 2.0, 3: 4.0},
    "ABS(0 - m1) + CEIL(0.2) + FLOOR(0.8)": {0: 2.0, 1: 3.0, 3: 5.0},
    "m1 + SUM(none)": {},
    "m1 / 0": {},
    "m1 * 1e999": {},
}


@pytest.mark.parametrize("text", CASES)
def test_expression_when_it_is_worked_out_then_it_is_as_written(text: str) -> None:
    found = plain(worked_out(text))
    assert found == pytest.approx(CASES[text]) if not isinstance(found, list) else found == CASES[text]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it ends too early"),
        ("m1 +", "it ends too early"),
        ("m1 m2", "unexpected 'm2'"),
        ("(m1", "it ends too early"),
        ("m1)", "unexpected ')'"),
        ("m1 ^ 2", "unexpected '^'"),
        ("SUM(m1, m2)", "SUM takes one argument"),
        ("SUM()", "SUM takes one argument"),
        ("SEARCH('{AWS/EC2} CPU', 'Average')", "SEARCH is not supported here; SUM, AVG, MIN, MAX, "),
        ("SELECT AVG(x) FROM y", "unexpected 'AVG'"),
        ("METRICS(m1)", "unexpected 'm1'"),
        ("FILL(m1)", "unexpected ')'"),
        ("\0", "unexpected '\\x00'"),
        ("é", "unexpected 'é'"),
        ("(" * (DEPTH_MAX + 2), "it is nested deeper than 50"),
        ("-" * 2000, "it is nested deeper than 50"),
        ("[" * 2000, "it is nested deeper than 50"),
        ("SUM(" * 500, "it is nested deeper than 50"),
        ("FILL(" * 400, "it is nested deeper than 50"),
    ],
)
def test_expression_when_it_is_none_then_it_says_why(text: str, problem: str) -> None:
    with pytest.raises(BadExpression) as caught:
        parse(text)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("METRICS() * METRICS()", "two lists of metrics cannot be combined"),
        ("[1, m1]", "a list is of metrics"),
        ("PERIOD(1)", "PERIOD is of metrics"),
        ("FILL(1, 2)", "FILL is of metrics"),
        ("FILL(old, 0)", "FILL would make more than 100,800 data points"),
        ("FILL([old, old], REPEAT)", "FILL would make more than 100,800 data points"),
        ("FILL(m1, METRICS())", "FILL takes a number, a metric, REPEAT or LINEAR"),
    ],
)
def test_expression_when_its_values_do_not_fit_then_it_says_why(text: str, problem: str) -> None:
    with pytest.raises(BadExpression) as caught:
        worked_out(text)
    assert str(caught.value) == problem


def test_expression_when_it_names_metrics_then_it_tells_which() -> None:
    assert parse("m1 + SUM(FILL([m2, m3], 0))")[1] == {"m1", "m2", "m3"}
    assert parse("SUM(METRICS())")[1] == {""}


def test_expression_when_it_is_long_then_it_is_no_deeper() -> None:
    assert worked_out("+".join(["1"] * 1000)) == 1000
    assert math.isnan(plain(worked_out("1 / 0")))
