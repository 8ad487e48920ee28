"""Benchmarks: this server and its peers in one run.  `make bench`, or `python -m bench --help`.

What happens.  Servers are installed if need be (peers into bench/.peers/) and started once to see that they answer.  Then, in each
round, the machine's limits are measured, then each scenario: each server in turn is started, given the load of the scenario for a few
seconds, audited, and ended.  Scenarios of the rooms below the server (engine, wire) run in a process of their own.

How to read the result.
  Figures     The median of the rounds, with the least and the greatest.  A spread as wide as a difference makes it no difference.
  Advantage   Ratios within a round: both sides had the same machine in the same minute.
  Limit       What SHA-256, the disk, loopback or the fastest decoder allow on this machine, measured in the same run.
  Headroom    The client's rate against a responder that does nothing, over its rate against the server.  Well above 1, the
              figure is the server's; near 1 it is the client's, and the server may be better than it looks.
  Cores       CPU seconds per second.  A server at 1.0 cores is bound by one thread; client and server together at all cores of
              the machine are in each other's way.
  Audit       What was acknowledged against what can be read back; a rate of records that are not there is no rate.
A machine that is busy with other things makes every figure worse: look at the load average in the report.

A full run writes bench/results/<date>.json, docs/benchmarks.md and its pictures.  Every other run, and one that is cut off, leaves
bench/results/<date>-partial.json, from which `--report` makes a page in the same way.  `python -m bench.quick` (make bench-quick) is the
short form that CI runs: ratios against kept ones.

  python -m bench --list                                what can be measured
  python -m bench --only put-records --rounds 3         one scenario on every server
  python -m bench --only wire --only engine             two rooms
  python -m bench --subjects penstock --subjects null   without the peers
"""

import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import click
import msgspec
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.load import LoadFailed
from bench.processes import cpu_times
from bench.report import LIMITS, MACHINE, Machine, Result, Run, Subject, read_json, show, write_json, write_page
from bench.scenarios import SCENARIOS, Measured, Scenario, Timing
from bench.servers import (
    ROOT,
    US,
    Part,
    RefusedCall,
    Server,
    Unavailable,
    baseline,
    ours,
    pause,
    peers,
    plain,
    running,
    snapshot,
)

GUIDE: Final = (
    (__doc__ or "").replace("\n\n", "\n\n\b\n").replace("How to read the result.\n", "How to read the result.\n\n\b\n")
)
RESULTS: Final = Path(__file__).parent / "results"
WARMUP_S: Final = 0.7
QUIET_CORES: Final = 0.2  # what other processes may use as a measurement begins
ROOM_LIMIT_S: Final = 120
_LOOK_S: Final = 0.2
NAMES: Final = [*dict.fromkeys([*(each.room for each in SCENARIOS), *(each.name for each in SCENARIOS)])]


def _prepare(servers: list[Server], console: Console) -> tuple[list[Subject], list[Server]]:
    """Install and try every server: what to say of each, and those that can be measured."""
    subjects, usable = [], []
    for server in servers:
        subject = Subject(name=server.name, part=server.part, version=server.version, how=server.how)
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


def serve_and_measure(server: Server, measure: Callable[..., Measured], timing: Timing) -> Measured:
    """One measurement of a fresh server; what goes wrong is its failure."""
    try:
        with running(server) as started:
            measured = measure(started, timing)
            if measured.failure is not None:
                measured.failure = plain(f"{measured.failure}; the server's log ends: {started.last_words()}")
            return measured
    except (Unavailable, RefusedCall, LoadFailed, OSError, KeyError, ValueError, msgspec.MsgspecError) as why:
        return Measured(failure=plain(f"{type(why).__name__}: {why}"))


def in_child(source: Path, module: str, *words: str) -> Measured:
    """The figures that a module prints, run with our packages from a folder."""
    env = {**os.environ, "PYTHONPATH": str(source)}
    argv = [sys.executable, "-m", module, *words]
    try:
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, timeout=ROOM_LIMIT_S, check=True)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or [f"code {error.returncode}"]
        return Measured(failure=plain(said[-1]))
    except subprocess.TimeoutExpired:
        return Measured(failure=f"no result within {ROOM_LIMIT_S} s")
    return Measured(values=msgspec.json.decode(done.stdout, type=dict[str, float]))


class Step(NamedTuple):
    """One measurement to make."""

    turn: int
    scenario: str
    server: str
    measure: Callable[[], Measured]
    is_peer: bool = False


def _plan(
    rounds: int, scenarios: list[Scenario], servers: list[Server], source: Path, timing: Timing
) -> Iterator[Step]:
    """Every round of every scenario on every server; each round begins with another server."""
    for turn in range(1, rounds + 1):
        yield Step(turn, LIMITS, MACHINE, partial(in_child, source, "bench.limits"))
        for scenario in scenarios:
            if scenario.measure is None:
                yield Step(turn, scenario.name, US, partial(in_child, source, "bench.rooms", scenario.name))
                continue
            if scenario.rounds_max is not None and turn > scenario.rounds_max:
                continue
            those = [each for each in servers if each.part in scenario.parts]
            first = (turn - 1) % len(those) if those else 0
            for server in those[first:] + those[:first]:
                audited = turn == 1 or server.part == Part.US
                timed = Timing(timing.warmup_s, timing.window_s, audited)
                measure = partial(serve_and_measure, server, scenario.measure, timed)
                yield Step(turn, scenario.name, server.name, measure, server.part == Part.PEER)


