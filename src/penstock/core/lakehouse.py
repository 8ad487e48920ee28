"""The port to tables of Iceberg, and what changes of rows come to.  `host/lakehouse.py` implements it.

Rules: a batch is applied as a whole, with one commit, or not at all; one whose mark is in the table's history was applied before.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

Operation = Literal["insert", "update", "delete"]
Row = Mapping[str, Any]
Key = tuple[Any, ...]


class CatalogPlace(NamedTuple):
    """Which catalog, and where new tables are kept in it."""

    name: str
    warehouse: str  # s3://bucket/path or file:///path; empty: the catalog's own


class Change(NamedTuple):
    """One record's."""

    operation: Operation
    row: Row


class Batch(NamedTuple):
    """Changes of one table, in their order."""

    database: str
    table: str
    changes: Sequence[Change]
    keys: Sequence[str]  # columns that identify a row; none: the table's own identifier
    partitions: Sequence[str]  # columns that a new table is partitioned by
    creates: bool  # a table that does not exist is made
    evolves: bool  # columns that do not exist are added
    mark: str  # of the batch, kept in the table's history


class BadChange(NamedTuple):
    """A change that cannot be made; the others were."""

    at: int
    code: str
    text: str


class LakehouseFailed(Exception):
    """Nothing was changed, or is known to be; its text is one line without secrets."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Lakehouse(Protocol):
    """Tables in catalogs."""

    async def apply(self, place: CatalogPlace, batch: Batch) -> Sequence[BadChange]:
        """Make all changes that can be made, in one commit; those that cannot be.  Raises LakehouseFailed."""
        ...


class Settled(NamedTuple):
    """What changes come to: rows with these keys go, then these rows are added."""

    cleared: list[Key]
    added: list[Row]


def settle(changes: Sequence[Change], keys: Sequence[str]) -> Settled:
    """What changes come to, one after the other.

    An insert adds a row, whatever else has its key; an update takes the place of all rows with its key; a delete leaves none.
    """
    cleared: dict[Key, None] = {}
    added: dict[Key, list[Row]] = {}
    for number, (operation, row) in enumerate(changes):
        key = tuple(row[name] for name in keys) if keys else (number,)
        if operation != "insert":
            cleared[key] = None
            added[key] = []
        if operation != "delete":
            added.setdefault(key, []).append(row)
    return Settled(list(cleared), [row for rows in added.values() for row in rows])


CATALOG_FILE: Final = "iceberg.db"  # in the data directory: the catalog where the settings name none


def catalog_properties(setting: str, default_file: str) -> dict[str, str]:
    """What the setting `iceberg_catalog` means to pyiceberg; empty: a catalog of SQLite in `default_file`.

    Raises ValueError.
    """
    kind, _, address = setting.partition("+")
    match kind:
        case "":
            return {"type": "sql", "uri": f"sqlite:///{default_file}"}
        case "sql" if address:
            return {"type": "sql", "uri": address}
        case "rest" if urlsplit(address).scheme in ("http", "https"):
            return {"type": "rest", "uri": address}
        case "glue" if not address or urlsplit(address).scheme in ("http", "https"):
            return {"type": "glue", **({"glue.endpoint": address} if address else {})}
        case _:
            raise ValueError("catalogs are sql+URI, rest+URL, glue+URL")
