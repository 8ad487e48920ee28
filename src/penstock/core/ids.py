"""Identifiers: the types that keep one string from being taken for another, and the texts of shard ids.

A shard is `shard_no` (an integer, counted per stream from 0, never reused) inside, and `shard_id` (`shardId-000000000007`) on the wire.
"""

import re
from typing import Final, NewType

AccountId = NewType("AccountId", str)  # 12 digits
Region = NewType("Region", str)  # us-east-1, ...
StreamName = NewType("StreamName", str)  # 1..128 of [a-zA-Z0-9_.-]
StreamUid = NewType("StreamUid", str)  # 24 of [a-z0-9]: our StreamId; never reused, unlike the name
ShardNo = NewType("ShardNo", int)  # 0 .. 2**31-1
Millis = NewType("Millis", int)  # milliseconds since the epoch, or a duration in milliseconds

UUID_BYTES: Final = 16
SHARD_NO_MAX: Final = 2**31 - 1
_TRAILING_NUMBER = re.compile(r"(?:\A|-)(\d+)\Z", re.ASCII)


def shard_id(shard_no: int) -> str:
    """The wire text of a shard number."""
    return f"shardId-{shard_no:012d}"


def parse_shard_id(text: str) -> ShardNo | None:
    """The shard number that a shard id means, or None if it means none.

    AWS reads the digits after the last hyphen and ignores what precedes them: `shardId-0`, `x-000` and `0` are the same shard.
    Source: recorded answers of GetShardIterator.
    """
    match = _TRAILING_NUMBER.search(text)
    if match is None or len(match[1]) > 18:
        return None
    number = int(match[1])
    return ShardNo(number) if number <= SHARD_NO_MAX else None


def stream_uid(entropy: bytes) -> StreamUid:
    """A StreamId from 24 random bytes: AWS's, without its hyphen, or SDKs would take it to AWS (docs/adr/0011)."""
    assert len(entropy) == 24
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    return StreamUid("".join(alphabet[byte % len(alphabet)] for byte in entropy))


def uuid_text(entropy: bytes) -> str:
    """A UUID of version 4 from 16 random bytes."""
    assert len(entropy) == UUID_BYTES
    marked = bytearray(entropy)
    marked[6], marked[8] = marked[6] & 0x0F | 0x40, marked[8] & 0x3F | 0x80
    digits = marked.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