def _carry_out(result: Result, plan: list[Step], patience_s: float, path: Path, console: Console) -> None:
    """Make each measurement and keep it at once; a peer that failed at a scenario is not asked again."""
    columns = (
        TextColumn("{task.description:<45}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(plan))
        for step in plan:
            progress.update(task, description=f"round {step.turn}: {step.scenario}, {step.server}")
            failed = any(each.failure for each in result.of(step.scenario, step.server))
            if not (step.is_peer and failed):
                _wait_for_quiet(patience_s)
                measured = step.measure()
                result.runs.append(Run(round=step.turn, scenario=step.scenario, server=step.server, measured=measured))
                write_json(result, path)
            progress.advance(task)


def machine() -> Machine:
    """Where this runs."""
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


def commit() -> str:
    """The commit of this checkout, or "unknown"."""
    if shutil.which("git") is None:
        return "unknown"

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = " with uncommitted changes in src/" if git("status", "--porcelain", "--", "src") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


def _list(console: Console) -> None:
    """Print the scenarios."""
    for scenario in SCENARIOS:
        console.print(f"[bold]{scenario.name}[/] ({scenario.room}): {scenario.title}", highlight=False)
        for figure in scenario.figures:
            wanted = "" if figure.floor is None else f"; floor {figure.floor:g}, aim {figure.aim:g}"
            console.print(f"    {figure.name}: {figure.title}, {figure.unit}{wanted}", highlight=False)


def _chosen(only: tuple[str, ...]) -> list[Scenario]:
    return [scenario for scenario in SCENARIOS if not only or {scenario.name, scenario.room} & set(only)]


@click.command(help=GUIDE, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="How often to measure each.")
@click.option("--seconds", type=click.FloatRange(0.2, 60), default=1.5, show_default=True, help="Length of each load.")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Only this scenario or room; may be repeated.")
@click.option(
    "--subjects", multiple=True, metavar="NAME", help="Only this server (penstock, null, moto ...); may be repeated."
)
@click.option(
    "--patience",
    type=click.FloatRange(0, 600),
    default=2.0,
    show_default=True,
    help="Seconds to wait, before each measurement, for other processes to leave the machine alone.",
)
@click.option("--list", "listing", is_flag=True, help="List the scenarios and their figures.")
@click.option(
    "--report", type=click.Path(exists=True, path_type=Path), help="Measure nothing; write the page of a kept result."
)
def main(
    rounds: int, seconds: float, only: tuple[str, ...], subjects: tuple[str, ...], patience: float, listing: bool,
    report: Path | None,
) -> None:  # fmt: skip
    """Measure this server and its peers; write bench/results/ and docs/benchmarks.md."""
    console = Console()
    if listing:
        _list(console)
    elif report is not None:
        _tell(write_page(read_json(report)), console)
    else:
        _run(rounds, Timing(WARMUP_S, seconds), only, subjects, patience, console)


def _run(
    rounds: int, timing: Timing, only: tuple[str, ...], names: tuple[str, ...], patience_s: float, console: Console
) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended on the way out
    with snapshot() as source:
        result = Result(
            date=time.strftime("%Y-%m-%d", time.gmtime()),
            command=shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
            commit=commit(),
            machine=machine(),
            rounds=rounds,
            timing=timing,
        )
        scenarios = _chosen(only)
        needed = frozenset[Part]().union(*(scenario.parts for scenario in scenarios if scenario.measure is not None))
        servers = [each for each in [*ours(source), *peers(), baseline()] if each.part in needed]
        unknown = set(names) - {each.name for each in servers}
        if unknown:
            raise click.UsageError(f"no such subject here: {', '.join(sorted(unknown))}")
        unfinished = RESULTS / f"{result.date}-partial.json"
        result.subjects, usable = _prepare([each for each in servers if not names or each.name in names], console)
        plan = list(_plan(rounds, scenarios, usable, source, timing))
        try:
            _carry_out(result, plan, patience_s, unfinished, console)
        except (KeyboardInterrupt, SystemExit):
            console.print(f"Cut off; what was measured is in {unfinished.relative_to(ROOT)}", highlight=False)
            raise
    show(result, console)
    written = [unfinished]
    if not only and not names:
        path = RESULTS / f"{result.date}.json"
        write_json(result, path)
        with suppress(FileNotFoundError):
            unfinished.unlink()
        written = [path, *write_page(result)]
    _tell(written, console)


def _tell(written: list[Path], console: Console) -> None:
    console.print("Wrote " + " and ".join(os.path.relpath(path, ROOT) for path in written), highlight=False)


if __name__ == "__main__":
    main()
