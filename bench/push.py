"""The load of fan-out: producers and subscribers of one shard, over raw sockets, in a process of its own.

Theory.  Subscribers read the bytes of their streams and look for partition keys, nothing else, so that one core can follow twenty of
them.  With a rate, single records are put at it, each with its number for a key, and a push is timed from the moment in which its put
was sent, and from that of the put's answer, to the one in which the subscriber had the bytes; what was quicker than the answer
counts as QUICKEST_MS.  Without a rate, whole requests are put one after another, and records are counted.
Rules of this file:
  1. What was acknowledged must reach every subscriber exactly once, or the run is a failure.
  2. A rate that is not reached is a failure: latencies at another rate say nothing.

`python -m bench.push` reads a Plan from standard input and writes an Outcome to standard output, both MessagePack.
"""

import asyncio
import re
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec
import uvloop

from bench.load import HOST, LoadFailed, Outcome, in_process
from bench.processes import cpu_times, tree_peak_mib, tree_rss_mib

SHARD: Final = "shardId-000000000000"
KEY_DIGITS: Final = 8
QUICKEST_MS: Final = 0.01  # a push may be there before its acknowledgement
PATIENCE_S: Final = 30.0  # for what is still to be pushed, after the window
RATE_SHARE_MIN: Final = 0.95  # of the rate asked for
_BUFFER_BYTES: Final = 512 * 1024
_KEY: Final = b'"PartitionKey"'
_LONGEST: Final = 40  # a key with its name
_numbered = re.compile(_KEY + rb':\s?"([0-9]{%d})"' % KEY_DIGITS)


class Plan(msgspec.Struct, kw_only=True):
    """What to put, and who listens.  All requests are whole, and signed if need be."""

    port: int
    server_pid: int
    subscriptions: list[bytes]  # requests, each on a connection of its own
    requests: list[
        bytes
    ]  # puts; with a rate each is sent once, and holds its number of KEY_DIGITS as the partition key
    records: int  # in each request
    rate: int  # requests a second; 0: as fast as they are answered
    connections: int
    warmup_s: float
    window_s: float


def key(number: int) -> str:
    """The partition key of a record with a number."""
    return f"{number:0{KEY_DIGITS}d}"


def run_apart(plan: Plan) -> Outcome:
    """Carry out a plan in a process of its own.  Raises LoadFailed."""
    return in_process("bench.push", msgspec.msgpack.encode(plan), plan.warmup_s + plan.window_s + 3 * PATIENCE_S)


class _Subscriber(asyncio.BufferedProtocol):
    """One subscription: counts records, or notes when each came."""

    def __init__(self, request: bytes, *, timed: bool) -> None:
        self._request = request
        self._timed = timed
        self._buffer = bytearray(_BUFFER_BYTES)
        self._tail = 0  # bytes at the start of the buffer that were looked at before, and may begin a key
        self.head = b""
        self.more = asyncio.Event()
        self.begun = asyncio.get_running_loop().create_future()
        self.count = 0
        self.came: list[tuple[int, float]] = []

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def get_buffer(self, _hint: int) -> memoryview:
        return memoryview(self._buffer)[self._tail :]

    def buffer_updated(self, size: int) -> None:
        now_s = time.perf_counter()
        end = self._tail + size
        if not self.begun.done():
            self.head = bytes(self._buffer[: min(end, 200)])
            self.begun.set_result(None)
        keep_from = max(0, end - len(_KEY) + 1)
        if self._timed:
            keep_from = max(0, end - _LONGEST)
            for found in _numbered.finditer(self._buffer, 0, end):
                self.came.append((int(found[1]), now_s))
                self.count += 1
                keep_from = max(keep_from, found.end())
        else:
            self.count += self._buffer.count(_KEY, 0, end)
        self.more.set()
        rest = self._buffer[keep_from:end]
        self._tail = len(rest)
        self._buffer[: self._tail] = rest

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.begun.done():
            self.begun.set_result(None)
        self.more.set()


class _Producer:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def put(self, request: bytes) -> None:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        body = await self._reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 200") or b'"ErrorCode"' in body:
            raise LoadFailed((head + body)[:300].decode(errors="replace"))


