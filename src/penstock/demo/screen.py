"""What the demo shows: a live table on a terminal, a line per second elsewhere.

Rule of this file: it draws snapshots; it decides nothing.
"""

import sys
from collections import deque
from types import TracebackType
from typing import Final, Protocol, Self

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from penstock.core.ids import parse_shard_id
from penstock.core.sizes import size_text
from penstock.demo.progress import Shard, Snapshot

LIVE_EVERY_S: Final = 0.25
LIVE_WINDOW_S: Final = (
    2.0  # rates on the table are means over so long: readers come five times a second, which would flicker
)
LINE_EVERY_S: Final = 1.0
AGE_WARN_MS: Final = 1_000
AGE_ALARM_MS: Final = 10_000
WIDE_COLUMNS: Final = 96  # from here on there is room to show records
COLUMNS: Final = (
    ("shard", 6), ("by", 2), ("put/s", 8), ("bytes/s", 8), ("read/s", 8), ("bytes/s", 8), ("age", 9), ("read in all", 12)
)  # fmt: skip
FRAME_LINES: Final = 10  # of the live view, beside the shards' rows


class View(Protocol):
    """What both kinds of display do."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...  # fmt: skip

    def show(self, now_s: float, snapshot: Snapshot, *, feeding: bool) -> None:
        """Draw the state of things, `now_s` seconds after the start, if it is time to."""
        ...

    def finish(self, now_s: float, snapshot: Snapshot) -> None:
        """Draw the end of things."""
        ...


def open_view(title: str, place: str, seconds: float | None) -> View:
    """The display that suits standard output."""
    console = Console(highlight=False)
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        return LiveView(console, title, place, seconds)
    return LineView(f"{title} at {place}")


class Window:
    """The last snapshots, to tell rates from."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._kept: deque[tuple[float, Snapshot]] = deque([(0.0, Snapshot())])

    def rates(self, now_s: float, snapshot: Snapshot) -> tuple[dict[str, Shard], Shard]:
        """Amounts per second, for each shard and in all, over the last `length_s` seconds, or since the start."""
        self._kept.append((now_s, snapshot))
        while len(self._kept) > 2 and self._kept[1][0] <= now_s - self._length_s:
            self._kept.popleft()
        then_s, old = self._kept[0]
        per_s = 1 / max(now_s - then_s, 0.001)
        rates = {
            shard_id: _rate(shard, old.shards.get(shard_id, Shard()), per_s)
            for shard_id, shard in snapshot.shards.items()
        }
        return rates, _rate(snapshot.total, old.total, per_s)


def _rate(new: Shard, old: Shard, per_s: float) -> Shard:
    return Shard(
        put_records=round((new.put_records - old.put_records) * per_s),
        put_bytes=round((new.put_bytes - old.put_bytes) * per_s),
        read_records=round((new.read_records - old.read_records) * per_s),
        read_bytes=round((new.read_bytes - old.read_bytes) * per_s),
        age_ms=new.age_ms,
    )


