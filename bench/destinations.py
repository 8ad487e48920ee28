"""What deliveries take beside S3: `python -m bench.destinations` prints a table, and fails below a floor.

Each figure is megabytes of records for a second of CPU time of this process, the best of three; the receivers run in a process of their
own and are not counted.  Input: parcels of 5 MiB, of JSON records of about 500 bytes.
"""

import asyncio
import json
import multiprocessing
import os
import re
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Final, NamedTuple

import click

from penstock.core.ids import AccountId, Region
from penstock.core.warehouse import Column
from penstock.engines.buckets import PLAIN, Body, ObjectHead
from penstock.host.clock import SystemClock
from penstock.host.entropy import SystemEntropy
from penstock.host.outbound import Outbound
from penstock.host.threads import WorkThreads
from penstock.services.firehose.destinations.api import Delivered, Destination, Parcel
from penstock.services.firehose.destinations.copyoptions import read_options
from penstock.services.firehose.destinations.copyrows import copy_text
from penstock.services.firehose.destinations.http import HttpEndpointDestination
from penstock.services.firehose.destinations.search import make_search
from penstock.services.firehose.destinations.shapes import (
    EndpointConfiguration,
    HttpEndpoint,
    OpenSearch,
    RequestConfiguration,
)
from penstock.services.firehose.entries import Entry
from penstock.services.firehose.shapes import S3
from penstock.services.firehose.site import Site

PARCEL_BYTES: Final = 5 << 20
PARCELS: Final = 20
REPEATS: Final = 3
ROLE: Final = "arn:aws:iam::123456789012:role/r"
BACKUP: Final = S3(role_arn=ROLE, bucket_arn="arn:aws:s3:::failed")
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_ID: Final = re.compile(rb"x-amz-firehose-request-id: ([^\r]+)", re.IGNORECASE)
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Figure(NamedTuple):
    """One row."""

    what: str
    rate: float
    floor: float


class _Nowhere:
    """No objects are needed."""

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        """Nobody writes."""

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Nobody reads."""
        return b""


def records() -> list[Entry]:
    """One parcel."""
    found, size, number = [], 0, 0
    while size < PARCEL_BYTES:
        told = {"id": number, "name": f"customer-{number}", "city": ("Berlin", "Rome")[number % 2], "note": "x" * 440}
        found.append(Entry(json.dumps(told).encode() + b"\n", 1_767_323_045_000, f"record-{number}", number))
        size, number = size + len(found[-1].data), number + 1
    return found


def receive(ready: Connection) -> None:
    """Take whatever is sent, and say that all is well: in a process of its own."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                writer.close()
                return
            length = _LENGTH.search(head)
            assert length is not None
            body = await reader.readexactly(int(length[1]))
            request_id = _ID.search(head)
            if request_id is not None:
                answer = b'{"requestId":"%b","timestamp":1}' % request_id[1]
            else:
                answer = b'{"items":[%b]}' % b",".join([b'{"index":{"status":201}}'] * (body.count(b"\n") // 2))
            writer.write(_HEAD % len(answer) + answer)

    async def serve() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 20)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def _cpu_s() -> float:
    spent = os.times()
    return spent.user + spent.system


async def _best(megabytes: float, work: Callable[[], Awaitable[None]]) -> float:
    """Megabytes for a second of CPU time."""
    await work()
    rates = []
    for _ in range(REPEATS):
        began_s = _cpu_s()
        await work()
        rates.append(megabytes / (_cpu_s() - began_s))
    return max(rates)


async def _delivered(destination: Destination, entries: list[Entry], megabytes: float) -> float:
    async def work() -> None:
        for number in range(PARCELS):
            parcel = Parcel(entries, f"7a5b9c1e-6a58-4bb4-9b4f-{number:012d}", entries[0].arrival_ms)
            outcome = await destination.deliver(parcel)
            assert isinstance(outcome, Delivered), outcome

    return await _best(megabytes * PARCELS, work)


async def measure(port: int) -> list[Figure]:
    """All figures."""
    threads, network, entries = WorkThreads(), Outbound(), records()
    site = Site(
        AccountId("123456789012"), Region("us-east-1"), "d", "arn", "1", None, SystemClock(), SystemEntropy(), threads,
        _Nowhere(), network=network,
    )  # fmt: skip
    megabytes = sum(len(entry.data) for entry in entries) / 1e6
    endpoint = EndpointConfiguration(url=f"http://127.0.0.1:{port}/")
    plain = HttpEndpoint(endpoint_configuration=endpoint, s3_configuration=BACKUP)
    packing = RequestConfiguration(content_encoding="GZIP")
    packed = HttpEndpoint(endpoint_configuration=endpoint, s3_configuration=BACKUP, request_configuration=packing)
    cluster = OpenSearch(
        role_arn=ROLE, cluster_endpoint=f"http://127.0.0.1:{port}", index_name="i", s3_configuration=BACKUP
    )
    figures = [
        Figure("HTTP endpoint", await _delivered(HttpEndpointDestination(plain, site), entries, megabytes), 100),
        Figure("HTTP endpoint, gzip", await _delivered(HttpEndpointDestination(packed, site), entries, megabytes), 10),
        Figure("OpenSearch", await _delivered(make_search(cluster, site), entries, megabytes), 30),
    ]
    columns, plan = [Column("id", 20), Column("name", 1043), Column("note", 1043)], read_options("json 'auto'")
    data = b"".join([entry.data for entry in entries])

    async def rows() -> None:
        copy_text(plan, data, columns)

    figures.append(Figure("rows of JSON for COPY", await _best(megabytes, rows), 15))
    await network.close()
    threads.close()
    return figures


@click.command()
def main() -> None:
    """Print what deliveries take."""
    here, there = multiprocessing.Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=receive, args=(there,), daemon=True)
    receiver.start()
    figures = asyncio.run(measure(here.recv()))
    receiver.terminate()
    for figure in figures:
        click.echo(f"{figure.what:<24} {figure.rate:>8,.0f} MB/s of CPU time  (floor {figure.floor:,.0f})")
    low = [figure.what for figure in figures if figure.rate < figure.floor]
    if low:
        raise click.ClickException(f"below its floor: {', '.join(low)}")


if __name__ == "__main__":
    main()
