"""Delivery streams with boto3 to destinations other than S3: what is put arrives there, and what cannot be is in the backup bucket."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from botocore.exceptions import ClientError
from deliveries import BUCKET, DESTINATION, ROLE, WAIT_S, Lake, pause, rows, settle
from http_receiver import receiving
from peers import beside
from postgres_server import postgres_server
from search_double import MAPPING_ERROR, clustered
from splunk_double import TOKEN, collecting

from penstock.testing import PenstockServer

S3 = {"RoleARN": ROLE, "BucketARN": BUCKET, "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/"}
HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 60}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture
def server(lake: Lake) -> Iterator[PenstockServer]:
    with PenstockServer(buckets=f"file://{lake.root}") as running:
        yield running


def create(server: PenstockServer, kind: str, **configuration: Any) -> Any:
    firehose = server.client("firehose")
    given = {"S3Configuration": S3, **configuration}
    firehose.create_delivery_stream(DeliveryStreamName="orders", **{f"{kind}DestinationConfiguration": given})
    return firehose


def put(server: PenstockServer, firehose: Any, *data: bytes) -> None:
    firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(*data))
    settle(server)


def error_objects(server: PenstockServer, lake: Lake) -> list[dict[str, Any]]:
    """What the error prefix has, as soon as its buffer's time is over."""
    wait_for(lambda: error_keys(lake), lambda: server.clock.advance(seconds=301))
    return [json.loads(line) for key in error_keys(lake) for line in (lake.folder / key).read_bytes().splitlines()]


def error_keys(lake: Lake) -> list[str]:
    found = lake.keys()
    return [key for key in found if key.startswith("errors/")]


