"""The audit: an ordinary client reads back what a server acknowledged, and counts."""

import time
from typing import Final

import boto3
import msgspec
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

AUDIT_LIMIT_S: Final = 30.0
_EMPTY_PAGES_MAX: Final = 3  # in a row, after which a shard has been read


class Audit(msgspec.Struct, frozen=True):
    """What was acknowledged and what can be read.  An audit that stopped early says so in `note`."""

    acknowledged: int
    readable: int
    note: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every record was counted."""
        return self.note is None


def audit(url: str, credentials: Credentials | None, stream: str, acknowledged: int) -> Audit:
    """Count the records of a stream through boto3, for up to `AUDIT_LIMIT_S`."""
    key = credentials or Credentials("test", "test")
    client = boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=AUDIT_LIMIT_S),
    )
    deadline_s = time.perf_counter() + AUDIT_LIMIT_S
    readable = 0
    try:
        for shard in client.list_shards(StreamName=stream)["Shards"]:
            iterator = client.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            empty = 0
            while iterator and empty < _EMPTY_PAGES_MAX:
                if time.perf_counter() > deadline_s:
                    return Audit(acknowledged, readable, f"stopped after {AUDIT_LIMIT_S:.0f} s")
                page = client.get_records(ShardIterator=iterator, Limit=10_000)
                readable += len(page["Records"])
                empty = 0 if page["Records"] else empty + 1
                iterator = page.get("NextShardIterator", "")
    except (BotoCoreError, ClientError) as error:
        return Audit(acknowledged, readable, f"stopped by {error}")
    finally:
        client.close()
    return Audit(acknowledged, readable)
