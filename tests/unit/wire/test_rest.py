"""REST JSON: which operation a path is for, where members are read from, and what answers and refusals look like."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Error, ServiceError
from penstock.host.apimodels import load_model
from penstock.wire import rest
from penstock.wire.operation import Output

MODEL = load_model("lambda")
PATHS = rest.Paths(MODEL)
FUNCTIONS = "/2015-03-31/functions"
ARN = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af"


def found(method: str, target: str, query: dict[str, str] | None = None) -> tuple[str, dict[str, str]] | None:
    match = PATHS.find(method, target.encode(), query or {})
    return None if match is None else (match.name, dict(match.labels))


@pytest.mark.parametrize(
    ("method", "target", "name", "labels"),
    [
        ("POST", FUNCTIONS, "CreateFunction", {}),
        ("POST", FUNCTIONS + "/", "CreateFunction", {}),
        ("GET", FUNCTIONS + "/?MaxItems=3", "ListFunctions", {}),
        ("GET", FUNCTIONS + "/f", "GetFunction", {"FunctionName": "f"}),
        ("GET", f"{FUNCTIONS}/{ARN}?Qualifier=1", "GetFunction", {"FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:f"}),
        ("DELETE", FUNCTIONS + "/f/aliases/a%2Fb", "DeleteAlias", {"FunctionName": "f", "Name": "a/b"}),
        ("POST", FUNCTIONS + "/f/invocations", "Invoke", {"FunctionName": "f"}),
        ("GET", FUNCTIONS + "/policy/policy", "GetPolicy", {"FunctionName": "policy"}),
        ("POST", "/2015-03-31/event-source-mappings", "CreateEventSourceMapping", {}),
        ("PUT", "/2015-03-31/event-source-mappings/u", "UpdateEventSourceMapping", {"UUID": "u"}),
    ],
)  # fmt: skip
def test_paths_when_method_and_path_fit_a_template_then_name_the_operation(
    method: str, target: str, name: str, labels: dict[str, str]
) -> None:
    assert found(method, target) == (name, labels)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("PATCH", FUNCTIONS),
        ("POST", FUNCTIONS + "/f"),
        ("GET", FUNCTIONS + "//policy"),
        ("GET", FUNCTIONS + "/f/policy/x/y/z"),
        ("GET", "/2015-03-32/functions/f"),
        ("GET", "/2015-03-31/functions/{}/{}"),
        ("GET", "/"),
        ("GET", "*"),
        ("GET", "/2015-03-31/%66unctions"),
        ("GET", "/" * 60_000),
    ],
)
def test_paths_when_nothing_fits_then_name_nothing(method: str, target: str) -> None:
    assert found(method, target) is None


def test_paths_when_a_query_must_be_there_then_it_chooses() -> None:
    layers, concurrency = "/2018-10-31/layers", "/2019-09-30/functions/f/provisioned-concurrency"
    assert found("GET", layers, {"find": "LayerVersion"}) == ("GetLayerVersionByArn", {})
    assert found("GET", layers, {"find": "x"}) == ("ListLayers", {})
    assert found("GET", concurrency, {"List": "ALL"}) == ("ListProvisionedConcurrencyConfigs", {"FunctionName": "f"})
    assert found("GET", concurrency) == ("GetProvisionedConcurrencyConfig", {"FunctionName": "f"})


@given(st.text(min_size=1).filter(lambda text: text.encode("utf-8", "ignore").decode() == text))
def test_paths_when_a_label_is_any_text_then_it_arrives_as_it_was(text: str) -> None:
    assert found("GET", f"{FUNCTIONS}/{quote(text, safe='')}/policy") == ("GetPolicy", {"FunctionName": text})


def test_paths_when_a_label_is_not_utf_8_then_the_request_is_refused() -> None:
    with pytest.raises(ServiceError) as caught:
        found("GET", FUNCTIONS + "/%ff")
    assert caught.value.code == "SerializationException"


def read(operation: str, target: str = "/", body: bytes = b"", **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return rest.read_input(
        MODEL.operations[operation].input, {"FunctionName": "f", "Resource": "r"}, named, target.encode(), body, 80
    )


def test_read_input_when_members_have_places_then_they_are_read_there() -> None:
    assert read("Invoke", "/x?Qualifier=a%20b&Qualifier=2", b"\x00any", x_amz_invocation_type="Event") == {
        "FunctionName": "f", "InvocationType": "Event", "Qualifier": "2", "Payload": b"\x00any",
    }  # fmt: skip
    assert read("Invoke") == {"FunctionName": "f"}
    assert read("ListFunctions", "/x?MaxItems=7&Marker=") == {"MaxItems": 7, "Marker": ""}
    assert read("UntagResource", "/x?tagKeys=a&tagKeys=b")["TagKeys"] == ["a", "b"]


def test_read_input_when_the_body_says_what_the_path_says_then_the_path_is_believed() -> None:
    assert read("PublishVersion", body=b'{"FunctionName":"other","Description":"d"}') == {
        "FunctionName": "f",
        "Description": "d",
    }
    assert read("AddPermission", body=b'{"Qualifier":"x","Action":"y"}') == {"FunctionName": "f", "Action": "y"}


def test_read_input_when_no_member_is_in_the_body_then_it_is_not_read() -> None:
    assert read("GetFunction", body=b"{nonsense") == {"FunctionName": "f"}


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"x"', b'{"a":' * 100 + b"1" + b"}" * 100])
def test_read_input_when_the_body_is_no_object_then_it_is_refused(body: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        read("PublishVersion", body=body)
    assert caught.value.code == "SerializationException"


def test_read_input_when_the_query_has_too_many_fields_then_it_is_refused() -> None:
    with pytest.raises(ServiceError):
        read("ListFunctions", "/x?" + "a=1&" * (rest.LIST_FIELDS_MAX + 1))


class Said(Output):
    """An output of Invoke."""

    status_code: int
    payload: bytes | None = None
    function_error: str | None = None


def test_write_output_when_members_have_places_then_they_are_written_there() -> None:
    status, headers, body = rest.write_output(
        MODEL.operations["Invoke"], Said(status_code=200, payload=b"{}", function_error="Unhandled")
    )
    assert (status, body) == (200, b"{}")
    assert headers == [("content-type", "application/json"), ("X-Amz-Function-Error", "Unhandled")]
    assert rest.write_output(MODEL.operations["Invoke"], Said(status_code=204)) == (204, [], b"")


def test_write_output_when_there_is_none_then_only_the_models_status() -> None:
    assert rest.write_output(MODEL.operations["DeleteAlias"], None) == (204, [], b"")


def test_write_error_when_the_model_has_a_shape_then_its_status_type_and_spelling_are_used() -> None:
    status, headers, body = rest.write_error(ServiceError("ResourceNotFoundException", "m"), {"Message": "m"}, MODEL)
    assert (status, json.loads(body)) == (404, {"Type": "User", "Message": "m"})
    error = ServiceError("TooManyRequestsException", "m")
    status, headers, body = rest.write_error(error, {"message": "m", "retryAfterSeconds": "1", "Reason": "r"}, MODEL)
    assert (status, json.loads(body)) == (429, {"Type": "User", "message": "m", "Reason": "r"})
    assert ("Retry-After", "1") in headers


def test_write_error_when_the_path_is_unknown_then_it_is_not_found() -> None:
    assert rest.write_error(Error.UNKNOWN_OPERATION(), {}, None)[0] == 404
