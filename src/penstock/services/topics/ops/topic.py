"""Topics: made, listed, described, changed, tagged and deleted."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.topic_errors import TopicError
from penstock.services.topics.service import Topics
from penstock.services.topics.state import Topic, topic_arn
from penstock.wire.operation import Input, Output

PAGE: Final = 100
TAGS_MAX: Final = 50
SETTABLE: Final = frozenset(
    {"DisplayName", "Policy", "DeliveryPolicy", "KmsMasterKeyId", "SignatureVersion", "TracingConfig"}
)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)
_RETRIES: Final = {
    "minDelayTarget": 20, "maxDelayTarget": 20, "numRetries": 3, "numMaxDelayRetries": 0, "numNoDelayRetries": 0,
    "numMinDelayRetries": 0, "backoffFunction": "linear",
}  # fmt: skip
_DELIVERY: Final = msgspec.json.encode(
    {"http": {"defaultHealthyRetryPolicy": _RETRIES, "disableSubscriptionOverrides": False}}
).decode()


class Tag(Input):
    """A key and its value."""

    key: str
    value: str


class CreateTopicRequest(Input):
    """CreateTopic."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    tags: list[Tag] = field(default_factory=list)
    data_protection_policy: str | None = None


class ArnAnswer(Output):
    """The ARN of a topic."""

    topic_arn: str = field(name="TopicArn")


async def create_topic(topics: Topics, caller: Caller, request: CreateTopicRequest) -> ArnAnswer:
    """Make a topic, or find one that has the attributes that were given.  Raises PARAMETER, UNSUPPORTED, TOPIC_DIFFERS, TAGS."""
    if request.name.endswith(".fifo") or "FifoTopic" in request.attributes:
        raise TopicError.UNSUPPORTED(what="FifoTopic")
    if not _NAME.fullmatch(request.name):
        raise TopicError.PARAMETER(what="Topic Name")
    for name, text in request.attributes.items():
        _check_attribute(topics, name, text)
    found = topics.find(topic_arn(caller.region, caller.account, request.name))
    if found is not None:
        if any(found.attributes.get(name, "") != text for name, text in request.attributes.items()):
            raise TopicError.TOPIC_DIFFERS()
        return ArnAnswer(topic_arn=found.arn)
    topic = Topic(
        account=caller.account,
        region=caller.region,
        name=request.name,
        created_ms=topics.clock.now_ms(),
        attributes=request.attributes,
        tags=_merged({}, request.tags),
    )
    await topics.store_topic(topic)
    return ArnAnswer(topic_arn=topic.arn)


def _check_attribute(topics: Topics, name: str, text: str) -> None:
    """Raise PARAMETER for an attribute that cannot be set; a policy that could not be read would deny everything to everybody."""
    if name == "Policy" and text and (problem := topics.policy_problem(text)) is not None:
        raise TopicError.PARAMETER(what=f"Policy Error: {problem[:200]}")
    if name not in SETTABLE and not re.fullmatch(r"[A-Za-z]{1,20}(Success|Failure)Feedback(RoleArn|SampleRate)", name):
        raise TopicError.PARAMETER(what="AttributeName")


class TopicRequest(Input):
    """DeleteTopic, GetTopicAttributes."""

    topic_arn: str = field(name="TopicArn")


async def delete_topic(topics: Topics, caller: Caller, request: TopicRequest) -> None:
    """Delete a topic with its subscriptions; one that does not exist is passed over.  Raises PARAMETER."""
    try:
        topics.topic(caller, request.topic_arn)
    except ServiceError as refused:
        if refused.code != TopicError.NO_TOPIC.code:
            raise
    else:
        await topics.remove_topic(request.topic_arn)


class ListTopicsRequest(Input):
    """ListTopics."""

    next_token: str | None = None


class TopicOutput(Output):
    """A topic in a list."""

    topic_arn: str = field(name="TopicArn")


class TopicsAnswer(Output):
    """A page of topics."""

    topics: list[TopicOutput]
    next_token: str | None = None


async def list_topics(topics: Topics, caller: Caller, request: ListTopicsRequest) -> TopicsAnswer:
    """The caller's topics; a token is the ARN at which the last page ended."""
    rest = [topic.arn for topic in topics.topics(caller) if topic.arn > (request.next_token or "")]
    page = rest[:PAGE]
    return TopicsAnswer(
        topics=[TopicOutput(topic_arn=arn) for arn in page], next_token=page[-1] if len(rest) > PAGE else None
    )


