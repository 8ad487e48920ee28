"""Identifiers: shard ids in all the forms that AWS reads, and StreamIds."""

import re

import pytest

from penstock.core.ids import SHARD_NO_MAX, parse_shard_id, shard_id, stream_uid
from penstock.host.apimodels import load_model


@pytest.mark.parametrize(("number", "text"), [(0, "shardId-000000000000"), (2**31 - 1, "shardId-002147483647")])
def test_shard_id_when_written_has_twelve_digits(number: int, text: str) -> None:
    assert shard_id(number) == text
    assert parse_shard_id(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("shardId-000000000007", 7),
        ("shardId-7", 7),
        ("7", 7),
        ("000", 0),
        ("x-007", 7),
        ("-7", 7),
        ("a-1-2", 2),
        ("shard.Id_-3", 3),
        (f"shardId-{SHARD_NO_MAX}", SHARD_NO_MAX),
        (f"shardId-{SHARD_NO_MAX + 1}", None),
        ("shardId-" + "0" * 17 + "5", 5),
        ("shardId-" + "9" * 120, None),
        ("shardId-" + "9" * 5000, None),
        ("shardId-", None),
        ("shardId", None),
        ("shardId7", None),
        ("shardId-7x", None),
        ("shardId-٣", None),
        ("shardId_7", None),
        ("", None),
    ],
)
def test_parse_shard_id_when_given_any_text_reads_the_digits_after_the_last_hyphen(
    text: str, number: int | None
) -> None:
    assert parse_shard_id(text) == number


def test_parse_shard_id_when_a_line_break_follows_means_no_shard() -> None:
    assert parse_shard_id("shardId-7\n") is None


def test_stream_uid_when_made_of_any_bytes_fits_the_model() -> None:
    shape = load_model("kinesis").operations["DescribeStream"].input
    assert shape is not None
    pattern = shape.members["StreamId"].pattern
    assert pattern is not None
    for entropy in (bytes(24), bytes(range(232, 256)), b"\xff" * 24):
        assert re.fullmatch(pattern, stream_uid(entropy))
        assert "-" not in stream_uid(entropy)
    assert stream_uid(bytes(24)) != stream_uid(b"\x01" + bytes(23))
