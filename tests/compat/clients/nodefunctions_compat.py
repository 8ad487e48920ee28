"""Functions for Node.js, in AWS's own runtime client."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from served import server
from toolchains import NODE_FUNCTIONS

HANDLER = """
exports.handler = async (event, context) => {
    console.log("asked for", event.number);
    if (event.fails) throw new TypeError("as asked");
    return { doubled: event.number * 2, id: context.awsRequestId, group: context.logGroupName };
};
"""


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a server that has a function `doubling`."""
    modules = NODE_FUNCTIONS.build().parents[2]
    monkeypatch.setenv("NODE_PATH", str(modules))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.js", HANDLER)
    with server(tmp_path / "data") as running:
        client: Any = boto3.client(
            "lambda", "us-east-1", endpoint_url=running.url, aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.create_function(
            FunctionName="doubling", Runtime="nodejs22.x", Handler="index.handler", Timeout=30,
            Role="arn:aws:iam::123456789012:role/work", Code={"ZipFile": packed.getvalue()},
        )  # fmt: skip
        yield client


@pytest.mark.needs("nodefunctions")
def test_function_for_node_when_invoked_answers_fails_and_logs_as_lambda_does(functions: Any) -> None:
    def invoke(**event: object) -> tuple[Any, str | None, str]:
        answer = functions.invoke(FunctionName="doubling", Payload=json.dumps(event), LogType="Tail")
        log = base64.b64decode(answer["LogResult"]).decode()
        return json.load(answer["Payload"]), answer.get("FunctionError"), log

    for number in (21, 1):
        told, error, log = invoke(number=number)
        assert (told["doubled"], told["group"], error) == (2 * number, "/aws/lambda/doubling", None)
        assert f"INFO\tasked for {number}" in log
        assert f"REPORT RequestId: {told['id']}" in log
    failed, error, _ = invoke(number=1, fails=True)
    assert (failed["errorType"], failed["errorMessage"], error) == ("TypeError", "as asked", "Unhandled")
    assert invoke(number=3)[0]["doubled"] == 6
