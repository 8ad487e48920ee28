"""Patterns of Java's DateTimeFormatter.  The expected texts are those of Java 8, for 2018-08-27 10:30:05.123 and other moments."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.services.firehose.javatime import BadPattern, compile_pattern

MONDAY = datetime(2018, 8, 27, 10, 30, 5, 123000, tzinfo=UTC)
TOKYO = datetime(2024, 12, 31, 23, 4, 9, 0, tzinfo=ZoneInfo("Asia/Tokyo"))
KOLKATA = datetime(2024, 1, 1, 0, 0, 0, 0, tzinfo=ZoneInfo("Asia/Kolkata"))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy/MM/dd/HH/", "2018/08/27/10/"),
        ("'year='yyyy'/month='MM", "year=2018/month=08"),
        ("yy-M-d H:m:s", "18-8-27 10:30:5"),
        ("yyyyMMdd'T'HHmmss.SSS", "20180827T103005.123"),
        ("MMM MMMM MMMMM", "Aug August A"),
        ("EEE EEEE EEEEE", "Mon Monday M"),
        ("hh a KK kk", "10 AM 10 10"),
        ("DDD", "239"),
        ("Q QQ QQQ QQQQ", "3 03 Q3 3rd quarter"),
        ("e", "2"),
        ("YYYY-'W'ww", "2018-W35"),
        ("''", "'"),
        ("h 'o''clock' a", "10 o'clock AM"),
        ("X XX x Z ZZZZ O VV z", "Z Z +00 +0000 GMT GMT UTC UTC"),
        ("yyyy[-MM]", "2018-08"),
        ("G", "AD"),
    ],
)
def test_pattern_when_written_then_the_text_is_javas(pattern: str, text: str) -> None:
    assert compile_pattern(pattern)(MONDAY) == text


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("YYYY", "2025"),
        ("yyyy", "2024"),
        ("ww", "01"),
        ("X XX Z O VV", "+09 +0900 +0900 GMT+9 Asia/Tokyo"),
        ("X" * 3, "+09:00"),
    ],
)
def test_week_year_when_the_week_holds_january_1st_then_it_is_the_next_years(pattern: str, text: str) -> None:
    assert compile_pattern(pattern)(TOKYO) == text


@pytest.mark.parametrize(
    ("pattern", "text"), [("hh a", "12 AM"), ("kk", "24"), ("KK", "00"), ("X", "+0530"), ("O", "GMT+5:30")]
)
def test_midnight_when_written_then_clocks_of_12_and_24_hours_agree_with_java(pattern: str, text: str) -> None:
    assert compile_pattern(pattern)(KOLKATA) == text


@pytest.mark.parametrize(
    "pattern", ["'", "yyyy'", "b", "ddd", "HHH", "{", "}", "#", "]", "V", "OO", "SSSSSSSSSS", "cc"]
)
def test_pattern_when_java_refuses_it_then_so_do_we(pattern: str) -> None:
    with pytest.raises(BadPattern):
        compile_pattern(pattern)


@given(st.text(max_size=30), st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9990, 1, 1)))
def test_pattern_when_it_is_any_text_then_it_is_refused_or_always_writes(pattern: str, at: datetime) -> None:
    try:
        write = compile_pattern(pattern)
    except BadPattern:
        return
    assert isinstance(write(at.replace(tzinfo=UTC)), str)


@given(st.text(max_size=30).filter(lambda text: "'" not in text))
def test_pattern_when_a_text_is_quoted_then_it_is_itself(text: str) -> None:
    expected = text or "'"  # two quotes are one
    assert compile_pattern(f"'{text}'")(MONDAY) == expected
