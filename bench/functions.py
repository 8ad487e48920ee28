"""What an invocation costs: warm and cold, of a Python function whose handler returns its event, with the server on uvloop.

    python -m bench.functions [INVOCATIONS] [MODE]

Warm ones go through the invoker, as mappings and delivery streams use it, and over the wire as `Invoke` from another process, one after the
other.  Cold ones are the first after a change of configuration: a new process, its imports, the answer.  CPU is the server's own, without
the function's.  MODE is process (the default) or sandbox.
"""

import asyncio
import io
import multiprocessing
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import uvloop

from penstock.app import App, make_app
from penstock.composition.functions import open_core
from penstock.core.ids import AccountId, Region
from penstock.core.settings import load
from penstock.services.functions.invoking import Invocation, Invoker

COLD: Final = 20
EVENT: Final = b'{"a":1}'
RECORDS_EVENT: Final = b'{"Records":[' + b",".join([b'{"kinesis":{"data":"' + b"x" * 684 + b'"}}'] * 1000) + b"]}"
SIGNED: Final = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00",
    "X-Amz-Date": "20260101T000000Z",
}


def packed() -> bytes:
    """The function."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(
            "app.py",
            "def echo(event, context): return event\ndef count(event, context): return len(event['Records'])\n",
        )
    return written.getvalue()


def told(name: str, took_s: Sequence[float], floor_ms: float | None = None) -> None:
    """Print a row."""
    low, *_, high = statistics.quantiles(took_s, n=10)
    floor = f"  floor {floor_ms} ms" if floor_ms else ""
    print(
        f"{name:<44} p10 {low * 1000:8.3f}  p50 {statistics.median(took_s) * 1000:8.3f}  p90 {high * 1000:8.3f} ms{floor}",
        flush=True,
    )


async def timed(invoker: Invoker, name: str, event: bytes, times: int) -> list[float]:
    """How long invocations took, one after the other."""
    took_s = []
    for _ in range(times):
        began_s = time.perf_counter()
        invoked = await invoker.invoke(Invocation(AccountId("123456789012"), Region("us-east-1"), name, event))
        took_s.append(time.perf_counter() - began_s)
        assert invoked.function_error is None, invoked.payload
    return took_s


def over_the_wire(url: str, times: int, out: Any) -> None:
    """Invoke from a process of its own."""
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname or "", where.port)
    took_s = []
    for _ in range(times):
        began_s = time.perf_counter()
        connection.request("POST", "/2015-03-31/functions/echo/invocations", EVENT, SIGNED)
        answer = connection.getresponse()
        assert answer.read() == b'{"a": 1}', answer.status
        took_s.append(time.perf_counter() - began_s)
    out.send(took_s)


async def measure(app: App, times: int) -> None:
    """Measure it all."""
    url, loop = (await app.start()).http, asyncio.get_running_loop()
    client: Any = boto3.client(
        "lambda", "us-east-1", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test"
    )

    async def call(operation: str, **arguments: Any) -> None:
        await loop.run_in_executor(None, lambda: getattr(client, operation)(**arguments))

    for handler in ("echo", "count"):
        await call(
            "create_function", FunctionName=handler, Runtime="python3.12", Handler=f"app.{handler}", Timeout=30,
            Role="arn:aws:iam::123456789012:role/r", Code={"ZipFile": packed()},
        )  # fmt: skip
    functions = await app._services.room.open(open_core)
    invoker = functions.invoker
    await timed(invoker, "echo", EVENT, 100)
    began_s = time.process_time()
    told("warm, through the invoker", await timed(invoker, "echo", EVENT, times), 0.6)
    print(f"{'':<44} CPU {(time.process_time() - began_s) / times * 1e6:8.0f} us of the server", flush=True)
    await timed(invoker, "count", RECORDS_EVENT, 20)
    told("warm, 1,000 records of 512 bytes (707 kB)", await timed(invoker, "count", RECORDS_EVENT, times // 10))
    near, far = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=over_the_wire, args=(url, times, far))
    process.start()
    told("warm, over the wire, unsigned client", await loop.run_in_executor(None, near.recv))
    process.join()
    cold_s = []
    for number in range(COLD):
        await call(
            "update_function_configuration", FunctionName="echo", Environment={"Variables": {"NUMBER": str(number)}}
        )
        cold_s += await timed(invoker, "echo", EVENT, 1)
    told("cold", cold_s, 120)
    await app.stop()


def main(times: int, mode: str) -> None:
    """Run it in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as directory:
        chosen = {"port": "0", "no_tls": "true", "data_dir": directory, "engine": "memory", "functions": mode}
        uvloop.run(measure(make_app(load(chosen, {}, None)), times))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000, sys.argv[2] if len(sys.argv) > 2 else "process")
