"""kill -9 of the server while it delivers to every kind of destination but S3: what was acknowledged arrives at each of them.

Some of it is refused or met with a busy peer, so that kills fall into retries, too; what a destination cannot take is in the error prefix.
S3 and what is converted for it have tests of their own beside this one.
"""

import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import psycopg
import pytest
import snowflake_on_disk
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from http_receiver import Receiver, receiving
from peers import beside
from postgres_server import postgres_server
from pyiceberg.catalog import load_catalog
from search_double import BUSY, Cluster, clustered
from served import Server, server
from splunk_double import TOKEN, Collector, collecting

from penstock.core.lakehouse import catalog_properties
from penstock.host.entropy import SeededEntropy
from penstock.storage.check import check
from penstock.storage.directory import DataDirectory

ROUNDS: Final = int(os.environ.get("PENSTOCK_KILL_ROUNDS", "2"))
RECORDS: Final = 120  # for each destination, of each round
LONGEST_S: Final = 1.5  # from the last put to the kill
SHORTLY_S: Final = 0.2  # from the first arrival
FIRST_S: Final = 10
WAIT_S: Final = 90
ROLE: Final = "arn:aws:iam::123456789012:role/r"
AT_ONCE: Final = {"SizeInMBs": 1, "IntervalInSeconds": 0}
S3: Final = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::failed", "BufferingHints": AT_ONCE}
WANT_JSON: Final = ("search", "serverless", "splunk", "iceberg", "snowflake")  # and refuse what is none, alone
BUSY_EACH: Final = 7  # requests of HTTP and Splunk; of documents ten times as many
pause: Final = threading.Event().wait


class Busy:
    """A cluster that is too busy for some documents when it is first given them."""

    def __init__(self) -> None:
        self._met = 0
        self._asked: set[str] = set()

    def __call__(self, document: dict[str, Any]) -> tuple[int, dict[str, str] | None]:
        self._met += 1
        if self._met % (10 * BUSY_EACH) or document["event"] in self._asked:
            return 201, None
        self._asked.add(document["event"])
        return 429, BUSY


class World:
    """The other sides, and what each has."""

    def __init__(
        self, receiver: Receiver, cluster: Cluster, collector: Collector, database: str, directory: Path
    ) -> None:
        self.receiver, self.cluster, self.collector = receiver, cluster, collector
        self.database, self.directory = database, directory
        self.environment = snowflake_on_disk.install(directory.with_name("sdk"))
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE TABLE taken (event text)")

    def has(self) -> dict[str, Callable[[], list[str]]]:
        """The records of each, as often as they are there."""
        return {
            "http": self._http,
            "search": lambda: self._search("i-"),
            "serverless": lambda: self._search("s"),
            "splunk": self._splunk,
            "redshift": self._redshift,
            "iceberg": self._iceberg,
            "snowflake": self._snowflake,
        }

    def configurations(self) -> dict[str, dict[str, Any]]:
        port = urlsplit(self.database).port
        return {
            "http": {"HttpEndpointDestinationConfiguration": {
                "EndpointConfiguration": {"Url": self.receiver.url}, "BufferingHints": AT_ONCE, "S3Configuration": S3}},
            "search": {"AmazonopensearchserviceDestinationConfiguration": {
                "RoleARN": ROLE, "ClusterEndpoint": self.cluster.url, "IndexName": "i", "BufferingHints": AT_ONCE, "S3Configuration": S3}},
            "serverless": {"AmazonOpenSearchServerlessDestinationConfiguration": {
                "RoleARN": ROLE, "CollectionEndpoint": self.cluster.url, "IndexName": "s", "BufferingHints": AT_ONCE, "S3Configuration": S3}},
            "splunk": {"SplunkDestinationConfiguration": {
                "HECEndpoint": self.collector.url, "HECEndpointType": "Event", "HECToken": TOKEN, "BufferingHints": AT_ONCE, "S3Configuration": S3}},
            "redshift": {"RedshiftDestinationConfiguration": {
                "RoleARN": ROLE, "ClusterJDBCURL": f"jdbc:postgresql://127.0.0.1:{port}/postgres", "Username": "tester", "Password": "pass-word",
                "CopyCommand": {"DataTableName": "taken", "CopyOptions": "json 'auto'"}, "S3Configuration": S3}},
            "iceberg": {"IcebergDestinationConfiguration": {
                "RoleARN": ROLE, "CatalogConfiguration": {"WarehouseLocation": "s3://lake/t"}, "TableCreationConfiguration": {"Enabled": True},
                "DestinationTableConfigurationList": [{"DestinationDatabaseName": "d", "DestinationTableName": "taken"}],
                "BufferingHints": AT_ONCE, "S3Configuration": S3}},
            "snowflake": {"SnowflakeDestinationConfiguration": {
                "AccountUrl": "https://acme.snowflakecomputing.com", "User": "LOADER", "PrivateKey": private_key(), "Database": "D", "Schema": "S",
                "Table": "T", "RoleARN": ROLE, "BufferingHints": AT_ONCE, "S3Configuration": S3}},
        }  # fmt: skip

    def _http(self) -> list[str]:
        return [json.loads(one)["event"] for batch in self.receiver.records.copy().values() for one in batch]

    def _search(self, index: str) -> list[str]:
        found = self.cluster.documents.copy()  # at once: it grows meanwhile
        return [document["event"] for (name, _), document in found.items() if name.startswith(index)]

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

    def _snowflake(self) -> list[str]:
        path = Path(self.environment[snowflake_on_disk.FILE])
        return [row["event"] for line in snowflake_on_disk.committed(path) for row in line["rows"]]

    def refused(self) -> list[str]:
        """The records in the error prefixes of all."""
        objects = (path for path in (self.directory / "buckets" / "failed").rglob("*") if path.is_file())
        lines = (
            json.loads(line) for path in objects if "-failed/" in str(path) for line in path.read_text().splitlines()
        )
        return [b64decode(line["rawData"]).decode() for line in lines]


