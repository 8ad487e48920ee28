"""Measures the durable engine by itself: `python -m bench.storage` (make bench-storage); writes docs/benchmarks-storage.md.

    append       batches of 500 x 1 KB from 16 writers, each durable before it is answered
    append-one   one record of 100 B at a time: the latency of a commit
    restart      time and memory to open a directory that holds --gb of records
    read         all of it from the trim horizon, the page cache dropped where that is allowed; and `dd` over the same files
    many         1,000 streams of 4 shards: start, memory, and PutRecord beside a single stream's
    soak         --minutes of load at 70% of the append rate: memory and latency

It needs twice --gb of disk for the while, under --folder.
"""

import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import click
import uvloop
from rich.console import Console
from rich.progress import Progress

from penstock.engines.api import Appended, Batch, LogId, Position
from penstock.engines.local.log import LocalLog, Options, open_log
from penstock.host.clock import SystemClock
from penstock.host.disk import SystemDisk
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = Path(__file__).parent / "results" / "storage.json"
PAGE: Final = ROOT / "docs" / "benchmarks-storage.md"
RECORD_BYTES: Final = 1024
BATCH_RECORDS: Final = 500
WRITERS: Final = 16
SHARDS: Final = 8
LOGS: Final = [LogId(f"bench/{number}") for number in range(SHARDS)]
KEYS: Final = [b"key-%d" % number for number in range(BATCH_RECORDS)]
DATA: Final = [os.urandom(RECORD_BYTES) for _ in range(BATCH_RECORDS)]
Figures = dict[str, Any]

console = Console()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[LocalLog]:
    """The log of a folder."""
    disk = SystemDisk(folder)
    log, _ = await open_log(disk, SystemClock(), SystemEntropy(), LoopTasks(), Options())
    try:
        yield log
    finally:
        await log.close()
        disk.close()


def rss_mib() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def load(log: LocalLog, until: Callable[[int], bool], per_second: float | None = None) -> tuple[int, list[float]]:
    """Append batches from all writers until told to stop; answer the records written and each append's seconds."""
    written, seconds = 0, []
    begun = time.perf_counter()

    async def writer(number: int) -> None:
        nonlocal written
        while not until(written):
            if per_second is not None and (ahead := written / per_second - (time.perf_counter() - begun)) > 0:
                await asyncio.sleep(ahead)
            at = time.perf_counter()
            [outcome] = await log.append([Batch(LOGS[number % SHARDS], KEYS, DATA)])
            if isinstance(outcome, Appended):
                written += BATCH_RECORDS
                seconds.append(time.perf_counter() - at)
            else:  # settling is behind
                await asyncio.sleep(0.05)

    await asyncio.gather(*(writer(number) for number in range(WRITERS)))
    return written, seconds


def quantile_ms(seconds: list[float], share: float) -> float:
    """A quantile, in milliseconds."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1000


def for_seconds(duration_s: float) -> Callable[[int], bool]:
    """Stop after a while."""
    end = time.perf_counter() + duration_s
    return lambda _: time.perf_counter() > end


async def append(folder: Path, seconds: float) -> Figures:
    """Durable records a second, three times."""
    rates: list[float] = []
    taken: list[float] = []
    for number in range(3):
        async with opened(_fresh(folder / f"append-{number}")) as log:
            await log.create(LOGS)
            at = time.perf_counter()
            written, taken = await load(log, for_seconds(seconds))
            rates.append(written / (time.perf_counter() - at))
        shutil.rmtree(folder / f"append-{number}")
    return {
        "records/s": round(statistics.median(rates)),
        "least": round(min(rates)),
        "greatest": round(max(rates)),
        "batch p50 ms": round(quantile_ms(taken, 0.5), 2),
        "batch p99 ms": round(quantile_ms(taken, 0.99), 2),
    }


async def append_one(folder: Path, seconds: float) -> Figures:
    """The latency of a single record's commit."""
    async with opened(_fresh(folder / "one")) as log:
        await log.create(LOGS)
        taken, stop = [], for_seconds(seconds)
        while not stop(0):
            at = time.perf_counter()
            await log.append([Batch(LOGS[0], [b"k"], [bytes(100)])])
            taken.append(time.perf_counter() - at)
    shutil.rmtree(folder / "one")
    return {"p50 ms": round(quantile_ms(taken, 0.5), 3), "p99 ms": round(quantile_ms(taken, 0.99), 3)}


