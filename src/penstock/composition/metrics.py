"""CloudWatch's metrics: its operations.  The store is open from the start, because streams are measured."""

from typing import Final

from penstock.composition.room import Plug, Room
from penstock.services.metrics import targets
from penstock.services.metrics.ops import data, listing, put, statistics

OPERATIONS: Final = (data, listing, put, statistics)
CODECS: Final = {"PutMetricData": put.CODEC}


async def plug(room: Room) -> Plug:
    """The store of metrics."""
    if room.authoriser is None:
        return Plug(room.metrics)
    from penstock.services.iam.actions import ResourceKind

    return Plug(room.metrics, room.authoriser.admit("cloudwatch", {ResourceKind.ANY: targets.unnamed}))
