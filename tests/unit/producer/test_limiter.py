"""The limiter: rates, the most urgent first, expiry."""

from penstock.producer.limiter import DEPTH_BYTES, Limiter
from penstock.producer.records import Entry

MIB = 2**20


def entry(name: str, size_bytes: int = 0, deadline_ms: int = 0, expires_ms: int = 10**9) -> Entry:
    return Entry((), name, "0", bytes(size_bytes - len(name) if size_bytes else 0), "shard-0", deadline_ms, expires_ms)


def passing(limiter: Limiter, now_ms: int) -> list[str]:
    return [each.partition_key for each in limiter.drain(now_ms)]


def test_limiter_lets_1500_records_a_second_pass_by_default() -> None:
    limiter = Limiter(150)
    for number in range(3000):
        limiter.put("shard-0", entry(str(number)), 0)
    assert passing(limiter, 0) == []
    assert [len(passing(limiter, at_ms)) for at_ms in (25, 50, 1050)] == [37, 38, 1500]


def test_limiter_lets_bytes_pass_at_their_rate_and_keeps_at_most_its_depth() -> None:
    limiter = Limiter(100)
    for number in range(40):
        limiter.put("shard-0", entry(str(number), MIB), 0)
    assert [len(passing(limiter, at_ms)) for at_ms in (500, 1000, 3000)] == [0, 1, 2]
    assert len(passing(limiter, 100_000)) == DEPTH_BYTES // MIB


def test_limiter_lets_the_most_urgent_pass_first_and_equals_in_order() -> None:
    limiter = Limiter(100)
    for name, deadline_ms in (("late", 9), ("first", 5), ("second", 5), ("urgent", 1)):
        limiter.put("shard-0", entry(name, deadline_ms=deadline_ms), 0)
    assert passing(limiter, 100) == ["urgent", "first", "second", "late"]


def test_limiter_gives_back_what_has_expired_and_takes_no_tokens_for_it() -> None:
    limiter = Limiter(100)
    limiter.put("shard-0", entry("old", MIB, deadline_ms=1, expires_ms=50), 0)
    limiter.put("shard-0", entry("new", MIB // 10, deadline_ms=2), 0)
    assert passing(limiter, 49) == []
    assert passing(limiter, 100) == ["old", "new"]


def test_limiter_when_one_shard_is_full_lets_the_others_pass() -> None:
    limiter = Limiter(100)
    limiter.put("shard-0", entry("large", 9 * MIB), 0)
    limiter.put("shard-1", entry("small"), 0)
    assert passing(limiter, 10) == ["small"]


def test_limiter_when_a_record_is_larger_than_the_bucket_lets_it_pass_when_that_is_full() -> None:
    limiter = Limiter(100)
    limiter.put("shard-0", entry("giant", DEPTH_BYTES + 5), 0)
    assert passing(limiter, 9_000) == []
    assert passing(limiter, 10_000) == ["giant"]


def test_limiter_when_time_goes_back_fills_nothing() -> None:
    limiter = Limiter(100)
    limiter.put("shard-0", entry("one"), 1000)
    assert passing(limiter, 0) == []
    assert passing(limiter, 1001) == ["one"]


def test_limiter_forgets_shards_that_are_gone_and_have_nothing_waiting() -> None:
    limiter = Limiter(100)
    limiter.put("shard-0", entry("one"), 0)
    limiter.keep_only(frozenset())
    assert passing(limiter, 10) == ["one"]
