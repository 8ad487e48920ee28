"""Kinesis Data Streams: its operations.  The streams are open from the start, because what they keep acts by itself."""

from typing import Final

from penstock.composition.room import Plug, Room
from penstock.services.binding import chained
from penstock.services.streams.codec import CODECS as CODECS
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


async def plug(room: Room) -> Plug:
    """The streams, behind policies and, with `--limits aws`, the rates of their calls."""
    streams = room.streams
    rates = streams.admission.gate if streams.admission is not None else None
    if room.authoriser is None:
        return Plug(streams, rates)
    from penstock.services.streams.targets import finders

    return Plug(streams, chained(room.authoriser.admit("kinesis", finders(streams)), rates))
