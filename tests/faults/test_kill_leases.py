"""kill -9 of the whole server while leases are renewed: each renewal that was answered is there at the next start, none half."""

import threading
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from served import Server, server

from penstock.host.entropy import SeededEntropy
from penstock.storage.check import check
from penstock.storage.directory import DataDirectory

ROUNDS: Final = 3
WORKERS: Final = 4
RENEWALS: Final = 10  # a life, at least
LONGEST_S: Final = 0.8
TABLE: Final = "app"


def database(running: Server) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60)
    return boto3.client(
        "dynamodb", endpoint_url=running.url, region_name="us-east-1", config=config,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip


class Worker:
    """Renews a lease, and moves a pair of items in transactions, until it fails."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.renewed = 0  # acknowledged
        self.moved = 0

    def work(self, client: Any) -> None:
        try:
            while True:
                client.update_item(
                    TableName=TABLE,
                    Key={"k": {"S": f"lease-{self.number}"}},
                    AttributeUpdates={"n": {"Action": "PUT", "Value": {"N": str(self.renewed + 1)}}},
                    Expected={"n": {"Value": {"N": str(self.renewed)}}},
                )
                self.renewed += 1
                client.transact_write_items(
                    TransactItems=[
                        {
                            "Update": {
                                "TableName": TABLE,
                                "Key": {"k": {"S": f"{half}-{self.number}"}},
                                "UpdateExpression": "ADD n :one",
                                "ExpressionAttributeValues": {":one": {"N": "1"}},
                            }
                        }
                        for half in ("left", "right")
                    ]
                )
                self.moved += 1
        except (BotoCoreError, ClientError):
            return


def read(client: Any) -> dict[str, int]:
    pages = client.get_paginator("scan").paginate(TableName=TABLE)
    return {item["k"]["S"]: int(item["n"]["N"]) for page in pages for item in page["Items"]}


def test_answered_renewals_survive_kills_of_the_server(tmp_path: Path) -> None:
    directory, draw = tmp_path / "data", SeededEntropy(7).fraction
    directory.mkdir()
    workers = [Worker(number) for number in range(WORKERS)]
    for number in range(ROUNDS + 1):
        with server(directory) as running:
            client = database(running)
            if number == 0:
                client.create_table(
                    TableName=TABLE,
                    KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                    AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
                    BillingMode="PAY_PER_REQUEST",
                )
                for worker in workers:
                    client.put_item(TableName=TABLE, Item={"k": {"S": f"lease-{worker.number}"}, "n": {"N": "0"}})
            held = read(client)
            for worker in workers:
                lease = held[f"lease-{worker.number}"]
                left, right = (held.get(f"{half}-{worker.number}", 0) for half in ("left", "right"))
                assert lease in (worker.renewed, worker.renewed + 1)  # one may have been written and not answered
                assert left == right, "a transaction is whole"
                assert left in (worker.moved, worker.moved + 1)
                worker.renewed, worker.moved = lease, left
            if number == ROUNDS:
                break
            threads = [threading.Thread(target=worker.work, args=(database(running),)) for worker in workers]
            for thread in threads:
                thread.start()
            threads[0].join(0.2 + LONGEST_S * draw())
            while sum(worker.renewed for worker in workers) <= RENEWALS * (number + 1) and threads[0].is_alive():
                threads[0].join(0.1)  # a busy machine takes longer for a load that is one
            running.process.kill()
            for thread in threads:
                thread.join()
        assert check(DataDirectory(directory), lambda _count: None).damage == []
    assert sum(worker.renewed for worker in workers) > RENEWALS * ROUNDS, "the load was none"
