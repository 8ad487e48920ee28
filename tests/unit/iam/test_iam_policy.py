"""Policy documents: which are read, how the others are refused, and what their statements cover."""

import json
from typing import Any

import pytest

from penstock.services.iam import policy as words
from penstock.services.iam import principals
from penstock.services.iam.pattern import Values
from penstock.services.iam.policy import TEXT_BYTES_MAX, MalformedPolicy, Policy, PolicyKind, parse_policy
from penstock.services.iam.principals import Named

IDENTITY, RESOURCE, TRUST = PolicyKind
STREAM = "arn:aws:kinesis:us-east-1:111111111111:stream/orders"
PLAIN: dict[str, Any] = {"Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": STREAM}
EXTRA: dict[PolicyKind, dict[str, Any]] = {
    IDENTITY: {},
    RESOURCE: {"Principal": "*"},
    TRUST: {"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
}
GONE = object()  # as a value: the element is left out


def document(kind: PolicyKind = IDENTITY, version: str | None = "2012-10-17", **changed: Any) -> str:
    statement = {**PLAIN, **EXTRA[kind], **({"Resource": GONE} if kind is TRUST else {}), **changed}
    whole = {"Statement": {name: value for name, value in statement.items() if value is not GONE}}
    return json.dumps(whole if version is None else {"Version": version, **whole})


def read(text: str, kind: PolicyKind = IDENTITY) -> Policy:
    return parse_policy(text, kind)


def refusal(text: str, kind: PolicyKind = IDENTITY) -> str:
    with pytest.raises(MalformedPolicy) as caught:
        parse_policy(text, kind)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (IDENTITY, {}),
        (IDENTITY, {"Sid": "One1", "Effect": "Deny"}),
        (IDENTITY, {"Action": ["*", "*:*", "kinesis:*", "kinesis:Put?ecord", "iam:passrole", "aws-marketplace:*"]}),
        (IDENTITY, {"Action": GONE, "NotAction": "kinesis:*", "Resource": GONE, "NotResource": ["*"]}),
        (IDENTITY, {"Resource": ["*", "arn:aws:kinesis:*:*:*", "arn:aws:s3:::b/${aws:username}/*", "arn:aws:kinesis"]}),
        (IDENTITY, {"Condition": {}}),
        (IDENTITY, {"Condition": {"Bool": {"aws:SecureTransport": True}, "NumericLessThan": {"x:y": [1, 2.5]}}}),
        (RESOURCE, {}),
        (RESOURCE, {"Sid": "any text, here"}),
        (RESOURCE, {"Principal": {"AWS": ["111111111111", "*"], "Service": "a.amazonaws.com", "Federated": "x"}}),
        (RESOURCE, {"Principal": GONE, "NotPrincipal": {"AWS": "111111111111"}, "Effect": "Deny"}),
        (TRUST, {}),
        (TRUST, {"Action": ["sts:AssumeRole", "sts:TagSession", "*"]}),
    ],
)  # fmt: skip
def test_parse_when_a_document_is_well_formed_then_it_is_read(kind: PolicyKind, changed: dict[str, Any]) -> None:
    assert len(read(document(kind, **changed), kind).statements) == 1


def test_parse_when_the_outer_parts_vary_then_it_is_read() -> None:
    two = read(json.dumps({"Version": "2012-10-17", "Id": "x", "Statement": [PLAIN, {**PLAIN, "Effect": "Deny"}]}))
    assert [statement.allows for statement in two.statements] == [True, False]
    assert read(document(RESOURCE, version=None), RESOURCE).version == "2008-10-17"
    assert read(document(RESOURCE, version="2008-10-17"), RESOURCE).kind is RESOURCE


