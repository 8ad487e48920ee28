"""Leases: conditional renewals a second over the wire, of the durable engine and of its peers, in one run.

What happens.  Each server gets one table; each connection has a lease of its own in it and renews it as the KCL 3 does: PUT
leaseCounter n+1 if leaseCounter is n and checkpointOwner is not there.  The next renewal is sent when the last was answered.
At the end each lease is read, and its counter must be the number of renewals that were acknowledged.
Penstock's renewals are on the disk when they are answered (one sync for all that wait); the peers keep theirs in memory.

`python -m bench.leases [--seconds S] [--rounds N] [--connections 1,8,32]` prints a table; a rate is the median of the rounds, with the
least and the greatest.
"""

import argparse
import asyncio
import http.client
import json
import os
import statistics
import sys
import time
from contextlib import suppress
from typing import Any, Final, cast

import uvloop

from bench.load import HOST
from bench.processes import cpu_times
from bench.servers import Part, RefusedCall, Running, Server, Unavailable, lease_peers, penstock, running, snapshot

TABLE: Final = "app"
FIRST: Final = 1_000_000  # counters have as many digits all along, so that requests are of one length
WARMUP_S: Final = 1.0
TARGET: Final = "DynamoDB_20120810."
SCOPE: Final = "test/20260101/us-east-1/dynamodb/aws4_request"
AUTHORIZATION: Final = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;x-amz-date, Signature=00"
LEASE: Final = {
    "leaseOwner": {"S": "worker-1"},
    "checkpoint": {"S": "49590338271490256608559692538361571095921575989136588898"},
    "checkpointSubSequenceNumber": {"N": "0"},
    "ownerSwitchesSinceCheckpoint": {"N": "0"},
    "startingHashKey": {"S": "0"},
    "endingHashKey": {"S": "340282366920938463463374607431768211455"},
}


def headers(operation: str) -> dict[str, str]:
    """Of a call, which nobody verifies."""
    return {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": TARGET + operation,
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": AUTHORIZATION,
    }


def call(port: int, operation: str, document: dict[str, Any]) -> dict[str, Any]:
    """Call an operation on a connection of its own.  Raises RefusedCall, OSError."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("POST", "/", json.dumps(document), headers(operation))
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise RefusedCall(f"{operation}: {error!r}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise RefusedCall(f"{operation}: {answer.status} {body[:300].decode(errors='replace')}")
    found: dict[str, Any] = json.loads(body) if body else {}
    return found


def key(number: int) -> dict[str, Any]:
    """The key of a connection's lease."""
    return {"leaseKey": {"S": f"shardId-{number:012d}"}}


