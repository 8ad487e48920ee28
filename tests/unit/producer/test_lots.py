"""Lots: what of records is taken, and what shares its fate."""

from concurrent.futures import Future
from typing import Any

import pytest

from penstock.core.hashkeys import hash_key
from penstock.producer.records import HELD_BYTES, LOT_MS, Apart, Lot, Put, UnderWay, UserRecordResult, columns, lots_of

LARGEST_BYTES = 2000
TAKEN = UserRecordResult(True, "shard-0", "49", ())


def put(data: bytes, arrived_ms: int = 5, explicit: str | None = None) -> Put:
    return Put("k", data, explicit, 7, HELD_BYTES + 1 + len(data), arrived_ms, Future())


def lot(*data: bytes, explicit: str | None = None) -> Lot:
    (made,) = lots_of([put(each, explicit=explicit) for each in data], 100, 1000)
    return made


def test_columns_when_all_is_plain_have_hash_keys_and_nothing_rare() -> None:
    assert columns([("a", b"1"), ("b", b"2")], LARGEST_BYTES) == (
        ["a", "b"],
        [b"1", b"2"],
        None,
        [hash_key(b"a"), hash_key(b"b")],
    )


@pytest.mark.parametrize("odd", [("b", bytearray(b"2")), ("b", memoryview(b"2")), ("b", b"2", None), ["b", b"2"]])
def test_columns_when_one_record_is_not_plain_are_the_same(odd: Any) -> None:
    keys, data, explicit, hash_keys = columns([("a", b"1"), odd], LARGEST_BYTES)
    assert (keys, data, explicit, hash_keys) == (["a", "b"], [b"1", b"2"], None, [hash_key(b"a"), hash_key(b"b")])
    assert type(data[1]) is bytes


def test_columns_when_one_record_has_an_explicit_hash_key_tell_it_beside_the_others() -> None:
    _, _, explicit, hash_keys = columns([("a", b"1"), ("a", b"2", "007")], LARGEST_BYTES)
    assert (explicit, hash_keys) == ([None, "7"], [hash_key(b"a"), 7])


def test_columns_when_a_record_is_as_large_as_may_be_take_it_and_no_byte_more() -> None:
    assert columns([("é", bytes(LARGEST_BYTES - 2))], LARGEST_BYTES)[0] == ["é"]
    with pytest.raises(ValueError, match="record 1: data and partition key must have at most 2000 bytes, not 2001"):
        columns([("a", b""), ("é", bytes(LARGEST_BYTES - 1))], LARGEST_BYTES)


@pytest.mark.parametrize("bad", [("",), ("k",), 7, ("", b"x"), (7, b"x"), ("k" * 257, b"x"), ("\ud800", b"x"), None])
def test_columns_when_a_record_can_never_be_put_name_its_place(bad: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="record 2: "):
        columns([("a", b"1"), ("b", b"2"), bad], LARGEST_BYTES)


def test_lots_of_records_that_came_within_milliseconds_are_one_and_count_as_come_with_the_first() -> None:
    lots = lots_of([put(b"%d" % at, 5 + at) for at in range(LOT_MS + 1)], 100, 1000)
    assert [list(each.data) for each in lots] == [[b"%d" % at for at in range(LOT_MS)], [b"%d" % LOT_MS]]
    assert [(each.arrived_ms, each.deadline_ms, each.expires_ms) for each in lots] == [
        (5, 105, 1005),
        (10, 110, 1010),
    ]
    assert lots_of([], 100, 1000) == []


def test_lot_when_it_is_cut_counts_as_before_and_each_piece_is_told_its_own() -> None:
    whole, under_way = lot(b"a", b"bb", b"ccc", explicit="7"), UnderWay()
    under_way.add(whole)
    held_bytes = under_way.held_bytes
    some, other = under_way.cut(whole, ([2, 0], [1]))
    assert (under_way.records, under_way.held_bytes, whole in under_way) == (3, held_bytes, False)
    assert (list(some.data), some.explicit_hash_keys, other.places) == ([b"ccc", b"a"], ["7", "7"], [1])
    assert under_way.forget(some)
    assert not under_way.forget(some)
    some.waiting.settle(some.places, TAKEN)
    assert isinstance(whole.waiting, Apart)
    assert [promise.done() for promise in whole.waiting._promises] == [True, False, True]
    assert (under_way.records, under_way.held_bytes) == (1, other.held_bytes)


def test_lot_when_all_of_it_goes_one_way_stays_what_it_is() -> None:
    whole, under_way = lot(b"a", b"b"), UnderWay()
    under_way.add(whole)
    assert under_way.cut(whole, ([0, 1],)) == [whole]
    assert whole in under_way


def test_under_way_when_it_is_asked_for_the_oldest_goes_by_arrival() -> None:
    assert UnderWay().oldest_ms is None
    under_way = UnderWay()
    for arrived_ms in (7, 5, 6):
        under_way.add(lots_of([put(b"x", arrived_ms)], 100, 1000)[0])
    assert under_way.oldest_ms == 5
    assert [each.arrived_ms for each in under_way.came_by(6)] == [5, 6]
