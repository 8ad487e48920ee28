"""What processing of delivery streams takes: `python -m bench.processing` prints a table, and fails below a floor.

Each figure is input in megabytes, or records, for a second of CPU time of this process and its children, the best of three; wall time is
not told, because the machine may be busy.  Input: 50,000 records of 215 bytes with nine members, of which the table has eight.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import click
import msgspec

from penstock.core.ids import AccountId, Region
from penstock.engines.buckets import PLAIN, Body, ObjectHead
from penstock.host.clock import SystemClock
from penstock.host.entropy import SystemEntropy
from penstock.host.jqprocess import JqProcess
from penstock.host.threads import WorkThreads
from penstock.services.catalog.definitions import Column
from penstock.services.catalog.service import TableSchema
from penstock.services.firehose.entries import Entry
from penstock.services.firehose.processing.conversion import make_converter
from penstock.services.firehose.processing.extraction import Extraction
from penstock.services.firehose.processing.measures import NoMeasures
from penstock.services.firehose.shapes import DataFormatConversionConfiguration
from penstock.services.firehose.site import Site

RECORDS: Final = 50_000
REPEATS: Final = 3
FLOOR_MB_S: Final = 40  # of input, to Parquet with Snappy
COLUMNS: Final = {
    "id": "bigint",
    "name": "string",
    "price": "double",
    "qty": "int",
    "active": "boolean",
    "ts": "timestamp",
    "city": "string",
    "tags": "array<string>",
}
SIMPLE: Final = "{city: .city, name: .name}"
REAL: Final = '{city: .city, year: .ts | .[0:4], kind: (if .active then "a" else "b" end)}'


class Figure(NamedTuple):
    """One row."""

    what: str
    rate: float
    unit: str
    floor: float | None = None


class _Nowhere:
    """No objects are needed."""

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        """Nobody writes."""

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Nobody reads."""
        return b""


class _Tables:
    """The one table."""

    async def table(
        self, account: AccountId, region: Region, catalog_id: str | None, database: str, table: str, version: str
    ) -> TableSchema:
        """Its columns."""
        return TableSchema([Column(name=name, type=kind) for name, kind in COLUMNS.items()], [], {}, "0")


def records() -> list[Entry]:
    """The input."""
    told = (
        {
            "id": number,
            "name": f"customer-{number}",
            "price": number / 7,
            "qty": number % 7,
            "active": bool(number % 2),
            "ts": "2026-01-02 03:04:05.123",
            "city": ("Berlin", "Paris", "Rome")[number % 3],
            "tags": ["a", "b"],
            "note": "x" * 40,
        }
        for number in range(RECORDS)
    )
    return [Entry(json.dumps(one).encode() + b"\n", 0, str(place), place) for place, one in enumerate(told)]


def _configured(serializer: dict[str, Any]) -> DataFormatConversionConfiguration:
    document = {
        "SchemaConfiguration": {"DatabaseName": "d", "TableName": "t"},
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": serializer},
    }
    return msgspec.convert(document, DataFormatConversionConfiguration)


def _cpu_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


async def _best(units: float, work: Callable[[], Awaitable[object]]) -> float:
    """Units for a second of CPU time."""
    rates = []
    for _ in range(REPEATS):
        began_s = _cpu_s()
        await work()
        rates.append(units / (_cpu_s() - began_s))
    return max(rates)


async def _jq_rate(site: Site, entries: Sequence[Entry]) -> float:
    """Records a second by a query that needs jq; its process must have ended to be counted, so all repeats are one."""
    queries = JqProcess()
    extraction = Extraction(REAL, queries, site.clock, NoMeasures())
    began_s, began_wall_s = _cpu_s(), time.monotonic()
    for start in range(0, len(entries), 4000):  # about a megabyte, as the buffers before steps are
        done = await extraction.process(entries[start : start + 4000])
        assert not done.failed, done.failed[0]
    wall_s = time.monotonic() - began_wall_s
    await queries.close()
    return len(entries) / max(_cpu_s() - began_s, wall_s * 0.01)


async def measure() -> list[Figure]:
    """All figures."""
    threads = WorkThreads()
    site = Site(
        AccountId("123456789012"), Region("us-east-1"), "d", "arn", "1", None, SystemClock(), SystemEntropy(), threads,
        _Nowhere(),
    )  # fmt: skip
    entries = records()
    megabytes = sum(len(entry.data) for entry in entries) / 1e6
    figures = []
    for what, serializer, floor in (
        ("JSON to Parquet, Snappy", {"ParquetSerDe": {}}, float(FLOOR_MB_S)),
        ("JSON to Parquet, gzip", {"ParquetSerDe": {"Compression": "GZIP"}}, None),
        ("JSON to ORC, Snappy", {"OrcSerDe": {}}, None),
    ):
        converter = make_converter(_configured(serializer), site, _Tables())
        assert converter is not None
        await converter.convert(entries[:100])
        rate = await _best(megabytes, partial(converter.convert, entries))
        figures.append(Figure(what, rate, "MB/s", floor))
    queries = JqProcess()
    simple = Extraction(SIMPLE, queries, site.clock, NoMeasures())
    figures.append(Figure("keys, a simple query", await _best(RECORDS, partial(simple.process, entries)), "records/s"))
    figures.append(Figure("keys, by jq in its process", await _jq_rate(site, entries), "records/s"))
    threads.close()
    return figures


@click.command()
def main() -> None:
    """Print what processing takes."""
    figures = asyncio.run(measure())
    for figure in figures:
        floor = f"  (floor {figure.floor:,.0f})" if figure.floor is not None else ""
        click.echo(f"{figure.what:<28} {figure.rate:>10,.0f} {figure.unit} of CPU time{floor}")
    low = [figure.what for figure in figures if figure.floor is not None and figure.rate < figure.floor]
    if low:
        raise click.ClickException(f"below its floor: {', '.join(low)}")


if __name__ == "__main__":
    main()
