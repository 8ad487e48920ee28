"""Amazon's KCL for Python: the MultiLangDaemon of a wheel that bundles an older KCL than the Java tests run, and a processor of ours."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from kcl_worlds import SHARD_END, Feed, LeaseTable, assert_in_order_by_key, data_of
from programs import Line, Program, eventually
from served import Server, server
from toolchains import KCLPY, environment
from worlds import world

STREAM, APPLICATION = "orders", "pylons"
START_S, RESHARD_S, READ_S = 200, 120, 120
PARENT = "shardId-000000000000"


class Seen(NamedTuple):
    """What was put, what the processors tell, and where the parent's lease ended."""

    put: set[str]
    told: list[Line]
    checkpoint: str


@world
def multilang(directory: Path) -> Seen:
    """One worker, and a shard that is split while it reads."""
    with server(directory / "data", "--transition-ms", "0") as running:
        running.client().create_stream(StreamName=STREAM, ShardCount=2)
        feed, table, told = Feed(running.client(), STREAM), LeaseTable(running, APPLICATION), directory / "told"
        daemon = start(running, directory, told)
        eventually(lambda: bool(read(told, "batch")), START_S, "records come", daemon)
        running.client().split_shard(StreamName=STREAM, ShardToSplit=PARENT, NewStartingHashKey=str(2**126))
        eventually(lambda: len(shards(told, "initialized")) == 4, RESHARD_S, "the children are read", daemon)
        put = feed.stop()
        eventually(lambda: data_of(read(told, "batch")) >= put, READ_S, "everything is read", daemon)
        daemon.kill()
        return Seen(put, read(told, "batch", "shardEnded"), table.leases()[PARENT].checkpoint)


def start(running: Server, directory: Path, told: Path) -> Program:
    """The daemon as its helper script starts it."""
    python = KCLPY.build().parent / "bin/python"
    properties = directory / "application.properties"
    properties.write_text(
        "\n".join(
            [
                f"executableName = {python} {KCLPY.folder / 'processor.py'}",
                f"streamName = {STREAM}",
                f"applicationName = {APPLICATION}",
                "AwsCredentialsProvider = DefaultCredentialsProvider",
                "initialPositionInStream = TRIM_HORIZON",
                "retrievalMode = POLLING",
                "regionName = us-east-1",
                "idleTimeBetweenReadsInMillis = 250",
                "failoverTimeMillis = 3000",
                "parentShardPollIntervalMillis = 1000",
            ]
        )
    )
    [jars] = python.parent.parent.glob("lib/python*/site-packages/amazon_kclpy/jars")
    command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{jars}/*:{directory}"]
    command += ["software.amazon.kinesis.multilang.MultiLangDaemon", "--properties-file", str(properties)]
    return Program(command, {**environment(running), "COMPAT_TOLD": str(told)}, directory / "daemon.stderr")


def read(told: Path, *events: str) -> list[Line]:
    """What the processors have told so far; a line that is not whole yet waits."""
    text = told.read_text() if told.exists() else ""
    lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [line for line in lines if line["event"] in events]


def shards(told: Path, event: str) -> set[str]:
    return {line["shard"] for line in read(told, event)}


@pytest.mark.needs("kclpy")
@pytest.mark.plays(multilang)
def test_multilang_daemon_runs_a_python_processor_over_a_reshard() -> None:
    seen = multilang.outcome()
    batches = [line for line in seen.told if line["event"] == "batch"]
    assert data_of(batches) == seen.put
    assert_in_order_by_key(batches)
    assert {line["shard"] for line in seen.told if line["event"] == "shardEnded"} == {PARENT}
    assert seen.checkpoint == SHARD_END
