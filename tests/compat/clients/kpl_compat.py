"""KPL over TLS with our authority: what it puts is taken apart by KCL and by our consumer, and its metrics arrive."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from kcl_compat import fan_out, polling
from kcl_worlds import Fleet, LeaseTable
from kclpy_compat import multilang
from mixed_compat import mixed
from programs import Line, Program
from served import Server, server
from shared_compat import shared
from toolchains import environment, java, trust_store
from worlds import world

STREAM = "clicks"
RATE, SECONDS = 20_000, 30
RECORDS = RATE * SECONDS
START_S, WRITE_S, READ_S = 300, 420, 240
OTHERS = (polling, fan_out, multilang, mixed, shared)  # KPL wants the machine for itself


class Seen(NamedTuple):
    """What KPL tells, what each reader gave, and sums of metrics."""

    flushed: Line
    by_kcl: list[str]
    by_ours: list[str]
    metrics: dict[str, float]


@world
def producing(directory: Path) -> Seen:
    """KCL follows over TLS; ours reads when all is there."""
    with server(directory / "data", "--transition-ms", "0", tls=True) as running:
        running.client().create_stream(StreamName=STREAM, ShardCount=4)
        trust = trust_store(running, directory)
        kcl, ours = (Fleet(running, directory / name) for name in ("kcl", "ours"))
        for other in OTHERS:
            other.wait()
        kcl.start("kcl", java("KclWorker", "kcl", STREAM, "kcl", "polling", trust=trust), tls=True)
        table = LeaseTable(running, "kcl")
        kcl.until(lambda: table.open_leases()["kcl"] == 4, START_S, "KCL has leases")
        flushed = write(running, directory)
        kcl.until(lambda: count(kcl.told("batch")) >= RECORDS, READ_S, "KCL has read everything")
        kcl.stop("kcl", READ_S)
        ours.start(
            "ours", [sys.executable, str(Path(__file__).with_name("our_worker.py")), "ours", STREAM, "ours"], tls=True
        )
        ours.until(lambda: count(ours.told("batch")) >= RECORDS, READ_S, "ours has read everything")
        ours.kill("ours")
        return Seen(flushed, words(kcl.told("batch")), words(ours.told("batch")), metrics(running))


def write(running: Server, directory: Path) -> Line:
    """Run KPL to its end."""
    assert running.ca is not None
    trust = directory / "trust.p12"
    command = java(
        "KplWriter", STREAM, str(RATE), str(SECONDS), running.ca, trust=trust, options=("-XX:TieredStopAtLevel=4",)
    )
    writer = Program(command, environment(running, tls=True), directory / "kpl.stderr")
    writer.finish(WRITE_S)
    [flushed] = writer.lines("flushed")
    return flushed


def count(batches: Iterable[Line]) -> int:
    return sum(len(line["data"]) for line in batches)


def words(batches: Iterable[Line]) -> list[str]:
    return [word for line in batches for word in line["data"]]


def metrics(running: Server) -> dict[str, float]:
    """Sums over the whole run, from the CloudWatch API."""
    cloudwatch: Any = boto3.client(
        "cloudwatch",
        endpoint_url=running.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    now = datetime.now(UTC)  # noqa: TID251

    def total(namespace: str, name: str, **dimensions: str) -> float:
        answer = cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName=name, Period=60, Statistics=["Sum"],
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1),
        )  # fmt: skip
        return float(sum(point["Sum"] for point in answer["Datapoints"]))

    kpl = {
        name: total("KinesisProducerLibrary", name, StreamName=STREAM)
        for name in ("UserRecordsPut", "KinesisRecordsPut")
    }
    listed = cloudwatch.list_metrics(Namespace="kcl", MetricName="RecordsProcessed")["Metrics"]
    processed = [
        total("kcl", "RecordsProcessed", **{d["Name"]: d["Value"] for d in one["Dimensions"]}) for one in listed
    ]
    return {**kpl, "RecordsProcessed": sum(processed)}


@pytest.mark.needs("java")
@pytest.mark.plays(producing)
def test_what_kpl_aggregates_is_read_by_kcl_and_by_our_consumer() -> None:
    seen = producing.outcome()
    assert (seen.flushed["good"], seen.flushed["bad"]) == (RECORDS, 0)
    for read in (seen.by_kcl, seen.by_ours):
        assert set(read) == {str(number) for number in range(RECORDS)}
    assert seen.metrics["UserRecordsPut"] == RECORDS
    assert 0 < seen.metrics["KinesisRecordsPut"] < RECORDS / 10
    assert seen.metrics["RecordsProcessed"] >= RECORDS
