"""The exchange: one request's whole path, from head and body to the answer.

Theory.  The order of steps is the order in which AWS refuses: find the operation, parse the body, authenticate, check types, check
constraints, carry out.  Each step raises a ServiceError; one place words it in the protocol that the client speaks.
Rules of this file:
  1. Nothing raised leaves `handle`.  What is no ServiceError is our fault: it is logged, and the client is told InternalFailure.
  2. No service is known here, only the router's table.
"""

import logging
import zlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from penstock.core.errors import SERVER_STATUS, Error, ServiceError
from penstock.core.limits import DOCUMENT_DEPTH_MAX, KIB, REQUEST_BODY_MAX_BYTES
from penstock.core.ports import Entropy, Threads
from penstock.server.audit import Audit, Call
from penstock.server.door import Door
from penstock.server.events import EventBody
from penstock.wire import cbor, eventstream, json, query, rest, rpc
from penstock.wire.content import decode_body
from penstock.wire.dialect import Idiom, idiom_of, reworded
from penstock.wire.document import Scalars, coerce, render
from penstock.wire.model import ServiceModel
from penstock.wire.nativeparts import Format, Rows
from penstock.wire.operation import EventStream, LongBody, Operation
from penstock.wire.reject import check
from penstock.wire.route import Entry, Head, Route, Router, answer_protocol, headers_of

logger = logging.getLogger(__name__)

_SCALARS: Final = {
    "json": json.SCALARS,
    "cbor": cbor.SCALARS,
    "rpc": rpc.SCALARS,
    "query": query.SCALARS,
    "rest-json": rest.SCALARS,
}
_DECODE: Final = {"json": json.decode_document, "cbor": cbor.decode_document, "rpc": rpc.decode_document}
_ENCODE: Final = {"json": json.encode_document, "cbor": cbor.encode_document, "rpc": rpc.encode_document}
_CORS_MAX_AGE_S: Final = "172800"  # source: recorded answers
_CORS_EXPOSED: Final = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date"
_ID_BYTES: Final = 16
_EXTENDED_ID_BYTES: Final = 72  # a multiple of three, so that many are written as base64 in one go
ID_DRAWN_BYTES: Final = _ID_BYTES + _EXTENDED_ID_BYTES  # random ones, for the ids of one answer
LARGE_BODY_BYTES: Final = (
    64 * KIB
)  # a larger one is read and hashed beside the loop: that takes longer than a thread's turn
_IDS_DRAWN: Final = 64  # at once: asking the system costs 2 us, however little is asked for

Headers = list[tuple[str, str]]


class Stream(Protocol):
    """A body that is made while it is sent; an async generator is one.

    It is asked for the next piece only when the client has taken those before.  `aclose` is called once, at its end, when the client has
    gone, or when the server stops; in the latter two `__anext__` is cancelled first if it is waiting, and pieces are never cut.
    """

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces; each is sent as soon as it is there."""
        ...

    async def aclose(self) -> None:
        """Let go of everything; also called on a stream that was never iterated."""
        ...


class Answer(NamedTuple):
    """What goes back."""

    status: int
    headers: Headers
    body: bytes | Stream | LongBody  # long ones only for those who take them

    @property
    def stream(self) -> Stream | None:
        """The body, if nobody knows its length."""
        return None if isinstance(self.body, bytes | LongBody) else self.body


class Observer(Protocol):
    """Who counts requests."""

    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        """Count one request: `operation` is a known name or "unknown", `outcome` "ok" or the code of a refusal."""
        ...


class Readers(Protocol):
    """Who reads large PutRecords beside the loop."""

    async def read(self, form: Format, body: bytes, *, hashed: bool) -> tuple[tuple[str, Rows] | None, str | None]:
        """The stream's name and the records, and the hash of the body where that is asked for; None where Python shall look."""
        ...


