"""Publish: a message to all queues that a topic tells."""

import re
from typing import Final

import msgspec
from msgspec import field

from penstock.core.context import Caller
from penstock.core.topic_errors import TopicError
from penstock.services.topics.envelope import TypedValue
from penstock.services.topics.service import Topics
from penstock.wire.operation import Input, Output

MESSAGE_MAX_BYTES: Final = 262_144
_SUBJECT: Final = re.compile(r"[!-~][ -~]{0,99}", re.ASCII)


class AttributeValue(Input):
    """The value of a message attribute."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


class PublishRequest(Input):
    """Publish."""

    message: str
    topic_arn: str | None = field(default=None, name="TopicArn")
    target_arn: str | None = field(default=None, name="TargetArn")
    phone_number: str | None = None
    subject: str | None = None
    message_structure: str | None = None
    message_attributes: dict[str, AttributeValue] = field(default_factory=dict)
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


class PublishAnswer(Output):
    """Publish's."""

    message_id: str


async def publish(topics: Topics, caller: Caller, request: PublishRequest) -> PublishAnswer:
    """Send a message to each queue that a topic tells, before it answers.

    Raises PARAMETER, UNSUPPORTED, ATTRIBUTE, NO_TOPIC.
    """
    if request.phone_number is not None:
        raise TopicError.UNSUPPORTED(what="PhoneNumber")
    if request.topic_arn is not None and request.target_arn is not None:  # UNVERIFIED: wording
        raise TopicError.PARAMETER(what="TopicArn or TargetArn Reason: only one may be given")
    arn = request.topic_arn if request.topic_arn is not None else request.target_arn
    if arn is None:
        raise TopicError.PARAMETER(what="TopicArn or TargetArn Reason: no value for required parameter")
    topic = topics.topic(caller, arn, "TopicArn" if request.topic_arn is not None else "TargetArn")
    attributes = {name: _value(name, value) for name, value in request.message_attributes.items()}
    _check_size(request, attributes)
    if request.subject is not None and not _SUBJECT.fullmatch(request.subject):
        raise TopicError.PARAMETER(what="Subject")
    message = request.message if request.message_structure is None else _of_structure(request)
    return PublishAnswer(message_id=await topics.tell(topic, message, request.subject, attributes))


def _check_size(request: PublishRequest, attributes: dict[str, TypedValue]) -> None:
    if not request.message:
        raise TopicError.PARAMETER(what="Empty message")
    taken = sum(len(name) + len(kind) + len(value) for name, (kind, value) in attributes.items())
    if len(request.message.encode()) + taken > MESSAGE_MAX_BYTES:
        raise TopicError.PARAMETER(what="Message too long")


def _of_structure(request: PublishRequest) -> str:
    """What queues get of a message that says several things to several protocols."""
    if request.message_structure != "json":
        raise TopicError.PARAMETER(what="MessageStructure")
    try:
        said = msgspec.json.decode(request.message)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise TopicError.PARAMETER(what="Message Structure - JSON message body failed to parse")
    if not isinstance(said.get("default"), str):
        raise TopicError.PARAMETER(what="Message Structure - No default entry in JSON message body")
    own = said.get("sqs")
    return own if isinstance(own, str) else str(said["default"])


def _value(name: str, given: AttributeValue) -> TypedValue:
    kind = given.data_type.partition(".")[0]
    if kind not in ("String", "Number", "Binary"):
        raise TopicError.ATTRIBUTE(
            name=name[:256], reason="its type is none of String, Number, Binary and String.Array"
        )
    value = given.binary_value if kind == "Binary" else given.string_value
    if not value:
        raise TopicError.ATTRIBUTE(name=name[:256], reason=f"it has no value of type {kind}")
    return given.data_type, value
