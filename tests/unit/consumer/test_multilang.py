"""The MultiLang host: its protocol, its properties, and children that behave or do not."""

import asyncio
import base64
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.consumer.feed import Record
from penstock.consumer.multilang import child as child_module
from penstock.consumer.multilang import protocol
from penstock.consumer.multilang.child import ChildProcessor
from penstock.consumer.multilang.properties import BadProperties, parse, settings_of
from penstock.consumer.multilang.protocol import BadAnswer, CheckpointAsked, Noise, Status
from penstock.consumer.position import FROM_OLDEST, Begin, Checkpoint
from penstock.consumer.processor import BadCheckpoint, Batch, ProcessorBroken
from penstock.consumer.store import StoreUnavailable
from penstock.consumer.tenure import LeaseLost

SHARD = "shardId-000000000003"
RECORD = Record(b"hello", "key", "123", 4, 1_700_000_000_123)
NEEDED = {"executableName": "app.py", "streamName": "orders", "applicationName": "billing"}

OBEDIENT = """
import json, sys
for line in sys.stdin:
    said = json.loads(line)
    action = said["action"]
    print(line, file=sys.stderr, end="", flush=True)
    if action in ("processRecords", "shardEnded", "shutdownRequested"):
        number = said["records"][-1]["sequenceNumber"] if action == "processRecords" else None
        print(json.dumps({"action": "checkpoint", "sequenceNumber": number, "subSequenceNumber": 4}), flush=True)
        print("reply", sys.stdin.readline().strip(), file=sys.stderr, flush=True)
    print(json.dumps({"action": "status", "responseFor": action}), flush=True)
"""
ANSWERS = 'import sys, json\nfor line in sys.stdin:\n    action = json.loads(line)["action"]\n    '


def test_read_when_lines_come_then_messages_and_noise_are_told_apart() -> None:
    assert protocol.read(b'{"action": "status", "responseFor": "initialize"}\n') == Status("initialize")
    assert protocol.read(b'{"action":"checkpoint","sequenceNumber":"5","subSequenceNumber":2}') == CheckpointAsked(
        Checkpoint("5", 2)
    )
    assert protocol.read(b'{"action":"checkpoint","sequenceNumber":null}') == CheckpointAsked(None)
    assert protocol.read(b"debug: starting\n") == Noise("debug: starting")
    assert protocol.read(b'{"level": "info"}\n') == Noise('{"level": "info"}')
    assert protocol.read(b"\n") == Noise("")


@pytest.mark.parametrize(
    "line", [b'{"action":"dance"}', b'{"action":"status"}', b'{"action":"checkpoint","sequenceNumber":"x"}']
)
def test_read_when_a_message_makes_no_sense_then_it_is_refused(line: bytes) -> None:
    with pytest.raises(BadAnswer):
        protocol.read(line)


@given(st.binary(max_size=200))
def test_read_when_anything_comes_then_it_is_noise_or_refused(line: bytes) -> None:
    with suppress(BadAnswer):
        protocol.read(line)


def test_process_records_when_written_then_it_is_kcls_line() -> None:
    line = protocol.process_records([RECORD], 17)
    assert line.endswith(b"\n")
    said = json.loads(line)
    [record] = said["records"]
    assert base64.b64decode(record.pop("data")) == b"hello"
    assert record == {
        "action": "record",
        "partitionKey": "key",
        "sequenceNumber": "123",
        "subSequenceNumber": 4,
        "approximateArrivalTimestamp": 1_700_000_000_123,
    }
    assert (said["action"], said["millisBehindLatest"]) == ("processRecords", 17)


def test_properties_when_java_writes_them_then_they_are_read() -> None:
    text = "# c\n! c\na = 1\n b:2\nc 3\nd=x\\\n   y\\tz\ne\\ f = \\u00e9\n\nempty=\n"
    assert parse(text) == {"a": "1", "b": "2", "c": "3", "d": "xy\tz", "e f": "é", "empty": ""}


@given(st.text(max_size=200))
def test_properties_when_anything_is_given_then_it_is_read(text: str) -> None:
    parse(text)


def test_settings_when_kcls_keys_are_given_then_they_are_taken() -> None:
    settings = settings_of(
        NEEDED
        | {
            "initialPositionInStream": "trim_horizon",
            "retrievalMode": "POLLING",
            "failoverTimeMillis": "5000",
            "maxRecords": "500",
            "idleTimeBetweenReadsInMillis": "1000",
            "kinesisEndpoint": "http://localhost:4566",
            "metricsLevel": "NONE",
            "AWSCredentialsProvider": "DefaultCredentialsProvider",
        }
    )
    assert (settings.begin, settings.fan_out) == (Begin("TRIM_HORIZON"), False)
    assert (settings.rhythm.failover_ms, settings.pace.limit, settings.pace.idle_ms) == (5000, 500, 1000)
    assert settings.kinesis_endpoint == "http://localhost:4566"
    assert settings.unknown == ()


def test_settings_when_nothing_is_said_then_they_are_kcls() -> None:
    settings = settings_of(NEEDED)
    assert (settings.begin.kind, settings.fan_out) == ("LATEST", True)
    assert (settings.rhythm.failover_ms, settings.pace.idle_ms, settings.pace.limit) == (10_000, 1_500, 10_000)


def test_settings_when_a_key_is_nobodys_then_it_is_told() -> None:
    assert settings_of(NEEDED | {"failoverTimeMilis": "5"}).unknown == ("failoverTimeMilis",)


def test_settings_when_an_arn_and_a_name_are_given_then_the_arn_counts() -> None:
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
    assert settings_of(NEEDED | {"streamArn": arn}).stream == arn


