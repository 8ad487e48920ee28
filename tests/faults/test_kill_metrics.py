"""kill -9 while metrics are put: what was put longer ago than a flush is there again, and nothing is counted twice."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from served import Server, server

from penstock.services.metrics.store import FLUSH_MS

STARTED_S = int(time.time()) // 60 * 60  # noqa: TID251 - the data's own time; the server's may go on


def client(running: Server) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60)
    return boto3.client(
        "cloudwatch", endpoint_url=running.url, region_name="us-east-1", config=config,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip


def put(running: Server, count: int) -> None:
    datum = {"MetricName": "m", "Timestamp": STARTED_S, "Value": 1}
    for _ in range(count):
        client(running).put_metric_data(Namespace="App", MetricData=[datum, {**datum, "MetricName": "n"}])


def total(running: Server, name: str = "m") -> float:
    answer = client(running).get_metric_statistics(
        Namespace="App", MetricName=name, StartTime=STARTED_S, EndTime=STARTED_S + 60, Period=60, Statistics=["Sum"]
    )
    found: float = sum(each["Sum"] for each in answer["Datapoints"])
    return found


def advance(running: Server, seconds: float) -> None:

    body = json.dumps({"advance_seconds": seconds}).encode()
    urllib.request.urlopen(running.url + "/_penstock/clock", body).close()


def test_metrics_when_the_server_is_killed_then_what_was_flushed_is_there_once(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    put_so_far = 0.0
    for _ in range(2):
        with server(directory, "--testing") as running:
            assert put_so_far <= total(running)
            put(running, 3)
            put_so_far = total(running)
            advance(running, FLUSH_MS / 1000 + 1)
            put(running, 1)  # by the next answer, the flush of those before has begun
            advance(running, FLUSH_MS / 1000 + 1)
            assert total(running) == total(running, "n") == put_so_far + 1
            running.process.kill()
            running.process.wait()
    with server(directory) as running:
        assert put_so_far <= total(running) == total(running, "n") <= put_so_far + 1


def test_metrics_when_the_server_is_stopped_then_all_are_there(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    with server(directory) as running:
        put(running, 2)
        running.process.terminate()
        running.process.wait()
    with server(directory) as running:
        assert total(running) == 2
