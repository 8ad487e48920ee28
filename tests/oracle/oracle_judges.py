"""The two judges of a case: ours, and the oracle, which is a program of others in another language."""

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace
from oracle_cases import OURS, Case, Json

from penstock.services.iam import principals
from penstock.services.iam.evaluate import Decision, Identity, Request, evaluate
from penstock.services.iam.pattern import Values
from penstock.services.iam.policy import Policy, PolicyKind, parse_policy
from penstock.services.iam.principals import Principal

HERE = Path(__file__).parent
TIMEOUT_S = 120
MULTIVALUED = ("aws:TagKeys",)


class Judgement(NamedTuple):
    """What a judge says: "Allowed", "ImplicitlyDenied" or "ExplicitlyDenied", of everything and of each kind of policy alone."""

    everything: str
    identity: str | None  # None: there is none, or it is not asked
    boundary: str | None
    session: str | None


def ours(case: Case) -> Judgement:
    """What we say."""
    principal = principal_of(case)
    keys: dict[str, Values] = {name.lower(): tuple(values) for name, values in case.keys.items()}
    read = partial(_read, kind=PolicyKind.IDENTITY)
    policies, boundary = tuple(read(each) for each in case.identity), read(case.boundary) if case.boundary else None
    session = (read(case.session),) if case.session else None
    policy = _read(case.policy, PolicyKind.RESOURCE) if case.policy else None
    request = Request(case.action, case.resource, case.account, policy, lambda key: keys.get(key, ()))
    alone = replace(request, account=OURS, policy=None)

    def judge(only: tuple[Policy, ...] | None) -> str | None:
        return _word(evaluate(Identity(principal, only), alone)) if only is not None and _has_policies(case) else None

    return Judgement(
        _word(evaluate(Identity(principal, policies, boundary, session), request)),
        judge(policies),
        judge((boundary,) if boundary else None),
        judge(session),
    )


def oracle(cases: list[Case]) -> list[Judgement]:
    """What the oracle says of each."""
    lines = "\n".join(json.dumps(_simulation(case)) for case in cases)
    ran = subprocess.run(
        ["node", str(HERE / "simulate.mjs")],
        input=lines,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, f"the oracle failed; `make oracle` installs it\n{ran.stderr[-2000:]}"
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(cases)
    return [_heard(case, answer) for case, answer in zip(cases, answers, strict=True)]


def principal_of(case: Case) -> Principal:
    """The principal that a case's ARN or name means, with the keys that the case gives it."""
    arn, name = case.principal, case.principal.rpartition("/")[2]
    if arn.endswith(".amazonaws.com"):
        found = principals.service(arn)
    elif arn.endswith(":root"):
        found = principals.root(OURS)
    elif ":user/" in arn:
        found = principals.user(arn, f"AIDA{name.upper()}")
    elif ":federated-user/" in arn:
        found = principals.federated_user(principals.user(f"arn:aws:iam::{OURS}:user/{name}"), name)
    else:
        role = arn.split("/")[1]
        found = principals.role_session(f"arn:aws:iam::{OURS}:role/{role}", name, f"AROA{role.upper()}")
    given = {name.lower(): tuple(values) for name, values in case.keys.items()}
    return replace(found, keys={**found.keys, **{key: given[key] for key in given if key.startswith("aws:principal")}})


def _has_policies(case: Case) -> bool:
    return not case.principal.endswith((":root", ".amazonaws.com"))


def _read(document: Json, kind: PolicyKind) -> Policy:
    return parse_policy(json.dumps(document), kind)


def _word(decision: Decision) -> str:
    return "Allowed" if decision.allowed else "ExplicitlyDenied" if decision.explicit else "ImplicitlyDenied"


def _simulation(case: Case) -> Json:
    keys = {**{name: list(values) for name, values in principal_of(case).keys.items()}, **case.keys}
    folded = {name.lower(): (name, values) for name, values in keys.items()}
    simulation: Json = {
        "request": {
            "principal": case.principal,
            "action": case.action,
            "resource": {"resource": case.resource, "accountId": case.account},
            "contextVariables": {
                name: values if name in MULTIVALUED else values[0] for name, values in folded.values()
            },
        },
        "identityPolicies": [{"name": f"p{n}", "policy": policy} for n, policy in enumerate(case.identity)],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if case.policy:
        simulation["resourcePolicy"] = case.policy
    if case.session:
        simulation["sessionPolicy"] = case.session
    if case.boundary:
        simulation["permissionBoundaryPolicies"] = [{"name": "boundary", "policy": case.boundary}]
    return simulation


def _heard(case: Case, answer: dict[str, Any]) -> Judgement:
    assert answer["result"] != "Error", f"the oracle refuses a case: {answer['errors']}\n{case}"
    asked = _has_policies(case)
    return Judgement(
        answer["result"],
        answer["identity"] if asked else None,
        answer.get("boundary") if asked else None,
        answer.get("session") if asked else None,
    )
