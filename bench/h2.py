"""The variants of a connection that our own load generator does not speak: HTTP/2 and TLS, driven by nghttp2's h2load.

Theory.  h2load sends one request over and over, so it is signed once.  It knows statuses but no bodies, hence every answer must be 200,
and what a batch did to its records is taken from the same request sent by us before.  Its warm-up is not counted.
"""

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench.load import HOST, LoadFailed, Outcome
from bench.payload import JSON
from bench.processes import cpu_times, tree_peak_mib, tree_rss_mib
from bench.servers import RefusedCall, Running
from bench.signing import Signer

LIMIT_S: Final = 8  # beyond what was asked for; it waits for ever where connections are closed on it
_finished = re.compile(r"finished in [\d.]+\w+, ([\d.]+) req/s")
_statuses = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")
_counts = re.compile(r"(\d+) failed, (\d+) errored, (\d+) timeout")


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a request travels."""

    name: str
    title: str
    tls: bool
    options: tuple[str, ...]


PROTOCOLS: Final = (
    Protocol("h1", "HTTP/1.1", False, ("--h1",)),
    Protocol("h2c", "HTTP/2 in the clear", False, ()),
    Protocol("tls-h1", "HTTP/1.1 in TLS", True, ("--h1",)),
    Protocol("tls-h2", "HTTP/2 in TLS", True, ()),
)


def run(
    running: Running, protocol: Protocol, operation: str, document: dict[str, Any], connections: int, warmup_s: float,
    window_s: float,
) -> Outcome:  # fmt: skip
    """Drive one request over many connections.  Raises LoadFailed, RefusedCall."""
    if shutil.which("h2load") is None:
        raise LoadFailed("h2load is not installed; Debian has it in nghttp2-client")
    if running.call(operation, document).get("FailedRecordCount", 0):
        raise RefusedCall(f"{operation}: records failed")
    port = running.tls_port if protocol.tls else running.port
    if port is None or running.credentials is None:
        raise LoadFailed("the server has no TLS, or no key")
    warmup_s, window_s = max(1, round(warmup_s)), max(1, round(window_s))  # h2load counts in whole seconds
    body = JSON.body(document)
    host = f"{HOST}:{port}"
    with tempfile.NamedTemporaryFile(prefix="penstock-bench-") as file:
        Path(file.name).write_bytes(body)
        argv = [
            "h2load", *protocol.options, "--data", file.name, "--clients", str(connections), "--threads", "1",
            "--duration", f"{window_s:g}s", "--warm-up-time", f"{warmup_s:g}s",
            *(word for name, value in Signer(running.credentials).headers(host, operation, body).items()
              for word in ("--header", f"{name.lower()}: {value}")),
            f"{'https' if protocol.tls else 'http'}://{host}/",
        ]  # fmt: skip
        return _measured(running, argv, warmup_s, window_s)


def _measured(running: Running, argv: list[str], warmup_s: float, window_s: float) -> Outcome:
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        time.sleep(warmup_s)
        before, client_before_s = cpu_times(running.pid), _cpu_s(child.pid)
        time.sleep(max(0.1, window_s - 0.2))
        used, client_s = before.until(cpu_times(running.pid)), _cpu_s(child.pid) - client_before_s
        rss_mib, peak_mib = tree_rss_mib(running.pid), tree_peak_mib(running.pid)
        said, _ = child.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"h2load did not end within {LIMIT_S} s of its time") from None
    finally:
        child.kill()
        child.wait()
    rate, failures = read(said)
    return Outcome(
        answers=round(rate * window_s), window_s=window_s, acknowledged=0, latency_p50_ms=0.0, latency_p99_ms=0.0,
        latency_max_ms=0.0, client_cores=client_s / used.span_s, server_cores=used.server_s / used.span_s,
        other_cores=max(0.0, used.other_s - client_s) / used.span_s, client_cpu_s=client_s, server_cpu_s=used.server_s,
        server_rss_mib=rss_mib, server_peak_mib=peak_mib, failures=failures, failure="answers other than 200" if failures else None,
    )  # fmt: skip


def _cpu_s(pid: int) -> float:
    try:
        return float(sum(psutil.Process(pid).cpu_times()[:2]))
    except psutil.NoSuchProcess:
        return 0.0


def read(said: str) -> tuple[float, int]:
    """The rate, and how many answers were wrong.  Raises LoadFailed where the text is another."""
    finished, statuses, counts = _finished.search(said), _statuses.search(said), _counts.search(said)
    if finished is None or statuses is None or counts is None:
        raise LoadFailed(f"h2load said: {said.strip()[-300:]}")
    wrong = sum(int(each) for each in statuses.groups()[1:]) + sum(int(each) for each in counts.groups())
    return float(finished[1]), wrong
