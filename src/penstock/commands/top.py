"""`penstock top`: what every stream, or every shard of one, does at this moment.

Theory.  A table is drawn from one answer of the traffic page, and drawn anew with each; on anything but a terminal it is drawn once.
Rule of this file: the terminal is given back as it was found, however the watching ends.
"""

import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from penstock.clients.calls import CALL_ERRORS
from penstock.commands.paper import (
    clock_text,
    complain,
    console,
    ended_by_signals,
    heat_bar,
    on_terminal,
    print_whole,
    table,
)
from penstock.commands.place import CommandError, Server, Where, pause
from penstock.commands.traffic import ShardTraffic, StreamTraffic, Traffic, fetch, no_page
from penstock.core.ids import parse_shard_id
from penstock.core.sizes import size_text

Row = TypeVar("Row")

FRAME_LINES: Final = 6  # of the live view, beside the rows
WIDE_COLUMNS: Final = 124  # of a terminal that has room for every column
AGE_WARN_MS: Final = 10_000
AGE_ALARM_MS: Final = 60_000
STREAM_ORDERS: Final[dict[str, Callable[[StreamTraffic], tuple[float, ...]]]] = {
    "in": lambda row: (-row.in_bytes_per_s, -row.in_records_per_s),
    "out": lambda row: (-row.out_bytes_per_s, -row.out_records_per_s),
    "throttles": lambda row: (-row.refused_writes_per_s - row.refused_reads_per_s,),
    "age": lambda row: (-(row.iterator_age_ms or 0),),
    "shards": lambda row: (-row.open_shards,),
    "name": lambda _row: (),
}
SHARD_ORDERS: Final[dict[str, Callable[[ShardTraffic], tuple[float, ...]]]] = {
    "in": lambda row: (-row.in_bytes_per_s, -row.in_records_per_s),
    "out": lambda row: (-row.out_bytes_per_s, -row.out_records_per_s),
    "throttles": lambda row: (-row.refused_writes_per_s - row.refused_reads_per_s,),
    "age": lambda row: (-(row.iterator_age_ms or 0),),
    "shards": lambda _row: (),
    "name": lambda _row: (),
}
KEYS: Final = {name[0]: name for name in STREAM_ORDERS}  # i o t a s n


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `penstock top`."""

    stream: str | None = None
    sort: str = "in"
    once: bool = False
    every_s: float = 1.0


def run(where: Where, options: Options) -> int:
    """Show it until told to stop; the exit code.  Raises CommandError."""
    watch = _Watch(Server(where), where, options)
    first = watch.look()
    out = console()
    try:
        if options.once or not on_terminal() or out.is_dumb_terminal:
            out.print(watch.title(first))
            print_whole(out, watch.table(first))
            return 0
        with ended_by_signals():
            return _live(watch, first, out, options.every_s)
    except KeyboardInterrupt:  # how one ends it
        return 0


class _Watch:
    """What is looked at, and how it is sorted."""

    def __init__(self, server: Server, where: Where, options: Options) -> None:
        self.sort = options.sort
        self._server = server
        self._where = where
        self._stream = options.stream

    def look(self) -> Traffic:
        """What the server tells now, as far as it was asked for.  Raises CommandError."""
        try:
            traffic = fetch(self._server, self._stream)
        except CALL_ERRORS as error:
            raise self._server.complaint(error) from None
        if traffic is None:
            raise no_page(self._server, "top")
        where = self._where
        rows = tuple(
            row
            for row in traffic.streams
            if self._stream in (None, row.name)
            and where.region in (None, row.region)
            and where.account in (None, row.account)
        )
        if self._stream is not None and not rows:
            raise self._no_such(traffic)
        return Traffic(traffic.now_ms, rows)

    def _no_such(self, traffic: Traffic) -> CommandError:
        names = sorted({row.name for row in traffic.streams if row.name != self._stream})
        there = f"there is {', '.join(names[:10])}" if names else "`penstock top` shows those that there are"
        return CommandError(f"there is no stream {self._stream} at {self._server.endpoint}; {there}")

    def title(self, traffic: Traffic) -> Text:
        """The server and the time, in a line."""
        what = "streams" if self._stream is None else f"shards of {self._stream}"
        title = Text.assemble((f"Penstock {what}", "bold"), f"  {self._server.endpoint}")
        if traffic.now_ms:
            title.append(f"  {clock_text(traffic.now_ms)[:19]}Z", "dim")
        return title

    def table(self, traffic: Traffic, rows: int | None = None, *, wide: bool = True) -> Table:
        """The table; at most so many rows, and where it is not `wide`, the columns that matter most."""
        if self._stream is None:
            return stream_table(traffic.streams, self.sort, rows, wide=wide)
        return shard_table(traffic.streams[0].shards or (), self.sort, rows, wide=wide)


def _live(watch: _Watch, first: Traffic, out: Console, every_s: float) -> int:
    traffic, failure = first, None
    with _keys() as next_key, Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            made = watch.table(traffic, max(1, out.height - FRAME_LINES), wide=out.width >= WIDE_COLUMNS)
            hint = f"sorted by {watch.sort}: in out throttles age shards name (i o t a s n) · q ends"
            live.update(Group(watch.title(traffic), made, Text(hint, style="dim")), refresh=True)
            key = next_key(every_s)
            if key == "q":
                return 0
            watch.sort = KEYS.get(key, watch.sort)
            try:
                traffic = watch.look()
            except CommandError as error:
                failure = error.format_message()
                break
    return complain(failure)


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Gives a function that waits for a key, for so many seconds, and answers it or ""."""
    descriptor = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
    if descriptor is None or sys.platform == "win32":  # no keyboard: only Ctrl-C ends it
        yield _no_key
        return
    import termios
    import tty

    before = termios.tcgetattr(descriptor)

    def next_key(wait_s: float) -> str:
        if not select.select([descriptor], [], [], wait_s)[0]:
            return ""
        typed = os.read(descriptor, 1).decode(errors="replace")
        return typed.lower() or "q"  # the end of input

    try:
        tty.setcbreak(descriptor)
        yield next_key
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _no_key(wait_s: float) -> str:
    pause(wait_s)
    return ""


