"""What is kept of topics and subscriptions: immutable records, one MetaStore key each.

Every field is part of the data directory's format: add with a default, never rename.
"""

from typing import Final

import msgspec

from penstock.core.ids import AccountId, Millis, Region

ROOT: Final = "topics/"  # every key of this service begins with it
TOPICS: Final = ROOT + "topic/"
SUBSCRIPTIONS: Final = ROOT + "subscription/"


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic."""

    account: AccountId
    region: Region
    name: str
    created_ms: Millis
    attributes: dict[str, str] = msgspec.field(default_factory=dict)  # those that were set
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return topic_key(self.arn)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return topic_arn(self.region, self.account, self.name)


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic tells: a queue."""

    topic: str  # an ARN
    id: str  # a UUID
    owner: AccountId
    endpoint: str  # a queue's ARN
    raw: bool = False  # whether the message goes there as it is

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return subscription_key(self.arn)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{self.topic}:{self.id}"


def topic_key(arn: str) -> str:
    """The MetaStore key of a topic."""
    return TOPICS + arn


def subscription_key(arn: str) -> str:
    """The MetaStore key of a subscription; those of one topic stand together."""
    return SUBSCRIPTIONS + arn


def topic_arn(region: str, account: str, name: str) -> str:
    """The ARN of a topic."""
    return f"arn:aws:sns:{region}:{account}:{name}"


encode: Final = msgspec.msgpack.Encoder().encode
decode_topic: Final = msgspec.msgpack.Decoder(Topic).decode
decode_subscription: Final = msgspec.msgpack.Decoder(Subscription).decode