async def fill(folder: Path, gb: float) -> Figures:
    """Fill a directory for the scenarios that follow."""
    most = int(gb * 1e9 / RECORD_BYTES)
    async with opened(_fresh(folder)) as log:
        await log.create(LOGS)
        at = time.perf_counter()
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("filling", total=most)

            def enough(written: int) -> bool:
                progress.update(task, completed=written)
                return written >= most

            written, _ = await load(log, enough)
        return {"records": written, "records/s": round(written / (time.perf_counter() - at))}


def restart(folder: Path) -> Figures:
    """Open the directory in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.storage", "--open-only", str(folder)], capture_output=True, text=True, check=True
    )
    figures: Figures = json.loads(done.stdout)
    return figures


async def opening(folder: Path) -> Figures:
    """What `restart` runs apart."""
    at = time.perf_counter()
    async with opened(folder) as log:
        took = time.perf_counter() - at
        return {"seconds": round(took, 3), "rss MiB": round(rss_mib(), 1), "disk GB": round(log.disk_bytes / 1e9, 2)}


def _drop_caches() -> bool:
    try:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except OSError:
        return False
    return True


async def read(folder: Path) -> Figures:
    """Read everything, and let `dd` read the same files."""
    async with opened(folder) as log:
        await log.settle()
        cold = _drop_caches()
        records, at = 0, time.perf_counter()
        for name in LOGS:
            position = Position(0, 0)
            while True:
                page = await log.read(name, position, 10_000, 10 << 20)
                records += len(page.data)
                position = page.next
                if position == page.end:
                    break
        rate = records * RECORD_BYTES / (time.perf_counter() - at) / 1e6
        memory = rss_mib()
    _drop_caches()
    files = sorted((folder / "segments").rglob("*"))
    at, size = time.perf_counter(), 0
    for file in files:
        if file.is_file():
            subprocess.run(["dd", f"if={file}", "of=/dev/null", "bs=1M"], capture_output=True, check=True)
            size += file.stat().st_size
    dd_rate = size / (time.perf_counter() - at) / 1e6
    return {"records": records, "MB/s": round(rate), "dd MB/s": round(dd_rate), "share of dd": round(rate / dd_rate, 2),
            "page cache dropped": cold, "rss MiB": round(memory, 1)}  # fmt: skip


async def many(folder: Path) -> Figures:
    """1,000 streams of 4 shards beside one."""
    lone = await _single_puts(_fresh(folder / "few"), 1)
    crowd = await _single_puts(_fresh(folder / "many"), 1000)
    reopened = await asyncio.to_thread(restart, folder / "many")
    shutil.rmtree(folder / "few")
    shutil.rmtree(folder / "many")
    return {
        "one stream p50 ms": lone,
        "1,000 streams p50 ms": crowd,
        "ratio": round(crowd / lone, 2),
        "reopen": reopened,
    }


async def _single_puts(folder: Path, streams: int) -> float:
    logs = [LogId(f"stream-{number}/{shard}") for number in range(streams) for shard in range(4)]
    taken: list[float] = []
    async with opened(folder) as log:
        await log.create(logs)
        for number in range(4000):
            at = time.perf_counter()
            await log.append([Batch(logs[number * 7 % len(logs)], [b"k"], [bytes(100)])])
            taken.append(time.perf_counter() - at)
    return round(quantile_ms(taken, 0.5), 3)


async def soak(folder: Path, minutes: float, peak: float) -> Figures:
    """Load at 70% of the peak; old records are trimmed so that the disk does not fill."""
    memory: list[float] = []
    taken: list[float] = []
    written = 0
    async with opened(_fresh(folder / "soak")) as log:
        await log.create(LOGS)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("soaking", total=minutes * 60)
            for _ in range(max(1, round(minutes * 6))):
                more, seconds = await load(log, for_seconds(10), 0.7 * peak)
                written += more
                taken += seconds
                memory.append(rss_mib())
                for name in LOGS:
                    end = (await log.bounds(name)).end
                    await log.trim(name, Position(0, max(0, end.offset - 500_000)))
                progress.advance(task, 10)
        disk_gb = log.disk_bytes / 1e9
    shutil.rmtree(folder / "soak")
    tenth = max(1, len(memory) // 10)
    return {"minutes": minutes, "records": written, "p50 ms": round(quantile_ms(taken, 0.5), 1),
            "p99.9 ms": round(quantile_ms(taken, 0.999), 1), "max ms": round(max(taken) * 1000, 1),
            "rss MiB, first and last tenth": [round(statistics.mean(memory[:tenth]), 1), round(statistics.mean(memory[-tenth:]), 1)],
            "disk GB at the end": round(disk_gb, 2)}  # fmt: skip


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


Scenario = Callable[[Path], Awaitable[Figures]]


def scenarios(gb: float, minutes: float, seconds: float) -> dict[str, Scenario]:
    """Every scenario, in order; `restart` and `read` need the folder that `fill` made."""

    async def soaked(folder: Path) -> Figures:
        peak = json.loads(RESULTS.read_text())["append"]["figures"]["records/s"]
        return await soak(folder, minutes, peak)

    return {
        "append": lambda folder: append(folder, seconds),
        "append-one": lambda folder: append_one(folder, seconds),
        "fill": lambda folder: fill(folder / "large", gb),
        "restart": lambda folder: asyncio.to_thread(restart, folder / "large"),
        "read": lambda folder: read(folder / "large"),
        "many": many,
        "soak": soaked,
    }


def keep(name: str, figures: Figures, command: str) -> None:
    """Put a scenario's figures in the results, in the place of those of an earlier run, and write the page anew."""
    held = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    held[name] = {
        "figures": figures,
        "date": time.strftime("%Y-%m-%d"),
        "command": command,
        "load": round(os.getloadavg()[0], 1),
    }
    RESULTS.write_text(json.dumps(held, indent=1) + "\n")
    PAGE.write_text(page(held))


