"""Targets of the wire's decoders: bodies in JSON, CBOR and forms, event streams, and signatures."""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from documented import SERVICES
from fuzz_doors import request_of
from requests_told import told

from penstock.core.errors import ServiceError
from penstock.core.hashkeys import HASH_KEY_MAX, HashRange
from penstock.services.metrics import expression
from penstock.wire import aggregate, cbor, chunks, eventstream, json, query, rest, rpc, sigv4
from penstock.wire.authorization import written
from penstock.wire.document import Scalars, coerce, render
from penstock.wire.operation import Operation
from penstock.wire.reject import check
from penstock.wire.route import FORM_FIELDS_MAX
from penstock.wire.signature import Expectation, Secret, Seed, begin, canonical_request, finish

JSON_OPERATIONS: Final = [
    each for name in ("kinesis", "kms") for _, each in sorted(SERVICES[name].operations.items()) if each.model.input
]
CBOR_OPERATIONS: Final = [each for _, each in sorted(SERVICES["kinesis"].operations.items()) if each.model.input]
FORM_OPERATIONS: Final = [
    each
    for name in ("iam", "sts", "cloudwatch")
    for _, each in sorted(SERVICES[name].operations.items())
    if each.model.input
]
RPC_OPERATIONS: Final = [each for _, each in sorted(SERVICES["cloudwatch"].operations.items()) if each.model.input]
REST_PATHS: Final = rest.Paths(SERVICES["lambda"].model)
REFUSALS: Final = frozenset({"SerializationException", "ValidationException"})
DEPTH_MAX: Final = 64
NOW_MS: Final = 1_440_938_160_000  # 2015-08-30T12:36:00Z
SECRET: Final = Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SESSION: Final = Secret("secret", "token", NOW_MS + 1)


def take(operation: Operation, document: Any, scalars: Scalars) -> Any | None:
    """An operation's request from a document, or None where it was refused with a row of the table."""
    shape = operation.model.input
    assert shape is not None
    try:
        value = coerce(shape, document, scalars)
        check(shape, value)
    except ServiceError as refused:
        _expect(refused)
        return None
    rendered = render(shape, value, scalars)
    assert scalars is not json.SCALARS or coerce(shape, rendered, scalars) == value
    if operation.codec.convert is not None:
        return operation.codec.convert(value)
    return msgspec.convert(value, operation.input_type, builtin_types=(bytes,))


def _expect(refused: ServiceError) -> None:
    assert refused.code in REFUSALS, refused
    assert refused.status == 400
    msgspec.json.encode(refused.message)  # it can be told


def document(protocol: Any, operations: list[Operation], name: str, data: bytes) -> None:
    """A byte that chooses the operation, then a body."""
    if not data:
        return
    operation, body = operations[data[0] % len(operations)], data[1:]
    try:
        decoded = protocol.decode_document(body, DEPTH_MAX)
    except ServiceError as refused:
        _expect(refused)
        decoded = None
    slow = take(operation, decoded, protocol.SCALARS) if decoded is not None else None
    decode = operation.codec.decode.get(name)  # type: ignore[call-overload]
    quick = decode(body) if decode is not None else None
    assert quick is None or told(quick) == told(slow), (quick, slow)


