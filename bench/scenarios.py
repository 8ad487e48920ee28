"""What is measured: one row per scenario, and the functions that carry one out against a running server.

Theory.  Each measurement is of a server just started, so that nothing of an earlier one is left in it: the stream is fresh, and what
it holds is freed with its process.  Volume is bounded by time and by `STORED_MAX_BYTES`.
"""

import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from bench import payload, push
from bench.audit import Audit, audit
from bench.load import Outcome, Plan, run_apart
from bench.payload import PAGE_RECORD_BYTES, PAGE_RECORDS, PUT_RECORD_BYTES, PUT_RECORDS_BYTES, PUT_RECORDS_COUNT
from bench.processes import tree_rss_mib
from bench.servers import RefusedCall, Running, pause

SHARDS: Final = 8
STREAM: Final = "bench"
STORED_MAX_BYTES: Final = 2_000_000_000  # of record data that a window may store
VARIANTS: Final = 8  # bodies of PutRecords
PUSHED_BYTES: Final = 1024  # of a record whose push is timed
MB: Final = 1_000_000
ALL_WRITTEN: Final = rb'"FailedRecordCount"\s*:\s*0\s*[,}]'


class Timing(msgspec.Struct, frozen=True):
    """How long load lasts."""

    warmup_s: float
    window_s: float


