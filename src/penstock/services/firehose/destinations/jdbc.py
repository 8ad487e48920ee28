"""JDBC URLs: where a database is.

Source: "Configure a connection to your Amazon Redshift cluster" (the forms), PostgreSQL's JDBC driver (its parameters).
Rules of this file: pure; a parameter that is not known here changes nothing, as drivers ignore it too.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

_URL: Final = re.compile(
    r"jdbc:(redshift|postgresql)(?::iam)?://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/([^/?#;]+)(?:[?;](.*))?",
    re.ASCII,
)
_PORTS: Final = {"redshift": 5439, "postgresql": 5432}
_MODES: Final = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})


class Database(NamedTuple):
    """One database of one server."""

    host: str
    port: int
    name: str
    ssl_mode: str  # libpq's word


def read_jdbc(url: str) -> Database | None:
    """The database that a URL names, or None if it names none."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    kind, host, port, name, query = match.groups()
    number = int(port) if port else _PORTS[kind]
    if not 0 < number < 65536:
        return None
    return Database(host.strip("[]"), number, unquote(name), _ssl_mode(query or ""))


def _ssl_mode(query: str) -> str:
    options = {
        name.lower(): value.lower() for name, value in parse_qsl(query.replace(";", "&"), keep_blank_values=True)
    }
    asked = options.get("sslmode", "")
    if asked in _MODES:
        return asked
    return (
        {"true": "require", "": "require", "false": "disable"}.get(options["ssl"], "prefer")
        if "ssl" in options
        else "prefer"
    )
