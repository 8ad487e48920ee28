"""The lake: the stream's records once more, enriched by a function and delivered as Parquet files, and a query over them.

Theory.  Beside the consumers a delivery stream reads the stream: each record goes through a function, is converted by a table of the
catalog and lies in a file soon afterwards.  DuckDB then reads the files, as anybody would, and counts: each record that was sent must be
there.  A delivery may be repeated, so a record counts once however often it is found; of those that are found again the number is told.
Rule of this file: it takes place on a server of the demo's own, whose end is the end of all that is made here, but for the files.
"""

import importlib.util
import io
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import boto3
import click
from rich.console import Console
from rich.table import Table

from penstock.clients.calls import CALL_ERRORS, error_text
from penstock.demo.options import DemoError
from penstock.host.clock import monotonic_s

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

BUCKET: Final = "penstock-demo"
NAME: Final = "penstock-demo"  # of the delivery stream, the function and the database
ROLE: Final = "arn:aws:iam::000000000000:role/penstock-demo"
INTERVAL_S: Final = 2  # between files
ACTIVE_MAX_S: Final = 30.0
STALL_MAX_S: Final = 30.0  # without one record more in the files
POLL_S: Final = 0.1
NEEDS: Final = ("duckdb", "pyarrow", "awslambdaric")
COLUMNS: Final = {
    "key": "string",
    "count": "bigint",
    "at": "timestamp",
    "kind": "string",
    "part": "string",
    "name": "string",
    "percent": "double",
    "busy": "boolean",
}
FUNCTION: Final = '''
"""Enriches the demo's records: what kind of reading each is, when it was taken, and whether it is of something busy."""

import base64
import json


def handler(event, context):
    return {"records": [enriched(record) for record in event["records"]]}


def enriched(record):
    reading = json.loads(base64.b64decode(record["data"]))
    reading["kind"], _, reading["part"] = reading["key"].partition(":")
    reading["at"] = reading.pop("at_ms")
    reading["busy"] = reading.get("percent", 0) > 80
    data = base64.b64encode(json.dumps(reading).encode()).decode()
    return {"recordId": record["recordId"], "result": "Ok", "data": data}
'''
_QUERY: Final = """
    SELECT kind, count(*) AS records, count(DISTINCT part) AS parts, round(avg(percent), 1) AS percent,
           count(*) FILTER (WHERE busy) AS busy, max("at") AS newest
    FROM read_parquet(?) GROUP BY kind ORDER BY records DESC
"""
_COUNT: Final = 'SELECT count(*), count(DISTINCT ("key", "count")) FROM read_parquet(?)'

_pause: Final = threading.Event().wait  # never set: only its timeout ends it


class Count(NamedTuple):
    """What is in the files."""

    files: int
    rows: int
    records: int  # each once


def missing_modules() -> list[str]:
    """What would have to be installed."""
    return [name for name in NEEDS if importlib.util.find_spec(name) is None]


