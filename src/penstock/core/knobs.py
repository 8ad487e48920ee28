"""The kinds of knobs that settings.py declares: flags, choices, whole numbers, sizes, files.

A kind is a function that makes a dataclass's field; its metadata say how a text becomes the value, and what would be accepted.  Pure.
"""

import re
from collections.abc import Callable
from dataclasses import field
from typing import Any, Final, NamedTuple


class Knob(NamedTuple):
    """How one setting is read and explained."""

    doc: str
    parse: Callable[[str], Any]  # raises ValueError
    accepts: str  # completes "must be ..."
    metavar: str | None = None
    shown: str | None = None  # the default as users write it, where that differs from the value


def knob(default: object, doc: str, parse: Callable[[str], Any], accepts: str, metavar: str | None = None) -> Any:
    """A setting of any other kind."""
    return field(default=default, metadata={"knob": Knob(doc, parse, accepts, metavar)})


def flag(doc: str) -> Any:
    """True or false; false unless it is said."""
    return knob(False, doc, _parse_bool, "true or false")


def choice(*values: str, default: str | None = None, doc: str) -> Any:
    """One of some words, the first unless another is the default."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError
        return text

    return knob(default or values[0], doc, parse, "one of " + ", ".join(values), "|".join(values))


def integer(default: int, low: int, high: int, doc: str, metavar: str = "N") -> Any:
    """A whole number from `low` to `high`."""

    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError
        return number

    return knob(default, doc, parse, f"a whole number from {low} to {high}", metavar)


def _parse_file(text: str) -> str:
    if "\0" in text:
        raise ValueError
    return text  # empty: none


def file(doc: str) -> Any:
    """A file that need not be given."""
    return field(default="", metadata={"knob": Knob(doc, _parse_file, "a file", "FILE", "none")})


def seconds(default: int, doc: str) -> Any:
    """Seconds, up to a day of them."""
    return integer(default, 1, 86_400, doc, "S")


def size(default: str, low: int, high: int, doc: str) -> Any:
    """A number of bytes from `low` to `high`, written as 64M or 2G."""

    def parse(text: str) -> int:
        match = re.fullmatch(r"([0-9]{1,19})([KMGT]?)(iB|B)?", text)
        if match is None:
            raise ValueError
        size = int(match[1]) * _UNITS[match[2]]
        if not low <= size <= high:
            raise ValueError
        return size

    accepts = f"a size from {shown(low)} to {shown(high)}, such as 64M or 2G"
    return field(default=parse(default), metadata={"knob": Knob(doc, parse, accepts, "SIZE", default)})


_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def shown(size: int) -> str:
    """A number of bytes as users write it."""
    unit = max(
        (unit for unit, factor in _UNITS.items() if size and size % factor == 0), key=_UNITS.__getitem__, default=""
    )
    return f"{size // _UNITS[unit]}{unit}"


def _parse_bool(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}[
        text.lower()
    ]
