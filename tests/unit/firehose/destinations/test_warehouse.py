"""Redshift and PostgreSQL: what is staged, what is copied, and what is told when it cannot be."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from peers import ARRIVAL_MS, PARCEL_ID, ROLE, BucketsInMemory, Handler, Secrets, listening, parcel, saying, standing
from postgres_server import postgres_server
from redshift_double import redshift

from penstock.engines.buckets import BucketsUnavailable, NoSuchBucket
from penstock.host.sqlwire import SqlWire
from penstock.services.firehose.destinations.api import Again, Delivered, Outcome, Parcel
from penstock.services.firehose.destinations.shapes import CopyCommand, Redshift
from penstock.services.firehose.destinations.warehouse import WarehouseDestination
from penstock.services.firehose.shapes import S3, SecretsManagerConfiguration

PASSWORD = "pass-word-7"
STAGED = f"stage/in/2016/02/25/10/orders-1-2016-02-25-10-00-00-{PARCEL_ID}"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server(PASSWORD) as url:
        yield url


@pytest.fixture
def table(server: str) -> Iterator[str]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA s; CREATE TABLE s.orders (id bigint, name varchar(40), price numeric, at timestamp, ok boolean, doc jsonb)"
        )
        yield "S.Orders"
        connection.execute("DROP SCHEMA s CASCADE")


def rows(server: str, query: str = "SELECT * FROM s.orders ORDER BY id") -> list[tuple[Any, ...]]:
    with psycopg.connect(server, client_encoding="utf8") as connection:
        return connection.execute(query.encode()).fetchall()


def jdbc(server: str) -> str:
    parts = urlsplit(server)
    return f"jdbc:postgresql://{parts.hostname}:{parts.port}/postgres"


def shape(url: str, command: CopyCommand, **more: Any) -> Redshift:
    given = {
        "role_arn": ROLE, "cluster_jdbc_url": url, "copy_command": command, "username": "tester", "password": PASSWORD,
        "s3_configuration": S3(role_arn=ROLE, bucket_arn="arn:aws:s3:::stage", prefix="in/"),
    }  # fmt: skip
    return Redshift(**{**given, **more})


def command(options: str, columns: str | None = None, table: str = "s.orders") -> CopyCommand:
    return CopyCommand(data_table_name=table, data_table_columns=columns, copy_options=options)


async def attempt(given: Redshift, records: Parcel, buckets: BucketsInMemory | None = None, **more: Any) -> Outcome:
    warehouses = more.pop("warehouses", SqlWire())
    async with standing(objects=buckets or BucketsInMemory(), warehouses=warehouses, **more) as site:
        return await WarehouseDestination(given, site).deliver(records)


def deliver(server: str, copy: CopyCommand, *records: bytes, **more: Any) -> Outcome:
    return asyncio.run(attempt(shape(jdbc(server), copy, **more), parcel(*records)))


def test_json_in_postgresql_arrives_by_the_names_of_columns(server: str, table: str) -> None:
    records = [
        b'{"id":1,"name":"caf\xc3\xa9\\n\\t\\\\","price":12.340,"at":"2026-01-02T03:04:05","ok":true,"doc":{"a":[1,2.50]},"more":1}\n',
        b'{"id":2,"name":"","price":null}{"id":9007199254740993}',
    ]
    outcome = deliver(server, command("json 'auto'", table=table), *records)
    assert isinstance(outcome, Delivered)
    assert outcome.records == 2
    first, second, third = rows(server)
    assert (first[0], first[1], str(first[2]), str(first[3]), first[4], first[5]) == (
        1,
        "café\n\t\\",
        "12.340",
        "2026-01-02 03:04:05",
        True,
        {"a": [1, 2.5]},
    )
    assert second == (2, "", None, None, None, None)
    assert third[0] == 9007199254740993


def test_csv_when_some_columns_are_named_fills_those(server: str, table: str) -> None:
    outcome = deliver(
        server,
        command("CSV IGNOREHEADER 1 EMPTYASNULL;", '"id", NAME,price'),
        b"id,name,price\n",
        b'1,"a ""b"",\nc",2.5\n',
        b"2,,\n",
    )
    assert isinstance(outcome, Delivered)
    assert rows(server, "SELECT id, name, price::text FROM s.orders ORDER BY id") == [
        (1, 'a "b",\nc', "2.5"),
        (2, None, None),
    ]


def test_text_when_delimited_keeps_backslashes_and_loads_blanks_as_null_where_there_is_no_text(
    server: str, table: str
) -> None:
    outcome = deliver(
        server,
        command("delimiter '\\t' timeformat 'epochmillisecs'", "id,name,price,at"),
        b"1\tC:\\new\t\t1767323045000\n",
        b"2\t\\N\t3\t\n",
    )
    assert isinstance(outcome, Delivered)
    assert rows(server, "SELECT id, name, price::text, at::text FROM s.orders ORDER BY id") == [
        (1, "C:\\new", None, "2026-01-02 03:04:05"), (2, None, "3", None),
    ]  # fmt: skip


def test_load_when_one_row_is_bad_loads_nothing_and_is_tried_again(server: str, table: str) -> None:
    for copy, records in (
        (command("csv", "id,name"), [b"1,a\n", b"x,b\n"]),
        (command("csv", "id,name"), [b"1,a\n", b"2\n"]),
        (command("csv", "id,name"), [b"1,a\n", b'2,"b']),
        (command("json 'auto'"), [b'{"id":1}', b'{"id":']),
        (command("json 'auto'"), [b'{"id":1}', b"[1]"]),
        (command("", "id,name"), [b"1|a\n", b"2|\xff\n"]),
        (command("", "id,name"), [b"1|a\n", b"2|\0\n"]),
    ):
        outcome = deliver(server, copy, *records)
        assert isinstance(outcome, Again)
        assert outcome.code == "Redshift.DataLoadFailed"
        assert len(outcome.entries) == 2
        assert rows(server) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"copy_command": command("csv", table="s.nothing")}, "TableNotFound"),
        ({"copy_command": command("csv", "id, nothing")}, "ColumnNotFound"),
        ({"copy_command": command("fixedwidth 'a:3'")}, "IncorrectCopyOptions"),
        ({"copy_command": command("json 's3://stage/paths.json'")}, "IncorrectJsonPathsFile"),
        ({"password": "revoked-secret"}, "AuthenticationFailed"),
        ({"username": "nobody-here"}, "AuthenticationFailed"),
        (
            {"secrets_manager_configuration": SecretsManagerConfiguration(enabled=True, secret_arn="arn:gone")},
            "AuthenticationFailed",
        ),
    ],
)
def test_load_when_it_cannot_be_made_is_tried_again_under_its_code(
    server: str, table: str, change: dict[str, Any], code: str
) -> None:
    copy = change.pop("copy_command", command("csv", "id"))
    outcome = asyncio.run(
        attempt(shape(jdbc(server), copy, **change), parcel(b"1\n"), BucketsWithoutPaths(), secrets=Secrets({}))
    )
    assert isinstance(outcome, Again)
    assert outcome.code == f"Redshift.{code}"
    assert "secret" not in outcome.message.replace("the secret arn:gone cannot be read", "")


class BucketsWithoutPaths(BucketsInMemory):
    """A bucket where nothing is found."""

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        raise NoSuchBucket(bucket)


def test_database_when_it_is_another_one_is_told(server: str) -> None:
    outcome = asyncio.run(attempt(shape(jdbc(server).replace("/postgres", "/nothing"), command("csv")), parcel(b"1\n")))
    assert isinstance(outcome, Again)
    assert outcome.code == "Redshift.DatabaseNotFound"


def test_paths_of_json_when_they_are_in_a_bucket_choose_what_is_loaded(server: str, table: str) -> None:
    buckets = BucketsInMemory()
    buckets.objects["stage/paths.json"] = b'{"jsonpaths":["$.order.id","$[\'people\'][0][\'name\']"]}'
    copy = command("json 's3://stage/paths.json'", "id,name")
    outcome = asyncio.run(
        attempt(shape(jdbc(server), copy), parcel(b'{"order":{"id":7},"people":[{"name":"Ada"}]}'), buckets)
    )
    assert isinstance(outcome, Delivered)
    assert rows(server, "SELECT id, name FROM s.orders") == [(7, "Ada")]


def test_credentials_when_a_secret_are_used(server: str, table: str) -> None:
    secrets = Secrets({"arn:it": json.dumps({"username": "tester", "password": PASSWORD})})
    manager = SecretsManagerConfiguration(enabled=True, secret_arn="arn:it")
    given = shape(
        jdbc(server), command("csv", "id"), username=None, password=None, secrets_manager_configuration=manager
    )
    assert isinstance(asyncio.run(attempt(given, parcel(b"1\n"), secrets=secrets)), Delivered)


def test_redshift_when_it_is_one_reads_the_staged_object_by_its_manifest() -> None:
    async def scenario() -> None:
        buckets = BucketsInMemory()
        async with redshift(buckets) as double:
            copy = command("delimiter '|' region 'eu-west-1';", "id, name", table="s.orders")
            given = shape(f"jdbc:redshift://127.0.0.1:{double.port}/dev", copy)
            assert isinstance(await attempt(given, parcel(b"1|a\n", b"2|b\n"), buckets), Delivered)
            [(told, body)] = double.loaded
            assert body == b"1|a\n2|b\n" == buckets.objects[STAGED]
            assert told["table"] == '"s"."orders"'
            assert told["columns"] == '"id", "name"'
            assert told["credentials"] == f"aws_iam_role={ROLE}"
            assert told["options"] == "delimiter '|' region 'eu-west-1'"
            assert told["key"] == f"manifests/{STAGED.removeprefix('stage/')}"

    asyncio.run(scenario())


def test_redshift_when_objects_are_packed_is_told_so() -> None:
    async def scenario() -> None:
        buckets = BucketsInMemory()
        async with redshift(buckets) as double:
            staging = S3(role_arn=ROLE, bucket_arn="arn:aws:s3:::stage", prefix="in/", compression_format="GZIP")
            given = shape(f"jdbc:redshift://127.0.0.1:{double.port}/dev", command("csv"), s3_configuration=staging)
            outcome = await attempt(given, parcel(b"1,a\n"), buckets)
            [(told, body)] = double.loaded
            assert told["options"] == "csv GZIP"
            assert gzip.decompress(body) == b"1,a\n"
            assert isinstance(outcome, Delivered)
            assert outcome.size_bytes == len(body)
            double.fails = ("XX000", "S3ServiceException:Access Denied,Status 403,Error AccessDenied")
            denied = await attempt(given, parcel(b"1,a\n"), buckets)
            assert isinstance(denied, Again)
            assert denied.code == "Redshift.S3BucketAccessDenied"
            double.fails = (
                "XX000",
                "Load into table 'orders' failed.  Check 'stl_load_errors' system table for details.",
            )
            failed = await attempt(given, parcel(b"1,a\n"), buckets)
            assert isinstance(failed, Again)
            assert failed.code == "Redshift.DataLoadFailed"

    asyncio.run(scenario())


async def stubborn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A peer that sends without end and never what is asked."""
    while True:
        writer.write(b"N" + b"\x00\x00\x04\x00" + b"x" * 1020)
        await writer.drain()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def garbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def cutting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)


