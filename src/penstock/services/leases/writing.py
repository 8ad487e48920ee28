"""Writing items: read what is there, decide, commit what was decided if nothing came in between; else decide again.

Theory.  An intent says, from the item as it is, what it shall be, or refuses.  One write is one intent, a transaction is several; both
are one commit that names the versions that the decisions were made from.  A lost race is nobody's error: whoever lost looks again.
Rules of this file:
  1. What is answered is durable: the commit has returned, or nothing had to change.
  2. In a commit of several, also what stays as it is is named, so that all was true at one moment.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from penstock.core.errors import ServiceError
from penstock.core.lease_errors import LeaseError
from penstock.core.limits import KIB
from penstock.engines.api import Conflict, Write
from penstock.services.leases.keys import Position, empty_kind
from penstock.services.leases.state import item_key
from penstock.services.leases.tables import Tables, TableView
from penstock.services.leases.values import Binary, Item, String, encode_item, item_bytes, type_name

ITEM_MAX_BYTES: Final = 400 * KIB

Decide = Callable[[Item | None], Item | None]  # raises ServiceError to refuse


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to become of one item."""

    table: TableView
    position: Position
    decide: Decide
    too_large: LeaseError = LeaseError.ITEM_SIZE


class Outcome(NamedTuple):
    """What became of one item."""

    before: Item | None
    after: Item | None


class Refused(Exception):
    """Some of several intents refused: the reason of each, None for those that did not."""

    def __init__(self, reasons: Sequence[ServiceError | None]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


class Writer:
    """Carries out intents."""

    def __init__(self, tables: Tables, memory_max_bytes: int) -> None:
        self._tables = tables
        self._memory_max_bytes = memory_max_bytes

    async def write(self, intent: Intent) -> Outcome:
        """Carry out one.  Raises what it is refused with, NO_TABLE, and MEMORY_FULL."""
        while True:
            self._check_tables([intent])
            outcome, write = self._decided(intent)
            if outcome.after == outcome.before:
                return outcome
            self._check_memory([write])
            try:
                await self._tables.commit([write])
            except Conflict:
                continue
            return outcome

    async def write_all(self, intents: Sequence[Intent], token: Write | None) -> list[Outcome]:
        """Carry out all or none, and store a token with them.

        Raises Refused, NO_TABLE, MEMORY_FULL, and Conflict if there is such a token by then.
        """
        while True:
            self._check_tables(intents)
            decided = self._decided_all(intents)
            writes = [write for _, write in decided]
            self._check_memory(writes)
            try:
                await self._tables.commit(writes if token is None else [*writes, token])
            except Conflict as conflict:
                if token is not None and conflict.key == token.key:
                    raise
                continue
            return [outcome for outcome, _ in decided]

    def _decided_all(self, intents: Sequence[Intent]) -> list[tuple[Outcome, Write]]:
        decided: list[tuple[Outcome, Write]] = []
        reasons: list[ServiceError | None] = []
        for intent in intents:
            try:
                decided.append(self._decided(intent))
                reasons.append(None)
            except ServiceError as error:
                reasons.append(error)
        if len(decided) < len(intents):
            raise Refused(reasons)
        return decided

    def _decided(self, intent: Intent) -> tuple[Outcome, Write]:
        held = intent.table.items.get(intent.position)
        before = None if held is None else held.item
        after = intent.decide(before)
        stored = None if after is None else encode_item(after)
        if after is not None and stored is not None and after is not before:
            _check_item(intent, after, len(stored))
        key = item_key(intent.table.table.uid, intent.position)
        return Outcome(before, after), Write(key, stored, 0 if held is None else held.version)

    def _check_tables(self, intents: Sequence[Intent]) -> None:
        if not all(self._tables.is_current(intent.table) for intent in intents):
            raise LeaseError.NO_TABLE()

    def _check_memory(self, writes: Sequence[Write]) -> None:
        """Deleting is always allowed."""
        added = sum(len(write.value) for write in writes if write.value is not None)
        if added and self._tables.memory_bytes + added > self._memory_max_bytes:
            raise LeaseError.MEMORY_FULL(limit_bytes=self._memory_max_bytes)


def _check_item(intent: Intent, item: Item, stored_bytes: int) -> None:
    """Raise the intent's `too_large`, INDEX_KEY_TYPE or INDEX_KEY_EMPTY for an item that cannot be stored."""
    if stored_bytes > ITEM_MAX_BYTES and item_bytes(item) > ITEM_MAX_BYTES:  # stored it is never smaller than counted
        raise intent.too_large()
    for view in intent.table.indexes.values():
        for attribute in view.index.schema.attributes:
            value = item.get(attribute.name)
            if value is None:
                continue
            if type_name(value) != attribute.type:
                raise LeaseError.INDEX_KEY_TYPE(
                    name=attribute.name, expected=attribute.type, actual=type_name(value), index=view.index.name
                )
            if isinstance(value, String | Binary) and not value.value:
                raise LeaseError.INDEX_KEY_EMPTY(kind=empty_kind(value), index=view.index.name, name=attribute.name)
