"""The calls that Terraform's AWS provider makes for functions, permissions and aliases, in its order; and those of the AWS CLI.

The sequences are those of the provider's internal/service/lambda: it creates, waits for Active, reads everything that it keeps in its
state, updates configuration and code apart with a wait after each, and publishes at the end.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from function_packages import ARN, ROLE, package

from penstock.testing import PenstockServer

CLI = str(Path(sys.executable).with_name("aws"))
POLLS_MAX = 10
READ = ("FunctionName", "FunctionArn", "Role", "Handler", "Runtime", "Timeout", "MemorySize", "CodeSha256", "CodeSize", "LastModified",
        "Version", "Architectures", "PackageType", "EphemeralStorage", "LoggingConfig", "SnapStart", "TracingConfig", "Description")  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    """A server whose functions are seen Pending and being updated."""
    with PenstockServer(transition_ms=2000) as started:
        yield started


@pytest.fixture
def functions(server: PenstockServer) -> Any:
    server.reset()
    server.clock.stand()
    return server.client("lambda", config=Config(retries={"total_max_attempts": 1}))


def wait(server: PenstockServer, functions: Any, member: str, pending: str, done: str) -> None:
    """Poll until the function is as it should be, having seen it as it was."""
    seen = []
    for _ in range(POLLS_MAX):
        seen.append(functions.get_function(FunctionName="f")["Configuration"].get(member))
        if seen[-1] == done:
            break
        server.clock.advance(seconds=1)
    assert (seen[0], seen[-1]) == (pending, done)


def read(functions: Any) -> dict[str, Any]:
    """What the provider reads after each change; none of what it keeps may be missing."""
    found = functions.get_function(FunctionName="f")
    assert {name for name in READ if name not in found["Configuration"]} == set()
    assert found["Code"]["Location"].startswith("http")
    latest = functions.get_paginator("list_versions_by_function").paginate(
        FunctionName="f", PaginationConfig={"PageSize": 10000}
    )
    versions = [row for page in latest for row in page["Versions"]]
    functions.get_function_code_signing_config(FunctionName="f")
    return {**found["Configuration"], "latest": versions[-1]["Version"], "tags": found.get("Tags", {})}


def test_a_function_is_made_changed_and_destroyed(server: PenstockServer, functions: Any) -> None:
    functions.create_function(
        FunctionName="f", Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": package()}, Timeout=3, MemorySize=128,
        Description="", Publish=True, PackageType="Zip", Architectures=["x86_64"], EphemeralStorage={"Size": 512},
        TracingConfig={"Mode": "PassThrough"}, LoggingConfig={"LogFormat": "Text"}, Environment={"Variables": {"STAGE": "test"}},
        Tags={"made-by": "terraform"},
    )  # fmt: skip
    wait(server, functions, "State", "Pending", "Active")
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=5)
    state = read(functions)
    assert (state["latest"], state["tags"]) == ("1", {"made-by": "terraform"})
    assert read(functions) == state, "nothing would change in the next plan"

    functions.update_function_configuration(
        FunctionName="f", Timeout=30, Environment={"Variables": {"STAGE": "prod"}}, Role=ROLE
    )
    wait(server, functions, "LastUpdateStatus", "InProgress", "Successful")
    functions.update_function_code(
        FunctionName="f", ZipFile=package("changed"), Publish=False, Architectures=["x86_64"]
    )
    wait(server, functions, "LastUpdateStatus", "InProgress", "Successful")
    assert functions.publish_version(FunctionName="f")["Version"] == "2"
    functions.tag_resource(Resource=ARN, Tags={"team": "x"})
    functions.untag_resource(Resource=ARN, TagKeys=["made-by"])
    changed = read(functions)
    assert (changed["Timeout"], changed["latest"], changed["tags"]) == (30, "2", {"team": "x"})
    assert changed["CodeSha256"] != state["CodeSha256"]

    functions.delete_function_concurrency(FunctionName="f")
    functions.delete_function(FunctionName="f")
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_function(FunctionName="f")


def test_an_alias_and_a_permission_are_made_read_and_destroyed(server: PenstockServer, functions: Any) -> None:
    functions.create_function(
        FunctionName="f",
        Runtime="python3.12",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": package()},
        Publish=True,
    )
    functions.get_waiter("function_active_v2")
    wait(server, functions, "State", "Pending", "Active")
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1", Description="")
    alias = functions.get_alias(FunctionName="f", Name="live")
    assert (alias["AliasArn"], alias["FunctionVersion"], alias["Description"]) == (ARN + ":live", "1", "")
    functions.add_permission(
        FunctionName="f", Qualifier="live", StatementId="AllowExecution", Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com", SourceArn="arn:aws:events:us-east-1:123456789012:rule/r",
    )  # fmt: skip
    policy = json.loads(functions.get_policy(FunctionName="f", Qualifier="live")["Policy"])
    [statement] = policy["Statement"]
    assert (statement["Sid"], statement["Resource"], policy["Version"]) == (
        "AllowExecution",
        ARN + ":live",
        "2012-10-17",
    )
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": "arn:aws:events:us-east-1:123456789012:rule/r"}}
    functions.remove_permission(FunctionName="f", Qualifier="live", StatementId="AllowExecution")
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_policy(FunctionName="f", Qualifier="live")
    functions.update_alias(FunctionName="f", Name="live", FunctionVersion="1", Description="d", RoutingConfig={})
    functions.delete_alias(FunctionName="f", Name="live")
    functions.delete_function(FunctionName="f")


def test_the_cli_makes_a_function_that_runs(tmp_path: Path) -> None:
    (tmp_path / "app.zip").write_bytes(
        package("def handler(event, context):\n    print('seen')\n    return event['a'] + 1\n")
    )

    cli = PenstockServer()

    def aws(*words: str) -> Any:
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_PAGER": "", **cli.environment()}
        done = subprocess.run(
            [CLI, "lambda", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    with cli:
        aws(
            "create-function", "--function-name", "f", "--runtime", f"python3.{sys.version_info.minor}", "--role", ROLE,
            "--handler", "app.handler", "--zip-file", "fileb://app.zip",
        )  # fmt: skip
        told = aws("invoke", "--function-name", "f", "--payload", '{"a": 1}', "--log-type", "Tail", "out.json")
        assert (told["StatusCode"], told["ExecutedVersion"]) == (200, "$LATEST")
        assert "seen" in base64.b64decode(told["LogResult"]).decode()
        assert json.loads((tmp_path / "out.json").read_text()) == 2
        assert [row["FunctionName"] for row in aws("list-functions")["Functions"]] == ["f"]