class Measured(msgspec.Struct, kw_only=True):
    """One measurement.  Without a value, `failure` says why."""

    value: float | None = None
    failure: str | None = None
    load: Outcome | None = None
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table."""

    name: str
    title: str  # what is done
    unit: str
    better: Literal["higher", "lower"]
    target: float | None  # for Penstock, in `unit`
    measure: Callable[[Running, Timing], Measured]
    is_load: bool = True  # so that the baseline has a figure too


def _start(running: Running, _: Timing) -> Measured:
    return Measured(value=running.ready_s)


def _idle_memory(running: Running, _: Timing) -> Measured:
    return Measured(value=tree_rss_mib(running.pid))


def _put_records(running: Running, timing: Timing) -> Measured:
    running.create_stream(STREAM, SHARDS)
    documents = [
        payload.put_records(STREAM, payload.records(PUT_RECORDS_COUNT, PUT_RECORDS_BYTES, batch))
        for batch in range(VARIANTS)
    ]
    outcome = run_apart(
        Plan(
            port=running.port,
            server_pid=running.pid,
            requests=[running.http_request("PutRecords", document) for document in documents],
            connections=16,
            warmup_s=timing.warmup_s,
            window_s=timing.window_s,
            answers_max=STORED_MAX_BYTES // (PUT_RECORDS_COUNT * PUT_RECORDS_BYTES),
            pattern=ALL_WRITTEN,
            marker=b'"SequenceNumber"',
            markers=PUT_RECORDS_COUNT,
        )
    )
    return _audited(running, _rated(outcome, PUT_RECORDS_COUNT))


def _put_record(connections: int) -> Callable[[Running, Timing], Measured]:
    def measure(running: Running, timing: Timing) -> Measured:
        running.create_stream(STREAM, SHARDS)
        outcome = run_apart(
            Plan(
                port=running.port,
                server_pid=running.pid,
                requests=[
                    running.http_request("PutRecord", payload.put_record(STREAM, record))
                    for record in payload.records(PUT_RECORDS_COUNT, PUT_RECORD_BYTES)
                ],
                connections=connections,
                warmup_s=timing.warmup_s,
                window_s=timing.window_s,
                answers_max=STORED_MAX_BYTES // PUT_RECORD_BYTES,
                pattern=rb'"ShardId"',
                marker=b'"SequenceNumber"',
                markers=1,
            )
        )
        measured = _rated(outcome, 1)
        if measured.value is not None and connections == 1:
            measured.value = outcome.latency_p50_ms
        return _audited(running, measured)

    return measure


def _get_records(running: Running, timing: Timing) -> Measured:
    running.create_stream(STREAM, 1)
    iterator, page_records = _fill_shard(running)
    document = {"ShardIterator": iterator, "Limit": PAGE_RECORDS}
    outcome = run_apart(
        Plan(
            port=running.port,
            server_pid=running.pid,
            requests=[running.http_request("GetRecords", document)],
            connections=4,
            warmup_s=timing.warmup_s,
            window_s=timing.window_s,
            answers_max=100_000,
            pattern=rb'"MillisBehindLatest"\s*:\s*\d',
            marker=b'"PartitionKey"',
            markers=page_records,
        )
    )
    return _rated(outcome, page_records * PAGE_RECORD_BYTES / MB)


def _fill_shard(running: Running) -> tuple[str, int]:
    """Write `PAGE_RECORDS` and read them back; an iterator at the first, and how many of them one call returns.

    Raises RefusedCall where what is read is not what was written.
    """
    written = payload.records(PAGE_RECORDS, PAGE_RECORD_BYTES)
    for at in range(0, PAGE_RECORDS, PUT_RECORDS_COUNT):
        answer = running.call("PutRecords", payload.put_records(STREAM, written[at : at + PUT_RECORDS_COUNT]))
        if answer["FailedRecordCount"] != 0:
            raise RefusedCall(f"PutRecords: {answer['FailedRecordCount']} records failed")
    asked = {"StreamName": STREAM, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    first: str = running.call("GetShardIterator", asked)["ShardIterator"]
    pages = [running.call("GetRecords", {"ShardIterator": first, "Limit": PAGE_RECORDS})]
    while pages[-1]["Records"] and sum(len(page["Records"]) for page in pages) < PAGE_RECORDS:
        following = {"ShardIterator": pages[-1]["NextShardIterator"], "Limit": PAGE_RECORDS}
        pages.append(running.call("GetRecords", following))
    read = [(each["PartitionKey"], base64.b64decode(each["Data"])) for page in pages for each in page["Records"]]
    if Counter(read) != Counter((record.key, record.data) for record in written):
        raise RefusedCall(f"GetRecords: {len(read)} records that are not the {len(written)} written")
    return first, len(pages[0]["Records"])


def _consumers(running: Running, count: int) -> list[str]:
    """Register consumers of a new stream of one shard; their ARNs."""
    running.create_stream(STREAM, 1)
    arn = running.call("DescribeStreamSummary", {"StreamName": STREAM})["StreamDescriptionSummary"]["StreamARN"]
    found = []
    for number in range(count):
        asked = {"StreamARN": arn, "ConsumerName": f"consumer-{number}"}
        found.append(running.call("RegisterStreamConsumer", asked)["Consumer"]["ConsumerARN"])
    for consumer in found:
        for _ in range(1000):
            told = running.call("DescribeStreamConsumer", {"ConsumerARN": consumer})
            if told["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE":
                break
            pause(0.01)
    return found


def _push(figure: Callable[[Outcome], float]) -> Callable[[Running, Timing], Measured]:
    def measure(running: Running, timing: Timing) -> Measured:
        [record] = payload.records(1, PUSHED_BYTES)
        document = payload.put_record(STREAM, record._replace(key="0" * push.KEY_DIGITS))
        outcome = push.run_apart(
            push.Plan(
                port=running.port,
                server_pid=running.pid,
                consumers=_consumers(running, 20),
                requests=[running.http_request("PutRecord", document)],
                records=1,
                rate=1000,
                connections=16,
                warmup_s=timing.warmup_s,
                window_s=timing.window_s,
            )
        )
        measured = _rated(outcome, 1)
        if measured.value is not None:
            measured.value = figure(outcome)
        return measured

    return measure


def _fan_out(running: Running, timing: Timing) -> Measured:
    documents = [
        payload.put_records(STREAM, payload.records(PUT_RECORDS_COUNT, PUT_RECORDS_BYTES, batch))
        for batch in range(VARIANTS)
    ]
    outcome = push.run_apart(
        push.Plan(
            port=running.port,
            server_pid=running.pid,
            consumers=_consumers(running, 10),
            requests=[running.http_request("PutRecords", document) for document in documents],
            records=PUT_RECORDS_COUNT,
            rate=0,
            connections=4,
            warmup_s=timing.warmup_s,
            window_s=timing.window_s,
        )
    )
    return _rated(outcome, PUT_RECORDS_BYTES / MB)


def _audited(running: Running, measured: Measured) -> Measured:
    """A measurement of writes, with the audit of what they left."""
    if measured.load is not None and measured.failure is None and running.server.stores:
        measured.audit = audit(running.url, running.credentials, STREAM, measured.load.acknowledged)
    return measured


def _rated(outcome: Outcome, per_answer: float) -> Measured:
    """A rate of what each answer stands for; none if any answer was wrong."""
    if outcome.failures:
        return Measured(failure=f"{outcome.failures} requests failed; the first: {outcome.failure}", load=outcome)
    if not outcome.answers:
        return Measured(failure=f"no answer within {outcome.window_s:.0f} s", load=outcome)
    return Measured(value=outcome.answers * per_answer / outcome.window_s, load=outcome)


SCENARIOS: Final = [
    Scenario(
        "start", "from the start of the process to the first good answer (ListStreams)", "s", "lower", 0.8, _start,
        is_load=False,
    ),
    Scenario(
        "idle-memory", "resident memory of the process tree after the first answer", "MiB", "lower", 90.0, _idle_memory,
        is_load=False,
    ),
    Scenario(
        "put-records", "PutRecords, 500 records of 1,024 bytes, JSON, 16 connections, 8 shards", "records/s", "higher",
        80_000.0, _put_records,
    ),
    Scenario(
        "put-record", "PutRecord, 100 bytes, JSON, 64 connections, 8 shards", "records/s", "higher", None,
        _put_record(64),
    ),
    Scenario(
        "put-record-1", "PutRecord, 100 bytes, JSON, 1 connection, 8 shards: median latency", "ms", "lower", None,
        _put_record(1),
    ),
    Scenario(
        "get-records", "GetRecords, pages of 10,000 records of 1,000 bytes (some peers cut them), JSON, 4 connections: record data", "MB/s",
        "higher", 150.0, _get_records,
    ),
    Scenario(
        "push", "1,000 records/s of 1,024 bytes put singly, 20 consumers on one shard: from the put's answer to the push, median", "ms",
        "lower", 3.0, _push(lambda outcome: outcome.latency_p50_ms), is_load=False,
    ),
    Scenario(
        "push-p99", "the same, 99 of 100", "ms", "lower", 12.0, _push(lambda outcome: outcome.latency_p99_ms), is_load=False,
    ),
    Scenario(
        "fan-out", "PutRecords, 500 records of 1,024 bytes, JSON, 4 connections, one shard, pushed to 10 consumers: record data", "MB/s",
        "higher", 400.0, _fan_out, is_load=False,
    ),
]  # fmt: skip
