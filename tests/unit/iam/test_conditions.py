"""Conditions: each operator, missing keys, several values, and what cannot be read."""

import pytest

from penstock.services.iam.conditions import (
    OPERATOR_TABLE,
    UnknownOperator,
    compile_condition,
    parse_date,
    parse_number,
)
from penstock.services.iam.pattern import Values


def holds(operator: str, policy: str | list[str], *request: str, key: str = "x:k", **others: str) -> bool:
    """Whether a condition with these values holds for a key with those."""
    listed = (policy,) if isinstance(policy, str) else tuple(policy)
    keys: dict[str, Values] = {key.lower(): request} | {f"x:{name}": (value,) for name, value in others.items()}
    return compile_condition(operator, key, listed, variables=True).holds(lambda name: keys.get(name, ()))


USER, ROLE = "arn:aws:iam::1:user/ana", "arn:aws:iam::1:role/r"


@pytest.mark.parametrize(
    ("operator", "policy", "yes", "no"),
    [
        ("StringEquals", ["a", "b*"], ["a", "b*"], ["A", "bc", ""]),
        ("StringEquals", "", [""], ["a"]),
        ("StringEqualsIgnoreCase", "Ab", ["ab", "AB"], ["b"]),
        ("StringLike", ["a*", "?b"], ["a", "axx", "cb"], ["A", "b"]),
        ("StringLike", "${x:who}-*", ["ana-1"], ["bob-1", "${x:who}-1"]),
        ("StringEquals", "${x:nobody}", [], ["", "${x:nobody}"]),
        ("ArnEquals", "arn:aws:iam::*:user/*", [USER], [ROLE, "arn:aws:iam::1", "x"]),
        ("ArnLike", "arn:aws:iam::1:*", [USER, ROLE], ["arn:aws:iam::2:user/ana"]),
        ("ArnLike", "arn:aws:sns:*:topic", [], ["arn:aws:sns:r:1:topic"]),  # a star stays in its part
        ("ArnLike", "arn:aws:sns:*:*:a:*", ["arn:aws:sns:r:1:a:b"], ["arn:aws:sns:r:1:b:a"]),
        ("ArnLike", "*", [], [USER]),
        ("ArnLike", "arn:aws:iam::1:user/${x:who}", [USER], ["arn:aws:iam::1:user/bob", "arn"]),
        ("ArnLike", "${x:arn}", [USER], [ROLE]),
        ("ArnLike", "${x:nobody}", [], [USER]),
        ("NumericEquals", ["10", "x"], ["10", "10.0", "1e1"], ["11", "x", ""]),
        ("NumericLessThan", "10", ["9.99", "-1"], ["10", "11", "nan", "-inf", "9" * 65]),
        ("NumericLessThanEquals", "10", ["10"], ["10.01"]),
        ("NumericGreaterThan", "10", ["10.5"], ["10", "9"]),
        ("NumericGreaterThanEquals", ["10", "5"], ["6"], ["4"]),
        ("DateEquals", "2026-01-01T00:00:00Z", ["2026-01-01", "1767225600", "2026-01-01T01:00:00+01:00"], ["2026-01-02"]),
        ("DateLessThan", "2026-01-01", ["2025-12-31T23:59:59.999Z", "0"], ["2026-01-01T00:00:00.001Z", "soon"]),
        ("DateLessThanEquals", "1767225600", ["2026-01-01T00:00:00Z"], ["2026-01-01T00:00:01Z"]),
        ("DateGreaterThan", "2026-01-01", ["2026-01-01T00:00:01Z"], ["2026-01-01", "2026-13-01"]),
        ("DateGreaterThanEquals", "2026-01", ["2026-01-01"], ["2025-12-31"]),
        ("Bool", "true", ["true", "True"], ["false", "1", ""]),
        ("Bool", ["true", "false"], ["true", "false"], ["maybe"]),
        ("BinaryEquals", "YWI=", ["YWI="], ["YWJj", "!", "YWI"]),
        ("IpAddress", "10.0.0.0/8", ["10.1.2.3"], ["11.0.0.1", "::1", "x"]),
        ("IpAddress", ["10.1.2.3", "2001:db8::/32"], ["10.1.2.3", "2001:db8::5"], ["10.1.2.4"]),
        ("IpAddress", "10.1.2.3/8", ["10.9.9.9"], []),  # bits beyond the mask do not matter
        ("IpAddress", "0.0.0.0/0", ["1.2.3.4"], ["::1"]),
        ("IpAddress", "here", [], ["1.2.3.4"]),
    ],
)  # fmt: skip
def test_operator_when_a_key_has_one_value_then_it_is_compared(
    operator: str, policy: str | list[str], yes: list[str], no: list[str]
) -> None:
    assert all(holds(operator, policy, value, who="ana", arn=USER) for value in yes)
    assert not any(holds(operator, policy, value, who="ana", arn=USER) for value in no)


NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}


@pytest.mark.parametrize(("negated", "positive"), NEGATIONS.items())
def test_negated_operator_when_compared_then_it_is_the_opposite_of_the_whole_list(negated: str, positive: str) -> None:
    for policy in (["a", USER], ["10", "2026-01-01"], ["10.0.0.0/8", "${x:nobody}"]):
        for value in ("a", "A", USER, ROLE, "10", "1767225600", "10.1.1.1", "::1", ""):
            assert holds(negated, policy, value) is not holds(positive, policy, value)


def test_operators_when_listed_then_each_negated_one_has_its_positive() -> None:
    assert {name for name, row in OPERATOR_TABLE.items() if row.negated} == set(NEGATIONS)
    assert len(OPERATOR_TABLE) == 26


@pytest.mark.parametrize("name", list(OPERATOR_TABLE))
def test_operator_when_the_key_is_missing_then_only_negated_ones_hold(name: str) -> None:
    negated = OPERATOR_TABLE[name].negated
    assert holds(name, "1") is negated
    assert holds(f"{name}IfExists", "1")
    assert holds(f"ForAllValues:{name}", "1")
    assert not holds(f"ForAnyValue:{name}", "1")
    assert holds(f"ForAnyValue:{name}IfExists", "1")


@pytest.mark.parametrize(
    ("operator", "policy", "request_values", "expected"),
    [
        ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAllValues:StringLike", ["a*"], ["a1", "a2"], True),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "d"], True),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "a"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], True),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "d"], False),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], False),
        ("StringEquals", ["a", "b"], ["a", "b"], False),  # several values need a set operator
        ("StringNotEquals", ["c"], ["a", "b"], False),
        ("StringEqualsIfExists", ["a"], ["a", "b"], False),
        ("forallvalues:stringequalsifexists", ["a"], ["a"], True),
    ],
)  # fmt: skip
def test_operator_when_a_key_has_several_values_then_the_set_operator_decides(
    operator: str, policy: list[str], request_values: list[str], expected: bool
) -> None:
    assert holds(operator, policy, *request_values) is expected


def test_operator_when_a_key_may_have_several_values_then_one_needs_a_set_operator_too() -> None:
    assert not holds("StringEquals", "a", "a", key="aws:TagKeys")
    assert not holds("StringNotEquals", "b", "a", key="aws:TagKeys")
    assert holds("ForAnyValue:StringEquals", "a", "a", key="aws:TagKeys")


@pytest.mark.parametrize(
    ("policy", "present", "missing"),
    [("true", False, True), ("false", True, False), ("True", False, True), (["true", "false"], True, True), ("x", False, False)],
)  # fmt: skip
def test_null_when_asked_then_it_tells_whether_a_key_is_there(
    policy: str | list[str], present: bool, missing: bool
) -> None:
    assert holds("Null", policy, "x") is present
    assert holds("Null", policy, "") is present
    assert holds("Null", policy) is missing
    assert holds("ForAllValues:Null", policy, "x", "y") is present


@pytest.mark.parametrize(
    "name",
    ["", "Equals", "StringEqual", "StringEqualsIfExist", "NullIfExists", "ForSomeValues:StringEquals", ":StringEquals"],
)
def test_operator_when_it_does_not_exist_then_it_is_refused(name: str) -> None:
    with pytest.raises(UnknownOperator):
        compile_condition(name, "x:k", ("a",), variables=True)


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity", "1_0" * 30, "--1", "0x10"])
def test_number_when_it_is_none_then_it_is_nothing(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize("text", ["", "2026", "x2026-01-01", "2026-02-30", "2026-01-01T25:00:00Z", "2026-W01-1", "1e9"])
def test_date_when_it_is_none_then_it_is_nothing_or_seconds(text: str) -> None:
    assert parse_date(text) is None or text == "2026"


def test_date_when_it_is_before_the_epoch_or_has_a_fraction_then_it_is_exact() -> None:
    assert parse_date("1969-12-31T23:59:59Z") == -1
    assert str(parse_date("2026-01-01T00:00:00.123456789Z")) == "1767225600.123456789"
    assert parse_date("2026-01-01T00:00Z") == parse_date("2026-01-01")
