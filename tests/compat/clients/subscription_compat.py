"""Enhanced fan-out of the Java SDK for six minutes: AWS's five-minute subscriptions end, and are renewed, without loss or repetition."""

import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from programs import Line, Program, eventually
from served import Server, server
from toolchains import environment, java, trust_store
from worlds import world

SECONDS = 360
INTERVAL_S = 0.1
START_S, SLACK_S = 180, 120
LAST = "last"


class Seen(NamedTuple):
    """What was put, and what each subscriber tells."""

    put: list[str]
    told: dict[str, list[Line]]


@world
def six_minutes(directory: Path) -> Seen:
    """A record every tenth of a second; one subscriber on each port."""
    with server(directory / "data", "--transition-ms", "0", tls=True) as running:
        running.client().create_stream(StreamName="long", ShardCount=1)
        subscribers = {scheme: subscriber(running, directory, scheme) for scheme in ("http", "https")}
        programs = subscribers.values()
        eventually(
            lambda: all(one.lines("subscribing") for one in programs), START_S, "the first subscriptions", *programs
        )
        put = put_for_long(running)
        for program in programs:
            program.finish(SLACK_S)
        return Seen(
            put, {scheme: program.lines("record", "subscribing", "ended") for scheme, program in subscribers.items()}
        )


def subscriber(running: Server, directory: Path, scheme: str) -> Program:
    command = java("Subscriber", "long", scheme, LAST, trust=trust_store(running, directory, f"{scheme}.p12"))
    return Program(command, environment(running, tls=scheme == "https"), directory / f"{scheme}.stderr")


def put_for_long(running: Server) -> list[str]:
    """Sequence numbers of what is put, a record after the other; the last one says so."""
    kinesis, pause = running.client(), threading.Event()

    def put(text: str) -> str:
        return kinesis.put_record(StreamName="long", PartitionKey="k", Data=text.encode())["SequenceNumber"]

    numbers: list[str] = []
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        numbers.append(put(str(len(numbers))))
        pause.wait(INTERVAL_S)
    return [*numbers, put(LAST)]


@pytest.mark.needs("java")
@pytest.mark.plays(six_minutes)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_subscription_when_its_five_minutes_end_is_renewed_without_loss(scheme: str) -> None:
    seen = six_minutes.outcome()
    lines = seen.told[scheme]
    assert [line["sequence"] for line in lines if line["event"] == "record"] == seen.put
    first, *_ = [line for line in lines if line["event"] == "ended"]
    assert first["how"] == "complete"
    assert 299_000 < first["after_ms"] < 320_000
    assert [line["type"] for line in lines if line["event"] == "subscribing"] == [
        "TRIM_HORIZON",
        "AFTER_SEQUENCE_NUMBER",
    ]
