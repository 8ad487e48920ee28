"""Event streams: an operation's events as the body of an answer, in the client's protocol.

Theory.  The first frame is the initial response, sent before any event is there: some SDKs answer nothing to their caller without it.
Then each event in its turn.  What the operation raises once it has begun can no longer be an answer of its own, so it is told as an
exception within the stream, which ends there.
Rules of this file:
  1. An event's frame is made once for each protocol, whoever asks first, and kept on the event.
  2. Nothing but the end of the stream and a cancellation leaves `__anext__`.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from penstock.core.errors import Error, ServiceError
from penstock.wire import cbor, eventstream, json
from penstock.wire.document import render
from penstock.wire.model import Shape
from penstock.wire.operation import Event, EventStream
from penstock.wire.route import Route

logger = logging.getLogger(__name__)

# UNVERIFIED: AWS's own `:content-type`; no SDK looks at it
_CONTENT_TYPES: Final = {"json": "application/json", "cbor": "application/cbor"}
_SCALARS: Final = {"json": json.SCALARS, "cbor": cbor.SCALARS}
_ENCODE: Final = {"json": json.encode_document, "cbor": cbor.encode_document}
_FAULT: Final = "InternalFailureException"  # what models call a fault of ours within a stream


class EventBody:
    """The body of one streamed answer."""

    def __init__(self, route: Route, stream: EventStream, request_id: str) -> None:
        self._route = route
        self._events = stream.events
        self._request_id = request_id
        self._content_type = _CONTENT_TYPES[route.protocol]
        self._begun = False
        self._ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            self._begun = True
            headers = eventstream.event_headers(eventstream.INITIAL_RESPONSE, self._content_type)
            return eventstream.encode(headers, _ENCODE[self._route.protocol]({}))
        if self._ended:
            raise StopAsyncIteration
        try:
            return self._encode(await self._events.__anext__())
        except StopAsyncIteration:
            raise
        except ServiceError as error:
            return self._exception(error)
        except Exception:
            logger.exception("%s failed (request %s)", self._route.operation.model.name, self._request_id)
            return self._exception(Error.INTERNAL_FAILURE())

    async def aclose(self) -> None:
        """End what feeds the stream."""
        await self._events.aclose()

    def _encode(self, events: Sequence[Event]) -> bytes:
        protocol = self._route.protocol
        frames = []
        for event in events:
            frame = event.frames.get(protocol)
            if frame is None:
                headers = eventstream.event_headers(event.name, self._content_type)
                frame = event.frames[protocol] = eventstream.encode(headers, self._payload(event))
            frames.append(frame)
        return eventstream.joined(frames)

    def _payload(self, event: Event) -> bytes:
        operation, protocol = self._route.operation, self._route.protocol
        encode = operation.codec.encode_event.get(protocol)
        if encode is not None:
            return encode(event.value)
        value = msgspec.to_builtins(event.value, builtin_types=(bytes,))
        return _ENCODE[protocol](render(_stream_shape(self._route).members[event.name], value, _SCALARS[protocol]))

    def _exception(self, error: ServiceError) -> bytes:
        """The frame of a refusal; one that the stream's model does not know is a fault."""
        self._ended = True
        name = error.code if error.code in _stream_shape(self._route).members else _FAULT
        document = {} if error.message is None else {"message": error.message}
        headers = eventstream.exception_headers(name, self._content_type)
        return eventstream.encode(headers, _ENCODE[self._route.protocol](document))


def _stream_shape(route: Route) -> Shape:
    output = route.operation.model.output
    assert output is not None, "an operation that streams has an output shape"
    return next(member for member in output.members.values() if member.event_stream)
