"""Benchmarks: this server and its peers in one run.  `make bench`, or `python -m bench --help`.

What happens.  Servers are installed if need be (peers into bench/.peers/) and started once to see that they answer.  Then, in each
round, for each scenario, each server in turn is started, given the load of the scenario for a few seconds, audited, and ended.

How to read the result.
  Figures     The median of the rounds, with the least and the greatest.  A spread as wide as a difference makes it no difference.
  Advantage   Ratios within a round: both sides had the same machine in the same minute.
  Headroom    The client's rate against a responder that does nothing, over its rate against the server.  Well above 1, the
              figure is the server's; near 1 it is the client's, and the server may be better than it looks.
  Cores       CPU seconds per second.  A server at 1.0 cores is bound by one thread; client and server together at all cores of
              the machine are in each other's way.
  Audit       What was acknowledged against what can be read back; a rate of records that are not there is no rate.
A machine that is busy with other things makes every figure worse: look at the load average in the report.

A full run writes bench/results/<date>.json and docs/benchmarks.md; one with --quick, --only or --no-peers only
bench/results/<date>-partial.json.
"""

import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import click
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.load import LoadFailed
from bench.processes import cpu_times
from bench.report import Machine, Result, Run, Subject, page, show, write_json
from bench.scenarios import SCENARIOS, Measured, Scenario, Timing
from bench.servers import (
    ROOT,
    RefusedCall,
    Server,
    Unavailable,
    baseline,
    pause,
    peers,
    penstock,
    plain,
    running,
    snapshot,
)

RESULTS: Final = Path(__file__).parent / "results"
PAGE: Final = ROOT / "docs" / "benchmarks.md"
WARMUP_S: Final = 1.0
QUICK: Final = Timing(0.5, 1.0)
QUIET_CORES: Final = 0.2  # what other processes may use as a measurement begins
_LOOK_S: Final = 0.3


def _prepare(servers: list[Server], console: Console) -> tuple[list[Subject], list[Server]]:
    """Install and try every server: what to say of each, and those that can be measured."""
    subjects, usable = [], []
    for server in servers:
        subject = Subject(name=server.name, version=server.version, how=server.how)
        subjects.append(subject)
        try:
            with console.status(f"Preparing {server.name} {server.version} ..."):
                server.install()
                with running(server) as tried:
                    ready_s = tried.ready_s
        except Unavailable as why:
            subject.problem = str(why)
            console.print(f"[yellow]{server.name} {server.version} takes no part: {why}", highlight=False)
        else:
            usable.append(server)
            console.print(f"{server.name} {server.version} answers after {ready_s:.2f} s", highlight=False)
    return subjects, usable


def _wait_for_quiet(patience_s: float) -> None:
    """Wait until other processes leave the machine alone, or patience ends; what they use is in the report."""
    deadline_s = time.perf_counter() + patience_s
    while time.perf_counter() < deadline_s:
        before = cpu_times(None)
        pause(_LOOK_S)
        used = before.until(cpu_times(None))
        if used.other_s < QUIET_CORES * used.span_s:
            return


def _measure(server: Server, scenario: Scenario, timing: Timing) -> Measured:
    """One measurement; what goes wrong is its failure."""
    try:
        with running(server) as started:
            measured = scenario.measure(started, timing)
            if measured.failure is not None:
                measured.failure += f"; the server's log ends: {started.last_words()}"
            return measured
    except (Unavailable, RefusedCall, LoadFailed, OSError, KeyError, ValueError) as why:
        return Measured(failure=plain(f"{type(why).__name__}: {why}"))


def _measure_all(
    result: Result, servers: list[Server], scenarios: list[Scenario], patience_s: float, console: Console
) -> None:
    """Every round of every scenario on every server; each round begins with another server."""
    plan = [
        (turn, scenario, server)
        for turn in range(1, result.rounds + 1)
        for scenario in scenarios
        for server in servers[(turn - 1) % len(servers) :] + servers[: (turn - 1) % len(servers)]
        if scenario.is_load or not server.only_loads
    ]
    columns = (TextColumn("{task.description:<45}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(plan))
        for turn, scenario, server in plan:
            progress.update(task, description=f"round {turn}: {scenario.name}, {server.name}")
            _wait_for_quiet(patience_s)
            measured = _measure(server, scenario, result.timing)
            result.runs.append(Run(round=turn, scenario=scenario.name, server=server.name, measured=measured))
            progress.advance(task)


def _machine() -> Machine:
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if (
        info.exists()
    ) else []  # fmt: skip
    return Machine(
        processor=names[0] if names else platform.processor() or platform.machine(),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30),
        system=f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        python=platform.python_version(),
        load_average=os.getloadavg()[0],
    )


def _commit() -> str:
    """The commit of this checkout, or "unknown"."""
    if shutil.which("git") is None:
        return "unknown"

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = " with uncommitted changes in src/" if git("status", "--porcelain", "--", "src") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="How often to measure each.")
@click.option("--seconds", type=click.FloatRange(0.2, 60), default=3.0, show_default=True, help="Length of each load.")
@click.option("--quick", is_flag=True, help="One short round of Penstock and the client's ceiling.")
@click.option("--only", multiple=True, type=click.Choice([each.name for each in SCENARIOS]), help="Only this scenario.")
@click.option("--peers/--no-peers", "with_peers", default=True, show_default=True, help="Measure the peers too.")
@click.option(
    "--patience",
    type=click.FloatRange(0, 600),
    default=2.0,
    show_default=True,
    help="Seconds to wait, before each measurement, for other processes to leave the machine alone.",
)
def main(rounds: int, seconds: float, quick: bool, only: tuple[str, ...], with_peers: bool, patience: float) -> None:
    """Measure this server and its peers; write bench/results/ and docs/benchmarks.md."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended on the way out
    console = Console()
    with snapshot() as source:
        result = Result(
            date=time.strftime("%Y-%m-%d", time.gmtime()),
            command=shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
            commit=_commit(),
            machine=_machine(),
            rounds=1 if quick else rounds,
            timing=QUICK if quick else Timing(WARMUP_S, seconds),
        )
        servers = [
            penstock(source, "memory"),
            penstock(source, "local"),
            penstock(source, "local", signed=True),
            *(peers() if with_peers and not quick else []),
            baseline(),
        ]
        result.subjects, usable = _prepare(servers, console)
        scenarios = [scenario for scenario in SCENARIOS if not only or scenario.name in only]
        _measure_all(result, usable, scenarios, patience, console)
    show(result, console)
    partial = quick or bool(only) or not with_peers
    written = [RESULTS / f"{result.date}{'-partial' if partial else ''}.json"]
    write_json(result, written[0])
    if not partial:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(result))
        written.append(PAGE)
    console.print("Wrote " + " and ".join(str(path.relative_to(ROOT)) for path in written), highlight=False)


if __name__ == "__main__":
    main()
