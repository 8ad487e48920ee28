"""The topics service: what its operations share, put together once; and how other services publish."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import UUID_BYTES, uuid_text
from penstock.core.ports import Clock, Entropy
from penstock.core.topic_errors import TopicError
from penstock.engines.api import KEY_END, Change, Conflict, MetaStore, Write
from penstock.services.topics.envelope import Notice, TypedValue, wrapped
from penstock.services.topics.state import (
    ROOT,
    SUBSCRIPTIONS,
    TOPICS,
    Subscription,
    Topic,
    decode_subscription,
    decode_topic,
    encode,
    subscription_key,
    topic_key,
)

logger = logging.getLogger(__name__)

PAGE: Final = 500
_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:sns:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<name>[A-Za-z0-9_-]{1,256})", re.ASCII
)


class QueueSender(Protocol):
    """Sends to queues."""

    async def send(self, account: str, arn: str, body: str, attributes: Mapping[str, str | TypedValue]) -> str:
        """Send a message; its id.  Raises ServiceError."""
        ...


@dataclass(slots=True)
class Topics:
    """Everything that an operation of this service may need."""

    meta: MetaStore
    queues: QueueSender
    policy_problem: Callable[[str], str | None]  # what is wrong with a policy, where policies count
    why_not: Callable[[str, str], str | None]  # why a topic may not send to a queue; of their ARNs
    clock: Clock
    entropy: Entropy
    _topics: dict[str, tuple[Topic, int]] = field(default_factory=dict)  # with their versions, by ARN
    _subscriptions: dict[str, dict[str, tuple[Subscription, int]]] = field(default_factory=dict)  # by topic, by ARN

    async def open(self) -> None:
        """Read which topics and subscriptions there are, and follow them from then on."""
        self.meta.watch(ROOT, self._apply)
        self._apply([Change(key, held) for key, held in await self.meta.scan(ROOT)])

    def _apply(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            if key.startswith(TOPICS):
                arn = key.removeprefix(TOPICS)
                if now is None:
                    self._topics.pop(arn, None)
                elif arn not in self._topics or self._topics[arn][1] < now.version:
                    self._topics[arn] = decode_topic(now.value), now.version
            elif key.startswith(SUBSCRIPTIONS):
                arn = key.removeprefix(SUBSCRIPTIONS)
                of_topic = self._subscriptions.setdefault(arn.rpartition(":")[0], {})
                if now is None:
                    of_topic.pop(arn, None)
                elif arn not in of_topic or of_topic[arn][1] < now.version:
                    of_topic[arn] = decode_subscription(now.value), now.version

    # Looking things up

    def find(self, arn: str) -> Topic | None:
        """The topic of an ARN."""
        held = self._topics.get(arn)
        return held[0] if held is not None else None

    def topic(self, caller: Caller, arn: str, member: str = "TopicArn") -> Topic:
        """The topic of an ARN.  Raises PARAMETER, NO_TOPIC."""
        match = _ARN.fullmatch(arn)
        if match is None:
            parts = arn.count(":") + 1
            reason = f" Reason: An ARN must have at least 6 elements, not {parts}" if parts < 6 else ""
            raise TopicError.PARAMETER(what=member + reason)
        found = self.find(arn)
        if found is None or match["region"] != caller.region:
            raise TopicError.NO_TOPIC()
        return found

    def topics(self, caller: Caller) -> list[Topic]:
        """The topics of the caller's account and region, by ARN."""
        return [
            topic for _, (topic, _) in sorted(self._topics.items())
            if (topic.account, topic.region) == (caller.account, caller.region)
        ]  # fmt: skip

    def subscriptions(self, topic: str) -> list[Subscription]:
        """The subscriptions of a topic, by ARN."""
        return [subscription for _, (subscription, _) in sorted(self._subscriptions.get(topic, {}).items())]

    def subscription(self, arn: str) -> Subscription:
        """The subscription of an ARN.  Raises PARAMETER, NO_SUBSCRIPTION."""
        topic, _, subscription_id = arn.rpartition(":")
        if not _ARN.fullmatch(topic) or not subscription_id:
            reason = (
                f" Reason: An ARN must have at least 6 elements, not {arn.count(':') + 1}" if arn.count(":") < 5 else ""
            )
            raise TopicError.PARAMETER(what="SubscriptionArn" + reason)
        held = self._subscriptions.get(topic, {}).get(arn)
        if held is None:
            raise TopicError.NO_SUBSCRIPTION()
        return held[0]

    # Changes

    async def store_topic(self, topic: Topic) -> None:
        """Store a topic, new or changed.  Raises CHANGED if another change came first."""
        held = self._topics.get(topic.arn)
        await self._commit([Write(topic.key, encode(topic), held[1] if held is not None else 0)])

    async def store_subscription(self, subscription: Subscription) -> None:
        """Store a subscription, new or changed.  Raises CHANGED if another change came first."""
        held = self._subscriptions.get(subscription.topic, {}).get(subscription.arn)
        await self._commit([Write(subscription.key, encode(subscription), held[1] if held is not None else 0)])

    async def remove_topic(self, arn: str) -> None:
        """Delete a topic with its subscriptions."""
        held = self._topics.get(arn)
        topic = [Write(topic_key(arn), None, held[1])] if held is not None else []
        below = [
            Write(subscription_key(each), None, version)
            for each, (_, version) in self._subscriptions.get(arn, {}).items()
        ]
        await self._commit([*topic, *below])

    async def remove_subscription(self, subscription: Subscription) -> None:
        """Delete a subscription."""
        held = self._subscriptions.get(subscription.topic, {}).get(subscription.arn)
        if held is not None:
            await self._commit([Write(subscription.key, None, held[1])])

    async def _commit(self, writes: list[Write]) -> None:
        try:
            await self.meta.commit(writes)
        except Conflict:
            raise TopicError.CHANGED() from None

    def new_id(self) -> str:
        """A UUID."""
        return uuid_text(self.entropy.bytes(UUID_BYTES))

    # Messages

    async def publish(self, account: str, arn: str, message: str, attributes: Mapping[str, str]) -> str:
        """Publish a message with text attributes on behalf of a service; its id.  Raises NO_TOPIC."""
        topic = self.find(arn)
        if topic is None:
            raise TopicError.NO_TOPIC()
        return await self.tell(topic, message, None, {name: ("String", text) for name, text in attributes.items()})

    async def tell(self, topic: Topic, message: str, subject: str | None, attributes: Mapping[str, TypedValue]) -> str:
        """Send a message to each subscribed queue; its id.  A queue that refuses it does not get it."""
        notice = Notice(self.new_id(), topic.arn, message, subject, attributes, self.clock.now_ms())
        for subscription in self.subscriptions(topic.arn):
            queue = subscription.endpoint
            why = self.why_not(topic.arn, queue)
            try:
                if why is None and subscription.raw:
                    await self.queues.send(topic.account, queue, message, attributes)
                elif why is None:
                    await self.queues.send(topic.account, queue, wrapped(notice, topic.region, subscription.arn), {})
            except ServiceError as refused:
                why = refused.message
            if why is not None:
                logger.warning("%s does not get a message of %s: %s", queue, topic.arn, why)
        return notice.id

    async def clear(self) -> None:
        """Forget everything."""
        while rows := await self.meta.page(ROOT, ROOT + KEY_END, PAGE):
            await self._commit([Write(key, None, held.version) for key, held in rows])


async def open_topics(
    meta: MetaStore,
    queues: QueueSender,
    *,
    policy_problem: Callable[[str], str | None] = lambda _: None,
    why_not: Callable[[str, str], str | None] = lambda topic, queue: None,
    clock: Clock,
    entropy: Entropy,
) -> Topics:
    """Start the service."""
    topics = Topics(meta, queues, policy_problem, why_not, clock, entropy)
    await topics.open()
    return topics
