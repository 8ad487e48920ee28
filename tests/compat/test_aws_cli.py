"""The AWS CLI, unmodified, as a subprocess."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from penstock.testing import PenstockServer

CLI = str(Path(sys.executable).with_name("aws"))


def _aws(server: PenstockServer, *words: str, **more: str) -> Any:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_PAGER": "", **server.environment(), **more}
    done = subprocess.run([CLI, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def test_the_cli_creates_puts_reads_and_deletes(penstock: PenstockServer) -> None:
    assert _aws(penstock, "sts", "get-caller-identity")["Account"] == penstock.account_id
    _aws(penstock, "kinesis", "create-stream", "--stream-name", "hello", "--shard-count", "2")
    _aws(penstock, "kinesis", "wait", "stream-exists", "--stream-name", "hello")
    summary = _aws(penstock, "kinesis", "describe-stream-summary", "--stream-name", "hello")
    assert summary["StreamDescriptionSummary"]["OpenShardCount"] == 2
    text = base64.b64encode(b"from the CLI").decode()
    put = _aws(
        penstock, "kinesis", "put-record", "--stream-name", "hello", "--partition-key", "k", "--data", "from the CLI"
    )
    iterator = _aws(
        penstock, "kinesis", "get-shard-iterator", "--stream-name", "hello",
        "--shard-id", put["ShardId"], "--shard-iterator-type", "TRIM_HORIZON",
    )["ShardIterator"]  # fmt: skip
    page = _aws(penstock, "kinesis", "get-records", "--shard-iterator", iterator)
    assert [(record["Data"], record["SequenceNumber"]) for record in page["Records"]] == [(text, put["SequenceNumber"])]
    _aws(penstock, "kinesis", "delete-stream", "--stream-name", "hello")
    assert _aws(penstock, "kinesis", "list-streams")["StreamNames"] == []


def test_the_cli_works_over_tls() -> None:
    with PenstockServer(tls=True) as server:
        names = _aws(
            server, "kinesis", "list-streams", AWS_ENDPOINT_URL=server.tls_endpoint_url, AWS_CA_BUNDLE=server.ca_bundle
        )
        assert names["StreamNames"] == []


def test_the_cli_reshards_and_registers_consumers(penstock: PenstockServer) -> None:
    penstock.client().create_stream(StreamName="hello", ShardCount=2)
    answer = _aws(
        penstock, "kinesis", "update-shard-count", "--stream-name", "hello",
        "--target-shard-count", "4", "--scaling-type", "UNIFORM_SCALING",
    )  # fmt: skip
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (2, 4)
    listed = _aws(penstock, "kinesis", "list-shards", "--stream-name", "hello", "--shard-filter", "Type=AT_LATEST")
    assert [shard["ParentShardId"][-1] for shard in listed["Shards"]] == ["0", "0", "1", "1"]
    made = _aws(
        penstock, "kinesis", "register-stream-consumer", "--stream-arn", answer["StreamARN"], "--consumer-name", "app"
    )
    assert made["Consumer"]["ConsumerName"] == "app"


def test_the_cli_signs_for_a_server_that_verifies() -> None:
    with PenstockServer(auth="enforced") as server:
        assert _aws(server, "sts", "get-caller-identity")["Arn"].endswith(":root")
        assert _aws(server, "kinesis", "list-streams")["StreamNames"] == []


def test_the_cli_puts_and_reads_metrics(penstock: PenstockServer) -> None:
    now_s = penstock.clock.now_ms // 1000
    named = ("--namespace", "App", "--metric-name", "Latency", "--dimensions")
    _aws(penstock, "cloudwatch", "put-metric-data", *named, "Host=a", "--value", "12.5", "--unit", "Milliseconds")
    listed = _aws(penstock, "cloudwatch", "list-metrics", "--namespace", "App")["Metrics"]
    assert [each["Dimensions"] for each in listed] == [[{"Name": "Host", "Value": "a"}]]
    times = ("--start-time", str(now_s - 600), "--end-time", str(now_s + 600), "--period", "60")
    read = _aws(
        penstock, "cloudwatch", "get-metric-statistics", *named, "Name=Host,Value=a", *times, "--statistics", "Sum",
        "Maximum",
    )  # fmt: skip
    assert [(each["Sum"], each["Maximum"], each["Unit"]) for each in read["Datapoints"]] == [
        (12.5, 12.5, "Milliseconds")
    ]
