"""Quotas: token buckets, as AWS meters the reads and writes of a shard.

Theory.  A bucket holds at most one second's worth of tokens and fills at its rate.  A write passes if the bucket holds enough for it,
or is full (a record larger than a second's worth bursts); a read passes if the bucket is not in debt, because its size is known only
afterwards.  What was taken beyond the content is debt, paid in time: 10 MiB read from a 2 MiB/s shard block it for 5 s.
Rules of this file: pure; time is an argument, and a clock that steps back fills nothing.
"""

from penstock.core import limits


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

    def in_debt(self, now_ms: int) -> bool:
        """Whether more was taken than has been filled again."""
        self._fill(now_ms)
        return self._content < 0

    def take(self, amount: int) -> None:
        """Take `amount`, into debt if need be.  A burst beyond the capacity forfeits the content: all of it is owed."""
        burst = amount * 1000 > self._capacity
        self._content = (min(self._content, 0) if burst else self._content) - amount * 1000

    def _fill(self, now_ms: int) -> None:
        if now_ms > self._last_ms:
            self._content = min(self._capacity, self._content + (now_ms - self._last_ms) * self._per_ms)
            self._last_ms = now_ms


class ShardQuota:
    """The buckets of one shard under `--limits aws`."""

    __slots__ = ("_iterators", "_read_bytes", "_read_calls", "_write_bytes", "_write_records")

    def __init__(self, now_ms: int) -> None:
        self._write_bytes = TokenBucket(limits.SHARD_WRITE_BYTES_PER_S, now_ms)
        self._write_records = TokenBucket(limits.SHARD_WRITE_RECORDS_PER_S, now_ms)
        self._read_bytes = TokenBucket(limits.SHARD_READ_BYTES_PER_S, now_ms)
        self._read_calls = TokenBucket(limits.SHARD_READ_CALLS_PER_S, now_ms)
        self._iterators = TokenBucket(limits.SHARD_ITERATOR_CALLS_PER_S, now_ms)

    def take_write(self, size_bytes: int, now_ms: int) -> bool:
        """Admit one record of `size_bytes` (data and partition key), or refuse it and take nothing."""
        if not self._write_records.has(1, now_ms) or not self._write_bytes.has(size_bytes, now_ms):
            return False
        self._write_records.take(1)
        self._write_bytes.take(size_bytes)
        return True

    def take_read(self, now_ms: int) -> bool:
        """Admit one GetRecords call, or refuse it; `took_read` tells later what it returned."""
        if self._read_bytes.in_debt(now_ms) or not self._read_calls.has(1, now_ms):
            return False
        self._read_calls.take(1)
        return True

    def took_read(self, size_bytes: int) -> None:
        """Account for what an admitted read returned."""
        self._read_bytes.take(size_bytes)

    def take_iterator(self, now_ms: int) -> bool:
        """Admit one GetShardIterator call, or refuse it."""
        if not self._iterators.has(1, now_ms):
            return False
        self._iterators.take(1)
        return True
