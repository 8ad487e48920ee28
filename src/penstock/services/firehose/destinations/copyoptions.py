r"""Options of Redshift's COPY: what a configuration's CopyOptions ask for, and whether PostgreSQL can be given the same.

Theory.  Redshift is given the options as they are.  Any other server is given COPY FROM STDIN with rows that we read from the data as
Redshift would; so the options are read into a plan: which format, and how fields become values.
Rules of this file:
  1. Pure.  A text that would end the statement is refused wherever it is going.
  2. What only concerns Redshift's side (REGION, COMPUPDATE, ...) is let pass; what would change the data and cannot be done elsewhere
     is `unsupported`.
Source: Amazon Redshift developer guide, COPY: data format, data load and data conversion parameters.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

_TOKEN: Final = re.compile(r"\s*(?:'((?:[^'\\]|''|\\.)*)'|([A-Za-z_][A-Za-z0-9_]*|\d+))", re.DOTALL | re.ASCII)
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "\\": "\\"}
_SWITCHES: Final = {
    "ESCAPE": "escape", "REMOVEQUOTES": "remove_quotes", "EMPTYASNULL": "empty_as_null", "BLANKSASNULL": "blanks_as_null",
    "FILLRECORD": "fill_record", "IGNOREBLANKLINES": "ignore_blank_lines", "TRIMBLANKS": "trim_blanks",
    "TRUNCATECOLUMNS": "truncate_columns",
}  # fmt: skip
_PASSED: Final = {  # nothing to do elsewhere; with the number of words that follow
    "GZIP": 0, "MANIFEST": 0, "ACCEPTANYDATE": 0, "EXPLICIT_IDS": 0, "ROUNDEC": 0, "NOLOAD": 0, "REGION": 1, "COMPUPDATE": 1,
    "STATUPDATE": 1, "MAXERROR": 1, "ENCODING": 1, "COMPROWS": 1, "DATEFORMAT": 1, "READRATIO": 1,
}  # fmt: skip
_OPTIONAL: Final = frozenset({"COMPUPDATE", "STATUPDATE", "DATEFORMAT"})  # the word may be left out
_CHOICES: Final = frozenset({"ON", "OFF", "TRUE", "FALSE", "PRESET", "AUTO", "AS"})
_UNSUPPORTED: Final = frozenset(
    {
        "FIXEDWIDTH",
        "AVRO",
        "PARQUET",
        "ORC",
        "SHAPEFILE",
        "LZOP",
        "BZIP2",
        "ZSTD",
        "SSH",
        "ENCRYPTED",
        "MASTER_SYMMETRIC_KEY",
    }
)


class NotCopyable(Exception):
    """Options that cannot be used; its text says which."""


class CopyPlan(msgspec.Struct, kw_only=True):
    """How rows are read."""

    format: Literal["text", "csv", "json"] = "text"
    delimiter: str = ""  # empty: the format's own
    quote: str = '"'
    null: str = "\\N"
    json: str = "auto"  # "auto", "auto ignorecase", "noshred" or the URL of a file of paths
    time_format: str = ""
    ignore_header: int = 0
    replacement: str = ""  # of characters that are no UTF-8; empty: they are refused
    escape: bool = False
    remove_quotes: bool = False
    empty_as_null: bool = False
    blanks_as_null: bool = False
    fill_record: bool = False
    ignore_blank_lines: bool = False
    trim_blanks: bool = False
    truncate_columns: bool = False
    packed: bool = False
    unsupported: str = ""  # the first option that only Redshift has

    @property
    def separator(self) -> str:
        """What stands between fields."""
        return self.delimiter or ("," if self.format == "csv" else "|")


class _Words:
    """The options, word by word."""

    def __init__(self, text: str) -> None:
        self._words = list(_split(text.strip().removesuffix(";")))
        self._at = 0

    def next(self) -> tuple[str, bool] | None:
        """The next word in capitals, or a quoted text (True); None at the end."""
        if self._at == len(self._words):
            return None
        self._at += 1
        return self._words[self._at - 1]

    def accept(self, *words: str) -> str:
        """The next word, if it is one of these; else empty."""
        if self._at < len(self._words) and self._words[self._at][0] in words and not self._words[self._at][1]:
            self._at += 1
            return self._words[self._at - 1][0]
        return ""

    def quoted(self, option: str) -> str:
        """The text that an option must have, with or without AS before it."""
        self.accept("AS")
        text = self.optional()
        if text is None:
            raise NotCopyable(f"{option} must be followed by a text in single quotes")
        return text

    def character(self, option: str) -> str:
        """The one character that an option must have."""
        text = self.quoted(option)
        if len(text) != 1:
            raise NotCopyable(f"{option} must be one character")
        return text

    def optional(self) -> str | None:
        """A quoted text, if one follows."""
        if self._at < len(self._words) and self._words[self._at][1]:
            self._at += 1
            return self._words[self._at - 1][0]
        return None

    def number(self, option: str) -> int:
        """The number that an option must have."""
        self.accept("AS")
        word = self.next()
        if word is None or not word[0].isdecimal() or len(word[0]) > 9:
            raise NotCopyable(f"{option} must be followed by a number")
        return int(word[0])


def read_options(text: str) -> CopyPlan:
    """The plan of the options.  Raises NotCopyable."""
    words, plan = _Words(text), CopyPlan()
    while (word := words.next()) is not None:
        option, quoted = word
        if quoted:
            raise NotCopyable("a text in quotes stands where an option is expected")
        _apply(plan, option, words)
    return plan


def _apply(plan: CopyPlan, option: str, words: _Words) -> None:
    if option in _SWITCHES:
        setattr(plan, _SWITCHES[option], True)
    elif option in _PASSED:
        plan.packed = plan.packed or option == "GZIP"
        _pass(option, words)
    elif option in _UNSUPPORTED:
        plan.unsupported = plan.unsupported or option
        words.accept("AS")
        words.optional()
    else:
        _apply_valued(plan, option, words)


def _apply_valued(plan: CopyPlan, option: str, words: _Words) -> None:
    match option:
        case "FORMAT":
            words.accept("AS")
        case "CSV":
            plan.format = "csv"
            plan.quote = words.character("QUOTE") if words.accept("QUOTE") else '"'
        case "JSON":
            plan.format = "json"
            words.accept("AS")
            plan.json = words.optional() or "auto"
        case "DELIMITER":
            plan.delimiter = words.character(option)
        case "NULL":
            plan.null = words.quoted(option)
        case "TIMEFORMAT":
            plan.time_format = words.quoted(option)
        case "IGNOREHEADER":
            plan.ignore_header = words.number(option)
        case "ACCEPTINVCHARS":
            words.accept("AS")
            plan.replacement = words.optional() or "?"
        case _:
            raise NotCopyable(f"{option[:40]} is no option of COPY that is known here")


def _pass(option: str, words: _Words) -> None:
    for _ in range(_PASSED[option]):
        words.accept("AS")
        if (
            words.optional() is None
            and not (option in _OPTIONAL and words.accept(*_CHOICES))
            and option not in _OPTIONAL
        ):
            words.next()


def _split(text: str) -> Iterator[tuple[str, bool]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotCopyable("words, numbers and texts in single quotes are expected")
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
        quoted, word = match.groups()
        yield (_unescaped(quoted), True) if quoted is not None else (word.upper(), False)


def _unescaped(text: str) -> str:
    text = text.replace("''", "'")
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text, flags=re.DOTALL)
