"""The query protocol: forms to documents, documents to XML."""

from typing import Any
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from penstock.core.errors import Error, ServiceError
from penstock.wire.model import OperationModel, ServiceModel, Shape
from penstock.wire.query import SCALARS, bare_error, error_status, read_input, write_error, write_output

TEXT = Shape("Text", "string")
TAG = Shape("Tag", "structure", members={"Key": TEXT, "Value": TEXT})
INPUT = Shape(
    "In",
    "structure",
    members={
        "Name": TEXT,
        "Count": Shape("Count", "integer"),
        "On": Shape("On", "boolean"),
        "At": Shape("At", "timestamp"),
        "Names": Shape("Names", "list", member=TEXT),
        "Tags": Shape("Tags", "list", member=TAG),
        "Inner": TAG,
        "Map": Shape("Map", "map", key=TEXT, member=TAG),
    },
)
OPERATION = OperationModel("DoIt", INPUT, INPUT, "DoItResult", ())
SERVICE = ServiceModel("it", "it", "query", None, None, "2020-01-01", "https://it.example/", {"DoIt": OPERATION})
NAMESPACE = "{https://it.example/}"


@pytest.mark.parametrize(
    ("form", "document"),
    [
        ({}, {}),
        ({"Action": "DoIt", "Version": "1", "Other": "x"}, {}),
        ({"Name": ""}, {"Name": ""}),
        ({"Count": "12"}, {"Count": 12}),
        ({"Count": "-3"}, {"Count": -3}),
        ({"Count": "1.5"}, {"Count": "1.5"}),
        ({"Count": "٣"}, {"Count": "٣"}),
        ({"Count": "9" * 5000}, {"Count": "9" * 5000}),
        ({"On": "true"}, {"On": True}),
        ({"On": "false"}, {"On": False}),
        ({"On": "maybe"}, {"On": "maybe"}),
        ({"Names.member.1": "a", "Names.member.2": "b"}, {"Names": ["a", "b"]}),
        ({"Names.member.2": "b"}, {}),
        ({"Names.member.1": "a", "Names.member.3": "c"}, {"Names": ["a"]}),
        ({"Tags.member.1.Key": "k", "Tags.member.2.Value": "v"}, {"Tags": [{"Key": "k"}, {"Value": "v"}]}),
        ({"Inner.Key": "k", "Inner.Nope": "n"}, {"Inner": {"Key": "k"}}),
        ({"Inner": "k"}, {}),
        ({"Names": ""}, {"Names": []}),
        ({"Map": ""}, {"Map": {}}),
        ({"Map.entry.1.key": "a", "Map.entry.1.value.Key": "k", "Map.entry.3.key": "c"}, {"Map": {"a": {"Key": "k"}}}),
    ],
)
def test_read_input_when_a_form_spells_paths_answers_the_document(form: dict[str, str], document: Any) -> None:
    assert read_input(INPUT, form) == document


def test_read_input_when_a_list_is_long_keeps_every_member() -> None:
    form = {f"Names.member.{number}": "x" for number in range(1, 1501)}
    assert len(read_input(INPUT, form)["Names"]) == 1500


def test_read_input_when_the_operation_takes_nothing_answers_an_empty_document() -> None:
    assert read_input(None, {"Action": "DoIt", "Name": "x"}) == {}


NASTY = '<a href="x">&amp; ]]> \' \U0001f600'


def test_write_output_when_texts_have_markup_escapes_them_and_nests_the_result() -> None:
    document = {
        "Name": NASTY,
        "Count": 0,
        "On": False,
        "Names": [NASTY, ""],
        "Tags": [{"Key": NASTY, "Value": "v"}],
        "Inner": {"Key": "k"},
    }
    root = ElementTree.fromstring(write_output(SERVICE, OPERATION, document, "id-1"))
    assert root.tag == NAMESPACE + "DoItResponse"
    result = root.find(NAMESPACE + "DoItResult")
    assert result is not None
    assert [(child.tag.removeprefix(NAMESPACE), child.text) for child in result[:3]] == [
        ("Name", NASTY),
        ("Count", "0"),
        ("On", "false"),
    ]
    assert [item.text or "" for item in result.iterfind(f"{NAMESPACE}Names/{NAMESPACE}member")] == [NASTY, ""]
    assert result.findtext(f"{NAMESPACE}Tags/{NAMESPACE}member/{NAMESPACE}Key") == NASTY
    assert result.findtext(f"{NAMESPACE}Inner/{NAMESPACE}Key") == "k"
    assert root.findtext(f"{NAMESPACE}ResponseMetadata/{NAMESPACE}RequestId") == "id-1"


