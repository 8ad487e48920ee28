"""Policies: laws that hold for any of them, and documents that nobody would write."""

import json
import re
from contextlib import suppress
from dataclasses import replace
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from oracle_cases import OURS, Case, Draw, Json
from oracle_judges import ours, principal_of

from penstock.services.iam.evaluate import Identity, Judge, Request, evaluate
from penstock.services.iam.pattern import PatternSet, Values
from penstock.services.iam.policy import MalformedPolicy, PolicyKind, parse_policy

cases = st.integers(0, 2**32).map(lambda seed: Draw(seed).case())
documents = st.integers(0, 2**32).map(lambda seed: Draw(seed).identity())
letters = st.text("ab*?:", max_size=8)


def allowed(case: Case) -> bool:
    return ours(case).everything == "Allowed"


@given(letters, st.text("ab:\n", max_size=12))
def test_wildcards_when_matched_then_they_mean_what_a_regular_expression_does(pattern: str, text: str) -> None:
    source = "".join({"*": ".*", "?": "."}.get(letter, letter) for letter in pattern)
    expected = re.fullmatch(source, text, re.DOTALL) is not None
    assert PatternSet([pattern]).matches(text, lambda _: ()) is expected


@given(cases, documents)
def test_boundary_when_added_then_nothing_more_is_allowed(case: Case, document: Json) -> None:
    assert allowed(replace(case, boundary=None)) or not allowed(replace(case, boundary=document))


@given(cases, documents)
def test_session_policy_when_added_then_nothing_more_is_allowed(case: Case, document: Json) -> None:
    assert allowed(replace(case, session=None)) or not allowed(replace(case, session=document))


@given(cases, documents)
def test_own_policy_when_it_only_allows_then_nothing_less_is_allowed(case: Case, document: Json) -> None:
    kind = [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]
    if kind:
        assert allowed(replace(case, identity=[*case.identity, {**document, "Statement": kind}])) or not allowed(case)


DENY: Json = {"Effect": "Deny", "Action": "*", "Resource": "*"}


@given(cases, st.integers(0, 3))
def test_deny_of_everything_when_anywhere_then_it_is_told(case: Case, where: int) -> None:
    own = {"Version": "2012-10-17", "Statement": [DENY]}
    denied = (
        replace(case, identity=[*case.identity, own]),
        replace(case, boundary=own),
        replace(case, session=own),
        replace(case, policy={"Version": "2012-10-17", "Statement": [{**DENY, "Principal": "*"}]}),
    )
    assert ours(denied[where]).everything == "ExplicitlyDenied"


@given(cases)
def test_accounts_when_two_then_both_sides_allow_what_is_allowed(case: Case) -> None:
    if allowed(case) and case.account != OURS and not case.principal.endswith(".amazonaws.com"):
        assert case.policy is not None
        assert not allowed(replace(case, policy=None))
        assert ours(case).identity == "Allowed" or case.principal.endswith(":root")


def _look_up(keys: dict[str, Values], key: str) -> Values:
    return keys.get(key, ())


@given(st.lists(cases, min_size=1, max_size=6))
def test_judge_when_asked_again_and_again_then_it_never_changes_its_mind(drawn: list[Case]) -> None:
    judge = Judge()
    requests = []
    for case in drawn:
        keys: dict[str, Values] = {name.lower(): tuple(values) for name, values in case.keys.items()}
        own = tuple(parse_policy(json.dumps(each), PolicyKind.IDENTITY) for each in case.identity)
        of = parse_policy(json.dumps(case.policy), PolicyKind.RESOURCE) if case.policy else None
        identity = Identity(principal_of(case), own)
        for other in drawn:  # the same policies, other requests
            others: dict[str, Values] = {name.lower(): tuple(values) for name, values in other.keys.items()}
            for asked in (keys, others):
                request = Request(other.action, other.resource, other.account, of, partial(_look_up, asked))
                requests.append((identity, request))
    for identity, request in [*requests, *requests]:
        assert judge.decide(identity, request) == evaluate(identity, request)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.sampled_from(["*", "Allow", "a:b"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Principal", "Condition", "AWS", "Null", "aws:x"]),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(json_values, json_values, st.sampled_from(PolicyKind))
def test_document_when_it_is_anything_then_it_is_read_or_refused(
    value: object, inner: object, kind: PolicyKind
) -> None:
    statement = {"Effect": "Allow", "Action": inner, "Resource": value, "Principal": inner, "Condition": value}
    for document in (
        value,
        {"Version": "2012-10-17", "Statement": value},
        {"Version": "2012-10-17", "Statement": statement},
    ):
        with suppress(MalformedPolicy):
            assert parse_policy(json.dumps(document), kind).statements
