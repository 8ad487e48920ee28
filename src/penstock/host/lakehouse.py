"""Tables of Iceberg, by pyiceberg.

Theory.  pyiceberg blocks, so it runs in a few threads of its own; a catalog that hangs takes one of them, and the caller's wait ends by
itself.  A batch becomes one transaction: rows with the keys that change are deleted, then rows are added.  Its mark stands in the
snapshots' summaries, so that a batch whose answer was lost is found there and not applied twice.
Rules of this file: pyiceberg is imported at the first batch; what it says of a failure is cut to one line, and may quote no credentials.
"""

import functools
import operator
import re
import warnings
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from penstock.core.lakehouse import BadChange, Batch, CatalogPlace, Change, Key, LakehouseFailed, Row, Settled, settle
from penstock.host.lakerows import BadValue, converted
from penstock.host.threads import BlockingCalls

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

EXTRA: Final = "pip install 'penstock[iceberg]'"
APPLY_S: Final = 120
MARK: Final = "penstock.parcel"
MARKS_READ: Final = 100  # snapshots that are looked through for a mark
_THREADS: Final = 4
_SECRET_WORDS: Final = ("token", "credential", "secret", "password")
_USER: Final = re.compile(r"://[^/@\s]+@")
_MISSING: Final = "Iceberg.MissingColumnWithinRecord"
_TEXT_MAX_CHARS: Final = 500
_CODES: Final = {  # by the exception's name, so that nothing is imported to tell
    "NoSuchTableError": "Iceberg.NoSuchTable", "NoSuchNamespaceError": "Iceberg.NoSuchDatabase",
    "NoSuchIcebergTableError": "Iceberg.NoSuchTable", "CommitFailedException": "Iceberg.CommitConflict",
    "CommitStateUnknownException": "Iceberg.CommitStateUnknown", "UnauthorizedError": "Iceberg.AccessDenied",
    "ForbiddenError": "Iceberg.AccessDenied", "OAuthError": "Iceberg.AccessDenied",
}  # fmt: skip


class IcebergTables:
    """Catalogs of one kind, opened when they are needed."""

    def __init__(self, properties: Mapping[str, str], wait_s: float = APPLY_S) -> None:
        """`properties`: pyiceberg's, of every catalog: its type, uri and credentials."""
        self._properties = properties
        self._wait_s = wait_s
        self._calls = BlockingCalls("iceberg", _THREADS)
        self._catalogs: dict[CatalogPlace, Catalog] = {}
        self._opening = Lock()

    async def apply(self, place: CatalogPlace, batch: Batch) -> Sequence[BadChange]:
        """Make a batch's changes.  Raises LakehouseFailed."""
        try:
            return await self._calls.run(lambda: self._apply(place, batch), self._wait_s)
        except TimeoutError:
            raise LakehouseFailed("Iceberg.Timeout", f"the catalog did not answer within {self._wait_s:g} s") from None

    async def close(self) -> None:
        """Wait for no answer any more."""
        for catalog in self._catalogs.values():
            catalog.close()

    def _apply(self, place: CatalogPlace, batch: Batch) -> Sequence[BadChange]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a delete that matches nothing is no news
                return _apply(self._catalog(place), place, batch)
        except LakehouseFailed:
            raise
        except ImportError:
            raise LakehouseFailed("Iceberg.NotInstalled", f"deliveries to Iceberg need {EXTRA}") from None
        except Exception as error:  # noqa: BLE001 - whatever the catalog's and the storage's clients raise
            name = type(error).__name__
            said = _first_line(self._concealed(str(error)))
            raise LakehouseFailed(_CODES.get(name, "Iceberg.CatalogError"), f"{name}: {said}") from None

    def _concealed(self, text: str) -> str:
        """A text without our credentials."""
        for name, value in self._properties.items():
            if value and any(word in name for word in _SECRET_WORDS):
                text = text.replace(value, "***")
        return _USER.sub("://***@", text)

    def _catalog(self, place: CatalogPlace) -> "Catalog":
        from pyiceberg.catalog import load_catalog

        with self._opening:
            if place not in self._catalogs:
                properties: dict[str, str | None] = dict(self._properties)
                if place.warehouse:
                    properties["warehouse"] = place.warehouse
                self._catalogs[place] = load_catalog(place.name, **properties)
            return self._catalogs[place]


def _apply(catalog: "Catalog", place: CatalogPlace, batch: Batch) -> Sequence[BadChange]:
    table = _open(catalog, place, batch)
    if table is None:
        return []
    applied = any(_mark_of(snapshot.summary) == batch.mark for snapshot in table.metadata.snapshots[-MARKS_READ:])
    if batch.evolves and not applied:
        _evolve(table, batch)
    schema = table.schema()
    keys = list(batch.keys) or sorted(schema.find_column_name(one) or "" for one in schema.identifier_field_ids)
    good, bad = _read(batch.changes, schema, keys)
    if not applied:
        _commit(table, settle(good, keys), keys, batch.mark)
    return bad


