"""Where a file engine keeps an object: a path for any key, and the key of a path.

Theory.  A key's segments, the texts between its `/`, become the names of folders and, the last one, of a file.  Most segments are
names already and stay as they are.  `%` is the escape:
  - `%XX` (capital hex) stands for a byte that no name may hold, that programs trip over, or that is a `%`;
  - a name that is `%` alone is the empty segment, so `a//b` is `a/%/b` and `a/` is `a/%`;
  - `%+` at the end of a folder's name says that the segment goes on in the next name: file systems take 255 bytes;
  - `%~` at the end says that a name without it was taken by the other kind: `a` and `a/b` may both be keys, `a` cannot be file and
    folder.  Whichever came second has the mark.
Rules of this file:
  1. Pure: it does not look what exists.
  2. `segments` answers names that stay below the folder they are put in: none is empty, `.` or `..`, none holds `/` or NUL.
  3. `read_name` inverts what `segments` wrote, and answers None for every other name: those files are somebody else's.
"""

import re
from typing import Final, NamedTuple

NAME_BYTES: Final = 200  # of a name without its marks; leaves room for them in 255
EMPTY: Final = "%"
GOES_ON: Final = "%+"
BESIDE: Final = "%~"

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\\%]")
_DOTS: Final = re.compile(r"\.\.?")
_UNIT: Final = re.compile(r"%[0-9A-F]{2}|[^%]")
_NAME: Final = re.compile(r"((?:%[0-9A-F]{2}|[^%\ud800-\udfff])+|%)(%\+)?(%~)?")  # surrogates: bytes that are no UTF-8


class Named(NamedTuple):
    """What a name says."""

    text: str  # of the segment, or of this part of it
    goes_on: bool  # in the names below
    beside: bool  # something of the other kind has the name without the mark


def segments(key: str) -> list[list[str]]:
    """The names of each of a key's segments: one, or several for a long segment, of which all but the last end in GOES_ON."""
    return [_names(segment) for segment in key.split("/")]


def read_name(name: str) -> Named | None:
    """What a file's or folder's name says, or None where `segments` did not write it."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    text = "" if match[1] == EMPTY else re.sub(r"%(..)", lambda escape: chr(int(escape[1], 16)), match[1])
    goes_on = match[2] is not None
    if (goes_on and not text) or match[1] != (_escaped(text) if goes_on else _dotless(_escaped(text)) or EMPTY):
        return None
    return Named(text, goes_on, match[3] is not None)


def _names(segment: str) -> list[str]:
    escaped = _escaped(segment)
    if len(escaped.encode()) <= NAME_BYTES:
        return [_dotless(escaped) or EMPTY]
    names, piece, room = [], "", NAME_BYTES
    for unit in _UNIT.findall(escaped):
        length = len(unit.encode())
        if length > room:
            names.append(piece + GOES_ON)
            piece, room = "", NAME_BYTES
        piece, room = piece + unit, room - length
    return [*names, _dotless(piece)]


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _dotless(name: str) -> str:
    """A name that is none of the two that file systems keep for themselves."""
    return name.replace(".", "%2E") if _DOTS.fullmatch(name) else name
