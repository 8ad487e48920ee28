"""Patterns: wildcards, variables, and that none takes long."""

import pytest

from penstock.services.iam.pattern import MULTIVALUED, PatternSet, Values, Variable, Wild, read_tokens

KEYS: dict[str, Values] = {
    "aws:username": ("ana",),
    "aws:principaltag/team": ("b*e",),
    "aws:tagkeys": ("one",),
    "x:two": ("a", "b"),
}


def lookup(key: str) -> Values:
    return KEYS.get(key, ())


def matches(pattern: str, text: str, *, variables: bool = True, wild: bool = True, fold: bool = False) -> bool:
    return PatternSet([pattern], variables=variables, wild=wild, fold=fold).matches(text, lookup)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("", [""], ["a"]),
        ("a", ["a"], ["", "A", "aa", "*"]),
        ("*", ["", "a", "a:b/c\nd"], []),
        ("**", ["", "a"], []),
        ("?", ["a", "*", "\n"], ["", "ab"]),
        ("a*", ["a", "ab"], ["", "ba"]),
        ("*a", ["a", "ba", "aa"], ["", "ab"]),
        ("a*a", ["aa", "aba"], ["a", "ab"]),
        ("a*b*c", ["abc", "axbxc", "abbcc"], ["ac", "acb", "ab"]),
        ("a?c*e?", ["abcef", "abc-ef"], ["abcde", "acef", "abce"]),
        ("?*?", ["ab", "abc"], ["a", ""]),
        ("*??", ["ab", "abc"], ["a"]),
        ("*a?*", ["ab", "xaby"], ["a", "xa"]),
        ("*ab*ba*", ["abba", "xabxbax"], ["aba"]),
        ("arn:aws:kinesis:*:stream/x", ["arn:aws:kinesis:r:1:stream/x"], ["arn:aws:kinesis:r:1:stream/xy"]),
        ("arn:*/consumer/*", ["arn:aws:kinesis:r:1:stream/x/consumer/c:1"], ["arn:aws:kinesis:r:1:stream/x"]),
        ("a.c[x]+(", ["a.c[x]+("], ["abc[x]+("]),
        ("a.?", ["a.b"], ["abb"]),
    ],
)  # fmt: skip
def test_wildcards_when_matched_then_only_whole_texts_do(pattern: str, yes: list[str], no: list[str]) -> None:
    assert all(matches(pattern, text) for text in yes)
    assert not any(matches(pattern, text) for text in no)


def test_wildcards_when_switched_off_then_they_are_letters() -> None:
    assert matches("a*", "a*", wild=False)
    assert not matches("a*", "ab", wild=False)


def test_letters_when_folded_then_case_does_not_matter() -> None:
    assert matches("Kinesis:PUT*", "kinesis:putrecord", fold=True)
    assert matches("kinesis:putrecord", "KINESIS:PutRecord", fold=True)
    assert matches("${aws:UserName}X", "anax", fold=True)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("${aws:username}", ["ana"], ["${aws:username}", "anna"]),
        ("${AWS:UserName}-*", ["ana-", "ana-1"], ["ana"]),
        ("home/${aws:username}/?", ["home/ana/1"], ["home/bob/1", "home/ana/"]),
        ("${aws:PrincipalTag/Team}", ["b*e"], ["blue"]),  # a value's star is a star
        ("${aws:none}", [], ["", "ana", "${aws:none}"]),
        ("x${aws:none}", [], ["x"]),
        ("${aws:none, 'all'}", ["all"], ["", "ana"]),
        ("${aws:none,'all'}", ["all"], []),
        ("${aws:none, ''}", [""], ["a"]),
        ("${aws:username, 'all'}", ["ana"], ["all"]),
        ("${aws:none, 'a*'}", ["a*"], ["ab"]),
        ("${*}", ["*"], ["a"]),
        ("a${?}", ["a?"], ["ab"]),
        ("${$}{x}", ["${x}"], ["x"]),
        ("${x:two}", [], ["a", "b"]),
        ("${aws:TagKeys}", [], ["one"]),
        ("${", ["${"], []),
        ("${}", ["${}"], []),
        ("$x}", ["$x}"], []),
        ("${a b}", ["${a b}"], []),
        ("${a${aws:username}", ["${aana"], []),
    ],
)  # fmt: skip
def test_variables_when_matched_then_the_request_fills_them(pattern: str, yes: list[str], no: list[str]) -> None:
    assert all(matches(pattern, text) for text in yes)
    assert not any(matches(pattern, text) for text in no)


def test_variables_when_switched_off_then_they_are_letters() -> None:
    assert matches("${aws:username}", "${aws:username}", variables=False)
    assert not matches("${aws:username}", "ana", variables=False)


def test_tokens_when_read_then_each_part_is_told_apart() -> None:
    assert read_tokens("a*${B:c, 'd'}?${*}", variables=True, wild=True) == (
        *("a", Wild.STAR, Variable("b:c", "d"), Wild.ANY, "*"),
    )


def test_set_when_several_are_given_then_one_is_enough() -> None:
    patterns = PatternSet(["a", "b*", "${aws:username}"], variables=True)
    assert [text for text in ("a", "bb", "ana", "c") if patterns.matches(text, lookup)] == ["a", "bb", "ana"]
    assert not PatternSet([]).matches("", lookup)
    assert not patterns.everything
    assert PatternSet(["x", "*"]).everything
    assert not PatternSet(["?"]).everything


def test_doubts_when_a_variable_has_no_value_then_what_it_could_mean_is_in_doubt() -> None:
    patterns = PatternSet(["a/${aws:none}", "b/${aws:username}"], variables=True)
    assert patterns.doubts("a/x", lookup)
    assert not patterns.doubts("b/x", lookup)
    assert not patterns.doubts("c/x", lookup)


def test_multivalued_keys_when_listed_then_they_are_in_lower_case() -> None:
    assert all(key == key.lower() for key in MULTIVALUED)


def test_wildcards_when_many_then_a_match_does_not_explode() -> None:
    text = "a" * 2000
    assert not matches("*a" * 200 + "b", text)
    assert not matches("a*" * 200 + "?b", text)
    assert matches("*a?" * 200 + "*", text)