def private_key() -> str:
    """As Snowflake's users have one."""
    key = rsa.generate_private_key(65537, 2048)
    return b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def client(running: Server) -> Any:
    make: Any = boto3.client
    return make(
        "firehose", endpoint_url=running.url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )  # fmt: skip


def put(running: Server, name: str, turn: int) -> set[str]:
    """What was acknowledged, beside a record that some cannot take."""
    names = [f"{turn}.{number}" for number in range(RECORDS)]
    data = [json.dumps({"event": one}).encode() for one in names]
    data += [no_json(name, turn).encode()] if name in WANT_JSON else []
    answer = client(running).put_record_batch(DeliveryStreamName=name, Records=[{"Data": one} for one in data])
    assert answer["FailedPutCount"] == 0
    return set(names)


def arrived(world: World, name: str, turn: int) -> None:
    """Return when a destination has a record of a turn, or has had its time."""
    waited_s = 0.0
    while not any(one.startswith(f"{turn}.") for one in world.has()[name]()) and waited_s < FIRST_S:
        pause(0.05)
        waited_s += 0.05


def no_json(name: str, turn: int) -> str:
    return f"no JSON for {name}, {turn}"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        receiver = stack.enter_context(
            beside(receiving(lambda number: (503 if number % BUSY_EACH == 1 else 200, None)))
        )
        cluster = stack.enter_context(beside(clustered(Busy())))
        busy = dict.fromkeys(range(1, 100 * ROUNDS, BUSY_EACH), 9)
        collector = stack.enter_context(beside(collecting(fails=busy)))
        database = stack.enter_context(postgres_server("pass-word"))
        (tmp_path / "data").mkdir()
        yield World(receiver, cluster, collector, database, tmp_path / "data")


def test_records_when_the_server_is_killed_again_and_again_arrive_at_every_destination(world: World) -> None:
    draw = SeededEntropy(23).fraction
    meant = {name: set[str]() for name in world.has()}
    for turn in range(ROUNDS):
        with server(world.directory, environment=world.environment) as running:
            if turn == 0:
                for name, configuration in world.configurations().items():
                    client(running).create_delivery_stream(DeliveryStreamName=name, **configuration)
            for name in sorted(meant, key=lambda name: draw()):  # some have been delivering for longer than others
                meant[name] = meant[name] | put(running, name, turn)
            if turn % 3:  # once something is there, and may not be accounted for yet
                arrived(world, list(meant)[turn % len(meant)], turn)
                pause(SHORTLY_S * draw())
            else:
                pause(LONGEST_S * draw())  # and then it is killed
    assert check(DataDirectory(world.directory), lambda _count: None).damage == []
    refused = {no_json(name, turn) for name in WANT_JSON for turn in range(ROUNDS)}
    with server(world.directory, environment=world.environment):
        for name, have in {**world.has(), "the error prefix": world.refused}.items():
            waited_s = 0.0
            while missing := meant.get(name, refused) - set(have()):
                assert waited_s < WAIT_S, (
                    f"{name} lacks {len(missing)} of {len(meant.get(name, refused))}: {sorted(missing)[:5]}"
                )
                pause(0.25)
                waited_s += 0.25
    assert sorted(world.has()["search"]()) == sorted(meant["search"]), "a document is there once"
    assert set(world.refused()) == refused, "nothing else is in the error prefix"
    assert world.receiver.complaints == []
