"""The lease endpoint through boto3: each operation succeeds, and refuses in DynamoDB's words."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import boto3
import msgspec
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

Refused = Callable[..., tuple[str, str]]
ARN: Final = "arn:aws:dynamodb:us-east-1:123456789012:table/"
VALIDATION: Final = "ValidationException"
BAD: Final = "One or more parameter values were invalid: "
HASH: Final = {"AttributeName": "h", "KeyType": "HASH"}
RANGE: Final = {"AttributeName": "r", "KeyType": "RANGE"}
TYPES: Final = [{"AttributeName": "h", "AttributeType": "S"}, {"AttributeName": "r", "AttributeType": "N"}]


def index(name: str, *keys: dict[str, str], kind: str = "ALL", **projection: Any) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": list(keys), "Projection": {"ProjectionType": kind, **projection}}


def caller(server: PenstockServer) -> Any:
    return server.client("dynamodb", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))


@pytest.fixture
def db(penstock: PenstockServer) -> Any:
    return caller(penstock)


@pytest.fixture
def table(db: Any) -> str:
    """A table `app` with a hash key `h`, a range key `r`, and three indexes."""
    return stock(db)


@pytest.fixture(scope="module")
def standing() -> Iterator[Any]:
    """A client of a server that has that table, for calls that are refused and so change nothing."""
    with PenstockServer() as server:
        db = caller(server)
        stock(db)
        yield db


def stock(db: Any) -> str:
    db.create_table(
        TableName="app",
        KeySchema=[HASH, RANGE],
        AttributeDefinitions=[*TYPES, {"AttributeName": "o", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            index("keys", {**HASH, "AttributeName": "o"}, kind="KEYS_ONLY"),
            index("some", {**HASH, "AttributeName": "o"}, RANGE, kind="INCLUDE", NonKeyAttributes=["x"]),
        ],
        LocalSecondaryIndexes=[index("local", HASH, {**RANGE, "AttributeName": "o"})],
    )
    for number in range(6):
        more = {"o": {"S": "xy"[number % 2]}, "x": {"N": str(number)}, "y": {"S": "y"}}
        db.put_item(TableName="app", Item=item("a", number, **more))
    return "app"


def item(part: str, number: int, **more: Any) -> dict[str, Any]:
    return {"h": {"S": part}, "r": {"N": str(number)}, **more}


def numbers(page: Any) -> list[int]:
    return [int(each["r"]["N"]) for each in page["Items"]]


# Tables


def test_a_table_is_described_as_it_was_made(db: Any, table: str) -> None:
    told = db.describe_table(TableName=table)["Table"]
    assert (told["TableName"], told["TableStatus"], told["TableArn"]) == ("app", "ACTIVE", ARN + "app")
    assert told["KeySchema"] == [HASH, RANGE]
    assert (told["ItemCount"], told["DeletionProtectionEnabled"]) == (6, False)
    assert told["TableSizeBytes"] > 0
    assert {each["IndexName"]: each["Projection"] for each in told["GlobalSecondaryIndexes"]} == {
        "keys": {"ProjectionType": "KEYS_ONLY"}, "some": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
    }  # fmt: skip
    assert [each["ItemCount"] for each in told["LocalSecondaryIndexes"]] == [6]
    assert db.describe_table(TableName=ARN + "app")["Table"]["TableId"] == told["TableId"]


def test_tables_are_listed_by_name_page_by_page_and_apart_by_account_and_region(
    penstock: PenstockServer, db: Any
) -> None:
    for name in ("ccc", "aaa", "bbb"):
        db.create_table(TableName=name, KeySchema=[HASH], AttributeDefinitions=TYPES[:1], BillingMode="PAY_PER_REQUEST")
    assert [page["TableNames"] for page in db.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2})] == [
        ["aaa", "bbb"], ["ccc"],
    ]  # fmt: skip
    assert penstock.client("dynamodb", region_name="eu-west-1").list_tables()["TableNames"] == []
    other = penstock.client("dynamodb", aws_access_key_id="222222222222")
    assert other.list_tables()["TableNames"] == []
    with pytest.raises(ClientError, match="ResourceNotFound"):
        other.get_item(TableName="aaa", Key={"h": {"S": "a"}})


def test_a_table_is_changed_and_deleted(db: Any, table: str, refused: Refused) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    told = db.update_table(TableName=table, BillingMode="PROVISIONED", ProvisionedThroughput=units)["TableDescription"]
    assert {name: told["ProvisionedThroughput"][name] for name in units} == units
    db.update_table(TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "keys"}}])
    db.update_table(TableName=table, DeletionProtectionEnabled=True)
    told = db.describe_table(TableName=table)["Table"]
    assert ([each["IndexName"] for each in told["GlobalSecondaryIndexes"]], told["DeletionProtectionEnabled"]) == (
        ["some"],
        True,
    )
    assert refused(db.delete_table, TableName=table) == (
        VALIDATION, "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
    )  # fmt: skip
    db.update_table(TableName=table, DeletionProtectionEnabled=False)
    assert db.delete_table(TableName=table)["TableDescription"]["TableStatus"] == "DELETING"
    db.get_waiter("table_not_exists").wait(TableName=table)
    assert refused(db.describe_table, TableName=table) == (
        "ResourceNotFoundException", "Requested resource not found: Table: app not found",
    )  # fmt: skip
    db.create_table(TableName=table, KeySchema=[HASH], AttributeDefinitions=TYPES[:1], BillingMode="PAY_PER_REQUEST")
    assert db.scan(TableName=table)["Count"] == 0


def test_transitions_take_their_time_when_they_are_asked_to() -> None:
    with PenstockServer(transition_ms=60_000) as server:
        server.clock.stand()
        db = server.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
        made = {
            "TableName": "app",
            "KeySchema": [HASH],
            "AttributeDefinitions": TYPES[:1],
            "BillingMode": "PAY_PER_REQUEST",
        }

        def status() -> str:
            return str(db.describe_table(TableName="app")["Table"]["TableStatus"])

        def refusal(call: Callable[..., object], **how: Any) -> str:
            with pytest.raises(ClientError) as caught:
                call(**how)
            return str(caught.value.response["Error"]["Message"])

        assert db.create_table(**made)["TableDescription"]["TableStatus"] == status() == "CREATING"
        assert refusal(db.put_item, TableName="app", Item={"h": {"S": "a"}}) == "Requested resource not found"
        assert "Table is being created" in refusal(db.delete_table, TableName="app")
        server.clock.advance(minutes=1)
        assert status() == "ACTIVE"
        db.put_item(TableName="app", Item={"h": {"S": "a"}, "o": {"S": "x"}})
        db.update_table(
            TableName="app",
            AttributeDefinitions=[{"AttributeName": "o", "AttributeType": "S"}],
            GlobalSecondaryIndexUpdates=[{"Create": index("own", {**HASH, "AttributeName": "o"})}],
        )
        assert status() == "UPDATING"
        assert "Cannot read from backfilling" in refusal(db.scan, TableName="app", IndexName="own")
        assert "Table is being updated" in refusal(db.update_table, TableName="app", DeletionProtectionEnabled=True)
        assert db.get_item(TableName="app", Key={"h": {"S": "a"}})["Item"]
        server.clock.advance(minutes=1)
        assert db.scan(TableName="app", IndexName="own")["Count"] == 1
        db.delete_table(TableName="app")
        assert status() == "DELETING"
        assert "Table already exists" in refusal(db.create_table, **made)
        server.clock.advance(minutes=1)
        db.get_waiter("table_not_exists").wait(TableName="app", WaiterConfig={"Delay": 1, "MaxAttempts": 5})


GOOD_TABLE: Final[dict[str, Any]] = {
    "TableName": "new", "KeySchema": [HASH, RANGE], "AttributeDefinitions": TYPES, "BillingMode": "PAY_PER_REQUEST",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"TableName": "ab"}, "TableName must be at least 3 characters long and at most 255 characters long"),
        ({"TableName": "a b"}, "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
        ({"KeySchema": [RANGE, HASH]}, "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
        ({"KeySchema": [HASH, {**RANGE, "KeyType": "HASH"}]}, "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"),
        ({"KeySchema": [HASH, {**RANGE, "AttributeName": "h"}]}, "Both the Hash Key and the Range Key element in the KeySchema have the same name"),
        ({"KeySchema": [HASH]}, BAD + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"),
        ({"AttributeDefinitions": TYPES[:1]}, BAD + "Some index key attributes are not defined in AttributeDefinitions. Keys: [h, r], AttributeDefinitions: [h]"),
        ({"BillingMode": "PROVISIONED"}, BAD + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"),
        ({"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}, BAD + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"),
        ({"GlobalSecondaryIndexes": [index("one", HASH), index("one", HASH)]}, BAD + "Duplicate index name: one"),
        ({"GlobalSecondaryIndexes": [index("one", HASH, kind="INCLUDE")]}, BAD + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"),
        ({"LocalSecondaryIndexes": [index("one", HASH)]}, BAD + "Index KeySchema does not have a range key for index: one"),
        ({"StreamSpecification": {"StreamEnabled": True}}, "StreamSpecification is not supported by Penstock; docs/leases.md lists what is."),
        ({"BillingMode": "FREE"}, "1 validation error detected: Value 'FREE' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"),
    ],
)  # fmt: skip
def test_a_table_that_makes_no_sense_is_refused(
    standing: Any, refused: Refused, change: dict[str, Any], message: str
) -> None:
    code, told = refused(standing.create_table, **{**GOOD_TABLE, **change})
    assert code == VALIDATION
    assert told.endswith(message)
    assert standing.list_tables()["TableNames"] == ["app"]


def test_what_is_told_of_tables_beside_their_items_is_kept(db: Any, table: str, refused: Refused) -> None:
    assert db.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"] == {
        "PointInTimeRecoveryStatus": "DISABLED"}  # fmt: skip
    on = {"PointInTimeRecoveryEnabled": True}
    db.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=on)
    told = db.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert told["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert refused(db.describe_continuous_backups, TableName="none") == (
        "TableNotFoundException",
        "Table not found: none",
    )
    db.tag_resource(ResourceArn=ARN + table, Tags=[{"Key": f"k{n:02}", "Value": str(n)} for n in range(12)])
    db.untag_resource(ResourceArn=ARN + table, TagKeys=["k00"])
    pages = db.get_paginator("list_tags_of_resource").paginate(ResourceArn=ARN + table)
    assert [tag["Key"] for page in pages for tag in page["Tags"]] == [f"k{n:02}" for n in range(1, 12)]
    assert refused(db.tag_resource, ResourceArn=ARN + "none", Tags=[])[0] == "ResourceNotFoundException"
    assert refused(db.tag_resource, ResourceArn="table/none", Tags=[])[0] == VALIDATION
    assert refused(db.tag_resource, ResourceArn=ARN + table, Tags=[{"Key": "aws:x", "Value": ""}])[0] == VALIDATION
    assert db.describe_limits()["TableMaxReadCapacityUnits"] == 40_000
    assert db.describe_endpoints()["Endpoints"][0]["Address"] == "dynamodb.us-east-1.amazonaws.com"


def test_items_expire_when_their_time_is_over(penstock: PenstockServer, db: Any, table: str, refused: Refused) -> None:
    assert db.describe_time_to_live(TableName=table)["TimeToLiveDescription"] == {"TimeToLiveStatus": "DISABLED"}
    setting = {"Enabled": True, "AttributeName": "ttl"}
    db.update_time_to_live(TableName=table, TimeToLiveSpecification=setting)
    assert db.describe_time_to_live(TableName=table)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}  # fmt: skip
    assert refused(db.update_time_to_live, TableName=table, TimeToLiveSpecification=setting) == (
        VALIDATION, "TimeToLive is already enabled")  # fmt: skip
    now_s = penstock.clock.now_ms // 1000
    for number, ttl in enumerate(({"N": str(now_s + 60)}, {"N": str(now_s + 600)}, {"S": "1"}, {"N": "1"})):
        db.put_item(TableName=table, Item=item("ttl", number, ttl=ttl))

    def left() -> list[int]:
        return numbers(
            db.query(TableName=table, KeyConditionExpression="h = :h", ExpressionAttributeValues={":h": {"S": "ttl"}})
        )

    assert left() == [0, 1, 2, 3]
    penstock.clock.advance(minutes=3)
    for _ in range(1000):  # the sweep goes on beside us
        if left() == [1, 2, 3]:
            break
    assert left() == [1, 2, 3]


# Items


def test_the_resource_layer_reads_what_it_wrote(penstock: PenstockServer, db: Any, table: str) -> None:
    resource: Any = boto3.resource(
        "dynamodb", endpoint_url=penstock.endpoint_url, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    handle = resource.Table(table)
    whole = {
        "h": "b", "r": Decimal("1.5"), "n": Decimal("-0.001"), "s": "é", "bin": b"\x00", "yes": True, "nothing": None,
        "ss": {"a", "b"}, "ns": {Decimal(1), Decimal(2)}, "list": [Decimal(1), "x", {"in": []}], "map": {"k": {}}, "empty": "",
    }  # fmt: skip
    with handle.batch_writer() as batch:
        batch.put_item(Item=whole)
        batch.delete_item(Key={"h": "a", "r": 0})
    got = handle.get_item(Key={"h": "b", "r": Decimal("1.5")})["Item"]
    assert {**got, "bin": bytes(got["bin"])} == whole
    page = handle.query(
        KeyConditionExpression=Key("h").eq("a") & Key("r").between(1, 4),
        FilterExpression=Attr("x").gte(2) & ~Attr("x").eq(3),
    )
    assert [int(each["r"]) for each in page["Items"]] == [2, 4]
    assert (page["Count"], page["ScannedCount"]) == (2, 4)


def test_values_returned_are_those_that_were_asked_for(db: Any, table: str, refused: Refused) -> None:
    key = item("v", 1)
    update = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "SET n = :n, m.k = :n",
        "ExpressionAttributeValues": {":n": {"N": "2"}},
    }
    before = {**key, "n": {"N": "1"}, "z": {"S": "z"}, "m": {"M": {"k": {"N": "1"}, "l": {"N": "1"}}}}
    after = {**before, "n": {"N": "2"}, "m": {"M": {"k": {"N": "2"}, "l": {"N": "1"}}}}
    touched = {"n": {"N": "1"}, "m": {"M": {"k": {"N": "1"}}}}
    for asked, expected in (
        ("NONE", None), ("ALL_OLD", before), ("ALL_NEW", after), ("UPDATED_OLD", touched),
        ("UPDATED_NEW", {"n": {"N": "2"}, "m": {"M": {"k": {"N": "2"}}}}),
    ):  # fmt: skip
        db.put_item(TableName=table, Item=before)
        assert db.update_item(**update, ReturnValues=asked).get("Attributes") == expected
    assert db.put_item(TableName=table, Item=before, ReturnValues="ALL_OLD")["Attributes"] == after
    assert refused(db.put_item, TableName=table, Item=before, ReturnValues="ALL_NEW") == (
        VALIDATION,
        "ReturnValues can only be ALL_OLD or NONE",
    )
    assert db.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")["Attributes"] == before
    assert "Attributes" not in db.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")
    used = db.put_item(TableName=table, Item={**key, "big": {"S": "x" * 3000}}, ReturnConsumedCapacity="TOTAL")
    assert used["ConsumedCapacity"] == {"TableName": "app", "CapacityUnits": 3.0}
    got = db.get_item(
        TableName=table,
        Key=key,
        ProjectionExpression="#h, big",
        ExpressionAttributeNames={"#h": "h"},
        ReturnConsumedCapacity="TOTAL",
    )
    assert (set(got["Item"]), got["ConsumedCapacity"]["CapacityUnits"]) == ({"h", "big"}, 0.5)


PUT: Final[dict[str, Any]] = {"TableName": "app", "Item": item("a", 1)}
GET: Final[dict[str, Any]] = {"TableName": "app", "Key": item("a", 1)}
UPDATE: Final[dict[str, Any]] = {
    **GET,
    "UpdateExpression": "SET x = :v",
    "ExpressionAttributeValues": {":v": {"N": "1"}},
}
QUERY: Final[dict[str, Any]] = {
    "TableName": "app",
    "KeyConditionExpression": "h = :h",
    "ExpressionAttributeValues": {":h": {"S": "a"}},
}
SCAN: Final[dict[str, Any]] = {"TableName": "app"}


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        ("put_item", {**PUT, "Item": {"h": {"S": "a"}}}, BAD + "Missing the key r in the item"),
        ("put_item", {**PUT, "Item": {**item("a", 1), "r": {"S": "1"}}}, BAD + "Type mismatch for key r expected: N actual: S"),
        ("put_item", {**PUT, "Item": item("", 1)}, "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: h"),
        ("put_item", {**PUT, "Item": item("x" * 2049, 1)}, BAD + "Size of hashkey has exceeded the maximum size limit of 2048 bytes"),
        ("put_item", {**PUT, "Item": item("a", 1, big={"S": "x" * 409_600})}, "Item size has exceeded the maximum allowed size"),
        ("put_item", {**PUT, "Item": item("a", 1, v={})}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        ("put_item", {**PUT, "Item": item("a", 1, v={"S": "x", "N": "1"})}, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"),
        ("put_item", {**PUT, "Item": item("a", 1, v={"SS": []})}, BAD + "An string set  may not be empty"),
        ("put_item", {**PUT, "Item": item("a", 1, v={"SS": ["a", "a"]})}, BAD + "Input collection [a, a] contains duplicates."),
        ("put_item", {**PUT, "Item": item("a", 1, v={"NS": ["1", "1.0"]})}, "Input collection contains duplicates"),
        ("put_item", {**PUT, "Item": item("a", 1, v={"NULL": False})}, BAD + "Null attribute value types must have the value of true"),
        ("put_item", {**PUT, "Item": item("a", 1, v={"N": "1" * 39})}, "Attempting to store more than 38 significant digits in a Number"),
        ("put_item", {**PUT, "Item": item("a", 1, o={"N": "1"})}, BAD + "Type mismatch for Index Key o Expected: S Actual: N IndexName: local"),
        ("put_item", {**PUT, "Item": item("a", 1, o={"S": ""})}, "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: local, IndexKey: o"),
        ("put_item", {**PUT, "Expected": {"h": {"Exists": False}}, "ConditionExpression": "attribute_exists(h)"}, "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"),
        ("put_item", {**PUT, "Expected": {"h": {}}}, BAD + "Value must be provided when Exists is null for Attribute: h"),
        ("put_item", {**PUT, "Expected": {"h": {"Exists": False, "Value": {"S": "a"}}}}, BAD + "Value cannot be used when Exists is false for Attribute: h"),
        ("put_item", {**PUT, "Expected": {"h": {"ComparisonOperator": "EQ"}}}, BAD + "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: h"),
        ("put_item", {**PUT, "Expected": {"h": {"ComparisonOperator": "LT", "Value": {"BOOL": True}}}}, BAD + "ComparisonOperator LT is not valid for BOOL AttributeValue type"),
        ("put_item", {**PUT, "ExpressionAttributeNames": {"#a": "a"}}, "ExpressionAttributeNames can only be specified when using expressions"),
        ("put_item", {**PUT, "ExpressionAttributeValues": {":a": {"S": "a"}}}, "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null"),
        ("put_item", {**PUT, "ConditionExpression": "x = :v", "ExpressionAttributeValues": {":v": {"N": "x"}}}, "ExpressionAttributeValues contains invalid value: A value provided cannot be converted into a number for key :v"),
        ("put_item", {**PUT, "ReturnValues": "SOME"}, "1 validation error detected: Value 'SOME' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [NONE, ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATED_NEW]"),
        ("get_item", {**GET, "Key": {"h": {"S": "a"}}}, "The provided key element does not match the schema"),
        ("get_item", {**GET, "Key": {**item("a", 1), "x": {"S": "x"}}}, "The provided key element does not match the schema"),
        ("get_item", {**GET, "ProjectionExpression": "a, a.b"}, "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"),
        ("get_item", {**GET, "AttributesToGet": ["a", "a"]}, BAD + "Duplicate value in attribute name: a"),
        ("update_item", {**UPDATE, "UpdateExpression": "SET h = :v"}, BAD + "Cannot update attribute h. This attribute is part of the key"),
        ("update_item", {**UPDATE, "UpdateExpression": "SET x = :v, y = :w"}, "Invalid UpdateExpression: An expression attribute value used in expression is not defined; attribute value: :w"),
        ("update_item", {**UPDATE, "ExpressionAttributeValues": {":v": {"S": "x" * 409_600}}}, "Item size to update has exceeded the maximum allowed size"),
        ("query", SCAN, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."),
        ("query", {**QUERY, "KeyConditionExpression": "r = :h"}, "Query condition missed key schema element: h"),
        ("query", {**QUERY, "KeyConditionExpression": "h > :h"}, "Query key condition not supported"),
        ("query", {**QUERY, "KeyConditionExpression": "h = :h OR h = :h"}, "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: OR"),
        ("query", {**QUERY, "KeyConditionExpression": "h = :h AND h = :h"}, "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"),
        ("query", {**QUERY, "KeyConditionExpression": "h = :h AND r = :h"}, BAD + "Condition parameter type does not match schema type"),
        ("query", {**QUERY, "KeyConditionExpression": "h = :h AND x = :h"}, "Query condition missed key schema element: r"),
        ("query", {**QUERY, "FilterExpression": "r = :h"}, "Filter Expression can only contain non-primary key attributes: Primary key attribute: r"),
        ("query", {**QUERY, "IndexName": "none"}, "The table does not have the specified index: none"),
        ("query", {**QUERY, "KeyConditionExpression": "o = :h", "IndexName": "keys", "ConsistentRead": True}, "Consistent reads are not supported on global secondary indexes"),
        ("query", {**QUERY, "KeyConditionExpression": "o = :h", "IndexName": "keys", "Select": "ALL_ATTRIBUTES"}, BAD + "Select type ALL_ATTRIBUTES is not supported for global secondary index keys because its projection type is not ALL"),
        ("query", {**QUERY, "ExclusiveStartKey": {"h": {"S": "a"}}}, "The provided starting key is invalid: The provided key element does not match the schema"),
        ("query", {**QUERY, "ExclusiveStartKey": item("b", 1)}, "The provided starting key is outside query boundaries based on provided conditions"),
        ("scan", {**SCAN, "Segment": 0}, "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"),
        ("scan", {**SCAN, "TotalSegments": 1}, "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"),
        ("scan", {**SCAN, "TotalSegments": 2, "Segment": 2}, "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 2 is not less than TotalSegments: 2"),
        ("scan", {**SCAN, "Select": "SPECIFIC_ATTRIBUTES"}, "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"),
        ("scan", {**SCAN, "Select": "COUNT", "ProjectionExpression": "x"}, "Cannot specify the ProjectionExpression when choosing to get COUNT"),
        ("scan", {**SCAN, "Limit": 0}, "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"),
        ("scan", {**SCAN, "ConditionalOperator": "OR"}, "ConditionalOperator cannot be used without Filter or Expected"),
        ("batch_get_item", {"RequestItems": {"app": {"Keys": [item("a", 1), item("a", 1)]}}}, "Provided list of item keys contains duplicates"),
        ("batch_get_item", {"RequestItems": {"app": {"Keys": [item("a", n) for n in range(60)]}, ARN + "app": {"Keys": [item("b", n) for n in range(60)]}}}, "Too many items requested for the BatchGetItem call"),
        ("batch_write_item", {"RequestItems": {"app": [{"DeleteRequest": {"Key": item("a", 1)}}, {"PutRequest": {"Item": item("a", 1)}}]}}, "Provided list of item keys contains duplicates"),
        ("transact_write_items", {"TransactItems": [{"Delete": GET}, {"Delete": GET}]}, "Transaction request cannot include multiple operations on one item"),
        ("transact_write_items", {"TransactItems": [{}]}, "TransactItems can only contain one of Check, Put, Update or Delete"),
        ("transact_get_items", {"TransactItems": [{"Get": {**GET, "Key": {"h": {"S": "a"}}}}]}, "The provided key element does not match the schema"),
    ],
)  # fmt: skip
def test_a_call_that_makes_no_sense_is_refused_in_dynamodbs_words(
    standing: Any, refused: Refused, operation: str, arguments: dict[str, Any], message: str
) -> None:
    assert refused(getattr(standing, operation), **arguments) == (VALIDATION, message)
    assert standing.scan(TableName="app", Select="COUNT")["Count"] == 6


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("put_item", PUT), ("get_item", GET), ("update_item", UPDATE), ("delete_item", GET), ("query", QUERY), ("scan", SCAN),
        ("batch_get_item", {"RequestItems": {"app": {"Keys": [item("a", 1)]}}}),
        ("batch_write_item", {"RequestItems": {"app": [{"DeleteRequest": {"Key": item("a", 1)}}]}}),
        ("transact_write_items", {"TransactItems": [{"Delete": GET}]}), ("transact_get_items", {"TransactItems": [{"Get": GET}]}),
    ],
)  # fmt: skip
def test_items_of_a_table_that_is_not_there_are_not_found(
    standing: Any, refused: Refused, operation: str, arguments: dict[str, Any]
) -> None:
    elsewhere = msgspec.json.decode(msgspec.json.encode(arguments).replace(b'"app"', b'"none"'))
    assert refused(getattr(standing, operation), **elsewhere) == (
        "ResourceNotFoundException", "Requested resource not found",
    )  # fmt: skip


def test_queries_and_scans_answer_what_was_asked_for(db: Any, table: str) -> None:
    assert numbers(db.query(**QUERY)) == [0, 1, 2, 3, 4, 5]
    assert numbers(db.query(**QUERY, ScanIndexForward=False, Limit=2)) == [5, 4]
    legacy = {"h": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}
    between = {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}, {"N": "3"}]}
    assert numbers(db.query(TableName=table, KeyConditions={**legacy, "r": between})) == [1, 2, 3]
    odd = {"x": {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "1"}, {"N": "5"}]}}
    assert numbers(db.query(TableName=table, KeyConditions=legacy, QueryFilter=odd)) == [1, 5]
    assert numbers(db.scan(TableName=table, ScanFilter=odd)) == [1, 5]
    either = {**odd, "y": {"ComparisonOperator": "NE", "AttributeValueList": [{"S": "y"}]}}
    assert numbers(db.scan(TableName=table, ScanFilter=either, ConditionalOperator="OR")) == [1, 5]
    counted = db.scan(
        TableName=table, Select="COUNT", FilterExpression="x > :x", ExpressionAttributeValues={":x": {"N": "3"}}
    )
    assert (counted["Count"], counted["ScannedCount"], "Items" in counted) == (2, 6, False)
    owned = {**QUERY, "KeyConditionExpression": "o = :h", "ExpressionAttributeValues": {":h": {"S": "x"}}}
    assert [set(each) for each in db.query(**owned, IndexName="keys")["Items"]] == [{"h", "r", "o"}] * 3
    assert [set(each) for each in db.query(**owned, IndexName="some")["Items"]] == [{"h", "r", "o", "x"}] * 3
    local = {
        **QUERY,
        "KeyConditionExpression": "h = :h AND begins_with(o, :o)",
        "ExpressionAttributeValues": {":h": {"S": "a"}, ":o": {"S": "y"}},
    }
    assert numbers(db.query(**local, IndexName="local", ConsistentRead=True)) == [1, 3, 5]
    used = db.query(**QUERY, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert used == {"TableName": "app", "CapacityUnits": 0.5}


def test_a_page_ends_at_a_megabyte(db: Any, table: str) -> None:
    for number in range(5):
        db.put_item(TableName=table, Item=item("big", number, v={"S": "x" * 300_000}))
    ask = {**QUERY, "ExpressionAttributeValues": {":h": {"S": "big"}}}
    first = db.query(**ask)
    assert (numbers(first), first["LastEvaluatedKey"]) == ([0, 1, 2, 3], item("big", 3))
    assert numbers(db.query(**ask, ExclusiveStartKey=first["LastEvaluatedKey"])) == [4]
    keys = [item("big", number) for number in range(5)]
    assert len(db.batch_get_item(RequestItems={table: {"Keys": keys}})["Responses"][table]) == 5


def test_a_transaction_is_carried_out_once_for_each_token(
    penstock: PenstockServer, db: Any, table: str, refused: Refused
) -> None:
    def add(token: str, count: str = "1") -> Any:
        update = {
            **GET,
            "Key": item("t", 1),
            "UpdateExpression": "ADD n :n",
            "ExpressionAttributeValues": {":n": {"N": count}},
        }
        return db.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken=token)

    for token in ("one", "one", "two"):
        add(token)
    [got] = db.transact_get_items(TransactItems=[{"Get": {**GET, "Key": item("t", 1)}}])["Responses"]
    assert got["Item"]["n"] == {"N": "2"}
    assert refused(add, token="one", count="5")[0] == "IdempotentParameterMismatchException"
    penstock.clock.advance(minutes=11)
    add("one")
    assert db.get_item(TableName=table, Key=item("t", 1))["Item"]["n"] == {"N": "3"}


def test_a_transaction_that_is_refused_tells_the_reason_of_each_part(db: Any, table: str) -> None:
    def part(number: int, **more: Any) -> dict[str, Any]:
        return {
            "Update": {
                **GET,
                "Key": item("a", number),
                "UpdateExpression": "SET z = y + :n",
                "ExpressionAttributeValues": {":n": {"N": "1"}},
                **more,
            }
        }

    with pytest.raises(ClientError) as caught:
        db.transact_write_items(
            TransactItems=[part(1), {"Delete": {**GET, "Key": item("a", 2)}}, part(3, ConditionExpression="x = :n")]
        )
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["ValidationError", "None", "ConditionalCheckFailed"]
    assert reasons[0]["Message"] == "An operand in the update expression has an incorrect data type"
    assert db.scan(TableName=table)["Count"] == 6


def test_memory_is_bounded_and_deleting_makes_room() -> None:
    with PenstockServer(lease_memory=1 << 20) as server:
        db = server.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
        db.create_table(**GOOD_TABLE)

        def put(number: int) -> None:
            db.put_item(TableName="new", Item=item("a", number, v={"S": "x" * 300_000}))

        for number in range(3):
            put(number)
        with pytest.raises(ClientError, match=r"ItemCollectionSizeLimitExceeded.*--lease-memory"):
            put(3)
        db.delete_item(TableName="new", Key=item("a", 0))
        put(3)
