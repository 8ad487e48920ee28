"""Where in time a reading begins."""

import pytest

from penstock.commands.paper import clock_text
from penstock.commands.since import BadTime, parse
from penstock.consumer.position import Begin

NOW_MS = 1_763_640_000_500  # 2025-11-20T12:00:00.500Z


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("trim", Begin("TRIM_HORIZON")),
        ("TRIM_HORIZON", Begin("TRIM_HORIZON")),
        ("latest", Begin("LATEST")),
        ("-10m", Begin("AT_TIMESTAMP", NOW_MS - 600_000)),
        ("-1h30m", Begin("AT_TIMESTAMP", NOW_MS - 5_400_000)),
        ("-250ms", Begin("AT_TIMESTAMP", NOW_MS - 250)),
        ("-2d", Begin("AT_TIMESTAMP", NOW_MS - 172_800_000)),
        ("2025-11-20", Begin("AT_TIMESTAMP", 1_763_596_800_000)),
        ("2025-11-20T12:00", Begin("AT_TIMESTAMP", 1_763_640_000_000)),
        ("2025-11-20 12:00:00.250Z", Begin("AT_TIMESTAMP", 1_763_640_000_250)),
        ("2025-11-20T12:00:00+01:00", Begin("AT_TIMESTAMP", 1_763_636_400_000)),
        ("1763640000", Begin("AT_TIMESTAMP", 1_763_640_000_000)),
        ("1763640000.5", Begin("AT_TIMESTAMP", 1_763_640_000_500)),
        ("1763640000250", Begin("AT_TIMESTAMP", 1_763_640_000_250)),
        ("-9999w", Begin("AT_TIMESTAMP", 0)),
    ],
)
def test_parse_reads_each_way_of_saying_a_time(text: str, begin: Begin) -> None:
    assert parse(text, NOW_MS) == begin


@pytest.mark.parametrize("text", ["", "10m", "-10", "-10y", "yesterday", "2025-13-01", "-1h -2m", "٣", "12:00", "1e9"])
def test_parse_when_it_is_no_time_says_what_would_be(text: str) -> None:
    with pytest.raises(BadTime, match=r"is no time; say trim, latest, -10m \(also s, h, d\), or 2026-11-20T10:00:00Z"):
        parse(text, NOW_MS)


def test_parse_when_it_lies_ahead_says_so() -> None:
    with pytest.raises(BadTime, match="2025-11-21 lies in the future; for what comes from now on say latest"):
        parse("2025-11-21", NOW_MS)


def test_clock_text_is_utc_to_the_millisecond() -> None:
    assert clock_text(NOW_MS) == "2025-11-20T12:00:00.500Z"
