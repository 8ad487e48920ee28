"""`penstock.testing` as users' suites rely on it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest

from penstock.testing import PenstockServer


@pytest.mark.parametrize("engine", ["memory", "local"])
def test_reset_leaves_nothing_behind(engine: str) -> None:
    with PenstockServer(engine=engine) as server:
        kinesis = server.client()
        kinesis.create_stream(StreamName="a", ShardCount=1)
        kinesis.put_record(StreamName="a", Data=b"d", PartitionKey="k")
        server.faults.throttle("a")
        before = server.clock.now_ms
        server.clock.advance(hours=1)
        server.reset()
        assert server.clock.now_ms < before + 1800_000
        assert kinesis.list_streams()["StreamNames"] == []
        kinesis.create_stream(StreamName="a", ShardCount=1)
        kinesis.put_record(StreamName="a", Data=b"d", PartitionKey="k")


def test_clock_when_it_stands_moves_only_when_advanced(penstock: PenstockServer) -> None:
    penstock.clock.stand()
    at_ms = penstock.clock.now_ms
    while time.time_ns() // 1_000_000 <= at_ms + 10:  # noqa: TID251 - the machine's own time
        penstock.client().list_streams()
    assert penstock.clock.now_ms == at_ms
    penstock.clock.advance(seconds=1)
    assert penstock.clock.now_ms == at_ms + 1000
    penstock.reset()
    assert penstock.clock.now_ms > at_ms


def test_the_fixture_sets_the_environment_for_the_code_under_test(penstock: PenstockServer) -> None:
    boto3.client("kinesis").create_stream(StreamName="found", ShardCount=1)
    assert penstock.client().list_streams()["StreamNames"] == ["found"]
    assert os.environ["AWS_ENDPOINT_URL"] == penstock.endpoint_url


def test_the_plugin_is_found_by_a_suite_that_only_installed_penstock(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "def test_it(penstock):\n"
        "    kinesis = penstock.client('kinesis')\n"
        "    kinesis.create_stream(StreamName='orders', ShardCount=2)\n"
        "    penstock.clock.advance(minutes=5)\n"
        "    assert kinesis.list_streams()['StreamNames'] == ['orders']\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "1 passed" in done.stdout, done.stdout


def test_mistakes_are_told_at_once() -> None:
    with PenstockServer() as server:
        with pytest.raises(ValueError, match="no shard id"):
            server.faults.throttle("a", "first")
        with pytest.raises(ValueError, match="fraction"):
            server.faults.fail_puts("a", 1.5)
