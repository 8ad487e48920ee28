"""Routing: which operation and protocol a head is for, and how what is no call is refused."""

import asyncio

import pytest

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.host.apimodels import load_model
from penstock.wire.operation import Input, Operation, Service
from penstock.wire.route import FORM_FIELDS_MAX, Address, Entry, Head, Route, Router, answer_protocol

JSON = "application/x-amz-json-1.1"
CBOR = "application/x-amz-cbor-1.1"
FORM = "application/x-www-form-urlencoded"
TARGET = "Kinesis_20131202.ListStreams"


async def handler(caller: Caller, request: object) -> None:
    """An operation that does nothing."""


def service(model_name: str, *operations: str) -> Service:
    model = load_model(model_name)
    return Service(model, {name: Operation(model.operations[name], handler, Input) for name in operations})


def entry(of: Service) -> Entry:
    async def opened() -> Service:
        return of

    return Entry(Address.of(of.model), opened)


def router(*entries: Entry) -> Router:
    """A router whose services are open."""
    for each in entries:
        asyncio.run(each.open())
    return Router(entries)


ROUTER = router(entry(service("kinesis", "ListStreams")), entry(service("sts", "GetCallerIdentity")))


def routed(of: Head, body: bytes = b"") -> Route:
    found = ROUTER.route(of, body)
    assert isinstance(found, Route)
    return found


def head(
    content_type: str = "", target: str = "", method: str = "POST", query: dict[str, str] | None = None, path: str = "/"
) -> Head:
    headers = {"content-type": content_type, "x-amz-target": target}
    return Head(method, path, query or {}, {name: value for name, value in headers.items() if value}, ())


def refusal(of: Head, body: bytes = b"") -> tuple[str, int]:
    with pytest.raises(ServiceError) as caught:
        ROUTER.route(of, body)
    return caught.value.code, caught.value.status


@pytest.mark.parametrize(
    ("content_type", "protocol", "answered"),
    [
        (JSON, "json", JSON),
        ("application/x-amz-json-1.0", "json", "application/x-amz-json-1.0"),
        (CBOR, "cbor", CBOR),
        (JSON + "; charset=utf-8", "json", JSON),
        ("  " + CBOR.upper() + " ;x", "cbor", CBOR),
    ],
)
def test_route_when_the_target_is_known_names_operation_and_protocol(
    content_type: str, protocol: str, answered: str
) -> None:
    route = routed(head(content_type, TARGET, path="/any/path"))
    assert (route.protocol, route.content_type, route.operation.model.name) == (protocol, answered, "ListStreams")


@pytest.mark.parametrize(
    ("content_type", "target", "code"),
    [
        (JSON, "Kinesis_20131202.Nope", "UnknownOperationException"),
        (JSON, "Kinesis_20131202.", "UnknownOperationException"),
        (JSON, "Kinesis_20131202.liststreams", "UnknownOperationException"),
        (JSON, "Kinesis_20131202.ListStreams ", "UnknownOperationException"),
        (JSON, "Kinesis_20131202", "UnknownOperationException"),
        (JSON, "ListStreams", "UnknownOperationException"),
        (JSON, ".ListStreams", "UnknownOperationException"),
        (JSON, "Kinesis_20131203.ListStreams", "UnknownOperationException"),
        (JSON, "a.Kinesis_20131202.ListStreams", "UnknownOperationException"),
        (JSON, "DynamoDB_20120810.ListTables", "UnknownOperationException"),
        (JSON, "", "UnknownOperationException"),
        (CBOR, "", "UnknownOperationException"),
        ("", TARGET, "UnknownOperationException"),
        ("application/json", TARGET, "UnknownOperationException"),
        ("text/plain", TARGET, "UnknownOperationException"),
        ("application/x-amz-json-1.2", TARGET, "UnknownOperationException"),
        (FORM, TARGET, "UnknownOperationException"),
        ("", "", "AccessDeniedException"),
        ("application/json", "", "AccessDeniedException"),
    ],
)
def test_route_when_target_or_content_type_is_odd_is_refused(content_type: str, target: str, code: str) -> None:
    assert refusal(head(content_type, target))[0] == code


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"])
def test_route_when_the_method_is_not_post_is_no_call(method: str) -> None:
    assert refusal(head(JSON, TARGET, method)) == ("AccessDeniedException", 403)


