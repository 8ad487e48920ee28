"""Types of columns: Hive's text, read into a tree.

Theory.  A type is a word, or a word with parameters in round brackets, or one of three containers with types in angle brackets.  Glue
keeps the text as it is given and reads it only when somebody uses the table, so here too a text that means nothing is refused by
whoever reads it.
Rules of this file: pure; no text nests deeper than DEPTH_MAX, so that nobody who walks a tree needs to fear its depth.
Source: Hive's language manual, "Data Types"; record format conversion takes all but uniontype (Firehose developer guide).
"""

import re
from typing import Final, Literal

import msgspec

DEPTH_MAX: Final = 64  # ours
DECIMAL_DEFAULT: Final = (10, 0)
DECIMAL_PRECISION_MAX: Final = 38
CHAR_MAX: Final = 255
VARCHAR_MAX: Final = 65_535

ScalarKind = Literal[
    "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "binary", "date", "timestamp"
]
_WORDS: Final[dict[str, ScalarKind]] = {
    "boolean": "boolean",
    "tinyint": "tinyint",
    "smallint": "smallint",
    "int": "int",
    "integer": "int",
    "bigint": "bigint",
    "float": "float",
    "double": "double",
    "double precision": "double",
    "string": "string",
    "binary": "binary",
    "date": "date",
    "timestamp": "timestamp",
}


class BadType(Exception):
    """A text that is no type, or one of a kind that nothing can be converted to; its text says why."""


class Scalar(msgspec.Struct, frozen=True):
    """A type without parameters."""

    kind: ScalarKind


class Decimal(msgspec.Struct, frozen=True):
    """A number with so many digits, `scale` of them behind the point."""

    precision: int  # 1 .. DECIMAL_PRECISION_MAX
    scale: int  # 0 .. precision


class Text(msgspec.Struct, frozen=True):
    """char or varchar: text of so many characters at most."""

    fixed: bool  # char: blanks at its end mean nothing
    length: int


class Array(msgspec.Struct, frozen=True):
    """A list."""

    item: "HiveType"


class Map(msgspec.Struct, frozen=True):
    """Keys and values."""

    key: "HiveType"
    value: "HiveType"


class Member(msgspec.Struct, frozen=True):
    """A member of a struct."""

    name: str
    type: "HiveType"


class Struct(msgspec.Struct, frozen=True):
    """Named members in their order."""

    members: tuple[Member, ...]


HiveType = Scalar | Decimal | Text | Array | Map | Struct


def parse_type(text: str) -> HiveType:
    """The type that a text means.  Raises BadType."""
    reader = _Reader(text)
    found = reader.type(0)
    if reader.rest().strip():
        raise BadType(f"{_shown(text)} goes on behind its type")
    return found


class _Reader:
    """Reads one text from left to right."""

    _WORD = re.compile(r"\s*([A-Za-z_]+(?:\s+precision)?)", re.ASCII)
    _NUMBERS = re.compile(r"\s*\(\s*(\d{1,6})\s*(?:,\s*(\d{1,6})\s*)?\)", re.ASCII)
    _NAME = re.compile(r"\s*(?:`([^`]+)`|([^\s:<>,]+))\s*:")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def rest(self) -> str:
        return self._text[self._at :]

    def type(self, depth: int) -> HiveType:
        if depth > DEPTH_MAX:
            raise BadType(f"{_shown(self._text)} nests deeper than {DEPTH_MAX}")
        match = self._WORD.match(self._text, self._at)
        if match is None:
            raise BadType(f"{_shown(self._text)} has no type at {self._at}")
        self._at = match.end()
        word = " ".join(match[1].lower().split())
        match word:
            case "array":
                [item] = self._inside(1, depth)
                return Array(item)
            case "map":
                key, value = self._inside(2, depth)
                return Map(key, value)
            case "struct":
                return self._struct(depth)
            case "decimal" | "numeric" | "dec":
                return self._decimal()
            case "char" | "varchar":
                return self._characters(word)
            case "uniontype":
                raise BadType("uniontype is not supported")
        if word not in _WORDS:
            raise BadType(f"{word} is no type")
        return Scalar(_WORDS[word])

    def _inside(self, count: int, depth: int) -> list[HiveType]:
        self._expect("<")
        found = [self.type(depth + 1)]
        while len(found) < count:
            self._expect(",")
            found.append(self.type(depth + 1))
        self._expect(">")
        return found

    def _struct(self, depth: int) -> Struct:
        self._expect("<")
        members: list[Member] = []
        while not members or self._follows(","):
            match = self._NAME.match(self._text, self._at)
            if match is None:
                raise BadType(f"{_shown(self._text)} has no name of a member at {self._at}")
            self._at = match.end()
            members.append(Member(match[1] or match[2], self.type(depth + 1)))
        self._expect(">")
        if len({member.name.lower() for member in members}) != len(members):
            raise BadType(f"{_shown(self._text)} has two members of one name")
        return Struct(tuple(members))

    def _decimal(self) -> Decimal:
        precision, scale = self._numbers() or DECIMAL_DEFAULT
        if not 1 <= precision <= DECIMAL_PRECISION_MAX or scale > precision:
            raise BadType(f"decimal({precision},{scale}) is no type")
        return Decimal(precision, scale)

    def _characters(self, word: str) -> Text:
        length = (self._numbers() or (0, 0))[0]
        if not 1 <= length <= (CHAR_MAX if word == "char" else VARCHAR_MAX):
            raise BadType(f"{word} needs a length from 1 to {CHAR_MAX if word == 'char' else VARCHAR_MAX}")
        return Text(word == "char", length)

    def _numbers(self) -> tuple[int, int] | None:
        match = self._NUMBERS.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return int(match[1]), int(match[2] or 0)

    def _follows(self, mark: str) -> bool:
        rest = self.rest()
        found = rest.lstrip().startswith(mark)
        if found:
            self._at += len(rest) - len(rest.lstrip()) + 1
        return found

    def _expect(self, mark: str) -> None:
        if not self._follows(mark):
            raise BadType(f"{_shown(self._text)} needs {mark} at {self._at}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "...")
