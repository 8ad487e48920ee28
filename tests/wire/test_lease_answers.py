"""How the lease endpoint answers, byte by byte: errors by their full names, details, checksums."""

import json
import zlib
from collections.abc import Iterator

import pytest
from http_calls import Reply, Wire

from penstock.testing import PenstockServer

PREFIX = "DynamoDB_20120810."
KEY = {"k": {"S": "a"}}
LOST = {"ConditionExpression": "attribute_not_exists(k)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with PenstockServer() as server:
        server.client("dynamodb").create_table(
            TableName="app",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        with Wire(server) as opened:
            yield opened


def ask(wire: Wire, operation: str, body: object) -> Reply:
    return wire.call(operation, body, X_Amz_Target=PREFIX + operation, Content_Type="application/x-amz-json-1.0")


def test_answer_when_it_succeeds_or_not_then_its_checksum_is_told(wire: Wire) -> None:
    for operation, body, status in (
        ("PutItem", {"TableName": "app", "Item": KEY}, 200),
        ("GetItem", {"TableName": "app", "Key": KEY}, 200),
        ("GetItem", {"TableName": "none", "Key": KEY}, 400),
        ("GetItem", {"TableName": "app", "Key": 1}, 400),
    ):
        reply = ask(wire, operation, body)
        assert reply.status == status
        assert reply.headers["x-amz-crc32"] == str(zlib.crc32(reply.body))
        assert reply.headers["content-type"] == "application/x-amz-json-1.0"


@pytest.mark.parametrize(
    ("operation", "body", "told"),
    [
        ("GetItem", {"TableName": "none", "Key": KEY}, {
            "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "Requested resource not found"}),
        ("GetItem", {"Key": KEY}, {
            "__type": "com.amazon.coral.validate#ValidationException",
            "message": "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null"}),
        ("GetItem", {"TableName": "app", "Key": 1}, {
            "__type": "com.amazon.coral.service#SerializationException", "Message": None}),
        ("PutItem", {"TableName": "app", "Item": {**KEY, "b": {"B": "AAE="}}, **LOST}, {
            "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
            "message": "The conditional request failed", "Item": {**KEY, "b": {"B": "AAE="}}}),
        ("TransactWriteItems", {"TransactItems": [{"Delete": {"TableName": "app", "Key": KEY, **LOST}}]}, {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed]",
            "CancellationReasons": [{
                "Code": "ConditionalCheckFailed", "Message": "The conditional request failed",
                "Item": {**KEY, "b": {"B": "AAE="}}}]}),
    ],
)  # fmt: skip
def test_refusal_when_it_is_told_then_it_has_its_full_name_and_its_details(
    wire: Wire, operation: str, body: object, told: dict[str, object]
) -> None:
    ask(wire, "PutItem", {"TableName": "app", "Item": {**KEY, "b": {"B": "AAE="}}})
    document = json.loads(ask(wire, operation, body).body)
    if told.get("Message", "") is None:  # of types: worded as everywhere
        assert document["__type"] == told["__type"]
    else:
        assert document == told
