"""Delivery streams that process and convert, with boto3: jq, functions, Parquet; read back with DuckDB."""

import gzip
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from botocore.exceptions import ClientError
from deliveries import WAIT_S, Lake, create, pause, rows, settle, status

from penstock.testing import PenstockServer

COLUMNS = {"id": "bigint", "city": "string", "price": "decimal(9,2)", "at": "timestamp", "tags": "array<string>"}
PARSED = {"JsonParsingEngine": "JQ-1.6"}
HINTS = {"SizeInMBs": 64, "IntervalInSeconds": 60}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture
def server(lake: Lake) -> Iterator[PenstockServer]:
    with PenstockServer(buckets=f"file://{lake.root}") as running:
        glue = running.client("glue")
        glue.create_database(DatabaseInput={"Name": "shop"})
        columns = [{"Name": name, "Type": kind} for name, kind in COLUMNS.items()]
        glue.create_table(DatabaseName="shop", TableInput={"Name": "orders", "StorageDescriptor": {"Columns": columns}})
        yield running


def processor(type_: str, **parameters: str) -> dict[str, Any]:
    rows = [{"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()]
    return {"Type": type_, "Parameters": rows}


def processed(*processors: dict[str, Any]) -> dict[str, Any]:
    return {"Enabled": True, "Processors": list(processors)}


def converted(table: str = "orders", serializer: str = "ParquetSerDe") -> dict[str, Any]:
    return {
        "SchemaConfiguration": {
            "DatabaseName": "shop",
            "TableName": table,
            "RoleARN": "arn:aws:iam::123456789012:role/r",
        },
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {serializer: {}}},
    }


def order(number: int) -> bytes:
    told = {
        "id": number,
        "City": ["Berlin", "Paris"][number % 2],
        "price": number / 4,
        "at": 1_700_000_000 + number,
        "tags": ["a"],
        "more": 1,
    }
    return json.dumps(told).encode()


def delivered(server: PenstockServer, lake: Lake, objects: int) -> dict[str, bytes]:
    """The bucket, once there are so many objects: what fails has a buffer of its own, that begins when it has failed."""
    until_s = time.monotonic() + WAIT_S
    while len(found := lake.bodies()) < objects:
        assert time.monotonic() < until_s, sorted(found)
        settle(server, seconds=91)
    return found


def metric(server: PenstockServer, name: str) -> float:
    """The sum of a metric of the delivery stream, once it is told: figures are told once a minute."""
    until_s, now_s = time.monotonic() + WAIT_S, server.clock.now_ms // 1000
    asked = {"Namespace": "AWS/Firehose", "MetricName": name, "Period": 3600, "Statistics": ["Sum"]}
    dimensions = [{"Name": "DeliveryStreamName", "Value": "orders"}]
    while True:
        told = server.client("cloudwatch").get_metric_statistics(
            **asked, Dimensions=dimensions, StartTime=now_s - 5 * 86_400, EndTime=now_s + 7200
        )["Datapoints"]
        if told:
            return float(sum(point["Sum"] for point in told))
        assert time.monotonic() < until_s, f"no {name}"
        pause(0.05)


def processed_by_function(server: PenstockServer) -> None:
    """Return when the function has answered: its time-out is on the server's clock, which must stand still meanwhile."""
    until_s = time.monotonic() + WAIT_S
    while not any(stage["name"] == "delivery" and stage["buffers"] for stage in status(server)["progress"]["stages"]):
        assert time.monotonic() < until_s, status(server)
        pause(0.01)


def test_records_when_they_are_converted_then_duckdb_counts_every_one_and_bad_ones_are_error_objects(
    server: PenstockServer, lake: Lake
) -> None:
    firehose = create(
        server,
        Prefix="data/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        BufferingHints=HINTS,
        DataFormatConversionConfiguration=converted(),
    )
    firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(*map(order, range(400)), b'{"id": "x"}', b"no"))
    found = delivered(server, lake, 2)
    [parquet] = [key for key in found if key.startswith("data/")]
    assert parquet.endswith(".parquet")
    with duckdb.connect() as connection:
        told = connection.execute(
            'SELECT city, count(*), sum(price), max("at"), any_value(tags) FROM read_parquet(?) GROUP BY city ORDER BY city',
            [str(lake.folder / parquet)],
        ).fetchall()
    assert [(city, count, float(price)) for city, count, price, _, _ in told] == [
        ("Berlin", 200, sum(range(0, 400, 2)) / 4),
        ("Paris", 200, sum(range(1, 400, 2)) / 4),
    ]
    assert (str(told[1][3]), told[0][4]) == ("2023-11-14 22:19:59", ["a"])
    [errors] = [body for key, body in found.items() if key.startswith("errors/format-conversion-failed/")]
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["lastErrorCode"] for line in lines] == [
        "DataFormatConversion.MalformedData",
        "DataFormatConversion.ParseError",
    ]
    assert lines[0]["dataCatalogTable"]["tableName"] == "orders"
    server.clock.advance(minutes=2)
    assert metric(server, "SucceedConversion.Records") == 400
    assert metric(server, "FailedConversion.Records") == 2


