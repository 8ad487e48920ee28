"""`penstock tail`: a stream's records as they come.

Theory.  `follow` reads every shard, parents before children; this shows what it gives.  On a terminal a record takes a heading and
its data, JSON spread out; in a pipe it is one line.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from penstock.clients.calls import CALL_ERRORS
from penstock.commands import shown, since
from penstock.commands.family import Shard
from penstock.commands.follow import WIDTH, CannotRead, follow
from penstock.commands.paper import clock_text, complain, console, ended_by_signals, on_terminal, tame
from penstock.commands.place import CommandError, Server, Where, patiently
from penstock.commands.shards import list_shards
from penstock.commands.shown import Shown
from penstock.consumer.reader import Wanted
from penstock.core.ids import parse_shard_id
from penstock.host.clock import SystemClock

SHARDS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `penstock tail`."""

    stream: str
    begin: str = "latest"
    shard: str | None = None  # an id or a number
    key: str | None = None
    limit: int | None = None  # records to show
    as_json: bool = False
    follow: bool = True
    raw: bool = False  # aggregates as they are


def run(where: Where, options: Options) -> int:
    """Show records until told to stop; the exit code.  Raises CommandError."""
    try:
        begin = since.parse(options.begin, SystemClock().now_ms())
    except since.BadTime as error:
        raise CommandError(str(error)) from None
    server = Server(where, WIDTH)
    try:
        listing = patiently(lambda: list_shards(server.client, options.stream))
    except CALL_ERRORS as error:
        raise server.complaint(error, options.stream) from None
    wanted = Wanted(begin, _shard_id(options.shard, listing), options.follow)
    rounds = follow(server.client, options.stream, wanted, _Sayer(), opened=not options.raw)
    paper = _paper(as_json=options.as_json)
    try:
        with ended_by_signals():
            _show(paper, _chosen(rounds, options.key), options.limit)
    except (KeyboardInterrupt, BrokenPipeError):  # how one ends it, and how its reader does
        return 0
    except CannotRead as error:
        return complain(f"cannot read {options.stream} any longer: {error}")
    return 0


def _shard_id(text: str | None, listing: Iterable[Shard]) -> str | None:
    if text is None:
        return None
    number = parse_shard_id(text)
    ids = {shard.number: shard.shard_id for shard in listing}
    if number not in ids:
        there = ", ".join(islice(map(str, sorted(ids)), SHARDS_SHOWN)) + (", ..." if len(ids) > SHARDS_SHOWN else "")
        raise CommandError(f"--shard: there is no shard {text}; there is {there}")
    return ids[number]


def _chosen(rounds: Iterator[list[Shown]], key: str | None) -> Iterator[list[Shown]]:
    for records in rounds:
        yield records if key is None else [record for record in records if record.key == key]


def _show(paper: "Paper", rounds: Iterator[list[Shown]], limit: int | None) -> None:
    left = limit
    for records in rounds:
        if left is not None:
            records = records[:left]
            left -= len(records)
        if records:
            paper.show(records)
        if left == 0:
            return


class _Sayer:
    """Says on standard error why it does not go on, and the same thing once."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, text: str) -> None:
        if text != self._said:
            complain(text)
            self._said = text


class Paper(Protocol):
    """What records are shown on."""

    def show(self, records: list[Shown]) -> None:
        """Show records, and be done with it when this returns."""
        ...


def _paper(*, as_json: bool) -> Paper:
    if as_json:
        return JsonPaper()
    return TerminalPaper(console()) if on_terminal() else LinePaper()


class JsonPaper:
    """One JSON object a line."""

    def show(self, records: list[Shown]) -> None:
        """Write them."""
        sys.stdout.buffer.writelines(shown.document(record) + b"\n" for record in records)
        sys.stdout.buffer.flush()


class LinePaper:
    """One line a record, with tabs between its parts."""

    def show(self, records: list[Shown]) -> None:
        """Write them."""
        sys.stdout.buffer.writelines(shown.line(record).encode() + b"\n" for record in records)
        sys.stdout.buffer.flush()


class TerminalPaper:
    """A heading and the data, for eyes."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._json = JSONHighlighter()

    def show(self, records: list[Shown]) -> None:
        """Print them."""
        for record in records:
            self._out.print(self._heading(record))
            text, is_json = shown.body(record.data)
            data = Text(text)
            if is_json:
                self._json.highlight(data)
            self._out.print(data)

    def _heading(self, record: Shown) -> Text:
        clock = clock_text(record.arrived_ms)
        number = parse_shard_id(record.shard_id)
        return Text.assemble(
            (clock, "dim"), "  ", (f"shard {number}", "cyan"), "  ", (tame(record.key), "bold green"),
            (f"  {len(record.data):,} B", "dim"),
        )  # fmt: skip
