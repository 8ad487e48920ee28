"""What our workers tell KCL's, and what they know of its leader: on a real DynamoDB endpoint, with items as KCL writes them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from penstock.clients.aws import Connection
from penstock.consumer.lease import Lease
from penstock.consumer.position import FROM_OLDEST
from penstock.consumer.stores.dynamodb import LEADER_GONE_S, DynamoDBStore
from penstock.testing import PenstockServer

LEADER = {"ownerName": {"S": "java"}, "leaseDuration": {"S": "120000"}, "recordVersionNumber": {"S": "v1"}}
NOW_S = 1_700_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    with PenstockServer() as running:
        yield running


@pytest.fixture
def table(request: pytest.FixtureRequest) -> str:
    return "".join(letter for letter in request.node.name if letter.isalnum())[-60:]


def play(server: PenstockServer, table: str, scene: Callable[[DynamoDBStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = DynamoDBStore(
            Connection(
                endpoint=server.endpoint_url, region=server.region, access_key_id="test", secret_access_key="test"
            ),
            table,
        )
        await store.open()
        try:
            await scene(store)
        finally:
            await store.close()

    asyncio.run(run())


def make_table(dynamodb: Any, name: str, key: str) -> None:
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_attend_when_no_kcl_is_there_then_nothing_is_written(server: PenstockServer, table: str) -> None:
    async def scene(store: DynamoDBStore) -> None:
        assert not await store.attend("ours", NOW_S)

    play(server, table, scene)
    assert server.client("dynamodb").scan(TableName=table)["Items"] == []


def test_attend_when_kcl_keeps_tables_of_its_own_then_ours_is_in_its_statistics(
    server: PenstockServer, table: str
) -> None:
    dynamodb = server.client("dynamodb")
    make_table(dynamodb, f"{table}-CoordinatorState", "key")
    make_table(dynamodb, f"{table}-WorkerMetricStats", "wid")
    dynamodb.put_item(TableName=f"{table}-CoordinatorState", Item={"key": {"S": "Leader"}, **LEADER})

    async def scene(store: DynamoDBStore) -> None:
        assert await store.attend("ours", NOW_S)

    play(server, table, scene)
    [item] = dynamodb.scan(TableName=f"{table}-WorkerMetricStats")["Items"]
    assert item == {"wid": {"S": "ours"}, "lut": {"N": str(NOW_S)}, "sts": {"M": {}}, "opr": {"M": {}}}


def test_attend_when_kcl_keeps_everything_in_one_table_then_ours_is_there_too(
    server: PenstockServer, table: str
) -> None:
    async def scene(store: DynamoDBStore) -> None:
        leader = {"leaseKey": {"S": "Leader"}, "entityType": {"S": "LEADER_LOCK"}, **LEADER}
        server.client("dynamodb").put_item(TableName=table, Item=leader)
        assert await store.create(Lease(key="shardId-000000000000", checkpoint=FROM_OLDEST))
        assert await store.attend("ours", NOW_S)
        assert [lease.key for lease in await store.leases()] == ["shardId-000000000000"]

    play(server, table, scene)
    item = server.client("dynamodb").get_item(TableName=table, Key={"leaseKey": {"S": "ours"}})["Item"]
    assert item["entityType"] == {"S": "WORKER_METRIC_STATS"}
    assert item["lut"] == {"N": str(NOW_S)}


def test_attend_when_the_leader_is_gone_or_has_left_then_nobody_leads(server: PenstockServer, table: str) -> None:
    dynamodb = server.client("dynamodb")

    async def scene(store: DynamoDBStore) -> None:
        leader = {"leaseKey": {"S": "Leader"}, **LEADER}
        dynamodb.put_item(TableName=table, Item=leader)
        assert await store.attend("ours", NOW_S)
        assert await store.attend("ours", NOW_S + LEADER_GONE_S - 1)
        assert not await store.attend("ours", NOW_S + LEADER_GONE_S)
        dynamodb.put_item(TableName=table, Item={**leader, "recordVersionNumber": {"S": "v2"}})
        assert await store.attend("ours", NOW_S + LEADER_GONE_S)
        dynamodb.put_item(TableName=table, Item={**leader, "isReleased": {"S": "1"}})
        assert not await store.attend("ours", NOW_S + LEADER_GONE_S)

    play(server, table, scene)


def test_table_when_ours_makes_it_then_it_has_the_index_that_kcl_wants(server: PenstockServer, table: str) -> None:
    async def scene(store: DynamoDBStore) -> None:
        made = server.client("dynamodb").describe_table(TableName=table)["Table"]
        [index] = made["GlobalSecondaryIndexes"]
        assert index["IndexName"] == "LeaseOwnerToLeaseKeyIndex"
        assert [part["AttributeName"] for part in index["KeySchema"]] == ["leaseOwner", "leaseKey"]
        assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}

    play(server, table, scene)
