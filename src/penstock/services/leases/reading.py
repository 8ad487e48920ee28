"""Reading many items: a span of a table or index, page by page.

Theory.  Tables and indexes are sorted lists of byte strings; what a query or a scan's segment asks for is one stretch of one of them, and a
page is a piece of that stretch.  Where a page ended is told as the key of its last item, so the next one begins behind it, whatever
was written in between.
Rules of this file:
  1. Pure.  A page is bounded in items looked at and in bytes, and so is the time that it keeps others waiting.
  2. What a filter drops counts towards the page all the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, assert_never

from penstock.core.lease_errors import LeaseError
from penstock.core.limits import MIB
from penstock.services.leases.conditions import (
    At,
    BeginsWith,
    Between,
    Both,
    Compare,
    Condition,
    Contains,
    Either,
    Exists,
    Given,
    HasType,
    In,
    Not,
    Operand,
    Size,
    holds,
)
from penstock.services.leases.keys import (
    KeyAttribute,
    Schema,
    empty_kind,
    partition_of,
    position_of,
    range_of,
    segment_start,
)
from penstock.services.leases.tables import IndexView, TableView
from penstock.services.leases.values import Binary, Item, Scalar, String, type_name

PAGE_MAX_BYTES: Final = MIB
PAGE_MAX_ITEMS: Final = 2500  # ours: what is looked at in one call, a few milliseconds

Row = tuple[bytes, ...]


class Span(NamedTuple):
    """A stretch of a sorted list: from `low` to before `high`."""

    low: Row
    high: Row


class Source(NamedTuple):
    """What is read: a table, or one of its indexes."""

    table: TableView
    via: IndexView | None  # the index

    @property
    def schema(self) -> Schema:
        """The key by which it is sorted."""
        return self.table.schema if self.via is None else self.via.index.schema

    @property
    def rows(self) -> Sequence[Row]:
        """Its rows, in order."""
        return self.table.order if self.via is None else self.via.entries

    @property
    def key_names(self) -> tuple[str, ...]:
        """The attributes that say where a page ended."""
        return tuple(dict.fromkeys((*self.schema.names, *self.table.schema.names)))

    def row_of(self, key: Item) -> Row | None:
        """The row of a key with all of these attributes."""
        own, base = position_of(self.schema, key), position_of(self.table.schema, key)
        if own is None or base is None:
            return None
        return own if self.via is None else (*own, *base)

    def item(self, row: Row) -> tuple[Item, int]:
        """The item of a row, as the source has it, and its size."""
        held = self.table.items[row[-2], row[-1]]
        if self.via is None or not self.via.index.is_global:
            return held.item, held.size_bytes
        return self.via.projected(self.table.schema, held.item), held.size_bytes


class Page(NamedTuple):
    """What one call found."""

    items: list[Item]
    scanned: int
    size_bytes: int
    last: Item | None  # the key of its last item, if it was ended there


def read_page(
    source: Source, span: Span, start: Row | None, *, forward: bool, limit: int | None, wanted: Condition | None
) -> Page:
    """A page of a span, from behind `start` on."""
    items: list[Item] = []
    scanned = size_bytes = 0
    most = min(limit or PAGE_MAX_ITEMS, PAGE_MAX_ITEMS)
    for row in _rows(source.rows, span, start, forward=forward):
        item, size = source.item(row)
        scanned += 1
        size_bytes += size
        if wanted is None or holds(wanted, item):
            items.append(item)
        if scanned >= most or size_bytes >= PAGE_MAX_BYTES:
            return Page(items, scanned, size_bytes, {name: item[name] for name in source.key_names})
    return Page(items, scanned, size_bytes, None)


def _rows(rows: Sequence[Row], span: Span, start: Row | None, *, forward: bool) -> Iterator[Row]:
    first, end = bisect_left(rows, span.low), bisect_left(rows, span.high)
    if start is not None and forward:
        first = max(first, bisect_right(rows, start))
    elif start is not None:
        end = min(end, bisect_left(rows, start))
    return map(rows.__getitem__, range(first, end) if forward else range(end - 1, first - 1, -1))


def start_row(source: Source, span: Span, key: Item) -> Row:
    """The row behind which a page begins.  Raises START_KEY, START_KEY_OUTSIDE."""
    row = source.row_of(key)
    if row is None or set(key) != set(source.key_names):
        raise LeaseError.START_KEY(why=": The provided key element does not match the schema")
    if not span.low <= row < span.high:
        raise LeaseError.START_KEY_OUTSIDE()
    return row


def segment_span(segment: int, total: int) -> Span:
    """What one segment of a scan reads."""
    return Span(segment_start(segment, total), segment_start(segment + 1, total))


# Key conditions


def key_span(schema: Schema, conditions: Sequence[Condition]) -> Span:
    """The span that conditions on the key mean, one on the hash key and perhaps one on the range key.

    Raises KEY_CONDITION_MISSED, KEY_CONDITION, KEY_CONDITION_TWICE, KEY_CONDITION_TYPE, KEY_EMPTY.
    """
    by_name: dict[str, Condition] = {}
    for condition in conditions:
        name = _subject(condition)
        if name in by_name:
            raise LeaseError.KEY_CONDITION_TWICE()
        by_name[name] = condition
    first = by_name.pop(schema.hash.name, None)
    if first is None:
        raise LeaseError.KEY_CONDITION_MISSED(name=schema.hash.name)
    if not isinstance(first, Compare) or first.sign != "=":
        raise LeaseError.KEY_CONDITION()
    partition = partition_of(_key_value(schema.hash, first.right))
    if not by_name:
        return Span((partition,), (partition + b"\0",))
    second = None if schema.range is None else by_name.pop(schema.range.name, None)
    if schema.range is None or second is None or by_name:
        raise (
            LeaseError.KEY_CONDITION()
            if schema.range is None
            else LeaseError.KEY_CONDITION_MISSED(name=schema.range.name)
        )
    low, high = _range_bounds(schema.range, second)
    return Span((partition, low), (partition + b"\0",) if high is None else (partition, high))


def _subject(condition: Condition) -> str:
    match condition:
        case Compare(_, At(path), Given()) | Between(At(path), Given(), Given()) | BeginsWith(At(path), Given()):
            if len(path) > 1:
                raise LeaseError.KEY_CONDITION_PATH()
            return str(path[0])
        case _:
            raise LeaseError.KEY_CONDITION()


def _range_bounds(attribute: KeyAttribute, condition: Condition) -> tuple[bytes, bytes | None]:
    """The first sort bytes, and those before which the range ends; None: at the end of the partition."""
    match condition:
        case Between(_, low, high):
            return _bytes(attribute, low), _bytes(attribute, high) + b"\0"
        case BeginsWith(_, prefix):
            start = _bytes(attribute, prefix)
            return start, _behind(start)
        case Compare("=", _, value):
            at = _bytes(attribute, value)
            return at, at + b"\0"
        case Compare("<", _, value):
            return b"", _bytes(attribute, value)
        case Compare("<=", _, value):
            return b"", _bytes(attribute, value) + b"\0"
        case Compare(">", _, value):
            return _bytes(attribute, value) + b"\0", None
        case Compare(">=", _, value):
            return _bytes(attribute, value), None
        case _:
            raise LeaseError.KEY_CONDITION()


def _behind(prefix: bytes) -> bytes | None:
    """The first byte string behind all that begin with a prefix, if there is one."""
    cut = prefix.rstrip(b"\xff")
    return cut[:-1] + bytes((cut[-1] + 1,)) if cut else None


def _bytes(attribute: KeyAttribute, operand: Operand) -> bytes:
    return range_of(_key_value(attribute, operand))


def _key_value(attribute: KeyAttribute, operand: Operand) -> Scalar:
    value = operand.value if isinstance(operand, Given) else None
    if not isinstance(value, Scalar) or type_name(value) != attribute.type:
        raise LeaseError.KEY_CONDITION_TYPE()
    if isinstance(value, String | Binary) and not value.value:
        raise LeaseError.KEY_EMPTY(kind=empty_kind(value), name=attribute.name)
    return value


def split_key_condition(condition: Condition) -> list[Condition]:
    """The conditions of a KeyConditionExpression.  Raises KEY_CONDITION_OPERATOR for what is none on keys."""
    if isinstance(condition, Both):
        return [part for each in condition.parts for part in split_key_condition(each)]
    name = _operator_name(condition)
    if name is not None:
        raise LeaseError.KEY_CONDITION_OPERATOR(name=name)
    return [condition]


def _operator_name(condition: Condition) -> str | None:
    """The name of an operator that key conditions do not take."""
    match condition:
        case Compare("<>", _, _):
            return "<>"
        case Compare() | Between() | BeginsWith() | Both():
            return None
        case Either():
            return "OR"
        case Not(Exists()):
            return "attribute_not_exists"
        case Not():
            return "NOT"
        case In():
            return "IN"
        case Exists():
            return "attribute_exists"
        case HasType():
            return "attribute_type"
        case Contains():
            return "contains"
        case _:
            assert_never(condition)


def names_in(condition: Condition) -> set[str]:
    """The attributes that a condition looks at."""
    match condition:
        case Compare(_, left, right):
            return _named(left, right)
        case Between(operand, low, high):
            return _named(operand, low, high)
        case In(operand, options):
            return _named(operand, *options)
        case Exists(path) | HasType(path, _):
            return {str(path[0])}
        case BeginsWith(operand, other) | Contains(operand, other):
            return _named(operand, other)
        case Both(parts) | Either(parts):
            return {name for part in parts for name in names_in(part)}
        case Not(of):
            return names_in(of)
        case _:
            assert_never(condition)


def _named(*operands: Operand) -> set[str]:
    found: set[str] = set()
    for operand in operands:
        inner = operand.of if isinstance(operand, Size) else operand
        if isinstance(inner, At):
            found.add(str(inner.path[0]))
    return found
