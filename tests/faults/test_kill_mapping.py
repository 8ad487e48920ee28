"""kill -9 of the server while a real function is given a stream: every record is taken, and little is taken twice."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any, Final

import boto3
from served import Server, server
from taking_function import Taken, make_function

from penstock.host.entropy import SeededEntropy
from penstock.storage.check import check
from penstock.storage.directory import DataDirectory

ROUNDS: Final = 3
RECORDS: Final = 300  # of each round
BATCH: Final = 10
UNFINISHED: Final = 2 * BATCH  # what two shards may have under way
QUICK: Final = 12 * BATCH  # what they may have finished since the last commit of checkpoints


def client(running: Server, name: str) -> Any:
    make: Any = boto3.client
    return make(
        name, endpoint_url=running.url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


def put(running: Server, turn: int) -> None:
    names = [f"{turn}.{number}" for number in range(RECORDS)]
    client(running, "kinesis").put_records(
        StreamName="orders",
        Records=[{"PartitionKey": f"k{number % 9}", "Data": name} for number, name in enumerate(names)],
    )


def test_records_when_the_server_is_killed_again_and_again_are_all_taken_and_few_twice(tmp_path: Path) -> None:
    directory, draw, taken = tmp_path / "data", SeededEntropy(11).fraction, Taken()
    directory.mkdir()
    for turn in range(ROUNDS):
        with server(directory) as running:
            if turn == 0:
                client(running, "kinesis").create_stream(StreamName="orders", ShardCount=2)
                make_function(client(running, "lambda"), taken)
                client(running, "lambda").create_event_source_mapping(
                    FunctionName="work", StartingPosition="TRIM_HORIZON", BatchSize=BATCH,
                    EventSourceArn="arn:aws:kinesis:us-east-1:123456789012:stream/orders",
                )  # fmt: skip
            put(running, turn)
            threading.Event().wait(0.2 + draw())  # and then it is killed
    assert check(DataDirectory(directory), lambda _count: None).damage == []
    counts: Counter[str] = Counter()
    with server(directory):  # what it does, it does by itself
        while len(counts) < ROUNDS * RECORDS:
            counts.update(record["data"] for record in taken.told.get(timeout=60))
    taken.server.shutdown()
    taken.server.server_close()
    assert sum(counts.values()) - len(counts) <= ROUNDS * (UNFINISHED + QUICK), "repeats"
