"""Lines become records, records become requests."""

import os
from collections.abc import Iterator

import pytest

from penstock.commands.batch import BATCH_MAX_BYTES, BadLine, Entry, Maker, batches
from penstock.commands.lines import LineTooLong, read_lines


def maker(*, key: str | None = None, key_field: str | None = None, as_json: bool = False) -> Maker:
    numbers = iter(range(1000))
    return Maker(lambda: f"random-{next(numbers)}", key, None, key_field, as_json=as_json)


def test_make_without_a_key_gives_each_record_its_own() -> None:
    made = maker()

    assert made.make(b"a") == Entry(b"a", "random-0")
    assert made.make(b"") is None
    assert made.make(b"{") == Entry(b"{", "random-1")


def test_make_takes_the_key_from_the_field_and_keeps_the_line_as_it_is() -> None:
    made = maker(key_field="user")

    assert made.make(b'{"user": "u1",  "n": 1.0}') == Entry(b'{"user": "u1",  "n": 1.0}', "u1")
    assert made.make(b'{"user": 7}') == Entry(b'{"user": 7}', "7")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[1]", "line 2 is no JSON object: "),
        (b"\xff", "line 2 is no JSON object: "),
        (b"{}", "line 2 has no field 'user'"),
        (b'{"user": null}', "line 2: the field 'user' is no text or number"),
        (b'{"user": ""}', "line 2: the field 'user' is empty"),
    ],
)
def test_make_when_there_is_no_key_names_the_line(line: bytes, why: str) -> None:
    made = maker(key_field="user")
    made.make(b"")

    with pytest.raises(BadLine) as caught:
        made.make(line)
    assert str(caught.value).startswith(why)


def test_make_when_json_was_asked_for_refuses_what_is_none() -> None:
    assert maker(as_json=True, key="k").make(b"{}") == Entry(b"{}", "k")
    with pytest.raises(BadLine):
        maker(as_json=True).make(b"text")


def test_batches_hold_500_records_in_their_order() -> None:
    entries = [Entry(b"%d" % number, "k") for number in range(1001)]

    made = list(batches(iter(entries)))

    assert [len(batch) for batch in made] == [500, 500, 1]
    assert [entry for batch in made for entry in batch] == entries


def test_batches_end_where_nothing_more_is_at_hand() -> None:
    a, b = Entry(b"a", "k"), Entry(b"b", "k")

    assert list(batches(iter([None, a, None, None, b]))) == [[a], [b]]


def test_batches_are_bounded_in_bytes_and_one_that_is_larger_goes_alone() -> None:
    half, whole = Entry(bytes(BATCH_MAX_BYTES // 2 - 1), "k"), Entry(bytes(2 * BATCH_MAX_BYTES), "k")

    assert [len(batch) for batch in batches(iter([half, half, half, whole, half]))] == [2, 1, 1, 1]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    os.close(read_end)


def test_read_lines_says_when_no_more_is_at_hand_and_keeps_half_a_line(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    lines = read_lines(read_end, 100)
    os.write(write_end, b"one\ntwo\r\nthr")

    assert [next(lines) for _ in range(3)] == [b"one", b"two", None]
    os.write(write_end, b"ee")
    os.close(write_end)
    assert list(lines) == [b"three"]


def test_read_lines_when_one_is_longer_than_a_record_names_it(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    os.write(write_end, b"short\n" + b"x" * 20)
    os.close(write_end)

    lines = read_lines(read_end, 10)

    assert next(lines) == b"short"
    with pytest.raises(LineTooLong, match="line 2 is longer"):
        next(lines)
