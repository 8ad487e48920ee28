"""API models: compiled from a document, with recursion, constraints and patterns."""

import json
from typing import Any

import pytest

from penstock.host.apimodels import load_model
from penstock.wire.model import Shape, parse_model
from penstock.wire.operation import member_name

DOCUMENT: dict[str, Any] = {
    "metadata": {"endpointPrefix": "it", "protocol": "json", "apiVersion": "2020-01-01", "targetPrefix": "It_2020"},
    "operations": {
        "Do": {"name": "Do", "input": {"shape": "Tree"}, "errors": [{"shape": "Bad"}]},
        "Ask": {"name": "Ask", "output": {"shape": "Tree", "resultWrapper": "AskResult"}},
    },
    "shapes": {
        "Tree": {
            "type": "structure",
            "required": ["Name"],
            "members": {"Name": {"shape": "Name"}, "Children": {"shape": "Trees"}, "ByName": {"shape": "TreeMap"}},
        },
        "Trees": {"type": "list", "member": {"shape": "Tree"}, "max": 3},
        "TreeMap": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Tree"}},
        "Name": {"type": "string", "min": 1, "max": 5, "pattern": "[a-z]+", "enum": ["a", "b"]},
    },
}


def test_parse_model_when_shapes_are_recursive_refers_to_the_same_shape() -> None:
    model = parse_model(json.dumps(DOCUMENT).encode())
    tree = model.operations["Do"].input
    assert tree is not None
    children, by_name = tree.members["Children"], tree.members["ByName"]
    assert children.member is tree
    assert by_name.member is tree
    assert by_name.key is tree.members["Name"]
    assert (tree.required, children.maximum, children.minimum) == (("Name",), 3, None)
    name = tree.members["Name"]
    assert (name.kind, name.minimum, name.maximum, name.pattern, name.enum) == ("string", 1, 5, "[a-z]+", ("a", "b"))


def test_parse_model_when_parts_are_absent_has_none() -> None:
    model = parse_model(json.dumps(DOCUMENT).encode())
    assert (model.signing_name, model.xml_namespace, model.json_version) == ("it", None, None)
    do, ask = model.operations["Do"], model.operations["Ask"]
    assert (do.output, do.output_wrapper, do.errors) == (None, None, ("Bad",))
    assert (ask.input, ask.output_wrapper, ask.errors) == (None, "AskResult", ())


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"\d+", "12", True),
        (r"\d+", "١٢", False),
        (r"\w+", "é", False),
        (r"[a-z]+", "ab\n", False),
        (r"^([a-z]+)$", "ab", True),
        (r"[\p{L}]+", "é\u0439", True),
        (r"\P{L}+", "é", False),
        (r"\S+", "\U0001f600", True),
        (r".*", "a\nb", False),
        (r"[\u0021-\u007E]+", "a~", True),
        (r"[\u0021-\u007E]+", "a b", False),
    ],
)
def test_pattern_when_compiled_matches_as_java_does(pattern: str, text: str, matches: bool) -> None:
    document = {**DOCUMENT, "shapes": {**DOCUMENT["shapes"], "Name": {"type": "string", "pattern": pattern}}}
    tree = parse_model(json.dumps(document).encode()).operations["Do"].input
    assert tree is not None
    regex = tree.members["Name"].regex
    assert regex is not None
    assert (regex.fullmatch(text) is not None) == matches


@pytest.mark.parametrize("pattern", ["([a-z", "(?!aws:).*", r"(a)\1", "a{2000}"])
def test_pattern_when_it_cannot_be_run_in_linear_time_is_left_to_the_service(pattern: str) -> None:
    document = {**DOCUMENT, "shapes": {**DOCUMENT["shapes"], "Name": {"type": "string", "pattern": pattern}}}
    tree = parse_model(json.dumps(document).encode()).operations["Do"].input
    assert tree is not None
    assert tree.members["Name"].regex is None
    assert tree.members["Name"].pattern == pattern


def shapes_below(shape: Shape, seen: dict[str, Shape]) -> dict[str, Shape]:
    if shape.name not in seen:
        seen[shape.name] = shape
        for below in [*shape.members.values(), *(held for held in (shape.member, shape.key) if held is not None)]:
            shapes_below(below, seen)
    return seen


def test_load_model_when_kinesis_is_read_has_every_pattern_compiled() -> None:
    model = load_model("kinesis")
    assert (model.target_prefix, model.signing_name, model.protocol) == ("Kinesis_20131202", "kinesis", "json")
    seen: dict[str, Shape] = {}
    for operation in model.operations.values():
        if operation.input is not None:
            shapes_below(operation.input, seen)
    assert [shape.name for shape in seen.values() if shape.pattern is not None and shape.regex is None] == []
    assert len(model.operations) >= 39


@pytest.mark.parametrize(
    ("field", "member"),
    [
        ("stream_name", "StreamName"),
        ("stream_arn", "StreamARN"),
        ("max_record_size_in_kib", "MaxRecordSizeInKiB"),
        ("warm_throughput_mibps", "WarmThroughputMiBps"),
        ("limit", "Limit"),
    ],
)
def test_member_name_when_a_field_is_snake_case_has_the_casing_of_aws(field: str, member: str) -> None:
    assert member_name(field) == member


def test_load_model_when_iam_and_sts_are_read_knows_their_codes_and_what_is_unsigned() -> None:
    sts, iam = load_model("sts"), load_model("iam")
    assert {"ExpiredTokenException", "InvalidIdentityToken", "PackedPolicyTooLarge"} <= sts.error_codes
    assert "NoSuchEntity" in iam.error_codes
    unsigned = {name for name, operation in {**sts.operations, **iam.operations}.items() if operation.unsigned}
    assert unsigned == {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}
    path = iam.operations["CreateUser"].input
    assert path is not None
    assert path.members["Path"].regex is not None