class LineView:
    """A line per second."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._window = Window(LINE_EVERY_S)
        self._next_s = LINE_EVERY_S

    def __enter__(self) -> Self:
        click.echo(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, now_s: float, snapshot: Snapshot, *, feeding: bool) -> None:
        """Print a line, once a second."""
        if now_s < self._next_s:
            return
        self._next_s += LINE_EVERY_S
        _, rate = self._window.rates(now_s, snapshot)
        total = snapshot.total
        notes = [] if feeding else ["reading what is left"]
        if snapshot.event:
            notes.append(snapshot.event)
        if snapshot.waiting:
            notes.append(f"trying again: {snapshot.waiting}")
        click.echo(
            f"{now_s:4.0f} s  put {rate.put_records:,}/s {size_text(rate.put_bytes)}/s"
            f"  read {rate.read_records:,}/s {size_text(rate.read_bytes)}/s  age {total.age_ms:,} ms"
            f"  in all {total.put_records:,} put, {total.read_records:,} read"
            + (f"  ({'; '.join(notes)})" if notes else "")
        )

    def finish(self, now_s: float, snapshot: Snapshot) -> None:
        """Nothing: the verdict says it all."""


class LiveView:
    """A table that is drawn anew in place."""

    def __init__(self, console: Console, title: str, place: str, seconds: float | None) -> None:
        self._console = console
        self._heading = Text.assemble((title, "bold"), "\n", (place, "dim"))
        self._seconds = seconds
        self._window = Window(LIVE_WINDOW_S)
        self._next_s = 0.0
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, now_s: float, snapshot: Snapshot, *, feeding: bool) -> None:
        """Draw the table, four times a second."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + LIVE_EVERY_S
        until = "" if self._seconds is None else f" of {self._seconds:g}"
        phase = f"{now_s:.0f} s{until}" if feeding else "reading what is left"
        hint = " · Ctrl-C stops and checks" if feeding else ""
        self._draw(self._window.rates(now_s, snapshot), snapshot, phase, hint)

    def finish(self, now_s: float, snapshot: Snapshot) -> None:
        """Draw the table that stays, with means over the whole time."""
        self._draw(Window(now_s).rates(now_s, snapshot), snapshot, f"means over {now_s:.1f} s")

    def _draw(self, rates: tuple[dict[str, Shard], Shard], snapshot: Snapshot, phase: str, hint: str = "") -> None:
        wide = self._console.width >= WIDE_COLUMNS
        table = live_table(snapshot, *rates, wide=wide, rows=max(3, self._console.height - FRAME_LINES))
        again = f" · {snapshot.refused:,} put again" if snapshot.refused else ""
        status = f" {phase} · {snapshot.keys:,} keys · {snapshot.outstanding:,} under way{again}{hint}"
        foot = Text(status, style="dim")
        if snapshot.event:
            foot.append(f"\n {snapshot.event}", style="not dim bold magenta")
        if snapshot.waiting:
            foot.append(f"\n trying again: {snapshot.waiting}", style="not dim yellow")
        self._live.update(Group(self._heading, "", table, "", foot), refresh=True)


def live_table(snapshot: Snapshot, rates: dict[str, Shard], rate: Shard, *, wide: bool, rows: int) -> Table:
    """One row for each shard, as far as `rows` go, and one for all; `wide` adds what was read last."""
    table = Table(box=None, padding=(0, 1), expand=wide, header_style="dim")
    for title, width in COLUMNS:
        table.add_column(title, justify="right", min_width=width, no_wrap=True)
    if wide:
        table.add_column(" read just now", ratio=1, no_wrap=True, overflow="ellipsis")
    shown = list(snapshot.shards.items())
    hidden = max(0, len(shown) - rows)
    for shard_id, shard in shown[: len(shown) - hidden]:
        name = Text(str(parse_shard_id(shard_id)), style="dim" if shard.closed else "cyan")
        latest = "closed by a reshard" if shard.closed else record_text(shard.latest)
        table.add_row(
            name,
            str(shard.holder or ""),
            *_cells(rates[shard_id], shard),
            *([Text(" " + latest, style="dim")] if wide else []),
        )
    if hidden:
        table.add_row(Text(f"+{hidden}", style="dim"))
    table.add_section()
    table.add_row("all", "", *_cells(rate, snapshot.total), style="bold")
    return table


def _cells(rate: Shard, shard: Shard) -> tuple[RenderableType, ...]:
    age_style = "green" if shard.age_ms < AGE_WARN_MS else "yellow" if shard.age_ms < AGE_ALARM_MS else "red"
    return (
        f"{rate.put_records:,}",
        size_text(rate.put_bytes),
        f"{rate.read_records:,}",
        size_text(rate.read_bytes),
        Text(f"{shard.age_ms:,} ms", style=age_style),
        f"{shard.read_records:,}",
    )


def record_text(data: bytes) -> str:
    """A record for people, from its JSON."""
    if not data:
        return ""
    try:
        fields = msgspec.json.decode(data, type=dict[str, int | float | str])
    except msgspec.DecodeError:
        return repr(data)
    key = fields.pop("key", "?")
    shown = [_field_text(name, value) for name, value in fields.items() if name not in ("count", "at_ms")]
    return f"{key}  " + ", ".join(shown)


def _field_text(name: str, value: int | float | str) -> str:
    words = name.replace("_", " ")
    if name.endswith("_bytes") and not isinstance(value, str):
        return f"{words.removesuffix(' bytes')} {size_text(value)}"
    if name.endswith("_s") and not isinstance(value, str):
        return f"{words.removesuffix(' s')} {value:,.2f} s"
    if name == "percent":
        return f"{value} %"
    return str(value) if name == "name" else f"{words} {value}"
