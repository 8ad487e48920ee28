"""Regular expressions of a configuration, matched in linear time whatever the pattern and the line (RE2).

Rule of this file: patterns and lines are bytes, read as UTF-8 where that can be.
"""

from typing import Final, Protocol

import re2

from penstock.core.limits import MIB

_MEMORY_BYTES: Final = 8 * MIB  # for each pattern's automaton; RE2 falls back to a slower one beyond


class Match(Protocol):
    """What matched."""

    def groups(self) -> "tuple[bytes | None, ...]":
        """The groups' texts."""
        ...


class Expression(Protocol):
    """A compiled pattern."""

    groups: int

    def match(self, line: bytes) -> Match | None:
        """What the start of a line matches."""
        ...

    def fullmatch(self, line: bytes) -> Match | None:
        """What a whole line matches."""
        ...


class BadExpression(Exception):
    """A pattern that RE2 does not take; the text says why."""


def compile_expression(pattern: str) -> Expression:
    """Compile a pattern in Java's notation as far as RE2 has it: no look-around, no references back.  Raises BadExpression."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    options.encoding = re2.Options.Encoding.LATIN1  # a byte is a sign: lines may be no UTF-8
    try:
        compiled: Expression = re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise BadExpression(f"{text} (look-around and references back are not supported)") from None
    return compiled
