"""The rooms below the server, each alone in this process: `python -m bench.rooms ROOM` prints its figures as JSON.

    engine    the local engine: appends and reads, no protocol above it
    wire      signature, policy and decoding of requests, one after another, no server around it
    request   whole requests given to connections, without sockets

Theory.  A room is a list of items, each of which does some work and answers its figures.  CPU time is that of the whole process.  The
figures are the least of `REPEATS`: what is more was a disturbance.  With --ratios each figure is divided into the CPU time of the fixed
work of bench/reference.py, done right before and after, and higher is better.
"""

import gc
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import click
import msgspec
import uvloop

from bench import inprocess, payload, reference, signature, storage
from bench.payload import CBOR, JSON, PAGE_RECORD_BYTES, PAGE_RECORDS, PUT_RECORDS_COUNT
from bench.scenarios import MB, STREAM, batches, singles
from penstock.cli import GC_THRESHOLDS
from penstock.engines.api import Batch, Position

REPEATS: Final = 3
ROOMS: Final = ("engine", "wire", "request")
RAM: Final = Path("/dev/shm")
APPENDED_BATCHES: Final = 240  # of 500 records, in one repeat
READ_BYTES: Final = 10 << 20

Figures = dict[str, float]


class Item(NamedTuple):
    """Work that can be repeated."""

    run: Callable[[], Awaitable[Figures]]
    cpu: tuple[str, ...]  # those of its figures that are CPU time


def _clocked(name: str, units: int, work: Callable[[], object]) -> Item:
    """An item that is one synchronous piece of work."""

    async def run() -> Figures:
        started_s = time.process_time()
        work()
        return {name: (time.process_time() - started_s) / units * 1e6}

    return Item(run, (name,))


@asynccontextmanager
async def _engine(folder: Path) -> AsyncIterator[list[Item]]:
    async with storage.opened(folder) as log:
        await log.create(storage.LOGS)
        written: dict[str, int] = {}

        async def append() -> Figures:
            begun_s, cpu_s = time.perf_counter(), time.process_time()
            count, _ = await storage.load(log, lambda have: have >= APPENDED_BATCHES * storage.BATCH_RECORDS)
            spent_s, used_s = time.perf_counter() - begun_s, time.process_time() - cpu_s
            written["records"] = count
            return {"engine-append": count / spent_s, "engine-append CPU": used_s / count * 1e6}

        async def append_one() -> Figures:
            taken = []
            for _ in range(300):
                begun_s = time.perf_counter()
                await log.append([Batch(storage.LOGS[0], [b"k"], [bytes(100)])])
                taken.append(time.perf_counter() - begun_s)
            return {"engine-append-1 p50": storage.quantile_ms(taken, 0.5)}

        async def read() -> Figures:
            found, begun_s = 0, time.perf_counter()
            for name in storage.LOGS:
                position = (await log.bounds(name)).start
                while True:
                    page = await log.read(name, position, PAGE_RECORDS, READ_BYTES)
                    found += sum(map(len, page.data))
                    position = page.next
                    if position == page.end:
                        break
            return {"engine-read": found / (time.perf_counter() - begun_s) / MB}

        async def trim() -> Figures:
            for name in storage.LOGS:
                end = (await log.bounds(name)).end
                await log.trim(name, Position(0, end.offset))
            return {}

        yield [Item(append, ("engine-append CPU",)), Item(append_one, ()), Item(read, ()), Item(trim, ())]


@asynccontextmanager
async def _wire(_: Path) -> AsyncIterator[list[Item]]:
    timed, calls = await signature.steps("PutRecord", singles())
    batch_timed, batch_calls = await signature.steps("PutRecords", batches())
    decode = batch_calls[0][0].operation.codec.decode
    cbor_bodies = [CBOR.body(document) for document in batches()]
    json_bodies = [JSON.body(document) for document in batches()]

    def each(step: signature.Step, over: list[signature.Call], times: int) -> Callable[[], None]:
        def work() -> None:
            for at in range(times):
                step(over[at % len(over)])

        return work

    def decoding(protocol: str, bodies: list[bytes], times: int) -> Callable[[], None]:
        def work() -> None:
            for at in range(times):
                assert decode["cbor" if protocol == "cbor" else "json"](bodies[at % len(bodies)]) is not None

        return work

    yield [
        _clocked("verify-put-record", 8000, each(timed["enforced"], calls, 8000)),
        _clocked("verify-put-records", 160, each(batch_timed["enforced"], batch_calls, 160)),
        _clocked("decode-json", 160, decoding("json", json_bodies, 160)),
        _clocked("decode-cbor", 160, decoding("cbor", cbor_bodies, 160)),
    ]


