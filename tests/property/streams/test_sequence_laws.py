"""Sequence numbers: laws of order and of reading back."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.engines.api import Position
from penstock.services.streams.sequence import (
    INDEX_MAX,
    ShardOrigin,
    base,
    between,
    decode,
    ending,
    place_of,
    position_of,
    starting,
    tail,
)

OUR_DAYS_S = (1_262_304_000, 4_102_444_800)  # 2010 .. 2100

seconds = st.integers(*OUR_DAYS_S)
origins = st.builds(ShardOrigin, st.integers(0, 2**31 - 1), seconds)
positions = st.builds(Position, st.integers(0, 2**15 - 1), st.integers(0, 2**48 - 2) | st.integers(0, 100))
moments_ms = st.integers(OUR_DAYS_S[0] * 1000, OUR_DAYS_S[1] * 1000)


def number(origin: ShardOrigin, position: Position, arrival_ms: int) -> int:
    """A record's sequence number."""
    return base(origin) + tail(position, arrival_ms)


@given(origins, positions, moments_ms)
def test_number_when_anything_fits_then_it_has_186_bits_and_56_digits(
    origin: ShardOrigin, position: Position, arrival_ms: int
) -> None:
    for text in (str(number(origin, position, arrival_ms)), starting(origin), ending(origin, arrival_ms)):
        assert int(text).bit_length() == 186
        assert len(text) == 56


@given(origins, positions, moments_ms)
def test_decode_when_the_number_is_a_records_then_it_tells_all_that_went_in(
    origin: ShardOrigin, position: Position, arrival_ms: int
) -> None:
    text = str(number(origin, position, arrival_ms))
    decoded = decode(text)
    assert decoded is not None
    assert (decoded.number, decoded.version) == (int(text), 2)
    assert ShardOrigin(decoded.shard_no, decoded.created_s) == origin
    assert position_of(decoded.index_in_shard) == position
    assert decoded.arrived_s == arrival_ms // 1000


@given(origins, moments_ms)
def test_decode_when_the_number_is_a_shards_own_then_its_index_is_the_lowest_or_the_highest(
    origin: ShardOrigin, closed_ms: int
) -> None:
    first, last = decode(starting(origin)), decode(ending(origin, closed_ms))
    assert first is not None
    assert last is not None
    assert (first.index_in_shard, first.arrived_s) == (0, origin.created_s)
    assert (last.index_in_shard, last.arrived_s) == (INDEX_MAX, closed_ms // 1000)
    assert first.shard_no == last.shard_no == origin.shard_no


@given(origins, st.lists(st.tuples(positions, moments_ms), min_size=2, max_size=20), moments_ms)
def test_number_when_positions_rise_then_so_does_it_whatever_the_arrival_times(
    origin: ShardOrigin, records: list[tuple[Position, int]], closed_ms: int
) -> None:
    by_position = dict(sorted(records))
    numbers = [number(origin, position, arrival_ms) for position, arrival_ms in by_position.items()]
    assert numbers == sorted(set(numbers))
    assert int(starting(origin)) < numbers[0]
    assert numbers[-1] < int(ending(origin, closed_ms))


@given(origins, st.integers(1, 10**6), st.integers(0, 2**31 - 1), positions, moments_ms)
def test_number_when_a_child_was_created_later_then_all_of_its_are_above_all_of_its_parents(
    parent: ShardOrigin, later_s: int, child_no: int, position: Position, arrival_ms: int
) -> None:
    child = ShardOrigin(child_no, parent.created_s + later_s)
    assert int(ending(parent, arrival_ms)) < int(starting(child)) < number(child, position, arrival_ms)


@given(st.integers(0, 2**190))
def test_decode_when_the_number_is_any_then_it_answers_and_never_lies_about_the_number(value: int) -> None:
    decoded = decode(str(value))
    if decoded is not None:
        assert decoded.number == value or (decoded.version == 0 and decoded.number == value + 2**124)
        assert 0 <= decoded.shard_no <= 2**31 - 1
        assert 0 <= decoded.index_in_shard <= INDEX_MAX
        assert decoded.version in (0, 1, 2)


@given(origins, positions, moments_ms, moments_ms)
def test_mark_when_it_stands_between_two_records_then_its_number_does_too_and_it_means_the_second(
    origin: ShardOrigin, position: Position, arrival_ms: int, now_ms: int
) -> None:
    following = Position(position.incarnation, position.offset + 1)
    mark = base(origin) + between(following, now_ms)
    assert number(origin, position, arrival_ms) < mark < number(origin, following, arrival_ms)
    assert mark.bit_length() == 186
    decoded = decode(str(mark))
    assert decoded is not None
    assert (decoded.between, ShardOrigin(decoded.shard_no, decoded.created_s)) == (True, origin)
    assert place_of(decoded, after=False) == place_of(decoded, after=True) == following


@given(origins, moments_ms)
def test_mark_when_nothing_was_written_then_it_means_the_beginning(origin: ShardOrigin, now_ms: int) -> None:
    mark = base(origin) + between(Position(0, 0), now_ms)
    assert mark < number(origin, Position(0, 0), now_ms)
    decoded = decode(str(mark))
    assert decoded is not None
    assert place_of(decoded, after=False) == place_of(decoded, after=True) == Position(0, 0)


@given(origins, positions, moments_ms)
def test_place_when_the_number_is_a_records_then_it_is_there_or_just_after(
    origin: ShardOrigin, position: Position, arrival_ms: int
) -> None:
    decoded = decode(str(number(origin, position, arrival_ms)))
    assert decoded is not None
    assert not decoded.between
    assert place_of(decoded, after=False) == position
    assert place_of(decoded, after=True) == Position(position.incarnation, position.offset + 1)
    first = decode(starting(origin))
    assert first is not None
    assert place_of(first, after=True) == place_of(first, after=False) == Position(0, 0)