class Lake:
    """A delivery stream behind a stream, and its files."""

    def __init__(self, kinesis: "KinesisClient", stream: str, folder: Path) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._where = folder / BUCKET / stream

    def open(self) -> None:
        """Make all that there has to be; what is put from now on is delivered.  Raises DemoError."""
        if self._files():
            raise DemoError(f"{self._where} has files already; choose another --lake or --stream")
        try:
            self._make_table()
            function = self._make_function()
            self._deliver(function)
        except CALL_ERRORS as error:
            raise DemoError(f"cannot set up the delivery stream: {error_text(error)}") from None

    def judge(self, sent: int) -> bool:
        """Wait for the last files, show what is in them, and say whether every record is."""
        found = self._await(sent)
        if found.files:
            self._show()
        again = f", {found.rows - found.records:,} of them again" if found.rows > found.records else ""
        good = found.records == sent
        word = click.style("OK", fg="green", bold=True) if good else click.style("FAILED", fg="red", bold=True)
        lost = "" if good else f" of {sent:,}; look into {self._where.parent}"
        click.echo(f"{word}: DuckDB finds {found.records:,} records in {found.files:,} Parquet files{again}{lost}")
        return good

    def _await(self, sent: int) -> Count:
        found, since_s = self._count(), monotonic_s()
        while found.records < sent and monotonic_s() - since_s < STALL_MAX_S:
            _pause(POLL_S)
            now = self._count() if len(self._files()) != found.files else found
            if now.records != found.records:
                since_s = monotonic_s()
            found = now
        return found

    def _files(self) -> list[str]:
        return sorted(map(str, self._where.rglob("*.parquet")))

    def _count(self) -> Count:
        import duckdb

        files = self._files()
        if not files:
            return Count(0, 0, 0)
        with duckdb.connect() as connection:
            row = connection.execute(_COUNT, [files]).fetchone()
        assert row is not None, "a count is a row"
        return Count(len(files), *row)

    def _show(self) -> None:
        import duckdb

        table = Table(title="Parquet files, by DuckDB", title_justify="left")
        with duckdb.connect() as connection:
            told = connection.execute(_QUERY, [self._files()])
            for name, *_ in told.description or ():
                table.add_column(str(name), justify="left" if name == "kind" else "right")
            for row in told.fetchall():
                table.add_row(*("" if value is None else _shown(value) for value in row))
        Console(highlight=False).print(table)

    # Making

    def _client(self, service: str) -> Any:
        session: Any = boto3.Session()
        return session.client(
            service,
            endpoint_url=self._kinesis.meta.endpoint_url,
            region_name=self._kinesis.meta.region_name,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the demo's own server takes any
        )

    def _make_table(self) -> None:
        glue = self._client("glue")
        columns = [{"Name": name, "Type": kind} for name, kind in COLUMNS.items()]
        glue.create_database(DatabaseInput={"Name": NAME})
        glue.create_table(DatabaseName=NAME, TableInput={"Name": "metrics", "StorageDescriptor": {"Columns": columns}})

    def _make_function(self) -> str:
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("enrich.py", FUNCTION)
        made = self._client("lambda").create_function(
            FunctionName=NAME,
            Runtime="python3.12",
            Handler="enrich.handler",
            Role=ROLE,
            Timeout=60,
            Code={"ZipFile": code.getvalue()},
        )
        return str(made["FunctionArn"])

    def _deliver(self, function: str) -> None:
        """Make the delivery stream, and wait until it reads: it begins with what is put from then on."""
        source = self._kinesis.describe_stream_summary(StreamName=self._stream)["StreamDescriptionSummary"]["StreamARN"]
        firehose = self._client("firehose")
        firehose.create_delivery_stream(
            DeliveryStreamName=NAME,
            DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": source, "RoleARN": ROLE},
            ExtendedS3DestinationConfiguration=_destination(function, self._stream),
        )
        until_s = monotonic_s() + ACTIVE_MAX_S
        while monotonic_s() < until_s:
            told = firehose.describe_delivery_stream(DeliveryStreamName=NAME)["DeliveryStreamDescription"]
            if told["DeliveryStreamStatus"] == "ACTIVE":
                return
            _pause(POLL_S)
        raise DemoError(f"the delivery stream was not ready within {ACTIVE_MAX_S:.0f} s")


def _destination(function: str, stream: str) -> dict[str, Any]:
    parameters = {"LambdaArn": function, "BufferSizeInMBs": "1", "BufferIntervalInSeconds": "1"}
    rows = [{"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()]
    return {
        "RoleARN": ROLE,
        "BucketARN": f"arn:aws:s3:::{BUCKET}",
        "Prefix": f"{stream}/",
        "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": INTERVAL_S},
        "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": rows}]},
        "DataFormatConversionConfiguration": {
            "SchemaConfiguration": {"DatabaseName": NAME, "TableName": "metrics", "RoleARN": ROLE},
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
        },
    }


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)[:19]
