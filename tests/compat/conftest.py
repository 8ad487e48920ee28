"""Fixtures of the compatibility tests: real clients against a real server."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

SHARD_0 = "shardId-000000000000"


@pytest.fixture
def kinesis(penstock: PenstockServer) -> "KinesisClient":
    """A boto3 client that neither retries nor validates, so that each refusal is the server's own and is seen once."""
    from botocore.config import Config

    client: KinesisClient = penstock.client(
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    )
    return client


@pytest.fixture
def refused() -> Callable[..., tuple[str, str]]:
    """Calls an operation that must fail, and gives the error's code and message."""

    def call(operation: Callable[..., object], **arguments: object) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            operation(**arguments)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return call


@pytest.fixture
def read_all(kinesis: "KinesisClient") -> Callable[..., list[bytes]]:
    """Reads the data of a shard from an iterator of the given kind to the tip."""

    def read(stream: str, shard: str = SHARD_0, **arguments: object) -> list[bytes]:
        kind = {"ShardIteratorType": "TRIM_HORIZON", **arguments}
        iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **kind)["ShardIterator"]  # type: ignore[arg-type]
        found: list[bytes] = []
        while True:
            page = kinesis.get_records(ShardIterator=iterator)
            found += [record["Data"] for record in page["Records"]]
            if not page["MillisBehindLatest"] and not page["Records"]:
                return found
            iterator = page["NextShardIterator"]

    return read