class Exchange:
    """Answers requests to the services behind the port."""

    def __init__(
        self,
        router: Router,
        entropy: Entropy,
        observer: Observer,
        monotonic_s: Callable[[], float],
        door: Door,
        *,
        body_max_bytes: int = REQUEST_BODY_MAX_BYTES,
        depth_max: int = DOCUMENT_DEPTH_MAX,
        audit: Audit | None = None,
        threads: Threads | None = None,
        readers: Readers | None = None,
    ) -> None:
        self.router = router
        self._entropy = entropy
        self._observer = observer
        self._monotonic_s = monotonic_s
        self.door = door
        self._body_max_bytes = body_max_bytes
        self._depth_max = depth_max
        self._audit = audit
        self._threads = threads
        self._readers = readers
        self._ids: list[tuple[str, str]] = []  # drawn ahead

    async def handle(self, head: Head, body: bytes) -> Answer:
        """Answer one request."""
        started_s = self._monotonic_s()
        identity = self._identity(head)
        request_id = identity[0][1]
        if head.method == "OPTIONS" and "origin" in head.headers:
            return Answer(200, [identity[0], *_preflight(head)], b"")
        name, outcome, signed = "unknown", "ok", body
        try:
            if "content-encoding" in head.headers:
                body = decode_body(body, head.headers["content-encoding"].strip().lower(), self._body_max_bytes)
            route = self._route(head, body)
            while isinstance(route, Entry):
                await _open(route)
                route = self._route(head, body)
        except ServiceError as error:
            outcome, answer = error.code, _refusal(error, *answer_protocol(head), None, request_id)
            if self._audit is not None:
                self._audit.note(head, None, Call(), request_id, error)
        else:
            name = route.operation.model.name
            answer, outcome = await self._attempt(route, head, signed, body, request_id)
        self._observer.observe(name, outcome, self._monotonic_s() - started_s)
        answer.headers.extend(identity)
        return answer

    async def _attempt(
        self, route: Route, head: Head, signed: bytes, body: bytes, request_id: str
    ) -> tuple[Answer, str]:
        """The answer of an operation, and its outcome for the record; `signed` is the body as it came."""
        call = Call()
        try:
            answer = await self._carry_out(route, head, signed, body, request_id, call)
        except ServiceError as refused:
            error = refused
        except Exception:
            logger.exception("%s failed (request %s)", route.operation.model.name, request_id)
            error = ServiceError(Error.INTERNAL_FAILURE.code, None, SERVER_STATUS)
        else:
            if self._audit is not None:
                self._audit.note(head, route, call, request_id, None)
            return answer, "ok"
        error = reworded(error, route.protocol, route.service.model)
        if self._audit is not None:
            self._audit.note(head, route, call, request_id, error)
        return _refusal(error, route.protocol, route.content_type, route.service.model, request_id), error.code

    def refuse(self, head: Head, error: ServiceError) -> Answer:
        """The answer for a request that was refused before it was read."""
        self._observer.observe("unknown", error.code, 0.0)
        identity = self._identity(head)
        answer = _refusal(error, *answer_protocol(head), None, identity[0][1])
        answer.headers.extend(identity)
        return answer

    def reject(self, status: int) -> Answer:
        """The answer for what could not be read as a request; `status` is HTTP's."""
        self._observer.observe("unknown", f"HTTP {status}", 0.0)
        request_id, _ = self.draw_ids()
        return Answer(status, [("x-amzn-RequestId", request_id)], b"")

    def _route(self, head: Head, body: bytes) -> Route | Entry:
        try:
            return self.router.route(head, body)
        except ServiceError as error:
            if error.code == Error.NOT_A_SERVICE_CALL.code:
                self.door.check_named(head)  # AWS asks for credentials first here
            raise

    async def _carry_out(
        self, route: Route, head: Head, signed: bytes, body: bytes, request_id: str, call: Call
    ) -> Answer:
        operation, document, digest = route.operation, None, None
        if self._threads is not None and len(body) > LARGE_BODY_BYTES:
            request, digest = await self._large_input(route, signed, body, self._threads)
        else:
            request = _fast_input(route, body)
        if request is None:
            document = call.request = _document(route, head, body, self._depth_max)
        caller = call.caller = self.door.caller(route, head, signed, digest, request_id)
        if document is not None:
            request = _checked_input(operation, document, _SCALARS[route.protocol])
        call.request = request
        output = call.output = await operation.handler(caller, request)
        if isinstance(output, EventStream):
            headers = [("content-type", eventstream.CONTENT_TYPE)]
            return Answer(200, headers, EventBody(route, output, request_id))
        if route.protocol == "rest-json":
            return Answer(*rest.write_output(operation.model, output))
        is_large = operation.codec.is_large
        if is_large is not None and self._threads is not None and is_large(output):
            long = (
                operation.codec.encode_long.get(route.protocol) if head.takes_long and head.method != "HEAD" else None
            )
            if long is not None and (body_later := long(output)) is not None:
                return Answer(200, [*route.headers], body_later)
            answer = await self._threads.run(partial(_output, route, output, request_id))
        else:
            answer = _output(route, output, request_id)
        return Answer(200, [*route.headers, *_checksum(idiom_of(route.service.model), answer)], answer)

    async def _large_input(
        self, route: Route, signed: bytes, body: bytes, threads: Threads
    ) -> tuple[Any | None, str | None]:
        """What a fast decoder reads, and the hash of the body as it came, where it is needed."""
        framed, form, hashes = route.operation.codec.framed, route.protocol, self.door.hashes
        if self._readers is not None and framed is not None and signed is body and (form == "json" or form == "cbor"):
            found, digest = await self._readers.read(form, body, hashed=hashes)
            if found is not None:
                return framed(*found), digest
        return await threads.run(partial(_large_input, route, body, signed if hashes else None))

    def draw_ids(self) -> tuple[str, str]:
        """A request id, and the longer one that goes with it."""
        if not self._ids:
            self._ids = _made_ids(self._entropy.bytes(_IDS_DRAWN * ID_DRAWN_BYTES))
        return self._ids.pop()

    def _identity(self, head: Head) -> Headers:
        """The headers that name a request, the request id first."""
        request_id, extended_id = self.draw_ids()
        headers = [("x-amzn-RequestId", request_id), ("x-amz-id-2", extended_id)]
        if "origin" in head.headers:
            headers += [("access-control-allow-origin", "*"), ("access-control-expose-headers", _CORS_EXPOSED)]
        return headers


