"""Reducers: bounds of aggregates and requests, deadlines, order."""

from concurrent.futures import Future

from penstock.producer.config import ProducerConfig
from penstock.producer.records import Entry, Lot, Put, UnderWay, lots_of
from penstock.producer.reducers import NEVER_MS, SHARD_BYTES_MAX, Collector, Packer


def lot(*data: bytes, deadline_ms: int = 100, expires_ms: int = 1000) -> Lot:
    puts = [Put("k", each, None, 5, 0, 0, Future()) for each in data]
    (made,) = lots_of(puts, deadline_ms, expires_ms)
    return made


def packer(under_way: UnderWay, due: list[tuple[int, str]], max_bytes: int = 51_200) -> Packer:
    return Packer("shard-0", ProducerConfig(aggregation_max_size=max_bytes), due, under_way)


def entry(size_bytes: int, deadline_ms: int = 100, shard_id: str | None = "shard-0") -> Entry:
    return Entry((), "k", "0", bytes(size_bytes - 1), shard_id, deadline_ms, 1000)


def sizes(requests: list[list[Entry]]) -> list[list[int]]:
    return [[each.size_bytes for each in request] for request in requests]


def test_packer_when_a_record_does_not_fit_gives_what_it_held() -> None:
    under_way = UnderWay()
    held = packer(under_way, [], 200)
    first, second = lot(b"a" * 80), lot(b"b" * 50, b"c" * 150)
    under_way.add(first)
    under_way.add(second)
    assert held.add(first) == []
    (full,) = held.add(second)
    assert [data[:1] for each in full.lots for data in each.data] == [b"a", b"b"]
    assert len(full.data) <= 200
    rest = held.take()
    assert rest is not None
    assert (rest.partition_key, rest.data) == ("k", b"c" * 150)  # alone: as it is
    assert held.take() is None
    assert second not in under_way  # it was cut in two, which are
    assert [each in under_way for each in (*full.lots, *rest.lots)] == [True] * 3
    assert under_way.records == 3


def test_packer_is_due_with_its_most_urgent_record() -> None:
    due: list[tuple[int, str]] = []
    held = packer(UnderWay(), due)
    for deadline_ms, expires_ms in ((100, 900), (40, 1000), (70, 800)):
        held.add(lot(b"x", deadline_ms=deadline_ms, expires_ms=expires_ms))
    assert (held.deadline_ms, sorted(due)) == (40, [(40, "shard-0"), (100, "shard-0")])
    full = held.take()
    assert full is not None
    assert (full.deadline_ms, full.expires_ms) == (40, 800)
    assert held.deadline_ms == NEVER_MS


def test_collector_when_a_record_does_not_fit_gives_what_it_held() -> None:
    collector = Collector(ProducerConfig(collection_max_size=60_000))
    assert collector.add(entry(40_000)) == []
    assert sizes(collector.add(entry(30_000))) == [[40_000]]
    assert sizes([collector.take()]) == [[30_000]]


def test_collector_when_one_record_is_larger_than_a_request_gives_it_alone() -> None:
    collector = Collector(ProducerConfig(collection_max_size=60_000))
    assert collector.add(entry(10, shard_id="shard-1")) == []
    assert sizes(collector.add(entry(SHARD_BYTES_MAX))) == [[10], [SHARD_BYTES_MAX]]


def test_collector_when_it_has_enough_records_gives_them() -> None:
    collector = Collector(ProducerConfig(collection_max_count=3))
    found = [collector.add(entry(5)) for _ in range(4)]
    assert [sizes(each) for each in found] == [[], [], [[5, 5, 5]], []]


def test_collector_when_one_shard_has_much_gives_everything() -> None:
    collector = Collector(ProducerConfig())
    assert collector.add(entry(SHARD_BYTES_MAX - 1, shard_id="shard-1")) == []
    assert collector.add(entry(10)) == []
    assert len(collector.add(entry(1, shard_id="shard-1"))[0]) == 3


def test_collector_when_shards_are_not_known_counts_nothing_against_one() -> None:
    collector = Collector(ProducerConfig())
    assert [collector.add(entry(SHARD_BYTES_MAX, shard_id=None)) for _ in range(3)] == [[], [], []]


def test_collector_waits_a_fifth_of_the_buffered_time_and_at_most_50_ms_longer() -> None:
    for buffered_ms, aggregation, due_ms in ((100, True, 120), (1000, True, 150), (100, False, 100)):
        collector = Collector(ProducerConfig(record_max_buffered_time=buffered_ms, aggregation_enabled=aggregation))
        collector.add(entry(1, deadline_ms=100))
        collector.add(entry(1, deadline_ms=300))
        assert collector.deadline_ms == due_ms
