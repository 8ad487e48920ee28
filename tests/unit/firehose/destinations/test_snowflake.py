"""Snowflake: what its SDK is given, held by a stub of it; nothing here was tried against Snowflake itself."""

import asyncio
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from peers import ARRIVAL_MS, BACKUP, ROLE, Secrets, entry, parcel, parcel_of, standing, streamed

from penstock.host.snowpipe import SnowpipeSdk
from penstock.services.firehose.destinations.api import Again, Delivered, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.shapes import Snowflake, SnowflakeRoleConfiguration
from penstock.services.firehose.destinations.snowflake import SnowflakeDestination
from penstock.services.firehose.shapes import SecretsManagerConfiguration

KEY = rsa.generate_private_key(65537, 2048)


def private_key(passphrase: str = "") -> str:
    sealing = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    return base64.b64encode(
        KEY.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, sealing)
    ).decode()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stub's table, with the stub in the SDK's place."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "snowflake_stub"))
    import snowflake.ingest.streaming as stub

    stub.TABLES["D", "S", "T"] = stub.Table()
    yield stub.TABLES["D", "S", "T"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "snowflake"]:
        del sys.modules[name]


def shape(**more: Any) -> Snowflake:
    given = {
        "account_url": "https://acme-1.eu-central-1.snowflakecomputing.com", "user": "LOADER", "private_key": private_key(), "database": "D",
        "schema": "S", "table": "T", "role_arn": ROLE, "s3_configuration": BACKUP,
    }  # fmt: skip
    return Snowflake(**{**given, **more})


def deliver(*parcels: Parcel, secrets: Secrets | None = None, **more: Any) -> Outcome:
    async def scenario() -> Outcome:
        snowpipe = SnowpipeSdk(commit_s=1)
        async with standing(snowpipe=snowpipe, secrets=secrets) as site:
            destination = SnowflakeDestination(shape(**more), site)
            outcomes = [await destination.deliver(one) for one in parcels]
        await snowpipe.close()
        return outcomes[-1]

    return asyncio.run(scenario())


def test_rows_when_keys_are_columns_are_committed_once_however_often_they_are_sent(table: Any) -> None:
    given = parcel(b'{"ID":1,"NAME":"Ada"}', b'{"ID":2}')
    role = SnowflakeRoleConfiguration(enabled=True, snowflake_role="WRITER")
    outcome = deliver(given, given, snowflake_role_configuration=role)
    assert isinstance(outcome, Delivered)
    assert outcome.records == 2
    assert table.rows == [{"ID": 1, "NAME": "Ada"}, {"ID": 2}]
    assert table.opened == ["orders"]
    told = table.properties
    assert (told["account"], told["user"], told["role"]) == ("acme-1.eu-central-1", "LOADER", "WRITER")
    assert told["private_key"].startswith("-----BEGIN PRIVATE KEY-----")


def test_rows_when_many_are_appended_in_parts_under_one_token(table: Any) -> None:
    assert isinstance(deliver(parcel(*[b'{"N":%d}' % number for number in range(2500)])), Delivered)
    assert [row["N"] for row in table.rows] == list(range(2500))


def test_content_when_it_is_a_variant_stands_in_its_column_with_where_it_came_from(table: Any) -> None:
    both: dict[str, Any] = {
        "data_loading_option": "VARIANT_CONTENT_AND_METADATA_MAPPING",
        "content_column_name": "C",
        "meta_data_column_name": "M",
    }
    outcome = deliver(parcel_of([streamed(b'{"n":1}'), entry(b"plain text", 1)]), **both)
    assert isinstance(outcome, Delivered)
    first, second = table.rows
    assert first["C"] == {"n": 1}
    assert first["M"]["kinesisShardId"] == "shardId-000000000000"
    assert first["M"]["subsequenceNumber"] == "2"
    assert second == {
        "C": "plain text",
        "M": {"firehoseDeliveryStreamName": "orders", "IngestionTime": "2016-02-25T10:00:00.000+00:00"},
    }
    assert ARRIVAL_MS == 1_456_394_400_000
    assert (
        isinstance(
            deliver(parcel(b"x"), data_loading_option="VARIANT_CONTENT_MAPPING", content_column_name="C"), Delivered
        )
        is True
    )


