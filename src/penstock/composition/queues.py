"""SQS: its operations and its core, through which other services send."""

from collections.abc import Callable
from typing import Final

from penstock.composition.room import Held, Plug, Room
from penstock.services.queues import service as queues_service
from penstock.services.queues import targets
from penstock.services.queues.ops import batch, message, queue
from penstock.services.queues.service import Queues
from penstock.wire.operation import Codec

OPERATIONS: Final = (batch, message, queue)
CODECS: Final[dict[str, Codec]] = {}


async def plug(room: Room) -> Plug:
    """Queues and messages."""
    queues = await room.open(open_queues)
    if room.authoriser is None:
        return Plug(queues)
    from penstock.services.iam.actions import ResourceKind

    return Plug(queues, room.authoriser.admit("sqs", {ResourceKind.SQS_QUEUE: targets.queue_finder(queues)}))


def policy_problem(room: Room) -> Callable[[str], str | None]:
    """Says what is wrong with a resource policy, where policies count."""
    return (lambda _: None) if room.authoriser is None else room.authoriser.problem_of


async def open_queues(room: Room) -> Held[Queues]:
    """Which queues there are is read; what has expired is deleted in the background."""
    queues = await queues_service.open_queues(
        room.engine.meta,
        clock=room.clock,
        entropy=room.entropy,
        tasks=room.tasks,
        policy_problem=policy_problem(room),
    )
    return Held(queues, queues.clear)