def page(held: dict[str, dict[str, Any]]) -> str:
    """docs/benchmarks-storage.md."""
    rows = [
        f"| {name} | " + ", ".join(f"{key}: {value}" for key, value in row["figures"].items())
        + f" | {row['date']}, load average {row['load']} | `{row['command']}` |"
        for name, row in held.items()
    ]  # fmt: skip
    head = [
        "# Benchmarks of the durable engine\n",
        f"Written by `python -m bench.storage`; do not edit.  {os.cpu_count()} cores, Linux {platform.release()}, Python"
        f" {platform.python_version()}.  The engine alone, in one process with its load; each append is answered after its `fdatasync`.\n",
        "| scenario | figures | measured | by |\n|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


@click.command(help=__doc__)
@click.option("--gb", default=10.0, show_default=True, help="Records to store for restart and read.")
@click.option("--minutes", default=20.0, show_default=True, help="Length of the soak.")
@click.option("--seconds", default=5.0, show_default=True, help="Length of the short measurements.")
@click.option("--only", multiple=True, help="Run only this scenario; may be repeated.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write. [default: a temporary folder]")
@click.option("--open-only", type=click.Path(path_type=Path), hidden=True)
def main(
    gb: float, minutes: float, seconds: float, only: tuple[str, ...], folder: Path | None, open_only: Path | None
) -> None:
    """Run the scenarios."""
    if open_only is not None:
        print(json.dumps(uvloop.run(opening(open_only))))
        return
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=folder) as place:
        for name, scenario in scenarios(gb, minutes, seconds).items():
            if not only or name in only:
                figures = uvloop.run(_measured(scenario, Path(place)))
                console.print(f"[bold]{name}[/] {figures}")
                keep(name, figures, f"python -m bench.storage --gb {gb:g} --minutes {minutes:g} --seconds {seconds:g}")


async def _measured(scenario: Scenario, folder: Path) -> Figures:
    return await scenario(folder)


if __name__ == "__main__":
    main()
