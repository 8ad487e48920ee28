"""The short form of the benchmarks, for CI: `make bench-quick`, under 3 minutes.  It fails where this code became slower.

What happens.  In each of some rounds the rooms below the server (engine, wire, request; bench/rooms.py) and the server itself under three
loads are measured.  Each figure is CPU time for a unit of work, divided into the CPU time of a fixed reference work
(bench/reference.py) in the same moment, since on a shared machine that is steady where wall time is not.  The median of the rounds
is held against the kept one in bench/results/quick.json; where it is more than 25% lower, that room is measured once more, and if
both tries agree, the run fails and names the room.  The server with its sockets is less steady: of it the best round is held
against the kept one, and may be 40% lower.

Kept ratios belong to a kind of processor.  `--keep` puts what was measured in the place of what was kept: do that on purpose, in a commit
that says why.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import reference
from bench.__main__ import RESULTS, commit, in_child, machine, serve_and_measure
from bench.compare import Fall, Kept, falls, rooms, settled
from bench.rooms import ROOMS
from bench.scenarios import SCENARIOS, Timing
from bench.servers import US, Server, ours, snapshot

KEPT: Final = RESULTS / "quick.json"
ROUNDS: Final = 3
TIMING: Final = Timing(0.4, 0.8, audited=False)
SERVED: Final = ("put-records", "put-record", "get-records")  # fan-out moves by 40% with what else runs
_REFERENCES: Final = 5

Ratios = dict[str, float]


class BenchFailed(Exception):
    """A measurement that came to nothing; its text says why."""


def _room(source: Path, room: str) -> Ratios:
    measured = in_child(source, "bench.rooms", room, "--ratios")
    if measured.failure is not None:
        raise BenchFailed(f"{room}: {measured.failure}")
    return {f"{room}/{name}": value for name, value in measured.values.items()}


def _served(server: Server) -> Ratios:
    """Answers of the whole server in one reference's CPU time."""
    found = {}
    for scenario in SCENARIOS:
        if scenario.name not in SERVED or scenario.measure is None:
            continue
        before = [reference.cpu_us() for _ in range(_REFERENCES)]
        measured = serve_and_measure(server, scenario.measure, TIMING)
        after = [reference.cpu_us() for _ in range(_REFERENCES)]
        load = measured.load
        if measured.failure is not None or load is None:
            raise BenchFailed(f"server: {scenario.name}: {measured.failure}")
        cpu_us = load.server_cpu_s / load.answers * 1e6
        found[f"server/{scenario.name}"] = statistics.median(before + after) / cpu_us
    return found


def measurers(source: Path) -> dict[str, Callable[[], Ratios]]:
    """What measures each room once."""
    [server] = [each for each in ours(source) if each.name == US]
    found: dict[str, Callable[[], Ratios]] = {room: partial(_room, source, room) for room in ROOMS}
    return found | {"server": partial(_served, server)}


def measure(chosen: dict[str, Callable[[], Ratios]], rounds: int, console: Console) -> list[Ratios]:
    """The ratios of each round, the rooms taking turns."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: list[Ratios] = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=rounds * len(chosen))
        for turn in range(1, rounds + 1):
            ratios: Ratios = {}
            for room, once in chosen.items():
                progress.update(task, description=f"round {turn}: {room}")
                ratios |= once()
                progress.advance(task)
            found.append(ratios)
    return found


def judge(
    kept: Ratios, first: list[Ratios], again: Callable[[list[str]], list[Ratios]]
) -> tuple[dict[str, float], list[Fall]]:
    """The ratios found, and what fell too far, in the first rounds and again in all of them with those of a second try."""
    found = settled(first)
    suspects = falls(kept, found)
    if suspects:
        second = settled(again(rooms(suspects)))
        suspected = {each.name for each in suspects}
        found |= {name: max(value, found[name]) for name, value in second.items() if name in suspected}
    return found, falls(kept, found)


def _show(kept: Kept | None, found: dict[str, float], rounds: list[Ratios], console: Console) -> None:
    table = Table("room", "work", "kept", "found", "of kept", "spread")
    for name, value in found.items():
        room, _, work = name.partition("/")
        values = [each[name] for each in rounds if name in each]
        before = kept.ratios.get(name) if kept is not None else None
        share = f"{value / before * 100:.0f}%" if before else "new"
        table.add_row(
            room,
            work,
            f"{before:.4g}" if before else "-",
            f"{value:.4g}",
            share,
            f"±{(max(values) - min(values)) / 2 / value * 100:.0f}%",
        )
    console.print(table)


@click.command(
    help=(__doc__ or "").replace("\n\n", "\n\n\b\n"), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--rounds", type=click.IntRange(1, 100), default=ROUNDS, show_default=True, help="How often to measure each."
)
@click.option("--only", multiple=True, type=click.Choice([*ROOMS, "server"]), help="Only this room; may be repeated.")
@click.option("--keep", is_flag=True, help="Keep what is found, and fail at nothing.")
def main(rounds: int, only: tuple[str, ...], keep: bool) -> None:
    """Measure, and compare."""
    console = Console()
    started_s = time.perf_counter()
    kept = msgspec.json.decode(KEPT.read_bytes(), type=Kept) if KEPT.exists() else None
    with snapshot() as source:
        chosen = {room: each for room, each in measurers(source).items() if not only or room in only}
        wanted = {
            name: value for name, value in (kept.ratios if kept else {}).items() if name.partition("/")[0] in chosen
        }

        def again(suspected: list[str]) -> list[Ratios]:
            console.print(f"Slower than kept in {', '.join(suspected)}; measuring that once more", highlight=False)
            return measure({room: chosen[room] for room in suspected}, rounds, console)

        try:
            first = measure(chosen, rounds, console)
            found, fallen = judge({} if keep else wanted, first, again)
        except BenchFailed as why:
            sys.exit(f"bench-quick: {why}")
    _show(kept, found, first, console)
    spent = f"{time.perf_counter() - started_s:.0f} s, load average {os.getloadavg()[0]:.1f}"
    if keep:
        held = (kept.ratios if kept and only else {}) | found
        new = Kept(
            date=time.strftime("%Y-%m-%d", time.gmtime()), commit=commit(), processor=machine().processor, ratios=held
        )
        KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(new), indent=1) + b"\n")
        console.print(f"Kept in {os.path.relpath(KEPT)}; {spent}", highlight=False)
    elif kept is None:
        sys.exit("bench-quick: nothing to compare with; say --keep")
    elif fallen:
        other = "" if kept.processor == machine().processor else f" (kept on another processor, {kept.processor})"
        told = "\n".join(f"  {each}" for each in fallen)
        sys.exit(f"bench-quick: slower than at {kept.commit}{other}:\n{told}")
    else:
        console.print(f"No ratio fell too far since {kept.commit}; {spent}", highlight=False)


if __name__ == "__main__":
    main()