def _open(catalog: "Catalog", place: CatalogPlace, batch: Batch) -> "Table | None":
    """The batch's table, made if it may be; None where there is nothing to make it of."""
    from pyiceberg.exceptions import NoSuchTableError

    name = (*batch.database.split("."), batch.table)
    try:
        return catalog.load_table(name)
    except NoSuchTableError:
        if not batch.creates:
            raise
    rows = [change.row for change in batch.changes if change.operation != "delete"]
    schema = _inferred(rows, ())
    if not schema.fields:
        return None
    catalog.create_namespace_if_not_exists(name[:-1])
    location = f"{place.warehouse.rstrip('/')}/{'/'.join(name)}" if place.warehouse else None
    table = catalog.create_table_if_not_exists(name, schema=schema, location=location)
    if batch.partitions and not table.spec().fields:
        with table.update_spec() as update:
            for column in batch.partitions:
                update.add_identity(column)
    return table


def _evolve(table: "Table", batch: Batch) -> None:
    """Add the columns that rows have and the table lacks."""
    rows = [change.row for change in batch.changes if change.operation != "delete"]
    added = _inferred(rows, [name.lower() for name in table.schema().column_names])
    if added.fields:
        with table.update_schema() as update:
            update.union_by_name(added)


def _inferred(rows: Sequence[Row], known: Sequence[str]) -> "Schema":
    """The columns that rows have beyond those that are known; a column whose values are of several kinds is text."""
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.schema import Schema

    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None and name.lower() not in known:
                values.setdefault(name, []).append(value)
    fields = []
    for name, found in values.items():
        try:
            kind = pa.array(found).type
        except (pa.ArrowException, OverflowError):
            kind = pa.string()
        fields.append(pa.field(name, _storable(kind)))
    if not fields:
        return Schema()
    return Catalog._convert_schema_if_needed(pa.schema(fields))


def _storable(kind: Any) -> Any:
    """A type that Iceberg has: what is always null or empty becomes text."""
    import pyarrow as pa

    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_storable(kind.value_type))
    if pa.types.is_struct(kind):
        fields = [pa.field(field.name, _storable(field.type)) for field in kind]
        return pa.struct(fields) if fields else pa.string()
    return kind


def _read(changes: Sequence[Change], schema: "Schema", keys: Sequence[str]) -> tuple[list[Change], list[BadChange]]:
    """The changes with the columns of the schema, and those that cannot be."""
    keyed = schema.select(*keys) if keys else schema
    good, bad = [], []
    for at, (operation, row) in enumerate(changes):
        if operation != "insert" and not keys:
            bad.append(
                BadChange(at, "Iceberg.MissingUniqueKeys", f"{operation} needs UniqueKeys, and the table has none")
            )
            continue
        try:
            read = converted(row, keyed if operation == "delete" else schema)
            empty = [name for name in keys if operation != "insert" and read.get(name) is None]
        except BadValue as error:
            bad.append(
                BadChange(
                    at,
                    "Iceberg.MissingColumnWithinRecord" if "required" in str(error) else "Iceberg.InvalidValue",
                    str(error),
                )
            )
            continue
        if empty:
            bad.append(BadChange(at, _MISSING, f"{empty[0]} is a unique key, and the record lacks it"))
        else:
            good.append(Change(operation, read))
    return good, bad


def _commit(table: "Table", settled: Settled, keys: Sequence[str], mark: str) -> None:
    import pyarrow as pa

    if not settled.cleared and not settled.added:
        return
    summary = {MARK: mark}
    with table.transaction() as transaction:
        if settled.cleared:
            transaction.delete(_matching(settled.cleared, keys), snapshot_properties=summary)
        if settled.added:
            rows = pa.Table.from_pylist(list(settled.added), schema=table.schema().as_arrow())
            transaction.append(rows, snapshot_properties=summary)


def _matching(cleared: Sequence[Key], keys: Sequence[str]) -> "BooleanExpression":
    """The rows with any of these keys."""
    from pyiceberg import expressions

    is_in: Any = expressions.In  # their types are those of pydantic's fields, not of their constructors
    is_equal: Any = expressions.EqualTo
    if len(keys) == 1:
        found: BooleanExpression = is_in(keys[0], {key[0] for key in cleared})
        return found
    rows = [
        functools.reduce(operator.and_, [is_equal(name, part) for name, part in zip(keys, key, strict=True)])
        for key in cleared
    ]
    return rows[0] if len(rows) == 1 else expressions.Or(*rows)


def _mark_of(summary: Any) -> str | None:
    return summary.additional_properties.get(MARK) if summary is not None else None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:_TEXT_MAX_CHARS]
