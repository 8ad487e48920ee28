"""Batches: up to ten messages sent, hidden or deleted, each for itself."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.queue_errors import QueueError
from penstock.services.queues.ops.composing import SentMessage, digests, new_message, size_bytes
from penstock.services.queues.ops.message import SendMessageAnswer
from penstock.services.queues.service import Queues, read_handle
from penstock.services.queues.state import Message
from penstock.wire.operation import Input, Output

BATCH_MAX: Final = 10
BATCH_MAX_BYTES: Final = 1 << 20
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)

Entry = TypeVar("Entry", bound="BatchEntry")


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
    given_bytes = 0
    for entry in request.entries:
        try:
            message = new_message(queues, caller, queue, entry)
        except ServiceError as refused:
            answer.failed.append(_failed(entry.id, refused))
            continue
        given_bytes += size_bytes(message.body, message.attributes)
        messages.append((message, entry.delay_seconds))
        answer.successful.append(Sent(id=entry.id, message_id=message.id, **digests(message)))
    if given_bytes > BATCH_MAX_BYTES:
        raise QueueError.BATCH_BYTES(limit=BATCH_MAX_BYTES, given=given_bytes)
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
        await queues.hide(queue, entry.receipt_handle, entry.visibility_timeout)

    return await _each(request.entries, "ChangeMessageVisibilityBatchRequestEntry", hide)


async def _each(entries: Sequence[Entry], kind: str, carry_out: Callable[[Entry], Awaitable[None]]) -> DoneAnswer:
    _check_batch([entry.id for entry in entries], kind)
    answer = DoneAnswer(successful=[], failed=[])
    outcomes = await asyncio.gather(
        *(carry_out(entry) for entry in entries), return_exceptions=True
    )  # one commit for all
    for entry, outcome in zip(entries, outcomes, strict=True):
        if isinstance(outcome, ServiceError):
            answer.failed.append(_failed(entry.id, outcome))
        elif outcome is not None:
            raise outcome
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
