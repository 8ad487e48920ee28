"""Decisions: who wins among policies, which is blamed, how AWS words it, and what is remembered."""

import json
from typing import Any

import pytest

from penstock.services.iam import principals
from penstock.services.iam.evaluate import (
    ALLOWED,
    DECISIONS_KEPT,
    Decision,
    Identity,
    Judge,
    Need,
    Request,
    Source,
    denial_text,
    evaluate,
)
from penstock.services.iam.pattern import Values
from penstock.services.iam.policy import Policy, PolicyKind, parse_policy
from penstock.services.iam.principals import Principal

A, B = "111111111111", "222222222222"
STREAM = f"arn:aws:kinesis:us-east-1:{A}:stream/orders"
USER, ROLE = f"arn:aws:iam::{A}:user/ana", f"arn:aws:iam::{A}:role/worker"
ANA, WORKER = principals.user(USER), principals.role_session(ROLE, "s1")
FRED = principals.federated_user(ANA, "fred")


def policy(effect: str, **more: Any) -> Policy:
    """A policy of an identity: everything, or what is said."""
    statement = {"Effect": effect, "Action": "*", "Resource": "*", **more}
    kind = PolicyKind.RESOURCE if {"Principal", "NotPrincipal"} & more.keys() else PolicyKind.IDENTITY
    return parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}), kind)


def names(*arns: str, effect: str = "Allow", **more: Any) -> Policy:
    """A policy of a resource for these principals."""
    return policy(effect, Principal={"AWS": list(arns)}, **more)


ALLOW, DENY, SILENT = policy("Allow"), policy("Deny"), policy("Allow", Action="s3:GetObject")
ANYONE = names("*")


def decide(
    who: Principal,
    own: Policy | None = None,
    *,
    of: Policy | None = None,
    boundary: Policy | None = None,
    session: Policy | None = None,
    account: str = A,
    need: Need = Need.UNION,
) -> Decision:
    identity = Identity(who, (own,) if own else (), boundary, (session,) if session else None)
    return evaluate(identity, Request("kinesis:PutRecord", STREAM, account, of, need=need))


def lacks(source: Source) -> Decision:
    return Decision(False, source)


def denied(source: Source) -> Decision:
    return Decision(False, source, True)


@pytest.mark.parametrize("who", [ANA, WORKER, FRED])
def test_one_account_when_only_own_policies_are_there_then_they_decide(who: Principal) -> None:
    assert decide(who) == lacks(Source.IDENTITY)
    assert decide(who, SILENT) == lacks(Source.IDENTITY)
    assert decide(who, ALLOW) == ALLOWED
    assert decide(who, DENY) == denied(Source.IDENTITY)


@pytest.mark.parametrize(
    ("who", "of", "expected"),
    [
        (ANA, ANYONE, ALLOWED),
        (ANA, names(USER), ALLOWED),
        (ANA, names(A), lacks(Source.IDENTITY)),  # an account is left to decide for itself
        (ANA, names(B), lacks(Source.IDENTITY)),
        (ANA, names(A, effect="Deny"), denied(Source.RESOURCE)),
        (ANA, names(B, effect="Deny"), lacks(Source.IDENTITY)),
        (WORKER, names(ROLE), ALLOWED),
        (WORKER, names(WORKER.arn), ALLOWED),
        (WORKER, names(WORKER.arn, effect="Deny"), denied(Source.RESOURCE)),
        (WORKER, names(ROLE, effect="Deny"), denied(Source.RESOURCE)),
        (FRED, names(USER), ALLOWED),
        (FRED, names(FRED.arn), ALLOWED),
        (WORKER, names(WORKER.arn, Action="kinesis:GetRecords"), lacks(Source.IDENTITY)),
    ],
)  # fmt: skip
def test_one_account_when_the_resource_has_a_policy_then_either_is_enough(
    who: Principal, of: Policy, expected: Decision
) -> None:
    assert decide(who, of=of) == expected


@pytest.mark.parametrize("who", [ANA, WORKER, FRED])
def test_deny_when_any_policy_has_one_then_it_wins(who: Principal) -> None:
    assert decide(who, DENY, of=ANYONE) == denied(Source.IDENTITY)
    assert decide(who, ALLOW, of=names("*", effect="Deny")) == denied(Source.RESOURCE)
    assert decide(who, ALLOW, of=ANYONE, boundary=DENY) == denied(Source.BOUNDARY)
    assert decide(who, ALLOW, of=ANYONE, boundary=ALLOW, session=DENY) == denied(Source.SESSION)
    assert decide(who, of=ANYONE, session=DENY) == denied(Source.SESSION)


