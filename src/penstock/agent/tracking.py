"""Which files of a flow are which, and where reading begins in each.

Theory.  A file is its device and inode: renamed, it stays the same file; under an old name there may be a new one.  Every file that the
pattern covers is followed by itself, and one that was followed stays so under any name of its directory until nothing more comes.
What is not known yet begins where `first_starts` or, later, its own start says.
Rules of this file:
  1. Pure: what was seen in the directory goes in, decisions come out.
  2. In doubt a file is read from its start: lines may come twice, none is lost.
"""

from collections.abc import Collection, Iterable, Sequence
from enum import Enum, auto
from typing import NamedTuple

from penstock.agent.buffers import Place


class FileKey(NamedTuple):
    """A file, whatever its name."""

    device: int
    inode: int


class Seen(NamedTuple):
    """A file of the directory."""

    name: str
    key: FileKey
    size: int
    modified_ms: int
    covered: bool  # the pattern means it; else it is one that was followed under another name


class Row(NamedTuple):
    """What the checkpoints tell of one file."""

    name: str
    key: FileKey
    modified_ms: int
    size: int
    place: Place


class Origin(Enum):
    """Where reading begins."""

    START = auto()
    END = auto()
    PLACE = auto()  # that of a row, if the file has the row's mark before it; else START


class Start(NamedTuple):
    """A file and where reading begins in it."""

    seen: Seen
    origin: Origin
    place: Place = Place(0, b"")


def first_starts(seen: Sequence[Seen], rows: Sequence[Row], *, known: bool, from_end: bool) -> list[Start]:
    """What to follow when a flow begins, oldest first.

    `rows` are the flow's checkpoints; `known` says that this agent has followed the flow before, so that a file without a row is new.
    Rows without that were left by the original, which keeps one for the newest file.  `from_end` is initialPosition.
    """
    by_key = {row.key: row for row in rows}
    present = {entry.key for entry in seen}
    by_name = {row.name: row for row in rows if row.key not in present and row.place.mark}
    newest_ms = max((row.modified_ms for row in rows), default=0)
    starts: list[Start] = []
    for entry in in_order(seen):
        row = by_key.get(entry.key) or (by_name.get(entry.name) if entry.covered else None)
        if row is not None:
            starts.append(Start(entry, Origin.PLACE, row.place))
        elif entry.covered:
            handled = not known and (entry.modified_ms < newest_ms if rows else from_end)
            starts.append(Start(entry, Origin.END if handled else Origin.START))
    return starts


class Changes(NamedTuple):
    """What a look at the directory has shown."""

    new: list[Seen]  # oldest first
    names: dict[FileKey, Seen]  # those that were known and are still there
    gone: list[FileKey]  # those that have no name in the directory any more


def changes(known: Collection[FileKey], seen: Sequence[Seen]) -> Changes:
    """Compare the files that are followed with those that were seen."""
    names = {entry.key: entry for entry in seen if entry.key in known}
    fresh = {entry.key: entry for entry in seen if entry.covered and entry.key not in known}
    return Changes(in_order(fresh.values()), names, [key for key in known if key not in names])


def in_order(seen: Iterable[Seen]) -> list[Seen]:
    """Files by the time of their last change."""
    return sorted(seen, key=lambda entry: (entry.modified_ms, entry.name))


class Finding(Enum):
    """How a file stands to what was read of it."""

    SAME = auto()  # nothing new
    GROWN = auto()
    REPLACED = auto()  # it is shorter, or says something else: read it from its start


def compare(size: int, position: int, mark: bytes, before_position: bytes) -> Finding:
    """Judge a file of `size` bytes that was read up to `position`; `before_position` is what stands where `mark` stood."""
    if size < position or before_position != mark:
        return Finding.REPLACED
    return Finding.GROWN if size > position else Finding.SAME