@pytest.mark.parametrize("peer", [stubborn, silent, garbling, cutting])
def test_server_when_it_is_none_costs_one_attempt(peer: Handler) -> None:
    async def scenario() -> None:
        async with listening(peer) as port:
            given = shape(f"jdbc:postgresql://127.0.0.1:{port}/db", command("csv"))
            outcome = await attempt(given, parcel(b"1\n"), warehouses=SqlWire(connect_s=0.5))
            assert isinstance(outcome, Again)
            assert outcome.code == "Redshift.ConnectionFailed"
            assert PASSWORD not in outcome.message

    asyncio.run(scenario())


def test_server_when_nobody_listens_or_its_certificate_is_asked_for_and_not_there_costs_one_attempt(
    server: str,
) -> None:
    async def scenario() -> None:
        async with listening(saying(b"")) as port:
            pass
        for url in (f"jdbc:postgresql://127.0.0.1:{port}/db", jdbc(server) + "?sslmode=verify-full"):
            outcome = await attempt(shape(url, command("csv")), parcel(b"1\n"))
            assert isinstance(outcome, Again)
            assert outcome.code == "Redshift.ConnectionFailed"

    asyncio.run(scenario())


def test_staging_when_the_bucket_fails_is_tried_again_and_giving_up_waits_for_it() -> None:
    async def scenario() -> None:
        buckets = BucketsInMemory()
        buckets.broken = BucketsUnavailable("the disk is full")
        async with standing(objects=buckets, warehouses=SqlWire()) as site:
            destination = WarehouseDestination(shape("jdbc:redshift://127.0.0.1:1/dev", command("csv")), site)
            given = parcel(b"1\n")
            again = await destination.deliver(given)
            assert isinstance(again, Again)
            assert again.code == "S3.InternalError"
            with pytest.raises(BucketsUnavailable):
                await destination.give_up(given, again)
            buckets.broken = None
            assert await destination.give_up(given, again) == ()
            assert buckets.objects[STAGED] == b"1\n"
            skipped = buckets.objects[f"stage/errors/manifests/{STAGED.removeprefix('stage/')}"]
            assert json.loads(skipped) == {"entries": [{"url": f"s3://{STAGED}", "mandatory": True}]}
            assert given.oldest_ms == ARRIVAL_MS

    asyncio.run(scenario())
