"""kill -9 of the whole server, under load from several clients: each record that a client was answered for is read back at the next start."""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError
from served import server

from penstock.host.entropy import SeededEntropy
from penstock.storage.check import check
from penstock.storage.directory import DataDirectory

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef

ROUNDS: Final = max(2, int(os.environ.get("PENSTOCK_KILL_ROUNDS", "2")) // 3)
CLIENTS: Final = 4
RECORDS: Final = 100  # a life, at least
LONGEST_S: Final = 0.8
STREAM: Final = "orders"


class Acknowledged:
    """Records that a client was answered for, by shard and sequence number."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()

    def so_far(self) -> dict[tuple[str, str], bytes]:
        with self._lock:
            return dict(self.records)

    def put_until_it_fails(self, client: "KinesisClient", name: str) -> None:
        count = 0
        while True:
            told = [b"%s %d" % (name.encode(), count + place) + b" x" * 300 for place in range(40)]
            entries: list[PutRecordsRequestEntryTypeDef] = [
                {"Data": data, "PartitionKey": f"{name}-{place}"} for place, data in enumerate(told)
            ]
            try:
                answers = client.put_records(StreamName=STREAM, Records=entries)["Records"]
            except (BotoCoreError, ClientError):
                return
            count += len(told)
            with self._lock:
                for data, answer in zip(told, answers, strict=True):
                    if "SequenceNumber" in answer:
                        self.records[answer["ShardId"], answer["SequenceNumber"]] = data


def read_back(client: "KinesisClient") -> dict[tuple[str, str], bytes]:
    found: dict[tuple[str, str], bytes] = {}
    for shard in client.list_shards(StreamName=STREAM)["Shards"]:
        iterator = client.get_shard_iterator(
            StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            page = client.get_records(ShardIterator=iterator)
            for held in page["Records"]:
                found[shard["ShardId"], held["SequenceNumber"]] = held["Data"]
            if page["MillisBehindLatest"] == 0 and not page["Records"]:
                break
            iterator = page["NextShardIterator"]
    return found


def test_answered_records_survive_kills_of_the_server(tmp_path: Path) -> None:
    directory, acknowledged, draw = tmp_path / "data", Acknowledged(), SeededEntropy(ROUNDS).fraction
    directory.mkdir()
    for number in range(ROUNDS):
        with server(directory) as running:
            client = running.client()
            if number == 0:
                client.create_stream(StreamName=STREAM, ShardCount=3)
            found = read_back(client)
            assert acknowledged.records.items() <= found.items()
            threads = [
                threading.Thread(target=acknowledged.put_until_it_fails, args=(running.client(), f"{number}-{each}"))
                for each in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            threads[0].join(0.1 + LONGEST_S * draw())
            while len(acknowledged.records) <= RECORDS * (number + 1) and threads[0].is_alive():
                threads[0].join(0.1)  # a busy machine takes longer for a load that is one
            running.process.kill()
            for thread in threads:
                thread.join()
        assert check(DataDirectory(directory), lambda _count: None).damage == []
    with server(directory) as running:
        found = read_back(running.client())
    assert acknowledged.records.items() <= found.items()
    assert len(acknowledged.records) > RECORDS * ROUNDS, "the load was none"
    sent = list(found.values())
    assert len(set(sent)) == len(sent), "no record twice"
