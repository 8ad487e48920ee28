"""Sequence numbers: AWS's layout digit by digit, recorded numbers, and what is refused."""

import itertools

import pytest

from penstock.engines.api import Position
from penstock.services.streams.sequence import (
    INDEX_MAX,
    NEXT_RECORD,
    Decoded,
    ShardOrigin,
    arrived,
    base,
    decode,
    ending,
    normalise,
    position_of,
    starting,
    tail,
)

CREATED_S = 0x0_6553_F100  # 2023-11-14
ARRIVED_S = 0x0_6553_F1FF


def digits(text: str) -> str:
    """The hex digits of a decimal number."""
    return f"{int(text):x}"


def numbered(**changed: str) -> str:
    """A decimal sequence number from its hex digits, in the order of the layout."""
    fields = {
        "lead": "2",
        "created": "06553f100",
        "low": "3",
        "index": "0000000000000005",
        "zeros": "00",
        "arrived": "06553f1ff",
        "shard": "00000003",
        "version": "2",
    }
    return str(int("".join({**fields, **changed}.values()), 16))


def test_number_when_written_in_hex_then_each_field_is_where_aws_has_it() -> None:
    origin = ShardOrigin(0x1234ABCD, CREATED_S)
    number = base(origin) + tail(Position(0x7F, 0x123456789ABC - 1), ARRIVED_S * 1000 + 999)
    assert f"{number:x}" == "2" + "06553f100" + "d" + "007f123456789abc" + "00" + "06553f1ff" + "1234abcd" + "2"


def test_starting_when_written_in_hex_then_index_is_zero_and_the_time_is_of_the_creation() -> None:
    text = starting(ShardOrigin(3, CREATED_S))
    assert digits(text) == "2" + "06553f100" + "3" + "0" * 16 + "00" + "06553f100" + "00000003" + "2"


def test_ending_when_written_in_hex_then_index_is_the_highest_and_the_time_is_of_the_closing() -> None:
    text = ending(ShardOrigin(3, CREATED_S), ARRIVED_S * 1000)
    assert digits(text) == "2" + "06553f100" + "3" + "7fffffffffffffff" + "00" + "06553f1ff" + "00000003" + "2"


def test_starting_when_shards_are_neighbours_then_they_differ_as_recorded() -> None:
    numbers = [int(starting(ShardOrigin(number, CREATED_S))) for number in range(16)]
    gaps = {after - before for before, after in itertools.pairwise(numbers)}
    assert gaps == {22300745198530623141535718272648361505980432}


def test_tail_when_records_follow_each_other_in_a_second_then_they_differ_by_next_record() -> None:
    first, second = (tail(Position(0, offset), 1_700_000_000_999) for offset in (41, 42))
    assert second - first == NEXT_RECORD
    assert tail(Position(0, 41), 0) + arrived(1_700_000_000_999) == first


@pytest.mark.parametrize("created_s", [0, 1, CREATED_S, 2**32, 2**36 - 1])
def test_number_when_dates_are_any_that_fit_then_it_has_186_bits(created_s: int) -> None:
    for shard_no in (0, 1, 2**31 - 1):
        origin = ShardOrigin(shard_no, created_s)
        for text in (starting(origin), ending(origin, created_s * 1000)):
            assert int(text).bit_length() == 186


def test_number_when_dates_are_of_our_days_then_it_has_56_decimal_digits() -> None:
    for created_s in (1_262_304_000, CREATED_S, 4_102_444_800):  # 2010, 2023, 2100
        for shard_no in (0, 2**31 - 1):
            origin = ShardOrigin(shard_no, created_s)
            assert len(starting(origin)) == len(ending(origin, created_s * 1000)) == 56


@pytest.mark.parametrize(
    ("index", "position"),
    [
        (0, Position(0, 0)),
        (1, Position(0, 0)),
        (2, Position(0, 1)),
        (2**48, Position(0, 2**48 - 1)),
        (2**48 + 1, Position(1, 0)),
        ((7 << 48) + 9, Position(7, 8)),
    ],
)
def test_position_of_when_an_index_is_given_then_it_is_the_place_that_tail_made_it_from(
    index: int, position: Position
) -> None:
    assert position_of(index) == position
    if index:
        assert tail(position, 0) == index * NEXT_RECORD


def test_decode_when_the_number_is_ours_then_every_field_comes_back() -> None:
    text = numbered()
    assert decode(text) == Decoded(int(text), 2, CREATED_S, 3, 5, ARRIVED_S)


READ = {
    "the lowest index": (numbered(index="0" * 16), 0),
    "the highest index": (numbered(index="7" + "f" * 15), INDEX_MAX),
}


@pytest.mark.parametrize("name", READ)
def test_decode_when_the_index_is_at_an_edge_then_it_is_read(name: str) -> None:
    text, index = READ[name]
    decoded = decode(text)
    assert decoded is not None
    assert decoded.index_in_shard == index


def test_decode_when_the_shard_number_is_the_highest_then_it_is_read() -> None:
    decoded = decode(numbered(shard="7fffffff", low="f"))
    assert decoded is not None
    assert decoded.shard_no == 2**31 - 1


def test_decode_when_the_version_is_1_then_it_is_an_older_layout_that_tells_its_shard() -> None:
    decoded = decode(numbered(version="1"))
    assert decoded is not None
    assert (decoded.version, decoded.shard_no, decoded.created_s) == (1, 3, CREATED_S)


REFUSED = {
    **{f"version {digit}": numbered(version=digit) for digit in "03456789abcdef"},
    "lead 1": numbered(lead="1"),
    "lead 3": numbered(lead="3"),
    "lead 4": numbered(lead="4"),
    "a digit more": numbered(lead="20"),
    "a digit less": numbered(lead=""),
    "index with its highest bit": numbered(index="8" + "0" * 15),
    "index all ones": numbered(index="f" * 16),
    "shard with its highest bit": numbered(shard="80000000"),
    "126 bits": str(2**125),
    "185 bits": str(2**184),
    "187 bits": str(2**186),
    "longest that the model lets through": "9" * 129,
    "old layout, date too late": str(0x13BB2CC3D80000000000000000000000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_decode_when_the_layout_is_not_one_of_awss_then_it_is_refused(name: str) -> None:
    assert decode(REFUSED[name]) is None


OLD = {  # text: what it is read as, the shard that it names
    "0": (21267647932558653966460912964485513216, 0),
    "5": (21267647932558653966460912964485513221, 5),
    "65535": (21267647932558653966460912964485578751, 65535),
    str(2**124 - 1 - (0xFFFFFFFFF << 88)): (2**125 - 1 - (0xFFFFFFFFF << 88), 65535),
    "21267647932558653966460912964485513217": (21267647932558653966460912964485513217, 1),
    str(0x13BB2CC3D7FFFFFFFFFFFFFFFFFFFFFF): (0x13BB2CC3D7FFFFFFFFFFFFFFFFFFFFFF, 0xFFFF),
}


@pytest.mark.parametrize("text", OLD)
def test_decode_when_the_number_is_of_the_oldest_layout_then_it_is_read_as_recorded(text: str) -> None:
    decoded = decode(text)
    assert decoded is not None
    assert (decoded.number, decoded.shard_no, decoded.version) == (*OLD[text], 0)
    assert normalise(int(text)) == OLD[text][0]


def test_normalise_when_the_number_is_of_today_then_it_is_unchanged() -> None:
    for text in (numbered(), str(2**124)):
        assert normalise(int(text)) == int(text)
