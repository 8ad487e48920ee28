"""What the native part counts of many shards is what Python counts of each."""

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams_world import START_MS, make_shards, make_stream

from penstock.core.ids import Millis
from penstock.core.limits import HOUR_MS
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.state import Stream
from penstock.services.streams.tally import Calls
from penstock.services.streams.traffic import FIELDS, Traffic
from penstock.wire import cbor
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import RequestSpread

SHARDS = 4


class Call(NamedTuple):
    """A PutRecords: when, what it took, and the hash key and size of each record."""

    later_ms: int
    took_ms: int
    records: list[tuple[int, int]]
    alone: bool  # as many PutRecord


CALLS = st.lists(
    st.builds(
        Call,
        st.sampled_from((0, 1, 400, 999, 1000, 30_000, 61_000, HOUR_MS)),
        st.integers(0, 50),
        st.lists(st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 30)), min_size=1, max_size=6),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def a_view() -> StreamView:
    stream: Stream = make_stream()
    view = StreamView(stream, 1)
    for shard in make_shards(stream, SHARDS):
        view.set_shard(shard.no, ShardView(shard, 1))
    return view


def spread_of(view: StreamView, records: list[tuple[int, int]]) -> RequestSpread:
    assert NATIVE is not None
    rows = [{"Data": bytes(size), "PartitionKey": "key", "ExplicitHashKey": str(place)} for place, size in records]
    found = NATIVE.read_cbor(cbor.encode_document({"StreamName": "orders", "Records": rows}))
    assert found is not None
    return found[1].spread(view.ring.native)


def count(view: StreamView, together: Traffic, apart: Traffic, call: Call, now_ms: int) -> None:
    """Count a call, or calls of one record each, both ways."""
    spread = spread_of(view, call.records)
    together.scattered(view.stream.uid, spread, view.names, Millis(now_ms), call.took_ms, alone=call.alone)
    groups = memoryview(spread.order()).cast("H")
    for number, (owner, records, size) in enumerate(zip(spread.owners(), spread.counts(), spread.sizes(), strict=True)):
        held, since_ms = view.ring.owners[owner], now_ms - call.took_ms
        if call.alone:
            sizes = [
                len("key") + size for (_, size), group in zip(call.records, groups, strict=True) if group == number
            ]
            apart.wrote_ones(held, sizes, Millis(now_ms), since_ms)
        else:
            apart.wrote(held, records, size, Millis(now_ms), since_ms)


def figures(calls: Calls) -> list[float]:
    return [getattr(calls, name) for name in Calls.__slots__]


@settings(max_examples=200, derandomize=True)
@given(calls=CALLS, asked_ms=st.sampled_from((0, 500, 1000, 60_000, HOUR_MS, HOUR_MS + 60_000)))
def test_scattered_when_calls_come_at_any_time_then_every_shard_tells_what_it_would_have_counted_itself(
    calls: list[Call], asked_ms: int
) -> None:
    view, together, apart, now_ms = a_view(), Traffic(), Traffic(), START_MS
    for call in calls:
        now_ms += call.later_ms
        count(view, together, apart, call, now_ms)
    now_ms += asked_ms
    uid, minute = view.stream.uid, now_ms // 60_000
    expected = {held.no: held for held in apart.of(view)}
    for told in together.of(view):
        itself = expected.pop(told.no)
        assert told.log == itself.log
        assert [told.seconds(n, now_ms) for n in (1, 10, 60)] == [itself.seconds(n, now_ms) for n in (1, 10, 60)]
        assert [told.minute(minute - n, now_ms) for n in (1, 2, 60)] == [
            itself.minute(minute - n, now_ms) for n in (1, 2, 60)
        ]
        assert told.idle(now_ms) == itself.idle(now_ms)
        sums, others = [0] * (60 * FIELDS), [0] * (60 * FIELDS)
        told.add_minutes(sums, minute - 60, minute, now_ms)
        itself.add_minutes(others, minute - 60, minute, now_ms)
        assert sums == others
    assert not expected
    apart.cut()
    tallies = {held.no: tally for held in apart.by_stream()[uid] if (tally := apart.take_tally(held)) is not None}
    for alone in (False, True):
        whole = together.take_scattered(uid, alone=alone)
        each = {no: together.taken_scattered(uid, no, alone=alone) for no in range(SHARDS)}
        of_kind = {no: one.ones if alone else one.manies for no, one in tallies.items()}
        assert {no: figures(one) for no, one in each.items()} == {
            no: figures(of_kind.get(no) or Calls()) for no in range(SHARDS)
        }
        merged = Calls()
        for calls_of_one in each.values():
            merged.merge(calls_of_one)
        assert figures(whole) == figures(merged)
        assert together.take_scattered(uid, alone=alone).count == 0
        assert [together.taken_scattered(uid, no, alone=alone).count for no in range(SHARDS + 1)] == [0] * (SHARDS + 1)


def test_scattered_when_the_clock_goes_back_then_the_rings_begin_anew() -> None:
    view, traffic = a_view(), Traffic()
    for at_ms in (START_MS + HOUR_MS, START_MS):
        traffic.scattered(view.stream.uid, spread_of(view, [(0, 1)]), view.names, Millis(at_ms), 1)
    [told] = traffic.of(view)
    assert told.seconds(60, START_MS + 1000).in_records == 1 / 60
    assert told.idle(START_MS + 2 * HOUR_MS)


def test_forget_when_a_shard_is_written_to_again_then_it_is_told_again() -> None:
    view, traffic = a_view(), Traffic()
    for _ in range(2):
        traffic.scattered(view.stream.uid, spread_of(view, [(0, 1)]), view.names, Millis(START_MS), 1)
        assert [held.no for held in traffic.of(view)] == [0]
        traffic.forget(traffic.of(view))
        assert traffic.of(view) == []
        assert traffic.by_stream() == {}


def test_add_when_names_are_of_another_ring_then_it_is_refused() -> None:
    assert NATIVE is not None
    with pytest.raises(ValueError, match="no such shard"):
        NATIVE.WriteCounts().add(spread_of(a_view(), [(2**128 - 1, 1)]), NATIVE.ShardNames([]), 1, 1, False)
