"""Strategies for values of model shapes: valid ones, and documents that are wrong in places."""

from typing import Any

import cbor2
from hypothesis import strategies as st

from penstock.composition.streams import CODECS, OPERATIONS
from penstock.host.apimodels import load_model
from penstock.services.binding import bind
from penstock.wire.model import Shape

MODEL = load_model("kinesis")
SERVICE = bind(MODEL, OPERATIONS, None, CODECS)
INPUTS: dict[str, Shape] = {name: model.input for name, model in MODEL.operations.items() if model.input is not None}
OUTPUTS: dict[str, Shape] = {
    name: model.output
    for name, model in MODEL.operations.items()
    if model.output is not None and not any(member.event_stream for member in model.output.members.values())
}

TEXTS = st.text(max_size=20)
NAMES = st.text("abcXYZ019_.-", min_size=1, max_size=20)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["", "AA==", "A", "TRIM_HORIZON", "true", "0", "shardId-000000000000", "\0", "\U0001f600"])
)


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Model values of a shape, constraints aside: what `render` takes and `coerce` answers."""
    match shape.kind:
        case "structure":
            return st.fixed_dictionaries({}, optional={name: values(member) for name, member in shape.members.items()})
        case "list":
            assert shape.member is not None
            return st.lists(values(shape.member), max_size=3)
        case "map":
            assert shape.member is not None
            return st.dictionaries(TEXTS, values(shape.member), max_size=3)
        case "string":
            return TEXTS
        case "blob":
            return st.binary(max_size=40)
        case "integer":
            return st.integers(-(2**31), 2**31 - 1)
        case "long":
            return st.integers(-(2**63), 2**63 - 1)
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.integers(-(10**14), 10**14)
        case "float" | "double":
            return st.floats(allow_nan=False, allow_infinity=False)


def documents(shape: Shape, foreign: bool = False) -> st.SearchStrategy[Any]:
    """Documents that look like a shape, but for what is wrong here and there; `foreign` adds what only CBOR can carry."""
    held = _documents.get((shape.name, foreign))
    if held is None:
        held = _documents[shape.name, foreign] = _document(shape, foreign)
    return held


_documents: dict[tuple[str, bool], st.SearchStrategy[Any]] = {}
_PLAIN = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=3
)
_FOREIGN = LEAVES | st.sampled_from(
    [cbor2.undefined, cbor2.CBORSimpleValue(5), float("nan"), float("inf"), b"", b"x", 2**64]
)
_ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"


def _document(shape: Shape, foreign: bool) -> st.SearchStrategy[Any]:
    odd = _FOREIGN if foreign else _PLAIN
    good = _good(shape, foreign)
    return st.integers(0, 11).flatmap(lambda draw: odd if draw == 0 else good)


def _good(shape: Shape, foreign: bool) -> st.SearchStrategy[Any]:
    match shape.kind:
        case "structure":
            members = {name: documents(member, foreign) for name, member in shape.members.items()}
            needed = {name: member for name, member in members.items() if name in shape.required}
            spare = {name: member for name, member in members.items() if name not in shape.required}
            return st.fixed_dictionaries(needed, optional={**spare, "Unknown": LEAVES})
        case "list":
            assert shape.member is not None
            return st.lists(documents(shape.member, foreign), min_size=1, max_size=3)
        case "map":
            assert shape.member is not None
            return st.dictionaries(NAMES, documents(shape.member, foreign), min_size=1, max_size=3)
        case "string":
            return st.sampled_from(shape.enum or ("a", "0", "170141183460469231731687303715884105728", _ARN))
        case "blob":
            return st.sampled_from([b"", b"\0"] if foreign else ["", "AAAA", "AAE="])
        case "boolean":
            return st.booleans()
        case _:
            return st.sampled_from([1, 24, 1024, 10_000])