class Column(NamedTuple, Generic[Row]):
    """A column of a table."""

    title: str
    cell: Callable[[Row], Text]
    wide: bool = False  # only where there is room


STREAM_COLUMNS: Final[tuple[Column[StreamTraffic], ...]] = (
    Column("stream", lambda row: Text(row.name, style="cyan")),
    Column("status", lambda row: Text(row.status.lower(), style="green" if row.status == "ACTIVE" else "yellow"), True),
    Column("mode", lambda row: Text(row.mode.lower().replace("_", "-")), True),
    Column("shards<>", lambda row: Text(f"{row.open_shards:,}")),
    Column("in/s<>", lambda row: Text(f"{row.in_records_per_s:,.0f}")),
    Column("bytes/s<>", lambda row: Text(size_text(row.in_bytes_per_s))),
    Column("out/s<>", lambda row: Text(f"{row.out_records_per_s:,.0f}")),
    Column("bytes/s<>", lambda row: Text(size_text(row.out_bytes_per_s))),
    Column("refused w/s<>", lambda row: _refused(row.refused_writes_per_s), True),
    Column("r/s<>", lambda row: _refused(row.refused_reads_per_s), True),
    Column("age<>", lambda row: age_text(row.iterator_age_ms)),
    Column("consumers<>", lambda row: Text(f"{row.consumers:,}"), True),
)
OWNER_COLUMNS: Final[tuple[Column[StreamTraffic], ...]] = (
    Column("account", lambda row: Text(row.account)),
    Column("region", lambda row: Text(row.region)),
)
SHARD_COLUMNS: Final[tuple[Column[ShardTraffic], ...]] = (
    Column("shard", lambda row: Text(_label(row.shard_id), style="cyan" if row.open else "dim")),
    Column("", lambda row: Text("open", style="green") if row.open else Text("closed", style="dim"), True),
    Column("in/s<>", lambda row: Text(f"{row.in_records_per_s:,.0f}")),
    Column("bytes/s<>", lambda row: Text(size_text(row.in_bytes_per_s))),
    Column("out/s<>", lambda row: Text(f"{row.out_records_per_s:,.0f}")),
    Column("bytes/s<>", lambda row: Text(size_text(row.out_bytes_per_s))),
    Column("refused w/s<>", lambda row: _refused(row.refused_writes_per_s), True),
    Column("r/s<>", lambda row: _refused(row.refused_reads_per_s), True),
    Column("age<>", lambda row: age_text(row.iterator_age_ms)),
    Column("records<>", lambda row: Text("" if row.records is None else f"{row.records:,}"), True),
    Column("heat", lambda row: heat_bar(row.heat) if row.open else Text("")),
)


def stream_table(streams: Sequence[StreamTraffic], sort: str, rows: int | None = None, *, wide: bool = True) -> Table:
    """A row for each stream, as far as `rows` go; `wide`: every column."""
    several = len({(row.account, row.region) for row in streams}) > 1
    first, *others = STREAM_COLUMNS
    order = STREAM_ORDERS[sort]
    ordered = sorted(streams, key=lambda row: (*order(row), row.name, row.account, row.region))
    return _filled([first, *(OWNER_COLUMNS if several else ()), *others], ordered, rows, wide=wide)


def shard_table(shards: Sequence[ShardTraffic], sort: str, rows: int | None = None, *, wide: bool = True) -> Table:
    """A row for each shard, the open ones first, as far as `rows` go; `wide`: every column."""
    order = SHARD_ORDERS[sort]
    ordered = sorted(shards, key=lambda row: (not row.open, *order(row), row.shard_id))
    return _filled(SHARD_COLUMNS, ordered, rows, wide=wide)


def _filled(columns: Sequence[Column[Row]], ordered: Sequence[Row], rows: int | None, *, wide: bool) -> Table:
    shown = [column for column in columns if wide or not column.wide]
    made = table(*(column.title for column in shown))
    for row in ordered[:rows]:
        made.add_row(*(column.cell(row) for column in shown))
    if rows is not None and len(ordered) > rows:
        made.add_row(Text(f"+{len(ordered) - rows:,}", style="dim"))
    return made


def _label(shard_id: str) -> str:
    number = parse_shard_id(shard_id)
    return shard_id if number is None else str(number)


def _refused(per_s: float) -> Text:
    return Text(f"{per_s:,.0f}" if per_s >= 1 else f"{per_s:.1f}" if per_s else "0", style="red" if per_s else "dim")


def age_text(age_ms: float | None) -> Text:
    """How far behind a reader is, in the unit that suits it; nothing where nobody reads."""
    if age_ms is None:
        return Text("-", style="dim")
    style = "green" if age_ms < AGE_WARN_MS else "yellow" if age_ms < AGE_ALARM_MS else "red"
    for unit, length_ms in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if age_ms >= length_ms:
            return Text(f"{age_ms / length_ms:.1f} {unit}", style=style)
    return Text(f"{age_ms:.0f} ms", style=style)
