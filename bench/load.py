"""The load generator: a closed loop over raw sockets, in a process of its own.

Theory.  Requests are finished bytes before the clock starts; an answer is read into one buffer, and looked at by three searches that
run in C: the status and length in its head, a pattern near either end of its body, and the count of a marker (the records it tells
of).  Of most large bodies only the ends are kept; what lies between is received, all of it, into memory that stays in the processor's
cache.  So one core can drive, and check, several times what a server of this kind can answer - which the baseline (null.py) measures.
Each connection sends its next request when its answer has arrived.  A run warms up, measures for a window of time, and drains.
Rules of this file:
  1. What is not checked is not counted: a wrong answer is a failure with its text, never a part of a rate.
  2. Only answers inside the window make the rate; every acknowledged record, warm-up and drain included, makes `acknowledged`.
  3. Bounded: by time, by answers, and by a patience with servers that do not answer at all.

`python -m bench.load` reads a Plan from standard input and writes an Outcome to standard output, both MessagePack.
"""

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple, cast

import msgspec
import uvloop

from bench.processes import Cpu, CpuTimes, cpu_times, tree_peak_mib, tree_rss_mib

HOST: Final = "127.0.0.1"
ANSWERS_MIN: Final = 20  # a window with fewer is stretched, so that a slow server's rate is not one of chance
STRETCH_MAX: Final = 4  # times the window asked for
PATIENCE_S: Final = 60.0  # for outstanding answers, after the window
FAILURES_MAX: Final = 100  # a run with more is over
ENDS_BYTES: Final = 4096
LARGE_BYTES: Final = 1_000_000
COUNTED_EVERY: Final = 64
SETTLE_S: Final = 0.05  # from the first look at CPU times, which delays the client, to the window
_BUFFER_BYTES: Final = 128 * 1024
_passed_over = bytearray(256 * 1024)  # what nobody looks at is received into this
_SHOWN_CHARS: Final = 300
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"  # exact, since no body here holds a CRLF
_content_length = re.compile(rb"\r\ncontent-length: *(\d+)")


class Plan(msgspec.Struct, kw_only=True):
    """What to send, to whom, for how long, and what to hold the answers against."""

    port: int
    server_pid: int  # whose process tree's CPU seconds are counted
    requests: list[bytes]  # whole HTTP requests, sent in turn
    connections: int
    warmup_s: float
    window_s: float
    answers_max: int  # in the window; bounds what a server must hold
    pattern: bytes  # a regular expression that must match within ENDS_BYTES of an end of each body
    marker: bytes  # occurs once per record in each body
    markers: int  # how often


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a plan."""

    answers: int  # good ones, in the window
    window_s: float  # as it was
    acknowledged: int  # records, from the first request to the last
    latency_p50_ms: float
    latency_p99_ms: float
    latency_max_ms: float
    client_cores: float  # CPU seconds per second, user and system, in the window
    server_cores: float  # the same, of the server's whole process tree
    other_cores: float  # the same, of every other process of the machine
    client_cpu_s: float  # what client_cores comes from
    server_cpu_s: float
    server_rss_mib: float  # of that tree, when the window closed
    server_peak_mib: float  # the most it had until then
    failures: int
    failure: str | None  # the first one's text
    after_answer_p50_ms: float | None = (
        None  # of pushes: from the put's answer, where the latencies above are from its being sent
    )
    after_answer_p99_ms: float | None = None


class LoadFailed(Exception):
    """The generator itself came to an end."""


def run_apart(plan: Plan) -> Outcome:
    """Carry out a plan in a process of its own.  Raises LoadFailed."""
    limit_s = plan.warmup_s + plan.window_s * STRETCH_MAX + 2 * PATIENCE_S
    return in_process("bench.load", msgspec.msgpack.encode(plan), limit_s)


def in_process(module: str, plan: bytes, limit_s: float) -> Outcome:
    """Give a plan to a module in a process of its own.  Raises LoadFailed."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", module], input=plan, capture_output=True, timeout=limit_s, check=True,
            start_new_session=True, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or [f"code {error.returncode}"]
        raise LoadFailed(said[-1]) from None
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"no result within {limit_s:.0f} s") from None
    return msgspec.msgpack.decode(done.stdout, type=Outcome)


