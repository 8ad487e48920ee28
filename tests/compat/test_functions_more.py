"""Lambda through boto3: aliases, permissions, concurrency, events and invocations."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from function_packages import ARN, QUIET, made, package

from penstock.composition.functions import open_core
from penstock.services.functions.invoking import Invocation, Invoked
from penstock.testing import PenstockServer

Refused = Callable[..., tuple[str, str]]
MISSING = "ResourceNotFoundException"
INVALID = "InvalidParameterValueException"


class Echo:
    """An invoker of the test process: it answers the event, with the version that the directory finds."""

    def __init__(self, server: PenstockServer) -> None:
        self.functions = server._running._services.room.opened(open_core)
        assert self.functions is not None
        self.functions.invoker = self
        self.seen: list[Invocation] = []

    async def invoke(self, invocation: Invocation) -> Invoked:
        self.seen.append(invocation)
        assert self.functions is not None
        found = self.functions.directory.find(invocation.account, invocation.region, invocation.function)
        if b"fail" in invocation.payload:
            return Invoked("id", b'{"errorMessage":"failed"}', "Unhandled", found.version, b"Traceback\n")
        return Invoked("id", invocation.payload, None, found.version, b"START\nEND\n")


@pytest.fixture
def functions(penstock: PenstockServer) -> Any:
    client = penstock.client("lambda", config=QUIET)
    made(client)
    return client


@pytest.fixture
def echo(penstock: PenstockServer, functions: Any) -> Echo:
    return Echo(penstock)


def test_an_alias_stands_for_a_version_until_it_is_given_another(functions: Any, refused: Refused) -> None:
    functions.publish_version(FunctionName="f")
    answer = functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1", Description="d")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (answer["AliasArn"], answer["FunctionVersion"], answer["Description"]) == (ARN + ":live", "1", "d")
    assert functions.get_function_configuration(FunctionName="f", Qualifier="live")["Version"] == "1"
    functions.update_function_configuration(FunctionName="f", Timeout=9)
    functions.publish_version(FunctionName="f")
    changed = functions.update_alias(
        FunctionName="f", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {"1": 0.25}}
    )
    assert (changed["Description"], changed["RoutingConfig"]) == ("d", {"AdditionalVersionWeights": {"1": 0.25}})
    assert functions.update_alias(FunctionName="f", Name="live", Description="e")["RoutingConfig"]
    code, message = refused(functions.delete_function, FunctionName="f", Qualifier="1")
    assert (code, message.endswith("reference it: [live]")) == ("ResourceConflictException", True)
    assert "RoutingConfig" not in functions.update_alias(FunctionName="f", Name="live", RoutingConfig={})
    functions.create_alias(FunctionName="f", Name="beta", FunctionVersion="$LATEST")
    listed = functions.list_aliases(FunctionName="f")["Aliases"]
    assert [row["Name"] for row in listed] == ["beta", "live"]
    assert [row["Name"] for row in functions.list_aliases(FunctionName="f", FunctionVersion="2")["Aliases"]] == ["live"]
    assert functions.delete_alias(FunctionName="f", Name="live")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(functions.get_alias, FunctionName="f", Name="live") == (
        MISSING,
        f"Cannot find alias arn: {ARN}:live",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ({"Name": "7"}, "ValidationException", "Value '7' at 'name' failed to satisfy constraint"),
        ({"FunctionVersion": "9"}, MISSING, f"Function not found: {ARN}:9"),
        ({"RoutingConfig": {"AdditionalVersionWeights": {"9": 0.1}}}, MISSING, f"Function not found: {ARN}:9"),
        ({"RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}}}, INVALID, "already included in routing configuration"),
        ({"RoutingConfig": {"AdditionalVersionWeights": {"9": 1.5}}}, "ValidationException", "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0]"),
        ({"FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}}}, INVALID, "$LATEST is not supported"),
    ],
)  # fmt: skip
def test_an_alias_that_makes_no_sense_is_refused(
    functions: Any, refused: Refused, arguments: dict[str, Any], code: str, text: str
) -> None:
    functions.publish_version(FunctionName="f")
    told, message = refused(
        functions.create_alias, **{"FunctionName": "f", "Name": "a", "FunctionVersion": "1", **arguments}
    )
    assert (told, text in message) == (code, True), message
    assert functions.list_aliases(FunctionName="f")["Aliases"] == []


def test_a_policy_is_made_a_statement_at_a_time(functions: Any, refused: Refused) -> None:
    assert refused(functions.get_policy, FunctionName="f") == (MISSING, "The resource you requested does not exist.")
    answer = functions.add_permission(
        FunctionName="f", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::b", SourceAccount="123456789012",
    )  # fmt: skip
    assert json.loads(answer["Statement"]) == {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": ARN,
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": "123456789012"},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
        },
    }
    functions.add_permission(FunctionName="f", StatementId="other", Action="lambda:*", Principal="999999999999")
    found = functions.get_policy(FunctionName="f")
    policy = json.loads(found["Policy"])
    assert [row["Principal"] for row in policy["Statement"]] == [
        {"Service": "s3.amazonaws.com"},
        {"AWS": "arn:aws:iam::999999999999:root"},
    ]
    again = refused(
        functions.add_permission, FunctionName="f", StatementId="s3", Action="lambda:InvokeFunction", Principal="*"
    )
    assert again[0] == "ResourceConflictException"
    old = refused(functions.remove_permission, FunctionName="f", StatementId="s3", RevisionId="old")
    assert old[0] == "PreconditionFailedException"
    functions.remove_permission(FunctionName="f", StatementId="s3", RevisionId=found["RevisionId"])
    assert refused(functions.remove_permission, FunctionName="f", StatementId="s3") == (
        MISSING,
        "Statement s3 is not found in resource policy.",
    )
    functions.remove_permission(FunctionName="f", StatementId="other")
    assert refused(functions.get_policy, FunctionName="f")[0] == MISSING


@pytest.mark.parametrize("principal", ["somebody", "arn:aws:iam::1:root", "x.example.com", "123"])
def test_a_principal_that_is_none_is_refused(functions: Any, refused: Refused, principal: str) -> None:
    code, message = refused(
        functions.add_permission, FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal=principal
    )
    assert (code, message) == (INVALID, "The provided principal was invalid. Please check the principal and try again.")


def test_policies_are_of_qualifiers_too_but_not_of_latest_and_bounded(functions: Any, refused: Refused) -> None:
    functions.publish_version(FunctionName="f")
    ask = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"}
    functions.add_permission(FunctionName="f", Qualifier="1", **ask)
    assert json.loads(functions.get_policy(FunctionName="f:1")["Policy"])["Statement"][0]["Resource"] == ARN + ":1"
    assert refused(functions.get_policy, FunctionName="f")[0] == MISSING
    assert (
        refused(functions.add_permission, FunctionName="f", Qualifier="$LATEST", **ask)[1]
        == "We currently do not support adding policies for $LATEST."
    )
    long = {"Action": "lambda:InvokeFunction", "Principal": "*", "SourceArn": "arn:aws:s3:::" + "b" * 9000}
    functions.add_permission(FunctionName="f", StatementId="a", **long)
    functions.add_permission(FunctionName="f", StatementId="b", **long)
    assert (
        refused(functions.add_permission, FunctionName="f", StatementId="c", **long)[0]
        == "PolicyLengthExceededException"
    )


def test_reserved_concurrency_leaves_some_for_the_others(functions: Any, refused: Refused) -> None:
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="f")
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=900)
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=800)
    made(functions, "g")
    code, message = refused(functions.put_function_concurrency, FunctionName="g", ReservedConcurrentExecutions=101)
    assert (code, "below its minimum value of [100]" in message) == (INVALID, True)
    assert functions.get_function(FunctionName="f")["Concurrency"] == {"ReservedConcurrentExecutions": 800}
    settings = functions.get_account_settings()
    assert settings["AccountLimit"]["UnreservedConcurrentExecutions"] == 200
    assert settings["AccountUsage"] == {"TotalCodeSize": 2 * len(package()), "FunctionCount": 2}
    functions.delete_function_concurrency(FunctionName="f")
    assert "Concurrency" not in functions.get_function(FunctionName="f")


def test_what_becomes_of_events_is_set_changed_and_forgotten(functions: Any, refused: Refused) -> None:
    text = f"The function {ARN}:$LATEST doesn't have an EventInvokeConfig"
    assert refused(functions.get_function_event_invoke_config, FunctionName="f") == (MISSING, text)
    assert "at least one of" in refused(functions.put_function_event_invoke_config, FunctionName="f")[1]
    where = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:q"}}
    told = functions.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1, DestinationConfig=where)
    assert (told["FunctionArn"], told["MaximumRetryAttempts"]) == (ARN + ":$LATEST", 1)
    assert told["DestinationConfig"] == {"OnSuccess": {}, **where}
    told = functions.update_function_event_invoke_config(FunctionName="f", MaximumEventAgeInSeconds=60)
    assert (told["MaximumRetryAttempts"], told["MaximumEventAgeInSeconds"]) == (1, 60)
    told = functions.put_function_event_invoke_config(FunctionName="f", MaximumEventAgeInSeconds=70)
    assert "MaximumRetryAttempts" not in told
    assert len(functions.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"]) == 1
    functions.delete_function_event_invoke_config(FunctionName="f")
    assert functions.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"] == []


@pytest.mark.parametrize(
    "config",
    [
        {"OnFailure": {"Destination": "arn:aws:events:us-east-1:123456789012:event-bus/b"}},
        {"OnSuccess": {"Destination": "arn:aws:s3:::b"}},
        {"OnFailure": {"Destination": ARN}},
    ],
)
def test_a_destination_that_cannot_be_reached_is_refused(
    functions: Any, refused: Refused, config: dict[str, Any]
) -> None:
    assert refused(functions.put_function_event_invoke_config, FunctionName="f", DestinationConfig=config)[0] == INVALID


def test_an_invocation_answers_what_the_function_answers(functions: Any, echo: Echo) -> None:
    answer = functions.invoke(
        FunctionName="f", Payload=b'{"a":1}', LogType="Tail", ClientContext=base64.b64encode(b'{"c":2}').decode()
    )
    assert (answer["StatusCode"], answer["ExecutedVersion"], answer["Payload"].read()) == (200, "$LATEST", b'{"a":1}')
    assert base64.b64decode(answer["LogResult"]) == b"START\nEND\n"
    assert "FunctionError" not in answer
    failed = functions.invoke(FunctionName="f", Payload=b'"fail"')
    assert (failed["StatusCode"], failed["FunctionError"]) == (200, "Unhandled")
    assert json.loads(failed["Payload"].read()) == {"errorMessage": "failed"}
    assert "LogResult" not in failed
    assert functions.invoke(FunctionName="f")["Payload"].read() == b"{}"
    assert functions.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204
    assert len(echo.seen) == 3


def test_an_invocation_by_an_alias_of_two_versions_runs_each_by_its_share(functions: Any, echo: Echo) -> None:
    functions.publish_version(FunctionName="f")
    functions.update_function_configuration(FunctionName="f", Timeout=9)
    functions.publish_version(FunctionName="f")
    functions.create_alias(
        FunctionName="f", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    found = [functions.invoke(FunctionName="f", Qualifier="live")["ExecutedVersion"] for _ in range(60)]
    assert 5 < found.count("2") < 55, "one run in ten to the eleventh fails by chance"
    assert found.count("1") + found.count("2") == 60


def test_an_event_is_answered_at_once_and_processed_until_it_succeeds(
    penstock: PenstockServer, functions: Any, echo: Echo
) -> None:
    answer = functions.invoke(FunctionName="f", InvocationType="Event", Payload=b'"fail"')
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert functions.invoke_async(FunctionName="f", InvokeArgs=b'"fine"')["Status"] == 202
    for minutes in (0, 1, 2):
        penstock.clock.advance(minutes=minutes)
        functions.get_account_settings()  # a turn for the queue
    assert sorted(seen.payload for seen in echo.seen) == [b'"fail"', b'"fail"', b'"fail"', b'"fine"']


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ({"FunctionName": "none"}, MISSING, "Function not found"),
        ({"Qualifier": "9"}, MISSING, f"Function not found: {ARN}:9"),
        ({"FunctionName": "f:1", "Qualifier": "2"}, INVALID, "The derived qualifier from the function name does not match"),
        ({"FunctionName": ARN.replace("us-east-1", "eu-west-1")}, MISSING, "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"),
        ({"Payload": b"{", "InvocationType": "Event"}, "InvalidRequestContentException", "Could not parse request body into json"),
        ({"Payload": b"\xff", "InvocationType": "Event"}, "InvalidRequestContentException", "Could not parse request body into json"),
        ({"Payload": b"[" * 100_000, "InvocationType": "Event"}, "InvalidRequestContentException", "Could not parse request body into json"),
        ({"Payload": b'"' + b"x" * 1_048_576 + b'"', "InvocationType": "Event"}, "RequestTooLargeException", "1048578 byte payload is too large for the Event invocation type (limit 1048576 bytes)"),
        ({"Payload": b'"' + b"x" * 6_291_456 + b'"'}, "RequestTooLargeException", "Request must be smaller than 6291456 bytes"),
        ({"ClientContext": "no"}, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."),
        ({"InvocationType": "Later"}, "ValidationException", "Value 'Later' at 'invocationType'"),
    ],
)  # fmt: skip
def test_an_invocation_that_makes_no_sense_is_refused(
    functions: Any, echo: Echo, refused: Refused, arguments: dict[str, Any], code: str, text: str
) -> None:
    told, message = refused(functions.invoke, **{"FunctionName": "f", **arguments})
    assert (told, text in message) == (code, True), message
    assert echo.seen == []


def test_what_tools_ask_of_every_function_is_answered(functions: Any) -> None:
    assert functions.get_function_code_signing_config(FunctionName="f")["CodeSigningConfigArn"] == ""
    assert functions.get_runtime_management_config(FunctionName="f")["UpdateRuntimeOn"] == "Auto"
    assert functions.get_function_recursion_config(FunctionName="f")["RecursiveLoop"] == "Terminate"
    functions.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")
    assert functions.get_function_recursion_config(FunctionName="f")["RecursiveLoop"] == "Allow"


@pytest.mark.parametrize(
    "operation", ["create_function_url_config", "publish_layer_version", "put_provisioned_concurrency_config"]
)
def test_what_is_not_there_is_refused_in_words(functions: Any, refused: Refused, operation: str) -> None:
    more = {
        "AuthType": "NONE",
        "LayerName": "l",
        "Content": {"ZipFile": package()},
        "Qualifier": "1",
        "ProvisionedConcurrentExecutions": 1,
    }
    members = functions.meta.service_model.operation_model(
        functions.meta.method_to_api_mapping[operation]
    ).input_shape.members
    asked = {name: value for name, value in {"FunctionName": "f", **more}.items() if name in members}
    code, message = refused(getattr(functions, operation), **asked)
    assert code == "UnknownOperationException"
    assert "is not implemented by Penstock; docs/parity.md lists what is." in message
