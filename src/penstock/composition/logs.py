"""CloudWatch Logs: its operations and its core, which other services put events into."""

from typing import Final

from penstock.composition.room import Held, Plug, Room
from penstock.services.logs import targets
from penstock.services.logs.ops import event, group, stream, tag
from penstock.services.logs.service import Logs, start_logs
from penstock.wire.operation import Codec

OPERATIONS: Final = (event, group, stream, tag)
CODECS: Final[dict[str, Codec]] = {}


async def plug(room: Room) -> Plug:
    """Groups, streams and events."""
    logs = await room.open(open_logs)
    if room.authoriser is None:
        return Plug(logs)
    from penstock.services.iam.actions import ResourceKind

    finders = {ResourceKind.LOG_GROUP: targets.group, ResourceKind.LOG_STREAM: targets.stream}
    return Plug(logs, room.authoriser.admit("logs", finders))


async def open_logs(room: Room) -> Held[Logs]:
    """Nothing is read before it is asked for; what has expired is deleted in the background."""
    logs = start_logs(room.engine.meta, clock=room.clock, entropy=room.entropy, tasks=room.tasks)
    return Held(logs, logs.clear, logs.close)