class _Head(NamedTuple):
    """The head of an answer."""

    status: int
    body_at: int  # where the body begins in the buffer
    length: int | None  # of the body; None if chunked, or ended by the end of the connection
    chunked: bool
    closes: bool  # the server will close the connection


def _read_head(buffer: bytearray, have: int) -> _Head | None:
    """The head at the start of a buffer, or None while it is incomplete."""
    end = buffer.find(b"\r\n\r\n", 0, have)
    if end < 0:
        return None
    text = bytes(buffer[:end]).lower()
    length = _content_length.search(text)
    return _Head(
        status=int(text[9:12]),
        body_at=end + 4,
        length=int(length[1]) if length is not None else None,
        chunked=b"\r\ntransfer-encoding: chunked" in text,
        closes=b"\r\nconnection: close" in text or text.startswith(b"http/1.0"),
    )


def _dechunk(buffer: bytearray, at: int) -> bytearray:
    """The body of a complete chunked answer whose first chunk begins at `at`."""
    body = bytearray()
    while True:
        line_end = buffer.index(b"\r\n", at)
        size = int(bytes(buffer[at:line_end]).split(b";")[0], 16)
        if size == 0:
            return body
        body += buffer[line_end + 2 : line_end + 2 + size]
        at = line_end + 2 + size + 2


