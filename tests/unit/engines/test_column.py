"""A column is the sequence of its values, however they lie and however it is cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column, lengths_of, size_of
from penstock.engines.page import fit

VALUES = st.lists(st.lists(st.binary(max_size=5), min_size=1, max_size=4), max_size=4)


def column_of(parts: list[list[bytes]], width: int = DATA_WIDTH) -> Column:
    return Column.joined([Column.of(part, width) for part in parts], width)


@settings(max_examples=200, derandomize=True)
@given(
    parts=VALUES, low=st.integers(-20, 20), high=st.integers(-20, 20), width=st.sampled_from([KEY_WIDTH, DATA_WIDTH])
)
def test_column_when_cut_anywhere_is_the_list_cut_there(
    parts: list[list[bytes]], low: int, high: int, width: int
) -> None:
    values = [value for part in parts for value in part]
    column = column_of(parts, width)
    assert list(column) == values
    assert column == values
    assert [column[place] for place in range(len(values))] == values
    assert list(column[low:high]) == values[low:high]
    assert len(column[low:high]) == len(values[low:high])
    assert lengths_of(column[low:high]) == lengths_of(values[low:high])
    assert size_of(column[low:high]) == size_of(values[low:high])


def test_column_when_cut_whole_is_itself() -> None:
    column = column_of([[b"a"], [b"b"]])
    assert column[:] is column
    assert Column.of(column, DATA_WIDTH) is column


def test_column_when_joined_copies_nothing() -> None:
    column = Column.of([b"a", b"b"], DATA_WIDTH)
    assert Column.joined([column, column], DATA_WIDTH).spans[0].body is column.spans[0].body


def test_column_when_asked_for_what_it_lacks_raises() -> None:
    with pytest.raises(IndexError):
        Column.of([b"a"], DATA_WIDTH)[1]
    with pytest.raises(ValueError, match="steps of 1"):
        Column.of([b"a"], DATA_WIDTH)[::2]


@settings(max_examples=200, derandomize=True)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9)), max_size=8),
    skip=st.integers(0, 8),
    most=st.integers(1, 8),
    left_bytes=st.integers(-3, 40),
    empty=st.booleans(),
)
def test_fit_when_given_any_columns_takes_what_one_by_one_would(
    sizes: list[tuple[int, int]], skip: int, most: int, left_bytes: int, empty: bool
) -> None:
    taken = used = 0
    for key, data in sizes[skip : skip + most]:
        if used + key + data > left_bytes and not (empty and not taken):
            break
        taken, used = taken + 1, used + key + data
    keys, blobs = [bytes(key) for key, _ in sizes], [bytes(data) for _, data in sizes]
    assert fit(keys, blobs, skip, most, left_bytes, empty=empty) == (taken, used)
    columns = Column.of(keys, KEY_WIDTH), Column.of(blobs, DATA_WIDTH)
    assert fit(*columns, skip, most, left_bytes, empty=empty) == (taken, used)
