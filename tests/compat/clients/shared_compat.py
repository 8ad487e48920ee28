"""One application, two implementations: a worker of KCL's in Java, and `penstock kcl` with Amazon's Python library, on KCL's own lease table."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from kcl_worlds import SHARD_END, Feed, LeaseTable, assert_in_order_by_key, data_of
from kclpy_compat import read, shards
from programs import Line, Program, eventually
from served import Server, server
from toolchains import KCLPY, environment, java
from worlds import world

STREAM, APPLICATION = "orders", "shared"
START_S, BALANCE_S, RESHARD_S, TAKEOVER_S, READ_S = 200, 150, 120, 120, 120
PARENT = "shardId-000000000000"
OURS = "ours"


class Seen(NamedTuple):
    """What was put, what both tell, and how far the parent was read."""

    put: set[str]
    batches: list[Line]
    checkpoint: str


@world
def shared(directory: Path) -> Seen:
    """Java leads and gives ours its share; a shard is split; Java is killed and ours has everything."""
    with server(directory / "data", "--transition-ms", "0") as running:
        running.client().create_stream(StreamName=STREAM, ShardCount=4)
        feed, table, told = Feed(running.client(), STREAM), LeaseTable(running, APPLICATION), directory / "told"
        theirs = Program(
            java("KclWorker", APPLICATION, STREAM, "java", "polling"), environment(running), directory / "java.stderr"
        )
        eventually(lambda: bool(table.open_leases()), START_S, "the Java worker has leases", theirs)
        ours = start(running, directory, told)
        try:
            eventually(lambda: table.open_leases() == {"java": 2, OURS: 2}, BALANCE_S, "leases are shared", theirs)
            running.client().split_shard(StreamName=STREAM, ShardToSplit=PARENT, NewStartingHashKey=str(2**125))
            eventually(lambda: table.leases()[PARENT].checkpoint == SHARD_END, RESHARD_S, "the shard has ended", theirs)
            theirs.kill()
            eventually(lambda: set(table.open_leases()) == {OURS}, TAKEOVER_S, "ours has every lease")
            put = feed.stop()

            def batches() -> list[Line]:
                return [*theirs.lines("batch"), *read(told, "batch")]

            eventually(lambda: data_of(batches()) >= put, READ_S, "everything is read")
            assert shards(told, "initialized")
            return Seen(put, batches(), table.leases()[PARENT].checkpoint)
        finally:
            ours.terminate()
            ours.wait(60)


def start(running: Server, directory: Path, told: Path) -> "subprocess.Popen[bytes]":
    """Our host with Amazon's library; what it logs is in the world's directory."""
    python = KCLPY.build().parent / "bin/python"
    properties = directory / "application.properties"
    lines = {
        "executableName": f"{python} {KCLPY.folder / 'processor.py'}",
        "streamName": STREAM,
        "applicationName": APPLICATION,
        "initialPositionInStream": "TRIM_HORIZON",
        "retrievalMode": "POLLING",
        "regionName": "us-east-1",
        "workerId": OURS,
        "failoverTimeMillis": "3000",
        "idleTimeBetweenReadsInMillis": "250",
    }
    properties.write_text("\n".join(f"{key} = {value}" for key, value in lines.items()))
    with (directory / "ours.stderr").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "penstock", "kcl", "--properties", str(properties)],
            env={**os.environ, **environment(running), "COMPAT_TOLD": str(told)},
            stderr=log,
        )


@pytest.mark.needs("java")
@pytest.mark.needs("kclpy")
@pytest.mark.plays(shared)
def test_kcl_in_java_and_ours_share_an_application() -> None:
    seen = shared.outcome()
    assert data_of(seen.batches) == seen.put
    assert_in_order_by_key(seen.batches)
    assert seen.checkpoint == SHARD_END
