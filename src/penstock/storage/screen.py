"""What the tools show: a bar on a terminal, tables, lines.

Rule of this file: only the bar is drawn on standard error, and only on a terminal; results go to standard output.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from penstock.storage.directory import Advance

_RIGHT: Final = "<>"  # at the end of a column's title: numbers
_WIDEST: Final = 1000


class Screen:
    """Standard output and error."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, markup=False, soft_wrap=True)
        self._error = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, title: str, total_bytes: int) -> Iterator[Advance]:
        """A bar that is told how many bytes were done, and is gone when that is over."""
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._error,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        with progress:
            task = progress.add_task(title, total=total_bytes)

            def advance(count: int) -> None:
                progress.update(task, advance=count)

            yield advance

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows under titles; a title that ends in `<>` stands over numbers."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for title in titles:
            table.add_column(
                title.removesuffix(_RIGHT), justify="right" if title.endswith(_RIGHT) else "left", no_wrap=True
            )
        for row in rows:
            table.add_row(*row)
        held = self._out.width
        needed = table.__rich_measure__(self._out, self._out.options.update(max_width=_WIDEST)).maximum
        self._out.width = max(held, needed)  # a narrow terminal breaks lines rather than hide what they say
        self._out.print(table)
        self._out.width = held

    def say(self, text: str) -> None:
        """A line."""
        self._out.print(text)

    def complain(self, error: Exception) -> None:
        """Why nothing could be done, on standard error."""
        text = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            text = f"{error.filename}: {error.strerror}"
        self._error.print(f"penstock: {text}")
