"""Subscriptions: queues that a topic tells."""

import re
from typing import Final

from msgspec import field
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.topic_errors import TopicError
from penstock.services.topics.ops.topic import PAGE, AttributesAnswer
from penstock.services.topics.service import Topics
from penstock.services.topics.state import Subscription
from penstock.wire.operation import Input, Output

RAW: Final = "RawMessageDelivery"
_QUEUE_ARN: Final = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,80}", re.ASCII)
_PROTOCOLS: Final = frozenset({"http", "https", "email", "email-json", "sms", "application", "lambda", "firehose"})


class SubscribeRequest(Input):
    """Subscribe."""

    topic_arn: str = field(name="TopicArn")
    protocol: str
    endpoint: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    return_subscription_arn: bool = field(default=False, name="ReturnSubscriptionArn")


class SubscribeAnswer(Output):
    """Subscribe's."""

    subscription_arn: str = field(name="SubscriptionArn")


async def subscribe(topics: Topics, caller: Caller, request: SubscribeRequest) -> SubscribeAnswer:
    """Have a topic tell a queue; one that it tells already is found.  Raises PARAMETER, UNSUPPORTED, NO_TOPIC, SUBSCRIPTION_DIFFERS."""
    if request.protocol in _PROTOCOLS:
        raise TopicError.UNSUPPORTED(what=f"protocol {request.protocol}")
    if request.protocol != "sqs":
        raise TopicError.PARAMETER(what=f"Amazon SNS does not support this protocol string: {request.protocol[:100]}")
    if not _QUEUE_ARN.fullmatch(request.endpoint):
        raise TopicError.PARAMETER(what="SQS endpoint ARN")
    raw = True in [_raw(name, text) for name, text in request.attributes.items()]
    topic = topics.topic(caller, request.topic_arn)
    for held in topics.subscriptions(topic.arn):
        if held.endpoint == request.endpoint:
            if RAW in request.attributes and held.raw != raw:
                raise TopicError.SUBSCRIPTION_DIFFERS()
            return SubscribeAnswer(subscription_arn=held.arn)
    made = Subscription(topic=topic.arn, id=topics.new_id(), owner=caller.account, endpoint=request.endpoint, raw=raw)
    await topics.store_subscription(made)
    return SubscribeAnswer(subscription_arn=made.arn)


def _raw(name: str, text: str) -> bool:
    """What the one attribute that there is says.  Raises UNSUPPORTED, PARAMETER."""
    if name != RAW:
        raise TopicError.UNSUPPORTED(what=f"subscription attribute {name[:100]}")
    if text.lower() not in ("true", "false"):
        raise TopicError.PARAMETER(
            what=f"Attributes Reason: {RAW}: Invalid value [{text[:100]}]. Must be true or false."
        )
    return text.lower() == "true"


class SubscriptionRequest(Input):
    """Unsubscribe, GetSubscriptionAttributes."""

    subscription_arn: str = field(name="SubscriptionArn")


async def unsubscribe(topics: Topics, caller: Caller, request: SubscriptionRequest) -> None:
    """Delete a subscription.  Raises PARAMETER, NO_SUBSCRIPTION."""
    await topics.remove_subscription(topics.subscription(request.subscription_arn))


async def get_subscription_attributes(topics: Topics, caller: Caller, request: SubscriptionRequest) -> AttributesAnswer:
    """The attributes of a subscription.  Raises PARAMETER, NO_SUBSCRIPTION."""
    held = topics.subscription(request.subscription_arn)
    return AttributesAnswer(
        attributes={
            "SubscriptionArn": held.arn,
            "TopicArn": held.topic,
            "Owner": held.owner,
            "Protocol": "sqs",
            "Endpoint": held.endpoint,
            RAW: "true" if held.raw else "false",
            "PendingConfirmation": "false",
            "ConfirmationWasAuthenticated": "true",
            "SubscriptionPrincipal": f"arn:aws:iam::{held.owner}:root",
        }
    )


class SetSubscriptionAttributesRequest(SubscriptionRequest, kw_only=True):
    """SetSubscriptionAttributes."""

    attribute_name: str
    attribute_value: str = ""


async def set_subscription_attributes(
    topics: Topics, caller: Caller, request: SetSubscriptionAttributesRequest
) -> None:
    """Change an attribute of a subscription.  Raises PARAMETER, UNSUPPORTED, NO_SUBSCRIPTION, CHANGED."""
    raw = _raw(request.attribute_name, request.attribute_value)
    await topics.store_subscription(replace(topics.subscription(request.subscription_arn), raw=raw))


class ListSubscriptionsRequest(Input):
    """ListSubscriptions."""

    next_token: str | None = None


class ListSubscriptionsByTopicRequest(ListSubscriptionsRequest, kw_only=True):
    """ListSubscriptionsByTopic."""

    topic_arn: str = field(name="TopicArn")


class SubscriptionOutput(Output):
    """A subscription in a list."""

    subscription_arn: str = field(name="SubscriptionArn")
    owner: str
    protocol: str
    endpoint: str
    topic_arn: str = field(name="TopicArn")


class SubscriptionsAnswer(Output):
    """A page of subscriptions."""

    subscriptions: list[SubscriptionOutput]
    next_token: str | None = None


async def list_subscriptions(topics: Topics, caller: Caller, request: ListSubscriptionsRequest) -> SubscriptionsAnswer:
    """The subscriptions of the caller's topics; a token is the ARN at which the last page ended."""
    found = [each for topic in topics.topics(caller) for each in topics.subscriptions(topic.arn)]
    return _page(found, request.next_token)


async def list_subscriptions_by_topic(
    topics: Topics, caller: Caller, request: ListSubscriptionsByTopicRequest
) -> SubscriptionsAnswer:
    """The subscriptions of a topic.  Raises PARAMETER, NO_TOPIC."""
    return _page(topics.subscriptions(topics.topic(caller, request.topic_arn).arn), request.next_token)


def _page(found: list[Subscription], token: str | None) -> SubscriptionsAnswer:
    rest = sorted((each for each in found if each.arn > (token or "")), key=lambda each: each.arn)
    page = rest[:PAGE]
    return SubscriptionsAnswer(
        subscriptions=[
            SubscriptionOutput(
                subscription_arn=each.arn,
                owner=each.owner,
                protocol="sqs",
                endpoint=each.endpoint,
                topic_arn=each.topic,
            )
            for each in page
        ],
        next_token=page[-1].arn if len(rest) > PAGE else None,
    )