def test_write_output_when_the_operation_answers_nothing_has_metadata_only() -> None:
    bare = OperationModel("Ping", None, None, None, ())
    root = ElementTree.fromstring(write_output(SERVICE, bare, {}, "id-2"))
    assert [child.tag for child in root] == [NAMESPACE + "ResponseMetadata"]


@pytest.mark.parametrize(
    ("error", "fault", "code"),
    [
        (Error.CONSTRAINTS(text=NASTY), "Sender", "ValidationError"),
        (Error.INTERNAL_FAILURE(), "Receiver", "InternalFailure"),
        (Error.BODY_NOT_PARSED(), "Sender", "MalformedInput"),
    ],
    ids=["client", "server", "no message"],
)
def test_write_error_when_a_request_is_refused_is_well_formed(error: ServiceError, fault: str, code: str) -> None:
    root = ElementTree.fromstring(write_error(error, SERVICE, "id-3"))
    assert root.tag == NAMESPACE + "ErrorResponse"
    found = [root.findtext(f"{NAMESPACE}Error/{NAMESPACE}{name}") for name in ("Type", "Code", "Message")]
    assert found == [fault, code, error.message or ""]
    assert root.findtext(NAMESPACE + "RequestId") == "id-3"


def test_bare_error_when_a_request_is_no_call_is_an_element_of_the_codes_name() -> None:
    assert bare_error(Error.UNKNOWN_OPERATION()) == b"<UnknownOperationException/>\n"
    root = ElementTree.fromstring(bare_error(Error.AUTH_INCOMPLETE(text=NASTY)))
    assert (root.tag, root.findtext("Message")) == ("IncompleteSignatureException", NASTY)


@pytest.mark.parametrize(("ms", "text"), [(0, "1970-01-01T00:00:00.000Z"), (1700000000123, "2023-11-14T22:13:20.123Z")])
def test_timestamp_when_written_in_xml_is_iso_8601(ms: int, text: str) -> None:
    assert SCALARS.timestamp_out(ms) == text


def test_write_output_when_there_is_a_map_then_its_entries_are_elements() -> None:
    root = ElementTree.fromstring(write_output(SERVICE, OPERATION, {"Map": {"<a>": {"Key": "&"}}}, "id-4"))
    entry = f"{NAMESPACE}DoItResult/{NAMESPACE}Map/{NAMESPACE}entry/{NAMESPACE}"
    assert (root.findtext(entry + "key"), root.findtext(f"{entry}value/{NAMESPACE}Key")) == ("<a>", "&")


OWN = replace(SERVICE, error_codes=frozenset({"ExpiredTokenException", "InvalidIdentityToken"}))


@pytest.mark.parametrize(
    ("error", "service", "status", "code"),
    [
        (ServiceError("NoSuchEntity", "x", 404), SERVICE, 404, "NoSuchEntity"),
        (ServiceError("ExpiredTokenException", "x"), SERVICE, 403, "ExpiredToken"),
        (ServiceError("ExpiredTokenException", "x"), OWN, 400, "ExpiredTokenException"),
        (ServiceError("InvalidIdentityToken", "x"), OWN, 400, "InvalidIdentityToken"),
        (Error.CONSTRAINTS(text="x"), SERVICE, 400, "ValidationError"),
        (Error.WRONG_TYPE(text="x"), SERVICE, 400, "MalformedInput"),
        (Error.NOT_IMPLEMENTED(operation="x"), SERVICE, 400, "InvalidAction"),
    ],
)
def test_error_when_the_service_has_its_code_then_code_and_status_stay(
    error: ServiceError, service: ServiceModel, status: int, code: str
) -> None:
    assert error_status(error, service) == status
    root = ElementTree.fromstring(write_error(error, service, "id-5"))
    assert root.findtext(f"{NAMESPACE}Error/{NAMESPACE}Code") == code


@pytest.mark.parametrize("text", ["\0", "\x1b", "\ufffe", "\ud800"])
def test_answers_when_a_text_holds_what_xml_has_not_can_still_be_read(text: str) -> None:
    refusal = ServiceError("ValidationException", f"<{text}>")
    for answer in (write_error(refusal, SERVICE, "id"), bare_error(refusal)):
        assert [each.text for each in ElementTree.fromstring(answer).iter() if each.tag.endswith("Message")] == [
            "<\ufffd>"
        ]
    answer = write_output(SERVICE, OPERATION, {"Name": text, "Map": {text: {}}}, "id")
    assert {each.text for each in ElementTree.fromstring(answer).iter() if each.tag.endswith(("Name", "key"))} == {
        "\ufffd"
    }
