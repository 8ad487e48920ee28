"""Lambda's functions through boto3: made, found, changed, listed, deleted, and refused as AWS does."""

import base64
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from function_packages import ARN, QUIET, ROLE, made, package

from penstock.testing import PenstockServer

Refused = Callable[..., tuple[str, str]]


@pytest.fixture
def functions(penstock: PenstockServer) -> Any:
    return penstock.client("lambda", config=QUIET)


def test_a_function_is_told_as_it_was_made(functions: Any) -> None:
    answer = made(functions, Environment={"Variables": {"AB": "c"}}, Tags={"team": "x"}, Timeout=7, MemorySize=256)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    found = functions.get_function(FunctionName=ARN)
    told = found["Configuration"]
    assert (told["FunctionArn"], told["Version"], told["State"], told["LastUpdateStatus"]) == (
        ARN,
        "$LATEST",
        "Active",
        "Successful",
    )
    assert (told["Timeout"], told["MemorySize"], told["Environment"]) == (7, 256, {"Variables": {"AB": "c"}})
    assert found["Tags"] == {"team": "x"}
    assert told["RevisionId"] == functions.get_function_configuration(FunctionName="f")["RevisionId"]


def test_the_code_of_a_function_is_had_from_its_location_for_ten_minutes(
    penstock: PenstockServer, functions: Any
) -> None:
    made(functions)
    where = functions.get_function(FunctionName="f")["Code"]["Location"]
    with urllib.request.urlopen(where) as answer:
        assert answer.read() == package()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(where[:-4] + "AAAA")
    penstock.clock.advance(minutes=10)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(where)


def test_states_last_as_long_as_transitions(functions: Any) -> None:
    with PenstockServer(transition_ms=1000) as server:
        server.clock.stand()
        client = server.client("lambda", config=QUIET)
        assert made(client)["State"] == "Pending"
        with pytest.raises(client.exceptions.ResourceConflictException, match="in the following state: Pending"):
            client.publish_version(FunctionName="f")
        server.clock.advance(seconds=1)
        assert client.get_function(FunctionName="f")["Configuration"]["State"] == "Active"
        assert client.update_function_configuration(FunctionName="f", Timeout=9)["LastUpdateStatus"] == "InProgress"
        with pytest.raises(
            client.exceptions.ResourceConflictException, match="An update is in progress for resource: " + ARN
        ):
            client.update_function_code(FunctionName="f", ZipFile=package())
        server.clock.advance(seconds=1)
        told = client.get_function_configuration(FunctionName="f")
        assert (told["LastUpdateStatus"], told["Timeout"], told["Handler"]) == ("Successful", 9, "app.handler")


def test_what_an_update_leaves_out_stays(functions: Any) -> None:
    before = made(functions, TracingConfig={"Mode": "Active"}, Description="d", Environment={"Variables": {"AB": "c"}})
    told = functions.update_function_configuration(FunctionName="f", LoggingConfig={"LogFormat": "JSON"})
    assert (told["TracingConfig"], told["Description"], told["LoggingConfig"]["LogFormat"]) == (
        {"Mode": "Active"},
        "d",
        "JSON",
    )
    assert told["LoggingConfig"]["LogGroup"] == "/aws/lambda/f"
    assert told["RevisionId"] != before["RevisionId"]
    assert (
        functions.update_function_configuration(FunctionName="f", Environment={"Variables": {}}).get("Environment")
        is None
    )


def test_other_code_is_taken_if_nobody_was_quicker(functions: Any, refused: Refused) -> None:
    first = made(functions)
    tried = functions.update_function_code(FunctionName="f", ZipFile=package("x"), DryRun=True)
    assert tried["CodeSha256"] == first["CodeSha256"]
    second = functions.update_function_code(
        FunctionName="f", ZipFile=package("x"), RevisionId=first["RevisionId"], Publish=True
    )
    assert (second["Version"], second["FunctionArn"]) == ("1", ARN + ":1")
    assert second["CodeSha256"] != first["CodeSha256"]
    code, _ = refused(
        functions.update_function_code, FunctionName="f", ZipFile=package(), RevisionId=first["RevisionId"]
    )
    assert code == "PreconditionFailedException"