def _made_ids(drawn: bytes) -> list[tuple[str, str]]:
    """Request ids and extended ids; written all at once, since each call that is saved is 0.3 us."""
    split = _IDS_DRAWN * _ID_BYTES
    digits, extended = drawn[:split].hex(), json.encode_base64(drawn[split:])
    each, wide = 2 * _ID_BYTES, len(extended) // _IDS_DRAWN
    return [
        (
            f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-{digits[at + 12 : at + 16]}"
            f"-{digits[at + 16 : at + 20]}-{digits[at + 20 : at + each]}",
            extended[number * wide : (number + 1) * wide],
        )
        for number, at in enumerate(range(0, len(digits), each))
    ]


async def _open(entry: Entry) -> None:
    """Open a service for its first request.  Raises INTERNAL_FAILURE where that fails; the next request tries again."""
    try:
        await entry.open()
    except Exception:
        logger.exception("%s cannot be opened", entry.address.target or entry.address.version)
        raise Error.INTERNAL_FAILURE() from None


def _fast_input(route: Route, body: bytes) -> Any | None:
    decode = route.operation.codec.decode.get(route.protocol)
    return decode(body) if decode is not None else None


def _large_input(route: Route, body: bytes, hashed: bytes | None) -> tuple[Any | None, str | None]:
    """What a fast decoder reads, and the hash of the body as it came, where it is needed."""
    return _fast_input(route, body), None if hashed is None else sha256(hashed).hexdigest()


