"""Documents and shapes: what each kind accepts, AWS's words for what it does not, and the way back."""

from typing import Any

import pytest

from penstock.core.errors import ServiceError
from penstock.wire import json
from penstock.wire.document import coerce, render
from penstock.wire.model import Kind, Shape

NUMBER = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"
LIST = "Start of list found where not expected"
MAP = "Start of structure or map found where not expected."

LEAF = Shape("Leaf", "string")
STRUCTURE = Shape("Thing", "structure", members={"Name": LEAF, "Count": Shape("Count", "integer")})
STRUCTURE.members["Inner"] = STRUCTURE
LIST_SHAPE = Shape("Names", "list", member=LEAF)
MAP_SHAPE = Shape("Tags", "map", key=LEAF, member=LEAF)


def shape_of(kind: Kind) -> Shape:
    return {"structure": STRUCTURE, "list": LIST_SHAPE, "map": MAP_SHAPE}.get(kind) or Shape("It", kind)


def read(shape: Shape, value: Any) -> Any:
    return coerce(shape, value, json.SCALARS)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("string", 23, NUMBER + " can not be converted to an String"),
        ("string", 2.5, NUMBER + " can not be converted to an String"),
        ("string", True, "class java.lang.Boolean can not be converted to an String"),
        ("string", [], LIST),
        ("string", {}, MAP),
        ("integer", "23", "class java.lang.String can not be converted to an Integer"),
        ("integer", False, "class java.lang.Boolean can not be converted to an Integer"),
        ("integer", [], LIST),
        ("integer", {}, MAP),
        ("long", "", "class java.lang.String can not be converted to an Long"),
        ("double", "1", "class java.lang.String can not be converted to an Double"),
        ("float", True, "class java.lang.Boolean can not be converted to an Float"),
        ("blob", 23, NUMBER + " can not be converted to a Blob"),
        ("blob", True, "class java.lang.Boolean can not be converted to a Blob"),
        ("blob", [], LIST),
        ("blob", {}, MAP),
        ("list", "x", "Expected list or null"),
        ("list", 23, "Expected list or null"),
        ("list", True, "Expected list or null"),
        ("list", {}, MAP),
        ("map", "x", "Expected map or null"),
        ("map", 23, "Expected map or null"),
        ("map", True, "Expected map or null"),
        ("map", [], LIST),
        ("structure", "x", "Expected null"),
        ("structure", 23, "Expected null"),
        ("structure", True, "Expected null"),
        ("structure", [], LIST),
        ("boolean", 1, NUMBER + " can not be converted to an Boolean"),
        ("boolean", "maybe", "'MAYBE' can not be converted to an Boolean"),
        ("boolean", "", "'' can not be converted to an Boolean"),
        ("boolean", [], LIST),
        ("boolean", {}, MAP),
        ("timestamp", "2020", "class java.lang.String can not be converted to milliseconds since epoch"),
        ("timestamp", True, "class java.lang.Boolean can not be converted to milliseconds since epoch"),
        ("timestamp", [], LIST),
        ("timestamp", {}, MAP),
    ],
)
def test_coerce_when_the_type_is_wrong_words_it_as_aws_does(kind: Kind, value: Any, text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read(shape_of(kind), value)
    assert (caught.value.code, caught.value.message) == ("SerializationException", text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("shape", "value", "text"),
    [
        (LIST_SHAPE, ["a", 1], NUMBER + " can not be converted to an String"),
        (LIST_SHAPE, [["a"]], LIST),
        (MAP_SHAPE, {"a": "b", "c": {}}, MAP),
        (MAP_SHAPE, {1: "b"}, NUMBER + " can not be converted to an String"),
        (STRUCTURE, {"Inner": {"Inner": {"Count": "1"}}}, "class java.lang.String can not be converted to an Integer"),
        (STRUCTURE, {"Name": 1, "Count": "1"}, NUMBER + " can not be converted to an String"),
        (STRUCTURE, {"Count": "1", "Name": 1}, NUMBER + " can not be converted to an String"),
    ],
)
def test_coerce_when_the_fault_is_inside_words_the_first_in_the_models_order(
    shape: Shape, value: Any, text: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        read(shape, value)
    assert caught.value.message == text


@pytest.mark.parametrize("value", [object(), b"x", (1,), {1}], ids=["object", "bytes", "tuple", "set"])
@pytest.mark.parametrize("kind", ["string", "integer", "boolean", "timestamp", "list", "map", "structure", "double"])
def test_coerce_when_the_value_is_of_a_type_that_json_has_not_is_refused(kind: Kind, value: Any) -> None:
    with pytest.raises(ServiceError) as caught:
        read(shape_of(kind), value)
    assert caught.value.code == "SerializationException"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 10**11, 1215752192),
        ("integer", 2**31 - 1, 2**31 - 1),
        ("integer", 2**31, -(2**31)),
        ("integer", 2**32, 0),
        ("integer", -(2**31) - 1, 2**31 - 1),
        ("integer", 1.9, 1),
        ("integer", -1.9, -1),
        ("integer", 1e20, 1661992960),
        ("long", 2**63 - 1, 2**63 - 1),
        ("long", 2**63, -(2**63)),
        ("long", 10**30, 10**30 % 2**64 - 2**64 if 10**30 % 2**64 >= 2**63 else 10**30 % 2**64),
        ("boolean", "true", True),
        ("boolean", "Yes", True),
        ("boolean", "1", True),
        ("boolean", "no", False),
        ("boolean", "0", False),
        ("boolean", "FALSE", False),
        ("boolean", True, True),
        ("double", 1, 1.0),
        ("float", -0.5, -0.5),
        ("timestamp", 1700000000, 1700000000000),
        ("timestamp", 1700000000.123, 1700000000123),
        ("timestamp", 0, 0),
        ("timestamp", -1.5, -1500),
        ("blob", "", b""),
        ("blob", "AAE=", b"\0\1"),
        ("string", "", ""),
        ("list", [None, "a"], [None, "a"]),
    ],
)
def test_coerce_when_the_value_is_usual_or_odd_reads_it_as_java_does(kind: Kind, value: Any, expected: Any) -> None:
    read_value = read(shape_of(kind), value)
    assert read_value == expected
    assert type(read_value) is type(expected)


