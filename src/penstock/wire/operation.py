"""An operation as the wire sees it: its model, the function that carries it out, and how its bytes may take a short way.

Theory.  Every operation can be decoded and encoded generically from its model.  A hot one may bring codecs of its own per
protocol; a fast decoder answers None unless the request is plainly fine, and the generic way then reads it again and words
the refusal.  So a fast path can be wrong about speed only.
"""

import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from penstock.core.context import Caller
from penstock.wire.model import OperationModel, ServiceModel
from penstock.wire.nativeoutlets import Outlet
from penstock.wire.nativeparts import Rows

Protocol = Literal["json", "cbor", "rpc", "query", "rest-json", "none"]  # none: not recognisable, answered in bare XML
Handler = Callable[[Caller, Any], Awaitable[Any]]


class LongBody(Struct, frozen=True):
    """A body that is written while it is sent, so that it never exists whole.

    `send`, for a thread, is given what makes the answer's head of the body's size, and where to send both.  It answers what the client has
    yet to take: all of it, where there is no outlet.  It raises OSError where the client is gone.
    """

    send: Callable[[Callable[[int], bytes], Outlet | None], bytes]


class Codec(Struct, frozen=True):
    """Short ways for one hot operation, by protocol.  Any may be missing."""

    decode: Mapping[Protocol, Callable[[bytes], Any | None]] = field(default_factory=dict)
    convert: Callable[[dict[str, Any]], Any] | None = (
        None  # from a checked document, where the input is no mirror of it
    )
    encode: Mapping[Protocol, Callable[[Any], bytes]] = field(default_factory=dict)
    framed: Callable[[str, Rows], Any] | None = None  # the input, where the native part has read stream and records
    is_large: Callable[[Any], bool] | None = None  # whether an output takes long to encode
    encode_long: Mapping[Protocol, Callable[[Any], LongBody | None]] = field(default_factory=dict)  # one that does
    encode_event: Mapping[Protocol, Callable[[Any], bytes]] = field(default_factory=dict)  # an event's payload


class Event:
    """One event of an event stream.  It may be told to many: its frame is made once for each protocol."""

    __slots__ = ("frames", "name", "value")

    def __init__(self, name: str, value: Any) -> None:
        self.name = name  # the member of the model's event stream
        self.value = value
        self.frames: dict[Protocol, bytes] = {}


class Events(typing.Protocol):
    """Events as they come, several at a time where several are there.

    The end of the iteration ends the answer; a ServiceError that it raises is told to the client within the stream.
    """

    async def __anext__(self) -> Sequence[Event]:
        """At least one event."""
        ...

    async def aclose(self) -> None:
        """Let go of everything; also called on one that was never iterated."""
        ...


class EventStream(Struct, frozen=True):
    """An output that goes on for a while: the one member of its output shape that is an event stream."""

    events: Events


class Operation(Struct, frozen=True):
    """One operation that is implemented."""

    model: OperationModel
    handler: Handler
    input_type: type[msgspec.Struct]
    codec: Codec = field(default_factory=Codec)


class Service(Struct, frozen=True):
    """One service: its model, the operations that are implemented, and how its inputs and outputs name their members."""

    model: ServiceModel
    operations: Mapping[str, Operation]


class Input(msgspec.Struct, kw_only=True, rename=lambda name: member_name(name)):
    """Base of operation inputs: snake_case fields, AWS's casing at the wire.

    A test holds each field of each input against the members of the model.
    """


class Output(msgspec.Struct, kw_only=True, omit_defaults=True, rename=lambda name: member_name(name)):
    """Base of operation outputs and of the structures in them.  Timestamps are integer milliseconds; None is left out."""


# Words that AWS does not merely capitalise.
_CASED: Mapping[str, str] = {"arn": "ARN", "kib": "KiB", "mibps": "MiBps"}


def member_name(field_name: str) -> str:
    """AWS's member name of a field: `stream_arn` -> `StreamARN`, `max_record_size_in_kib` -> `MaxRecordSizeInKiB`."""
    return "".join(_CASED.get(word, word.capitalize()) for word in field_name.split("_"))
