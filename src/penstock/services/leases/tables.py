"""Tables: the view in memory that every read is answered from, fed by one scan at start and then by the watch.

Theory.  The MetaStore is the truth, and what it holds is durable; so whoever reads the view reads what was acknowledged, and reads of
tables are consistent whether they ask for it or not.  An index is nothing stored: it is the same items in another order.
Rules of this file:
  1. The view is changed in `_apply` and nowhere else; a commit's changes become visible together.
  2. An item's value is shared by everybody and never changed.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from penstock.core.lease_errors import LeaseError
from penstock.engines.api import Change, Conflict, MetaStore, Write
from penstock.services.leases.keys import Position, Schema, position_of
from penstock.services.leases.state import (
    ITEMS,
    ROOT,
    TABLES,
    TOKENS,
    Index,
    Table,
    Token,
    encode,
    item_key,
    read_item_key,
    table_decoder,
    table_key,
    token_decoder,
)
from penstock.services.leases.values import Item, decode_item

HELD_BYTES: Final = 1024  # ours: what an item takes of memory beside its size, about

Entry = tuple[bytes, bytes, bytes, bytes]  # of an index: its position, then the item's


class HeldItem(NamedTuple):
    """An item, and the version that its next writer must name."""

    item: Item
    version: int
    size_bytes: int  # as it is stored, a little more than DynamoDB would count


class IndexView:
    """One index: its entries in order."""

    __slots__ = ("entries", "index", "size_bytes")

    def __init__(self, index: Index) -> None:
        self.index = index
        self.entries: list[Entry] = []
        self.size_bytes = 0

    def projected(self, base: Schema, item: Item) -> Item:
        """What it has of an item; `base` is the table's key."""
        index = self.index
        if index.projection == "ALL":
            return item
        names = {*base.names, *index.schema.names, *index.included}
        return {name: value for name, value in item.items() if name in names}

    def put(self, position: Position, held: HeldItem) -> None:
        """Enter an item, if it has the index's key."""
        place = position_of(self.index.schema, held.item)
        if place is not None:
            insort(self.entries, (*place, *position))
            self.size_bytes += held.size_bytes

    def take(self, position: Position, held: HeldItem) -> None:
        """Take an item out, if it is there."""
        place = position_of(self.index.schema, held.item)
        if place is not None:
            entry = (*place, *position)
            at = bisect_left(self.entries, entry)
            assert self.entries[at] == entry, "what was put is there"
            del self.entries[at]
            self.size_bytes -= held.size_bytes


class TableView:
    """One table as operations see it."""

    __slots__ = ("indexes", "items", "order", "size_bytes", "table", "version")

    def __init__(self, table: Table, version: int) -> None:
        self.table = table
        self.version = version
        self.items: dict[Position, HeldItem] = {}
        self.order: list[Position] = []  # of the items
        self.size_bytes = 0
        self.indexes = {index.name: IndexView(index) for index in table.indexes}

    @property
    def schema(self) -> Schema:
        """The key of its items."""
        return self.table.schema

    def set_item(self, position: Position, now: HeldItem | None) -> int:
        """Put an item in, or take it out; answer by how much the memory that it takes has grown."""
        before = self.items.pop(position, None)
        if before is not None and now is not None and now.version < before.version:
            self.items[position] = before  # from the scan at start, overtaken by the watch
            return 0
        for index in self.indexes.values():
            if before is not None:
                index.take(position, before)
            if now is not None:
                index.put(position, now)
        if now is not None:
            self.items[position] = now
            if before is None:
                insort(self.order, position)
        elif before is not None:
            del self.order[bisect_left(self.order, position)]
        grown = _taken(now) - _taken(before)
        self.size_bytes += (now.size_bytes if now is not None else 0) - (before.size_bytes if before is not None else 0)
        return grown

    def set_table(self, table: Table, version: int) -> None:
        """Take a new record; indexes that are new are built."""
        if version < self.version:
            return
        self.table, self.version = table, version
        known, self.indexes = self.indexes, {}
        for index in table.indexes:
            view = known.get(index.name)
            if view is None or view.index.schema != index.schema:
                view = IndexView(index)
                for position, held in self.items.items():
                    view.put(position, held)
            view.index = index
            self.indexes[index.name] = view


def _taken(held: HeldItem | None) -> int:
    return 0 if held is None else held.size_bytes + HELD_BYTES


