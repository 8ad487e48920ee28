"""Names in SQL: what a configuration calls a table and its columns, as identifiers that cannot be anything else.

Rules of this file: pure; unquoted names are folded to lower case, as Redshift and PostgreSQL do.
"""

import re
from typing import Final

_PART: Final = re.compile(r'\s*(?:"((?:[^"\x00]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*))\s*')
PARTS_MAX: Final = 3  # database, schema, table


class BadName(Exception):
    """A text that is no name."""


def table_name(text: str) -> str:
    """A table's name, each part in quotes: `Sales.orders` -> `"sales"."orders"`.  Raises BadName."""
    parts = _parts(text, ".")
    if len(parts) > PARTS_MAX:
        raise BadName(text)
    return ".".join(parts)


def column_names(text: str) -> list[str]:
    """A comma-separated list of columns, each in quotes.  Raises BadName."""
    return _parts(text, ",")


def literal(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _parts(text: str, separator: str) -> list[str]:
    parts, at = [], 0
    while True:
        match = _PART.match(text, at)
        if match is None:
            raise BadName(text)
        quoted, plain = match.groups()
        parts.append('"' + (quoted if quoted is not None else plain.lower()) + '"')
        at = match.end()
        if at == len(text):
            return parts
        if text[at] != separator:
            raise BadName(text)
        at += 1
