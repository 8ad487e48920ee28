"""Which topic an input is about, for authorisation, with the topic's policy."""

from typing import Any

from penstock.core.context import Caller
from penstock.services.targets import Finder, Target
from penstock.services.topics.service import Topics
from penstock.services.topics.state import topic_arn


def topic_finder(topics: Topics) -> Finder:
    """Finds the topic that an input names, by ARN or name, whether it exists or not."""

    def find(caller: Caller, request: Any) -> Target:
        named = (getattr(request, member, None) for member in ("topic_arn", "target_arn", "resource_arn"))
        arn = next((each for each in named if each is not None), None)
        if arn is None:
            arn = topic_arn(caller.region, caller.account, getattr(request, "name", ""))
        parts = arn.split(":")
        return target_of(topics, arn, parts[4] if len(parts) > 5 else caller.account)

    return find


def target_of(topics: Topics, arn: str, account: str) -> Target:
    """The topic of an ARN, or what would be one in an account."""
    topic = topics.find(arn)
    if topic is None:
        return Target(arn, account)
    return Target(arn, topic.account, topic.attributes.get("Policy"), topic.tags)
