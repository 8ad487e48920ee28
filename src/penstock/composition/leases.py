"""Leases, the part of DynamoDB that consumers need: its operations and its core."""

from typing import Final

from penstock.composition.room import Held, Plug, Room
from penstock.services.leases import targets
from penstock.services.leases.codec import CODECS as CODECS
from penstock.services.leases.ops import account, backup, batch, item, lifetime, search, table, tag, transaction
from penstock.services.leases.service import Leases, open_leases

OPERATIONS: Final = (account, backup, batch, item, lifetime, search, table, tag, transaction)


async def plug(room: Room) -> Plug:
    """Tables."""
    leases = await room.open(_open)
    if room.authoriser is None:
        return Plug(leases)
    from penstock.services.iam.actions import ResourceKind

    finders = {ResourceKind.TABLE: targets.table_finder(leases)}
    return Plug(leases, room.authoriser.admit("dynamodb", finders, targets.demands(leases)))


async def _open(room: Room) -> Held[Leases]:
    leases = await open_leases(
        room.engine.meta,
        clock=room.clock,
        entropy=room.entropy,
        tasks=room.tasks,
        transition_ms=room.settings.transition_ms,
        memory_max_bytes=room.settings.lease_memory,
    )
    return Held(leases, leases.tables.clear)
