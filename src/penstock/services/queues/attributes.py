"""Attributes of queues: which there are, what they may be, and what is told of them.

Rules of this file: pure; a value is kept in one form, so that equal ones are equal texts.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from penstock.core.queue_errors import QueueError

MESSAGE_MAX_BYTES: Final = 1 << 20
REDRIVE_RECEIVES_MAX: Final = 1000


class _Range(NamedTuple):
    """A whole number."""

    low: int
    high: int
    default: int


NUMBERS: Final = {
    "DelaySeconds": _Range(0, 900, 0),
    "MaximumMessageSize": _Range(1024, MESSAGE_MAX_BYTES, MESSAGE_MAX_BYTES),
    "MessageRetentionPeriod": _Range(60, 1_209_600, 345_600),
    "ReceiveMessageWaitTimeSeconds": _Range(0, 20, 0),
    "VisibilityTimeout": _Range(0, 43_200, 30),
}
_KEY_REUSE: Final = _Range(60, 86_400, 300)
_DOCUMENTS: Final = ("Policy", "RedriveAllowPolicy", "RedrivePolicy")
_SETTABLE: Final = frozenset(
    {*NUMBERS, *_DOCUMENTS, "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"}
)
_FIFO: Final = frozenset({"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"})
_TOLD: Final = frozenset(
    {
        *("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"),
        *("CreatedTimestamp", "LastModifiedTimestamp", "QueueArn", "All"),
    }
)


class Redrive(msgspec.Struct, frozen=True, rename="camel"):
    """A RedrivePolicy."""

    dead_letter_target_arn: str
    max_receive_count: int


def read(given: Mapping[str, str]) -> dict[str, str]:
    """Attributes as they are kept; an empty text takes one away.  Raises FIFO, ATTRIBUTE_NAME, ATTRIBUTE_VALUE, REDRIVE."""
    if _FIFO & given.keys():
        raise QueueError.FIFO()
    return {name: _read(name, text) for name, text in given.items()}


def _read(name: str, text: str) -> str:
    if name not in _SETTABLE:
        raise QueueError.ATTRIBUTE_NAME(name=name)
    bounds = _KEY_REUSE if name == "KmsDataKeyReusePeriodSeconds" else NUMBERS.get(name)
    if bounds is not None:
        return _number(name, text, bounds)
    if name in _DOCUMENTS and text:
        return _document(name, text)
    if name == "SqsManagedSseEnabled" and text not in ("true", "false"):
        raise QueueError.ATTRIBUTE_VALUE(name=name)
    return text


def _number(name: str, text: str, bounds: _Range) -> str:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and bounds.low <= int(text) <= bounds.high):
        raise QueueError.ATTRIBUTE_VALUE(name=name)
    return str(int(text))


def _document(name: str, text: str) -> str:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise QueueError.ATTRIBUTE_VALUE(name=name)
    if name == "RedrivePolicy":
        redrive = _redrive(text)
        if not 1 <= redrive.max_receive_count <= REDRIVE_RECEIVES_MAX:
            reason = "Invalid value for maxReceiveCount: must be an integer between 1 and 1000"
            raise QueueError.REDRIVE(value=text[:1000], reason=reason)
    return text


def _redrive(text: str) -> Redrive:
    try:
        return msgspec.json.decode(text, type=Redrive, strict=False)
    except msgspec.MsgspecError:
        reason = "Redrive policy must have deadLetterTargetArn and maxReceiveCount"  # UNVERIFIED: wording
        raise QueueError.REDRIVE(value=text[:1000], reason=reason) from None


def redrive_of(attributes: Mapping[str, str]) -> Redrive | None:
    """Where messages go that were received too often."""
    text = attributes.get("RedrivePolicy")
    return _redrive(text) if text else None


def number_of(attributes: Mapping[str, str], name: str) -> int:
    """A number that a queue has, or its default."""
    text = attributes.get(name)
    return int(text) if text is not None else NUMBERS[name].default


def effective(attributes: Mapping[str, str], name: str) -> str | None:
    """What a queue has of an attribute, or its default; None for neither."""
    if name in NUMBERS:
        return str(number_of(attributes, name))
    if name == "SqsManagedSseEnabled":
        return attributes.get(name, "true" if "KmsMasterKeyId" not in attributes else "false")
    return attributes.get(name) or None


def wanted(names: list[str]) -> frozenset[str]:
    """The attributes that are asked for by names, `All` among them.  Raises ATTRIBUTE_NAME."""
    for name in names:
        if name not in _SETTABLE | _TOLD | _FIFO:
            raise QueueError.ATTRIBUTE_NAME(name=name)
    return _SETTABLE | _TOLD if "All" in names else frozenset(names)