class Tables:
    """Every table, of every account and region."""

    def __init__(self, meta: MetaStore) -> None:
        self._meta = meta
        self._by_key: dict[str, TableView] = {}
        self._by_uid: dict[str, TableView] = {}
        self.tokens: dict[str, tuple[Token, int]] = {}  # with their versions, by MetaStore key
        self.memory_bytes = 0  # what all items take, about

    async def open(self) -> None:
        """Read what the store holds and follow it from then on.  Items whose table is gone are forgotten."""
        self._meta.watch(ROOT, self._apply)
        entries = await self._meta.scan(ROOT)
        self._apply([Change(key, value) for key, value in entries])
        lost = [
            Write(key, None, held.version)
            for key, held in entries
            if key.startswith(ITEMS) and read_item_key(key)[0] not in self._by_uid
        ]
        if lost:
            await self._meta.commit(lost)

    # Lookups

    def find(self, account: str, region: str, name: str) -> TableView | None:
        """The table of that name, in whatever state."""
        return self._by_key.get(table_key(account, region, name))

    def is_current(self, view: TableView) -> bool:
        """Whether a table is still there, and not about to be deleted."""
        return self._by_uid.get(view.table.uid) is view and not view.table.deleting

    def of(self, account: str, region: str) -> list[Table]:
        """The tables of one account and region, by name."""
        prefix = table_key(account, region, "")
        return [self._by_key[key].table for key in sorted(self._by_key) if key.startswith(prefix)]

    def all(self) -> list[TableView]:
        """Every table of every account and region."""
        return list(self._by_key.values())

    # Changes

    async def create(self, table: Table) -> TableView:
        """Store a new table.  Raises TABLE_EXISTS if its name is taken by then."""
        try:
            await self._meta.commit([Write(table.key, encode(table), 0)])
        except Conflict:
            raise LeaseError.TABLE_EXISTS(table=table.name) from None
        return self._by_key[table.key]

    async def replace(self, view: TableView, table: Table) -> None:
        """Replace a table's record.  Raises TABLE_CHANGED if another change came first."""
        try:
            await self._meta.commit([Write(table.key, encode(table), view.version)])
        except Conflict:
            raise LeaseError.TABLE_CHANGED(table=table.name) from None

    async def commit(self, writes: Sequence[Write]) -> None:
        """Store items and tokens, all or none.  Raises Conflict if another change came first."""
        await self._meta.commit(writes)

    async def remove(self, view: TableView, batch: int) -> None:
        """Forget a table that is marked as being deleted, its items first, `batch` at a time.  Raises Conflict."""
        assert view.table.deleting, "no new items come in"
        await self._meta.get(view.table.key)  # behind it, every write that was begun before the mark is in the view
        while view.items:
            positions = view.order[:batch]
            uid = view.table.uid
            await self._meta.commit([Write(item_key(uid, at), None, view.items[at].version) for at in positions])
        await self._meta.commit([Write(view.table.key, None, view.version)])

    async def clear(self) -> None:
        """Forget everything.  Nothing else may be changing it."""
        entries = await self._meta.scan(ROOT)
        if entries:
            await self._meta.commit([Write(key, None, held.version) for key, held in entries])

    def _apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.key.startswith(TABLES):
                self._apply_table(change)
        for change in changes:
            if change.key.startswith(ITEMS):
                self._apply_item(change)
            elif change.key.startswith(TOKENS):
                self._apply_token(change)

    def _apply_table(self, change: Change) -> None:
        view = self._by_key.get(change.key)
        if change.now is None:
            if view is not None:
                del self._by_key[change.key], self._by_uid[view.table.uid]
            return
        table = table_decoder.decode(change.now.value)
        if view is not None and view.table.uid == table.uid:
            view.set_table(table, change.now.version)
        elif view is None or view.version < change.now.version:
            self._by_key[change.key] = self._by_uid[table.uid] = TableView(table, change.now.version)

    def _apply_item(self, change: Change) -> None:
        uid, position = read_item_key(change.key)
        view = self._by_uid.get(uid)
        if view is None:
            return
        held = None
        if change.now is not None:
            held = HeldItem(decode_item(change.now.value), change.now.version, len(change.now.value))
        self.memory_bytes += view.set_item(position, held)

    def _apply_token(self, change: Change) -> None:
        if change.now is None:
            self.tokens.pop(change.key, None)
        else:
            self.tokens[change.key] = (token_decoder.decode(change.now.value), change.now.version)


def tags_of(view: TableView | None) -> Mapping[str, str]:
    """The tags of a table, if it is there."""
    return {} if view is None else view.table.tags