@pytest.mark.parametrize(
    ("query", "said"), [('{city: ("x" * 1000000000)}', "too much memory"), ("{city:", "syntax error")]
)
def test_query_when_it_is_none_or_wants_all_memory_then_the_delivery_stream_is_refused_and_the_server_goes_on(
    server: PenstockServer, query: str, said: str
) -> None:
    given = processed(processor("MetadataExtraction", MetadataExtractionQuery=query, **PARSED))
    with pytest.raises(ClientError, match=said):
        create(server, ProcessingConfiguration=given)
    assert server.client("firehose").list_delivery_streams()["DeliveryStreamNames"] == []


def test_records_when_a_query_names_partitions_then_each_has_its_objects(server: PenstockServer, lake: Lake) -> None:
    query = '{city: .City, day: .at | strftime("%Y-%m-%d")}'
    firehose = create(
        server,
        Prefix="city=!{partitionKeyFromQuery:city}/day=!{partitionKeyFromQuery:day}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        BufferingHints=HINTS,
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration=processed(
            processor("RecordDeAggregation", SubRecordType="JSON"),
            processor("MetadataExtraction", MetadataExtractionQuery=query.replace(".at", "(.at)"), **PARSED),
            processor("AppendDelimiterToRecord", Delimiter="\\n"),
        ),
    )
    together = order(0) + order(1) + order(2)
    firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(together, order(3), b'{"City": null, "at": 1}'))
    found = delivered(server, lake, 3)
    by_folder = {key.split("/", 1)[0]: body for key, body in found.items()}
    assert by_folder["city=Berlin"] == order(0) + b"\n" + order(2) + b"\n"
    assert by_folder["city=Paris"] == order(1) + b"\n" + order(3) + b"\n"
    error = json.loads(by_folder["errors"])
    assert (error["errorCode"], error["errorMessage"]) == (
        "DynamicPartitioning.MetadataExtractionFailed",
        "partitionKeys values must not be null or empty",
    )


def test_records_when_they_are_messages_of_logs_then_their_events_are_lines(server: PenstockServer, lake: Lake) -> None:
    firehose = create(
        server,
        ProcessingConfiguration=processed(
            processor("Decompression", CompressionFormat="GZIP"),
            processor("CloudWatchLogProcessing", DataMessageExtraction="true"),
        ),
    )
    events = [{"id": "1", "timestamp": 1, "message": "one"}, {"id": "2", "timestamp": 2, "message": "two"}]
    message = {"messageType": "DATA_MESSAGE", "logEvents": events}
    firehose.put_record(DeliveryStreamName="orders", Record={"Data": gzip.compress(json.dumps(message).encode())})
    assert list(delivered(server, lake, 1).values()) == [b"one\ntwo\n"]


FUNCTION = """
import base64, json

def handler(event, context):
    records = []
    for record in event["records"]:
        order = json.loads(base64.b64decode(record["data"]))
        if order["id"] % 3 == 0:
            records.append({"recordId": record["recordId"], "result": "Dropped"})
            continue
        order["city"] = order.pop("City").upper()
        data = base64.b64encode(json.dumps(order).encode()).decode()
        keys = {"city": order["city"]}
        records.append({"recordId": record["recordId"], "result": "Ok", "data": data, "metadata": {"partitionKeys": keys}})
    return {"records": records}
"""


def test_records_when_a_function_transforms_them_then_its_keys_name_partitions_and_the_rest_is_converted(
    server: PenstockServer, lake: Lake
) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", FUNCTION)
    function = server.client("lambda").create_function(
        FunctionName="enrich",
        Runtime="python3.12",
        Role="arn:aws:iam::123456789012:role/r",
        Handler="app.handler",
        Timeout=900,
        Code={"ZipFile": code.getvalue()},
    )["FunctionArn"]
    firehose = create(
        server,
        Prefix="city=!{partitionKeyFromLambda:city}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        BufferingHints=HINTS,
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration=processed(processor("Lambda", LambdaArn=function, BufferIntervalInSeconds="0")),
        DataFormatConversionConfiguration=converted(),
    )
    firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(*map(order, range(60))))
    settle(server, seconds=1)
    processed_by_function(server)
    found = delivered(server, lake, 2)
    with duckdb.connect() as connection:
        told = connection.execute(
            "SELECT city, count(*), count(DISTINCT id) FROM read_parquet(?) GROUP BY city ORDER BY city",
            [[str(lake.folder / key) for key in found]],
        ).fetchall()
    assert told == [("BERLIN", 20, 20), ("PARIS", 20, 20)]


def test_conversion_when_its_table_is_not_there_then_the_stream_is_refused(server: PenstockServer) -> None:
    with pytest.raises(ClientError, match="Table none not found"):
        create(server, BufferingHints=HINTS, DataFormatConversionConfiguration=converted("none"))
    firehose = create(server, BufferingHints=HINTS, DataFormatConversionConfiguration=converted())
    with pytest.raises(ClientError, match="Table none not found"):
        firehose.update_destination(
            DeliveryStreamName="orders",
            CurrentDeliveryStreamVersionId="1",
            DestinationId="destinationId-000000000001",
            ExtendedS3DestinationUpdate={"DataFormatConversionConfiguration": converted("none")},
        )