def renewal(number: int) -> bytes:
    """A whole request, with the two counters as `%07d`."""
    document = {
        "TableName": TABLE,
        "Key": key(number),
        "AttributeUpdates": {
            "leaseCounter": {"Action": "PUT", "Value": {"N": "%07d"}},
            "throughputKBps": {"Action": "PUT", "Value": {"N": "12.5"}},
        },
        "Expected": {"leaseCounter": {"Value": {"N": "%07d"}}, "checkpointOwner": {"Exists": False}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    body = json.dumps(document, separators=(",", ":"))
    size = len(body) + 2 * (len(str(FIRST)) - len("%07d"))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers("UpdateItem").items())
    return f"POST / HTTP/1.1\r\nHost: {HOST}\r\n{head}Content-Length: {size}\r\n\r\n{body}".encode()


class Renewer(asyncio.Protocol):
    """One connection: renews its lease until it is told to stop."""

    def __init__(self, number: int, port: int) -> None:
        self.port = port
        self.template = renewal(number)
        self.counter = FIRST
        self.stopping = False
        self.ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()  # what went wrong
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._send()

    def _send(self) -> None:
        self._transport.write(self.template % (self.counter + 1, self.counter))

    def data_received(self, data: bytes) -> None:
        """Take an answer, and renew again."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"
        )
        if len(body) < length:
            return
        self._buffer = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._end((head[:20] + body[:200]).decode(errors="replace"))
            return
        self.counter += 1
        if self.stopping:
            self._end(None)
        elif b"connection: close" in head.lower():
            self._again = asyncio.ensure_future(
                asyncio.get_running_loop().create_connection(lambda: self, HOST, self.port)
            )
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server hung up; after an answer some do, and then we are connected again."""
        if exc is not None or self._buffer:
            self._end(f"hung up: {exc}")

    def _end(self, problem: str | None) -> None:
        if not self.ended.done():
            self.ended.set_result(problem)
            self._transport.close()


async def renew(port: int, connections: int, seconds: float) -> tuple[float, list[int]]:
    """Renew for a while: the rate, and the counter of each lease."""
    loop = asyncio.get_running_loop()
    renewers = [(await loop.create_connection(lambda n=n: Renewer(n, port), HOST, port))[1] for n in range(connections)]  # type: ignore[misc]
    await asyncio.sleep(WARMUP_S)
    before, started_s = sum(each.counter for each in renewers), time.perf_counter()
    await asyncio.sleep(seconds)
    done, took_s = sum(each.counter for each in renewers) - before, time.perf_counter() - started_s
    for each in renewers:
        each.stopping = True
    problems = await asyncio.wait_for(asyncio.gather(*(each.ended for each in renewers)), 30)
    if any(problems):
        raise RefusedCall(next(filter(None, problems)))
    return done / took_s, [each.counter for each in renewers]


def measure(server: Server, connections: int, seconds: float) -> tuple[float, float]:
    """The rate of a server, and how many cores it used.  Raises RefusedCall, Unavailable, OSError."""
    with running(server) as started:
        prepare(started, connections)
        before = cpu_times(started.pid)
        rate, counters = uvloop.run(renew(started.port, connections, seconds))
        used = before.until(cpu_times(started.pid))
        for number, counter in enumerate(counters):
            held = call(started.port, "GetItem", {"TableName": TABLE, "Key": key(number), "ConsistentRead": True})
            if held["Item"]["leaseCounter"]["N"] != str(counter):
                raise RefusedCall(f"lease {number} is {held['Item']['leaseCounter']}, and {counter} was acknowledged")
        return rate, used.server_s / used.span_s


def prepare(started: Running, connections: int) -> None:
    """Make the table and the leases."""
    definition = {
        "TableName": TABLE,
        "KeySchema": [{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "leaseKey", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    call(started.port, "CreateTable", definition)
    for number in range(connections):
        item = {**key(number), **LEASE, "leaseCounter": {"N": str(FIRST)}}
        for _ in range(100):
            with suppress(RefusedCall):  # the table is being made
                call(started.port, "PutItem", {"TableName": TABLE, "Item": item})
                break


def main() -> None:
    """Measure every server, one after the other in each round."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=4.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--connections", default="1,8,32")
    options.add_argument("--no-peers", action="store_true")
    asked = options.parse_args()

    with snapshot() as source:
        servers = [
            penstock(source, "penstock", Part.US, "--no-tls", "--engine", "local"),
            penstock(source, "penstock in memory", Part.VARIANT, "--no-tls", "--engine", "memory"),
            *([] if asked.no_peers else lease_peers(lambda port: call(port, "ListTables", {}))),
        ]
        results: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for server in servers:
            with suppress(Unavailable):
                server.install()
        for turn in range(asked.rounds):
            for connections in map(int, asked.connections.split(",")):
                for server in servers[turn % len(servers) :] + servers[: turn % len(servers)]:
                    try:
                        found = measure(server, connections, asked.seconds)
                    except (Unavailable, RefusedCall, OSError, TimeoutError) as why:
                        print(f"{server.name}: {type(why).__name__}: {why}", file=sys.stderr)
                    else:
                        results.setdefault((server.name, connections), []).append(found)
    print("| server | connections | renewals/s | least | greatest | cores |\n|---|---|---|---|---|---|")
    for (name, connections), runs in sorted(results.items()):
        rates = [rate for rate, _ in runs]
        cores = statistics.median(used for _, used in runs)
        print(
            f"| {name} | {connections} | {statistics.median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f} | {cores:.2f} |"
        )
    print(f"\nload average at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
