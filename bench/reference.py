"""The fixed work that CPU time is compared with, so that a ratio means the same on a busy machine as on a quiet one.

Theory.  Whatever slows a core (its neighbour, its clock, its caches) slows the reference run just before and after too.  It does what a
server of this kind does: reads JSON by type and base64, hashes, and runs Python.  Its parts never change; if they must, every kept
ratio is kept anew.
"""

import hashlib
import time
from typing import Final

import msgspec
import pybase64

from bench import payload
from bench.payload import JSON

_BYTES: Final = 128 * 1024
_TURNS: Final = 24
_LOOPS: Final = 6000


class _Entry(msgspec.Struct):
    Data: str
    PartitionKey: str


class _Batch(msgspec.Struct):
    StreamName: str
    Records: list[_Entry]


_decoder = msgspec.json.Decoder(_Batch)
_body: Final = JSON.body(payload.put_records("reference", payload.records(100, 1024)))


def work() -> int:
    """One unit: some 20 ms of one core."""
    found = 0
    for _ in range(_TURNS):
        batch = _decoder.decode(_body)
        found += sum(len(pybase64.b64decode(each.Data, validate=True)) for each in batch.Records)
        hashlib.sha256(_body[:_BYTES]).digest()
    numbers = {}
    for number in range(_LOOPS):
        numbers[str(number)] = found + number
    return len(numbers)


def cpu_us() -> float:
    """CPU microseconds of one unit, now."""
    started_s = time.thread_time()
    work()
    return (time.thread_time() - started_s) * 1e6
