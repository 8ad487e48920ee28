"""The lease service: what its operations share, put together once; and what goes on in the background."""

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Millis, Region
from penstock.core.lease_errors import LeaseError
from penstock.core.limits import DAY_MS, MINUTE_MS, SECOND_MS
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.engines.api import Conflict, MetaStore, MetaUnavailable, Write
from penstock.services.leases.keys import Position
from penstock.services.leases.state import item_key
from penstock.services.leases.tables import Tables, TableView
from penstock.services.leases.values import Item, Number
from penstock.services.leases.writing import Writer

logger = logging.getLogger(__name__)

SWEEP_MS: Final = MINUTE_MS  # how late items expire and tokens are forgotten
SWEPT_AT_ONCE: Final = 500  # items, in one commit and one turn of the loop
TTL_BACK_MS: Final = 5 * 365 * DAY_MS  # what expired earlier is taken for a mistake, and stays: as DynamoDB does

_ARN = re.compile(
    r"arn:aws[a-z-]*:dynamodb:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):table/(?P<name>[a-zA-Z0-9_.-]{3,255})"
    r"(?:/index/(?P<index>[a-zA-Z0-9_.-]{3,255}))?",
    re.ASCII,
)
_NAME = re.compile(r"[a-zA-Z0-9_.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """The table that a request names."""

    account: AccountId
    region: Region
    name: str


@dataclass(frozen=True, slots=True)
class Leases:
    """Everything that an operation of this service may need."""

    tables: Tables
    writer: Writer
    clock: Clock
    entropy: Entropy
    tasks: Tasks
    transition_ms: int

    def find(self, caller: Caller, name: str) -> TableView | None:
        """The table that a name or ARN means, in whatever state.  Raises what `place_of` raises."""
        place = place_of(caller, name)
        return self.tables.find(place.account, place.region, place.name)

    def table(self, caller: Caller, name: str) -> TableView:
        """The table whose items an operation is about.  Raises NO_TABLE unless it is there and in use."""
        view = self.find(caller, name)
        if view is None or view.table.status(self.clock.now_ms()) in ("CREATING", "DELETING"):
            raise LeaseError.NO_TABLE()
        return view

    def described(self, caller: Caller, name: str) -> TableView:
        """The table that an operation on tables is about.  Raises NO_TABLE_NAMED."""
        view = self.find(caller, name)
        if view is None:
            raise LeaseError.NO_TABLE_NAMED(table=place_of(caller, name).name)
        return view

    def changeable(self, caller: Caller, name: str) -> TableView:
        """A table that can be changed now.  Raises NO_TABLE_NAMED, TABLE_CREATING, TABLE_UPDATING, TABLE_DELETING."""
        view = self.described(caller, name)
        match view.table.status(self.clock.now_ms()):
            case "ACTIVE":
                return view
            case "CREATING":
                raise LeaseError.TABLE_CREATING(table=view.table.name)
            case "UPDATING":
                raise LeaseError.TABLE_UPDATING(table=view.table.name)
            case "DELETING":
                raise LeaseError.TABLE_DELETING(table=view.table.name)

    def after_transition(self) -> Millis:
        """When a change that begins now is over."""
        return Millis(self.clock.now_ms() + self.transition_ms)

    async def delete(self, view: TableView) -> None:
        """Mark a table as being deleted, and delete it; who waits sees that done if transitions take no time."""
        await self.tables.replace(view, replace(view.table, deleting=True))
        if self.transition_ms:
            self.tasks.spawn(self._remove(view), f"deletion of table {view.table.name}")
        else:
            await self._remove(view)

    async def _remove(self, view: TableView) -> None:
        await self.clock.sleep(self.transition_ms)
        while True:
            try:
                with suppress(Conflict):  # something expired meanwhile
                    await self.tables.remove(view, SWEPT_AT_ONCE)
                    return
            except MetaUnavailable as error:
                logger.warning("table %s is not deleted for now: %s", view.table.name, error)
                await self.clock.sleep(SECOND_MS)

    # In the background

    async def run(self) -> None:
        """Go on with what was begun before the start, then expire what is due, for ever."""
        for view in self.tables.all():
            if view.table.deleting:
                self.tasks.spawn(self._remove(view), f"deletion of table {view.table.name}")
        while True:
            await self.clock.sleep(SWEEP_MS)
            try:
                await self.sweep()
            except (MetaUnavailable, ServiceError) as error:
                logger.warning("items do not expire for now: %s", error)

    async def sweep(self) -> None:
        """Delete the items and forget the tokens whose time is over."""
        now_ms = self.clock.now_ms()
        old = [
            Write(key, None, version) for key, (token, version) in self.tables.tokens.items() if token.until_ms < now_ms
        ]
        await self._forget(old)
        for view in self.tables.all():
            if view.table.ttl_attribute is not None and not view.table.deleting:
                await self._expire(view, view.table.ttl_attribute, now_ms)

    async def _expire(self, view: TableView, name: str, now_ms: int) -> None:
        positions: list[Position] = list(view.order)
        for start in range(0, len(positions), SWEPT_AT_ONCE):
            due = [
                Write(item_key(view.table.uid, position), None, held.version)
                for position in positions[start : start + SWEPT_AT_ONCE]
                if (held := view.items.get(position)) is not None and has_expired(held.item, name, now_ms)
            ]
            await self._forget(due)
            await self.clock.sleep(0)  # others have their turn

    async def _forget(self, writes: list[Write]) -> None:
        """Delete what is still as it was seen."""
        if not writes:
            return
        try:
            await self.tables.commit(writes)
        except Conflict:  # one was written meanwhile: each by itself
            for write in writes:
                with suppress(Conflict):
                    await self.tables.commit([write])


def has_expired(item: Item, name: str, now_ms: int) -> bool:
    """Whether an item's time is over: its attribute is a number of seconds, in the past but not in the far past."""
    value = item.get(name)
    if not isinstance(value, Number):
        return False
    return Decimal(now_ms - TTL_BACK_MS) <= value.value * SECOND_MS < Decimal(now_ms)


def place_of(caller: Caller, name: str, member: str = "TableName") -> Place:
    """The place that a table's name or ARN means.  Raises TABLE_ARN, TABLE_NAME_SHORT, TABLE_NAME."""
    if name.startswith("arn:"):
        match = _ARN.fullmatch(name)
        if match is None or match["index"] is not None:
            raise LeaseError.TABLE_ARN(arn=name[:200])
        return Place(AccountId(match["account"]), Region(match["region"]), match["name"])
    if not 3 <= len(name) <= 255:
        raise LeaseError.TABLE_NAME_SHORT(member=member)
    if not _NAME.fullmatch(name):
        raise LeaseError.TABLE_NAME(name=name)
    return Place(caller.account, caller.region, name)


async def open_leases(
    meta: MetaStore, *, clock: Clock, entropy: Entropy, tasks: Tasks, transition_ms: int, memory_max_bytes: int
) -> Leases:
    """Start the service: read its state, begin the background work."""
    tables = Tables(meta)
    await tables.open()
    leases = Leases(tables, Writer(tables, memory_max_bytes), clock, entropy, tasks, transition_ms)
    tasks.spawn(leases.run(), "leases")
    return leases
