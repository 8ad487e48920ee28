"""Topology: ranges, tilings, the ring and hash keys."""

import pytest

from penstock.services.streams.topology import HASH_KEY_MAX, HashRange, Ring, check_tiling, hash_key, uniform

TOP = HASH_KEY_MAX

# Starts recorded from AWS.
RECORDED_STARTS = {
    1: [0],
    3: [0, 113427455640312821154458202477256070485, 226854911280625642308916404954512140970],
}


@pytest.mark.parametrize("count", RECORDED_STARTS)
def test_uniform_when_counts_were_recorded_then_ranges_start_where_aws_starts_them(count: int) -> None:
    assert [held.start for held in uniform(count)] == RECORDED_STARTS[count]


def test_uniform_when_there_are_three_then_the_last_takes_the_remainder() -> None:
    assert uniform(3)[1:] == [
        HashRange(113427455640312821154458202477256070485, 226854911280625642308916404954512140969),
        HashRange(226854911280625642308916404954512140970, 340282366920938463463374607431768211455),
    ]


NO_TILINGS = {
    "nothing": [],
    "starts late": [HashRange(1, TOP)],
    "ends early": [HashRange(0, TOP - 1)],
    "ends late": [HashRange(0, TOP + 1)],
    "starts below": [HashRange(-1, TOP)],
    "gap": [HashRange(0, 9), HashRange(11, TOP)],
    "overlap by one": [HashRange(0, 10), HashRange(10, TOP)],
    "twice the same": [HashRange(0, TOP), HashRange(0, TOP)],
    "one inside another": [HashRange(0, TOP), HashRange(5, 6)],
    "one inside another, ends right": [HashRange(0, 99), HashRange(10, 19), HashRange(100, TOP)],
    "backward": [HashRange(0, 9), HashRange(10, 9), HashRange(10, TOP)],
    "second half missing": [HashRange(0, TOP // 2)],
}


@pytest.mark.parametrize("name", NO_TILINGS)
def test_check_tiling_when_keys_are_uncovered_or_covered_twice_then_it_is_false(name: str) -> None:
    assert not check_tiling(NO_TILINGS[name])


TILINGS = {
    "one": [HashRange(0, TOP)],
    "out of order": [HashRange(10, TOP), HashRange(0, 9)],
    "single keys": [HashRange(0, 0), HashRange(1, 1), HashRange(2, TOP - 1), HashRange(TOP, TOP)],
}


@pytest.mark.parametrize("name", TILINGS)
def test_check_tiling_when_every_key_is_covered_once_then_it_is_true(name: str) -> None:
    assert check_tiling(TILINGS[name])


def test_ring_when_the_key_is_at_an_edge_then_the_range_that_includes_it_owns_it() -> None:
    ring = Ring([(HashRange(10, 19), "b"), (HashRange(20, TOP), "c"), (HashRange(0, 9), "a")])
    found = {key: ring.find(key) for key in (0, 9, 10, 19, 20, TOP)}
    assert found == {0: "a", 9: "a", 10: "b", 19: "b", 20: "c", TOP: "c"}


def test_ring_when_the_ranges_do_not_tile_then_it_is_not_made() -> None:
    with pytest.raises(AssertionError):
        Ring([(HashRange(0, 9), "a")])


# MD5 from RFC 1321, appendix A.5, and of one key beyond ASCII.
KNOWN_KEYS = {
    "": "d41d8cd98f00b204e9800998ecf8427e",
    "a": "0cc175b9c0f1b6a831c399e269772661",
    "abc": "900150983cd24fb0d6963f7d28e17f72",
    "message digest": "f96b697d7cb7938d525a2f31aaf161d0",
    "\u00e9": "66ddcd97cfdeabb2f6fb8a999b4bc76f",
}


@pytest.mark.parametrize("text", KNOWN_KEYS)
def test_hash_key_when_the_md5_is_known_then_it_is_that_as_a_big_endian_number(text: str) -> None:
    assert hash_key(text.encode()) == int(KNOWN_KEYS[text], 16)
