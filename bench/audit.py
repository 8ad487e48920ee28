"""The audit: what a server acknowledged is read back, and counted."""

import time
from typing import Final

import msgspec

from bench.payload import JSON
from bench.servers import Client, RefusedCall, Running

AUDIT_LIMIT_S: Final = 15.0
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


class _Late(Exception):
    """The audit has taken its time."""


def audit(running: Running, stream: str, acknowledged: int) -> Audit:
    """Count the records of a stream, for up to `AUDIT_LIMIT_S`."""
    deadline_s = time.perf_counter() + AUDIT_LIMIT_S
    readable, note = 0, None
    try:
        with running.client() as client:
            for shard_id in _shard_ids(client, stream):
                readable += _count(client, stream, shard_id, deadline_s)
    except _Late:
        note = f"stopped after {AUDIT_LIMIT_S:.0f} s"
    except (RefusedCall, OSError) as error:
        note = f"stopped by {error}"
    return Audit(acknowledged, readable, note)


def _shard_ids(client: Client, stream: str) -> list[str]:
    found: list[str] = []
    page = client.call("ListShards", {"StreamName": stream})
    found += (shard["ShardId"] for shard in page["Shards"])
    while page.get("NextToken"):
        page = client.call("ListShards", {"NextToken": page["NextToken"]})
        found += (shard["ShardId"] for shard in page["Shards"])
    return found


class _Next(msgspec.Struct):
    """What is looked at of a page, beside the count of its records."""

    NextShardIterator: str | None = None
    MillisBehindLatest: int = 0


_next = msgspec.json.Decoder(_Next)


def _count(client: Client, stream: str, shard_id: str, deadline_s: float) -> int:
    asked = {"StreamName": stream, "ShardId": shard_id, "ShardIteratorType": "TRIM_HORIZON"}
    iterator: str | None = client.call("GetShardIterator", asked)["ShardIterator"]
    readable = empty = 0
    while iterator and empty < _EMPTY_PAGES_MAX:
        if time.perf_counter() > deadline_s:
            raise _Late
        body = client.raw("GetRecords", {"ShardIterator": iterator, "Limit": 10_000})
        found = body.count(JSON.number_marker)
        page = _next.decode(body)
        readable += found
        if not found and page.MillisBehindLatest == 0:
            break
        empty = 0 if found else empty + 1
        iterator = page.NextShardIterator
    return readable