@asynccontextmanager
async def _request(folder: Path) -> AsyncIterator[list[Item]]:
    async with AsyncExitStack() as stack:
        subjects = {}
        for engine, auth in (("local", "enforced"), ("memory", "open")):
            place = folder / engine
            place.mkdir()
            subjects[engine] = await inprocess.subject(engine, auth, place)
            stack.push_async_callback(subjects[engine].close)
        local, memory = subjects["local"], subjects["memory"]

        def requests(
            name: str, to: inprocess.Subject, operation: str, over: list[dict[str, object]], count: int
        ) -> Item:
            async def run() -> Figures:
                return {name: await to.run(operation, over, count, inprocess.CONNECTIONS[operation])}

            return Item(run, (name,))

        pages = [{"ShardIterator": await _filled(local), "Limit": PAGE_RECORDS}]
        yield [
            requests("request-put-record", local, "PutRecord", singles(), 2000),
            requests("request-put-records", local, "PutRecords", batches(), 64),
            requests("request-get-records", local, "GetRecords", pages, 8),
            requests("request-put-record-memory", memory, "PutRecord", singles(), 2000),
        ]


async def _filled(subject: inprocess.Subject) -> str:
    """An iterator at the first of `PAGE_RECORDS` of a shard."""
    written = payload.records(PAGE_RECORDS, PAGE_RECORD_BYTES)
    for at in range(0, PAGE_RECORDS, PUT_RECORDS_COUNT):
        document = payload.put_records(STREAM, written[at : at + PUT_RECORDS_COUNT])
        for entry in document["Records"]:
            entry["ExplicitHashKey"] = "0"
        await subject.ask("PutRecords", document)
    asked = {"StreamName": STREAM, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    found: str = (await subject.ask("GetShardIterator", asked))["ShardIterator"]
    return found


_OPENERS: Final = {"engine": _engine, "wire": _wire, "request": _request}


async def measure(room: str, place: Path | None, *, as_ratios: bool) -> Figures:
    """The figures of a room; its files are below a place, by default where temporary files go."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=place) as folder:
        async with _OPENERS[room](Path(folder)) as items:
            for item in items:
                await item.run()  # warm
            gc.freeze()  # as a server does
            gc.set_threshold(*GC_THRESHOLDS)
            found: Figures = {}
            for item in items:
                found |= await (_ratios(item) if as_ratios else _best(item))
            return found


async def _best(item: Item) -> Figures:
    """The best of each figure of an item: CPU and latencies at their least, rates at their greatest."""
    runs = [await item.run() for _ in range(REPEATS)]
    return {name: best(name, (each[name] for each in runs)) for name in runs[0]}


def best(name: str, values: Iterable[float]) -> float:
    """Rates at their greatest, all else at its least."""
    return max(values) if name in ("engine-append", "engine-read") else min(values)


async def _ratios(item: Item) -> Figures:
    """How many times the figure's unit of work fits into one unit of the reference."""
    if not item.cpu:
        await item.run()
        return {}
    references = [reference.cpu_us() for _ in range(2)]
    runs = []
    for _ in range(REPEATS):
        runs.append(await item.run())
        references += [reference.cpu_us() for _ in range(2)]
    return {name: min(references) / min(each[name] for each in runs) for name in item.cpu}


@click.command(help=__doc__)
@click.argument("room", type=click.Choice(ROOMS))
@click.option("--ratios", is_flag=True, help="Ratios to the reference work, files in memory where that is possible.")
def main(room: str, ratios: bool) -> None:
    """Measure and print."""
    place = RAM if ratios and os.access(RAM, os.W_OK) else None
    figures = uvloop.run(measure(room, place, as_ratios=ratios))
    sys.stdout.buffer.write(msgspec.json.encode(figures))


if __name__ == "__main__":
    main()
