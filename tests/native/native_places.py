"""The places and offsets that the native part gives a spread are those that Python gives it."""

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_requests import ROWS, cut_columns, read
from plain_spread import PlainSpread

from penstock.engines.local.tips import PlainTips
from penstock.services.streams.topology import Ring, tiling
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import RequestSpread, Tips


class Tip(NamedTuple):
    """How a log stands."""

    end: int
    ahead: int  # offsets that were given and are not durable yet
    last_arrival_ms: int
    closed: bool


TIPS = st.builds(Tip, st.integers(0, 2**62), st.integers(0, 9), st.integers(-1, 2**62), st.just(False))


def stand(tips: Tips, logs: list[Tip]) -> Tips:
    """Logs as they stand."""
    for log in logs:
        place = tips.add()
        tips.set_end(place, log.end)
        tips.set_next_offset(place, log.end + log.ahead)
        tips.set_last_arrival_ms(place, log.last_arrival_ms)
        tips.set_closed(place, log.closed)
    return tips


def states(tips: Tips, count: int) -> list[tuple[object, ...]]:
    figures = tips.end, tips.next_offset, tips.last_arrival_ms, tips.is_closed
    return [(*(figure(place) for figure in figures), tips.scatters_since(place, 4)) for place in range(count)]


def both(rows: list[tuple[str, bytes, int | None]], starts: set[int]) -> tuple[RequestSpread, PlainSpread]:
    ring = Ring([(held, number) for number, held in enumerate(tiling([0, *sorted(starts)]))])
    spread = read(rows, "cbor").spread(ring.native)
    return spread, PlainSpread([(owner, *cut_columns(*columns)) for owner, _, *columns in spread.groups()])


@settings(max_examples=150, derandomize=True)
@given(
    rows=ROWS,
    starts=st.sets(st.integers(1, 2**128 - 1), max_size=9),
    logs=st.lists(TIPS, min_size=12, max_size=12),
    closed=st.none() | st.integers(0, 11),
    log_nos=st.lists(st.integers(0, 2**64 - 1), min_size=10, max_size=10, unique=True),
    numbers=st.tuples(*[st.integers(0, 2**64 - 1)] * 2),
    now_ms=st.integers(0, 2**62),
)
def test_place_when_given_any_logs_is_as_python_places_them(
    rows: list[tuple[str, bytes, int | None]],
    starts: set[int],
    logs: list[Tip],
    closed: int | None,
    log_nos: list[int],
    numbers: tuple[int, int],
    now_ms: int,
) -> None:
    assert NATIVE is not None
    if closed is not None:
        logs[closed] = logs[closed]._replace(closed=True)
    spread, plain = both(rows, starts)
    assert (spread.sizes(), spread.counts(), spread.frames_bytes) == (plain.sizes(), plain.counts(), plain.frames_bytes)
    tips, plain_tips = stand(NATIVE.Tips(), logs), stand(PlainTips(), logs)
    fanned = NATIVE.Fanned([place + 2 for place in range(10)], log_nos)
    placed, expected = spread.place(fanned, tips, now_ms), plain.place(fanned, plain_tips, now_ms)
    assert states(tips, 12) == states(plain_tips, 12)
    assert (placed is None) == (expected is None)
    if placed is None or expected is None:
        return
    assert (placed.firsts, placed.places, placed.arrival_ms) == (expected.firsts, expected.places, expected.arrival_ms)
    assert placed.frames(*numbers) == expected.frames(*numbers)
    assert [placed.blocks().row(group) for group in range(11)] == [expected.row(group) for group in range(11)]
    for number in range(3, 6):
        placed.show(tips, number)
        expected.show(plain_tips, number)
        assert states(tips, 12) == states(plain_tips, 12)
    for each in (tips, plain_tips):
        each.forget_scatters(5)
    assert states(tips, 12) == states(plain_tips, 12)
    assert {number for place in placed.places for number, _ in tips.scatters_since(place, 0)} == {5}
    placed.roll_back(tips)
    expected.roll_back(plain_tips)
    assert states(tips, 12) == states(plain_tips, 12)


def test_place_when_it_is_taken_back_then_the_same_offsets_are_given_again() -> None:
    assert NATIVE is not None
    spread, _ = both([("k", b"d", 0)], set())
    tips, fanned = stand(NATIVE.Tips(), [Tip(5, 2, 100, closed=False)]), NATIVE.Fanned([0], [1])
    placed = spread.place(fanned, tips, 7)
    assert placed is not None
    assert (placed.firsts, placed.arrival_ms, tips.next_offset(0)) == ([7], 100, 8)
    placed.roll_back(tips)
    assert (tips.next_offset(0), tips.end(0)) == (5, 5)


def test_tips_when_a_log_is_asked_for_that_is_none_is_refused() -> None:
    assert NATIVE is not None
    for tips in (NATIVE.Tips(), PlainTips()):
        for call in (tips.end, tips.next_offset, tips.last_arrival_ms, tips.is_closed, tips.start, tips.settled_end):
            with pytest.raises(IndexError):
                call(0)
        with pytest.raises(IndexError):
            tips.settle_to(0, 1)
    spread, _ = both([("k", b"d", 0)], set())
    with pytest.raises(IndexError):
        spread.place(NATIVE.Fanned([3], [1]), NATIVE.Tips(), 0)
    with pytest.raises(ValueError, match="shard"):
        spread.place(NATIVE.Fanned([], []), NATIVE.Tips(), 0)
    with pytest.raises(ValueError, match="number"):
        NATIVE.Fanned([1], [])