class _Run:
    """One plan under way."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sent = 0
        self.sent_s: dict[int, float] = {}
        self.acked_s: dict[int, float] = {}
        self.subscribers: list[_Subscriber] = []

    async def carry_out(self) -> Outcome:
        plan = self.plan
        loop = asyncio.get_running_loop()
        for request in plan.subscriptions:
            _, one = await loop.create_connection(partial(_Subscriber, request, timed=plan.rate > 0), HOST, plan.port)
            self.subscribers.append(one)
        await asyncio.gather(*(one.begun for one in self.subscribers))
        for one in self.subscribers:
            if not one.head.startswith(b"HTTP/1.1 200"):
                raise LoadFailed(one.head.decode(errors="replace"))
        producers = [_Producer(*await asyncio.open_connection(HOST, plan.port)) for _ in range(plan.connections)]
        began_s = time.perf_counter() + plan.warmup_s
        putting = [asyncio.ensure_future(self._produce(each, began_s)) for each in producers]
        await asyncio.sleep(plan.warmup_s)
        cpu, counted = cpu_times(plan.server_pid), self._delivered()
        began_s = time.perf_counter()
        await asyncio.sleep(plan.window_s)
        ended_s, delivered = time.perf_counter(), self._delivered() - counted
        used = cpu.until(cpu_times(plan.server_pid))
        rss_mib, peak_mib = tree_rss_mib(plan.server_pid), tree_peak_mib(plan.server_pid)
        await asyncio.gather(*putting)
        failure = await self._drained() or self._too_slow()
        whole_ms = self._latencies_ms(began_s, self.sent_s) or [0.0]
        pushes_ms = self._latencies_ms(began_s, self.acked_s) or [0.0]
        return Outcome(
            answers=delivered, window_s=ended_s - began_s, acknowledged=self.sent * plan.records,
            latency_p50_ms=whole_ms[len(whole_ms) // 2], latency_p99_ms=whole_ms[len(whole_ms) * 99 // 100],
            latency_max_ms=whole_ms[-1], client_cores=used.client_s / used.span_s, server_cores=used.server_s / used.span_s,
            other_cores=used.other_s / used.span_s, client_cpu_s=used.client_s, server_cpu_s=used.server_s,
            server_rss_mib=rss_mib, server_peak_mib=peak_mib, failures=int(failure is not None), failure=failure,
            after_answer_p50_ms=pushes_ms[len(pushes_ms) // 2], after_answer_p99_ms=pushes_ms[len(pushes_ms) * 99 // 100],
        )  # fmt: skip

    def _too_slow(self) -> str | None:
        plan = self.plan
        wanted = plan.rate * (plan.warmup_s + plan.window_s)
        if self.sent >= RATE_SHARE_MIN * wanted:
            return None
        return f"only {self.sent / wanted * plan.rate:,.0f} of {plan.rate:,} puts a second"

    async def _produce(self, producer: _Producer, began_s: float) -> None:
        plan = self.plan
        until_s = began_s + plan.window_s
        first_s = began_s - plan.warmup_s
        while (now_s := time.perf_counter()) < until_s:
            number = self.sent
            if plan.rate and (due_s := first_s + number / plan.rate) > now_s:
                if due_s >= until_s:
                    return
                await asyncio.sleep(due_s - now_s)
                continue
            self.sent += 1
            self.sent_s[number] = time.perf_counter()
            await producer.put(plan.requests[number % len(plan.requests)])
            self.acked_s[number] = time.perf_counter()

    def _delivered(self) -> int:
        return sum(one.count for one in self.subscribers)

    async def _drained(self) -> str | None:
        """Wait until everybody has everything; what is wrong, or None."""
        due_s = time.perf_counter() + PATIENCE_S
        wanted = self.sent * self.plan.records
        for one in self.subscribers:
            while one.count < wanted and time.perf_counter() < due_s:
                one.more.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(one.more.wait(), max(0.0, due_s - time.perf_counter()))
        wrong = [one.count for one in self.subscribers if one.count != wanted]
        return f"{len(wrong)} subscribers got other than the {wanted} records put: {wrong[0]}" if wrong else None

    def _latencies_ms(self, began_s: float, from_s: dict[int, float]) -> list[float]:
        return sorted(
            max(QUICKEST_MS, (came_s - from_s[number]) * 1000)
            for one in self.subscribers
            for number, came_s in one.came
            if self.acked_s[number] >= began_s
        )


def main() -> None:
    """Carry out the plan on standard input."""
    plan = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(_Run(plan).carry_out())
    sys.stdout.buffer.write(msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    main()