@pytest.mark.parametrize(
    ("who", "of", "by_boundary", "by_session"),
    [
        (ANA, None, False, False),
        (ANA, names(USER), True, True),
        (ANA, ANYONE, True, True),
        (WORKER, names(A), False, False),
        (WORKER, names(ROLE), False, False),  # the role is capped
        (WORKER, names(WORKER.arn), True, True),  # the session is not
        (WORKER, ANYONE, True, True),
        (FRED, names(USER), False, False),
        (FRED, names(FRED.arn), True, True),
    ],
)  # fmt: skip
def test_cap_when_it_allows_nothing_then_only_what_is_named_itself_passes(
    who: Principal, of: Policy | None, by_boundary: bool, by_session: bool
) -> None:
    own = ALLOW if of is None or of.statements[0].names(who).value == 1 else None
    assert decide(who, own, of=of, boundary=SILENT) == (ALLOWED if by_boundary else lacks(Source.BOUNDARY))
    assert decide(who, own, of=of, session=SILENT) == (ALLOWED if by_session else lacks(Source.SESSION))
    assert decide(who, own, of=of, boundary=ALLOW, session=ALLOW) == ALLOWED


def test_cap_when_it_allows_then_it_grants_nothing() -> None:
    assert decide(ANA, boundary=ALLOW) == lacks(Source.IDENTITY)
    assert decide(WORKER, session=ALLOW) == lacks(Source.IDENTITY)
    assert decide(WORKER, SILENT, boundary=SILENT, session=SILENT) == lacks(Source.IDENTITY)
    assert decide(WORKER, ALLOW, boundary=SILENT, session=SILENT) == lacks(Source.BOUNDARY)


def test_cap_when_no_session_policy_was_passed_then_there_is_no_cap_but_an_empty_one_is_one() -> None:
    request = Request("kinesis:PutRecord", STREAM, A)
    assert evaluate(Identity(WORKER, (ALLOW,), None, None), request) == ALLOWED
    assert evaluate(Identity(WORKER, (ALLOW,), None, ()), request) == lacks(Source.SESSION)


@pytest.mark.parametrize(
    ("own", "of", "expected"),
    [
        (None, None, lacks(Source.IDENTITY)),
        (ALLOW, None, lacks(Source.RESOURCE)),
        (None, ANYONE, lacks(Source.IDENTITY)),
        (ALLOW, ANYONE, ALLOWED),
        (ALLOW, names(A), ALLOWED),
        (ALLOW, names(B), lacks(Source.RESOURCE)),
        (ALLOW, names(ROLE), ALLOWED),
        (ALLOW, names(WORKER.arn), ALLOWED),
        (ALLOW, names(A, effect="Deny"), denied(Source.RESOURCE)),
    ],
)  # fmt: skip
def test_two_accounts_when_asked_across_then_both_sides_must_allow(
    own: Policy | None, of: Policy | None, expected: Decision
) -> None:
    assert decide(WORKER, own, of=of, account=B) == expected


def test_two_accounts_when_a_cap_does_not_allow_then_naming_the_session_does_not_help() -> None:
    assert decide(WORKER, ALLOW, of=names(WORKER.arn), boundary=SILENT, account=B) == lacks(Source.BOUNDARY)
    assert decide(WORKER, ALLOW, of=names(WORKER.arn), session=SILENT, account=B) == lacks(Source.SESSION)


def test_root_when_it_asks_in_its_account_then_only_the_resource_can_deny() -> None:
    root = principals.root(A)
    assert decide(root) == ALLOWED
    assert decide(root, of=names(USER)) == ALLOWED
    assert decide(root, of=names("*", effect="Deny")) == denied(Source.RESOURCE)
    assert decide(root, of=policy("Deny", NotPrincipal={"AWS": A})) == ALLOWED
    assert decide(root, need=Need.REQUIRED) == lacks(Source.RESOURCE)
    assert decide(root, of=names(A), need=Need.REQUIRED) == ALLOWED