def test_code_comes_from_a_bucket_too(tmp_path: Any, refused: Refused) -> None:
    with PenstockServer(buckets=f"file://{tmp_path}") as server:
        client = server.client("lambda", config=QUIET)
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "app.zip").write_bytes(package())
        assert made(client, Code={"S3Bucket": "code", "S3Key": "app.zip"})["CodeSize"] == len(package())
        for source, why in (
            ({"S3Bucket": "none", "S3Key": "app.zip"}, "NoSuchBucket"),
            ({"S3Bucket": "code", "S3Key": "none"}, "NoSuchKey"),
            ({"S3Bucket": "code", "S3Key": "app.zip", "S3ObjectVersion": "1"}, "S3ObjectVersion is not supported"),
        ):
            code, message = refused(client.update_function_code, FunctionName="f", **source)
            assert code == "InvalidParameterValueException"
            assert why in message


def test_versions_keep_what_was_published(functions: Any) -> None:
    made(functions)
    first = functions.publish_version(FunctionName="f", Description="one")
    assert (first["Version"], first["Description"], first["ResponseMetadata"]["HTTPStatusCode"]) == ("1", "one", 201)
    assert functions.publish_version(FunctionName="f")["Version"] == "1", "nothing has changed"
    functions.update_function_configuration(FunctionName="f", Timeout=10)
    assert functions.publish_version(FunctionName="f")["Version"] == "2"
    listed = functions.list_versions_by_function(FunctionName="f")["Versions"]
    assert [(row["Version"], row["Timeout"]) for row in listed] == [("$LATEST", 10), ("1", 3), ("2", 10)]
    assert functions.get_function_configuration(FunctionName="f", Qualifier="1")["FunctionArn"] == ARN + ":1"
    functions.put_function_event_invoke_config(FunctionName="f", Qualifier="1", MaximumRetryAttempts=0)
    functions.delete_function(FunctionName="f", Qualifier="1")
    assert functions.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"] == []
    assert [row["Version"] for row in functions.list_versions_by_function(FunctionName="f")["Versions"]] == [
        "$LATEST",
        "2",
    ]


def test_lists_come_in_pages(functions: Any) -> None:
    for number in range(5):
        made(functions, f"f{number}", Publish=True)
    pages = functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
    found = [[row["FunctionName"] for row in page["Functions"]] for page in pages]
    assert found == [["f0", "f1"], ["f2", "f3"], ["f4"]]
    everything = functions.list_functions(FunctionVersion="ALL")["Functions"]
    assert [row["Version"] for row in everything] == ["$LATEST", "1"] * 5


