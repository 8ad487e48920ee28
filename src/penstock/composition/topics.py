"""SNS: its operations and its core, through which other services publish."""

from typing import Final

from penstock.composition.queues import open_queues, policy_problem
from penstock.composition.rights import rights_to_queues
from penstock.composition.room import Held, Plug, Room
from penstock.services.topics import service as topics_service
from penstock.services.topics import targets
from penstock.services.topics.ops import publish, subscription, topic
from penstock.services.topics.service import Topics
from penstock.wire.operation import Codec

OPERATIONS: Final = (publish, subscription, topic)
CODECS: Final[dict[str, Codec]] = {}


async def plug(room: Room) -> Plug:
    """Topics and subscriptions."""
    topics = await room.open(open_topics)
    if room.authoriser is None:
        return Plug(topics)
    from penstock.services.iam.actions import ResourceKind

    return Plug(topics, room.authoriser.admit("sns", {ResourceKind.TOPIC: targets.topic_finder(topics)}))


async def open_topics(room: Room) -> Held[Topics]:
    """Which topics and subscriptions there are is read."""
    queues = await room.open(open_queues)
    topics = await topics_service.open_topics(
        room.engine.meta,
        queues,
        policy_problem=policy_problem(room),
        why_not=rights_to_queues(room, "sns.amazonaws.com"),
        clock=room.clock,
        entropy=room.entropy,
    )
    return Held(topics, topics.clear)