def test_root_when_it_asks_elsewhere_then_the_resource_must_allow_its_account() -> None:
    root = principals.root(A)
    assert decide(root, account=B) == lacks(Source.RESOURCE)
    assert decide(root, of=names(A), account=B) == ALLOWED


def test_service_when_it_asks_then_only_the_resource_decides() -> None:
    firehose = principals.service("firehose.amazonaws.com")
    assert decide(firehose) == lacks(Source.RESOURCE)
    assert decide(firehose, of=policy("Allow", Principal={"Service": firehose.arn})) == ALLOWED
    assert decide(firehose, of=policy("Allow", Principal={"Service": "lambda.amazonaws.com"})) == lacks(Source.RESOURCE)
    assert decide(firehose, of=policy("Deny", Principal={"Service": firehose.arn})) == denied(Source.RESOURCE)


def test_nobody_when_asking_then_only_a_policy_for_everyone_allows() -> None:
    assert decide(principals.ANONYMOUS, of=ANYONE) == ALLOWED
    assert decide(principals.ANONYMOUS, of=names(A)) == lacks(Source.RESOURCE)
    assert decide(principals.ANONYMOUS) == lacks(Source.RESOURCE)


def trust(**principal: str) -> Policy:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}), PolicyKind.TRUST)


@pytest.mark.parametrize(
    ("who", "own", "trusted", "expected"),
    [
        (ANA, ALLOW, trust(AWS=A), ALLOWED),
        (ANA, None, trust(AWS=A), lacks(Source.IDENTITY)),
        (ANA, None, trust(AWS=USER), ALLOWED),
        (ANA, ALLOW, trust(AWS=B), lacks(Source.TRUST)),
        (principals.user(f"arn:aws:iam::{B}:user/bob"), ALLOW, trust(AWS=B), ALLOWED),
        (principals.user(f"arn:aws:iam::{B}:user/bob"), None, trust(AWS=f"arn:aws:iam::{B}:user/bob"), lacks(Source.IDENTITY)),
        (principals.user(f"arn:aws:iam::{B}:user/bob"), ALLOW, trust(AWS=A), lacks(Source.TRUST)),
        (principals.service("lambda.amazonaws.com"), None, trust(Service="lambda.amazonaws.com"), ALLOWED),
        (principals.federated("accounts.example.com"), None, trust(Federated="accounts.example.com"), ALLOWED),
        (principals.federated("accounts.example.com"), None, trust(Federated="other.example.com"), lacks(Source.TRUST)),
    ],
)  # fmt: skip
def test_role_when_it_is_assumed_then_its_trust_policy_must_allow(
    who: Principal, own: Policy | None, trusted: Policy, expected: Decision
) -> None:
    identity = Identity(who, (own,) if own else ())
    assert evaluate(identity, Request("sts:AssumeRole", ROLE, A, trusted, need=Need.TRUST)) == expected


def test_key_when_its_policy_does_not_name_the_account_then_own_policies_do_not_count() -> None:
    assert decide(ANA, ALLOW, need=Need.REQUIRED) == lacks(Source.RESOURCE)
    assert decide(ANA, ALLOW, of=names(A), need=Need.REQUIRED) == ALLOWED
    assert decide(ANA, of=names(A), need=Need.REQUIRED) == lacks(Source.IDENTITY)
    assert decide(ANA, of=names(USER), need=Need.REQUIRED) == ALLOWED


def test_policies_when_of_the_wrong_kind_then_it_is_a_bug_of_ours() -> None:
    with pytest.raises(AssertionError):
        Identity(ANA, (ANYONE,))
    with pytest.raises(AssertionError):
        decide(ANA, of=ALLOW)


SAYS = "User: arn:aws:sts::111111111111:assumed-role/worker/s1 is not authorized to perform: kinesis:PutRecord on resource: "


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (lacks(Source.IDENTITY), "because no identity-based policy allows the kinesis:PutRecord action"),
        (lacks(Source.BOUNDARY), "because no permissions boundary allows the kinesis:PutRecord action"),
        (lacks(Source.SESSION), "because no session policy allows the kinesis:PutRecord action"),
        (lacks(Source.RESOURCE), "because no resource-based policy allows the kinesis:PutRecord action"),
        (lacks(Source.TRUST), "because no role trust policy allows the kinesis:PutRecord action"),
        (denied(Source.IDENTITY), "with an explicit deny in an identity-based policy"),
        (denied(Source.BOUNDARY), "with an explicit deny in a permissions boundary"),
        (denied(Source.SESSION), "with an explicit deny in a session policy"),
        (denied(Source.RESOURCE), "with an explicit deny in a resource-based policy"),
        (denied(Source.TRUST), "with an explicit deny in the role trust policy"),
    ],
)
def test_text_when_denied_then_it_names_the_kind_of_policy(decision: Decision, reason: str) -> None:
    assert denial_text(WORKER, Request("kinesis:PutRecord", STREAM, A), decision) == f"{SAYS}{STREAM} {reason}"