@pytest.mark.parametrize("kind", ["integer", "long", "timestamp"])
@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_coerce_when_a_number_is_not_finite_is_refused(kind: Kind, number: float) -> None:
    with pytest.raises(ServiceError) as caught:
        read(shape_of(kind), number)
    assert caught.value.code == "SerializationException"


@pytest.mark.parametrize("kind", ["string", "integer", "blob", "boolean", "timestamp", "list", "map", "structure"])
def test_coerce_when_null_is_given_answers_none(kind: Kind) -> None:
    assert read(shape_of(kind), None) is None


def test_coerce_when_members_are_null_absent_or_unknown_leaves_them_out() -> None:
    assert read(STRUCTURE, {"Name": None, "Other": [1], "Inner": {"Count": 1, "name": "x"}}) == {"Inner": {"Count": 1}}


def test_render_when_members_are_none_or_absent_leaves_them_out_and_keeps_the_falsy() -> None:
    assert render(STRUCTURE, {"Name": "", "Count": 0, "Inner": None}, json.SCALARS) == {"Name": "", "Count": 0}


@pytest.mark.parametrize(
    ("kind", "value", "document"),
    [
        ("blob", b"\0\1", "AAE="),
        ("timestamp", 1700000000000, 1700000000),
        ("timestamp", 1700000000123, 1700000000.123),
        ("list", ["a"], ["a"]),
        ("map", {"a": "b"}, {"a": "b"}),
        ("boolean", False, False),
    ],
)
def test_render_when_a_value_goes_out_has_the_protocols_form(kind: Kind, value: Any, document: Any) -> None:
    rendered = render(shape_of(kind), value, json.SCALARS)
    assert rendered == document
    assert type(rendered) is type(document)
