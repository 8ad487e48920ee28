"""Quotas: token buckets, as AWS meters the reads and writes of a shard.

Theory.  A bucket holds at most one second's worth of tokens and fills at its rate.  A write passes if the bucket holds enough for it,
or is full (a record larger than a second's worth bursts); a read passes if the bucket is not in debt, because its size is known only
afterwards.  What was taken beyond the content is debt, paid in time: 10 MiB read from a 2 MiB/s shard block it for 5 s.
A shard's rates are AWS's under `--limits aws`; the server's settings, and above them the stream's own tags, put other numbers in their
place, whatever --limits says.
Rules of this file: pure; time is an argument, and a clock that steps back fills nothing.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from penstock.core import limits


class ShardRates(NamedTuple):
    """What one shard admits in a second; None: any amount."""

    write_bytes: int | None = None  # data and partition keys
    write_records: int | None = None
    read_bytes: int | None = None  # of GetRecords
    read_calls: int | None = None  # GetRecords
    iterator_calls: int | None = None  # GetShardIterator

    def over(self, lower: "ShardRates") -> "ShardRates":
        """These rates, and those of `lower` where none is given here."""
        return ShardRates(*(mine if mine is not None else its for mine, its in zip(self, lower, strict=True)))


UNLIMITED: Final = ShardRates()
AWS_RATES: Final = ShardRates(
    limits.SHARD_WRITE_BYTES_PER_S,
    limits.SHARD_WRITE_RECORDS_PER_S,
    limits.SHARD_READ_BYTES_PER_S,
    limits.SHARD_READ_CALLS_PER_S,
    limits.SHARD_ITERATOR_CALLS_PER_S,
)
RATE_TAGS: Final = {  # keys of the tags that give a stream's shards numbers of their own, and what they set
    "penstock:write-bytes-per-second": "write_bytes",
    "penstock:write-records-per-second": "write_records",
    "penstock:read-bytes-per-second": "read_bytes",
    "penstock:read-calls-per-second": "read_calls",
}
_RATE = re.compile(r"[1-9][0-9]{0,12}", re.ASCII)


def is_rate(text: str) -> bool:
    """Whether a tag's value can be a rate: a whole number from 1 to 10**13 - 1."""
    return _RATE.fullmatch(text) is not None


def tagged_rates(tags: Mapping[str, str]) -> ShardRates | None:
    """The rates that a stream's tags give its shards, or None if they give none.  A value that is no rate is passed over."""
    found = {field: int(tags[key]) for key, field in RATE_TAGS.items() if key in tags and is_rate(tags[key])}
    return ShardRates(**found) if found else None


class TokenBucket:
    """One rate, in whole tokens a second; kept in thousandths, so that no rounding depends on how often it is asked."""

    __slots__ = ("_capacity", "_content", "_last_ms", "_per_ms")

    def __init__(self, per_second: int, now_ms: int) -> None:
        self._capacity = per_second * 1000
        self._per_ms = per_second
        self._content = self._capacity
        self._last_ms = now_ms

    def has(self, amount: int, now_ms: int) -> bool:
        """Whether `amount` may be taken now."""
        self._fill(now_ms)
        return self._content >= min(amount * 1000, self._capacity)

    def is_full(self, now_ms: int) -> bool:
        """Whether it is as good as a new one."""
        self._fill(now_ms)
        return self._content == self._capacity

    def in_debt(self, now_ms: int) -> bool:
        """Whether more was taken than has been filled again."""
        self._fill(now_ms)
        return self._content < 0

    def debt_ms(self, now_ms: int) -> int:
        """How long until it is out of debt; 0 when it is."""
        self._fill(now_ms)
        return max(0, -(self._content // self._per_ms))

    def take(self, amount: int) -> None:
        """Take `amount`, into debt if need be.  A burst beyond the capacity forfeits the content: all of it is owed."""
        burst = amount * 1000 > self._capacity
        self._content = (min(self._content, 0) if burst else self._content) - amount * 1000

    def _fill(self, now_ms: int) -> None:
        if now_ms > self._last_ms:
            self._content = min(self._capacity, self._content + (now_ms - self._last_ms) * self._per_ms)
            self._last_ms = now_ms


class ShardQuota:
    """The buckets of one shard, where its rates are bounded."""

    __slots__ = ("_iterators", "_read_bytes", "_read_calls", "_write_bytes", "_write_records")

    def __init__(self, now_ms: int, rates: ShardRates = AWS_RATES) -> None:
        buckets = [None if rate is None else TokenBucket(rate, now_ms) for rate in rates]
        self._write_bytes, self._write_records, self._read_bytes, self._read_calls, self._iterators = buckets

    def take_write(self, size_bytes: int, now_ms: int) -> bool:
        """Admit one record of `size_bytes` (data and partition key), or refuse it and take nothing."""
        count, size = self._write_records, self._write_bytes
        if (count is not None and not count.has(1, now_ms)) or (size is not None and not size.has(size_bytes, now_ms)):
            return False
        if count is not None:
            count.take(1)
        if size is not None:
            size.take(size_bytes)
        return True

    def take_read(self, now_ms: int) -> bool:
        """Admit one GetRecords call, or refuse it; `took_read` tells later what it returned."""
        calls, size = self._read_calls, self._read_bytes
        if (size is not None and size.in_debt(now_ms)) or (calls is not None and not calls.has(1, now_ms)):
            return False
        if calls is not None:
            calls.take(1)
        return True

    def took_read(self, size_bytes: int) -> None:
        """Account for what an admitted read returned."""
        if self._read_bytes is not None:
            self._read_bytes.take(size_bytes)

    def take_iterator(self, now_ms: int) -> bool:
        """Admit one GetShardIterator call, or refuse it."""
        calls = self._iterators
        if calls is None:
            return True
        if not calls.has(1, now_ms):
            return False
        calls.take(1)
        return True
