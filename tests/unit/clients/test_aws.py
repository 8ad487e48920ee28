"""Calls from asyncio: against a real server, and against peers that are silent or not there."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from penstock.clients.aws import Connection, Role, Service
from penstock.clients.calls import CALL_ERRORS, Fate, error_code, fate_of
from penstock.testing import PenstockServer

THREADS = 2


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    with PenstockServer() as started:
        started.client().create_stream(StreamName="orders", ShardCount=2)
        yield started


def connection(server: PenstockServer) -> Connection:
    key, secret = server.credentials
    return Connection(
        endpoint=server.endpoint_url,
        region=server.region,
        access_key_id=key,
        secret_access_key=secret,
        threads=THREADS,
    )


def test_calls_when_more_are_made_than_there_are_threads_are_all_answered(server: PenstockServer) -> None:
    async def listed(kinesis: Service) -> list[dict[str, Any]]:
        return await asyncio.gather(*[kinesis.call("list_shards", StreamName="orders") for _ in range(4 * THREADS)])

    with closing(Service("kinesis", connection(server))) as kinesis:
        assert [len(answer["Shards"]) for answer in asyncio.run(listed(kinesis))] == [2] * 4 * THREADS


def test_call_over_tls_when_no_authority_is_given_trusts_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    with PenstockServer(tls=True) as secure:
        monkeypatch.setenv("AWS_CA_BUNDLE", secure.ca_bundle)
        where = replace(connection(secure), endpoint=secure.tls_endpoint_url)
        with closing(Service("kinesis", where)) as kinesis:
            assert asyncio.run(kinesis.call("list_streams"))["StreamNames"] == []


def test_call_when_it_is_refused_then_the_error_tells_code_and_fate(server: PenstockServer) -> None:
    with closing(Service("kinesis", connection(server))) as kinesis, pytest.raises(ClientError) as refused:
        asyncio.run(kinesis.call("list_shards", StreamName="nobody"))
    assert error_code(refused.value) == "ResourceNotFoundException"
    assert fate_of(refused.value) is Fate.FAILED


def test_call_when_nobody_is_there_then_it_may_be_made_again(server: PenstockServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = replace(connection(server), endpoint=f"http://127.0.0.1:{port}")
    with closing(Service("kinesis", where)) as kinesis, pytest.raises(CALL_ERRORS) as failed:
        asyncio.run(kinesis.call("list_shards", StreamName="orders"))
    assert fate_of(failed.value) is Fate.REFUSED


def test_call_when_the_other_side_says_nothing_then_it_ends_at_its_deadline(server: PenstockServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = replace(
            connection(server),
            endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}",
            deadline_ms=50,
            read_ms=300,
        )
        with closing(Service("kinesis", where)) as kinesis, pytest.raises(TimeoutError):
            asyncio.run(kinesis.call("list_shards", StreamName="orders"))


def test_call_when_the_socket_is_silent_for_too_long_then_its_fate_is_unknown(server: PenstockServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = replace(connection(server), endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}", read_ms=50)
        with closing(Service("kinesis", where)) as kinesis, pytest.raises(CALL_ERRORS) as failed:
            asyncio.run(kinesis.call("list_shards", StreamName="orders"))
    assert fate_of(failed.value) is Fate.UNKNOWN


def test_call_when_there_are_no_credentials_then_it_says_so(
    server: PenstockServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    where = replace(connection(server), access_key_id=None)
    with closing(Service("kinesis", where)) as kinesis, pytest.raises(NoCredentialsError):
        asyncio.run(kinesis.call("list_shards", StreamName="orders"))


def test_events_of_a_subscription_come_one_by_one(server: PenstockServer) -> None:
    boto = server.client()
    arn = boto.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamARN"]
    consumer = boto.register_stream_consumer(StreamARN=arn, ConsumerName="reader")["Consumer"]["ConsumerARN"]
    boto.put_record(StreamName="orders", PartitionKey="k", ExplicitHashKey="0", Data=b"one")

    async def first(kinesis: Service) -> list[bytes]:
        start = {"Type": "TRIM_HORIZON"}
        answer = await kinesis.call(
            "subscribe_to_shard", ConsumerARN=consumer, ShardId="shardId-000000000000", StartingPosition=start
        )
        with closing(answer["EventStream"]):
            async for event in kinesis.events(answer["EventStream"]):
                if records := event["SubscribeToShardEvent"]["Records"]:
                    return [record["Data"] for record in records]
        return []

    with closing(Service("kinesis", connection(server))) as kinesis:
        assert asyncio.run(first(kinesis)) == [b"one"]


class LateClient:
    """Answers with an event stream, when it is let."""

    def __init__(self) -> None:
        self.let, self.closed = threading.Event(), threading.Event()

    def subscribe_to_shard(self) -> dict[str, Any]:
        self.let.wait(10)
        return {"EventStream": self}

    def close(self) -> None:
        if self.let.is_set():
            self.closed.set()


def test_event_stream_when_nobody_waits_for_it_any_more_is_closed(server: PenstockServer) -> None:
    client = LateClient()

    with closing(Service("kinesis", replace(connection(server), deadline_ms=50), client)) as kinesis:
        with pytest.raises(TimeoutError):
            asyncio.run(kinesis.call("subscribe_to_shard"))
        client.let.set()
        assert client.closed.wait(10)


def test_call_by_stream_id_stays_at_the_endpoint_that_was_named(server: PenstockServer) -> None:
    summary = server.client().describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]
    with closing(Service("kinesis", connection(server))) as kinesis:
        answer = kinesis.ask("list_shards", StreamId=summary["StreamId"])
    assert len(answer["Shards"]) == 2


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_role_when_one_is_named_then_calls_are_made_as_its_session() -> None:
    with PenstockServer(auth="enforced") as server:
        account, iam = server.account_id, server.client("iam")
        allowed = {"Effect": "Allow", "Action": "sts:AssumeRole"}
        condition = {"StringEquals": {"sts:ExternalId": "shared"}}
        trust = policy({**allowed, "Principal": {"AWS": account}, "Condition": condition})
        iam.create_role(RoleName="feeder", AssumeRolePolicyDocument=trust)
        iam.create_user(UserName="ann")
        iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=policy({**allowed, "Resource": "*"}))
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        role = Role(
            arn=f"arn:aws:iam::{account}:role/feeder",
            external_id="shared",
            session_name="job",
            sts_endpoint=server.endpoint_url,
        )
        with closing(
            Service(
                "sts",
                replace(
                    connection(server),
                    role=role,
                    access_key_id=key["AccessKeyId"],
                    secret_access_key=key["SecretAccessKey"],
                ),
            )
        ) as sts:
            who = sts.ask("get_caller_identity")
        assert who["Arn"] == f"arn:aws:sts::{account}:assumed-role/feeder/job"
