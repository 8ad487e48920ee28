"""SQLite's log: a torn end is none of ours, rot in the middle is told; a copy taken at any moment is one that was committed."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from penstock.engines.local.walfile import FRAME_HEADER_BYTES, HEADER_BYTES, Rotten, find_rot

PAGE_BYTES = 4096
STEP = FRAME_HEADER_BYTES + PAGE_BYTES


@pytest.fixture
def log(tmp_path: Path) -> bytearray:
    """A log of ten commits of two pages each; SQLite still has the file, so that it stays."""
    path = tmp_path / "meta.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE one (value BLOB)")
        connection.execute("CREATE TABLE two (value BLOB)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(10):
            connection.execute("BEGIN")
            connection.execute("INSERT INTO one VALUES (?)", (b"%d" % number * 100,))
            connection.execute("INSERT INTO two VALUES (?)", (b"%d" % number * 100,))
            connection.execute("COMMIT")
        return bytearray(Path(f"{path}-wal").read_bytes())


def rot(log: bytearray) -> Rotten | None:
    return find_rot(lambda at, length: bytes(log[at : at + length]), len(log))


def frame_at(number: int) -> int:
    return HEADER_BYTES + number * STEP


def test_a_whole_log_is_sound(log: bytearray) -> None:
    assert len(log) == frame_at(20)
    assert rot(log) is None


@pytest.mark.parametrize("cut", [0, 10, HEADER_BYTES, frame_at(7), frame_at(7) + 100, frame_at(8)])
def test_a_cut_log_is_sound(log: bytearray, cut: int) -> None:
    assert rot(log[:cut]) is None


@pytest.mark.parametrize("within", [0, 5, 9, 17, 23, 100, STEP - 1])
def test_a_bad_byte_before_acknowledged_commits_is_told(log: bytearray, within: int) -> None:
    log[frame_at(4) + within] ^= 4
    assert rot(log) == Rotten(frame_at(4), frame_at(5))


def test_a_bad_byte_in_the_last_commit_may_be_a_torn_one(log: bytearray) -> None:
    log[frame_at(18) + 100] ^= 4
    assert rot(log) is None


def test_a_bad_header_is_told(log: bytearray) -> None:
    log[20] ^= 4
    assert rot(log) == Rotten(0, HEADER_BYTES)


def test_frames_of_an_earlier_life_are_no_part_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "meta.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE one (value BLOB)")
        for number in range(20):
            connection.execute("INSERT INTO one VALUES (?)", (b"%d" % number * 100,))
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        connection.execute("INSERT INTO one VALUES ('after')")
        shutil.copy(f"{path}-wal", tmp_path / "log")
    assert rot(bytearray((tmp_path / "log").read_bytes())) is None
