"""Messages: sent, received, hidden and deleted, one at a time or in batches of ten."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from msgspec import field

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.limits import SECOND_MS
from penstock.core.queue_errors import QueueError
from penstock.services.queues import attributes
from penstock.services.queues.digest import attributes_digest, body_digest
from penstock.services.queues.service import Queues, read_handle, write_handle
from penstock.services.queues.state import Message, Queue, Value
from penstock.wire.operation import Input, Output

BATCH_MAX: Final = 10
BATCH_MAX_BYTES: Final = 1 << 20
ATTRIBUTES_MAX: Final = 10
DELAY_MAX_S: Final = 900
HIDDEN_MAX_S: Final = 43_200
WAIT_MAX_S: Final = 20
RECEIVED_MAX: Final = 10
TRACE: Final = "AWSTraceHeader"
SYSTEM: Final = frozenset(
    {
        *("All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", TRACE),
        *("SequenceNumber", "MessageDeduplicationId", "MessageGroupId", "DeadLetterQueueSourceArn"),
    }
)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_ATTRIBUTE_NAME: Final = re.compile(r"(?!(?i:aws|amazon)\.)(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)", re.ASCII)
_NO_TEXT: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what a body must not hold

Entry = TypeVar("Entry", bound="BatchEntry")


class AttributeValue(Input):
    """The value of a message attribute."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


class AttributeOutput(Output):
    """The value of a message attribute, told back."""

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
    message = _new_message(queues, caller, queue, request)
    await queues.deliver(queue, [(message, request.delay_seconds)])
    return SendMessageAnswer(message_id=message.id, **_digests(message))


def _digests(message: Message) -> dict[str, Any]:
    system = {} if message.trace is None else {TRACE: Value("String", message.trace)}
    return {
        "body_digest": body_digest(message.body),
        "attributes_digest": attributes_digest(message.attributes),
        "system_digest": attributes_digest(system),
    }


def _new_message(queues: Queues, caller: Caller, queue: Queue, sent: SentMessage) -> Message:
    if sent.message_group_id is not None or sent.message_deduplication_id is not None:
        raise QueueError.FIFO_ONLY()
    if not sent.message_body:
        raise QueueError.MISSING(name="MessageBody")
    if (bad := _NO_TEXT.search(sent.message_body)) is not None:
        raise QueueError.CHARACTER(code=f"{ord(bad[0]):x}")
    _check_range("DelaySeconds", sent.delay_seconds, 0, DELAY_MAX_S)
    values = _values(sent.message_attributes)
    trace = _trace(sent.message_system_attributes)
    limit = attributes.number_of(queue.attributes, "MaximumMessageSize")
    if _size_bytes(sent.message_body, values) > limit:
        raise QueueError.TOO_LONG(limit=limit)
    return queues.new_message(sent.message_body, values, caller.account, trace)


def _size_bytes(body: str, values: Mapping[str, Value]) -> int:
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


