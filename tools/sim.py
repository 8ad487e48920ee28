"""Simulated worlds from the command line: replay one seed with its trace, run many, hunt for more.

python tools/sim.py replay 17
python tools/sim.py run --seeds 2000
python tools/sim.py hunt --minutes 10
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "conformance"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sim"))

from sim_pool import WORLDS, first_failure
from sim_run import SeedFailed

from penstock.host.clock import monotonic_s
from penstock.host.entropy import SystemEntropy

SEED_BYTES = 6
WORLD = click.option("--world", type=click.Choice(list(WORLDS)), default="engine", show_default=True)


@click.group()
def main() -> None:
    """Simulated worlds."""


@main.command()
@click.argument("seed", type=int)
@click.option("--trace/--no-trace", default=True, help="Print every step.")
@WORLD
def replay(seed: int, trace: bool, world: str) -> None:
    """Run one seed."""
    try:
        sent = WORLDS[world](seed, print if trace else None)
    except SeedFailed as failed:
        print(f"FAILED {failed}")
        sys.exit(1)
    print(f"seed {seed}: {sent} batches or records, all is well")


@main.command()
@click.option("--seeds", type=int, default=2000, show_default=True)
@click.option("--first", type=int, default=1, show_default=True)
@WORLD
def run(seeds: int, first: int, world: str) -> None:
    """Run seeds one after the other, up to the first that fails."""
    with Progress(TextColumn("worlds"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task("", total=seeds)
        total, failed = first_failure(
            range(first, first + seeds), on_progress=lambda done: progress.update(bar, completed=done), world=world
        )
    _tell(total, failed)


@main.command()
@click.option("--minutes", type=float, default=5.0, show_default=True)
@WORLD
def hunt(minutes: float, world: str) -> None:
    """Run fresh seeds until one fails or the time is over."""
    began = monotonic_s()
    with Progress(
        TextColumn("{task.completed:.0%} of the time, {task.fields[worlds]} worlds"), BarColumn(), TimeElapsedColumn()
    ) as progress:
        bar = progress.add_task("", total=1.0, worlds=0)

        def fresh() -> Iterator[int]:
            while (share := (monotonic_s() - began) / 60 / minutes) < 1:
                progress.update(bar, completed=share)
                yield int.from_bytes(SystemEntropy().bytes(SEED_BYTES), "big")

        total, failed = first_failure(fresh(), on_progress=lambda done: progress.update(bar, worlds=done), world=world)
    _tell(total, failed)


def _tell(total: int, failed: SeedFailed | None) -> None:
    console = Console()
    if failed is not None:
        console.print(f"[bold red]failed[/] after {total} worlds: {failed}", highlight=False)
        sys.exit(1)
    console.print(f"[bold green]all is well[/] in {total} worlds", highlight=False)


if __name__ == "__main__":
    main()