def test_a_function_that_is_deleted_is_gone_with_its_versions(functions: Any, refused: Refused) -> None:
    made(functions, Publish=True)
    assert functions.delete_function(FunctionName="f")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(functions.get_function, FunctionName="f") == (
        "ResourceNotFoundException",
        f"Function not found: {ARN}",
    )
    made(functions)
    assert refused(functions.get_function, FunctionName="f:1")[1] == f"Function not found: {ARN}:1"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ({"Code": {"ZipFile": b"x"}}, "InvalidParameterValueException", "Could not unzip uploaded file."),
        ({"Code": {}}, "InvalidParameterValueException", "Please provide a source for function code."),
        ({"Code": {"ZipFile": b"x", "S3Bucket": "abc", "S3Key": "k"}}, "InvalidParameterValueException", "Please do not provide other"),
        ({"Code": {"ImageUri": "x"}}, "InvalidParameterValueException", "ImageUri (PackageType Image) is not supported"),
        ({"PackageType": "Image"}, "InvalidParameterValueException", "PackageType Image is not supported"),
        ({"Handler": None}, "InvalidParameterValueException", "Runtime and Handler are mandatory parameters"),
        ({"Runtime": "python2.8"}, "InvalidParameterValueException", "Value python2.8 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs, "),
        ({"Role": "r"}, "ValidationException", "Value 'r' at 'role' failed to satisfy constraint"),
        ({"Timeout": 901}, "ValidationException", "Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900"),
        ({"MemorySize": 10241}, "InvalidParameterValueException", "'MemorySize' value failed to satisfy constraint"),
        ({"MemorySize": 1}, "ValidationException", "Value '1' at 'memorySize'"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException", "Reserved keys used in this request: AWS_REGION"),
        ({"Environment": {"Variables": {"AB": "x" * 4096}}}, "InvalidParameterValueException", "exceeded the 4KB limit"),
        ({"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:l:1"]}, "InvalidParameterValueException", "Layers is not supported"),
        ({"Tags": {"aws:x": "y"}}, "InvalidParameterValueException", "System tags"),
        ({"FunctionName": "a b"}, "ValidationException", "at 'functionName' failed to satisfy constraint"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused(functions: Any, arguments: dict[str, Any], code: str, text: str) -> None:
    base = {
        "FunctionName": "f",
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": package()},
    }
    asked = {name: value for name, value in {**base, **arguments}.items() if value is not None}
    with pytest.raises(functions.exceptions.ClientError) as caught:
        functions.create_function(**asked)
    assert caught.value.response["Error"]["Code"] == code
    assert text in caught.value.response["Error"]["Message"]
    assert functions.list_functions()["Functions"] == []


def test_a_name_is_taken_once(functions: Any, refused: Refused) -> None:
    made(functions)
    code, message = refused(lambda: made(functions))
    assert (code, message) == ("ResourceConflictException", "Function already exist: f")


def test_tags_are_of_functions_only(functions: Any, refused: Refused) -> None:
    made(functions, Tags={"a": "1"})
    functions.tag_resource(Resource=ARN, Tags={"b": "2", "c": "3"})
    functions.untag_resource(Resource=ARN, TagKeys=["a", "c"])
    assert functions.list_tags(Resource=ARN)["Tags"] == {"b": "2"}
    assert "Please specify a function ARN" in refused(functions.tag_resource, Resource=ARN + ":1", Tags={"x": "y"})[1]
    assert refused(functions.list_tags, Resource=ARN + "2")[0] == "ResourceNotFoundException"
    code, message = refused(functions.tag_resource, Resource=ARN, Tags={f"k{number}": "" for number in range(50)})
    assert (code, message) == ("InvalidParameterValueException", "Number of tags exceeds resource tag limit.")


def test_functions_survive_a_restart_and_code_that_nothing_names_does_not(tmp_path: Any) -> None:
    settings: dict[str, Any] = {"engine": "local", "data_dir": str(tmp_path / "data")}
    with PenstockServer(**settings) as server:
        client = server.client("lambda", config=QUIET)
        made(client, Publish=True)
        client.update_function_code(FunctionName="f", ZipFile=package("second"))
        client.update_function_code(FunctionName="f", ZipFile=package("third"))
    blobs = tmp_path / "data" / "blobs" / "objects" / "functions"
    assert len(list(blobs.glob("*/*.zip"))) == 2, "of version 1 and of $LATEST"
    (blobs / "lost").mkdir()
    (blobs / "lost" / "x.zip").write_bytes(b"x")
    with PenstockServer(**settings) as server:
        client = server.client("lambda", config=QUIET)
        with urllib.request.urlopen(client.get_function(FunctionName="f:1")["Code"]["Location"]) as answer:
            assert answer.read() == package()
        with urllib.request.urlopen(client.get_function(FunctionName="f")["Code"]["Location"]) as answer:
            assert answer.read() == package("third")
        server.reset()
        assert client.list_functions()["Functions"] == []
    assert not list(blobs.glob("*/x.zip"))


def test_neither_code_nor_environment_is_written_to_the_audit_log(tmp_path: Any) -> None:
    log = tmp_path / "audit"
    with PenstockServer(audit_log=str(log)) as server:
        made(server.client("lambda", config=QUIET), Environment={"Variables": {"TOKEN": "geheim"}})
    told = log.read_text()
    assert "CreateFunction" in told
    assert "geheim" not in told
    assert package()[:20].hex() not in told
    assert base64.b64encode(package()).decode()[:40] not in told