@pytest.mark.parametrize(
    ("kind", "changed", "text"),
    [
        (IDENTITY, {"Effect": "allow"}, words.SYNTAX),
        (IDENTITY, {"Effect": GONE}, words.SYNTAX),
        (IDENTITY, {"Sid": 1}, words.SYNTAX),
        (IDENTITY, {"Sid": "a b"}, words.BAD_SID),
        (IDENTITY, {"Extra": 1}, words.SYNTAX),
        (IDENTITY, {"Principal": "*"}, "Policy document should not specify a principal."),
        (IDENTITY, {"Action": GONE}, "Policy statement must contain actions."),
        (IDENTITY, {"Action": []}, "Policy statement must contain actions."),
        (IDENTITY, {"NotAction": "kinesis:*"}, words.SYNTAX),
        (IDENTITY, {"Action": 1}, words.SYNTAX),
        (IDENTITY, {"Action": ""}, words.SYNTAX),
        (IDENTITY, {"Action": "PutRecord"}, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        (IDENTITY, {"Action": "kin*:PutRecord"}, "Vendor kin* is not valid"),
        (IDENTITY, {"Action": "kinesis:Put Record"}, words.SYNTAX),
        (IDENTITY, {"Action": "kinesis:"}, words.SYNTAX),
        (IDENTITY, {"Resource": GONE}, "Policy statement must contain resources."),
        (IDENTITY, {"Resource": []}, "Policy statement must contain resources."),
        (IDENTITY, {"NotResource": "*"}, words.SYNTAX),
        (IDENTITY, {"Resource": "stream/x"}, 'Resource stream/x must be in ARN format or "*".'),
        (IDENTITY, {"Condition": []}, words.SYNTAX),
        (IDENTITY, {"Condition": {"StringEquals": "x"}}, words.SYNTAX),
        (IDENTITY, {"Condition": {"StringEqual": {"aws:username": "x"}}}, words.SYNTAX),
        (IDENTITY, {"Condition": {"StringEquals": {"username": "x"}}}, words.NO_VENDOR),
        (IDENTITY, {"Condition": {"StringEquals": {"aws:username": {"x": 1}}}}, words.SYNTAX),
        (IDENTITY, {"Condition": {"StringEquals": {"aws:username": [None]}}}, words.SYNTAX),
        (RESOURCE, {"Principal": GONE}, words.NO_PRINCIPAL),
        (RESOURCE, {"NotPrincipal": "*"}, words.SYNTAX),
        (RESOURCE, {"Principal": GONE, "NotPrincipal": "*"}, words.NOT_PRINCIPAL_ALLOWED),
        (RESOURCE, {"Principal": "111111111111"}, words.SYNTAX),
        (RESOURCE, {"Principal": {}}, words.SYNTAX),
        (RESOURCE, {"Principal": {"AWS": []}}, words.SYNTAX),
        (RESOURCE, {"Principal": {"Gcp": "x"}}, words.SYNTAX),
        (RESOURCE, {"Principal": {"AWS": "arn:aws:iam::1:user/*"}}, 'Invalid principal in policy: "AWS":"arn:aws:iam::1:user/*"'),
        (RESOURCE, {"Principal": {"AWS": "11111111111"}}, 'Invalid principal in policy: "AWS":"11111111111"'),
        (TRUST, {"Principal": {"AWS": ["*", "arn:aws:iam::111111111111:group/g"]}}, 'Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:group/g"'),
        (RESOURCE, {"Resource": GONE}, words.NO_RESOURCES),
        (TRUST, {"Resource": "*"}, "Has prohibited field Resource"),
        (TRUST, {"Principal": GONE}, words.NO_PRINCIPAL),
        (TRUST, {"Action": "kinesis:PutRecord"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        (TRUST, {"Principal": GONE, "NotPrincipal": {"AWS": "1"}, "Effect": "Deny"}, words.NOT_PRINCIPAL_ALLOWED),
        (TRUST, {"Sid": "a-b"}, words.BAD_SID),
    ],
)  # fmt: skip
def test_parse_when_a_statement_is_malformed_then_iam_says_why(
    kind: PolicyKind, changed: dict[str, Any], text: str
) -> None:
    assert refusal(document(kind, **changed), kind) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", words.INVALID_JSON),
        ("{", words.INVALID_JSON),
        ("[" * 20_000, words.INVALID_JSON),
        ('{"a":' * 4_000, words.INVALID_JSON),
        ('{"Statement": ' + "9" * 20_000 + "}", words.INVALID_JSON),
        ('{"Statement": NaN}', words.INVALID_JSON),
        ("null", words.SYNTAX),
        ("[]", words.SYNTAX),
        ('{"Version": "2012-10-17"}', words.SYNTAX),
        ('{"Version": "2012-10-17", "Statement": []}', words.SYNTAX),
        ('{"Version": "2012-10-17", "Statement": [1]}', words.SYNTAX),
        ('{"Version": "2012-10-18", "Statement": []}', words.SYNTAX),
        ('{"Version": {}, "Statement": []}', words.SYNTAX),
        ('{"Version": "2012-10-17", "Id": 1, "Statement": []}', words.SYNTAX),
        ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', words.SYNTAX),
        (document(version="2008-10-17"), words.OLD_VERSION),
        (document(version=None), words.OLD_VERSION),
        (json.dumps({"Version": "2012-10-17", "Statement": [{**PLAIN, "Sid": "a"}, {**PLAIN, "Sid": "a"}]}), words.SAME_SIDS),
        (" " * (TEXT_BYTES_MAX + 1), "The policy is larger than 20480 bytes."),
        ('"' + "\u20ac" * 10_000 + '"', "The policy is larger than 20480 bytes."),
        ('"\ud800"', words.SYNTAX),
    ],
)  # fmt: skip
def test_parse_when_a_document_is_hostile_then_it_is_refused(text: str, said: str) -> None:
    assert refusal(text) == said


KEYS: dict[str, Values] = {"aws:username": ("ana",), "aws:securetransport": ("true",)}


def covers(action: str, resource: str, version: str = "2012-10-17", **changed: Any) -> bool:
    kind = IDENTITY if version == "2012-10-17" else RESOURCE
    statement = read(document(kind, version, **changed), kind).statements[0]
    return statement.covers(action, resource, lambda key: KEYS.get(key, ()))


@pytest.mark.parametrize(
    ("changed", "action", "resource", "expected"),
    [
        ({}, "kinesis:PutRecord", STREAM, True),
        ({"Action": "KINESIS:putRECORD"}, "kinesis:PutRecord", STREAM, True),
        ({"Action": "kinesis:Put*"}, "kinesis:PutRecords", STREAM, True),
        ({"Action": "kinesis:Put*"}, "kinesis:GetRecords", STREAM, False),
        ({"Action": "*"}, "s3:GetObject", STREAM, True),
        ({"Action": GONE, "NotAction": ["kinesis:Put*", "s3:*"]}, "kinesis:PutRecord", STREAM, False),
        ({"Action": GONE, "NotAction": ["kinesis:Put*", "s3:*"]}, "kinesis:GetRecords", STREAM, True),
        ({}, "kinesis:PutRecord", STREAM + "s", False),
        ({}, "kinesis:PutRecord", STREAM.upper(), False),
        ({"Resource": "arn:aws:kinesis:*:stream/orders"}, "kinesis:PutRecord", STREAM, True),
        ({"Resource": "arn:aws:kinesis"}, "kinesis:PutRecord", STREAM, True),
        ({"Resource": "arn:aws:kinesis:us-east-1:111111111111"}, "kinesis:PutRecord", STREAM, True),
        ({"Resource": "arn:aws:kinesis:us-east-2:111111111111"}, "kinesis:PutRecord", STREAM, False),
        ({"Resource": STREAM + "*"}, "kinesis:PutRecord", STREAM + "/consumer/c:1", True),
        ({"Resource": STREAM}, "kinesis:PutRecord", "*", False),
        ({"Resource": "*"}, "kinesis:PutRecord", "*", True),
        ({"Resource": GONE, "NotResource": STREAM}, "kinesis:PutRecord", STREAM, False),
        ({"Resource": GONE, "NotResource": STREAM}, "kinesis:PutRecord", "*", True),
        ({"Resource": "arn:aws:kinesis:*:*:stream/${aws:username}"}, "kinesis:PutRecord", "arn:aws:kinesis:r:1:stream/ana", True),
        ({"Resource": "arn:aws:kinesis:*:*:stream/${aws:nothing}"}, "kinesis:PutRecord", "arn:aws:kinesis:r:1:stream/", False),
        ({"Resource": GONE, "NotResource": "arn:aws:kinesis:*:*:stream/${aws:nothing}"}, "kinesis:PutRecord", STREAM, False),
        ({"Resource": GONE, "NotResource": "arn:aws:kinesis:*:*:stream/${aws:nothing}"}, "s3:x", "arn:aws:s3:::b", False),
        ({"Condition": {"Bool": {"aws:SecureTransport": True}}}, "kinesis:PutRecord", STREAM, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "false"}}}, "kinesis:PutRecord", STREAM, False),
        ({"Condition": {"Bool": {"aws:SecureTransport": True}, "Null": {"aws:username": True}}}, "kinesis:PutRecord", STREAM, False),
    ],
)  # fmt: skip
def test_statement_when_a_request_is_like_it_then_it_covers_it(
    changed: dict[str, Any], action: str, resource: str, expected: bool
) -> None:
    assert covers(action, resource, **changed) is expected


