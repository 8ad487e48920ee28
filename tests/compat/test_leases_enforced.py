"""The lease endpoint with `--auth enforced`: every table, index and part of a batch or transaction is asked for."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

TABLE: Final = "arn:aws:dynamodb:us-east-1:123456789012:table/"
KEY: Final = {"k": {"S": "a"}}
OWNER: Final = {
    "IndexName": "by-owner",
    "KeySchema": [{"AttributeName": "o", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    with PenstockServer(auth="enforced") as started:
        for name in ("mine", "other"):
            started.client("dynamodb").create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in "ko"],
                GlobalSecondaryIndexes=[OWNER],
                BillingMode="PAY_PER_REQUEST",
            )
        yield started


@pytest.fixture(scope="module")
def worker(server: PenstockServer) -> Any:
    """A user who may do everything with `mine` but delete, read its index, and see its tags only where they say so."""
    iam = server.client("iam")
    iam.create_user(UserName="worker")
    statements = [
        {"Effect": "Allow", "Action": "dynamodb:*", "Resource": TABLE + "mine"},
        {"Effect": "Deny", "Action": "dynamodb:DeleteItem", "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="worker", PolicyName="own", PolicyDocument=document)
    made = iam.create_access_key(UserName="worker")["AccessKey"]
    return server.client(
        "dynamodb", config=Config(retries={"total_max_attempts": 1}),
        aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"],
    )  # fmt: skip


def denied(call: Callable[..., object], **how: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**how)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    return str(caught.value.response["Error"]["Message"])


def test_calls_when_a_policy_allows_the_table_then_they_are_carried_out(worker: Any) -> None:
    worker.put_item(TableName="mine", Item={**KEY, "o": {"S": "x"}})
    assert worker.get_item(TableName=TABLE + "mine", Key=KEY)["Item"]["o"] == {"S": "x"}
    assert worker.scan(TableName="mine")["Count"] == 1
    worker.batch_write_item(RequestItems={"mine": [{"PutRequest": {"Item": KEY}}]})
    worker.transact_write_items(TransactItems=[{"Put": {"TableName": "mine", "Item": KEY}}])


def test_calls_when_no_policy_allows_the_table_then_they_are_denied_whether_it_is_there_or_not(worker: Any) -> None:
    for name in ("other", "none"):
        told = denied(worker.get_item, TableName=name, Key=KEY)
        assert told.startswith(
            "User: arn:aws:iam::123456789012:user/worker is not authorized to perform: dynamodb:GetItem"
        )
        assert TABLE + name in told
    assert "dynamodb:ListTables" in denied(worker.list_tables)
    assert TABLE + "mine/index/by-owner" in denied(worker.scan, TableName="mine", IndexName="by-owner")
    assert "dynamodb:CreateTable" in denied(
        worker.create_table, TableName="new", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )  # fmt: skip
    assert "dynamodb:TagResource" in denied(worker.tag_resource, ResourceArn=TABLE + "other", Tags=[])


def test_batches_and_transactions_when_one_part_is_denied_then_nothing_is_done(
    server: PenstockServer, worker: Any
) -> None:
    put = {"PutRequest": {"Item": {"k": {"S": "late"}}}}
    assert "dynamodb:BatchWriteItem" in denied(worker.batch_write_item, RequestItems={"mine": [put], "other": [put]})
    assert "dynamodb:BatchGetItem" in denied(worker.batch_get_item, RequestItems={"other": {"Keys": [KEY]}})
    parts: list[dict[str, Any]] = [{"Put": {"TableName": "mine", "Item": {"k": {"S": "late"}}}}]
    told = denied(worker.transact_write_items, TransactItems=[*parts, {"Delete": {"TableName": "mine", "Key": KEY}}])
    assert "dynamodb:DeleteItem" in told
    assert "explicit deny" in told
    check = {"TableName": "other", "Key": KEY, "ConditionExpression": "attribute_exists(k)"}
    assert "dynamodb:ConditionCheckItem" in denied(
        worker.transact_write_items, TransactItems=[*parts, {"ConditionCheck": check}]
    )
    assert "dynamodb:GetItem" in denied(
        worker.transact_get_items, TransactItems=[{"Get": {"TableName": "other", "Key": KEY}}]
    )
    assert "Item" not in server.client("dynamodb").get_item(TableName="mine", Key={"k": {"S": "late"}})


def test_tables_of_another_account_when_named_by_arn_are_not_for_us(server: PenstockServer, worker: Any) -> None:
    other = "arn:aws:dynamodb:us-east-1:222222222222:table/mine"
    denied(worker.get_item, TableName=other, Key=KEY)
    denied(server.client("dynamodb").get_item, TableName=other, Key=KEY)
