"""`penstock inspect`: the tables, and the sequence numbers in them."""

import asyncio
from pathlib import Path

import pytest
from data_directory import CREATED_S, fill

from penstock.engines.api import Position
from penstock.services.streams import sequence
from penstock.services.streams.sequence import ShardOrigin
from penstock.storage.check import EXIT_SOUND, EXIT_USAGE
from penstock.storage.inspect import run

FIRST_ARRIVAL_MS = CREATED_S * 1000 + 4  # of the second shard: the clock goes on by a millisecond a commit


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_streams_are_listed_with_their_amounts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(tmp_path / "data"))
    assert run(tmp_path / "data", None, None) == EXIT_SOUND
    rows = cells(capsys.readouterr().out)
    assert rows[2][:5] == ["clicks", "123456789012/us-east-1", "ACTIVE", "1", "1,600"]
    assert rows[3][:5] == ["orders", "123456789012/us-east-1", "ACTIVE", "2", "3,200"]
    assert rows[3][-4:-2] == ["2023-11-14", "22:13:20.002"]


def test_a_shard_is_shown_with_its_segments_and_sequence_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(tmp_path / "data"))
    assert run(tmp_path / "data", "orders", "shardId-000000000001") == EXIT_SOUND
    rows = cells(capsys.readouterr().out)
    number = sequence.base(ShardOrigin(1, CREATED_S)) + sequence.tail(Position(0, 0), FIRST_ARRIVAL_MS)
    [first] = [row for row in rows if row[-1] == str(number)]
    assert first[0].startswith("segments/orders")
    assert first[1:2] + first[4:5] == ["1", "0"]
    [journal] = [row for row in rows if row[0].startswith("journal/")]
    assert journal[1] == "4"  # blocks


@pytest.mark.parametrize(
    ("stream", "shard", "said"),
    [
        ("nothing", None, "it has: clicks, orders"),
        ("orders", "7", "stream orders has no shard 7; it has 2"),
        (None, "7", "--shard needs --stream"),
    ],
)
def test_what_is_not_there_is_one_line(
    stream: str | None, shard: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(tmp_path / "data", settled=1, tail=0))
    assert run(tmp_path / "data", stream, shard) == EXIT_USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


def test_damage_is_counted_and_the_rest_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(tmp_path / "data"))
    (tmp_path / "data" / "meta.sqlite").write_bytes(b"rubbish" * 1000)
    assert run(tmp_path / "data", None, None) == EXIT_SOUND
    shown = capsys.readouterr().out
    assert "(no stream)" in shown
    assert "1 problems were seen" in shown
