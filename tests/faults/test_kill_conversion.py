"""kill -9 of the server while records go through jq and become Parquet: every acknowledged one is a row, and every file is whole."""

import json
import os
import threading
from pathlib import Path
from typing import Any, Final

import duckdb
from botocore.exceptions import BotoCoreError, ClientError
from deliveries import BUCKET, ROLE, Lake
from served import Server, server
from test_kill_delivery import client

from penstock.host.entropy import SeededEntropy

ROUNDS: Final = max(2, int(os.environ.get("PENSTOCK_KILL_ROUNDS", "2")))
LONGEST_S: Final = 1.5  # from the first record to the kill
WAIT_S: Final = 60
QUERY: Final = "{part: (.id % 3)}"  # which needs jq
DELIVERY: Final[dict[str, Any]] = {
    "RoleARN": ROLE,
    "BucketARN": BUCKET,
    "Prefix": "part=!{partitionKeyFromQuery:part}/",
    "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
    "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 0},
    "DynamicPartitioningConfiguration": {"Enabled": True},
    "ProcessingConfiguration": {
        "Enabled": True,
        "Processors": [
            {
                "Type": "MetadataExtraction",
                "Parameters": [
                    {"ParameterName": "MetadataExtractionQuery", "ParameterValue": QUERY},
                    {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
                ],
            }
        ],
    },
    "DataFormatConversionConfiguration": {
        "SchemaConfiguration": {"DatabaseName": "d", "TableName": "t", "RoleARN": ROLE},
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
    },
}


def make(where: Server) -> None:
    """A table, and a delivery stream that converts by it."""
    glue = client(where, "glue")
    glue.create_database(DatabaseInput={"Name": "d"})
    columns = [{"Name": "id", "Type": "int"}, {"Name": "text", "Type": "string"}]
    glue.create_table(DatabaseName="d", TableInput={"Name": "t", "StorageDescriptor": {"Columns": columns}})
    client(where, "firehose").create_delivery_stream(
        DeliveryStreamName="rows", ExtendedS3DestinationConfiguration=DELIVERY
    )


def write(where: Server, begin: int, acked: set[int], begun: threading.Event) -> None:
    """Put numbered records until the server is gone; remember what was acknowledged, and tell of the first."""
    firehose = client(where, "firehose")
    while True:
        numbers = range(begin, begin + 100)
        begin += 100
        records = [{"Data": json.dumps({"id": number, "text": "x" * 80}).encode()} for number in numbers]
        try:
            assert firehose.put_record_batch(DeliveryStreamName="rows", Records=records)["FailedPutCount"] == 0
        except (BotoCoreError, ClientError):
            return
        acked.update(numbers)
        begun.set()


def rows(lake: Lake) -> list[tuple[int, str]]:
    """The id and partition of each row; DuckDB refuses a file that is not whole."""
    files = [str(lake.folder / key) for key in lake.bodies() if key.endswith(".parquet")]
    if not files:
        return []
    with duckdb.connect() as connection:
        return connection.execute(
            "SELECT id, part::VARCHAR FROM read_parquet(?, hive_partitioning=true)", [files]
        ).fetchall()


def test_server_when_killed_while_it_converts_then_every_acknowledged_record_is_a_row_in_its_partition(
    tmp_path: Path,
) -> None:
    entropy, lake = SeededEntropy(9), Lake(tmp_path / "buckets")
    acked: set[int] = set()
    options = ("--transition-ms", "0", "--buckets", f"file://{lake.root}")
    for number in range(ROUNDS):
        with server(tmp_path / "data", *options) as where:
            if number == 0:
                make(where)
            begun = threading.Event()
            writer = threading.Thread(target=write, args=(where, number * 1_000_000, acked, begun), daemon=True)
            writer.start()
            if number == 0:
                assert begun.wait(WAIT_S)
            threading.Event().wait(0.3 + entropy.fraction() * LONGEST_S)
            where.process.kill()
            where.process.wait()
            writer.join()
    with server(tmp_path / "data", *options):
        missing, left = acked, WAIT_S * 5
        while (missing := acked - {number for number, _ in rows(lake)}) and left:
            threading.Event().wait(0.2)
            left -= 1
    assert acked
    assert not missing, f"{len(missing)} of {len(acked)} are missing, {sorted(missing)[:5]}"
    assert all(part == str(number % 3) for number, part in rows(lake))
    assert not [key for key in lake.bodies() if key.startswith("errors/")]
