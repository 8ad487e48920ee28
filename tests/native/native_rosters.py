"""What is settled of many logs at once is the same by the native part and by Python."""

from array import array
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engines.local import tips as tips_module
from penstock.engines.local.tips import PlainTips, rostered
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import RosterRows, Tips

OFFSETS = st.one_of(st.integers(0, 30), st.integers(0, 2**63))
LOGS_MAX = 8


class Log(NamedTuple):
    """How a log stands."""

    start: int
    settled_end: int
    gap: tuple[int, int] | None
    last_arrival_ms: int
    sealed: bool


LOGS = st.builds(Log, OFFSETS, OFFSETS, st.none() | st.tuples(OFFSETS, OFFSETS), st.integers(-1, 2**62), st.booleans())


def standing(tips: Tips, logs: list[Log]) -> Tips:
    for log in logs:
        place = tips.add()
        tips.set_start(place, log.start)
        if log.gap is not None:
            tips.set_gap(place, *log.gap)
        tips.settle_to(place, log.settled_end)
        tips.set_last_arrival_ms(place, log.last_arrival_ms)
        if log.sealed:
            tips.seal(place)
    return tips


def plain_roster(places: list[int], numbers: list[int]) -> RosterRows:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tips_module, "NATIVE", None)
        return rostered(places, numbers, [len(places)])


@settings(max_examples=200, derandomize=True)
@given(
    logs=st.lists(LOGS, min_size=LOGS_MAX, max_size=LOGS_MAX),
    places=st.lists(st.integers(0, LOGS_MAX - 1), unique=True),
    numbers=st.lists(st.integers(0, 2**64 - 1), min_size=LOGS_MAX, max_size=LOGS_MAX, unique=True),
    ends=st.dictionaries(st.integers(0, LOGS_MAX + 1), OFFSETS),
)
def test_settle_when_given_any_logs_is_as_python_settles_them(
    logs: list[Log], places: list[int], numbers: list[int], ends: dict[int, int]
) -> None:
    assert NATIVE is not None
    listed = numbers[: len(places)]
    native, plain = standing(NATIVE.Tips(), logs), standing(PlainTips(), logs)
    rosters = NATIVE.Roster(places, listed, [len(places)]), plain_roster(places, listed)
    told = [(numbers[at] if at < LOGS_MAX else 7, end) for at, end in ends.items()]
    columns = [array("Q", [row[place] for row in told]).tobytes() for place in (0, 1)]
    assert native.columns(rosters[0]) == plain.columns(rosters[1])
    assert native.settle(rosters[0], *columns) == plain.settle(rosters[1], *columns)
    assert native.columns(rosters[0]) == plain.columns(rosters[1])
    for place in range(LOGS_MAX):
        for figure in ("start", "settled_end", "is_sealed", "is_closed"):
            assert getattr(native, figure)(place) == getattr(plain, figure)(place)


def test_roster_when_its_columns_do_not_fit_is_refused() -> None:
    assert NATIVE is not None
    refused: list[tuple[list[int], list[int], list[int]]] = [([0], [], [1]), ([0], [1], []), ([], [], [1])]
    for columns in refused:
        with pytest.raises(ValueError, match="a place, a number and a stream"):
            NATIVE.Roster(*columns)
    with pytest.raises(IndexError):
        NATIVE.Tips().columns(NATIVE.Roster([3], [1], [1]))