def test_settings_when_a_time_is_given_then_it_begins_there() -> None:
    assert settings_of(NEEDED | {"initialPositionInStreamExtended": "1636609142"}).begin.at_ms == 1_636_609_142_000


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"executableName": ""}, "executableName is missing"),
        ({"streamName": ""}, "streamName is missing"),
        ({"failoverTimeMillis": "soon"}, "failovertimemillis = soon: a whole number is wanted"),
        ({"retrievalMode": "PIGEON"}, "retrievalmode = PIGEON"),
        ({"initialPositionInStream": "MIDDLE"}, "initialpositioninstream = MIDDLE"),
        ({"initialPositionInStream": "AT_TIMESTAMP"}, "initialPositionInStreamExtended"),
    ],
)
def test_settings_when_a_value_is_wrong_then_it_is_said_which(given: dict[str, str], told: str) -> None:
    with pytest.raises(BadProperties, match=told):
        settings_of(NEEDED | given)


class Checkpoints:
    """A checkpointer that notes, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.made: list[object] = []
        self._error = error

    async def checkpoint(self, at: object = None) -> None:
        if self._error is not None:
            raise self._error
        self.made.append(at)


def play(script: str, scene: Callable[[ChildProcessor], Awaitable[None]], patience_s: float = 20.0) -> None:
    async def run() -> None:
        child = ChildProcessor([sys.executable, "-c", script], patience_s)
        try:
            await child.initialize(SHARD, FROM_OLDEST)
            await scene(child)
        finally:
            await child.close()
            assert child._process is not None
            assert child._process.returncode is not None

    asyncio.run(run())


def batch(checkpoints: Checkpoints) -> Batch:
    return Batch(SHARD, [RECORD], 0, checkpoints)


def test_child_when_it_obeys_then_it_lives_through_a_shard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock.kcl")
    checkpoints = Checkpoints()

    async def scene(child: ChildProcessor) -> None:
        await child.process_records(batch(checkpoints))
        await child.shutdown_requested(checkpoints)
        await child.shard_ended(checkpoints)

    play(OBEDIENT, scene)
    assert checkpoints.made == [Checkpoint("123", 4), None, None]
    heard = [record.getMessage().removeprefix(f"{SHARD}: ") for record in caplog.records]
    assert json.loads(heard[0]) == {
        "action": "initialize",
        "shardId": SHARD,
        "sequenceNumber": "TRIM_HORIZON",
        "subSequenceNumber": 0,
    }
    [reply] = [json.loads(line.removeprefix("reply ")) for line in heard if line.startswith("reply")][:1]
    assert reply == {"action": "checkpoint", "sequenceNumber": "123", "subSequenceNumber": 4, "error": None}


def test_child_when_it_leaves_before_the_end_then_it_is_told_that_the_lease_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "penstock.kcl")

    async def scene(child: ChildProcessor) -> None:
        await child.shutdown_requested(Checkpoints())

    play(OBEDIENT, scene)
    assert any('"leaseLost"' in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (LeaseLost(SHARD), "ShutdownException"),
        (StoreUnavailable("away"), "ThrottlingException"),
        (BadCheckpoint("no"), "IllegalArgumentException"),
    ],
)
def test_child_when_a_checkpoint_fails_then_it_is_told_by_kcls_name(
    error: Exception, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "penstock.kcl")

    async def scene(child: ChildProcessor) -> None:
        await child.process_records(batch(Checkpoints(error)))

    play(OBEDIENT, scene)
    assert any(f'"error":"{name}"' in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import sys; sys.stdin.readline(); sys.exit(3)", "exit code 3"),
        (ANSWERS + 'print(json.dumps({"action": "status", "responseFor": "dance"}), flush=True)', "a status for dance"),
        (ANSWERS + 'print(json.dumps({"action": "dance"}), flush=True)', "neither a checkpoint nor a status"),
        ("import sys; sys.stdin.close(); sys.stdout.close()", "the child cannot be spoken to"),
    ],
)
def test_child_when_it_dies_or_talks_nonsense_then_its_shard_begins_anew(script: str, told: str) -> None:
    async def scene(child: ChildProcessor) -> None:
        raise AssertionError("it should not have been initialized")

    with pytest.raises(ProcessorBroken, match=told):
        play(script, scene)


def test_child_when_it_hangs_then_it_is_killed() -> None:
    with pytest.raises(ProcessorBroken, match=r"no answer to initialize within 0\.2 s"):
        play("import signal; signal.pause()", lambda _: asyncio.Event().wait(), 0.2)  # type: ignore[arg-type, return-value]


def test_child_when_it_ignores_the_end_of_its_input_then_it_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "GOODBYE_S", 0.3)
    script = "import signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    script += 'print(\'{"action": "status", "responseFor": "initialize"}\', flush=True)\nwhile True: signal.pause()'

    async def scene(_: ChildProcessor) -> None:
        """Nothing more."""

    play(script, scene)


def test_child_when_it_prints_a_line_without_end_then_memory_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock.kcl")
    script = (
        ANSWERS + 'print("x" * 5_000_000); print(json.dumps({"action": "status", "responseFor": action}), flush=True)'
    )

    async def scene(child: ChildProcessor) -> None:
        await child.process_records(batch(Checkpoints()))

    play(script, scene)
    assert max(len(record.getMessage()) for record in caplog.records) < 1000
    assert any("a line of more than" in record.getMessage() for record in caplog.records)


def test_child_when_it_does_not_checkpoint_at_the_end_then_the_shard_is_not_done() -> None:
    script = ANSWERS + 'print(json.dumps({"action": "status", "responseFor": action}), flush=True)'

    async def scene(child: ChildProcessor) -> None:
        await child.shard_ended(Checkpoints())

    with pytest.raises(ProcessorBroken, match="did not checkpoint at the end"):
        play(script, scene)
