"""What a message is made of: its body and attributes as they are sent, and what is wrong with them."""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import field

from penstock.core.context import Caller
from penstock.core.queue_errors import QueueError
from penstock.services.queues import attributes
from penstock.services.queues.digest import attributes_digest, body_digest
from penstock.services.queues.service import Queues
from penstock.services.queues.state import Message, Queue, Value
from penstock.wire.operation import Input

ATTRIBUTES_MAX: Final = 10
DELAY_MAX_S: Final = 900
TRACE: Final = "AWSTraceHeader"
_ATTRIBUTE_NAME: Final = re.compile(r"(?!(?i:aws|amazon)\.)(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)", re.ASCII)
_NO_TEXT: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what a body must not hold


class AttributeValue(Input):
    """The value of a message attribute."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


class SentMessage(Input, kw_only=True):
    """What is said of a message that is sent."""

    message_body: str
    delay_seconds: int | None = None
    message_attributes: dict[str, AttributeValue] = field(default_factory=dict)
    message_system_attributes: dict[str, AttributeValue] = field(default_factory=dict)
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


def digests(message: Message) -> dict[str, Any]:
    """The digests of a message, as answers have them."""
    system = {} if message.trace is None else {TRACE: Value("String", message.trace)}
    return {
        "body_digest": body_digest(message.body),
        "attributes_digest": attributes_digest(message.attributes),
        "system_digest": attributes_digest(system),
    }


def new_message(queues: Queues, caller: Caller, queue: Queue, sent: SentMessage) -> Message:
    """The message that is sent.  Raises FIFO_ONLY, MISSING, CHARACTER, BOUNDS, MESSAGE_ATTRIBUTE, TOO_LONG."""
    if sent.message_group_id is not None or sent.message_deduplication_id is not None:
        raise QueueError.FIFO_ONLY()
    if not sent.message_body:
        raise QueueError.MISSING(name="MessageBody")
    if (bad := _NO_TEXT.search(sent.message_body)) is not None:
        raise QueueError.CHARACTER(code=f"{ord(bad[0]):x}")
    check_range("DelaySeconds", sent.delay_seconds, 0, DELAY_MAX_S)
    values = _values(sent.message_attributes)
    trace = _trace(sent.message_system_attributes)
    limit = attributes.number_of(queue.attributes, "MaximumMessageSize")
    if size_bytes(sent.message_body, values) > limit:
        raise QueueError.TOO_LONG(limit=limit)
    return queues.new_message(sent.message_body, values, caller.account, trace)


def size_bytes(body: str, values: Mapping[str, Value]) -> int:
    """What counts for the limits of a message."""
    return len(body.encode()) + sum(
        len(name) + len(value.data_type.encode()) + len((value.text or "").encode()) + len(value.data or b"")
        for name, value in values.items()
    )


def _values(given: Mapping[str, AttributeValue]) -> dict[str, Value]:
    """Message attributes.  Raises MESSAGE_ATTRIBUTE.  UNVERIFIED: that none of AWS's checks is missing."""
    if len(given) > ATTRIBUTES_MAX:
        text = f"Number of message attributes [{len(given)}] exceeds the allowed maximum [{ATTRIBUTES_MAX}]."
        raise QueueError.MESSAGE_ATTRIBUTE(text=text)
    return {name: _value(name, value) for name, value in given.items()}


def _value(name: str, given: AttributeValue) -> Value:
    if not _ATTRIBUTE_NAME.fullmatch(name):
        text = f"The message attribute name '{name[:300]}' is invalid."  # UNVERIFIED: wording
        raise QueueError.MESSAGE_ATTRIBUTE(text=text)
    kind = given.data_type.partition(".")[0]
    if kind not in ("String", "Number", "Binary") or len(given.data_type) > 256:
        text = (
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is"
            " Binary, Number, and String."
        )
        raise QueueError.MESSAGE_ATTRIBUTE(text=text)
    if not (given.binary_value if kind == "Binary" else given.string_value):
        text = f"The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{kind}'."
        raise QueueError.MESSAGE_ATTRIBUTE(text=text)
    if kind != "Binary" and (bad := _NO_TEXT.search(given.string_value or "")) is not None:
        raise QueueError.CHARACTER(code=f"{ord(bad[0]):x}")
    if kind == "Binary":
        return Value(given.data_type, None, given.binary_value)
    return Value(given.data_type, given.string_value)


def _trace(given: Mapping[str, AttributeValue]) -> str | None:
    values = _values(given)
    if values.keys() - {TRACE}:  # UNVERIFIED: wording
        raise QueueError.MESSAGE_ATTRIBUTE(text=f"Message system attribute name must be {TRACE}.")
    return values[TRACE].text if values else None


def check_range(name: str, value: int | None, low: int, high: int) -> None:
    """Raise BOUNDS for a number outside."""
    if value is not None and not low <= value <= high:
        raise QueueError.BOUNDS(value=value, name=name, low=low, high=high)
