"""Laws of simple queries: whatever one says, jq says too."""

import json
from typing import Any

import jq
from hypothesis import given
from hypothesis import strategies as st

from penstock.services.firehose.processing.routing import BadRoute, keys_of
from penstock.services.firehose.processing.simplequery import compile_simple

NAMES = st.sampled_from(["a", "b", "_c1", "and", "if", "A", "then", "é"])
NUMBERS = st.integers() | st.floats() | st.integers(2**53 - 2, 2**53 + 2)
TEXTS = st.text(max_size=5)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES | TEXTS, inner, max_size=3),
    max_leaves=6,
)
STEPS = NAMES.map(lambda name: f".{name}") | (NAMES | TEXTS).map(lambda name: f"[{json.dumps(name)}]")
PATHS = st.lists(STEPS, min_size=1, max_size=3).map(lambda steps: ("" if steps[0][0] == "." else ".") + "".join(steps))
QUERIES = st.lists(st.tuples(NAMES, PATHS), min_size=1, max_size=3).map(
    lambda rows: "{" + ", ".join(f"{name}: {path}" for name, path in rows) + "}"
)
RECORDS = (
    st.dictionaries(NAMES, VALUES, max_size=3).map(lambda value: json.dumps(value).encode())
    | st.dictionaries(NAMES, VALUES, max_size=3).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode(errors="replace")
    )
    | st.lists(st.sampled_from(['{"a":', '"b"', "{", "}", "1", ",", " ", "\ufeff", "\\ud800", "nan"])).map(
        lambda parts: "".join(parts).encode()
    )
)


@given(QUERIES, RECORDS)
def test_simple_query_when_it_answers_then_jq_answers_the_same(query: str, data: bytes) -> None:
    simple = compile_simple(query)
    found = None if simple is None else simple(data)
    if found is None:
        return
    [result] = jq.compile(query).input_text(data.decode()).all()
    assert found == keys_of(result)


@given(st.text(alphabet='{}.:,[]"ab \\|()'), st.just(b'{"a": {"b": "x"}, "b": 1}'))
def test_simple_query_when_its_text_is_anything_then_it_answers_only_what_jq_does(query: str, data: bytes) -> None:
    simple = compile_simple(query)
    found = None if simple is None else simple(data)
    if found is not None:
        assert found == keys_of(jq.compile(query).input_text(data.decode()).first())


def test_laws_when_keys_are_wrong_then_they_are_refused() -> None:
    wrong: list[object] = [{"a": None}, {"a": [1]}, {"a": True}, [], "a"]
    for value in wrong:
        try:
            keys_of(value)
        except BadRoute:
            continue
        raise AssertionError(value)
