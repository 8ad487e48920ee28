"""What is measured: one row per scenario, and the functions that carry one out against a running server.

Theory.  Each measurement is of a server just started, so that nothing of an earlier one is left in it: the stream is fresh, and what
it holds is freed with its process.  Volume is bounded by time and by `STORED_MAX_BYTES`.  A scenario belongs to a room, so that a
figure that falls names where to look: `engine` (the log alone), `wire` (bytes to operations and back, and whole requests, in one
process without sockets; bench/rooms.py), `server` (end to end).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from bench import h2, payload, push
from bench.audit import Audit, audit
from bench.load import Outcome, Plan, run_apart
from bench.payload import (
    CBOR,
    JSON,
    PAGE_RECORD_BYTES,
    PAGE_RECORDS,
    PUT_RECORD_BYTES,
    PUT_RECORDS_BYTES,
    PUT_RECORDS_COUNT,
    Wire,
)
from bench.processes import tree_rss_mib
from bench.servers import Part, RefusedCall, Running, pause

SHARDS: Final = 8
WIDE_SHARDS: Final = 10_000
STREAM: Final = "bench"
STORED_MAX_BYTES: Final = 2_000_000_000  # of record data that a window may store
VARIANTS: Final = 8  # bodies of PutRecords
BATCH_CONNECTIONS: Final = 16
SINGLE_CONNECTIONS: Final = 64
PAGE_CONNECTIONS: Final = 4
PUSHED_BYTES: Final = 1024  # of a record whose push is timed
PUSH_RATE: Final = 5000  # records a second
PUSH_CONNECTIONS: Final = 32
FAN_OUT: Final = 10
MB: Final = 1_000_000

Room = Literal["engine", "wire", "server"]


class Timing(msgspec.Struct, frozen=True):
    """How long load lasts."""

    warmup_s: float
    window_s: float
    audited: bool = True  # what was acknowledged is read back


class Measured(msgspec.Struct, kw_only=True):
    """One measurement.  Without values, `failure` says why."""

    values: dict[str, float] = {}  # by the name of a figure
    failure: str | None = None
    load: Outcome | None = None
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a scenario gives."""

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower"]
    floor: float | None = None  # what Penstock must reach, in `unit`
    aim: float | None = None  # what it should


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done to a server, and the figures that come of it."""

    name: str
    room: Room
    title: str
    figures: tuple[Figure, ...]
    measure: Callable[[Running, Timing], Measured] | None  # None: it is measured in one process (bench/rooms.py)
    parts: frozenset[Part] = frozenset({Part.US})
    rounds_max: int | None = None  # for what is told beside the targets


def _start(running: Running, _: Timing) -> Measured:
    return Measured(values={"start": running.ready_s, "idle-memory": tree_rss_mib(running.pid)})


def _put_records(name: str, wire: Wire, shards: int = SHARDS) -> Callable[[Running, Timing], Measured]:
    def measure(running: Running, timing: Timing) -> Measured:
        running.create_stream(STREAM, shards)
        outcome = run_apart(
            Plan(
                port=running.port,
                server_pid=running.pid,
                requests=running.http_requests("PutRecords", batches(), wire),
                connections=BATCH_CONNECTIONS,
                warmup_s=timing.warmup_s,
                window_s=timing.window_s,
                answers_max=STORED_MAX_BYTES // (PUT_RECORDS_COUNT * PUT_RECORDS_BYTES),
                pattern=wire.all_written,
                marker=wire.number_marker,
                markers=PUT_RECORDS_COUNT,
            )
        )
        return _audited(running, _rated(name, outcome, PUT_RECORDS_COUNT), timing, shards)

    return measure


def batches() -> list[dict[str, Any]]:
    """Documents of PutRecords."""
    return [
        payload.put_records(STREAM, payload.records(PUT_RECORDS_COUNT, PUT_RECORDS_BYTES, batch))
        for batch in range(VARIANTS)
    ]


def singles() -> list[dict[str, Any]]:
    """Documents of PutRecord."""
    return [payload.put_record(STREAM, record) for record in payload.records(PUT_RECORDS_COUNT, PUT_RECORD_BYTES)]


def _put_record(name: str, connections: int, shards: int = SHARDS) -> Callable[[Running, Timing], Measured]:
    def measure(running: Running, timing: Timing) -> Measured:
        running.create_stream(STREAM, shards)
        outcome = run_apart(
            Plan(
                port=running.port,
                server_pid=running.pid,
                requests=running.http_requests("PutRecord", singles()),
                connections=connections,
                warmup_s=timing.warmup_s,
                window_s=timing.window_s,
                answers_max=STORED_MAX_BYTES // PUT_RECORD_BYTES,
                pattern=rb'"ShardId"',
                marker=JSON.number_marker,
                markers=1,
            )
        )
        measured = _rated(name, outcome, 1)
        if measured.values and connections == 1:
            measured.values = {f"{name} p50": outcome.latency_p50_ms, f"{name} p99": outcome.latency_p99_ms}
        return _audited(running, measured, timing, shards)

    return measure


def _get_records(name: str, shards: int = 1) -> Callable[[Running, Timing], Measured]:
    def measure(running: Running, timing: Timing) -> Measured:
        running.create_stream(STREAM, shards)
        iterator, page_records = _fill_shard(running)
        document = {"ShardIterator": iterator, "Limit": PAGE_RECORDS}
        outcome = run_apart(
            Plan(
                port=running.port,
                server_pid=running.pid,
                requests=running.http_requests("GetRecords", [document]),
                connections=PAGE_CONNECTIONS,
                warmup_s=timing.warmup_s,
                window_s=timing.window_s,
                answers_max=100_000,
                pattern=JSON.behind,
                marker=JSON.key_marker,
                markers=page_records,
            )
        )
        return _rated(name, outcome, page_records * PAGE_RECORD_BYTES / MB)

    return measure


def _fill_shard(running: Running) -> tuple[str, int]:
    """Write `PAGE_RECORDS` to the first shard and read them back; an iterator at the first, and how many of them one call returns.

    Raises RefusedCall where what is read is not what was written.
    """
    written = payload.records(PAGE_RECORDS, PAGE_RECORD_BYTES)
    with running.client() as client:
        for at in range(0, PAGE_RECORDS, PUT_RECORDS_COUNT):
            document = payload.put_records(STREAM, written[at : at + PUT_RECORDS_COUNT])
            for entry in document["Records"]:
                entry["ExplicitHashKey"] = "0"
            answer = client.call("PutRecords", document)
            if answer["FailedRecordCount"] != 0:
                raise RefusedCall(f"PutRecords: {answer['FailedRecordCount']} records failed")
        asked = {"StreamName": STREAM, "ShardId": push.SHARD, "ShardIteratorType": "TRIM_HORIZON"}
        first: str = client.call("GetShardIterator", asked)["ShardIterator"]
        pages = [client.call("GetRecords", {"ShardIterator": first, "Limit": PAGE_RECORDS})]
        while pages[-1]["Records"] and sum(len(page["Records"]) for page in pages) < PAGE_RECORDS:
            following = {"ShardIterator": pages[-1]["NextShardIterator"], "Limit": PAGE_RECORDS}
            pages.append(client.call("GetRecords", following))
    read = [(each["PartitionKey"], msgspec.convert(each["Data"], bytes)) for page in pages for each in page["Records"]]
    if Counter(read) != Counter((record.key, record.data) for record in written) and running.server.part != Part.NULL:
        raise RefusedCall(f"GetRecords: {len(read)} records that are not the {len(written)} written")
    return first, len(pages[0]["Records"])


def _subscriptions(running: Running, count: int) -> list[bytes]:
    """Register consumers of a new stream of one shard; requests to subscribe, one for each."""
    running.create_stream(STREAM, 1)
    with running.client() as client:
        told = client.call("DescribeStreamSummary", {"StreamName": STREAM})["StreamDescriptionSummary"]
        found = [
            client.call("RegisterStreamConsumer", {"StreamARN": told["StreamARN"], "ConsumerName": f"c-{number}"})
            for number in range(count)
        ]
        arns = [each["Consumer"]["ConsumerARN"] for each in found]
        for arn in arns:
            for _ in range(1000):
                told = client.call("DescribeStreamConsumer", {"ConsumerARN": arn})["ConsumerDescription"]
                if told["ConsumerStatus"] == "ACTIVE":
                    break
                pause(0.01)
    documents = [{"ConsumerARN": arn, "ShardId": push.SHARD, "StartingPosition": {"Type": "LATEST"}} for arn in arns]
    return running.http_requests("SubscribeToShard", documents)


def _push(name: str, rate: int, consumers: int) -> Callable[[Running, Timing], Measured]:
    def measure(running: Running, timing: Timing) -> Measured:
        subscriptions = _subscriptions(running, consumers)
        [record] = payload.records(1, PUSHED_BYTES)
        count = round(rate * (timing.warmup_s + timing.window_s))
        outcome = push.run_apart(
            push.Plan(
                port=running.port,
                server_pid=running.pid,
                subscriptions=subscriptions,
                requests=running.http_requests(
                    "PutRecord",
                    (payload.put_record(STREAM, record._replace(key=push.key(number))) for number in range(count + 1)),
                ),
                records=1,
                rate=rate,
                connections=PUSH_CONNECTIONS,
                warmup_s=timing.warmup_s,
                window_s=timing.window_s,
            )
        )
        measured = _rated(name, outcome, 1)
        if measured.values:
            measured.values = {
                f"{name} p50": outcome.latency_p50_ms,
                f"{name} p99": outcome.latency_p99_ms,
                f"{name} after the answer p50": outcome.after_answer_p50_ms or push.QUICKEST_MS,
            }
        return measured

    return measure


def _fan_out(running: Running, timing: Timing) -> Measured:
    subscriptions = _subscriptions(running, FAN_OUT)
    outcome = push.run_apart(
        push.Plan(
            port=running.port,
            server_pid=running.pid,
            subscriptions=subscriptions,
            requests=running.http_requests("PutRecords", batches()),
            records=PUT_RECORDS_COUNT,
            rate=0,
            connections=PAGE_CONNECTIONS,
            warmup_s=timing.warmup_s,
            window_s=timing.window_s,
        )
    )
    return _rated("fan-out", outcome, PUT_RECORDS_BYTES / MB)


def _h2load(name: str, protocol: h2.Protocol, operation: str) -> Callable[[Running, Timing], Measured]:
    documents, connections, records = {
        "PutRecord": (singles, SINGLE_CONNECTIONS, 1),
        "PutRecords": (batches, BATCH_CONNECTIONS, PUT_RECORDS_COUNT),
    }[operation]

    def measure(running: Running, timing: Timing) -> Measured:
        running.create_stream(STREAM, SHARDS)
        outcome = h2.run(running, protocol, operation, documents()[0], connections, timing.warmup_s, timing.window_s)
        return _rated(name, outcome, records)

    return measure


def _audited(running: Running, measured: Measured, timing: Timing, shards: int) -> Measured:
    """A measurement of writes, with the audit of what they left; reading 10,000 shards would take longer than all else."""
    wanted = timing.audited and shards == SHARDS and running.server.part != Part.NULL
    if wanted and measured.load is not None and measured.failure is None:
        measured.audit = audit(running, STREAM, measured.load.acknowledged)
    return measured


def _rated(name: str, outcome: Outcome, per_answer: float) -> Measured:
    """A rate of what each answer stands for; none if any answer was wrong."""
    if outcome.failures:
        return Measured(failure=f"{outcome.failures} requests failed; the first: {outcome.failure}", load=outcome)
    if not outcome.answers:
        return Measured(failure=f"no answer within {outcome.window_s:.0f} s", load=outcome)
    return Measured(values={name: outcome.answers * per_answer / outcome.window_s}, load=outcome)


def _rate(name: str, title: str, unit: str, floor: float | None = None, aim: float | None = None) -> Figure:
    return Figure(name, title, unit, "higher", floor, aim)


def _least(name: str, title: str, unit: str, floor: float | None = None, aim: float | None = None) -> Figure:
    return Figure(name, title, unit, "lower", floor, aim)


ALL: Final = frozenset({Part.US, Part.VARIANT, Part.PEER, Part.NULL})
FEW: Final = frozenset({Part.US, Part.PEER, Part.NULL})
PROCESSES: Final = frozenset({Part.US, Part.VARIANT, Part.PEER})
ALONE: Final = frozenset({Part.US})
TLS_ONLY: Final = frozenset({Part.TLS})
EXTRA_ROUNDS: Final = 3

_SERVER: Final = [  # what is compared is measured one after the other: a shared machine changes its pace within minutes
    Scenario("start", "server", "a process, to its first good answer (ListStreams)", (
        _least("start", "start to first answer", "s", 0.6, 0.35),
        _least("idle-memory", "idle memory, whole process tree", "MiB", 80, 60),
    ), _start, PROCESSES),
    Scenario("put-records", "server", "PutRecords, 500 records of 1,024 bytes, JSON, 16 connections, 8 shards", (
        _rate("put-records", "PutRecords 500 x 1 KB, JSON", "records/s", 150_000, 300_000),
    ), _put_records("put-records", JSON), ALL),
    Scenario("wide-put-records", "server", "put-records with 10,000 shards", (
        _rate("wide-put-records", "PutRecords 500 x 1 KB, 10,000 shards", "records/s"),
    ), _put_records("wide-put-records", JSON, WIDE_SHARDS)),
    Scenario("put-records-cbor", "server", "the same in CBOR", (
        _rate("put-records-cbor", "PutRecords 500 x 1 KB, CBOR", "records/s", 180_000, 400_000),
    ), _put_records("put-records-cbor", CBOR), FEW),
    Scenario("put-record", "server", "PutRecord, 100 bytes, JSON, 64 connections, 8 shards", (
        _rate("put-record", "PutRecord 100 B, 64 connections", "records/s", 12_000, 30_000),
    ), _put_record("put-record", SINGLE_CONNECTIONS), ALL),
    Scenario("wide-put-record", "server", "put-record with 10,000 shards", (
        _rate("wide-put-record", "PutRecord 100 B, 10,000 shards", "records/s"),
    ), _put_record("wide-put-record", SINGLE_CONNECTIONS, WIDE_SHARDS)),
    Scenario("put-record-1", "server", "PutRecord, 100 bytes, JSON, 1 connection, 8 shards", (
        _least("put-record-1 p50", "PutRecord 100 B, 1 connection, p50", "ms", 1.0, 0.5),
        _least("put-record-1 p99", "PutRecord 100 B, 1 connection, p99", "ms", 3.0, 1.5),
    ), _put_record("put-record-1", 1), ALL),
    Scenario("get-records", "server", "GetRecords, pages of 10,000 records of 1,000 bytes (some peers cut them), JSON, 4 connections", (
        _rate("get-records", "GetRecords 10,000 x 1 KB", "MB/s", 300, 600),
    ), _get_records("get-records"), ALL),
    Scenario("wide-get-records", "server", "get-records from one of 10,000 shards", (
        _rate("wide-get-records", "GetRecords 10,000 x 1 KB, 10,000 shards", "MB/s"),
    ), _get_records("wide-get-records", WIDE_SHARDS)),
    Scenario("fan-out", "server", "PutRecords, 500 records of 1,024 bytes, JSON, 4 connections, one shard, pushed to 10 consumers", (
        _rate("fan-out", "fan-out to 10 subscribers of one shard", "MB/s", 400, 1000),
    ), _fan_out, FEW),
    Scenario("push", "server", "5,000 records/s of 1,024 bytes put singly, 1 consumer of one shard: from the put's start to the push", (
        _least("push p50", "put to push at 5,000 records/s, p50", "ms", 3, 1.5),
        _least("push p99", "put to push at 5,000 records/s, p99", "ms", 10, 5),
        _least("push after the answer p50", "from the put's answer to the push, p50", "ms"),
    ), _push("push", PUSH_RATE, 1), FEW),
    Scenario("push-20", "server", "1,000 records/s of 1,024 bytes put singly, 20 consumers of one shard", (
        _least("push-20 p50", "put to push at 1,000 records/s, 20 consumers, p50", "ms"),
        _least("push-20 p99", "put to push at 1,000 records/s, 20 consumers, p99", "ms"),
    ), _push("push-20", 1000, 20), rounds_max=EXTRA_ROUNDS),
    *(
        Scenario(f"{row}-{protocol.name}", "server", f"{row} by h2load over {protocol.title}", (
            _rate(f"{row}-{protocol.name}", f"{operation}, {protocol.title}, by h2load", "records/s"),
        ), _h2load(f"{row}-{protocol.name}", protocol, operation), TLS_ONLY, EXTRA_ROUNDS)
        for protocol in h2.PROTOCOLS
        for row, operation in (("put-record", "PutRecord"), ("put-records", "PutRecords"))
        if operation == "PutRecord" or protocol.tls
    ),
]  # fmt: skip

_ROOMS: Final = [
    Scenario("engine", "engine", "the local engine alone: 500 records of 1,024 bytes from 16 writers, durable before the answer", (
        _rate("engine-append", "append, fdatasync before the answer", "records/s"),
        _least("engine-append CPU", "append: CPU", "us/record"),
        _least("engine-append-1 p50", "append of one record, p50", "ms"),
        _rate("engine-read", "read back, in pages of 10,000", "MB/s"),
    ), None),
    Scenario("wire", "wire", "bytes to operations and back, in one thread", (
        _least("verify-put-record", "signature, identity and policy of PutRecord 100 B", "us"),
        _least("verify-put-records", "signature, identity and policy of PutRecords 500 x 1 KB", "us"),
        _least("decode-json", "PutRecords 500 x 1 KB from JSON", "us"),
        _least("decode-cbor", "PutRecords 500 x 1 KB from CBOR", "us"),
    ), None),
    Scenario("request", "wire", "whole requests given to connections in one process, without sockets: CPU of all threads", (
        _least("request-put-record", "PutRecord 100 B, local, enforced", "us"),
        _least("request-put-records", "PutRecords 500 x 1 KB, local, enforced", "us"),
        _least("request-get-records", "GetRecords 10,000 x 1 KB, local, enforced", "us"),
        _least("request-put-record-memory", "PutRecord 100 B, memory, open", "us"),
    ), None),
]  # fmt: skip

SCENARIOS: Final = [*_ROOMS, *_SERVER]
FIGURES: Final = {figure.name: figure for scenario in SCENARIOS for figure in scenario.figures}
WIDE: Final = {f"wide-{name}": name for name in ("put-records", "put-record", "get-records")}
WIDE_FLOOR: Final = 0.7  # of the rate at 8 shards
WIDE_AIM: Final = 0.9
