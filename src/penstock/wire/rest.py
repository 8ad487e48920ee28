"""REST JSON: operations that are told apart by method and path, and whose members stand in the path, the query, headers and the body.

Theory.  An operation's URI is a template: segments that are spelled out, segments that are labels, and sometimes a query that must be
there (`/layers?find=LayerVersion`).  The templates of a service make one tree, walked segment by segment; what is spelled out goes
before a label.  A member that has no place of its own is in the JSON body, unless one member is the whole body (a payload).
Rules of this file:
  1. Pure; a segment is taken apart before it is unquoted, so that an ARN with slashes in it is one label.
  2. What the body says of a member that has another place is not believed.
  3. Reading is a linear walk, whatever the path.
Source: the rest-json protocol of the API models (smithy.io, AWS restJson1).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from penstock.core.errors import Error, ServiceError
from penstock.wire import json
from penstock.wire.document import Scalars, render
from penstock.wire.model import OperationModel, ServiceModel, Shape
from penstock.wire.query import read_scalar

CONTENT_TYPE: Final = "application/json"
LIST_FIELDS_MAX: Final = 1000  # ours: fields of a query that are looked at for a list
UNKNOWN_STATUS: Final = 404  # UNVERIFIED: of a path that no operation has
DATED: Final = r"/20\d\d-\d\d-\d\d/"
_DATED = re.compile(DATED, re.ASCII)
_LABEL = "{}"

Answered = tuple[int, list[tuple[str, str]], bytes]  # status, headers, body


class Leaf(NamedTuple):
    """An operation at the end of its template."""

    name: str  # of the operation
    labels: tuple[str, ...]
    query: tuple[tuple[str, str], ...]  # that must be there


class Found(NamedTuple):
    """The operation that a path is about, and what the path says."""

    name: str
    labels: Mapping[str, str]


class _Node:
    """One segment of the templates."""

    __slots__ = ("children", "leaves")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.leaves: list[Leaf] = []  # those with a query first


class Paths:
    """The templates of a service."""

    def __init__(self, model: ServiceModel) -> None:
        self._root = _Node()
        for name, http in model.http.items():
            path, _, query = http.uri.partition("?")
            segments = _segments(path)
            node = self._root.children.setdefault(http.method, _Node())
            for segment in segments:
                node = node.children.setdefault(_LABEL if segment.startswith("{") else segment, _Node())
            labels = tuple(segment[1:-1] for segment in segments if segment.startswith("{"))
            node.leaves.append(Leaf(name, labels, tuple(parse_qsl(query, keep_blank_values=True))))
            node.leaves.sort(key=lambda one: -len(one.query))

    def find(self, method: str, target: bytes, query: Mapping[str, str]) -> Found | None:
        """The operation of a method and a raw target.  Raises BODY_NOT_PARSED for a label that is no UTF-8."""
        root = self._root.children.get(method)
        if root is None:
            return None
        walked = _walk(root, _segments(target.partition(b"?")[0].decode("latin-1")), 0, ())
        if walked is None:
            return None
        leaves, texts = walked
        for leaf in leaves:
            if all(query.get(name) == value for name, value in leaf.query):
                return Found(leaf.name, dict(zip(leaf.labels, map(_unquoted, texts), strict=True)))
        return None


def is_dated(path: str) -> bool:
    """Whether a path is plainly one of a service that dates its paths, as Lambda does."""
    return _DATED.match(path) is not None


def common(uris: Iterable[str]) -> str | None:
    """How the paths of a service begin, as a pattern; None for one that has none, or nothing in common."""
    known = list(uris)
    return DATED if known and all(map(is_dated, known)) else None


def read_input(
    shape: Shape | None,
    labels: Mapping[str, str],
    headers: Mapping[str, str],
    target: bytes,
    body: bytes,
    depth_max: int,
) -> dict[str, Any]:
    """The input document of a request.  Raises BODY_NOT_PARSED."""
    if shape is None:
        return {}
    document = _body(shape, body, depth_max)
    query: list[tuple[str, str]] | None = None
    for name, place in (shape.places or {}).items():
        document.pop(name, None)
        member, value = shape.members[name], None
        match place.where:
            case "uri":
                value = labels.get(place.name)
            case "header":
                value = headers.get(place.name.lower())
            case "querystring":
                query = _fields(target) if query is None else query
                texts = [text for field, text in query if field == place.name]
                if member.kind == "list" and texts:
                    assert member.member is not None
                    document[name] = [read_scalar(member.member, text) for text in texts]
                    continue
                value = texts[-1] if texts else None
        if value is not None:
            document[name] = read_scalar(member, value)
    return document


def write_output(operation: OperationModel, output: object) -> Answered:
    """The answer for an output: its status, headers and body."""
    shape, status = operation.output, operation.http.status
    if output is None or shape is None:
        return status, [], b""
    values: dict[str, Any] = msgspec.to_builtins(output, builtin_types=(bytes,))
    headers = []
    for name, place in (shape.places or {}).items():
        value = values.pop(name, None)
        if place.where == "statusCode" and value is not None:
            status = value
        elif value is not None:
            headers.append((place.name, str(value)))
    body = _written(shape, values)
    return status, [("content-type", CONTENT_TYPE), *headers] if body else headers, body


def write_error(error: ServiceError, members: Mapping[str, Any], service: ServiceModel | None) -> Answered:
    """The answer for a refusal; `members` are what its shape tells, by AWS's names."""
    shape = service.errors.get(error.code) if service is not None else None
    status = service.statuses.get(error.code, error.status) if service is not None else error.status
    if service is None and error.code == Error.UNKNOWN_OPERATION.code:
        status = UNKNOWN_STATUS
    told, headers = dict(members), [("content-type", CONTENT_TYPE)]
    if shape is not None:
        for name, place in (shape.places or {}).items():
            if name in told:
                headers.append((place.name, str(told.pop(name))))
        if "Type" in shape.members:
            told = {"Type": "User" if status < 500 else "Service", **told}
    return status, headers, json.encode_document(told)


