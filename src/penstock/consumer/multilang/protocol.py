"""The MultiLang protocol: one JSON object a line, strictly a question and its answers.

To the child go initialize, processRecords, leaseLost, shardEnded and shutdownRequested; each is answered by a status for it.  Before that
the child may ask for checkpoints, and waits for the reply to each.
Rule of this file: pure.
"""

import base64
from typing import Any, Final

import msgspec
from msgspec import Struct

from penstock.consumer.feed import Record
from penstock.consumer.position import Checkpoint

INITIALIZE: Final = "initialize"
PROCESS: Final = "processRecords"
LEASE_LOST: Final = "leaseLost"
SHARD_ENDED: Final = "shardEnded"
SHUTDOWN_REQUESTED: Final = "shutdownRequested"


class BadAnswer(Exception):
    """A child has said something that it may not say now."""


class Noise(Struct, frozen=True):
    """A line that is no message: somebody has printed something."""

    text: str


class Status(Struct, frozen=True):
    """The end of an answer."""

    response_for: str


class CheckpointAsked(Struct, frozen=True):
    """A checkpoint to be made; None: of everything that was given."""

    at: Checkpoint | None


class _Message(Struct):
    action: str
    responseFor: str | None = None  # noqa: N815  # the wire's names
    sequenceNumber: str | None = None  # noqa: N815
    subSequenceNumber: int | None = None  # noqa: N815
    checkpoint: str | None = None  # what older children say for sequenceNumber


def read(line: bytes) -> Noise | Status | CheckpointAsked:
    """What a child has said.  Raises BadAnswer for an object with an action that is none of a child's."""
    try:
        message = msgspec.json.decode(line, type=_Message)
    except msgspec.MsgspecError:
        return Noise(line.decode("utf-8", "replace").rstrip())
    if message.action == "status" and message.responseFor is not None:
        return Status(message.responseFor)
    if message.action != "checkpoint":
        raise BadAnswer(f"{line[:200]!r} is neither a checkpoint nor a status")
    sequence = message.sequenceNumber or message.checkpoint
    try:
        at = None if sequence is None else Checkpoint(sequence, message.subSequenceNumber or 0)
    except ValueError as error:
        raise BadAnswer(str(error)) from None
    return CheckpointAsked(at)


def initialize(shard_id: str, at: Checkpoint) -> bytes:
    """The first question."""
    return _line(INITIALIZE, shardId=shard_id, sequenceNumber=at.sequence, subSequenceNumber=at.sub)


def process_records(records: list[Record], behind_ms: int) -> bytes:
    """The question that carries records."""
    return _line(PROCESS, records=[_record(record) for record in records], millisBehindLatest=behind_ms)


def tell(action: str) -> bytes:
    """A question that carries nothing."""
    return _line(action)


def checkpoint_reply(at: Checkpoint | None, error: str | None) -> bytes:
    """What became of a checkpoint; `error` is the name of the exception that KCL would have raised."""
    sequence, sub = (None, None) if at is None else (at.sequence, at.sub)
    return _line("checkpoint", sequenceNumber=sequence, subSequenceNumber=sub, error=error)


def _record(record: Record) -> dict[str, Any]:
    return {
        "action": "record",
        "data": base64.b64encode(record.data).decode(),
        "partitionKey": record.partition_key,
        "sequenceNumber": record.sequence_number,
        "subSequenceNumber": record.sub_sequence_number,
        "approximateArrivalTimestamp": record.arrived_ms,
    }


def _line(action: str, **members: object) -> bytes:
    return msgspec.json.encode({"action": action, **members}) + b"\n"
