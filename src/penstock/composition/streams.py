"""Kinesis Data Streams: its operations.  The streams are open from the start, because what they keep acts by itself."""

from typing import Final

from penstock.composition.room import Plug, Room
from penstock.core.arn import stream_arn
from penstock.core.context import Caller
from penstock.services.binding import chained
from penstock.services.streams.codec import CODECS as CODECS
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops import (
    account,
    capacity,
    consumer,
    encryption,
    monitoring,
    policy,
    record,
    reshard,
    setting,
    shard,
    stream,
    tag,
)
from penstock.services.streams.singles import ACTION, Singles
from penstock.services.targets import Target
from penstock.wire.native import NATIVE

OPERATIONS: Final = (
    account,
    capacity,
    consumer,
    encryption,
    monitoring,
    policy,
    record,
    reshard,
    setting,
    shard,
    stream,
    tag,
)


def _singles(room: Room) -> Singles | None:
    """Calls of PutRecord as they may be gathered; None without the native part, and where each record is metered."""
    if NATIVE is None or room.streams.meter.meters_all:
        return None
    authoriser, claimants = room.authoriser, room.door.claimant
    if authoriser is None:
        return Singles(room.streams, claimants, lambda _caller, _view: True, NATIVE)

    def allows(caller: Caller, view: StreamView) -> bool:
        own = view.stream
        arn = stream_arn(own.region, own.account, own.name)
        return authoriser.remembers(caller, ACTION, Target(arn, own.account, own.policy, own.tags))

    return Singles(room.streams, claimants, allows, NATIVE)


async def plug(room: Room) -> Plug:
    """The streams, behind policies and, with `--limits aws`, the rates of their calls."""
    streams = room.streams
    room.singles = _singles(room)
    rates = streams.admission.gate if streams.admission is not None else None
    if room.authoriser is None:
        return Plug(streams, rates)
    from penstock.services.streams.targets import finders

    return Plug(streams, chained(room.authoriser.admit("kinesis", finders(streams)), rates))
