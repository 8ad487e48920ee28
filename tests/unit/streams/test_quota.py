"""Quotas: what a shard's buckets admit and refuse, to the millisecond."""

from collections.abc import Sequence

import pytest

from penstock.core.limits import KIB, MIB
from penstock.services.streams.quota import ShardQuota, TokenBucket


def test_bucket_when_new_then_it_holds_one_second_of_its_rate() -> None:
    bucket = TokenBucket(5, 0)
    assert [_taken(bucket, 1, 0) for _ in range(6)] == [True] * 5 + [False]


def _taken(bucket: TokenBucket, amount: int, now_ms: int) -> bool:
    if not bucket.has(amount, now_ms):
        return False
    bucket.take(amount)
    return True


def test_bucket_when_time_passes_then_it_fills_at_its_rate_and_no_further_than_its_capacity() -> None:
    bucket = TokenBucket(5, 0)
    bucket.take(5)
    assert [bucket.has(1, now_ms) for now_ms in (0, 199, 200)] == [False, False, True]
    assert bucket.has(5, 1000)
    bucket.take(5)
    assert [_taken(bucket, 1, 10**9) for _ in range(6)] == [True] * 5 + [False]


def test_bucket_when_the_clock_steps_back_then_nothing_is_filled_until_it_has_caught_up() -> None:
    bucket = TokenBucket(1000, 10_000)
    bucket.take(1000)
    assert not bucket.has(1, 5_000)
    assert not bucket.has(1, 10_000)
    assert bucket.has(1, 10_001)
    assert not bucket.has(2, 10_001)


def test_bucket_when_the_clock_steps_back_then_nothing_is_lost() -> None:
    bucket = TokenBucket(1000, 10_000)
    assert bucket.has(1000, 5_000)
    assert bucket.has(1000, 10_000)


def test_bucket_when_it_refuses_then_nothing_was_taken() -> None:
    bucket = TokenBucket(10, 0)
    bucket.take(4)
    assert not bucket.has(7, 0)
    assert bucket.has(6, 0)


def test_bucket_when_more_than_its_capacity_is_asked_then_only_a_full_one_has_it() -> None:
    bucket = TokenBucket(10, 0)
    assert bucket.has(35, 0)
    bucket.take(1)
    assert not bucket.has(35, 99)
    assert bucket.has(35, 100)


def test_bucket_when_a_burst_was_taken_then_all_of_it_is_owed() -> None:
    bucket = TokenBucket(10, 0)
    bucket.take(35)
    assert bucket.in_debt(3_499)
    assert not bucket.in_debt(3_500)
    assert not bucket.has(1, 3_599)
    assert bucket.has(1, 3_600)


def test_bucket_when_a_burst_is_taken_in_debt_then_both_are_owed() -> None:
    bucket = TokenBucket(10, 0)
    bucket.take(100)
    bucket.take(20)
    assert bucket.in_debt(11_900)


def test_bucket_when_it_is_exactly_empty_then_it_is_not_in_debt() -> None:
    bucket = TokenBucket(10, 0)
    bucket.take(10)
    assert not bucket.in_debt(0)
    assert not bucket.has(1, 0)


@pytest.mark.parametrize("polls", [[], [4999], [2500], [1, 1000, 4999], range(5000)], ids=repr)
def test_bucket_when_it_is_asked_in_between_then_it_fills_no_slower(polls: Sequence[int]) -> None:
    """A caller that polls is no worse off than one that waits: nothing is lost to rounding."""
    bucket = TokenBucket(2 * MIB, 0)
    bucket.take(10 * MIB)
    for now_ms in polls:
        assert bucket.in_debt(now_ms)
    assert not bucket.in_debt(5000)


def test_write_when_records_are_small_then_1000_a_second_pass() -> None:
    quota = ShardQuota(0)
    assert sum(quota.take_write(1, 0) for _ in range(1100)) == 1000
    assert sum(quota.take_write(1, 10) for _ in range(100)) == 10


def test_write_when_records_are_large_then_1_mib_a_second_passes() -> None:
    quota = ShardQuota(0)
    assert sum(quota.take_write(64 * KIB, 0) for _ in range(20)) == 16
    assert sum(quota.take_write(64 * KIB, 125) for _ in range(20)) == 2


def test_write_when_refused_for_its_size_then_a_smaller_one_still_passes() -> None:
    quota = ShardQuota(0)
    assert quota.take_write(MIB - 100, 0)
    assert not quota.take_write(101, 0)
    assert quota.take_write(100, 0)
    assert not quota.take_write(1, 0)


def test_write_when_refused_for_its_count_then_no_bytes_are_taken() -> None:
    quota = ShardQuota(0)
    for _ in range(1000):
        assert quota.take_write(1, 0)
    assert not quota.take_write(MIB - 1000, 0)
    assert quota.take_write(MIB - 1000, 1)  # one record more a millisecond, and the bytes are all there


def test_write_when_refused_for_its_bytes_then_no_record_is_counted() -> None:
    quota = ShardQuota(0)
    assert quota.take_write(MIB, 0)
    for _ in range(2000):
        assert not quota.take_write(MIB, 0)
    assert sum(quota.take_write(0, 0) for _ in range(1100)) == 999


def test_write_when_a_record_is_larger_than_a_second_then_it_bursts_once_and_is_paid_for() -> None:
    quota = ShardQuota(0)
    assert quota.take_write(10 * MIB, 0)
    assert not quota.take_write(1, 0)
    assert not quota.take_write(1, 10_000)
    assert quota.take_write(1, 10_001)
    assert not quota.take_write(10 * MIB, 10_999)
    assert quota.take_write(10 * MIB, 11_002)


def test_read_when_repeated_then_5_calls_a_second_pass() -> None:
    quota = ShardQuota(0)
    assert [quota.take_read(0) for _ in range(6)] == [True] * 5 + [False]
    assert [quota.take_read(200) for _ in range(2)] == [True, False]


def test_read_when_10_mib_were_returned_then_the_shard_is_blocked_for_5_seconds() -> None:
    quota = ShardQuota(0)
    assert quota.take_read(0)
    quota.took_read(10 * MIB)
    assert [quota.take_read(now_ms) for now_ms in (1, 1000, 4999, 5000)] == [False, False, False, True]


def test_read_when_two_large_ones_overlap_then_both_are_paid_for() -> None:
    """Both were admitted before either had returned."""
    quota = ShardQuota(0)
    assert quota.take_read(0)
    assert quota.take_read(0)
    quota.took_read(10 * MIB)
    quota.took_read(10 * MIB)
    assert not quota.take_read(9_900)


def test_read_when_2_mib_are_returned_in_two_calls_of_a_second_then_a_third_passes() -> None:
    quota = ShardQuota(0)
    for now_ms in (0, 300, 600):
        assert quota.take_read(now_ms), now_ms
        quota.took_read(MIB)


def test_read_when_refused_then_no_call_is_counted() -> None:
    quota = ShardQuota(0)
    assert quota.take_read(0)
    quota.took_read(10 * MIB)
    for now_ms in range(4990):
        assert not quota.take_read(now_ms)
    assert [quota.take_read(5_001) for _ in range(6)] == [True] * 5 + [False]


def test_iterator_when_repeated_then_5_a_second_pass_beside_the_reads() -> None:
    quota = ShardQuota(0)
    assert [quota.take_iterator(0) for _ in range(6)] == [True] * 5 + [False]
    assert [quota.take_read(0) for _ in range(6)] == [True] * 5 + [False]
    assert quota.take_iterator(200)