def _segments(path: str) -> list[str]:
    """The segments of a path; a slash at its end is of no account, as older SDKs write one."""
    return path.removesuffix("/").split("/")[1:]


def _walk(
    node: _Node, segments: list[str], at: int, texts: tuple[str, ...]
) -> tuple[list[Leaf], tuple[str, ...]] | None:
    """The leaves that a path ends in.  Templates are a handful of segments deep, so is this."""
    if at == len(segments):
        return (node.leaves, texts) if node.leaves else None
    segment = segments[at]
    spelled = node.children.get(segment)
    if spelled is not None and segment != _LABEL:
        found = _walk(spelled, segments, at + 1, texts)
        if found is not None:
            return found
    label = node.children.get(_LABEL)
    return _walk(label, segments, at + 1, (*texts, segment)) if label is not None and segment else None


def _unquoted(text: str) -> str:
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise Error.BODY_NOT_PARSED() from None


def _fields(target: bytes) -> list[tuple[str, str]]:
    try:
        query = target.partition(b"?")[2].decode()
        return parse_qsl(query, keep_blank_values=True, max_num_fields=LIST_FIELDS_MAX, errors="strict")
    except ValueError:  # too many, or no UTF-8
        raise Error.BODY_NOT_PARSED() from None


def _body(shape: Shape, body: bytes, depth_max: int) -> dict[str, Any]:
    if shape.payload:
        member = shape.members[shape.payload]
        if not body:
            return {}
        return {shape.payload: body if member.kind == "blob" else json.decode_document(body, depth_max)}
    has_members = len(shape.places or ()) < len(shape.members)
    return json.decode_document(body, depth_max) if body and has_members else {}


def _written(shape: Shape, values: Mapping[str, Any]) -> bytes:
    if not shape.payload:
        return (
            json.encode_document(render(shape, values, SCALARS))
            if len(shape.places or ()) < len(shape.members)
            else b""
        )
    value, member = values.get(shape.payload), shape.members[shape.payload]
    if value is None:
        return b""
    return value if member.kind == "blob" else json.encode_document(render(member, value, SCALARS))


SCALARS: Final = Scalars(
    blob_in=lambda value: value if isinstance(value, bytes) else json.decode_base64(value),
    blob_out=json.encode_base64,
    timestamp_in=json.SCALARS.timestamp_in,
    timestamp_out=json.SCALARS.timestamp_out,
)
