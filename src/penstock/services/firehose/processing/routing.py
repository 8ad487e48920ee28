"""Keys and routes: what a query or a function says of where a record belongs.

Rules of this file: pure; a value is text or a number, and not empty; nothing else can be part of a prefix.
Source: Firehose developer guide, "Understand partitioning keys", "Route incoming records to a single Iceberg table".
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from penstock.services.firehose.entries import Route

Operation = Literal["insert", "update", "delete"]

DATABASE: Final = "destinationDatabaseName"
TABLE: Final = "destinationTableName"
OPERATION: Final = "operation"
EMPTY: Final = "partitionKeys values must not be null or empty"
WRONG: Final = "partitionKeys values must be strings or numbers"  # UNVERIFIED: wording
_OPERATIONS: Final[Mapping[str, Operation]] = {"insert": "insert", "update": "update", "delete": "delete"}


class BadRoute(ValueError):
    """Keys or a route that cannot be used; the text says why."""


def keys_of(value: object) -> dict[str, str]:
    """The keys that an object has.  Raises BadRoute."""
    if not isinstance(value, dict):
        raise BadRoute(WRONG)
    return {str(name): _text(one) for name, one in value.items()}


def route_of(value: object) -> Route | None:
    """The table that an object names; None if it names none.  Raises BadRoute for one that cannot be."""
    if not isinstance(value, Mapping):
        raise BadRoute("otfMetadata must be an object")  # UNVERIFIED: wording
    database, table = value.get(DATABASE), value.get(TABLE)
    operation = value.get(OPERATION) or "insert"
    if database is None and table is None:
        return None
    if not isinstance(database, str) or not isinstance(table, str):
        raise BadRoute(f"{DATABASE} and {TABLE} must be strings")  # UNVERIFIED: wording
    found = _OPERATIONS.get(operation.lower()) if isinstance(operation, str) else None
    if found is None:
        raise BadRoute(f"{OPERATION} must be insert, update or delete")  # UNVERIFIED: wording
    return Route(database, table, found)


def _text(value: object) -> str:
    if value is None or value == "":
        raise BadRoute(EMPTY)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return msgspec.json.encode(value).decode() if isinstance(value, float) else str(value)
    raise BadRoute(WRONG)
