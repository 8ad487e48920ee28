"""Functions that run, end to end: boto3 from outside, boto3 inside, and what is left when the server is gone."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

ROLE = "arn:aws:iam::123456789012:role/r"
PROGRAM = """
import os, time
def whoami(event, context):
    import boto3
    return boto3.client("sts").get_caller_identity()["Arn"]
def put(event, context):
    import boto3
    return boto3.client("kinesis").put_record(StreamName="s", PartitionKey="k", Data=b"d")["ShardId"]
def fail(event, context):
    print(context.aws_request_id)
    raise ValueError(event["why"])
def hang(event, context):
    if os.fork() == 0:
        os.setsid()
    print(f"{os.getpid()}\\n", end="", flush=True)
    time.sleep(1000)
"""


def packed(source: str = PROGRAM) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("app.py", source)
    return written.getvalue()


def create(client: Any, name: str, **others: Any) -> None:
    client.create_function(
        FunctionName=name, Runtime="python3.12", Role=ROLE, Handler=f"app.{name}", Timeout=30, Code={"ZipFile": packed()}, **others
    )  # fmt: skip
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def answered(client: Any, name: str, event: object = None) -> Any:
    return json.loads(client.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())


def test_invocation_when_the_function_fails_is_told_logged_and_measured() -> None:
    with PenstockServer() as server:
        server.clock.stand()
        client = server.client("lambda")
        create(client, "fail")
        answer = client.invoke(FunctionName="fail", Payload=b'{"why": "thus"}', LogType="Tail")
        assert (answer["StatusCode"], answer["FunctionError"], answer["ExecutedVersion"]) == (
            200,
            "Unhandled",
            "$LATEST",
        )
        document = json.loads(answer["Payload"].read())
        assert (document["errorType"], document["errorMessage"]) == ("ValueError", "thus")
        log = base64.b64decode(answer["LogResult"]).decode()
        request_id = answer["ResponseMetadata"]["RequestId"]
        assert log.startswith(f"START RequestId: {request_id} ")
        assert f"\n{request_id}\n" in log, "what the function is told it is"
        assert f"REPORT RequestId: {request_id}\t" in log
        assert "[ERROR] ValueError: thus" in log
        server.clock.advance(minutes=1)
        told = server.client("cloudwatch").list_metrics(Namespace="AWS/Lambda")["Metrics"]
        assert {each["MetricName"] for each in told} >= {
            "Invocations",
            "Errors",
            "Duration",
            "Throttles",
            "ConcurrentExecutions",
        }


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:3000", 200),
        ("http://localhost:3000", 200),
        ("https://evil.example", 403),
        ("http://127.0.0.1.evil.example", 403),
        ("http://[bad", 403),
        ("null", 403),
    ],
)
def test_web_page_when_it_is_from_elsewhere_runs_no_function_though_any_credentials_do(
    origin: str | None, status: int
) -> None:
    presigned = (
        "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test/20260101/us-east-1/lambda/aws4_request"
        "&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
    )
    headers = {"Content-Type": "text/plain", **({} if origin is None else {"Origin": origin})}
    with PenstockServer() as server:
        server.clock.stand()
        create(server.client("lambda"), "whoami")
        where = urlsplit(server.endpoint_url)
        connection = HTTPConnection(where.hostname or "", where.port)
        connection.request("POST", f"/2015-03-31/functions/whoami/invocations{presigned}", b"{}", headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
    assert answer.status == status, text
    assert ("not for web pages" in text) is (status == 403)


def test_server_when_reset_runs_functions_anew() -> None:
    with PenstockServer() as server:
        server.clock.stand()
        for _ in range(2):
            create(server.client("lambda"), "whoami")
            assert answered(server.client("lambda"), "whoami") == "arn:aws:iam::123456789012:root"
            urlopen(Request(f"{server.endpoint_url}/_penstock/reset", method="POST"))


@pytest.mark.parametrize("mode", ["process", "sandbox"])
def test_function_when_identities_are_enforced_has_its_roles_rights_and_no_more(mode: str) -> None:
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    allowed = {"Statement": [{"Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": "*"}]}
    with PenstockServer(auth="enforced", functions=mode) as server:
        server.clock.stand()
        iam, client = server.client("iam"), server.client("lambda")
        server.client("kinesis").create_stream(StreamName="s", ShardCount=1)
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}))
        create(client, "whoami")
        create(client, "put")
        assert answered(client, "whoami") == "arn:aws:sts::123456789012:assumed-role/r/whoami"
        assert "not authorized to perform: kinesis:PutRecord" in answered(client, "put")["errorMessage"]
        iam.put_role_policy(
            RoleName="r", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", **allowed})
        )
        assert answered(client, "put") == "shardId-000000000000"


def test_function_when_its_role_is_missing_or_trusts_somebody_else_does_not_run() -> None:
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    with PenstockServer(auth="enforced", functions="process") as server:
        server.clock.stand()
        iam, client = server.client("iam"), server.client("lambda")
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}))
        create(client, "whoami")
        with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
            client.invoke(FunctionName="whoami")
        iam.delete_role(RoleName="r")
        with pytest.raises(ClientError, match="there is no role"):
            client.invoke(FunctionName="whoami")


def test_functions_when_identities_are_enforced_are_off_unless_asked_for() -> None:
    with PenstockServer(auth="enforced") as server:
        server.clock.stand()
        create(server.client("lambda"), "whoami")
        with pytest.raises(ClientError, match="start it with --functions"):
            server.client("lambda").invoke(FunctionName="whoami")


@contextmanager
def serving(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--no-tls", "--data-dir", str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(folder.parent)}
    ) as process:
        try:
            file = folder / "endpoint.json"
            while not file.exists():
                time.sleep(0.02)  # noqa: TID251 - another process
            yield process, json.loads(file.read_bytes())["http"]
        finally:
            process.kill()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_server_when_it_ends_leaves_no_process_and_no_file_of_a_function(
    tmp_path: Path, number: signal.Signals
) -> None:
    import boto3

    with serving(tmp_path / "data") as (process, url):
        client: Any = boto3.client(
            "lambda", "us-east-1", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test"
        )
        logs: Any = boto3.client(
            "logs", "us-east-1", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test"
        )
        create(client, "hang")
        client.invoke(FunctionName="hang", InvocationType="Event")
        pids: list[int] = []
        while len(pids) < 2:
            time.sleep(0.05)  # noqa: TID251 - another process
            try:
                events = logs.filter_log_events(logGroupName="/aws/lambda/hang")["events"]
            except ClientError:
                continue
            pids = [int(event["message"]) for event in events if event["message"].strip().isdigit()]
        assert all(map(running, pids))
        process.send_signal(number)
        process.wait(60)
        until = time.monotonic() + 30
        while any(map(running, pids)) or list(tmp_path.glob("penstock-functions-*")):
            assert time.monotonic() < until, "something is left"
            time.sleep(0.02)  # noqa: TID251 - another process