def _document(route: Route, head: Head, body: bytes, depth_max: int) -> dict[str, Any]:
    if route.protocol == "rest-json":
        shape = route.operation.model.input
        return rest.read_input(shape, route.form, head.headers, head.target, body, depth_max)
    decode = _DECODE.get(route.protocol)
    return query.read_input(route.operation.model.input, route.form) if decode is None else decode(body, depth_max)


def _checked_input(operation: Operation, document: dict[str, Any], scalars: Scalars) -> Any:
    shape = operation.model.input
    if shape is not None:
        document = coerce(shape, document, scalars)
        check(shape, document)
    if operation.codec.convert is not None:
        return operation.codec.convert(document)
    return msgspec.convert(document, operation.input_type, builtin_types=(bytes,))


def _output(route: Route, output: Any, request_id: str) -> bytes:
    """The body of a success; empty where the operation answers nothing."""
    operation, protocol = route.operation, route.protocol
    encode = operation.codec.encode.get(protocol)
    if encode is not None:
        return encode(output)
    document = _output_document(operation, output, _SCALARS[protocol])
    if protocol == "query":
        return query.write_output(route.service.model, operation.model, document or {}, request_id)
    return b"" if document is None else _ENCODE[protocol](document)


def _output_document(operation: Operation, output: Any, scalars: Scalars) -> dict[str, Any] | None:
    if output is None:
        return None
    assert operation.model.output is not None, "an operation that answers has an output shape"
    rendered: dict[str, Any] = render(
        operation.model.output, msgspec.to_builtins(output, builtin_types=(bytes,)), scalars
    )
    return rendered


def _refusal(
    error: ServiceError, protocol: str, content_type: str, service: ServiceModel | None, request_id: str
) -> Answer:
    """A refusal in the client's protocol."""
    kind = ("x-amzn-ErrorType", error.code)
    if protocol in _ENCODE:
        idiom = idiom_of(service)
        document = {"__type": idiom.error_type(error.code, service), **_error_members(error, protocol, service)}
        body = _ENCODE[protocol](document)
        headers = [*headers_of(protocol, content_type), kind, *_checksum(idiom, body)]
        if service is not None and service.query_compatible:
            headers.append(("x-amzn-query-error", query.code_and_fault(error, service)))
        return Answer(error.status, headers, body)
    if protocol == "rest-json":
        status, headers, body = rest.write_error(error, _error_members(error, protocol, service), service)
        return Answer(status, [*headers, kind], body)
    if protocol == "query":
        assert service is not None, "only a request that has a route is known to be of this protocol"
        status = query.error_status(error, service)
        return Answer(status, [("content-type", "text/xml"), kind], query.write_error(error, service, request_id))
    status = 404 if error.message is None else max(error.status, 403)
    return Answer(status, [kind], query.bare_error(error))


def _error_members(error: ServiceError, protocol: str, service: ServiceModel | None) -> dict[str, Any]:
    """What an error says: its message, and its details as its shape has them."""
    shape = service.errors.get(error.code) if service is not None else None
    capital = error.code == Error.BODY_NOT_PARSED.code or (shape is not None and "Message" in shape.members)
    members: dict[str, Any] = {} if error.message is None else {"Message" if capital else "message": error.message}
    if error.details and shape is not None:
        details = msgspec.to_builtins(error.details, builtin_types=(bytes,))
        members |= render(shape, details, _SCALARS[protocol])
    return members


def _checksum(idiom: Idiom, body: bytes) -> Headers:
    return [("x-amz-crc32", str(zlib.crc32(body)))] if idiom.checksum else []


def _preflight(head: Head) -> Headers:
    headers = [("access-control-allow-origin", "*"), ("access-control-max-age", _CORS_MAX_AGE_S)]
    for asked, answered in (
        ("access-control-request-headers", "access-control-allow-headers"),
        ("access-control-request-method", "access-control-allow-methods"),
    ):
        if asked in head.headers:
            headers.append((answered, head.headers[asked]))
    return headers
