"""API models: the shapes, constraints and operations of a service, read from the JSON model that AWS publishes with botocore.

Theory.  The model is the contract.  It is compiled once, at start, into a graph of `Shape`s (recursive shapes refer to
themselves), and everything generic - parsing, validating, serialising - walks that graph; nothing is unpacked by hand.
Rules of this file: no I/O (the caller hands in the bytes); documentation is dropped; every pattern is compiled once, by RE2, because
strangers choose what it is run on and some of the models' patterns take `re` seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec
import re2

Kind = Literal[
    "structure", "list", "map", "string", "blob", "integer", "long", "float", "double", "boolean", "timestamp"
]


class Regex(Protocol):
    """What is asked of a compiled pattern."""

    def fullmatch(self, text: str) -> object | None:
        """Whether the whole text matches."""
        ...


_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")  # as Java writes a character; RE2 does otherwise


@dataclass(slots=True)
class Shape:
    """One shape.  Members and constraints are empty where they do not apply."""

    name: str
    kind: Kind
    members: dict[str, "Shape"] = field(default_factory=dict)  # structure
    member: "Shape | None" = None  # list: the element; map: the value
    key: "Shape | None" = None  # map
    required: tuple[str, ...] = ()
    minimum: float | None = None  # characters, bytes, items or value, by kind
    maximum: float | None = None
    pattern: str | None = None  # as the model words it
    regex: Regex | None = None
    enum: tuple[str, ...] = ()
    event_stream: bool = False


@dataclass(frozen=True, slots=True)
class OperationModel:
    """One operation of the model."""

    name: str
    input: Shape | None
    output: Shape | None
    output_wrapper: str | None  # query protocol: the element around the result
    errors: tuple[str, ...]
    unsigned: bool = False  # it is called without credentials


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """One service of the model."""

    endpoint_prefix: str  # also the service part of a credential scope unless signing_name is given
    signing_name: str
    protocol: str  # json, query, rest-json, ...
    target_prefix: str | None
    json_version: str | None  # "1.0", "1.1"
    api_version: str
    xml_namespace: str | None
    operations: Mapping[str, OperationModel]
    error_codes: frozenset[str] = frozenset()  # of errors whose code is not their shape's name


def parse_model(document: bytes) -> ServiceModel:
    """Compile a `service-2.json` document."""
    model: dict[str, Any] = msgspec.json.decode(document)
    meta = model["metadata"]
    compiler = _Compiler(model["shapes"])
    return ServiceModel(
        endpoint_prefix=meta["endpointPrefix"],
        signing_name=meta.get("signingName", meta["endpointPrefix"]),
        protocol=meta["protocol"],
        target_prefix=meta.get("targetPrefix"),
        json_version=meta.get("jsonVersion"),
        api_version=meta["apiVersion"],
        xml_namespace=meta.get("xmlNamespace"),
        operations={name: _operation(name, raw, compiler) for name, raw in model["operations"].items()},
        error_codes=frozenset(
            raw["error"]["code"] for raw in model["shapes"].values() if "code" in raw.get("error", {})
        ),
    )


def _operation(name: str, raw: Mapping[str, Any], compiler: "_Compiler") -> OperationModel:
    given, answer = raw.get("input"), raw.get("output")
    return OperationModel(
        name=name,
        input=compiler.shape(given["shape"]) if given else None,
        output=compiler.shape(answer["shape"]) if answer else None,
        output_wrapper=answer.get("resultWrapper") if answer else None,
        errors=tuple(row["shape"] for row in raw.get("errors", ())),
        unsigned=raw.get("authtype") == "none",
    )


class _Compiler:
    """Compiles shapes by name, each once; a shape is registered before its members are, so that recursion ends."""

    def __init__(self, raw_shapes: Mapping[str, Any]) -> None:
        self._raw = raw_shapes
        self._done: dict[str, Shape] = {}

    def shape(self, name: str) -> Shape:
        if name in self._done:
            return self._done[name]
        raw = self._raw[name]
        kind: Kind = "string" if raw["type"] == "character" else raw["type"]
        shape = self._done[name] = Shape(name, kind)
        shape.required = tuple(raw.get("required", ()))
        shape.minimum, shape.maximum = raw.get("min"), raw.get("max")
        shape.enum = tuple(raw.get("enum", ()))
        shape.event_stream = bool(raw.get("eventstream"))
        if "pattern" in raw:
            shape.pattern = raw["pattern"]
            shape.regex = _regex(raw["pattern"])
        shape.members = {member: self.shape(ref["shape"]) for member, ref in raw.get("members", {}).items()}
        if kind == "list":
            shape.member = self.shape(raw["member"]["shape"])
        elif kind == "map":
            shape.key, shape.member = self.shape(raw["key"]["shape"]), self.shape(raw["value"]["shape"])
        return shape


def _regex(pattern: str) -> Regex | None:
    """The model's pattern, or None for one that RE2 does not take; such a value is left to the service."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled: Regex = re2.compile(_ESCAPE.sub(r"\\x{\1}", pattern), options)
    except re2.error:
        return None
    return compiled
