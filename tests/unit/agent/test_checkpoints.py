"""The checkpoint file: what it keeps, from whom it takes over, and when it refuses."""

import sqlite3
from pathlib import Path

import pytest

from penstock.agent.buffers import Place
from penstock.agent.checkpoints import CheckpointError, Checkpoints
from penstock.agent.tracking import FileKey, Row

DAY_MS = 86_400_000


def row(name: str, offset: int) -> Row:
    return Row(name, FileKey(0xFD01, 7), 3, 100, Place(offset, b"\x00mark"))


def test_checkpoints_when_rows_are_saved_then_the_next_agent_has_them(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "checkpoints"
    kept = Checkpoints(path, 1)
    assert kept.load("f") == ([], False)
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    kept.save("f", "/var/log", [row("a", 1), row(odd, 2), row("caf\u00e9", 3)], [], 0)
    kept.save("f", "/var/log", [row("a", 9)], [odd, "none"], 0)
    kept.save("g", "/var/log", [], [], 0)
    kept.close()
    again = Checkpoints(path, 1)
    assert again.load("f") == ([row("a", 9), row("caf\u00e9", 3)], True)
    assert again.load("g") == ([], True)
    again.close()


def test_checkpoints_when_rows_are_old_then_they_are_dropped_and_the_flow_stays_known(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "c", 1)
    kept.save("f", "/x", [row("old", 1)], [], DAY_MS)
    kept.save("f", "/x", [row("young", 1)], [], 9 * DAY_MS)
    kept.forget(7, 9 * DAY_MS)
    assert kept.load("f") == ([row("young", 1)], True)
    kept.close()


def test_checkpoints_when_the_original_has_left_them_then_they_are_taken_over(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "c") as database:
        database.execute(
            "CREATE TABLE FILE_CHECKPOINTS (flow TEXT, path TEXT, fileId TEXT, lastModifiedTime INTEGER, size INTEGER,"
            " offset INTEGER, lastUpdated TEXT, PRIMARY KEY (flow, path))"
        )
        values = [("f", "/var/log/a", "(dev=fd01,ino=7)", 3, 100, 42, "2026-01-01"), ("f", "/b", "broken", 1, 1, 1, "")]
        database.executemany("INSERT INTO FILE_CHECKPOINTS VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    database.close()
    kept = Checkpoints(tmp_path / "c", 1)
    assert kept.load("f") == ([Row("a", FileKey(0xFD01, 7), 3, 100, Place(42, b""))], False)
    kept.close()


def test_checkpoints_when_the_file_is_none_or_in_use_then_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "damaged").write_bytes(b"no database at all" * 100)
    with pytest.raises(CheckpointError, match="if it is damaged, move it away"):
        Checkpoints(tmp_path / "damaged", 1)
    with pytest.raises(CheckpointError, match="name a file in a folder"):
        Checkpoints(tmp_path / "damaged" / "c", 1)
    first = Checkpoints(tmp_path / "c", 1)
    with pytest.raises(CheckpointError, match="in use by another agent"):
        Checkpoints(tmp_path / "c", 1)
    first.close()
    Checkpoints(tmp_path / "c", 1).close()


def test_checkpoints_when_the_disk_is_full_then_nothing_of_a_save_is_kept(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "c", 1)
    kept.save("f", "/x", [row("a", 1)], [], 0)
    pages = kept._database.execute("PRAGMA page_count").fetchone()[0]
    kept._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(CheckpointError, match="full"):
        kept.save("f", "/x", [row("a", 2), *(row(f"{number}" * 50, 1) for number in range(200))], [], 0)
    assert kept.load("f") == ([row("a", 1)], True)
    kept._database.execute("PRAGMA max_page_count = 100000")
    kept.save("f", "/x", [row("a", 2)], [], 0)
    assert kept.load("f") == ([row("a", 2)], True)
    kept.close()