def test_text_when_no_resource_is_meant_then_it_names_none() -> None:
    text = denial_text(ANA, Request("kinesis:ListStreams", "*", A), lacks(Source.IDENTITY))
    assert text == (
        f"User: {USER} is not authorized to perform: kinesis:ListStreams"
        " because no identity-based policy allows the kinesis:ListStreams action"
    )


class Facts:
    """The keys of a request, and how often they were asked for."""

    def __init__(self, **keys: str) -> None:
        self.asked = 0
        self._keys = {name.replace("__", ":"): (value,) for name, value in keys.items()}

    def __call__(self, key: str) -> Values:
        self.asked += 1
        return self._keys.get(key, ())


def test_judge_when_policies_ask_for_nothing_then_it_decides_once() -> None:
    judge, facts, identity = Judge(), Facts(), Identity(ANA, (ALLOW,))
    request = Request("kinesis:PutRecord", STREAM, A, keys=facts)
    assert judge.decide(identity, request) is judge.decide(identity, request)
    assert (facts.asked, judge.remembered) == (0, 1)


def test_judge_when_policies_ask_for_the_principal_then_it_decides_once() -> None:
    judge, facts = Judge(), Facts(aws__username="bob")
    own = policy(
        "Allow", Resource="arn:aws:kinesis:*:*:stream/orders", Condition={"StringEquals": {"aws:username": "ana"}}
    )
    request = Request("kinesis:PutRecord", STREAM, A, keys=facts)
    assert (
        judge.decide(Identity(ANA, (own,)), request) == ALLOWED
    )  # what a request says of its principal does not count
    assert judge.decide(Identity(WORKER, (own,)), request) == lacks(Source.IDENTITY)
    assert (facts.asked, judge.remembered) == (0, 2)


def test_judge_when_policies_ask_for_the_request_then_each_is_decided() -> None:
    judge = Judge()
    identity = Identity(ANA, (policy("Allow", Condition={"Bool": {"aws:SecureTransport": "true"}}),))
    for secure in ("true", "false", "true"):
        request = Request("kinesis:PutRecord", STREAM, A, keys=Facts(aws__securetransport=secure))
        assert judge.decide(identity, request).allowed is (secure == "true")
    assert judge.remembered == 0


def test_judge_when_anything_differs_then_it_decides_anew() -> None:
    judge, identity = Judge(), Identity(ANA, (policy("Allow", Action="kinesis:PutRecord", Resource=STREAM),))
    allowed = [
        judge.decide(who, Request(action, resource, account, of)).allowed
        for who, action, resource, account, of in (
            (identity, "kinesis:PutRecord", STREAM, A, None),
            (identity, "kinesis:PutRecords", STREAM, A, None),
            (identity, "kinesis:PutRecord", STREAM + "s", A, None),
            (identity, "kinesis:PutRecord", STREAM, B, None),
            (identity, "kinesis:PutRecord", STREAM, A, names(A, effect="Deny")),
            (Identity(ANA), "kinesis:PutRecord", STREAM, A, None),
        )
    ]
    assert allowed == [True, False, False, False, False, False]


def test_judge_when_it_remembers_too_much_then_it_forgets() -> None:
    judge, identity = Judge(), Identity(ANA, (ALLOW,))
    for number in range(DECISIONS_KEPT + 1):
        assert judge.decide(identity, Request("kinesis:PutRecord", f"{STREAM}{number}", A)).allowed
    assert judge.remembered == 1


def test_keys_when_no_condition_is_reached_then_none_is_asked_for() -> None:
    facts = Facts(aws__sourceip="10.0.0.1")
    own = policy("Deny", Action="s3:*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    assert evaluate(Identity(ANA, (own, ALLOW)), Request("kinesis:PutRecord", STREAM, A, keys=facts)) == ALLOWED
    assert facts.asked == 0
