"""Laws of filter patterns."""

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from penstock.services.logs.pattern import BadPattern, compile_pattern

SCRAPS = st.lists(
    st.sampled_from(
        [
            *'{}[]()"%$.*,=!<>&|-? \\',
            "&&",
            "||",
            "...",
            "$.a",
            "IS",
            "NOT",
            "EXISTS",
            "NULL",
            "1",
            "a",
            "é",
            "\ud800",
            "9" * 50,
        ]
    ),
    max_size=30,
).map("".join)
WORDS = st.from_regex(r"[A-Za-z0-9_.]{1,6}", fullmatch=True)
MESSAGES = st.one_of(st.text(max_size=60), SCRAPS, st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from("ab"), each, max_size=2), max_leaves=5).map(json.dumps))  # fmt: skip


@given(st.one_of(st.text(max_size=40), SCRAPS), MESSAGES)
def test_any_pattern_when_read_then_it_is_refused_or_decides_of_any_message(pattern: str, message: str) -> None:
    with suppress(BadPattern):
        assert compile_pattern(pattern)(message) in (True, False)


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(WORDS, max_size=3), MESSAGES)
def test_terms_when_combined_then_all_and_none_of_them_are_substrings(
    wanted: list[str], not_wanted: list[str], message: str
) -> None:
    pattern = " ".join([*wanted, *(f"-{word}" for word in not_wanted)])
    expected = all(word in message for word in wanted) and not any(word in message for word in not_wanted)
    assert compile_pattern(pattern)(message) is expected


@given(st.lists(WORDS, min_size=1, max_size=4), MESSAGES)
def test_optional_terms_when_alone_then_one_suffices(words: list[str], message: str) -> None:
    assert compile_pattern(" ".join(f"?{word}" for word in words))(message) is any(word in message for word in words)


@given(st.text(min_size=1, max_size=20), MESSAGES)
def test_phrase_when_quoted_then_it_is_looked_for_as_it_is(phrase: str, message: str) -> None:
    quoted = phrase.replace("\\", "\\\\").replace('"', '\\"')
    assert compile_pattern(f'"{quoted}"')(message) is (phrase in message)


@given(st.integers(-(10**6), 10**6), st.sampled_from(["=", "!=", "<", ">", "<=", ">="]), st.integers(-(10**6), 10**6))
def test_numbers_when_compared_then_python_agrees(value: int, operator: str, wanted: int) -> None:
    expected = eval(f"{value} {'==' if operator == '=' else operator} {wanted}")
    assert compile_pattern(f"{{ $.a {operator} {wanted} }}")(json.dumps({"a": value})) is expected
    assert compile_pattern(f"[a {operator} {wanted}]")(str(value)) is expected


@given(st.text(min_size=1, max_size=10), st.text(max_size=10))
def test_strings_when_compared_then_they_are_equal_or_not(value: str, other: str) -> None:
    quoted = json.dumps(value, ensure_ascii=False)
    if "*" in value or "\\" in quoted:
        return
    matches = compile_pattern(f"{{ $.a = {quoted} }}")
    assert matches(json.dumps({"a": value}))
    assert matches(json.dumps({"a": other})) is (value == other)


@given(st.lists(WORDS, min_size=1, max_size=8), st.integers(0, 7))
def test_words_when_one_is_compared_then_its_place_counts(words: list[str], place: int) -> None:
    place %= len(words)
    names = ["w"] * len(words)
    names[place] = f'w = "{words[place]}"'
    assert compile_pattern(f"[{', '.join(names)}]")(" ".join(words))
    assert compile_pattern(f"[..., {', '.join(names[place:])}]")(" ".join(words))
    assert not compile_pattern(f"[{', '.join(names)}]")(" ".join([*words, "more"]))
