"""The agent: lines a second of a file that grows, its memory, its CPU; beside the script that one would write with boto3.

What happens.  In each round each subject in turn gets a fresh server (engine in memory) and a file to which another process appends lines
of 200 bytes at a rate; it is measured from the first byte until the last line is acknowledged.  What arrived is counted.

How to read the result.
  lines/s   Lines over that time: the rate of the writer, if the subject keeps up.
  CPU       Seconds of the subject's process for a million lines, start left out.  It says what a core would carry: 1,000,000 / CPU.
  peak      The most resident memory of its process.

  python -m bench.agent --seconds 8 --rate 80000 --rounds 3
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import click

from bench.audit import audit
from bench.processes import tree_cpu_s, tree_peak_mib
from bench.servers import Part, Running, pause, penstock, running

STREAM: Final = "lines"
SHARDS: Final = 4
LATE_S: Final = 60  # after the last line was written
POLL_S: Final = 0.02

WRITER: Final = """
import sys, time
path, count, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
log = '[07/Mar/2004:16:10:02 -0800] "GET /' + 'x' * 130 + ' HTTP/1.1" 200 6291'
with open(path, "ab", buffering=0) as file:
    begun = time.perf_counter()
    for first in range(0, count, 500):
        file.write(b"".join(b"%012d - - %s\\n" % (number, log.encode()) for number in range(first, min(count, first + 500))))
        ahead = first / rate - (time.perf_counter() - begun)
        if ahead > 0:
            time.sleep(ahead)
"""
SCRIPT: Final = """
import sys, time, boto3, uuid
path, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = boto3.client("kinesis", endpoint_url=url, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
open(path + ".ready", "w").close()
batch, sent = [], 0
with open(path, "rb") as file:
    while sent < count:
        line = file.readline()
        if line.endswith(b"\\n"):
            batch.append({"Data": line, "PartitionKey": uuid.uuid4().hex})
        if len(batch) == 500 or (batch and not line):
            assert not client.put_records(StreamName="lines", Records=batch)["FailedRecordCount"]
            sent += len(batch)
            batch = []
        elif not line:
            time.sleep(0.05)
open(path + ".done", "w").close()
time.sleep(600)
"""


class Figures(NamedTuple):
    """One subject in one round."""

    lines_per_s: float
    cpu_s: float  # for a million lines
    peak_mib: float


class Started(NamedTuple):
    """A subject that waits for lines."""

    process: "subprocess.Popen[bytes]"
    ready: Callable[[], bool]
    done: Callable[[int], bool]  # given the size of the file


def start_agent(folder: Path, server: Running, count: int, *options: dict[str, object]) -> Started:
    """Our agent; it does not need to know the count."""
    del count
    flow = {
        "filePattern": str(folder / "app.log"),
        "kinesisStream": STREAM,
        "initialPosition": "START_OF_FILE",
        "maxBufferAgeMillis": 1000,
        "dataProcessingOptions": options,
    }
    checkpoints = folder / "checkpoints"
    config = folder / "agent.json"
    document = {
        "kinesis.endpoint": server.url,
        "checkpointFile": str(checkpoints),
        "cloudwatch.endpoint": server.url,
        "flows": [flow],
    }
    config.write_text(json.dumps(document))
    command = [sys.executable, "-m", "penstock", "agent", "--config", str(config)]
    process = subprocess.Popen(command, stderr=(folder / "agent.err").open("wb"))

    def offset() -> int:
        with suppress(sqlite3.Error), sqlite3.connect(f"file:{checkpoints}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT sum(offset) FROM FILE_CHECKPOINTS").fetchone()[0] or 0)
        return 0

    return Started(process, lambda: b"follows" in (folder / "agent.err").read_bytes(), lambda size: offset() >= size)


def start_json(folder: Path, server: Running, count: int) -> Started:
    """Our agent, with LOGTOJSON."""
    return start_agent(folder, server, count, {"optionName": "LOGTOJSON", "logFormat": "COMMONAPACHELOG"})


def start_script(folder: Path, server: Running, count: int) -> Started:
    """A loop over boto3's put_records."""
    path = folder / "app.log"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path), server.url, str(count)])
    return Started(process, Path(f"{path}.ready").exists, lambda _size: Path(f"{path}.done").exists())


SUBJECTS: Final[dict[str, Callable[[Path, Running, int], Started]]] = {
    "penstock agent": start_agent,
    "with LOGTOJSON": start_json,
    "boto3 script": start_script,
}


def measure(start: Callable[[Path, Running, int], Started], count: int, rate: float) -> Figures:
    """One subject against a server of its own."""
    source = Path(__file__).parent.parent / "src"
    server = penstock(source, "memory", Part.US, "--no-tls", "--engine", "memory")
    with running(server) as serving, tempfile.TemporaryDirectory(prefix="penstock-bench-") as place:
        folder = Path(place)
        path = folder / "app.log"
        path.touch()
        serving.create_stream(STREAM, SHARDS)
        started = start(folder, serving, count)
        try:
            while not started.ready():
                assert started.process.poll() is None, "the subject has ended"
                pause(POLL_S)
            before_s, begun_s = tree_cpu_s(started.process.pid), time.perf_counter()
            writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(count), str(rate)])
            deadline_s = begun_s + count / rate + LATE_S
            while writer.poll() is None or not started.done(path.stat().st_size):
                assert time.perf_counter() < deadline_s, "the subject is too slow"
                pause(POLL_S)
            took_s = time.perf_counter() - begun_s
            cpu_s = tree_cpu_s(started.process.pid) - before_s
            peak_mib = tree_peak_mib(started.process.pid)
        finally:
            started.process.kill()
            started.process.wait()
        found = audit(serving, STREAM, count)
        if found.readable != count:
            print(f"  {found.readable:,} of {count:,} records were counted ({found.note or 'all that is there'})")
    return Figures(count / took_s, cpu_s / count * 1e6, peak_mib)


def spread(values: list[float], unit: str) -> str:
    """Median, least and greatest."""
    return f"{statistics.median(values):,.1f} ({min(values):,.1f} .. {max(values):,.1f}) {unit}"


@click.command()
@click.option("--seconds", type=float, default=6.0, show_default=True, help="How long lines are written.")
@click.option("--rate", type=float, default=80_000.0, show_default=True, help="Lines a second.")
@click.option("--rounds", type=int, default=3, show_default=True)
def main(seconds: float, rate: float, rounds: int) -> None:
    """Measure."""
    count = int(seconds * rate)
    found: dict[str, list[Figures]] = {name: [] for name in SUBJECTS}
    for _ in range(rounds):
        for name, start in SUBJECTS.items():
            figures = measure(start, count, rate)
            found[name].append(figures)
            print(
                f"{name}: {figures.lines_per_s:,.0f} lines/s, {figures.cpu_s:.1f} s CPU, {figures.peak_mib:.0f} MiB",
                flush=True,
            )
    print(f"\n{count:,} lines of 200 bytes at {rate:,.0f}/s, {rounds} rounds, load {os.getloadavg()[0]:.1f}:")
    for name, rows in found.items():
        print(f"{name:>16}  {spread([row.lines_per_s for row in rows], 'lines/s')}")
        print(f"{'':>16}  {spread([row.cpu_s for row in rows], 's CPU for a million lines')}")
        print(f"{'':>16}  {spread([row.peak_mib for row in rows], 'MiB')}")


if __name__ == "__main__":
    main()
