"""`python -m bench.aggregation`: KPL aggregates packed and unpacked on one core, ours and aws_kinesis_agg's in turns.

Rule of this file: CPU seconds of this process are counted, because other processes are on the machine; rounds alternate, so that what
disturbs one disturbs the other.
"""

import base64
import contextlib
import io
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import click
from aws_kinesis_agg.aggregator import RecordAggregator
from aws_kinesis_agg.deaggregator import deaggregate_records

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange
from penstock.wire.aggregate import begin_packing, unpack

RECORDS: Final = 100_000
EVERYWHERE: Final = HashRange(0, HASH_KEY_MAX)
EVENT: Final = dict.fromkeys(
    ("eventVersion", "eventSource", "eventID", "eventName", "invokeIdentityArn", "awsRegion", "eventSourceARN"), ""
)

Records = list[tuple[str, bytes]]


class Case(NamedTuple):
    """What is packed."""

    data_bytes: int
    keys: int
    aggregate_bytes: int

    def __str__(self) -> str:
        return f"{self.data_bytes} B, {self.keys} keys, aggregates of {self.aggregate_bytes} B"


CASES: Final = (Case(100, 1000, 51_200), Case(100, 1000, 1_000_000), Case(100, 1, 51_200), Case(1024, 100, 51_200))


def pack_ours(records: Records, aggregate_bytes: int) -> list[bytes]:
    """Everything packed by us."""
    done, held = [], begin_packing(aggregate_bytes)
    for key, data in records:
        if not held.add(key, data):
            done.append(held.pack()[2])
            held = begin_packing(aggregate_bytes)
            held.add(key, data)
    return [*done, held.pack()[2]]


def pack_theirs(records: Records, aggregate_bytes: int) -> list[bytes]:
    """Everything packed by aws_kinesis_agg."""
    packer, done = RecordAggregator(aggregate_bytes), []
    for key, data in records:
        full = packer.add_user_record(key, data)
        if full is not None:
            done.append(full.get_contents()[2])
    return [*done, packer.clear_and_get().get_contents()[2]]


def unpack_ours(aggregates: list[bytes], hash_range: HashRange | None) -> int:
    """Everything unpacked by us."""
    return sum(len(unpack(data, hash_range) or ()) for data in aggregates)


def unpack_theirs(events: list[dict[str, Any]]) -> int:
    """Everything unpacked by aws_kinesis_agg, from what Lambda would hand to it."""
    return len(deaggregate_records(events))


def as_events(aggregates: list[bytes]) -> list[dict[str, Any]]:
    """Records as Lambda hands them over."""
    head = {
        "kinesisSchemaVersion": "1.0",
        "sequenceNumber": "1",
        "partitionKey": "a",
        "approximateArrivalTimestamp": 1.0,
    }
    return [{"kinesis": {**head, "data": base64.b64encode(data).decode()}, **EVENT} for data in aggregates]


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of some work."""
    began_s = time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):
        work()
    return time.process_time() - began_s


def measure(case: Case, rounds: int) -> dict[str, list[float]]:
    """Records per CPU second, of each round."""
    records: Records = [(f"key-{number % case.keys:04}", os.urandom(case.data_bytes)) for number in range(RECORDS)]
    aggregates = pack_ours(records, case.aggregate_bytes)
    assert unpack_ours(aggregates, None) == unpack_theirs(as_events(aggregates)) == RECORDS
    works: dict[str, Callable[[], object]] = {
        "packed": partial(pack_ours, records, case.aggregate_bytes),
        "packed by aws_kinesis_agg": partial(pack_theirs, records, case.aggregate_bytes),
        "unpacked": partial(unpack_ours, aggregates, None),
        "unpacked, ranges checked": partial(unpack_ours, aggregates, EVERYWHERE),
        "unpacked by aws_kinesis_agg": partial(unpack_theirs, as_events(aggregates)),
    }
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(RECORDS / cpu_s(work))
    return found


@click.command()
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True)
def main(rounds: int) -> None:
    """Measure packing and unpacking on one core."""
    print(f"{RECORDS:,} records, {rounds} rounds, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("records per CPU second: median (least .. greatest)")
    for case in CASES:
        print(f"\n{case}")
        for name, rates in measure(case, rounds).items():
            print(f"  {name:30} {statistics.median(rates):>11,.0f}  ({min(rates):,.0f} .. {max(rates):,.0f})")


if __name__ == "__main__":
    main()
