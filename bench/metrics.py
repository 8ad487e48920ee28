"""What PutMetricData costs the server: CPU time of one request of 20 data, in each protocol, through exchange and store, without the front.

    python -m bench.metrics [REQUESTS]

Also what a flush of as many series costs, and what is kept in memory for each.  CPU time of one process: other work on the machine
disturbs it little.
"""

import asyncio
import gzip
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import cbor2
import msgspec

from penstock.composition import Services, open_services
from penstock.core.settings import load
from penstock.engine import Engine, open_engine
from penstock.host.clock import SystemClock, monotonic_s
from penstock.host.entropy import SystemEntropy
from penstock.server.exchange import Exchange
from penstock.services.metrics.registry import StreamMetrics
from penstock.wire.route import Head

DATA: Final = 20  # as KCL and KPL send at most
SERVICE: Final = "GraniteServiceVersion20100801"
SIGNED: Final = {
    "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/aws4_request,"
    " SignedHeaders=host;x-amz-date, Signature=00",
    "x-amz-date": "20260101T000000Z",
    "host": "localhost",
}


class _Nobody:
    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        pass


def document(first: int, moment: Any) -> dict[str, Any]:
    """A request as KCL makes it: statistic sets of shards."""
    stats = {"SampleCount": 10.0, "Sum": 123.5, "Minimum": 1.0, "Maximum": 40.25}
    data = [
        {
            "MetricName": f"RecordProcessor.processRecords.Time{number}",
            "Dimensions": [{"Name": "Operation", "Value": "ProcessTask"}, {"Name": "ShardId", "Value": "shardId-000000000001"}],
            "Timestamp": moment,
            "StatisticValues": stats,
            "Unit": "Milliseconds",
        }
        for number in range(first, first + DATA)
    ]  # fmt: skip
    return {"Namespace": "my-consumer", "MetricData": data}


def _spelled(value: Any, path: str = "") -> dict[str, str]:
    match value:
        case dict():
            return {
                k: v for name, each in value.items() for k, v in _spelled(each, f"{path}.{name}".strip(".")).items()
            }
        case list():
            return {k: v for at, each in enumerate(value, 1) for k, v in _spelled(each, f"{path}.member.{at}").items()}
        case _:
            return {path: str(value)}


def _head(headers: dict[str, str], path: str = "/") -> Head:
    whole = {**SIGNED, **headers}
    return Head("POST", path, {}, whole, tuple((k.encode(), v.encode()) for k, v in whole.items()))


def requests() -> dict[str, Callable[[int], tuple[Head, bytes]]]:
    """A request of each protocol, of series from a number on."""
    now_s = int(time.time())
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s))
    action = {"Action": "PutMetricData", "Version": "2010-08-01"}
    form = {"content-type": "application/x-www-form-urlencoded"}
    rpc = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    target = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"{SERVICE}.PutMetricData"}
    path = f"/service/{SERVICE}/operation/PutMetricData"

    def spelled(first: int) -> bytes:
        return urlencode({**action, **_spelled(document(first, text))}).encode()

    return {
        "rpc-v2-cbor": lambda first: (_head(rpc, path), cbor2.dumps(document(first, cbor2.CBORTag(1, now_s)))),
        "json": lambda first: (_head(target), msgspec.json.encode(document(first, now_s))),
        "query": lambda first: (_head(form), spelled(first)),
        "query, gzip": lambda first: (_head({**form, "content-encoding": "gzip"}), gzip.compress(spelled(first))),
    }


async def _open(folder: Path) -> tuple[Engine, Services, Exchange]:
    settings = load({"data_dir": str(folder)}, {}, None)
    clock, entropy = SystemClock(), SystemEntropy()
    engine = await open_engine(settings, folder, clock, entropy)
    services = await open_services(settings, engine, folder, clock, entropy, StreamMetrics())
    return engine, services, Exchange(services.router, entropy, _Nobody(), monotonic_s, services.door)


async def measure(count: int) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        engine, services, exchange = await _open(Path(folder))
        for name, make in requests().items():
            sent = [make(0)] * count
            began_s = time.process_time()
            for head, body in sent:
                answer = await exchange.handle(head, body)
                assert answer.status == 200, answer
            each_us = (time.process_time() - began_s) / count * 1e6
            print(
                f"{name:12} {each_us:7.0f} us a request, {each_us / DATA:5.1f} us a datum, {len(sent[0][1]):6,} bytes"
            )
        await services.metrics.store.flush()
        await _flushes(services, exchange)
        await services.room.tasks.stop()
        await engine.close()


async def _flushes(services: Services, exchange: Exchange) -> None:
    store, make = services.metrics.store, requests()["json"]
    series = 2000
    tracemalloc.start()
    for first in range(0, series, DATA):
        await exchange.handle(*make(first))
    await store.flush()
    held_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for first in range(0, series, DATA):
        await exchange.handle(*make(first))
    began_s = time.process_time()
    await store.flush()
    print(
        f"flush of {series:,} series: {(time.process_time() - began_s) * 1e3:.0f} ms; {held_bytes / series:,.0f} bytes held for each"
    )


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
