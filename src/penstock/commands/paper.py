"""What the verbs print on: standard output, whole, whatever its width; and their complaints.

Rule of this file: results go to standard output, everything else to standard error; text of others is shown with nothing in it that a
terminal would obey.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

NUMBERS: Final = "<>"  # at the end of a column's title: align to the right
_WIDEST: Final = 1000


def console() -> Console:
    """Standard output."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def on_terminal() -> bool:
    """Whether somebody looks at standard output."""
    return sys.stdout.isatty()


def complain(text: str) -> int:
    """A line on standard error; the exit code of what broke after it had begun."""
    click.echo(f"penstock: {text}", err=True)
    return 1


def table(*titles: str) -> Table:
    """A table without rows; a title that ends in NUMBERS stands over numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for title in titles:
        right = title.endswith(NUMBERS)
        made.add_column(title.removesuffix(NUMBERS), justify="right" if right else "left", no_wrap=True)
    return made


def print_whole(out: Console, made: Table) -> None:
    """Print a table so that a narrow terminal breaks its lines rather than hide what they say."""
    held = out.width
    out.width = max(held, out.measure(made, options=out.options.update(max_width=_WIDEST)).maximum)
    out.print(made)
    out.width = held


def tame(text: str) -> str:
    """A text of others: line ends and tabs stay, what else is not printable becomes an escape."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in "\n\t" else _escape(sign) for sign in text)


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode()


def bar(fraction: float, cells: int) -> str:
    """A bar of eighths of a cell, for 0 .. 1; what lies above 1 fills it."""
    eighths = round(min(max(fraction, 0.0), 1.0) * cells * 8)
    part = " ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else ""
    return ("█" * (eighths // 8) + part).ljust(cells, "·")


def heat_bar(heat: float | None, cells: int = 10) -> Text:
    """How much of what a shard may take it takes: a bar and per cent, in the colour of the danger."""
    if heat is None:
        return Text("")
    style = "red" if heat >= 0.9 else "yellow" if heat >= 0.6 else "green"
    return Text.assemble((bar(heat, cells), style), f" {100 * heat:.0f} %")


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let a request to end (SIGTERM), and a terminal that closes (SIGHUP), count as Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def clock_text(at_ms: int) -> str:
    """A moment as records show it: date and time in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