class AttributesAnswer(Output):
    """Attributes of a topic or subscription."""

    attributes: dict[str, str]


async def get_topic_attributes(topics: Topics, caller: Caller, request: TopicRequest) -> AttributesAnswer:
    """The attributes of a topic.  Raises PARAMETER, NO_TOPIC."""
    topic = topics.topic(caller, request.topic_arn)
    told = {
        "TopicArn": topic.arn,
        "Owner": topic.account,
        "Policy": _policy(topic),
        "DisplayName": "",
        "SubscriptionsConfirmed": str(len(topics.subscriptions(topic.arn))),
        "SubscriptionsPending": "0",
        "SubscriptionsDeleted": "0",
        "EffectiveDeliveryPolicy": topic.attributes.get("DeliveryPolicy") or _DELIVERY,
    }
    return AttributesAnswer(attributes={**told, **{name: text for name, text in topic.attributes.items() if text}})


def _policy(topic: Topic) -> str:
    """The policy that AWS gives a topic."""
    actions = (
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
    )
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{name}" for name in (*actions, "ListSubscriptionsByTopic", "Publish")],
        "Resource": topic.arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": topic.account}},
    }
    document = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return msgspec.json.encode(document).decode()


class SetTopicAttributesRequest(Input):
    """SetTopicAttributes."""

    topic_arn: str = field(name="TopicArn")
    attribute_name: str
    attribute_value: str = ""


async def set_topic_attributes(topics: Topics, caller: Caller, request: SetTopicAttributesRequest) -> None:
    """Change an attribute of a topic.  Raises PARAMETER, NO_TOPIC, CHANGED."""
    _check_attribute(topics, request.attribute_name, request.attribute_value)
    topic = topics.topic(caller, request.topic_arn)
    changed = {**topic.attributes, request.attribute_name: request.attribute_value}
    await topics.store_topic(replace(topic, attributes=changed))


class ResourceRequest(Input):
    """ListTagsForResource."""

    resource_arn: str = field(name="ResourceArn")


class TagResourceRequest(ResourceRequest, kw_only=True):
    """TagResource."""

    tags: list[Tag]


class UntagResourceRequest(ResourceRequest, kw_only=True):
    """UntagResource."""

    tag_keys: Sequence[str]


class TaggedAnswer(Output):
    """TagResource's and UntagResource's: nothing."""


class TagOutput(Output):
    """A key and its value."""

    key: str
    value: str


class TagsAnswer(Output):
    """Tags of a topic."""

    tags: list[TagOutput]


async def tag_resource(topics: Topics, caller: Caller, request: TagResourceRequest) -> TaggedAnswer:
    """Add tags to a topic.  Raises NO_RESOURCE, TAGS, CHANGED."""
    topic = _tagged(topics, request.resource_arn)
    await topics.store_topic(replace(topic, tags=_merged(topic.tags, request.tags)))
    return TaggedAnswer()


async def untag_resource(topics: Topics, caller: Caller, request: UntagResourceRequest) -> TaggedAnswer:
    """Take tags from a topic.  Raises NO_RESOURCE, CHANGED."""
    topic = _tagged(topics, request.resource_arn)
    left = {key: value for key, value in topic.tags.items() if key not in request.tag_keys}
    await topics.store_topic(replace(topic, tags=left))
    return TaggedAnswer()


async def list_tags_for_resource(topics: Topics, caller: Caller, request: ResourceRequest) -> TagsAnswer:
    """The tags of a topic.  Raises NO_RESOURCE."""
    tags = _tagged(topics, request.resource_arn).tags
    return TagsAnswer(tags=[TagOutput(key=key, value=value) for key, value in tags.items()])


def _tagged(topics: Topics, arn: str) -> Topic:
    topic = topics.find(arn)
    if topic is None:
        raise TopicError.NO_RESOURCE()
    return topic


def _merged(held: dict[str, str], added: Sequence[Tag]) -> dict[str, str]:
    tags = {**held, **{tag.key: tag.value for tag in added}}
    if len(tags) > TAGS_MAX:
        raise TopicError.TAGS()
    return tags
