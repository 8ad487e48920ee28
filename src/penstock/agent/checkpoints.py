"""Checkpoints: up to where each file was delivered, in SQLite.

Theory.  The first table is the original's, so its checkpoints are taken over and it could take over ours.  The second holds what only we
know: the bytes before a place, and, under the empty path, that a flow was begun.
Rules of this file:
  1. A place is saved after everything before it was acknowledged, never before; what a crash takes is sent again.
  2. One agent at a time: a lock beside the file is held as long as it is open.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Final

from penstock.agent.buffers import Place
from penstock.agent.tracking import FileKey, Row
from penstock.core.limits import DAY_MS

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS FILE_CHECKPOINTS (flow TEXT, path TEXT, fileId TEXT, lastModifiedTime INTEGER, size INTEGER,
    offset INTEGER, lastUpdated TEXT, PRIMARY KEY (flow, path))""",
    "CREATE TABLE IF NOT EXISTS FILE_MARKS (flow TEXT, path TEXT, mark BLOB, PRIMARY KEY (flow, path))",
)
_FILE_ID: Final = re.compile(r"\(dev=([0-9a-f]+),ino=([0-9]+)\)")


class CheckpointError(Exception):
    """The file cannot be used; the text is the one line to show."""


class Checkpoints:
    """The file of checkpoints.  Its methods block, and wait for each other."""

    def __init__(self, path: Path, wait_s: int) -> None:
        """Open the file, or make it with its folder.  Raises CheckpointError."""
        self._turn = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(path)
        except OSError as error:
            raise CheckpointError(
                f"checkpointFile {path} cannot be used: {error.strerror}; name a file in a folder that this user may write"
            ) from None
        try:
            self._database = sqlite3.connect(path, timeout=wait_s, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")  # what a loss of power takes is sent again
            for table in _TABLES:
                self._database.execute(table)
        except sqlite3.Error as error:
            os.close(self._lock)
            raise CheckpointError(
                f"checkpointFile {path} cannot be used: {error}; if it is damaged, move it away: files are then read"
                " from initialPosition"
            ) from None

    def load(self, flow: str) -> tuple[list[Row], bool]:
        """A flow's rows, and whether this agent, and not the original, has begun it.  Raises CheckpointError."""
        try:
            rows = self._database.execute(
                "SELECT path, fileId, lastModifiedTime, size, offset, mark FROM FILE_CHECKPOINTS"
                " LEFT JOIN FILE_MARKS USING (flow, path) WHERE flow = ?",
                (flow,),
            ).fetchall()
            known = self._database.execute("SELECT 1 FROM FILE_MARKS WHERE flow = ? LIMIT 1", (flow,)).fetchone()
        except sqlite3.Error as error:
            raise CheckpointError(f"checkpoints cannot be read: {error}") from None
        return [row for row in map(_row, rows) if row is not None], known is not None

    def save(self, flow: str, directory: str, rows: Iterable[Row], gone: Iterable[str], now_ms: int) -> None:
        """Keep rows, and drop those of names that are gone.  Raises CheckpointError; then nothing of it is kept."""
        updated = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        try:
            with self._turn, self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.execute("INSERT OR IGNORE INTO FILE_MARKS VALUES (?, '', x'')", (flow,))
                for name in gone:
                    for table in ("FILE_CHECKPOINTS", "FILE_MARKS"):
                        self._database.execute(
                            f"DELETE FROM {table} WHERE flow = ? AND path = ?",  # noqa: S608 - two names of ours
                            (flow, _path(directory, name)),
                        )
                for row in rows:
                    path = _path(directory, row.name)
                    file_id = f"(dev={row.key.device:x},ino={row.key.inode})"
                    kept = (flow, path, file_id, row.modified_ms, row.size, row.place.offset, updated)
                    self._database.execute("INSERT OR REPLACE INTO FILE_CHECKPOINTS VALUES (?, ?, ?, ?, ?, ?, ?)", kept)
                    self._database.execute(
                        "INSERT OR REPLACE INTO FILE_MARKS VALUES (?, ?, ?)", (flow, path, row.place.mark)
                    )
        except sqlite3.Error as error:
            raise CheckpointError(f"checkpoints cannot be saved: {error}") from None

    def forget(self, older_than_days: int, now_ms: int) -> None:
        """Drop what was not touched for so many days.  Raises CheckpointError."""
        limit = datetime.fromtimestamp((now_ms - older_than_days * DAY_MS) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        try:
            with self._turn, self._database:
                self._database.execute("DELETE FROM FILE_CHECKPOINTS WHERE lastUpdated < ?", (limit,))
                self._database.execute(
                    "DELETE FROM FILE_MARKS WHERE path <> '' AND NOT EXISTS (SELECT 1 FROM FILE_CHECKPOINTS AS kept"
                    " WHERE kept.flow = FILE_MARKS.flow AND kept.path = FILE_MARKS.path)"
                )
        except sqlite3.Error as error:
            raise CheckpointError(f"checkpoints cannot be saved: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._database.close()
            os.close(self._lock)


def _lock(path: Path) -> int:
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise CheckpointError(f"checkpointFile {path} is in use by another agent") from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _path(directory: str, name: str) -> str | bytes:
    """What a path is kept as: text; bytes where it is no UTF-8."""
    path = f"{directory.rstrip('/')}/{name}"
    return path if path.isascii() or path.encode(errors="replace").decode() == path else os.fsencode(path)


def _row(kept: tuple[object, ...]) -> Row | None:
    path, file_id, modified_ms, size, offset, mark = kept
    found = _FILE_ID.fullmatch(str(file_id))
    if found is None or not isinstance(offset, int) or offset < 0:
        return None
    name = os.fsdecode(path if isinstance(path, bytes) else str(path)).rpartition("/")[2]
    key = FileKey(int(found[1], 16), int(found[2]))
    place = Place(offset, mark if isinstance(mark, bytes) else b"")
    return Row(name, key, int(str(modified_ms or 0)), int(str(size or 0)), place)
