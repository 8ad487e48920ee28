"""The data catalog through boto3, and through pyiceberg's catalog on Glue."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

Refused = Callable[..., tuple[str, str]]
TABLE: dict[str, Any] = {
    "Name": "Events",
    "TableType": "EXTERNAL_TABLE",
    "Parameters": {"classification": "parquet"},
    "PartitionKeys": [{"Name": "day", "Type": "date"}],
    "StorageDescriptor": {
        "Columns": [{"Name": "id", "Type": "bigint", "Comment": "c"}, {"Name": "tags", "Type": "array<string>"}],
        "Location": "s3://bucket/events/",
        "SerdeInfo": {"Name": "parquet", "SerializationLibrary": "org.apache.Parquet", "Parameters": {"a": "1"}},
        "SortColumns": [{"Column": "id", "SortOrder": 1}],
    },
}


@pytest.fixture
def glue(penstock: PenstockServer) -> Any:
    client = penstock.client("glue", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))
    client.create_database(DatabaseInput={"Name": "Sales", "Description": "d"}, Tags={"team": "a"})
    return client


@pytest.fixture
def events(glue: Any) -> dict[str, Any]:
    """The table of these tests, which is made."""
    glue.create_table(DatabaseName="sales", TableInput=TABLE)
    return found(glue)


def found(glue: Any) -> dict[str, Any]:
    table: dict[str, Any] = glue.get_table(DatabaseName="sales", Name="events")["Table"]
    return table


def test_a_database_is_told_as_it_was_made_under_a_folded_name(glue: Any, refused: Refused) -> None:
    database = glue.get_database(Name="SALES")["Database"]
    assert (database["Name"], database["Description"], database["CatalogId"]) == ("sales", "d", "123456789012")
    assert refused(glue.create_database, DatabaseInput={"Name": "sALES"}) == (
        "AlreadyExistsException",
        "Database already exists.",
    )
    glue.update_database(Name="sales", DatabaseInput={"Name": "sales", "LocationUri": "s3://b/"})
    database = glue.get_database(Name="sales")["Database"]
    assert "Description" not in database
    assert database["LocationUri"] == "s3://b/"
    glue.delete_database(Name="sales")
    assert refused(glue.get_database, Name="sales") == ("EntityNotFoundException", "Database sales not found.")


def test_databases_are_listed_in_pages_of_their_own_account_and_region(penstock: PenstockServer, glue: Any) -> None:
    for name in ("c", "b", "a"):
        glue.create_database(DatabaseInput={"Name": name})
    pages = list(glue.get_paginator("get_databases").paginate(PaginationConfig={"PageSize": 3}))
    assert [[row["Name"] for row in page["DatabaseList"]] for page in pages] == [["a", "b", "c"], ["sales"]]
    assert penstock.client("glue", region_name="eu-west-1").get_databases()["DatabaseList"] == []
    other = penstock.client("glue", aws_access_key_id="222222222222")
    assert other.get_databases()["DatabaseList"] == []
    assert len(other.get_databases(CatalogId="123456789012")["DatabaseList"]) == 4


def test_a_table_is_told_as_it_was_made(events: dict[str, Any]) -> None:
    filled = {"Compressed": False, "NumberOfBuckets": 0, "StoredAsSubDirectories": False}
    told = {**TABLE, "Name": "events", "StorageDescriptor": {**TABLE["StorageDescriptor"], **filled}}
    assert {name: events[name] for name in TABLE} == told
    assert (events["DatabaseName"], events["VersionId"], events["CatalogId"]) == ("sales", "0", "123456789012")


def test_a_table_has_versions_and_the_newest_is_told_first(glue: Any, events: dict[str, Any], refused: Refused) -> None:
    for owner in ("a", "b"):
        glue.update_table(DatabaseName="sales", TableInput={**TABLE, "Owner": owner})
    glue.update_table(DatabaseName="sales", TableInput={**TABLE, "Owner": "c"}, SkipArchive=True)
    versions = glue.get_table_versions(DatabaseName="sales", TableName="events")["TableVersions"]
    assert [(row["VersionId"], row["Table"].get("Owner")) for row in versions] == [("3", "c"), ("1", "a"), ("0", None)]
    old = glue.get_table_version(DatabaseName="sales", TableName="EVENTS", VersionId="1")["TableVersion"]
    assert old["Table"]["Owner"] == "a"
    glue.delete_table_version(DatabaseName="sales", TableName="events", VersionId="1")
    asked = {"DatabaseName": "sales", "TableName": "events"}
    for version in ("1", "2", "x", "-1", "99999999999999999999"):
        refused(glue.get_table_version, **asked, VersionId=version)
    assert refused(glue.delete_table_version, **asked, VersionId="3")[0] == "InvalidInputException"
    errors = glue.batch_delete_table_version(**asked, VersionIds=["0", "1"])["Errors"]
    assert [row["VersionId"] for row in errors] == ["1"]
    assert events["VersionId"] == "0"


def test_an_update_on_top_of_another_version_is_refused(glue: Any, events: dict[str, Any], refused: Refused) -> None:
    glue.update_table(DatabaseName="sales", TableInput=TABLE, VersionId=events["VersionId"])
    assert refused(glue.update_table, DatabaseName="sales", TableInput=TABLE, VersionId="0") == (
        "ConcurrentModificationException",
        "Update table failed due to concurrent modifications.",
    )


def test_of_updates_that_meet_none_is_lost(penstock: PenstockServer, glue: Any, events: dict[str, Any]) -> None:
    """Each thread tries until its update is taken; the versions count them all."""

    def work() -> None:
        client = penstock.client("glue", config=Config(retries={"total_max_attempts": 1}))
        for _ in range(5):
            while True:
                try:
                    client.update_table(DatabaseName="sales", TableInput=TABLE, VersionId=found(client)["VersionId"])
                except client.exceptions.ConcurrentModificationException:
                    continue
                break

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found(glue)["VersionId"] == "15"
    assert len(glue.get_table_versions(DatabaseName="sales", TableName="events")["TableVersions"]) == 16


@pytest.mark.parametrize(
    ("expression", "names"),
    [("a.*", ["a1", "a2"]), ("a*", ["a1", "a2"]), ("*1", ["a1", "b1"]), ("A1|B1", ["a1", "b1"]), ("1", [])],
)
def test_tables_are_listed_by_expression(glue: Any, expression: str, names: list[str]) -> None:
    for name in ("b1", "a2", "a1"):
        glue.create_table(DatabaseName="sales", TableInput={"Name": name})
    assert [row["Name"] for row in glue.get_tables(DatabaseName="sales", Expression=expression)["TableList"]] == names


def test_a_table_that_is_gone_takes_its_versions_along(glue: Any, events: dict[str, Any], refused: Refused) -> None:
    glue.update_table(DatabaseName="sales", TableInput=TABLE)
    errors = glue.batch_delete_table(DatabaseName="sales", TablesToDelete=["events", "none"])["Errors"]
    assert [(row["TableName"], row["ErrorDetail"]["ErrorCode"]) for row in errors] == [
        ("none", "EntityNotFoundException")
    ]
    assert refused(glue.get_table, DatabaseName="sales", Name="events") == (
        "EntityNotFoundException",
        "Entity Not Found",
    )
    glue.create_table(DatabaseName="sales", TableInput=TABLE)
    assert len(glue.get_table_versions(DatabaseName="sales", TableName="events")["TableVersions"]) == 1
    glue.delete_database(Name="sales")
    glue.create_database(DatabaseInput={"Name": "sales"})
    assert glue.get_tables(DatabaseName="sales")["TableList"] == []
    assert events


def test_what_cannot_be_is_refused(glue: Any, events: dict[str, Any], refused: Refused) -> None:
    table = {"DatabaseName": "sales", "TableInput": TABLE}
    assert refused(glue.create_table, **table) == ("AlreadyExistsException", "Table already exists.")
    assert refused(glue.create_table, **{**table, "DatabaseName": "x"})[1] == "Database x not found."
    assert refused(glue.update_table, **{**table, "TableInput": {"Name": "x"}})[1] == "Table x not found."
    assert refused(glue.create_table, DatabaseName="sales")[0] == "InvalidInputException"
    assert refused(glue.get_tables, DatabaseName="sales", Expression="(")[0] == "InvalidInputException"
    assert refused(glue.get_tables, DatabaseName="sales", NextToken="é")[0] == "InvalidInputException"
    assert refused(glue.get_databases, CatalogId="mine")[0] == "InvalidInputException"
    assert refused(glue.update_database, Name="sales", DatabaseInput={"Name": "b"})[0] == "InvalidInputException"
    late = {"DatabaseName": "sales", "TableInput": {"Name": "t", "LastAccessTime": -1}}
    assert refused(glue.create_table, **late)[0] == "InvalidInputException"
    assert refused(glue.get_table, DatabaseName="sales", Name="x" * 256)[0] == "ValidationException"
    assert events


def test_tags_and_indexes_are_told_to_terraform(glue: Any, refused: Refused) -> None:
    arn = "arn:aws:glue:us-east-1:123456789012:database/sales"
    glue.tag_resource(ResourceArn=arn, TagsToAdd={"stage": "b"})
    glue.untag_resource(ResourceArn=arn, TagsToRemove=["team"])
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"stage": "b"}
    assert refused(glue.get_tags, ResourceArn="arn:aws:glue:us-east-1:123456789012:x/y")[0] == "InvalidInputException"
    glue.create_table(
        DatabaseName="sales", TableInput=TABLE, PartitionIndexes=[{"Keys": ["day"], "IndexName": "by-day"}]
    )
    [index] = glue.get_partition_indexes(DatabaseName="sales", TableName="events")["PartitionIndexDescriptorList"]
    assert (index["IndexName"], index["Keys"], index["IndexStatus"]) == (
        "by-day",
        [{"Name": "day", "Type": "date"}],
        "ACTIVE",
    )


def test_terraform_finds_its_table_as_it_made_it_and_sees_no_difference(glue: Any, refused: Refused) -> None:
    """What the provider sends for aws_glue_catalog_table, zero values and all, and reads back into its state."""
    described = {
        "Columns": [{"Name": "id", "Type": "int", "Comment": ""}],
        "Location": "s3://b/t",
        "Compressed": False,
        "InputFormat": "",
        "OutputFormat": "",
        "NumberOfBuckets": -1,
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": {},
        "StoredAsSubDirectories": False,
        "SerdeInfo": {"Parameters": {}},
        "SkewedInfo": {
            "SkewedColumnNames": [],
            "SkewedColumnValues": [],
            "SkewedColumnValueLocationMaps": {},
        },
    }
    table = {"Name": "t", "Retention": 0, "StorageDescriptor": described, "PartitionKeys": [], "Parameters": {"k": "v"}}
    account = {"CatalogId": "123456789012", "DatabaseName": "sales"}
    assert refused(glue.get_table, **account, Name="t")[0] == "EntityNotFoundException"
    glue.create_table(**account, TableInput=table)
    for owner in (None, "me"):
        read = glue.get_table(**account, Name="t")["Table"]
        assert {name: read[name] for name in table} == table
        assert read.get("Owner") == owner
        assert glue.get_partition_indexes(**account, TableName="t")["PartitionIndexDescriptorList"] == []
        glue.update_table(**account, TableInput={**table, "Owner": "me"})
    glue.delete_table(**account, Name="t")
    assert refused(glue.delete_table, **account, Name="t") == ("EntityNotFoundException", "Table t not found.")


def test_a_catalog_outlives_its_server(tmp_path: Path) -> None:
    for start in range(2):
        with PenstockServer(data_dir=str(tmp_path), engine="local") as server:
            glue = server.client("glue")
            if not start:
                glue.create_database(DatabaseInput={"Name": "sales"})
                glue.create_table(DatabaseName="sales", TableInput=TABLE)
            assert found(glue)["StorageDescriptor"]["Columns"] == TABLE["StorageDescriptor"]["Columns"]


def test_pyiceberg_keeps_its_tables_in_the_catalog(penstock: PenstockServer, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyiceberg.catalog.glue import GlueCatalog
    from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError

    where = {
        "glue.endpoint": penstock.endpoint_url,
        "glue.region": "us-east-1",
        "glue.access-key-id": "test",
        "glue.secret-access-key": "test",
    }
    catalog = GlueCatalog("glue", **where)
    catalog.create_namespace("lake", {"location": tmp_path.as_uri(), "comment": "c"})
    with pytest.raises(NamespaceAlreadyExistsError):
        catalog.create_namespace("lake")
    rows = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a", "b"]})
    table = catalog.create_table("lake.events", rows.schema, location=(tmp_path / "events").as_uri())
    stale = GlueCatalog("glue", **where).load_table("lake.events")
    table.append(rows)
    stale.append(rows)  # refused by the catalog, and tried again on top of the other
    assert catalog.load_table("lake.events").scan().to_arrow().num_rows == 4
    catalog.update_namespace_properties("lake", updates={"owner": "x"})
    assert catalog.load_namespace_properties("lake")["owner"] == "x"
    assert catalog.list_tables("lake") == [("lake", "events")]
    catalog.rename_table("lake.events", "lake.facts")
    assert catalog.load_table("lake.facts").scan().to_arrow().num_rows == 4
    catalog.drop_table("lake.facts")
    with pytest.raises(NoSuchTableError):
        catalog.load_table("lake.events")
    catalog.drop_namespace("lake")
    assert ("lake",) not in catalog.list_namespaces()


def test_policies_decide_about_a_catalog_of_another_account(tmp_path: Path) -> None:
    import json

    policy = {"Effect": "Allow", "Action": "glue:Get*", "Resource": "arn:aws:glue:us-east-1:123456789012:*"}
    with PenstockServer(data_dir=str(tmp_path), auth="enforced") as server:
        root = server.client("glue")
        root.create_database(DatabaseInput={"Name": "sales"})
        root.create_table(DatabaseName="sales", TableInput=TABLE)
        iam = server.client("iam")
        iam.create_user(UserName="ann")
        document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        ann = server.client("glue", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
        assert found(ann)["Name"] == "events"
        for refused in (
            (ann.delete_table, {"DatabaseName": "sales", "Name": "events"}),
            (ann.get_databases, {"CatalogId": "222222222222"}),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                refused[0](**refused[1])
