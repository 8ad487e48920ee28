"""What this machine could do at most: `python -m bench.limits` measures it, `bounds` says what it means for a row of the table.

Theory.  A server cannot verify faster than SHA-256 goes, acknowledge faster than the disk syncs, answer faster than loopback carries, or
read JSON faster than the fastest reader that we know of (msgspec and pybase64; cbor2).  Each limit is for one core and nothing else;
a server has to do all of it, with the client beside it, so a share of 1 is not to be had.
"""

import hashlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Final, NamedTuple

import cbor2
import msgspec
import psutil
import pybase64

from bench import payload
from bench.payload import CBOR, JSON, PAGE_RECORD_BYTES, PUT_RECORDS_BYTES, PUT_RECORDS_COUNT
from bench.scenarios import FAN_OUT, SINGLE_CONNECTIONS, STREAM

MB: Final = 1_000_000
SPAN_S: Final = 0.4  # of each measurement
_CHUNK: Final = 1 << 20
_WRITE_BYTES: Final = 4 << 20
_WRITES: Final = 16
_SYNCS: Final = 200

Limits = Mapping[str, float]


class _Entry(msgspec.Struct):
    Data: str
    PartitionKey: str


class _Batch(msgspec.Struct):
    StreamName: str
    Records: list[_Entry]


class _Read(msgspec.Struct):
    SequenceNumber: str
    ApproximateArrivalTimestamp: float
    Data: bytes
    PartitionKey: str


