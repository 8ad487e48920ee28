"""Messages: sent, received, hidden and deleted."""

from collections.abc import Sequence
from typing import Final

from msgspec import field

from penstock.core.context import Caller
from penstock.core.limits import SECOND_MS
from penstock.core.queue_errors import QueueError
from penstock.services.queues import attributes
from penstock.services.queues.digest import attributes_digest, body_digest
from penstock.services.queues.ops.composing import TRACE, SentMessage, check_range, digests, new_message
from penstock.services.queues.service import HIDDEN_MAX_S, Queues, read_handle, write_handle
from penstock.services.queues.state import Message, Queue
from penstock.wire.operation import Input, Output

WAIT_MAX_S: Final = 20
RECEIVED_MAX: Final = 10
SYSTEM: Final = frozenset(
    {
        *("All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", TRACE),
        *("SequenceNumber", "MessageDeduplicationId", "MessageGroupId", "DeadLetterQueueSourceArn"),
    }
)


class SendMessageRequest(SentMessage, kw_only=True):
    """SendMessage."""

    queue_url: str


class SendMessageAnswer(Output, kw_only=True):
    """SendMessage's."""

    message_id: str
    body_digest: str = field(name="MD5OfMessageBody")
    attributes_digest: str | None = field(default=None, name="MD5OfMessageAttributes")
    system_digest: str | None = field(default=None, name="MD5OfMessageSystemAttributes")


async def send_message(queues: Queues, caller: Caller, request: SendMessageRequest) -> SendMessageAnswer:
    """Send a message.

    Raises NO_QUEUE, MISSING, CHARACTER, TOO_LONG, RANGE, MESSAGE_ATTRIBUTE, FIFO_ONLY.
    """
    queue = queues.at(caller, request.queue_url)
    message = new_message(queues, caller, queue, request)
    await queues.deliver(queue, [(message, request.delay_seconds)])
    return SendMessageAnswer(message_id=message.id, **digests(message))


class AttributeOutput(Output):
    """The value of a message attribute, told back."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


class ReceiveMessageRequest(Input, kw_only=True):
    """ReceiveMessage."""

    queue_url: str
    attribute_names: Sequence[str] = ()
    message_system_attribute_names: Sequence[str] = ()
    message_attribute_names: Sequence[str] = ()
    max_number_of_messages: int = 1
    visibility_timeout: int | None = None
    wait_time_seconds: int | None = None
    receive_request_attempt_id: str | None = None


class MessageOutput(Output, kw_only=True):
    """A message that was received."""

    message_id: str
    receipt_handle: str
    body: str
    body_digest: str = field(name="MD5OfBody")
    attributes: dict[str, str] | None = None
    attributes_digest: str | None = field(default=None, name="MD5OfMessageAttributes")
    message_attributes: dict[str, AttributeOutput] | None = None


class ReceiveMessageAnswer(Output):
    """Messages that were received."""

    messages: list[MessageOutput] | None = None


async def receive_message(queues: Queues, caller: Caller, request: ReceiveMessageRequest) -> ReceiveMessageAnswer:
    """Receive messages and hide them; wait for the first if there is none.  Raises NO_QUEUE, RANGE, BOUNDS, ATTRIBUTE_NAME."""
    count = request.max_number_of_messages
    if not 1 <= count <= RECEIVED_MAX:
        raise QueueError.RANGE(value=count, name="MaxNumberOfMessages", low=1, high=RECEIVED_MAX)
    check_range("WaitTimeSeconds", request.wait_time_seconds, 0, WAIT_MAX_S)
    check_range("VisibilityTimeout", request.visibility_timeout, 0, HIDDEN_MAX_S)
    names = {*request.attribute_names, *request.message_system_attribute_names}
    for name in sorted(names - SYSTEM):
        raise QueueError.ATTRIBUTE_NAME(name=name)
    queue = queues.at(caller, request.queue_url)
    hidden_s = _own_or(request.visibility_timeout, queue, "VisibilityTimeout")
    wait_s = _own_or(request.wait_time_seconds, queue, "ReceiveMessageWaitTimeSeconds")
    found = await queues.receive(queue, count, hidden_s * SECOND_MS, wait_s * SECOND_MS)
    told = [_told(queue, message, names, request.message_attribute_names) for message in found]
    return ReceiveMessageAnswer(messages=told or None)


def _own_or(own: int | None, queue: Queue, name: str) -> int:
    return attributes.number_of(queue.attributes, name) if own is None else own


def _told(queue: Queue, message: Message, names: set[str], wanted: Sequence[str]) -> MessageOutput:
    system = {
        "SenderId": message.sender,
        "SentTimestamp": str(message.sent_ms),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(message.first_receive_ms),
        TRACE: message.trace,
        "DeadLetterQueueSourceArn": message.source,
    }
    shown = {name: text for name, text in system.items() if text is not None and ("All" in names or name in names)}
    values = {name: value for name, value in message.attributes.items() if _is_wanted(name, wanted)}
    return MessageOutput(
        message_id=message.id,
        receipt_handle=write_handle(queue, message),
        body=message.body,
        body_digest=body_digest(message.body),
        attributes=shown or None,
        attributes_digest=attributes_digest(values),
        message_attributes={
            name: AttributeOutput(data_type=value.data_type, string_value=value.text, binary_value=value.data)
            for name, value in values.items()
        }
        or None,
    )


def _is_wanted(name: str, wanted: Sequence[str]) -> bool:
    return any(
        each in ("All", ".*", name) or (each.endswith(".*") and name.startswith(each[:-2] + ".")) for each in wanted
    )


class HandleRequest(Input):
    """DeleteMessage."""

    queue_url: str
    receipt_handle: str


async def delete_message(queues: Queues, caller: Caller, request: HandleRequest) -> None:
    """Delete a received message; one that is gone, or was received again, is passed over.  Raises NO_QUEUE, HANDLE."""
    queue = queues.at(caller, request.queue_url)
    message_id, receives = read_handle(queue, request.receipt_handle)
    await queues.messages.delete(queue.uid, message_id, receives)


class ChangeMessageVisibilityRequest(Input):
    """ChangeMessageVisibility."""

    queue_url: str
    receipt_handle: str
    visibility_timeout: int


async def change_message_visibility(queues: Queues, caller: Caller, request: ChangeMessageVisibilityRequest) -> None:
    """Hide a received message for another while from now on.  Raises NO_QUEUE, HANDLE, BOUNDS, NOT_AVAILABLE, NOT_IN_FLIGHT."""
    queue = queues.at(caller, request.queue_url)
    await queues.hide(queue, request.receipt_handle, request.visibility_timeout)
