"""Resource policies: what a document must be before it is attached to a stream or consumer.

Theory.  AWS checks a policy's form when it is put: that it is JSON without duplicate keys, that only the policy language's elements are
used and each has its type, that principals and actions can exist.  What it allows is decided when a request is made.
Rules of this file:
  1. Pure.  The text is bounded before it is parsed, so that no document costs more than its length.
  2. A document is refused for its first problem, named by the element that has it.
# UNVERIFIED: how far AWS checks at put; the elements and their types are the policy language's (IAM user guide)
"""

import json
import re
from collections.abc import Collection
from typing import Any, Final, NoReturn

from penstock.core.errors import Error
from penstock.core.limits import POLICY_MAX_BYTES

VERSIONS: Final = ("2012-10-17", "2008-10-17")
_DOCUMENT: Final = {"Version", "Id", "Statement"}
_STATEMENT: Final = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
}
_ACTION = re.compile(r"kinesis:[A-Za-z*?]+", re.ASCII | re.IGNORECASE)
_RESOURCE = re.compile(r"\*|arn:[a-z*-]+:kinesis:[^:\s]*:[^:\s]*:\S+", re.ASCII)
_PRINCIPALS: Final = {
    "AWS": re.compile(
        r"\*|\d{12}|A[A-Z0-9]{15,127}"
        r"|arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(user|role|assumed-role|federated-user)/[\w+=,.@/-]+)",
        re.ASCII,
    ),
    "Service": re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?", re.ASCII),
    "Federated": re.compile(r"\S+"),
    "CanonicalUser": re.compile(r"[0-9a-f]{64}", re.ASCII),
}


def check_policy(text: str) -> None:
    """Return if a text can be attached as a resource policy.  Raises POLICY_TOO_LARGE, POLICY_MALFORMED."""
    if len(text) > POLICY_MAX_BYTES or len(text.encode()) > POLICY_MAX_BYTES:
        raise Error.POLICY_TOO_LARGE(limit_bytes=POLICY_MAX_BYTES)
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        # Escapes can hide halves of characters, which no answer can carry.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # of no JSON, of numbers without end, of nesting without end
        _refuse("it is not JSON")
    _check_keys(document, _DOCUMENT, "the policy")
    if document.get("Version", VERSIONS[-1]) not in VERSIONS:
        _refuse(f"Version must be {' or '.join(VERSIONS)}")
    _check_text(document.get("Id", ""), "Id")
    statements = document.get("Statement")
    if not isinstance(statements, list):
        statements = [statements]
    if not statements:
        _refuse("Statement is empty")
    for statement in statements:
        _check_statement(statement)


def _check_statement(statement: Any) -> None:
    _check_keys(statement, _STATEMENT, "Statement")
    _check_text(statement.get("Sid", ""), "Sid")
    if statement.get("Effect") not in ("Allow", "Deny"):
        _refuse("Effect must be Allow or Deny")
    name = _one_of(statement, "Principal", "NotPrincipal")
    if name == "NotPrincipal" and statement["Effect"] == "Allow":
        _refuse("NotPrincipal can only be used with Effect Deny")
    _check_principal(statement[name], name)
    name = _one_of(statement, "Action", "NotAction")
    _check_texts(statement[name], name, _ACTION)
    name = _one_of(statement, "Resource", "NotResource")
    _check_texts(statement[name], name, _RESOURCE)
    _check_condition(statement.get("Condition", {}))


def _check_principal(principal: Any, name: str) -> None:
    if principal == "*":
        return
    _check_keys(principal, _PRINCIPALS.keys(), name)
    if not principal:
        _refuse(f"{name} is empty")
    for kind, values in principal.items():
        _check_texts(values, f"{name}.{kind}", _PRINCIPALS[kind])


def _check_condition(condition: Any) -> None:
    if not isinstance(condition, dict):
        _refuse("Condition must be an object")
    for operator, keys in condition.items():
        if not isinstance(keys, dict) or not keys:
            _refuse(f"Condition.{_shown(operator)} must be an object of keys")
        for values in keys.values():
            listed = values if isinstance(values, list) else [values]
            if not all(isinstance(value, str | int | float) for value in listed):
                _refuse(f"Condition.{_shown(operator)} must hold texts, numbers or booleans")


def _one_of(statement: dict[str, Any], *names: str) -> str:
    """Which of two elements a statement has; it must have exactly one."""
    found = [name for name in names if name in statement]
    if len(found) != 1:
        _refuse(f"a Statement must have either {' or '.join(names)}")
    return found[0]


def _check_texts(values: Any, name: str, form: re.Pattern[str]) -> None:
    listed = values if isinstance(values, list) else [values]
    if not listed:
        _refuse(f"{name} is empty")
    for value in listed:
        _check_text(value, name)
        if form.fullmatch(value) is None:
            _refuse(f"{name} {_shown(value)} is not valid")


def _check_text(value: Any, name: str) -> None:
    if not isinstance(value, str):
        _refuse(f"{name} must be a text")


def _check_keys(value: Any, known: Collection[str], name: str) -> None:
    if not isinstance(value, dict):
        _refuse(f"{name} must be an object")
    for key in value:
        if key not in known:
            _refuse(f"{name} has an unknown element {_shown(key)}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("an element is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity, which are Python's, not JSON's


def _shown(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "..."


def _refuse(problem: str) -> NoReturn:
    raise Error.POLICY_MALFORMED(problem=problem)
