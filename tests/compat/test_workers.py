"""`--workers`: fronts speak with clients; what one of them does, or suffers, is nobody else's business."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

WAIT_S = 60
COUNTED = "penstock_requests_total"


@pytest.fixture
def server() -> Iterator[PenstockServer]:
    with PenstockServer(workers=2) as started:
        yield started


def workers() -> list[psutil.Process]:
    """The fronts of the server in this process."""
    children = psutil.Process().children()
    return [child for child in children if "penstock.server.front" in child.cmdline()]


def client(server: PenstockServer) -> Any:
    """A client that opens a connection of its own, and asks again where one was cut."""
    return server.client(config=Config(retries={"total_max_attempts": 8, "mode": "standard"}))


def test_records_when_put_through_many_connections_are_read_through_others(server: PenstockServer) -> None:
    client(server).create_stream(StreamName="a", ShardCount=2)
    for number in range(24):
        client(server).put_record(StreamName="a", Data=b"%d" % number, PartitionKey=str(number))
    found = set()
    for shard in client(server).list_shards(StreamName="a")["Shards"]:
        arguments = {"StreamName": "a", "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client(server).get_shard_iterator(**arguments)["ShardIterator"]
        found |= {record["Data"] for record in client(server).get_records(ShardIterator=iterator)["Records"]}
    assert found == {b"%d" % number for number in range(24)}
    assert len(workers()) == 2


def test_refusals_when_a_front_makes_them_are_counted_by_the_server(server: PenstockServer) -> None:
    for _ in range(8):  # whichever front gets them
        with socket.create_connection(("127.0.0.1", int(server.endpoint_url.rpartition(":")[2])), WAIT_S) as link:
            link.sendall(b"no request at all\r\n\r\n")
            assert link.recv(100).startswith(b"HTTP/1.1 400")
    while (counted := told(server)) < 8:  # one front may have answered before the other has told
        continue
    assert counted == 8


def told(server: PenstockServer) -> float:
    """How many requests were answered with 400."""
    with urlopen(server.endpoint_url + "/metrics") as answer:
        page = answer.read().decode()
    counts = [line.split()[-1] for line in page.splitlines() if "HTTP 400" in line and line.startswith(COUNTED)]
    return sum(map(float, counts))


def test_front_when_it_is_killed_is_replaced_and_nothing_acknowledged_is_lost(server: PenstockServer) -> None:
    client(server).create_stream(StreamName="a", ShardCount=1)
    before = workers()
    for number, victim in enumerate([None, *before]):
        if victim is not None:
            victim.kill()
            victim.wait(WAIT_S)
        for _ in range(4):
            client(server).put_record(StreamName="a", Data=b"%d" % number, PartitionKey="k")
    arguments = {"StreamName": "a", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client(server).get_shard_iterator(**arguments)["ShardIterator"]
    records = client(server).get_records(ShardIterator=iterator)["Records"]
    assert {record["Data"] for record in records} == {b"0", b"1", b"2"}
    assert len(records) >= 12
    assert not {process.pid for process in before} & {process.pid for process in workers()}


def test_stream_when_its_client_leaves_is_let_go_of(server: PenstockServer) -> None:
    kinesis = client(server)
    kinesis.create_stream(StreamName="a", ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]["ConsumerARN"]
    shard = {"ConsumerARN": consumer, "ShardId": "shardId-000000000000", "StartingPosition": {"Type": "TRIM_HORIZON"}}
    kinesis.put_record(StreamName="a", Data=b"1", PartitionKey="k")
    for _ in range(3):
        stream = client(server).subscribe_to_shard(**shard)["EventStream"]
        assert [record["Data"] for record in next(iter(stream))["SubscribeToShardEvent"]["Records"]] == [b"1"]
        stream.close()
        server.clock.advance(seconds=6)  # so that the next may take over


def test_port_when_another_server_has_it_is_refused(server: PenstockServer) -> None:
    port = server.endpoint_url.rpartition(":")[2]
    environment = {**os.environ, "PENSTOCK_PORT": port, "PENSTOCK_NO_TLS": "true", "PENSTOCK_ENGINE": "memory"}
    command = [sys.executable, "-m", "penstock", "serve", "--workers", "1"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "another program listens there" in ended.stderr


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and where it is."""
    command = [
        sys.executable,
        "-m",
        "penstock",
        "serve",
        "--port",
        "0",
        "--no-tls",
        "--data-dir",
        str(folder),
        *options,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            yield process, next(word for line in lines for word in line.split() if word.startswith("http://"))
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_fronts_when_the_server_ends_end_too_and_the_port_is_free(tmp_path: Path, ending: signal.Signals) -> None:
    with serving(tmp_path, "--workers", "2") as (process, url):
        kinesis = boto3.client(
            "kinesis", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        kinesis.create_stream(StreamName="a", ShardCount=1)
        kinesis.put_record(StreamName="a", Data=b"1", PartitionKey="k")
        fronts = psutil.Process(process.pid).children()
        assert len(fronts) == 2
        process.send_signal(ending)
        assert (process.wait(WAIT_S) == 0) == (ending is not signal.SIGKILL)
        gone, alive = psutil.wait_procs(fronts, WAIT_S)
        assert not alive
        assert len(gone) == 2
        socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))).close()


def test_enforced_when_a_front_carries_the_request_still_checks_it() -> None:
    with PenstockServer(workers=1, auth="enforced") as server:
        assert server.client().list_streams()["StreamNames"] == []
        with pytest.raises(ClientError, match="signature we calculated"):
            server.client(aws_secret_access_key="wrong").list_streams()
