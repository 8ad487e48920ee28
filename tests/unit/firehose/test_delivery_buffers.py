"""Laws of buffers: nothing lost, nothing twice, in order, within bounds, in time."""

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from penstock.services.firehose.buffers import LINGER_MS, Buffers, Limits, Piece, Ready
from penstock.services.firehose.holds import Hold, Ledger

Steps = list[tuple[str, list[int], int]]  # key, lengths of records, milliseconds that pass before
steps = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.lists(st.integers(0, 30), min_size=1, max_size=8),
        st.one_of(st.integers(0, 400), st.integers(-500, -1)),
    ),
    max_size=25,
)
limits = st.builds(Limits, st.integers(1, 60), st.sampled_from([0, 300, 1000]), st.one_of(st.none(), st.integers(1, 6)))


def play(bounds: Limits, plan: Steps, see: Callable[[Ready[str, int], int], None]) -> tuple[Buffers[str, int], int]:
    """Put records of a plan in, on a clock that may go back; `see` sees what becomes ready."""
    buffers: Buffers[str, int] = Buffers(bounds)
    now_ms = number = 0
    for key, lengths, passed_ms in plan:
        now_ms += passed_ms
        for ready in buffers.due(now_ms):
            see(ready, now_ms)
        records = list(range(number, number + len(lengths)))
        number += len(lengths)
        for ready in buffers.add(key, Piece(Hold(lambda: None), records, lengths, now_ms), now_ms):
            see(ready, now_ms)
    return buffers, now_ms


@given(limits, steps)
def test_buffers_when_fed_then_every_record_comes_out_once_and_in_order(bounds: Limits, plan: Steps) -> None:
    seen: dict[str, list[int]] = {"a": [], "b": []}

    def see(ready: Ready[str, int], now_ms: int) -> None:
        seen[ready.key] += [record for piece in ready.pieces for record in piece.records]

    buffers, now_ms = play(bounds, plan, see)
    for ready in buffers.everything():
        see(ready, now_ms)
    assert buffers.held_bytes == 0
    assert all(low < high for found in seen.values() for low, high in pairwise(found))
    assert sorted(seen["a"] + seen["b"]) == list(range(sum(len(lengths) for _, lengths, _ in plan)))


@given(limits, steps)
def test_parcel_when_ready_then_it_is_within_the_hints_or_one_large_record(bounds: Limits, plan: Steps) -> None:
    def see(ready: Ready[str, int], now_ms: int) -> None:
        lengths = [length for piece in ready.pieces for length in piece.lengths]
        assert (len(lengths), sum(lengths)) == (ready.records, ready.size_bytes)
        assert ready.size_bytes <= bounds.size_bytes or len(lengths) == 1
        assert bounds.records_max is None or len(lengths) <= bounds.records_max

    buffers, now_ms = play(bounds, plan, see)
    for ready in buffers.everything():
        see(ready, now_ms)


@given(limits, steps)
def test_buffer_when_its_interval_is_over_then_it_is_due(bounds: Limits, plan: Steps) -> None:
    interval_ms = bounds.interval_ms or LINGER_MS
    buffers, now_ms = play(bounds, plan, lambda ready, now_ms: None)
    left_ms = buffers.due_in_ms(now_ms)
    assert (left_ms is None) == (len(buffers) == 0)
    assert left_ms is None or 0 <= left_ms <= interval_ms
    list(buffers.due(now_ms + interval_ms))
    assert len(buffers) == 0


@given(steps)
def test_hold_when_pieces_are_cut_then_it_is_released_with_the_last_of_them(plan: Steps) -> None:
    released: list[int] = []
    buffers: Buffers[str, int] = Buffers(Limits(10, 100))
    out: list[Ready[str, int]] = []
    for number, (key, lengths, _) in enumerate(plan):
        hold = Hold(lambda number=number: released.append(number))  # type: ignore[misc]
        out += buffers.add(key, Piece(hold, lengths, lengths, 0), 0)
    out += buffers.everything()
    assert released == []
    for ready in out:
        for piece in ready.pieces:
            piece.hold.drop()
    assert sorted(released) == list(range(len(plan)))


@given(st.permutations(range(6)))
def test_ledger_when_runs_end_in_any_order_then_it_never_passes_one_that_has_not(order: list[int]) -> None:
    moves: list[int] = []
    ledger: Ledger[int] = Ledger(0, lambda: moves.append(ledger.accounted))
    holds = [ledger.open(number + 1) for number in range(6)]
    done: set[int] = set()
    for number in order:
        holds[number].drop()
        done.add(number)
        first_open = next((one for one in range(6) if one not in done), 6)
        assert ledger.accounted == first_open
    assert moves == sorted(set(moves))
    assert len(ledger) == 0