def test_variables_when_the_version_is_old_then_they_are_letters() -> None:
    where = "arn:aws:kinesis:r:1:stream/${aws:username}"
    assert covers("kinesis:PutRecord", where, "2008-10-17", Resource=where)
    assert not covers("kinesis:PutRecord", "arn:aws:kinesis:r:1:stream/ana", "2008-10-17", Resource=where)
    condition = {"StringEquals": {"aws:username": "${aws:username}"}}
    assert not covers("kinesis:PutRecord", STREAM, "2008-10-17", Condition=condition)
    assert covers("kinesis:PutRecord", STREAM, "2012-10-17", Condition=condition)


@pytest.mark.parametrize(
    ("listed", "bounded", "expected"),
    [
        (["arn:aws:iam::111111111111:role/r"], False, Named.NOT),
        (["arn:aws:sts::111111111111:assumed-role/r/s"], False, Named.NOT),
        (["111111111111"], False, Named.ITSELF),
        (["arn:aws:iam::111111111111:role/x"], False, Named.ITSELF),
        (["*"], False, Named.NOT),
        (["arn:aws:iam::111111111111:role/r"], True, Named.ITSELF),  # a boundary undoes the exemption
    ],
)
def test_not_principal_when_it_lists_a_principal_then_it_is_exempt(
    listed: list[str], bounded: bool, expected: Named
) -> None:
    text = document(RESOURCE, Principal=GONE, NotPrincipal={"AWS": listed}, Effect="Deny")
    statement = read(text, RESOURCE).statements[0]
    assert (
        statement.names(principals.role_session("arn:aws:iam::111111111111:role/r", "s"), bounded=bounded) is expected
    )


def test_parse_when_what_is_refused_holds_half_a_character_then_it_can_still_be_told() -> None:
    said = refusal(document(TRUST, Principal={"AWS": "\ud800"}), TRUST)
    assert said.encode() == words.BAD_PRINCIPAL.format(principal="?").encode()