def wait_for(done: Callable[[], object], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Return when something is there."""
    waited_s = 0.0
    while not done():
        assert waited_s < WAIT_S, "it does not come"
        pause(0.05)
        waited_s += 0.05
        meanwhile()


def test_http_endpoint_takes_records_and_refuses_them_into_the_backup(server: PenstockServer, lake: Lake) -> None:
    statuses: list[tuple[int, str | None]] = [(200, None)]
    with beside(receiving(lambda number: statuses[-1], access_key="the-key")) as receiver:
        endpoint = {"Url": receiver.url, "Name": "mine", "AccessKey": "the-key"}
        firehose = create(
            server, "HttpEndpoint", EndpointConfiguration=endpoint, BufferingHints=HINTS, RetryOptions={"DurationInSeconds": 0},
            RequestConfiguration={"ContentEncoding": "GZIP", "CommonAttributes": [{"AttributeName": "a", "AttributeValue": "b"}]},
        )  # fmt: skip
        put(server, firehose, b"one", b"two")
        wait_for(lambda: receiver.records)
        assert list(receiver.records.values()) == [[b"one", b"two"]]
        assert receiver.complaints == []
        told = firehose.describe_delivery_stream(DeliveryStreamName="orders")["DeliveryStreamDescription"]
        [destination] = told["Destinations"]
        assert destination["HttpEndpointDestinationDescription"]["EndpointConfiguration"] == {
            "Url": receiver.url,
            "Name": "mine",
        }
        assert "the-key" not in json.dumps(told, default=str)
        statuses.append((500, "broken"))
        put(server, firehose, b"three")
        [failure] = error_objects(server, lake)
        assert base64.b64decode(failure["rawData"]) == b"three"
        assert (failure["errorCode"], failure["subsequenceNumber"], failure["attemptsMade"]) == (
            "HttpEndpoint.DestinationException",
            0,
            1,
        )
        assert all(key.startswith("errors/http-endpoint-failed/") for key in error_keys(lake))
        assert "the-key" not in json.dumps(failure)


def test_search_takes_documents_apart_from_those_it_refuses(server: PenstockServer, lake: Lake) -> None:
    with beside(clustered(lambda document: (400, MAPPING_ERROR) if document["n"] == 2 else (201, None))) as cluster:
        firehose = create(
            server, "Amazonopensearchservice", RoleARN=ROLE, ClusterEndpoint=cluster.url.replace("//", "//u:hunter2@"), IndexName="logs", IndexRotationPeriod="OneDay",
            BufferingHints=HINTS,
        )  # fmt: skip
        put(server, firehose, b'{"n":1}', b'{"n":2}', b'{"n":3}')
        wait_for(lambda: len(cluster.documents) == 2)
        [failure] = error_objects(server, lake)
        assert base64.b64decode(failure["rawData"]) == b'{"n":2}'
        assert failure["errorCode"] == "400"
        assert failure["esIndexName"].startswith("logs-")
        assert failure["esDocumentId"]
        told = firehose.describe_delivery_stream(DeliveryStreamName="orders")["DeliveryStreamDescription"]
        assert (
            told["Destinations"][0]["AmazonopensearchserviceDestinationDescription"]["ClusterEndpoint"] == cluster.url
        )
        assert cluster.requests[0]["Authorization"].startswith("Basic ")
        assert "hunter2" not in json.dumps([told, failure], default=str)
        update = {"RoleARN": ROLE, "DomainARN": "arn:aws:es:us-east-1:123456789012:domain/logs"}
        with pytest.raises(ClientError, match="cannot be looked up here"):
            firehose.update_destination(
                DeliveryStreamName="orders", CurrentDeliveryStreamVersionId="1", DestinationId=DESTINATION,
                AmazonopensearchserviceDestinationUpdate=update,
            )  # fmt: skip


def test_splunk_takes_events_that_it_acknowledges(server: PenstockServer, lake: Lake) -> None:
    with beside(collecting()) as collector:
        firehose = create(
            server, "Splunk", HECEndpoint=collector.url, HECEndpointType="Event", HECToken=TOKEN, BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 60}
        )  # fmt: skip
        put(server, firehose, b'{"event":1}', b"no event")
        wait_for(lambda: collector.events)
        wait_for(lambda: collector.questions, lambda: server.clock.advance(seconds=5))
        [failure] = error_objects(server, lake)
        assert (failure["errorCode"], failure["EventId"][-2:]) == ("Splunk.InvalidDataFormat", ".0")


def test_redshift_s_copy_loads_a_table_of_postgresql(server: PenstockServer, lake: Lake) -> None:
    with postgres_server("pass-word") as url, psycopg.connect(url, autocommit=True) as database:
        database.execute("CREATE TABLE orders (id int, name text)")
        parts = urlsplit(url)
        firehose = create(
            server, "Redshift", RoleARN=ROLE, ClusterJDBCURL=f"jdbc:postgresql://127.0.0.1:{parts.port}/postgres",
            CopyCommand={"DataTableName": "orders", "CopyOptions": "json 'auto'"}, Username="tester", Password="pass-word",
            S3Configuration={"RoleARN": ROLE, "BucketARN": BUCKET, "Prefix": "stage/", "BufferingHints": HINTS},
        )  # fmt: skip
        put(server, firehose, b'{"id":1,"name":"a"}', b'{"id":2,"name":"b"}')
        wait_for(lambda: database.execute("SELECT count(*) FROM orders").fetchone() == (2,))
        [key] = lake.keys()
        assert key.startswith("stage/2")
        assert "pass-word" not in json.dumps(
            firehose.describe_delivery_stream(DeliveryStreamName="orders"), default=str
        )


def test_iceberg_makes_a_table_where_the_server_s_buckets_are(server: PenstockServer, lake: Lake) -> None:
    from pyiceberg.table import StaticTable

    firehose = create(
        server, "Iceberg", RoleARN=ROLE, CatalogConfiguration={"WarehouseLocation": "s3://lake/tables"}, BufferingHints=HINTS,
        TableCreationConfiguration={"Enabled": True},
        DestinationTableConfigurationList=[{"DestinationDatabaseName": "shop", "DestinationTableName": "orders", "UniqueKeys": ["id"]}],
    )  # fmt: skip
    put(server, firehose, b'{"id":1,"name":"a"}', b'{"id":2}', b"no json")
    [failure] = error_objects(server, lake)
    assert failure["errorCode"] == "Iceberg.InvalidRecord"
    newest = max((lake.folder / "tables/shop/orders/metadata").glob("*.metadata.json"))
    table = StaticTable.from_metadata(str(newest)).scan().to_arrow()
    assert sorted(table.to_pylist(), key=lambda row: row["id"]) == [{"id": 1, "name": "a"}, {"id": 2, "name": None}]


def test_configuration_when_it_names_nothing_that_can_be_reached_is_refused(server: PenstockServer) -> None:
    with pytest.raises(ClientError, match="must be an http or https URL"):
        create(server, "HttpEndpoint", EndpointConfiguration={"Url": "https://"})
    with pytest.raises(ClientError, match="HECToken must be specified"):
        create(server, "Splunk", HECEndpoint="https://s", HECEndpointType="Raw")


def test_iceberg_finds_its_tables_in_a_glue_catalog(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    with (
        PenstockServer() as catalog,
        PenstockServer(buckets=f"file://{lake.root}", iceberg_catalog=f"glue+{catalog.endpoint_url}") as server,
    ):
        table = {"DestinationDatabaseName": "shop", "DestinationTableName": "orders", "UniqueKeys": ["id"]}
        firehose = create(
            server, "Iceberg", RoleARN=ROLE, BufferingHints=HINTS, TableCreationConfiguration={"Enabled": True},
            CatalogConfiguration={"CatalogARN": "arn:aws:glue:us-east-1:123456789012:catalog", "WarehouseLocation": "s3://lake/tables"},
            DestinationTableConfigurationList=[table],
        )  # fmt: skip
        put(server, firehose, b'{"id":1}', b'{"id":2}')
        wait_for(lambda: list((lake.folder / "tables").rglob("*.parquet")))
        glue = catalog.client("glue")
        found = glue.get_table(DatabaseName="shop", Name="orders")["Table"]
        assert found["Parameters"]["table_type"] == "ICEBERG"