class _Run:
    """One plan under way: its phases and its figures."""

    def __init__(self, plan: Plan, loop: asyncio.AbstractEventLoop) -> None:
        self.plan = plan
        self.loop = loop
        self.finished: asyncio.Future[None] = loop.create_future()
        self.draining = False
        self._pattern = re.compile(plan.pattern)
        self._measuring = False
        self._latencies_s: list[float] = []
        self._began_s = self._due_s = self._ended_s = 0.0
        self._cpu_before = CpuTimes(0.0, 0.0, 0.0, {})
        self._cpu = Cpu(1.0, 0.0, 0.0, 0.0)
        self._server_rss_mib = self._server_peak_mib = 0.0
        self._acknowledged = 0
        self._bodies = 0
        self._counted_bytes = 0  # length of the body counted last
        self._failures: list[str] = []
        self._sent = 0
        self._open = plan.connections

    def begin(self) -> None:
        """Look at the CPU times, then open the window."""
        self._cpu_before = cpu_times(self.plan.server_pid)
        self.loop.call_later(SETTLE_S, self._open_window)

    def _open_window(self) -> None:
        if self.draining:
            return
        self._measuring = True
        self._began_s = time.perf_counter()
        self._due_s = self._began_s + self.plan.window_s
        self.loop.call_later(self.plan.window_s, self._close_when_due)
        self.loop.call_later(self.plan.window_s * STRETCH_MAX, self._close)

    def _close_when_due(self) -> None:
        enough = len(self._latencies_s) >= ANSWERS_MIN and time.perf_counter() >= self._due_s
        if enough or len(self._latencies_s) >= self.plan.answers_max:
            self._close()

    def _close(self) -> None:
        if not self._measuring:
            return
        self._measuring = False
        self._ended_s = time.perf_counter()
        self._cpu = self._cpu_before.until(cpu_times(self.plan.server_pid))
        self._server_rss_mib = tree_rss_mib(self.plan.server_pid)
        self._server_peak_mib = tree_peak_mib(self.plan.server_pid)
        self._drain()

    def _drain(self) -> None:
        self.draining = True
        self.loop.call_later(PATIENCE_S, self._give_up)

    def _give_up(self) -> None:
        if not self.finished.done():
            self._failures.append(f"{self._open} connections still waited {PATIENCE_S:.0f} s after the window")
            self.finished.set_result(None)

    def next_request(self) -> bytes:
        """The next request to send."""
        self._sent += 1
        return self.plan.requests[self._sent % len(self.plan.requests)]

    def keeps_whole(self, length: int) -> bool:
        """Whether the next body, of so many bytes, is to be kept whole.

        Counting 14 MB costs as much as receiving them, and keeping them as much again; so of large bodies one in `COUNTED_EVERY` is
        kept and counted, and the others must be as long as that one, give or take what differs between answers (iterators).
        """
        self._bodies += 1
        return length <= LARGE_BYTES or not self._counted_bytes or self._bodies % COUNTED_EVERY == 0

    def answered(
        self, started_s: float, status: int, body: bytearray, start: int, end: int, passed_bytes: int = 0
    ) -> None:
        """Check and count an answer whose body is `body[start:end]`, but for `passed_bytes` in its middle."""
        good = status == 200 and self._matches(body, start, end) and self._holds_all(body, start, end, passed_bytes)
        if not good:
            shown = bytes(body[start : min(end, start + _SHOWN_CHARS)]).decode(errors="replace")
            self.failed(f"status {status}, {end - start + passed_bytes} bytes: {shown}")
            return
        self._acknowledged += self.plan.markers
        if self._measuring:
            now_s = time.perf_counter()
            self._latencies_s.append(now_s - started_s)
            if now_s >= self._due_s or len(self._latencies_s) >= self.plan.answers_max:
                self._close_when_due()

    def _matches(self, body: bytearray, start: int, end: int) -> bool:
        head = self._pattern.search(body, start, min(end, start + ENDS_BYTES))
        return head is not None or self._pattern.search(body, max(start, end - ENDS_BYTES), end) is not None

    def _holds_all(self, body: bytearray, start: int, end: int, passed_bytes: int) -> bool:
        if passed_bytes:
            return abs(end - start + passed_bytes - self._counted_bytes) < ENDS_BYTES
        if body.count(self.plan.marker, start, end) != self.plan.markers:
            return False
        self._counted_bytes = end - start  # of a good one: nothing is held against a wrong one
        return True

    def failed(self, why: str) -> None:
        """Count a request that came to nothing; too many end the run."""
        self._failures.append(why)
        if len(self._failures) > FAILURES_MAX and not self.draining:
            self._close()
            self._drain()

    def left(self) -> None:
        """Count a connection that sends no more."""
        self._open -= 1
        if self._open == 0 and not self.finished.done():
            self.finished.set_result(None)

    def outcome(self) -> Outcome:
        """The figures."""
        ordered_ms = [each * 1000 for each in sorted(self._latencies_s)] or [0.0]
        return Outcome(
            answers=len(self._latencies_s),
            window_s=self._ended_s - self._began_s,
            acknowledged=self._acknowledged,
            latency_p50_ms=ordered_ms[len(ordered_ms) // 2],
            latency_p99_ms=ordered_ms[len(ordered_ms) * 99 // 100],
            latency_max_ms=ordered_ms[-1],
            client_cores=self._cpu.client_s / self._cpu.span_s,
            server_cores=self._cpu.server_s / self._cpu.span_s,
            other_cores=self._cpu.other_s / self._cpu.span_s,
            client_cpu_s=self._cpu.client_s,
            server_cpu_s=self._cpu.server_s,
            server_rss_mib=self._server_rss_mib,
            server_peak_mib=self._server_peak_mib,
            failures=len(self._failures),
            failure=self._failures[0] if self._failures else None,
        )


class _Connection(asyncio.BufferedProtocol):
    """One client: sends, reads, sends again; connects anew where the server closed."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = bytearray(_BUFFER_BYTES)
        self._have = 0
        self._head: _Head | None = None
        self._passed = 0  # bytes in the middle of the body that are not kept
        self._passing = 0  # of these, the ones that have yet to arrive
        self._keeps_whole = True
        self._started_s = 0.0
        self._transport: asyncio.Transport | None = None
        self._dropped = 0  # transports that we closed, and that have yet to say so
        self._connecting: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Send the next request, on a new connection if there is none; or leave, if the run drains."""
        if self._run.draining:
            self._drop()
            self._run.left()
            return
        self._started_s = time.perf_counter()
        if self._transport is None:
            self._connecting = self._run.loop.create_task(self._connect())
        else:
            self._send(self._transport)

    async def _connect(self) -> None:
        try:
            await self._run.loop.create_connection(lambda: self, HOST, self._run.plan.port)
        except OSError as error:
            self._run.failed(f"connect: {error}")
            self._run.loop.call_later(0.1, self.begin)

    def _send(self, transport: asyncio.Transport) -> None:
        self._have, self._head, self._passed, self._keeps_whole = 0, None, 0, True
        transport.write(self._run.next_request())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request that this connection was opened for."""
        self._transport = cast("asyncio.Transport", transport)
        self._send(self._transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        if self._passing:
            return memoryview(_passed_over)[: self._passing]
        if self._have == len(self._buffer):
            self._reserve(2 * len(self._buffer))
        room = memoryview(self._buffer)[self._have :]
        return room if self._head is not None and self._keeps_whole else room[:_BUFFER_BYTES]

    def _reserve(self, size: int) -> None:
        if size > len(self._buffer):
            grown = bytearray(size)
            grown[: self._have] = memoryview(self._buffer)[: self._have]
            self._buffer = grown

    def buffer_updated(self, nbytes: int) -> None:
        """Take what arrived; finish the answer when it is whole."""
        if self._passing:
            self._passing -= nbytes
            return
        self._have += nbytes
        if self._head is None:
            self._head = _read_head(self._buffer, self._have)
            if self._head is None:
                return
            self._begin_body(self._head)
        if not self._keeps_whole and not self._passed:
            self._pass_over(self._head)
        if self._is_whole(self._head):
            self._finish(self._head)

    def _begin_body(self, head: _Head) -> None:
        if head.length is not None:
            self._keeps_whole = self._run.keeps_whole(head.length)
            if self._keeps_whole:
                self._reserve(head.body_at + head.length)

    def _pass_over(self, head: _Head) -> None:
        """Once the one end is there, keep nothing of the body until the other."""
        assert head.length is not None
        if self._have >= head.body_at + ENDS_BYTES:
            self._passed = self._passing = head.body_at + head.length - self._have - ENDS_BYTES

    def _is_whole(self, head: _Head) -> bool:
        if head.length is not None:
            return self._have + self._passed >= head.body_at + head.length
        return head.chunked and self._buffer.endswith(_LAST_CHUNK, head.body_at - 2, self._have)

    def _finish(self, head: _Head) -> None:
        if head.chunked:
            body = _dechunk(self._buffer, head.body_at)
            self._run.answered(self._started_s, head.status, body, 0, len(body))
        else:
            self._run.answered(self._started_s, head.status, self._buffer, head.body_at, self._have, self._passed)
        if head.closes:
            self._drop()
        self.begin()

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
            self._dropped += 1

    def connection_lost(self, error: Exception | None) -> None:
        """Finish an answer that the end of the connection ends; what else was awaited has failed."""
        if self._dropped > 0:
            self._dropped -= 1
            return
        self._transport = None
        self._passing = 0
        head = self._head
        if head is not None and head.length is None and not head.chunked:
            self._finish(head)
        else:
            self._run.failed(f"connection lost: {error or 'closed by the server'}")
            self.begin()


async def run(plan: Plan) -> Outcome:
    """Carry out a plan."""
    loop = asyncio.get_running_loop()
    under_way = _Run(plan, loop)
    for connection in [_Connection(under_way) for _ in range(plan.connections)]:
        connection.begin()
    loop.call_later(plan.warmup_s, under_way.begin)
    await under_way.finished
    return under_way.outcome()


def main() -> None:
    """Carry out the plan on standard input."""
    plan = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.msgpack.encode(uvloop.run(run(plan))))


if __name__ == "__main__":
    main()
