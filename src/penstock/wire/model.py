"""API models: the shapes, constraints and operations of a service, read from the JSON model that AWS publishes with botocore.

Theory.  The model is the contract.  Each operation is compiled once, when it is first asked for, into a graph of `Shape`s (recursive
shapes refer to themselves), and everything generic - parsing, validating, serialising - walks that graph; nothing is unpacked by hand.
Rules of this file: no I/O (the caller hands in the bytes); documentation is dropped; every pattern is compiled once, by RE2, because
strangers choose what it is run on and some of the models' patterns take `re` seconds.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec
import re2
from msgspec import Struct, field

Made = TypeVar("Made")
Kind = Literal[
    "structure", "list", "map", "string", "blob", "integer", "long", "float", "double", "boolean", "timestamp"
]


class Regex(Protocol):
    """What is asked of a compiled pattern."""

    def fullmatch(self, text: str) -> object | None:
        """Whether the whole text matches."""
        ...


Where = Literal["uri", "querystring", "header", "headers", "statusCode"]


class Place(NamedTuple):
    """Where a member stands that is not in the body (rest-json)."""

    where: Where
    name: str  # of the label, field or header


class Http(NamedTuple):
    """How an operation is called (rest-json)."""

    method: str = "POST"
    uri: str = "/"  # with {Labels}
    status: int = 200  # of a success


class QueryForm(NamedTuple):
    """How a service is spoken to in the query protocol, where its model tells only of another that it took since."""

    namespace: str  # of the answers' XML
    flat: Mapping[str, str]  # of lists and maps, by shape: the element that stands for each item
    keys: Mapping[str, str]  # of such maps, by shape: the element of a key, where it is not Name
    codes: Mapping[str, str]  # of errors, by shape, where they have other names


_PLAIN_HTTP: Final = Http()
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")  # as Java writes a character; RE2 does otherwise


class Shape(Struct):
    """One shape.  Members and constraints are empty where they do not apply."""

    name: str
    kind: Kind
    members: dict[str, "Shape"] = field(default_factory=dict)  # structure
    member: "Shape | None" = None  # list: the element; map: the value
    key: "Shape | None" = None  # map
    item: str = "member"  # list, query protocol: the element of an item
    entry: tuple[str, str] = ("key", "value")  # map, query protocol: the elements in an entry
    flat: str = ""  # list and map, query protocol: the element that each item is, if there is none around them
    required: tuple[str, ...] = ()
    minimum: float | None = None  # characters, bytes, items or value, by kind
    maximum: float | None = None
    pattern: str | None = None  # as the model words it
    regex: Regex | None = None
    enum: tuple[str, ...] = ()
    event_stream: bool = False
    payload: str = ""  # structure, rest-json: the member that is the whole body
    places: dict[str, Place] | None = None  # structure, rest-json: of members that are not in the body, if any


class OperationModel(Struct, frozen=True):
    """One operation of the model."""

    name: str
    input: Shape | None
    output: Shape | None
    output_wrapper: str | None  # query protocol: the element around the result
    errors: tuple[str, ...]
    unsigned: bool = False  # it is called without credentials
    http: Http = _PLAIN_HTTP


class ServiceModel(Struct, frozen=True):
    """One service of the model."""

    endpoint_prefix: str  # also the service part of a credential scope unless signing_name is given
    signing_name: str
    protocol: str  # json, query, rest-json, ...
    target_prefix: str | None
    json_version: str | None  # "1.0", "1.1"
    api_version: str
    xml_namespace: str | None
    operations: Mapping[str, OperationModel]
    protocols: frozenset[str] = frozenset()  # all that it is spoken in
    error_codes: frozenset[str] = frozenset()  # of errors whose code is not their shape's name
    query_codes: Mapping[str, str] = field(default_factory=dict)  # those codes, by the name of the error's shape
    query_compatible: bool = False  # its other protocols tell the codes of the query protocol too
    errors: Mapping[str, Shape] = field(default_factory=dict)  # by name
    statuses: Mapping[str, int] = field(default_factory=dict)  # HTTP's, of errors that have one of their own, by name
    http: Mapping[str, Http] = field(default_factory=dict)  # of operations with paths of their own, by name


class _Named(msgspec.Struct, gc=False):
    """A reference to a shape."""

    shape: str
    resultWrapper: str | None = None  # noqa: N815 - the document's own name
    location: Where | None = None
    locationName: str = ""  # noqa: N815


class _RawShape(msgspec.Struct):
    """A shape as the document has it, without its prose."""

    type: Kind | Literal["character"]
    members: dict[str, _Named] = {}
    member: _Named | None = None
    key: _Named | None = None
    value: _Named | None = None
    required: tuple[str, ...] = ()
    min: int | float | None = None
    max: int | float | None = None
    enum: tuple[str, ...] = ()
    pattern: str | None = None
    eventstream: bool = False
    exception: bool = False
    error: dict[str, Any] = {}
    payload: str = ""
    flat: str = ""  # set by a QueryForm


class _RawOperation(msgspec.Struct):
    """An operation as the document has it."""

    input: _Named | None = None
    output: _Named | None = None
    errors: tuple[_Named, ...] = ()
    authtype: str = ""
    http: dict[str, Any] = {}


class _Document(msgspec.Struct):
    """What is read of a `service-2.json`."""

    metadata: dict[str, Any]
    operations: dict[str, _RawOperation]
    shapes: dict[str, _RawShape]


_decoder = msgspec.json.Decoder(_Document)


def parse_model(
    document: bytes, patterns: Mapping[str, str] = MappingProxyType({}), query: QueryForm | None = None
) -> ServiceModel:
    """Read a `service-2.json` document; its operations are compiled as they are asked for.

    `patterns` replace the model's, and its enumerations, by shape; `query` adds that protocol.
    """
    model = _decoder.decode(document)
    for name, pattern in patterns.items():
        model.shapes[name].pattern, model.shapes[name].enum = pattern, ()
    if query is not None:
        _speak_query(model, query)
    meta, compiler = model.metadata, _Compiler(model.shapes)
    codes = {name: raw.error["code"] for name, raw in model.shapes.items() if "code" in raw.error}
    return ServiceModel(
        endpoint_prefix=meta["endpointPrefix"],
        signing_name=meta.get("signingName", meta["endpointPrefix"]),
        protocol=meta["protocol"],
        target_prefix=meta.get("targetPrefix"),
        json_version=meta.get("jsonVersion"),
        api_version=meta["apiVersion"],
        xml_namespace=meta.get("xmlNamespace"),
        operations=Compiled(model.operations, lambda name: _operation(name, model.operations[name], compiler)),
        protocols=frozenset(meta.get("protocols", [meta["protocol"]])),
        error_codes=frozenset(codes.values()),
        query_codes=codes,
        query_compatible="awsQueryCompatible" in meta,
        errors=Compiled({name for name, raw in model.shapes.items() if raw.exception}, compiler.shape),
        statuses={
            name: raw.error["httpStatusCode"] for name, raw in model.shapes.items() if "httpStatusCode" in raw.error
        },
        http={name: _http(raw) for name, raw in model.operations.items()} if meta["protocol"] == "rest-json" else {},
    )


def _speak_query(model: _Document, form: QueryForm) -> None:
    """Write into a model what those of query services say."""
    model.metadata |= {"protocols": [*model.metadata["protocols"], "query"], "xmlNamespace": form.namespace}
    for shape, element in form.flat.items():
        model.shapes[shape].flat = element
    for shape, element in form.keys.items():
        key = model.shapes[shape].key
        assert key is not None, "it is a map"
        key.locationName = element
    for shape, code in form.codes.items():
        model.shapes[shape].error = {"code": code}
    for name, operation in model.operations.items():
        if operation.output is not None:
            operation.output.resultWrapper = f"{name}Result"


class Compiled(Mapping[str, Made], Generic[Made]):
    """Operations or errors by name, each made when it is first asked for.

    Most of a service's are never used, and compiling all takes several times as long as reading them.
    """

    def __init__(self, names: Collection[str], make: Callable[[str], Made]) -> None:
        self._names = names
        self._make = make
        self._done: dict[str, Made] = {}

    def __getitem__(self, name: str) -> Made:
        done = self._done.get(name)
        if done is None:
            if name not in self._names:
                raise KeyError(name)
            done = self._done[name] = self._make(name)
        return done

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _operation(name: str, raw: _RawOperation, compiler: "_Compiler") -> OperationModel:
    return OperationModel(
        name=name,
        input=compiler.shape(raw.input.shape) if raw.input is not None else None,
        output=compiler.shape(raw.output.shape) if raw.output is not None else None,
        output_wrapper=raw.output.resultWrapper if raw.output is not None else None,
        errors=tuple(row.shape for row in raw.errors),
        unsigned=raw.authtype == "none",
        http=_http(raw),
    )


def _http(raw: _RawOperation) -> Http:
    return Http(raw.http.get("method", "POST"), raw.http.get("requestUri", "/"), raw.http.get("responseCode", 200))


class _Compiler:
    """Compiles shapes by name, each once; a shape is registered before its members are, so that recursion ends."""

    def __init__(self, raw_shapes: Mapping[str, _RawShape]) -> None:
        self._raw = raw_shapes
        self._done: dict[str, Shape] = {}

    def shape(self, name: str) -> Shape:
        if name in self._done:
            return self._done[name]
        raw = self._raw[name]
        kind: Kind = "string" if raw.type == "character" else raw.type
        shape = self._done[name] = Shape(name, kind)
        shape.required, shape.minimum, shape.maximum = raw.required, raw.min, raw.max
        shape.enum, shape.event_stream = raw.enum, raw.eventstream
        if raw.pattern is not None:
            shape.pattern = raw.pattern
            shape.regex = _regex(raw.pattern)
        shape.members = {member: self.shape(ref.shape) for member, ref in raw.members.items()}
        shape.payload = raw.payload
        shape.places = {name: _place(name, ref) for name, ref in raw.members.items() if ref.location} or None
        shape.flat = raw.flat
        if raw.member is not None:
            shape.member = self.shape(raw.member.shape)
            shape.item = raw.member.locationName or shape.item
        elif raw.key is not None and raw.value is not None:
            shape.key, shape.member = self.shape(raw.key.shape), self.shape(raw.value.shape)
            names = ("Name", "Value") if raw.flat else shape.entry
            shape.entry = (raw.key.locationName or names[0], raw.value.locationName or names[1])
        return shape


def _place(member: str, ref: _Named) -> Place:
    assert ref.location is not None, "it has a place"
    return Place(ref.location, ref.locationName or member)


def _regex(pattern: str) -> Regex | None:
    """The model's pattern, or None for one that RE2 does not take; such a value is left to the service."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled: Regex = re2.compile(_ESCAPE.sub(r"\\x{\1}", pattern), options)
    except re2.error:
        return None
    return compiled