def test_records_when_they_are_no_rows_fail_before_they_are_sent(table: Any) -> None:
    outcome = deliver(parcel(b"text", b"[1]", b'{"N":1}', b"\xff"))
    assert isinstance(outcome, Mixed)
    assert [failure.entry.place for failure in outcome.failures] == [0, 1, 3]
    assert {(failure.kind, failure.code) for failure in outcome.failures} == {
        ("snowflake-failed", "Snowflake.InvalidRecord")
    }
    assert table.rows == [{"N": 1}]
    assert isinstance(deliver(parcel(b"text")), Refused)


def test_rows_when_the_table_rejects_some_all_have_error_objects(table: Any) -> None:
    table.rejects = lambda row: row["N"] == "x"
    outcome = deliver(parcel(b'{"N":1}', b'{"N":"x"}', b'{"N":2}'))
    assert isinstance(outcome, Mixed)
    assert outcome.delivered.records == 2
    assert len(outcome.failures) == 3
    assert outcome.failures[0].message == (
        "The table rejected 1 of 3 rows, and does not tell which: Numeric value 'x' is not recognized"
    )
    assert isinstance(deliver(Parcel(parcel(b'{"N":"x"}').entries, "other", 1)), Refused)


def test_sdk_when_it_fails_or_never_commits_costs_one_attempt_and_a_new_channel(table: Any) -> None:
    from snowflake.ingest.streaming import StreamingIngestError, StreamingIngestErrorCode

    table.fails = StreamingIngestError(
        StreamingIngestErrorCode.SF_API_AUTH_ERROR, "JWT token is invalid\nsecond line", 401, "Unauthorized"
    )
    outcome = deliver(parcel(b'{"N":1}'), parcel(b'{"N":1}'))
    assert isinstance(outcome, Again)
    assert (outcome.code, outcome.message) == ("Snowflake.SfApiAuthError", "JWT token is invalid")
    assert table.opened == ["orders", "orders"]
    table.fails, table.commits = None, False
    late = deliver(parcel(b'{"N":1}'))
    assert isinstance(late, Again)
    assert late.code == "Snowflake.TimeoutError"


@pytest.mark.parametrize(
    ("key", "passphrase"),
    [
        ("QUJD" * 100, ""),
        (private_key("passphrase-1"), "wrong-passphrase"),
        (private_key("passphrase-1"), ""),
        ("é", ""),
    ],
)
def test_key_when_it_cannot_be_opened_costs_one_attempt_and_is_not_told(table: Any, key: str, passphrase: str) -> None:
    outcome = deliver(parcel(b'{"N":1}'), private_key=key, key_passphrase=passphrase)
    assert isinstance(outcome, Again)
    assert outcome.code == "Snowflake.InvalidPrivateKey"
    assert key not in outcome.message
    assert "wrong-passphrase" not in outcome.message


def test_key_when_sealed_or_a_secret_is_opened(table: Any) -> None:
    assert isinstance(
        deliver(parcel(b'{"N":1}'), private_key=private_key("passphrase-1"), key_passphrase="passphrase-1"), Delivered
    )
    framed = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    manager = SecretsManagerConfiguration(enabled=True, secret_arn="arn:it")
    secrets = Secrets({"arn:it": json.dumps({"user": "OTHER", "private_key": framed})})
    assert isinstance(
        deliver(
            parcel(b'{"N":1}'), secrets=secrets, user=None, private_key=None, secrets_manager_configuration=manager
        ),
        Delivered,
    )
    assert table.properties["user"] == "OTHER"
    gone = deliver(parcel(b'{"N":1}'), secrets=Secrets({}), secrets_manager_configuration=manager)
    assert isinstance(gone, Again)


def test_sdk_when_not_installed_is_named() -> None:
    outcome = deliver(parcel(b'{"N":1}'))
    assert isinstance(outcome, Again)
    assert outcome.message == "deliveries to Snowflake need pip install 'penstock[snowflake]'"
