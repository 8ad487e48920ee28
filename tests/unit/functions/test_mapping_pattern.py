"""Filter patterns: each operator, how lists are met, what is refused."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.services.functions.mapping.pattern import _OPERATORS, InvalidPattern, Pattern

EVENT: dict[str, Any] = {
    "partitionKey": "orders-7",
    "data": {
        "state": "shipped",
        "empty": "",
        "none": None,
        "price": 12.5,
        "count": 3,
        "yes": True,
        "tags": ["red", "blue"],
        "lines": [{"sku": "A1", "n": 1}, {"sku": "B2", "n": 5}],
        "place": {"city": "Oslo", "ip": "10.0.0.77"},
    },
}


def matches(data: Any) -> bool:
    return Pattern(json.dumps({"data": data})).matches(EVENT)


@pytest.mark.parametrize(
    "data",
    [
        {"state": ["shipped"]},
        {"state": ["new", "shipped"]},
        {"none": [None]},
        {"empty": [""]},
        {"count": [3]},
        {"yes": [True]},
        {"place": {"city": ["Oslo"]}},
        {"tags": ["blue"]},
        {"lines": {"sku": ["B2"], "n": [5]}},
        {"state": [{"prefix": "ship"}]},
        {"state": [{"prefix": {"equals-ignore-case": "SHIP"}}]},
        {"state": [{"suffix": "ped"}]},
        {"state": [{"equals-ignore-case": "SHIPPED"}]},
        {"state": [{"wildcard": "s*p*d"}]},
        {"state": [{"wildcard": "*"}]},
        {"state": [{"anything-but": "new"}]},
        {"state": [{"anything-but": ["new", "gone"]}]},
        {"state": [{"anything-but": {"prefix": "x"}}]},
        {"state": [{"anything-but": {"suffix": ["x", "y"]}}]},
        {"state": [{"anything-but": {"wildcard": "x*"}}]},
        {"count": [{"anything-but": [1, 2]}]},
        {"price": [{"numeric": [">", 12, "<=", 12.5]}]},
        {"count": [{"numeric": ["=", 3]}]},
        {"count": [{"exists": True}]},
        {"absent": [{"exists": False}]},
        {"absent": {"deeper": [{"exists": False}]}},
        {"place": {"ip": [{"cidr": "10.0.0.0/24"}]}},
        {"$or": [{"state": ["new"]}, {"count": [{"numeric": [">", 2]}]}]},
        {"state": ["shipped"], "$or": [{"yes": [True]}, {"yes": [False]}]},
    ],
)  # fmt: skip
def test_pattern_when_it_fits_then_the_event_is_let_through(data: Any) -> None:
    assert matches(data)


@pytest.mark.parametrize(
    "data",
    [
        {"state": ["SHIPPED"]},
        {"state": [None]},
        {"absent": [None]},
        {"absent": [""]},
        {"count": ["3"]},
        {"count": [True]},
        {"yes": [1]},
        {"tags": ["green"]},
        {"lines": {"sku": ["A1"], "n": [5]}},
        {"state": [{"prefix": "hip"}]},
        {"count": [{"prefix": "3"}]},
        {"state": [{"suffix": "ship"}]},
        {"state": [{"wildcard": "s*x"}]},
        {"state": [{"wildcard": "shipped*d"}]},
        {"state": [{"anything-but": "shipped"}]},
        {"state": [{"anything-but": ["new", "shipped"]}]},
        {"state": [{"anything-but": {"prefix": "ship"}}]},
        {"absent": [{"anything-but": "x"}]},
        {"price": [{"numeric": [">", 12.5]}]},
        {"state": [{"numeric": ["=", 3]}]},
        {"yes": [{"numeric": ["=", 1]}]},
        {"place": [{"exists": True}]},
        {"state": [{"exists": False}]},
        {"place": {"ip": [{"cidr": "10.1.0.0/16"}]}},
        {"state": [{"cidr": "10.1.0.0/16"}]},
        {"$or": [{"state": ["new"]}, {"count": [4]}]},
        {"state": ["shipped"], "count": [4]},
    ],
)  # fmt: skip
def test_pattern_when_it_does_not_fit_then_the_event_is_not_let_through(data: Any) -> None:
    assert not matches(data)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "[]", "{}", "null", '{"data": ["text"]}', '{"data": "text"}', '{"a": 1}', '{"a": []}', '{"a": {}}',
        '{"a": [[1]]}', '{"a": [{"prefix": 1}]}', '{"a": [{"prefix": "x", "suffix": "y"}]}', '{"a": [{"like": "x"}]}',
        '{"a": [{"numeric": ["=", "1"]}]}', '{"a": [{"numeric": ["!", 1]}]}', '{"a": [{"numeric": [">", 5, "<", 1]}]}',
        '{"a": [{"numeric": ["<", 5, ">", 1]}]}', '{"a": [{"numeric": [">", 1, "<"]}]}', '{"a": [{"numeric": [">", 6e9]}]}',
        '{"a": [{"exists": "yes"}]}', '{"a": [{"anything-but": []}]}', '{"a": [{"anything-but": ["x", 1]}]}',
        '{"a": [{"anything-but": {"exists": true}}]}', '{"a": [{"anything-but": [true]}]}', '{"a": [{"cidr": "10.0.0/33"}]}',
        '{"a": [{"wildcard": "a**b"}]}', '{"a": [{"wildcard": "a\\\\b"}]}', '{"$or": [{"a": [1]}]}', '{"$or": [1, 2]}',
        '{"a": ' * 80 + "[1]" + "}" * 80,
    ],
)  # fmt: skip
def test_pattern_when_it_is_none_then_it_is_refused(text: str) -> None:
    with pytest.raises(InvalidPattern):
        Pattern(text)


def test_wildcard_when_a_star_is_escaped_then_it_means_itself() -> None:
    pattern = Pattern(json.dumps({"a": [{"wildcard": "5\\*\\\\*"}]}))
    assert pattern.matches({"a": "5*\\x"})
    assert not pattern.matches({"a": "55\\x"})


def test_wildcard_when_the_text_is_long_then_it_is_still_quick() -> None:
    """A backtracking matcher would take longer than the universe has left."""
    pattern = Pattern(json.dumps({"a": [{"wildcard": "*".join("a" * 500) + "*b"}]}))
    assert not pattern.matches({"a": "a" * 100_000})


def test_event_when_it_is_as_deep_as_json_can_be_then_it_is_passed_over_or_let_through_and_nothing_is_raised() -> None:
    deep = msgspec.json.decode(b'{"a": ' + b"[" * 900 + b"1" + b"]" * 900 + b"}")
    for inner in ([1], [{"exists": True}], {"b": [{"exists": False}]}):
        Pattern(json.dumps({"data": {"a": inner}})).matches({"data": deep})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.sampled_from(["", "x", "10.0.0.1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from([*_OPERATORS, "equals-ignore-case", "$or", "a", "b", "data", "like"])
PATTERNS = st.recursive(
    VALUES | st.sampled_from([["=", 1], [">", 0, "<", 5], "x*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(WORDS, PATTERNS, min_size=1, max_size=3), VALUES)
def test_pattern_when_it_is_anything_then_it_is_refused_or_answers(tree: dict[str, Any], data: Any) -> None:
    try:
        pattern = Pattern(json.dumps(tree))
    except InvalidPattern:
        return
    assert pattern.matches({"data": data, "a": data, "partitionKey": "x"}) in (True, False)


def test_metadata_when_only_it_is_asked_for_then_data_is_not_read() -> None:
    pattern = Pattern('{"partitionKey": [{"prefix": "orders"}]}')
    assert pattern.matches(EVENT)
    assert not pattern.reads_data