def form(data: bytes) -> None:
    """A byte that chooses the operation, then a form."""
    if not data:
        return
    operation = FORM_OPERATIONS[data[0] % len(FORM_OPERATIONS)]
    try:
        fields = dict(parse_qsl(data[1:].decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
    except ValueError:  # as the router refuses it
        return
    try:
        document = query.read_input(operation.model.input, fields)
    except ServiceError as refused:
        _expect(refused)
        return
    take(operation, document, query.SCALARS)


def resource(data: bytes) -> None:
    """A request to a service with paths of its own: its operation, and the document that path, query, headers and body say together."""
    head, body = request_of(data)
    if head is None:
        return
    try:
        found = REST_PATHS.find(head.method, head.target, head.query)
        if found is None:
            return
        operation = SERVICES["lambda"].operations.get(found.name)
        model = SERVICES["lambda"].model.operations[found.name]
        document = rest.read_input(model.input, found.labels, head.headers, head.target, body, DEPTH_MAX)
    except ServiceError as refused:
        _expect(refused)
        return
    if operation is not None:
        take(operation, document, rest.SCALARS)


LINES: Final = {
    "m1": expression.Line({0: 1.0, 1: 2.0, 3: 1e308}, 0, 5, 1),
    "m2": expression.Line({1: -0.0, 4: 5e-324}, 0, 5, 1),
    "none": expression.Line({}, 0, 5, 1),
}


def metric_math(data: bytes) -> None:
    """An expression, worked out over some lines: whatever is told is finite, and in a period."""
    try:
        node, names = expression.parse(data.decode("utf-8", "replace")[:2048])
        if names <= {*LINES, ""}:
            value = node(expression.Scope(LINES.__getitem__, lambda part: [*LINES.values()]))
            lines = value if isinstance(value, list) else [value] if isinstance(value, expression.Line) else []
            assert all(math.isfinite(each) and 0 <= at < 5 for line in lines for at, each in line.points.items())
    except (expression.BadExpression, OverflowError):
        return


def event_stream(data: bytes) -> None:
    """A byte that tells where to cut, then frames: the same messages however they are cut, and again when they are written anew."""
    if len(data) < 2:
        return
    step, stream = data[0] + 1, data[1:]
    whole = _messages([stream])
    assert _messages([stream[at : at + step] for at in range(0, len(stream), step)]) == whole
    for message in whole[0]:
        again = eventstream.encode(message.headers, message.payload)
        assert _messages([again]) == ([message], 0)


def _messages(pieces: list[bytes]) -> tuple[list[eventstream.Message], int | None]:
    """What a decoder reads, and how much it holds; None once it has refused."""
    decoder, found = eventstream.Decoder(), []
    try:
        for piece in pieces:
            for message in decoder.feed(piece):
                found.append(message)  # noqa: PERF402 - what comes before a bad frame counts
    except eventstream.BadFrame:
        return found, None
    return found, decoder.rest


def aggregate_record(data: bytes) -> None:
    """A byte that tells which half of the hash space is ours, then the data of a Kinesis record, and again as a well-framed message."""
    if not data:
        return
    half = 1 << 127
    mine = HashRange(0, half - 1) if data[0] % 2 else HashRange(half, HASH_KEY_MAX)
    for framed in (data[1:], b"".join((aggregate.MAGIC, data[1:], hashlib.md5(data[1:]).digest()))):
        found = aggregate.unpack(framed)
        assert aggregate.unpack(framed, mine) in (found, [])
        if found:
            again = aggregate.Aggregate(1 << 30)
            assert all(
                again.add(each.partition_key, each.data, each.explicit_hash_key, each.unique_id) for each in found
            )
            assert aggregate.unpack(again.pack().data) == found


def signature(data: bytes) -> None:
    """A request whose signature, in the header or in the query, is verified; its body may be signed chunks."""
    head, body = request_of(data)
    if head is None:
        return
    lookup: Callable[[str], Secret | None] = {"AKIDEXAMPLE": SECRET, "ASIASESSION": SESSION}.get
    for explains in (False, True):
        try:
            pending = begin(head, NOW_MS, Expectation("kinesis", explains=explains), lookup)
            canonical_request(pending, "", frozenset())
            verified = finish(pending, "00" * 32 if pending.needs_hash else None)
        except ServiceError as refused:
            assert refused.status == 400
            msgspec.json.encode(refused.message)
        else:
            assert not pending.needs_hash, "nobody can sign a body that is not theirs"
            _chunks(chunks.chunks_of(verified), body)
    try:
        sigv4.read_credential(head.headers, head.query)
    except ServiceError as refused:
        assert refused.status == 400
    _chunks(chunks.Chunks(Seed(b"k", written(0), "scope", "00"), trailers=True, chunk_max_bytes=4096), body)
    _chunks(chunks.Chunks(None, trailers=True, chunk_max_bytes=4096), body)


def _chunks(reader: chunks.Chunks | None, body: bytes) -> None:
    if reader is None:
        return
    try:
        payload = b"".join(reader.feed(body[at : at + 7]) for at in range(0, len(body), 7))
        reader.close()
    except ServiceError as refused:
        assert refused.status == 400
    else:
        assert len(payload) <= len(body)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "json": partial(document, json, JSON_OPERATIONS, "json"),
    "cbor": partial(document, cbor, CBOR_OPERATIONS, "cbor"),
    "rpc": partial(document, rpc, RPC_OPERATIONS, "rpc"),
    "form": form,
    "rest": resource,
    "expression": metric_math,
    "eventstream": event_stream,
    "aggregate": aggregate_record,
    "signature": signature,
}