def _check_range(name: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        raise QueueError.BOUNDS(value=value, name=name, low=low, high=high)


# Receiving


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
    _check_range("WaitTimeSeconds", request.wait_time_seconds, 0, WAIT_MAX_S)
    _check_range("VisibilityTimeout", request.visibility_timeout, 0, HIDDEN_MAX_S)
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
    await _hide(queues, queue, request.receipt_handle, request.visibility_timeout)


async def _hide(queues: Queues, queue: Queue, handle: str, hidden_s: int) -> None:
    _check_range("VisibilityTimeout", hidden_s, 0, HIDDEN_MAX_S)
    message_id, receives = read_handle(queue, handle)
    found = await queues.messages.find(queue.uid, message_id)
    if found is None or found[0].receives != receives:
        raise QueueError.NOT_AVAILABLE(handle=handle[:1000])
    if not await queues.messages.hide(queue.uid, message_id, receives, hidden_s * SECOND_MS, queues.clock.now_ms()):
        raise QueueError.NOT_IN_FLIGHT()
    queues.ring(queue)


# Batches


class BatchEntry(Input):
    """What all entries have."""

    id: str


class SendEntry(SentMessage, kw_only=True):
    """An entry of SendMessageBatch."""

    id: str


class DeleteEntry(BatchEntry, kw_only=True):
    """An entry of DeleteMessageBatch."""

    receipt_handle: str


class HideEntry(BatchEntry, kw_only=True):
    """An entry of ChangeMessageVisibilityBatch."""

    receipt_handle: str
    visibility_timeout: int | None = None


class Failed(Output):
    """An entry that was refused."""

    id: str
    sender_fault: bool
    code: str
    message: str | None = None


class Done(Output):
    """An entry that was carried out."""

    id: str


class Sent(SendMessageAnswer, kw_only=True):
    """An entry that was sent."""

    id: str


class DoneAnswer(Output, omit_defaults=False):
    """DeleteMessageBatch's and ChangeMessageVisibilityBatch's."""

    successful: list[Done]
    failed: list[Failed]


class SentAnswer(Output, omit_defaults=False):
    """SendMessageBatch's."""

    successful: list[Sent]
    failed: list[Failed]


class SendMessageBatchRequest(Input):
    """SendMessageBatch."""

    queue_url: str
    entries: list[SendEntry]


async def send_message_batch(queues: Queues, caller: Caller, request: SendMessageBatchRequest) -> SentAnswer:
    """Send messages, each taken or refused for itself.

    Raises NO_QUEUE, EMPTY_BATCH, BATCH_COUNT, BATCH_IDS, BATCH_ID, BATCH_BYTES.
    """
    _check_batch([entry.id for entry in request.entries], "SendMessageBatchRequestEntry")
    queue = queues.at(caller, request.queue_url)
    answer = SentAnswer(successful=[], failed=[])
    messages: list[tuple[Message, int | None]] = []
    size_bytes = 0
    for entry in request.entries:
        try:
            message = _new_message(queues, caller, queue, entry)
        except ServiceError as refused:
            answer.failed.append(_failed(entry.id, refused))
            continue
        size_bytes += _size_bytes(message.body, message.attributes)
        messages.append((message, entry.delay_seconds))
        answer.successful.append(Sent(id=entry.id, message_id=message.id, **_digests(message)))
    if size_bytes > BATCH_MAX_BYTES:
        raise QueueError.BATCH_BYTES(limit=BATCH_MAX_BYTES, given=size_bytes)
    if messages:
        await queues.deliver(queue, messages)
    return answer


class DeleteMessageBatchRequest(Input):
    """DeleteMessageBatch."""

    queue_url: str
    entries: list[DeleteEntry]


async def delete_message_batch(queues: Queues, caller: Caller, request: DeleteMessageBatchRequest) -> DoneAnswer:
    """Delete messages, each for itself.  Raises NO_QUEUE, EMPTY_BATCH, BATCH_COUNT, BATCH_IDS, BATCH_ID."""
    queue = queues.at(caller, request.queue_url)

    async def delete(entry: DeleteEntry) -> None:
        message_id, receives = read_handle(queue, entry.receipt_handle)
        await queues.messages.delete(queue.uid, message_id, receives)

    return await _each(request.entries, "DeleteMessageBatchRequestEntry", delete)


class ChangeMessageVisibilityBatchRequest(Input):
    """ChangeMessageVisibilityBatch."""

    queue_url: str
    entries: list[HideEntry]


async def change_message_visibility_batch(
    queues: Queues, caller: Caller, request: ChangeMessageVisibilityBatchRequest
) -> DoneAnswer:
    """Hide messages, each for itself.  Raises NO_QUEUE, EMPTY_BATCH, BATCH_COUNT, BATCH_IDS, BATCH_ID."""
    queue = queues.at(caller, request.queue_url)

    async def hide(entry: HideEntry) -> None:
        if entry.visibility_timeout is None:
            raise QueueError.MISSING(name="VisibilityTimeout")
        await _hide(queues, queue, entry.receipt_handle, entry.visibility_timeout)

    return await _each(request.entries, "ChangeMessageVisibilityBatchRequestEntry", hide)


async def _each(entries: Sequence[Entry], kind: str, carry_out: Callable[[Entry], Awaitable[None]]) -> DoneAnswer:
    _check_batch([entry.id for entry in entries], kind)
    answer = DoneAnswer(successful=[], failed=[])
    for entry in entries:
        try:
            await carry_out(entry)
        except ServiceError as refused:
            answer.failed.append(_failed(entry.id, refused))
        else:
            answer.successful.append(Done(id=entry.id))
    return answer


def _failed(entry_id: str, refused: ServiceError) -> Failed:
    code = refused.code.removesuffix("Exception")
    return Failed(id=entry_id, sender_fault=refused.status < 500, code=code, message=refused.message)


def _check_batch(ids: Sequence[str], kind: str) -> None:
    if not ids:
        raise QueueError.EMPTY_BATCH(entry=kind)
    if len(ids) > BATCH_MAX:
        raise QueueError.BATCH_COUNT(count=len(ids))
    for number, entry_id in enumerate(ids):
        if not _ID.fullmatch(entry_id):
            raise QueueError.BATCH_ID()
        if entry_id in ids[:number]:
            raise QueueError.BATCH_IDS(id=entry_id)
