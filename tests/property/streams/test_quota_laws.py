"""Quotas: whatever is asked and whenever, no more is admitted than the rate allows."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.limits import MIB
from penstock.services.streams.quota import ShardQuota, TokenBucket

asked = st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 30)), max_size=60)  # ms since the last, amount


def admitted(bucket: TokenBucket, requests: list[tuple[int, int]], now_ms: int = 0) -> list[tuple[int, int]]:
    """What of the requests a bucket admits: when, how much."""
    passed = []
    for wait_ms, amount in requests:
        now_ms += wait_ms
        if bucket.has(amount, now_ms):
            bucket.take(amount)
            passed.append((now_ms, amount))
    return passed


@given(st.integers(1, 20), asked)
def test_bucket_when_asked_in_any_way_then_no_window_sees_more_than_capacity_and_rate(
    rate: int, requests: list[tuple[int, int]]
) -> None:
    passed = admitted(TokenBucket(rate, 0), requests)
    for first in range(len(passed)):
        total = 0
        for now_ms, amount in passed[first:]:
            total += amount
            largest = max(rate, amount)  # a burst beyond the capacity passes, when the bucket is full
            assert total <= largest + rate * (now_ms - passed[first][0]) / 1000 + 1e-9 or passed[first][1] > rate


@given(st.integers(1, 20), asked)
def test_bucket_when_asked_from_the_start_then_the_whole_is_within_a_burst_and_the_rate(
    rate: int, requests: list[tuple[int, int]]
) -> None:
    total = 0
    for now_ms, amount in admitted(TokenBucket(rate, 0), requests):
        total += amount
        assert total <= max(rate, amount) + rate * now_ms / 1000 + 1e-9


@given(st.integers(1, 20), asked, asked)
def test_bucket_when_the_clock_steps_back_then_it_admits_no_more_than_without(
    rate: int, requests: list[tuple[int, int]], later: list[tuple[int, int]]
) -> None:
    bucket = TokenBucket(rate, 0)
    spent = admitted(bucket, requests)
    high_ms = sum(wait_ms for wait_ms, _ in requests)
    back = admitted(bucket, [(0, amount) for _, amount in later], now_ms=high_ms // 2)
    assert (
        sum(amount for _, amount in [*spent, *back])
        <= max([rate, *(amount for _, amount in [*spent, *back])]) + rate * high_ms / 1000 + 1e-9
    )


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3 * MIB)), min_size=1, max_size=80))
def test_write_when_records_are_any_then_a_shard_takes_no_more_than_its_throughput(
    requests: list[tuple[int, int]],
) -> None:
    quota, now_ms, total, count = ShardQuota(0), 0, 0, 0
    for wait_ms, size in requests:
        now_ms += wait_ms
        if quota.take_write(size, now_ms):
            total += size
            count += 1
            assert total <= max(MIB, size) + MIB * now_ms / 1000 + 1e-3
            assert count <= 1000 + now_ms


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 10 * MIB)), min_size=1, max_size=60))
def test_read_when_pages_are_any_then_a_shard_gives_no_more_than_its_throughput(
    requests: list[tuple[int, int]],
) -> None:
    quota, now_ms, total = ShardQuota(0), 0, 0
    for wait_ms, size in requests:
        now_ms += wait_ms
        if quota.take_read(now_ms):
            assert total <= 2 * MIB + 2 * MIB * now_ms / 1000 + 1e-3  # before this read, whose size is not known yet
            quota.took_read(size)
            total += size


@given(st.integers(1, 20), st.integers(0, 100), st.integers(0, 10_000))
def test_debt_when_it_is_waited_for_then_it_is_paid_and_not_a_millisecond_sooner(
    rate: int, taken: int, now_ms: int
) -> None:
    bucket = TokenBucket(rate, 0)
    bucket.take(taken)
    wait_ms = bucket.debt_ms(now_ms)
    assert (wait_ms > 0) == bucket.in_debt(now_ms)
    if wait_ms:
        assert bucket.in_debt(now_ms + wait_ms - 1)
    assert not bucket.in_debt(now_ms + wait_ms)
