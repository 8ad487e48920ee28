"""`penstock kcl`: a MultiLang program on a real server, over a reshard, to its last checkpoint."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.host.clock import monotonic_s
from penstock.testing import PenstockServer

SOON_S = 60
pause = threading.Event().wait

PROGRAM = """
import base64, json, pathlib, sys
print("hello from a child")
shard = "?"
for line in sys.stdin:
    said = json.loads(line)
    action = said["action"]
    if action == "initialize":
        shard = said["shardId"]
    if action == "processRecords":
        with open(sys.argv[1], "a") as told:
            told.write("".join(base64.b64decode(r["data"]).decode() + "\\n" for r in said["records"]))
        if "die" in sys.argv and not pathlib.Path(sys.argv[1] + ".died").exists():
            pathlib.Path(sys.argv[1] + ".died").touch()
            sys.exit(9)
    if action in ("processRecords", "shardEnded", "shutdownRequested"):
        print("\\n" + json.dumps({"action": "checkpoint", "sequenceNumber": None, "subSequenceNumber": None}), flush=True)
        assert json.loads(sys.stdin.readline())["error"] is None
    print("\\n" + json.dumps({"action": "status", "responseFor": action}), flush=True)
"""


class Host:
    """A program, its properties, and what it has told."""

    def __init__(self, server: PenstockServer, folder: Path) -> None:
        self.server = server
        self.told = folder / "told"
        self._program = folder / "program.py"
        self._program.write_text(PROGRAM)
        self.properties = folder / "application.properties"
        self.log = folder / "log"

    def write(self, *arguments: str, **more: str) -> None:
        lines = {
            "executableName": f"{sys.executable} {self._program} {self.told} {' '.join(arguments)}",
            "streamName": "orders",
            "applicationName": "billing",
            "initialPositionInStream": "TRIM_HORIZON",
            "regionName": "us-east-1",
            "retrievalMode": "POLLING",
            "failoverTimeMillis": "1000",
            "idleTimeBetweenReadsInMillis": "50",
            **more,
        }
        self.properties.write_text("\n".join(f"{key} = {value}" for key, value in lines.items()))

    def start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "penstock", "kcl", "--properties", str(self.properties)]
        with self.log.open("wb") as log:
            return subprocess.Popen([*command, "--endpoint", self.server.endpoint_url], stderr=log, stdout=log)

    def until(self, truth: Callable[[], bool], what: str) -> None:
        until_s = monotonic_s() + SOON_S
        while not truth():
            assert monotonic_s() < until_s, f"{what} did not happen: {self.log.read_text()[-3000:]}"
            pause(0.05)

    def numbers(self) -> list[int]:
        return [int(line) for line in self.told.read_text().splitlines()] if self.told.exists() else []

    def leases(self) -> dict[str, tuple[str, str | None]]:
        items = self.server.client("dynamodb").scan(TableName="billing")["Items"]
        return {item["leaseKey"]["S"]: (item["checkpoint"]["S"], item.get("leaseOwner", {}).get("S")) for item in items}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with PenstockServer() as server:
        server.client().create_stream(StreamName="orders", ShardCount=2)
        yield Host(server, tmp_path)


def put(kinesis: Any, first: int, count: int) -> None:
    entries = [{"Data": b"%d" % number, "PartitionKey": str(number)} for number in range(first, first + count)]
    assert kinesis.put_records(StreamName="orders", Records=entries)["FailedRecordCount"] == 0


def test_kcl_when_a_program_runs_then_it_processes_over_a_reshard_and_ends_with_checkpoints(host: Host) -> None:
    host.write(failoverTimeMilis="1")
    kinesis = host.server.client()
    put(kinesis, 0, 100)
    with host.start() as running:
        host.until(lambda: len(host.numbers()) == 100, "the first records")
        kinesis.merge_shards(
            StreamName="orders", ShardToMerge="shardId-000000000000", AdjacentShardToMerge="shardId-000000000001"
        )
        host.until(lambda: "shardId-000000000002" in host.leases(), "the child's lease")
        put(kinesis, 100, 100)
        host.until(lambda: len(host.numbers()) == 200, "the child's records")
        running.send_signal(signal.SIGTERM)
        assert running.wait(SOON_S) == 0
    assert sorted(host.numbers()) == list(range(200))
    leases = host.leases()
    assert {leases[f"shardId-00000000000{number}"] for number in (0, 1)} == {("SHARD_END", None)}
    assert leases["shardId-000000000002"][0].isdigit()
    assert leases["shardId-000000000002"][1] is None
    measured = host.server.client("cloudwatch").list_metrics(Namespace="billing")["Metrics"]
    assert {"RecordsProcessed", "CurrentLeases"} <= {metric["MetricName"] for metric in measured}
    log = host.log.read_text()
    assert "not known, and passed over: failoverTimeMilis" in log
    assert "shardId-000000000000: hello from a child" in log
    assert "Traceback" not in log


def test_kcl_when_a_child_dies_then_its_shard_goes_on_from_its_checkpoint(host: Host) -> None:
    host.write("die")
    put(host.server.client(), 0, 100)
    with host.start() as running:
        host.until(lambda: set(host.numbers()) == set(range(100)), "every record")
        host.until(lambda: all(at.isdigit() for at, _ in host.leases().values()), "the checkpoints")
        running.send_signal(signal.SIGTERM)
        assert running.wait(SOON_S) == 0
    assert "begun anew" in host.log.read_text()
    assert "exit code 9" in host.log.read_text()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ({"executableName": "no-such-program"}, "there is no program no-such-program"),
        ({"streamName": ""}, "streamName is missing"),
        ({"maxRecords": "many"}, "a whole number is wanted"),
    ],
)
def test_kcl_when_the_properties_are_wrong_then_one_line_says_so(host: Host, lines: dict[str, str], told: str) -> None:
    host.write(**lines)
    with host.start() as running:
        assert running.wait(SOON_S) != 0
    [line] = host.log.read_text().splitlines()
    assert told in line


def test_kcl_when_there_is_no_file_then_one_line_says_so(host: Host) -> None:
    with host.start() as running:
        assert running.wait(SOON_S) != 0
    assert "cannot be read: No such file" in host.log.read_text()


def test_kcl_when_nobody_keeps_leases_then_one_line_says_so(host: Host) -> None:
    host.write()
    command = [sys.executable, "-m", "penstock", "kcl", "--properties", str(host.properties)]
    done = subprocess.run(
        [*command, "--endpoint", "http://127.0.0.1:1"], capture_output=True, text=True, timeout=SOON_S, check=False
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("penstock: no leases can be kept: ")
    assert "127.0.0.1:1" in line
