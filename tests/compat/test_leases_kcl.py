"""The lease table as the KCL keeps it: the calls of versions 1 to 3.5, of its lock client and of its migration, in their order."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

Attributes = dict[str, dict[str, Any]]
TABLE = "app"
INDEX = "LeaseOwnerToLeaseKeyIndex"
SHARD = "shardId-000000000000"
KEY = {"leaseKey": {"S": SHARD}}
LEASE: Attributes = {
    **KEY,
    "leaseCounter": {"N": "0"},
    "checkpoint": {"S": "TRIM_HORIZON"},
    "checkpointSubSequenceNumber": {"N": "0"},
    "ownerSwitchesSinceCheckpoint": {"N": "0"},
    "startingHashKey": {"S": "0"},
    "endingHashKey": {"S": str(2**127 - 1)},
    "parentShardId": {"SS": ["shardId-1", "shardId-2"]},
}


@pytest.fixture
def db(penstock: PenstockServer) -> Any:
    return penstock.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture
def leases(db: Any) -> Any:
    """A client, with the lease table and its index, and one lease."""
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        db.describe_table(TableName=TABLE)
    made = db.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=False,
        Tags=[{"Key": "team", "Value": "a"}],
    )["TableDescription"]
    assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    db.get_waiter("table_exists").wait(TableName=TABLE)
    db.update_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("leaseKey", "leaseOwner")],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": INDEX,
                    "KeySchema": [
                        {"AttributeName": "leaseOwner", "KeyType": "HASH"},
                        {"AttributeName": "leaseKey", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            }
        ],
    )
    [index] = db.describe_table(TableName=TABLE)["Table"]["GlobalSecondaryIndexes"]
    assert (index["IndexName"], index["IndexStatus"]) == (INDEX, "ACTIVE")
    db.update_continuous_backups(TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    create(db)
    return db


def create(db: Any, key: str = SHARD, **more: Any) -> None:
    """CreateLeaseIfNotExists."""
    db.put_item(
        TableName=TABLE, Item={**LEASE, "leaseKey": {"S": key}, **more}, Expected={"leaseKey": {"Exists": False}}
    )


def put(value: Attributes | dict[str, Any]) -> dict[str, Any]:
    return {"Action": "PUT", "Value": value}


def add(count: int = 1) -> dict[str, Any]:
    return {"Action": "ADD", "Value": {"N": str(count)}}


def renew(db: Any, counter: int) -> Attributes:
    """RenewLease of 3.x: the counter is as it was read, and no hand-off is under way."""
    answer = db.update_item(
        TableName=TABLE,
        Key=KEY,
        AttributeUpdates={"leaseCounter": put({"N": str(counter + 1)}), "throughputKBps": put({"N": "12.5"})},
        Expected={"leaseCounter": {"Value": {"N": str(counter)}}, "checkpointOwner": {"Exists": False}},
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    return answer.get("Attributes", {})  # type: ignore[no-any-return]


def assign(db: Any, owner: str, before: str | None) -> Attributes:
    """assignLease: to a new owner, from the one that was read."""
    held = {"Exists": False} if before is None else {"Value": {"S": before}}
    answer = db.update_item(
        TableName=TABLE,
        Key=KEY,
        AttributeUpdates={
            "leaseOwner": put({"S": owner}),
            "checkpointOwner": {"Action": "DELETE"},
            "leaseCounter": add(),
            "ownerSwitchesSinceCheckpoint": add(),
        },
        Expected={
            "leaseOwner": held,
            "checkpointOwner": {"Exists": False},
            "leaseKey": {"ComparisonOperator": "NOT_NULL"},
        },
        ReturnValues="ALL_NEW",
    )
    return answer["Attributes"]  # type: ignore[no-any-return]


def get(db: Any) -> Attributes:
    return db.get_item(TableName=TABLE, Key=KEY, ConsistentRead=True)["Item"]  # type: ignore[no-any-return]


def failed(call: Callable[[], object]) -> dict[str, Any]:
    """The answer of a call whose condition fails."""
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    return dict(caught.value.response)


def test_lease_when_it_is_there_then_it_is_not_created_again(leases: Any) -> None:
    before = get(leases)
    assert before == LEASE
    answer = failed(lambda: create(leases, leaseCounter={"N": "9"}))
    assert answer["Error"]["Message"] == "The conditional request failed"
    assert "Item" not in answer
    assert get(leases) == before


def test_lease_when_it_is_assigned_then_renewed_then_the_counter_is_compared_and_set(leases: Any) -> None:
    held = assign(leases, "a", None)
    assert (held["leaseOwner"], held["leaseCounter"], held["ownerSwitchesSinceCheckpoint"]) == (
        {"S": "a"}, {"N": "1"}, {"N": "1"},
    )  # fmt: skip
    assert renew(leases, 1) == {}
    refused = failed(lambda: renew(leases, 1))
    assert refused["Item"] == {**held, "leaseCounter": {"N": "2"}, "throughputKBps": {"N": "12.5"}}
    assert renew(leases, 2) == {}
    failed(lambda: assign(leases, "b", "c"))
    assert assign(leases, "b", "a")["leaseOwner"] == {"S": "b"}


def test_lease_when_it_is_handed_over_then_the_old_owner_learns_it_from_the_failed_renewal(leases: Any) -> None:
    assign(leases, "a", None)
    handed = leases.update_item(
        TableName=TABLE,
        Key=KEY,
        AttributeUpdates={"leaseOwner": put({"S": "b"}), "checkpointOwner": put({"S": "a"})},
        Expected={
            "leaseOwner": {"Value": {"S": "a"}},
            "checkpointOwner": {"Exists": False},
            "leaseKey": {"ComparisonOperator": "NOT_NULL"},
        },
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert (handed["leaseOwner"], handed["checkpointOwner"], handed["leaseCounter"]) == (
        {"S": "b"},
        {"S": "a"},
        {"N": "1"},
    )
    assert failed(lambda: renew(leases, 1))["Item"]["checkpointOwner"] == {"S": "a"}
    leases.update_item(  # the old owner checkpoints ...
        TableName=TABLE,
        Key=KEY,
        AttributeUpdates={
            "checkpoint": put({"S": "4959"}),
            "checkpointSubSequenceNumber": put({"N": "0"}),
            "ownerSwitchesSinceCheckpoint": put({"N": "0"}),
            "pendingCheckpoint": {"Action": "DELETE"},
            "pendingCheckpointState": {"Action": "DELETE"},
            "leaseCounter": put({"N": "2"}),
        },
        Expected={"leaseCounter": {"Value": {"N": "1"}}},
    )
    evicted = leases.update_item(  # ... and lets go
        TableName=TABLE,
        Key=KEY,
        AttributeUpdates={
            "leaseOwner": {"Action": "DELETE"}, "checkpointOwner": {"Action": "DELETE"}, "leaseCounter": add(),
        },
        Expected={"leaseCounter": {"Value": {"N": "2"}}, "checkpointOwner": {"Value": {"S": "a"}}},
        ReturnValues="ALL_NEW",
    )["Attributes"]  # fmt: skip
    assert set(evicted) == set(LEASE)
    assert evicted["checkpoint"] == {"S": "4959"}


def test_lease_when_checkpoints_are_pending_then_bytes_are_kept(leases: Any) -> None:
    leases.update_item(
        TableName=TABLE,
        Key=KEY,
        AttributeUpdates={
            "pendingCheckpoint": put({"S": "4960"}),
            "pendingCheckpointSubSequenceNumber": put({"N": "7"}),
            "pendingCheckpointState": put({"B": b"\x00state"}),
        },
        Expected={"leaseCounter": {"Value": {"N": "0"}}},
    )
    assert get(leases)["pendingCheckpointState"] == {"B": b"\x00state"}


def test_lease_when_its_shard_was_split_then_its_children_are_noted(leases: Any) -> None:
    children = {"SS": ["shardId-000000000002", "shardId-000000000001"]}
    for key, passes in ((KEY, True), ({"leaseKey": {"S": "gone"}}, False)):

        def update(key: Attributes = key) -> None:
            leases.update_item(
                TableName=TABLE,
                Key=key,
                AttributeUpdates={"childShardIds": put(children)},
                Expected={"leaseKey": {"ComparisonOperator": "NOT_NULL"}},
            )

        if passes:
            update()
        else:
            failed(update)
    assert sorted(get(leases)["childShardIds"]["SS"]) == sorted(children["SS"])
    assert "Item" not in leases.get_item(TableName=TABLE, Key={"leaseKey": {"S": "gone"}})


def test_leases_when_they_are_listed_then_scans_and_the_index_find_each_once(leases: Any) -> None:
    keys = {SHARD}
    for number in range(1, 40):
        key = f"shardId-{number:012d}"
        create(leases, key, leaseOwner={"S": f"w{number % 2}"}, streamName={"S": "s"}, entityType={"S": "LEASE"})
        keys.add(key)

    def scanned(**how: Any) -> list[str]:
        pages = leases.get_paginator("scan").paginate(TableName=TABLE, **how)
        return [item["leaseKey"]["S"] for page in pages for item in page["Items"]]

    assert sorted(scanned()) == sorted(keys)
    assert sorted(scanned(ConsistentRead=True, PaginationConfig={"PageSize": 7})) == sorted(keys)
    for total in (1, 3, 10, 32):
        found = [key for segment in range(total) for key in scanned(Segment=segment, TotalSegments=total)]
        assert sorted(found) == sorted(keys)
    assert len(leases.scan(TableName=TABLE, Limit=1)["Items"]) == 1
    assert (
        len(scanned(FilterExpression="streamName = :streamName", ExpressionAttributeValues={":streamName": {"S": "s"}}))
        == 39
    )
    assert (
        scanned(FilterExpression="entityType = :entityType", ExpressionAttributeValues={":entityType": {"S": "LEADER"}})
        == []
    )
    owned = leases.query(
        TableName=TABLE,
        IndexName=INDEX,
        KeyConditionExpression="leaseOwner = :leaseOwner",
        ExpressionAttributeValues={":leaseOwner": {"S": "w1"}},
    )
    assert [set(item) for item in owned["Items"]] == [{"leaseOwner", "leaseKey"}] * 20
    assert [item["leaseKey"]["S"] for item in owned["Items"]] == sorted(f"shardId-{n:012d}" for n in range(1, 40, 2))


def test_leases_when_deleted_then_they_are_gone_and_deleting_again_does_nothing(leases: Any) -> None:
    for _ in range(2):
        leases.delete_item(TableName=TABLE, Key=KEY)
    assert leases.scan(TableName=TABLE)["Items"] == []


def test_leader_lock_when_the_lock_client_holds_it_then_others_wait_for_its_record_version(leases: Any) -> None:
    def lock(owner: str, version: str, condition: str, **values: Any) -> None:
        names = {"#pk": "leaseKey", **({"#rvn": "recordVersionNumber"} if "#rvn" in condition else {}),
                 **({"#ir": "isReleased"} if "#ir" in condition else {})}  # fmt: skip
        leases.put_item(
            TableName=TABLE,
            Item={
                "leaseKey": {"S": "Leader"}, "ownerName": {"S": owner}, "leaseDuration": {"S": "120000"},
                "recordVersionNumber": {"S": version},
            },
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            **({"ExpressionAttributeValues": values} if values else {}),
        )  # fmt: skip

    new = "attribute_not_exists(#pk)"
    lock("a", "1", new)
    failed(lambda: lock("b", "2", new))
    leases.update_item(  # the heartbeat
        TableName=TABLE,
        Key={"leaseKey": {"S": "Leader"}},
        UpdateExpression="SET #ld = :ld, #rvn = :newRvn",
        ConditionExpression="attribute_exists(#pk) AND #rvn = :rvn AND #on = :on",
        ExpressionAttributeNames={
            "#pk": "leaseKey", "#rvn": "recordVersionNumber", "#on": "ownerName", "#ld": "leaseDuration",
        },
        ExpressionAttributeValues={
            ":ld": {"S": "120000"}, ":rvn": {"S": "1"}, ":newRvn": {"S": "2"}, ":on": {"S": "a"},
        },
    )  # fmt: skip
    stale = "attribute_exists(#pk) AND #rvn = :rvn"
    failed(lambda: lock("b", "3", stale, **{":rvn": {"S": "1"}}))
    lock("b", "3", stale, **{":rvn": {"S": "2"}})
    released = "attribute_exists(#pk) AND #ir = :ir"
    failed(lambda: lock("c", "4", released, **{":ir": {"S": "1"}}))
    leases.update_item(
        TableName=TABLE,
        Key={"leaseKey": {"S": "Leader"}},
        UpdateExpression="SET isReleased = :one",
        ExpressionAttributeValues={":one": {"S": "1"}},
    )
    lock("c", "4", released, **{":ir": {"S": "1"}})
    held = leases.get_item(TableName=TABLE, Key={"leaseKey": {"S": "Leader"}}, ConsistentRead=True)["Item"]
    assert (held["ownerName"], held["recordVersionNumber"]) == ({"S": "c"}, {"S": "4"})


def test_worker_metrics_when_the_enhanced_client_writes_them_then_maps_of_lists_are_kept(leases: Any) -> None:
    stats = {"C": {"L": [{"N": "12.5"}, {"N": "-1"}]}}
    answer = leases.update_item(
        TableName=TABLE,
        Key={"leaseKey": {"S": "worker-1"}},
        UpdateExpression="SET #AMZN_MAPPED_sts = :AMZN_MAPPED_sts, #AMZN_MAPPED_lut = :AMZN_MAPPED_lut REMOVE #AMZN_MAPPED_p",
        ExpressionAttributeNames={"#AMZN_MAPPED_sts": "sts", "#AMZN_MAPPED_lut": "lut", "#AMZN_MAPPED_p": "properties"},
        ExpressionAttributeValues={":AMZN_MAPPED_sts": {"M": stats}, ":AMZN_MAPPED_lut": {"N": "1764483000"}},
        ReturnValues="ALL_NEW",
    )
    assert answer["Attributes"] == {"leaseKey": {"S": "worker-1"}, "sts": {"M": stats}, "lut": {"N": "1764483000"}}
    failed(
        lambda: leases.delete_item(
            TableName=TABLE,
            Key={"leaseKey": {"S": "worker-1"}},
            ConditionExpression="#key = :value AND attribute_exists (leaseKey)",
            ExpressionAttributeNames={"#key": "lut"},
            ExpressionAttributeValues={":value": {"N": "1"}},
        )
    )


def test_migration_when_the_leader_moves_entities_then_it_is_one_transaction(leases: Any) -> None:
    def migrate(owner: str) -> None:
        leases.transact_write_items(
            TransactItems=[
                {
                    "ConditionCheck": {
                        "TableName": TABLE,
                        "Key": {"leaseKey": {"S": "Leader"}},
                        "ConditionExpression": "ownerName = :owner",
                        "ExpressionAttributeValues": {":owner": {"S": owner}},
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                },
                {
                    "Put": {
                        "TableName": TABLE,
                        "Item": {"leaseKey": {"S": "TableMigration3.5"}, "status": {"S": "INIT"}},
                    }
                },
                {"Delete": {"TableName": TABLE, "Key": KEY}},
            ]
        )

    leader = {"leaseKey": {"S": "Leader"}, "ownerName": {"S": "a"}}
    leases.put_item(TableName=TABLE, Item=leader)
    with pytest.raises(ClientError) as caught:
        migrate("b")
    response: dict[str, Any] = dict(caught.value.response)
    assert response["Error"] == {
        "Code": "TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed, None, None]",
    }
    assert response["CancellationReasons"] == [
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": leader},
        {"Code": "None"},
        {"Code": "None"},
    ]
    assert get(leases) == LEASE
    migrate("a")
    assert sorted(item["leaseKey"]["S"] for item in leases.scan(TableName=TABLE)["Items"]) == [
        "Leader",
        "TableMigration3.5",
    ]
