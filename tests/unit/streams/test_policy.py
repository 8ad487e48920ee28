"""Resource policies: which documents can be attached, and that hostile ones are refused like any other."""

import json
from typing import Any

import pytest

from penstock.core.errors import ServiceError
from penstock.core.limits import POLICY_MAX_BYTES
from penstock.services.streams.policy import check_policy

ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"
STATEMENT: dict[str, Any] = {
    "Sid": "one",
    "Effect": "Allow",
    "Principal": {"AWS": "111122223333"},
    "Action": ["kinesis:GetRecords", "kinesis:Describe*"],
    "Resource": ARN,
}
GONE = object()  # as a value: the element is left out


def policy(**changed: Any) -> str:
    """A policy with one statement, changed."""
    statement = {key: value for key, value in {**STATEMENT, **changed}.items() if value is not GONE}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def refusal(text: str) -> tuple[str, str | None]:
    with pytest.raises(ServiceError) as caught:
        check_policy(text)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"Sid": GONE},
        {"Effect": "Deny"},
        {"Principal": "*"},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": ["111122223333", "arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:role/x/y"]}},
        {"Principal": {"AWS": "arn:aws-cn:sts::111122223333:assumed-role/r/s@x"}},
        {"Principal": {"AWS": "AIDACKCEVSQ6C2EXAMPLE"}},
        {"Principal": {"Service": "lambda.amazonaws.com"}},
        {"Principal": GONE, "NotPrincipal": "*", "Effect": "Deny"},
        {"Action": "kinesis:*"},
        {"Action": "Kinesis:putrecord"},
        {"Action": GONE, "NotAction": "kinesis:DeleteStream"},
        {"Resource": "*"},
        {"Resource": ["arn:aws:kinesis:*:123456789012:stream/*", ARN + "/consumer/c:1"]},
        {"Condition": {"StringEquals": {"aws:SourceAccount": ["1", "2"]}, "Bool": {"aws:SecureTransport": True}}},
        {"Condition": {"NumericLessThan": {"aws:x": 3.5}}},
    ],
)  # fmt: skip
def test_check_when_a_policy_is_well_formed_then_it_passes(changed: dict[str, Any]) -> None:
    check_policy(policy(**changed))


def test_check_when_the_outer_parts_vary_then_it_passes() -> None:
    check_policy(json.dumps({"Statement": [STATEMENT, STATEMENT]}))
    check_policy(json.dumps({"Version": "2008-10-17", "Id": "x", "Statement": [STATEMENT]}))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"Effect": "allow"}, "Effect must be Allow or Deny"),
        ({"Effect": GONE}, "Effect must be Allow or Deny"),
        ({"Effect": ["Allow"]}, "Effect must be Allow or Deny"),
        ({"Sid": 1}, "Sid must be a text"),
        ({"Principal": GONE}, "a Statement must have either Principal or NotPrincipal"),
        ({"NotPrincipal": "*"}, "a Statement must have either Principal or NotPrincipal"),
        ({"Principal": GONE, "NotPrincipal": "*"}, "NotPrincipal can only be used with Effect Deny"),
        ({"Principal": "111122223333"}, "Principal must be an object"),
        ({"Principal": {}}, "Principal is empty"),
        ({"Principal": {"AWS": []}}, "Principal.AWS is empty"),
        ({"Principal": {"AWS": "11112222333"}}, "Principal.AWS 11112222333 is not valid"),
        ({"Principal": {"AWS": "arn:aws:iam::111122223333:group/g"}}, "Principal.AWS arn:aws:iam::111122223333:group/g is not valid"),
        ({"Principal": {"AWS": 111122223333}}, "Principal.AWS must be a text"),
        ({"Principal": {"Gcp": "x"}}, "Principal has an unknown element Gcp"),
        ({"Action": GONE}, "a Statement must have either Action or NotAction"),
        ({"Action": []}, "Action is empty"),
        ({"Action": "s3:GetObject"}, "Action s3:GetObject is not valid"),
        ({"Action": "*"}, "Action * is not valid"),
        ({"Action": [["kinesis:GetRecords"]]}, "Action must be a text"),
        ({"Resource": GONE}, "a Statement must have either Resource or NotResource"),
        ({"Resource": "stream/a"}, "Resource stream/a is not valid"),
        ({"Resource": None}, "Resource must be a text"),
        ({"Condition": []}, "Condition must be an object"),
        ({"Condition": {"StringEquals": "x"}}, "Condition.StringEquals must be an object of keys"),
        ({"Condition": {"StringEquals": {}}}, "Condition.StringEquals must be an object of keys"),
        ({"Condition": {"StringEquals": {"k": {"deep": 1}}}}, "Condition.StringEquals must hold texts, numbers or booleans"),
        ({"Condition": {"Null": {"k": [None]}}}, "Condition.Null must hold texts, numbers or booleans"),
        ({"Extra": 1}, "Statement has an unknown element Extra"),
        ({"x" * 100: 1}, "Statement has an unknown element " + "x" * 80 + "..."),
    ],
)  # fmt: skip
def test_check_when_a_statement_is_malformed_then_its_first_problem_is_named(
    changed: dict[str, Any], problem: str
) -> None:
    assert refusal(policy(**changed)) == ("InvalidArgumentException", f"The policy is not valid: {problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[" * 20_000, "it is not JSON"),
        ('{"a":' * 4_000, "it is not JSON"),
        ('{"Statement": ' + "9" * 20_000 + "}", "it is not JSON"),
        ('{"Statement": NaN}', "it is not JSON"),
        ('{"\\ud800": 1}', "it is not JSON"),
        ('{"Id": "\\udfff", "Statement": []}', "it is not JSON"),
        ("null", "the policy must be an object"),
        ("[]", "the policy must be an object"),
        ('"{}"', "the policy must be an object"),
        ("{}", "Statement must be an object"),
        ('{"Statement": []}', "Statement is empty"),
        ('{"Statement": [1]}', "Statement must be an object"),
        ('{"Version": "2012-10-18", "Statement": []}', "Version must be 2012-10-17 or 2008-10-17"),
        ('{"Version": {}, "Statement": []}', "Version must be 2012-10-17 or 2008-10-17"),
        ('{"Version": ["2012-10-17"], "Statement": []}', "Version must be 2012-10-17 or 2008-10-17"),
        ('{"Id": 1, "Statement": []}', "Id must be a text"),
        ('{"Statement": [], "Statement": []}', "an element is given twice"),
        ('{"Statement": {"Effect": "Deny", "Effect": "Allow"}}', "an element is given twice"),
        ('{"statement": []}', "the policy has an unknown element statement"),
    ],
)
def test_check_when_a_document_is_hostile_then_it_is_refused(text: str, problem: str) -> None:
    assert refusal(text) == ("InvalidArgumentException", f"The policy is not valid: {problem}")


def test_check_when_a_policy_is_as_large_as_allowed_then_it_passes_and_a_byte_more_is_refused() -> None:
    text = policy()
    check_policy(text + " " * (POLICY_MAX_BYTES - len(text)))
    code, message = refusal(text + " " * (POLICY_MAX_BYTES - len(text) + 1))
    assert (code, message) == ("InvalidArgumentException", "The policy is larger than 20480 bytes.")
    wide = policy(Sid="\u20ac").replace("\\u20ac", "\u20ac")
    assert len(wide.encode()) == len(wide) + 2
    assert refusal(wide + " " * (POLICY_MAX_BYTES - len(wide)))[1] == message