def _rate(units: float, work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Units a second."""
    began = clock()
    turns = 0
    while (spent_s := clock() - began) < SPAN_S:
        work()
        turns += 1
    return units * turns / spent_s


def _cpu_rate(units: float, work: Callable[[], object]) -> float:
    """Units a second of CPU time: what a core could do that has nothing else to do."""
    return _rate(units, work, time.thread_time)


def _decode_json(decoder: msgspec.json.Decoder[_Batch], body: bytes) -> None:
    for each in decoder.decode(body).Records:
        pybase64.b64decode(each.Data, validate=True)


def _disk(folder: str) -> dict[str, float]:
    """Large writes, each synced, then small ones: over a file that is written already, since that is the fastest way."""
    chunk = os.urandom(_WRITE_BYTES)
    file = os.open(Path(folder) / "written", os.O_CREAT | os.O_WRONLY)
    places = cycle(range(0, _WRITES * _WRITE_BYTES, _WRITE_BYTES))

    def write() -> None:
        os.pwrite(file, chunk, next(places))
        os.fdatasync(file)

    try:
        for _ in range(_WRITES):
            write()
        rate = _rate(_WRITE_BYTES / MB, write)
        taken_ms = []
        for number in range(_SYNCS):
            started_s = time.perf_counter()
            os.pwrite(file, chunk[:4096], 4096 * number)
            os.fdatasync(file)
            taken_ms.append((time.perf_counter() - started_s) * 1000)
    finally:
        os.close(file)
    taken_ms.sort()
    return {"disk MB/s": rate, "sync p50 ms": taken_ms[_SYNCS // 2], "sync p99 ms": taken_ms[_SYNCS * 99 // 100]}


_SINK: Final = """
import socket, sys
source, buffer = socket.create_connection(("127.0.0.1", int(sys.argv[1]))), bytearray(1 << 20)
while source.recv_into(buffer): pass
"""


def _loopback() -> float:
    """MB/s through a socket to another process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = subprocess.Popen([sys.executable, "-c", _SINK, str(server.getsockname()[1])])
        try:
            with server.accept()[0] as sender:
                chunk = bytes(_CHUNK)
                return _rate(_CHUNK / MB, lambda: sender.sendall(chunk))
        finally:
            child.kill()
            child.wait()


def _interpreter() -> dict[str, float]:
    """The start and the memory of a Python that does nothing."""
    taken_s, memory_mib = [], 0.0
    for _ in range(3):
        started_s = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            taken_s.append(time.perf_counter() - started_s)
            memory_mib = psutil.Process(child.pid).memory_info().rss / 2**20
            child.communicate(b"\n")
    return {"interpreter start s": statistics.median(taken_s), "interpreter MiB": memory_mib}


def measure() -> dict[str, float]:
    """Every limit, now."""
    documents = payload.put_records(STREAM, payload.records(PUT_RECORDS_COUNT, PUT_RECORDS_BYTES))
    json_body, cbor_body = JSON.body(documents), CBOR.body(documents)
    decoder = msgspec.json.Decoder(_Batch)
    page = [_Read("4" * 56, 1767225600.123, each.data, each.key) for each in payload.records(500, PAGE_RECORD_BYTES)]
    chunk = os.urandom(_CHUNK)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        disk = _disk(folder)
    return {
        "SHA-256 MB/s": _cpu_rate(_CHUNK / MB, lambda: hashlib.sha256(chunk).digest()),
        "JSON records/s": _cpu_rate(PUT_RECORDS_COUNT, lambda: _decode_json(decoder, json_body)),
        "CBOR records/s": _cpu_rate(PUT_RECORDS_COUNT, lambda: cbor2.loads(cbor_body)),
        "JSON page MB/s": _cpu_rate(500 * PAGE_RECORD_BYTES / MB, lambda: msgspec.json.encode(page)),
        "loopback MB/s": _loopback(),
        "JSON wire bytes": len(json_body) / PUT_RECORDS_COUNT,
        "CBOR wire bytes": len(cbor_body) / PUT_RECORDS_COUNT,
        **disk,
        **_interpreter(),
    }


class Bound(NamedTuple):
    """A limit in the unit of a row."""

    name: str
    value: float


def bounds(figure: str, limits: Limits, null: float | None) -> list[Bound]:
    """The limits of a row; `null` is what the same client reached against the responder that does nothing."""
    if not limits:
        return []
    found = list(_bounds(figure, limits))
    if null is None:
        return found
    if figure.startswith(("put-record-1 ", "push ")):
        sync = limits["sync p99 ms" if figure.endswith("p99") else "sync p50 ms"]
        return [Bound("loopback and sync", null + (0 if "answer" in figure else sync))]
    return [*found, Bound("loopback", null)]


def _bounds(figure: str, limits: Limits) -> Iterator[Bound]:
    match figure:
        case "put-records" | "put-records-cbor" | "wide-put-records":
            wire = "CBOR" if figure == "put-records-cbor" else "JSON"
            yield Bound("SHA-256", limits["SHA-256 MB/s"] * MB / limits[f"{wire} wire bytes"])
            yield Bound("disk", limits["disk MB/s"] * MB / PUT_RECORDS_BYTES)
            yield Bound(f"{wire} decoding", limits[f"{wire} records/s"])
        case "put-record" | "wide-put-record":
            yield Bound("disk syncs", SINGLE_CONNECTIONS * 1000 / limits["sync p50 ms"])
        case "get-records" | "wide-get-records":
            yield Bound("JSON encoding", limits["JSON page MB/s"])
        case "fan-out":
            yield Bound("JSON decoding", FAN_OUT * limits["JSON records/s"] * PUT_RECORDS_BYTES / MB)
            yield Bound("disk", FAN_OUT * limits["disk MB/s"])
        case "start":
            yield Bound("a bare interpreter", limits["interpreter start s"])
        case "idle-memory":
            yield Bound("a bare interpreter", limits["interpreter MiB"])
        case "engine-append":
            yield Bound("disk", limits["disk MB/s"] * MB / PUT_RECORDS_BYTES)
        case "engine-append-1 p50":
            yield Bound("sync", limits["sync p50 ms"])


def nearest(found: list[Bound], better: str) -> Bound | None:
    """The limit that would be met first."""
    if not found:
        return None
    return min(found, key=lambda bound: bound.value) if better == "higher" else max(found, key=lambda each: each.value)


def main() -> None:
    """Measure and print."""
    sys.stdout.buffer.write(msgspec.json.encode(measure()))


if __name__ == "__main__":
    main()
