"""Principals: who is named how, and the keys that belong to a principal."""

import pytest

from penstock.services.iam import principals
from penstock.services.iam.principals import ANONYMOUS, Named, Principal, PrincipalSet

A, B = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{A}:role/team/worker"
ANA = principals.user(f"arn:aws:iam::{A}:user/team/ana", "AIDAANA", {"Team": "blue"})
WORKER = principals.role_session(ROLE, "s1", "AROAWORKER", {"Team": "red"})
FRED = principals.federated_user(ANA, "fred")
ROOT = principals.root(A)
FIREHOSE = principals.service("firehose.amazonaws.com")
OIDC = principals.federated("accounts.example.com", {"accounts.example.com:SUB": ("me",)})
EVERYBODY = {
    "ana": ANA,
    "worker": WORKER,
    "fred": FRED,
    "root": ROOT,
    "firehose": FIREHOSE,
    "oidc": OIDC,
    "nobody": ANONYMOUS,
}


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({"AWS": ["*"]}, dict.fromkeys(EVERYBODY, Named.ITSELF)),
        ({"AWS": [A]}, {"ana": Named.ACCOUNT, "worker": Named.ACCOUNT, "fred": Named.ACCOUNT, "root": Named.ITSELF}),
        ({"AWS": [f"arn:aws:iam::{A}:root"]}, {"ana": Named.ACCOUNT, "worker": Named.ACCOUNT, "fred": Named.ACCOUNT, "root": Named.ITSELF}),
        ({"AWS": [B, f"arn:aws:iam::{B}:root"]}, {}),
        ({"AWS": [ANA.arn]}, {"ana": Named.ITSELF, "fred": Named.PARENT}),
        ({"AWS": [ANA.arn, A]}, {"ana": Named.ITSELF, "fred": Named.PARENT, "worker": Named.ACCOUNT, "root": Named.ITSELF}),
        ({"AWS": ["AIDAANA"]}, {"ana": Named.ITSELF}),
        ({"AWS": [ROLE]}, {"worker": Named.PARENT}),
        ({"AWS": ["AROAWORKER"]}, {"worker": Named.PARENT}),
        ({"AWS": [f"arn:aws:sts::{A}:assumed-role/worker/s1"]}, {"worker": Named.ITSELF}),
        ({"AWS": [f"arn:aws:sts::{A}:assumed-role/worker/s2", f"arn:aws:iam::{A}:role/worker"]}, {}),
        ({"AWS": [f"arn:aws:sts::{A}:federated-user/fred"]}, {"fred": Named.ITSELF}),
        ({"AWS": [f"arn:aws:iam::{A}:user/*", f"arn:aws:iam::{A}:*"]}, {}),
        ({"Service": ["firehose.amazonaws.com"]}, {"firehose": Named.ITSELF}),
        ({"Service": ["lambda.amazonaws.com"], "AWS": ["firehose.amazonaws.com"]}, {}),
        ({"Federated": ["accounts.example.com"]}, {"oidc": Named.ITSELF}),
        ({"CanonicalUser": ["0" * 64]}, {}),
    ],
)  # fmt: skip
def test_element_when_it_names_then_only_these_are_meant(
    element: dict[str, list[str]], expected: dict[str, Named]
) -> None:
    found = PrincipalSet(element)
    assert {name: found.names(who) for name, who in EVERYBODY.items()} == dict.fromkeys(EVERYBODY, Named.NOT) | expected


@pytest.mark.parametrize(
    ("who", "arn", "account", "keys"),
    [
        (ROOT, f"arn:aws:iam::{A}:root", A, {"aws:principaltype": "Account", "aws:userid": A, "aws:principalarn": ROOT.arn}),
        (ANA, f"arn:aws:iam::{A}:user/team/ana", A,
            {"aws:username": "ana", "aws:userid": "AIDAANA", "aws:principaltag/team": "blue", "aws:principaltype": "User"}),
        (WORKER, f"arn:aws:sts::{A}:assumed-role/worker/s1", A,
            {"aws:principalarn": ROLE, "aws:userid": "AROAWORKER:s1", "aws:principaltype": "AssumedRole", "aws:principaltag/team": "red"}),
        (FRED, f"arn:aws:sts::{A}:federated-user/fred", A, {"aws:userid": f"{A}:fred", "aws:principaltype": "FederatedUser"}),
        (FIREHOSE, "firehose.amazonaws.com", "", {"aws:principalisawsservice": "true", "aws:principalservicename": "firehose.amazonaws.com"}),
        (OIDC, "accounts.example.com", "", {"accounts.example.com:sub": "me"}),
    ],
)  # fmt: skip
def test_principal_when_made_then_it_has_its_arn_and_keys(
    who: Principal, arn: str, account: str, keys: dict[str, str]
) -> None:
    assert (who.arn, who.account) == (arn, account)
    assert {name: who.keys[name] for name in keys} == {name: (value,) for name, value in keys.items()}


def test_principal_when_it_is_no_user_then_it_has_no_user_name() -> None:
    assert [name for name, who in EVERYBODY.items() if "aws:username" in who.keys] == ["ana"]


def test_principal_when_its_unique_id_is_unknown_then_it_has_none() -> None:
    session = principals.role_session(ROLE, "s1")
    assert "aws:userid" not in session.keys
    assert PrincipalSet({"AWS": [""]}).names(session) is Named.NOT