def test_route_when_the_model_knows_the_operation_but_we_do_not_says_where_to_look() -> None:
    with pytest.raises(ServiceError) as caught:
        ROUTER.route(head(JSON, "Kinesis_20131202.SubscribeToShard"), b"")
    assert caught.value.code == "UnknownOperationException"
    assert caught.value.message == "SubscribeToShard is not implemented by Penstock; docs/parity.md lists what is."


@pytest.mark.parametrize(
    ("request_head", "body"),
    [
        (head(FORM), b"Action=GetCallerIdentity&Version=2011-06-15"),
        (head(FORM + "; charset=utf-8"), b"Version=2011-06-15&Action=GetCallerIdentity&x=%zz"),
        (head("", "", "GET", {"Action": "GetCallerIdentity", "Version": "2011-06-15"}), b""),
        (head(FORM, "", "POST", {"Action": "GetCallerIdentity"}), b"Version=2011-06-15"),
    ],
)
def test_route_when_a_form_names_action_and_version_is_the_query_protocol(request_head: Head, body: bytes) -> None:
    route = routed(request_head, body)
    assert (route.protocol, route.content_type, route.operation.model.name) == (
        "query",
        "text/xml",
        "GetCallerIdentity",
    )
    assert route.form["Version"] == "2011-06-15"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "AccessDeniedException"),
        (b"Action=GetCallerIdentity", "AccessDeniedException"),
        (b"Action=GetCallerIdentity&Version=2012-01-01", "AccessDeniedException"),
        (b"Action=ListStreams&Version=2013-12-02", "AccessDeniedException"),
        (b"\xff\xfe", "SerializationException"),
        (b"&".join([b"a=1"] * (FORM_FIELDS_MAX + 1)), "SerializationException"),
        (b"&" * 10**6, "SerializationException"),
    ],
    ids=["empty", "no version", "version", "service", "not utf-8", "fields", "separators"],
)
def test_route_when_a_form_is_no_call_is_refused(body: bytes, code: str) -> None:
    assert refusal(head(FORM), body)[0] == code


def test_route_when_a_forms_operation_is_not_implemented_then_it_is_refused_when_it_is_carried_out() -> None:
    route = routed(head(FORM), b"Action=AssumeRole&Version=2011-06-15")
    assert (route.protocol, route.action) == ("query", "sts:AssumeRole")

    async def carry_out() -> None:
        await route.operation.handler(Caller(AccountId("1"), Region("r"), "k", route.action), None)

    with pytest.raises(ServiceError, match="AssumeRole is not implemented by Penstock"):
        asyncio.run(carry_out())


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [(JSON, ("json", JSON)), (CBOR + ";x", ("cbor", CBOR)), (FORM, ("none", "")), ("", ("none", ""))],
)
def test_answer_protocol_when_there_is_no_route_follows_the_content_type(
    content_type: str, expected: tuple[str, str]
) -> None:
    assert answer_protocol(head(content_type)) == expected


RPC = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
METRICS = "GraniteServiceVersion20100801"


@pytest.mark.parametrize(
    ("model", "operation", "request_head", "body"),
    [
        ("kinesis", "ListStreams", head(JSON, TARGET), b""),
        ("cloudwatch", "ListMetrics", Head("POST", f"/service/{METRICS}/operation/ListMetrics", {}, RPC, ()), b""),
        ("sts", "GetCallerIdentity", head(FORM), b"Action=GetCallerIdentity&Version=2011-06-15"),
    ],
)
def test_route_when_the_service_is_not_open_then_it_is_named_and_known_once_it_is(
    model: str, operation: str, request_head: Head, body: bytes
) -> None:
    closed = entry(service(model, operation))
    one = Router([closed])
    assert one.route(request_head, body) is closed
    asyncio.run(closed.open())
    found = one.route(request_head, body)
    assert isinstance(found, Route)
    assert found.operation.model.name == operation


def test_entry_when_its_opening_fails_then_the_next_try_begins_anew() -> None:
    full = iter([True, False])

    async def opening() -> Service:
        if next(full):
            raise OSError("no room")
        return service("kinesis", "ListStreams")

    kinesis = Entry(Address("Kinesis_20131202"), opening)
    with pytest.raises(OSError, match="no room"):
        asyncio.run(kinesis.open())
    assert kinesis.service is None
    asyncio.run(kinesis.open())
    assert kinesis.service is not None
