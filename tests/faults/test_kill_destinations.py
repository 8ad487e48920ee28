"""kill -9 of the server while it delivers to every kind of destination: what was acknowledged arrives at each of them."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import psycopg
import pytest
from http_receiver import Receiver, receiving
from peers import beside
from postgres_server import postgres_server
from pyiceberg.catalog import load_catalog
from search_double import Cluster, clustered
from served import Server, server
from splunk_double import TOKEN, Collector, collecting

from penstock.core.lakehouse import catalog_properties
from penstock.host.entropy import SeededEntropy
from penstock.storage.check import check
from penstock.storage.directory import DataDirectory

ROUNDS: Final = int(os.environ.get("PENSTOCK_KILL_ROUNDS", "2"))
RECORDS: Final = 120  # for each destination, of each round
WAIT_S: Final = 60
ROLE: Final = "arn:aws:iam::123456789012:role/r"
S3: Final = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::failed"}
AT_ONCE: Final = {"SizeInMBs": 1, "IntervalInSeconds": 0}
pause: Final = threading.Event().wait


class World:
    """The other sides, and what each has."""

    def __init__(
        self, receiver: Receiver, cluster: Cluster, collector: Collector, database: str, directory: Path
    ) -> None:
        self.receiver, self.cluster, self.collector = receiver, cluster, collector
        self.database, self.directory = database, directory
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE TABLE taken (event text)")

    def has(self) -> dict[str, Callable[[], list[str]]]:
        """The records of each, as often as they are there."""
        return {
            "http": self._http,
            "search": self._search,
            "splunk": self._splunk,
            "redshift": self._redshift,
            "iceberg": self._iceberg,
        }

    def configurations(self) -> dict[str, dict[str, Any]]:
        port = urlsplit(self.database).port
        return {
            "http": {"HttpEndpointDestinationConfiguration": {
                "EndpointConfiguration": {"Url": self.receiver.url}, "BufferingHints": AT_ONCE, "S3Configuration": S3}},
            "search": {"AmazonopensearchserviceDestinationConfiguration": {
                "RoleARN": ROLE, "ClusterEndpoint": self.cluster.url, "IndexName": "i", "BufferingHints": AT_ONCE, "S3Configuration": S3}},
            "splunk": {"SplunkDestinationConfiguration": {
                "HECEndpoint": self.collector.url, "HECEndpointType": "Event", "HECToken": TOKEN, "BufferingHints": AT_ONCE, "S3Configuration": S3}},
            "redshift": {"RedshiftDestinationConfiguration": {
                "RoleARN": ROLE, "ClusterJDBCURL": f"jdbc:postgresql://127.0.0.1:{port}/postgres", "Username": "tester", "Password": "pass-word",
                "CopyCommand": {"DataTableName": "taken", "CopyOptions": "json 'auto'"}, "S3Configuration": {**S3, "BufferingHints": AT_ONCE}}},
            "iceberg": {"IcebergDestinationConfiguration": {
                "RoleARN": ROLE, "CatalogConfiguration": {"WarehouseLocation": "s3://lake/t"}, "TableCreationConfiguration": {"Enabled": True},
                "DestinationTableConfigurationList": [{"DestinationDatabaseName": "d", "DestinationTableName": "taken"}],
                "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}, "S3Configuration": S3}},
        }  # fmt: skip

    def _http(self) -> list[str]:
        return [json.loads(one)["event"] for batch in list(self.receiver.records.values()) for one in batch]

    def _search(self) -> list[str]:
        return [document["event"] for document in list(self.cluster.documents.values())]

    def _splunk(self) -> list[str]:
        return [event["event"] for event in list(self.collector.events) if isinstance(event, dict)]

    def _redshift(self) -> list[str]:
        with psycopg.connect(self.database, client_encoding="utf8") as connection:
            return [row[0] for row in connection.execute("SELECT event FROM taken").fetchall()]

    def _iceberg(self) -> list[str]:
        properties = catalog_properties("", str(self.directory / "iceberg.db"))
        catalog = load_catalog("penstock", **properties, warehouse="file:///tmp")
        try:
            if not catalog.namespace_exists("d") or not catalog.table_exists("d.taken"):
                return []
            return [str(one) for one in catalog.load_table("d.taken").scan().to_arrow()["event"].to_pylist()]
        finally:
            catalog.close()


def client(running: Server) -> Any:
    make: Any = boto3.client
    return make(
        "firehose", endpoint_url=running.url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )  # fmt: skip


def put(running: Server, name: str, turn: int) -> set[str]:
    """What was acknowledged."""
    names = [f"{turn}.{number}" for number in range(RECORDS)]
    rows = [{"Data": json.dumps({"event": one}).encode()} for one in names]
    answer = client(running).put_record_batch(DeliveryStreamName=name, Records=rows)
    assert answer["FailedPutCount"] == 0
    return set(names)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        receiver = stack.enter_context(beside(receiving()))
        cluster = stack.enter_context(beside(clustered()))
        collector = stack.enter_context(beside(collecting()))
        database = stack.enter_context(postgres_server("pass-word"))
        (tmp_path / "data").mkdir()
        yield World(receiver, cluster, collector, database, tmp_path / "data")


def test_records_when_the_server_is_killed_again_and_again_arrive_at_every_destination(world: World) -> None:
    draw = SeededEntropy(23).fraction
    meant = {name: set[str]() for name in world.has()}
    for turn in range(ROUNDS):
        with server(world.directory) as running:
            if turn == 0:
                for name, configuration in world.configurations().items():
                    client(running).create_delivery_stream(DeliveryStreamName=name, **configuration)
            for name in meant:
                meant[name] = meant[name] | put(running, name, turn)
            pause(2 * draw())  # and then it is killed
    assert check(DataDirectory(world.directory), lambda _count: None).damage == []
    with server(world.directory):
        for name, have in world.has().items():
            waited_s = 0.0
            while missing := meant[name] - set(have()):
                assert waited_s < WAIT_S, f"{name} lacks {len(missing)} of {len(meant[name])}: {sorted(missing)[:5]}"
                pause(0.25)
                waited_s += 0.25
    assert sorted(world.has()["search"]()) == sorted(meant["search"]), "a document is there once"
    assert world.receiver.complaints == []
