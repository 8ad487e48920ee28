"""Lambda with `--auth enforced`: functions by their ARNs and qualifiers, policies of functions, and roles that are passed."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from function_packages import ARN, QUIET, made, package

from penstock.testing import PenstockServer

ROLES: Final = "arn:aws:iam::123456789012:role/"
OTHER: Final = "999999999999"
TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
STATEMENTS: Final = [
    {"Effect": "Allow", "Action": "lambda:*", "Resource": [ARN, ARN + ":1", ARN + "-new", ARN + "-tagged"]},
    {"Effect": "Deny", "Action": "lambda:TagResource", "Resource": ARN + "-tagged"},
    {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": ROLES + "r",
        "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
    },
    {"Effect": "Allow", "Action": "lambda:CreateEventSourceMapping", "Resource": "*", "Condition": {"StringEquals": {"lambda:FunctionArn": ARN}}},
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    with PenstockServer(auth="enforced") as started:
        iam, root = started.client("iam"), started.client("lambda", config=QUIET)
        for name in ("r", "admin"):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
        made(root)
        root.publish_version(FunctionName="f")
        root.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
        iam.create_user(UserName="worker")
        document = json.dumps({"Version": "2012-10-17", "Statement": STATEMENTS})
        iam.put_user_policy(UserName="worker", PolicyName="own", PolicyDocument=document)
        yield started


@pytest.fixture(scope="module")
def worker(server: PenstockServer) -> Any:
    key = server.client("iam").create_access_key(UserName="worker")["AccessKey"]
    return server.client(
        "lambda", config=QUIET, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )


@pytest.fixture
def stranger(server: PenstockServer) -> Any:
    key_id, secret = server.other_account(OTHER)
    return server.client("lambda", config=QUIET, aws_access_key_id=key_id, aws_secret_access_key=secret)


def denied(call: Callable[..., object], **how: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**how)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException", caught.value
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(caught.value.response["Error"]["Message"])


def test_a_function_may_be_used_as_a_policy_says_and_no_other(worker: Any) -> None:
    assert worker.get_function(FunctionName="f")["Configuration"]["FunctionName"] == "f"
    assert worker.get_function(FunctionName="f:1")["Configuration"]["Version"] == "1"
    assert worker.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204
    for name in ("g", "f:live"):
        told = denied(worker.invoke, FunctionName=name)
        who = "User: arn:aws:iam::123456789012:user/worker is not authorized to perform: lambda:InvokeFunction on resource: "
        assert told.startswith(who + ARN[:-1] + name)
    assert "lambda:ListFunctions" in denied(worker.list_functions)
    assert "lambda:GetFunction" in denied(worker.get_function, FunctionName="none")


def test_a_role_is_passed_only_by_whom_a_policy_lets(worker: Any) -> None:
    made(worker, "f-new", Role=ROLES + "r")
    assert "iam:PassRole on resource: " + ROLES + "admin" in denied(
        lambda **_: made(worker, "f-new", Role=ROLES + "admin")
    )
    assert "iam:PassRole" in denied(worker.update_function_configuration, FunctionName="f", Role=ROLES + "admin")
    worker.update_function_configuration(FunctionName="f", Timeout=5)
    assert "lambda:TagResource" in denied(lambda **_: made(worker, "f-tagged", Role=ROLES + "r", Tags={"a": "b"}))
    made(worker, "f-tagged", Role=ROLES + "r")


def test_another_account_needs_the_functions_own_policy(server: PenstockServer, stranger: Any) -> None:
    owner = server.client("lambda", config=QUIET)
    assert "lambda:InvokeFunction" in denied(stranger.invoke, FunctionName=ARN, InvocationType="DryRun")
    owner.add_permission(FunctionName="f", StatementId="o", Action="lambda:InvokeFunction", Principal=OTHER)
    assert stranger.invoke(FunctionName=ARN, InvocationType="DryRun")["StatusCode"] == 204
    denied(stranger.invoke, FunctionName=ARN + ":live", InvocationType="DryRun")
    denied(stranger.get_function, FunctionName=ARN)
    owner.add_permission(
        FunctionName="f", StatementId="o", Action="lambda:InvokeFunction", Principal=OTHER, Qualifier="live"
    )
    assert stranger.invoke(FunctionName=ARN + ":live", InvocationType="DryRun")["StatusCode"] == 204
    owner.remove_permission(FunctionName="f", StatementId="o")
    denied(stranger.invoke, FunctionName=ARN, InvocationType="DryRun")


def test_a_mapping_may_be_made_for_the_function_that_a_condition_names(worker: Any) -> None:
    stream = "arn:aws:kinesis:us-east-1:123456789012:stream/none"
    how = {"EventSourceArn": stream, "StartingPosition": "LATEST"}
    assert "lambda:CreateEventSourceMapping" in denied(worker.create_event_source_mapping, FunctionName="g", **how)
    with pytest.raises(ClientError) as caught:
        worker.create_event_source_mapping(FunctionName="f", **how)
    assert caught.value.response["Error"]["Code"] != "AccessDeniedException"
    assert "event-source-mapping:" in denied(
        worker.delete_event_source_mapping, UUID="12345678-1234-1234-1234-123456789012"
    )


def test_credentials_that_are_wrong_are_told_as_rest_services_tell_it(server: PenstockServer) -> None:
    client = server.client("lambda", config=QUIET, aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
    with pytest.raises(ClientError) as caught:
        client.list_functions()
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_link_to_code_works_without_credentials(worker: Any) -> None:
    import urllib.request

    with urllib.request.urlopen(worker.get_function(FunctionName="f")["Code"]["Location"]) as answer:
        assert answer.read() == package()
