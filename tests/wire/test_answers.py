"""Every answer: its ids, date, content type and error type, in the order in which AWS checks a request."""

from email.utils import parsedate_to_datetime

import pytest
from http_calls import AUTHORIZATION, CBOR, JSON, SIGNED, UUID, Reply, Wire

from penstock.host.clock import SystemClock
from penstock.testing import PenstockServer

LIST = {"X-Amz-Target": "Kinesis_20131202.ListStreams"}
QUERY_AUTH = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test/20260101/us-east-1/kinesis/aws4_request"
QUERY_AUTH += "&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=00"


def assert_identified(reply: Reply) -> None:
    assert UUID.fullmatch(reply.headers["x-amzn-RequestId"])
    assert len(reply.headers["x-amz-id-2"]) == 96
    date_ms = parsedate_to_datetime(reply.headers["date"]).timestamp() * 1000
    assert abs(date_ms - SystemClock().now_ms()) < 5000


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/", {**SIGNED, **LIST, "Content-Type": JSON}, b"{}"),
        ("POST", "/", {**SIGNED, **LIST, "Content-Type": CBOR}, b"\xa0"),
        ("POST", "/", {**LIST, "Content-Type": JSON}, b"{}"),
        ("POST", "/", {**SIGNED, **LIST, "Content-Type": JSON}, b"junk"),
        ("POST", "/", {"Content-Type": JSON}, b""),
        ("POST", "/any/path?x=1", {}, b""),
        ("GET", "/", {}, b""),
        ("GET", "/", SIGNED, b""),
        ("PUT", "/%ff%00", {}, b"x"),
        ("PATCH", "/", SIGNED, b"x"),
    ],
)
def test_answer_when_anything_is_asked_has_ids_and_an_accurate_date(
    penstock: PenstockServer, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    with Wire(penstock) as wire:
        first, second = (wire.send(method, path, body, headers) for _ in range(2))
    for reply in (first, second):
        assert_identified(reply)
        assert (reply.status == 200) == ("x-amzn-errortype" not in reply.headers)
    assert first.headers["x-amzn-RequestId"] != second.headers["x-amzn-RequestId"]
    assert first.headers["x-amz-id-2"] != second.headers["x-amz-id-2"]


@pytest.mark.parametrize("content_type", [JSON, "application/x-amz-json-1.0", JSON + "; charset=utf-8"])
def test_answer_when_the_request_is_json_has_its_content_type(penstock: PenstockServer, content_type: str) -> None:
    with Wire(penstock) as wire:
        for reply in (
            wire.call("ListStreams", Content_Type=content_type),
            wire.call("DescribeStream", {"StreamName": "nope"}, Content_Type=content_type),
        ):
            assert reply.headers["content-type"] == content_type.split(";")[0]
            assert isinstance(reply.document, dict)


def test_answer_when_the_operation_has_no_output_is_an_empty_200(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        for operation, document in (
            ("CreateStream", {"StreamName": "a", "ShardCount": 1}),
            ("AddTagsToStream", {"StreamName": "a", "Tags": {"k": "v"}}),
            ("IncreaseStreamRetentionPeriod", {"StreamName": "a", "RetentionPeriodHours": 48}),
            ("DeleteStream", {"StreamName": "a"}),
        ):
            reply = wire.call(operation, document)
            assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "0"), operation


@pytest.mark.parametrize(
    ("change", "body", "refusal"),
    [
        ({"X-Amz-Target": "Kinesis_20131202.Nope"}, b"junk", (400, "UnknownOperationException", None)),
        ({"X-Amz-Target": "Nope.ListStreams"}, b"junk", (400, "UnknownOperationException", None)),
        ({"X-Amz-Target": None}, b"{}", (400, "UnknownOperationException", None)),
        ({"Authorization": None}, b"junk", (400, "SerializationException", None)),
        ({"Authorization": None}, b"", (400, "SerializationException", None)),
        (
            {"Authorization": None},
            b'{"Limit":"x"}',
            (400, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        ),
        (
            {"Authorization": "AWS4-HMAC-SHA256 Credential=x"},
            b'{"Limit":"x"}',
            (
                400,
                "IncompleteSignatureException",
                "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders'"
                " parameter. Authorization=AWS4-HMAC-SHA256 Credential=x",
            ),
        ),
        (
            {},
            b'{"Limit":"x","ExclusiveStartStreamName":""}',
            (400, "SerializationException", "class java.lang.String can not be converted to an Integer"),
        ),
        (
            {},
            b'{"Limit":0}',
            (
                400,
                "ValidationException",
                "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint:"
                " Member must have value greater than or equal to 1",
            ),
        ),
    ],
)
def test_refusal_when_several_things_are_wrong_names_the_one_that_aws_checks_first(
    penstock: PenstockServer,
    change: dict[str, str | None],
    body: bytes,
    refusal: tuple[int, str, str | None],
) -> None:
    headers = {**SIGNED, **LIST, "Content-Type": JSON, **change}
    with Wire(penstock) as wire:
        reply = wire.send("POST", "/", body, {name: value for name, value in headers.items() if value is not None})
    assert reply.refusal == refusal


def test_refusal_when_a_type_is_wrong_spells_message_with_a_capital_and_elsewhere_without(
    penstock: PenstockServer,
) -> None:
    with Wire(penstock) as wire:
        assert set(wire.call("ListStreams", {"Limit": "x"}).document) == {"__type", "Message"}
        assert set(wire.call("ListStreams", {"Limit": 0}).document) == {"__type", "message"}
        assert set(wire.call("ListStreams", b"junk").document) == {"__type"}


def test_credentials_when_in_header_and_query_are_refused(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        reply = wire.send("POST", "/?" + QUERY_AUTH, b"{}", {**SIGNED, **LIST, "Content-Type": JSON})
    assert reply.refusal[:2] == (400, "InvalidSignatureException")
    assert str(reply.refusal[2]).startswith("Found both 'X-Amz-Algorithm' as a query-string param")


def test_credentials_when_in_the_query_alone_are_taken(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        assert wire.send("POST", "/?" + QUERY_AUTH, b"{}", {**LIST, "Content-Type": JSON}).status == 200
        half = wire.send("POST", "/?X-Amz-Algorithm=x", b"{}", {**LIST, "Content-Type": JSON})
    assert half.refusal[:2] == (400, "IncompleteSignatureException")
    assert "must include 'X-Amz-Signature'" in str(half.refusal[2])


def test_credentials_when_the_region_or_account_differs_see_other_streams(penstock: PenstockServer) -> None:
    elsewhere = AUTHORIZATION.replace("us-east-1", "eu-west-1")
    other = AUTHORIZATION.replace("test/", "210987654321/")
    with Wire(penstock) as wire:
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        seen = [
            wire.call("ListStreams", Authorization=authorization).document["StreamNames"]
            for authorization in (AUTHORIZATION, elsewhere, other)
        ]
    assert seen == [["a"], [], []]


@pytest.mark.parametrize(
    ("method", "headers", "status", "code"),
    [
        ("GET", {}, 403, "MissingAuthenticationTokenException"),
        ("GET", SIGNED, 403, "AccessDeniedException"),
        ("POST", {}, 403, "MissingAuthenticationTokenException"),
        ("POST", SIGNED, 403, "AccessDeniedException"),
        ("GET", {"Authorization": "x"}, 403, "IncompleteSignatureException"),
        ("POST", {**SIGNED, **LIST}, 404, "UnknownOperationException"),
        ("POST", {**SIGNED, **LIST, "Content-Type": "text/plain"}, 404, "UnknownOperationException"),
    ],
)
def test_refusal_when_the_request_is_no_call_is_bare_xml(
    penstock: PenstockServer, method: str, headers: dict[str, str], status: int, code: str
) -> None:
    with Wire(penstock) as wire:
        reply = wire.send(method, "/", b"", headers)
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (status, code)
    assert reply.body.startswith((f"<{code}>".encode(), f"<{code}/>".encode()))


@pytest.mark.parametrize("asked", ["content-type,x-amz-target", None])
@pytest.mark.parametrize("method", ["POST", None])
def test_preflight_when_a_browser_asks_repeats_what_it_asked_for(
    penstock: PenstockServer, asked: str | None, method: str | None
) -> None:
    wanted = {"Access-Control-Request-Headers": asked, "Access-Control-Request-Method": method}
    headers = {name: value for name, value in wanted.items() if value is not None}
    with Wire(penstock) as wire:
        reply = wire.send("OPTIONS", "/", b"", {"Origin": "http://localhost:3000", **headers})
    assert (reply.status, reply.body) == (200, b"")
    assert UUID.fullmatch(reply.headers["x-amzn-RequestId"])
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-max-age"] == "172800"
    assert reply.headers["access-control-allow-headers"] == asked
    assert reply.headers["access-control-allow-methods"] == method


def test_answer_when_there_is_an_origin_can_be_read_by_the_browser(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        for operation in ("ListStreams", "Nope"):
            headers = wire.call(operation, Origin="http://localhost:3000").headers
            assert headers["access-control-allow-origin"] == "*"
            assert "x-amzn-ErrorType" in headers["access-control-expose-headers"]
        assert "access-control-allow-origin" not in wire.call("ListStreams").headers
