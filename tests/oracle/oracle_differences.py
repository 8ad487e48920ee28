"""Where we and the oracle disagree, and why we are right: one row each.

Theory.  A row does not only name what a case must have to be excused.  It rewrites the case into one that means the same to us but lacks what
the oracle reads otherwise; a disagreement is explained only if our answer stays and the oracle comes to it.  So a row cannot hide another
mistake in the same case, ours or theirs.  docs/policies.md has the rows in prose.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from oracle_cases import OURS, Case, Json
from oracle_judges import principal_of

from penstock.services.iam.pattern import MULTIVALUED, Variable, read_tokens

ISO = {"1781524800": "2026-06-15T12:00:00Z", "1769904000": "2026-02-01T00:00:00Z"}
ELSEWHERE = {4: "203.0.113.9", 6: "2001:db8:ffff::9"}
NOBODY = f"arn:aws:iam::{OURS}:user/nobody"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
NEGATED_TEXT = re.compile(r"(String|Arn)Not", re.IGNORECASE)

Values = list[str]


class Row(NamedTuple):
    """One known difference."""

    name: str
    why: str
    rewrite: Callable[[Case], Case]


def _each_statement(case: Case, change: Callable[[Json], Json]) -> Case:
    """The case with every statement changed."""

    def changed(document: Json) -> Json:
        return {**document, "Statement": [change(statement) for statement in document["Statement"]]}

    return replace(
        case,
        identity=[changed(each) for each in case.identity],
        boundary=case.boundary and changed(case.boundary),
        session=case.session and changed(case.session),
        policy=case.policy and changed(case.policy),
    )


def _each_condition(case: Case, change: Callable[[str, str, Values], Values]) -> Case:
    """The case with the values of every condition changed: `change(operator, key, values)`."""

    def changed(statement: Json) -> Json:
        block: Json = {}
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                listed = values if isinstance(values, list) else [values]
                other = change(operator, key, listed)
                block.setdefault(operator, {})[key] = values if other == listed else other
        return {**statement, "Condition": block} if block else statement

    return _each_statement(case, changed)


def _dates_as_text(case: Case) -> Case:
    keys = {name: [ISO.get(value, value) for value in values] for name, values in case.keys.items()}
    return replace(
        _each_condition(case, lambda operator, key, values: [ISO.get(value, value) for value in values]), keys=keys
    )


def _address(case: Case) -> Any:
    return ip_address(case.keys["aws:SourceIp"][0])


def _halves_of_everything(case: Case) -> Case:
    def change(operator: str, key: str, values: Values) -> Values:
        return [
            half for value in values for half in (["0.0.0.0/1", "128.0.0.0/1"] if value == "0.0.0.0/0" else [value])
        ]

    return _each_condition(case, change)


def _own_family(case: Case) -> Case:
    def change(operator: str, key: str, values: Values) -> Values:
        if "ipaddress" not in operator.lower():
            return values
        own = [value for value in values if ip_network(value, strict=False).version == _address(case).version]
        return own or [ELSEWHERE[_address(case).version]]

    return _each_condition(case, change)


def _nulls_as_texts(case: Case) -> Case:
    known = {**principal_of(case).keys, **{name.lower(): values for name, values in case.keys.items()}}

    def change(operator: str, key: str, values: Values) -> Values:
        if not NEGATED_TEXT.search(operator):
            return values
        return [value if _filled(value) else "arn:aws:no:such:value:x" for value in values]

    def _fills(variable: Variable) -> bool:
        return len(known.get(variable.key, ())) == 1 and variable.key not in MULTIVALUED

    def _filled(value: str) -> bool:
        variables = [token for token in read_tokens(value, variables=True, wild=True) if isinstance(token, Variable)]
        return all(variable.default is not None or _fills(variable) for variable in variables)

    return _each_condition(case, change)


def _no_arns(case: Case) -> Case:
    def change(operator: str, key: str, values: Values) -> Values:
        if not operator.rpartition(":")[2].lower().startswith("arnnot"):
            return values
        return [value if value.count(":") >= 5 else "arn:aws:no:such:value:x" for value in values]

    return _each_condition(case, change)


def _accounts_in_arns(case: Case) -> Case:
    return _each_condition(
        case,
        lambda operator, key, values: [
            value.replace("${aws:PrincipalAccount}", OURS)
            if "arn" in operator.lower() and "PrincipalAccount" in str(case.keys)
            else value
            for value in values
        ],
    )


def _any_if_exists(case: Case) -> Case:
    known = {*principal_of(case).keys, *(name.lower() for name in case.keys)}

    def changed(statement: Json) -> Json:
        block: Json = {}
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                missing = (
                    operator.startswith("ForAnyValue:") and operator.endswith("IfExists") and key.lower() not in known
                )
                name = operator.replace("ForAnyValue", "ForAllValues") if missing else operator
                block.setdefault(name, {})[key] = values
        return {**statement, "Condition": block} if block else statement

    return _each_statement(case, changed)


def _root_with_policies(case: Case) -> Case:
    if not case.principal.endswith(":root"):
        return case
    return replace(case, identity=[{"Version": "2012-10-17", "Statement": [EVERYTHING]}])


def _principals(case: Case, change: Callable[[Json], Json]) -> Case:
    if case.policy is None:
        return case
    return replace(
        case, policy={**case.policy, "Statement": [change(statement) for statement in case.policy["Statement"]]}
    )


def _not_principal_without_accounts(case: Case) -> Case:
    def change(statement: Json) -> Json:
        element = statement.get("NotPrincipal")
        if not isinstance(element, dict) or case.principal.endswith(":root"):
            return statement
        listed = element.get("AWS", [])
        listed = listed if isinstance(listed, list) else [listed]
        named = [each for each in listed if not re.fullmatch(r"\d{12}|.*:root", each)]
        return {**statement, "NotPrincipal": {**element, "AWS": named or [NOBODY]}}

    return _principals(case, change)


def _session_allows(case: Case) -> Case:
    if case.session is None or case.policy is None or case.account != OURS:
        return case
    return replace(case, session={**case.session, "Statement": [*case.session["Statement"], EVERYTHING]})


DIFFERENCES = (
    Row(
        "epoch",
        "a date in seconds since the epoch is compared with an ISO one as the moment that it is",
        _dates_as_text,
    ),
    Row("zero prefix", "0.0.0.0/0 is every IPv4 address", _halves_of_everything),
    Row(
        "other family",
        "an IPv6 address is in no IPv4 block, so NotIpAddress holds, and other blocks are still looked at",
        _own_family,
    ),
    Row(
        "null variable",
        "a negated operator holds against a variable without a value (IAM user guide says so)",
        _nulls_as_texts,
    ),
    Row("no ARN", "a negated ARN operator holds against a value that is no ARN", _no_arns),
    Row("account in ARN", "a variable may stand for any part of an ARN in a condition", _accounts_in_arns),
    Row("any, if it exists", "IfExists holds for a key that is missing, with ForAnyValue as well", _any_if_exists),
    Row("root", "the root of an account needs no policy of its own", _root_with_policies),
    Row(
        "NotPrincipal account",
        "an account in NotPrincipal exempts its root, not everyone in it",
        _not_principal_without_accounts,
    ),
    Row(
        "session named",
        "what a resource's policy grants to the session itself is not capped by its session policy",
        _session_allows,
    ),
)
