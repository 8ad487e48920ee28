"""Leases in a SQLite file: for workers on one machine.

Theory.  A lease is a row with its key and its JSON.  A swap compares inside the JSON, in one statement; SQLite lets
one writer in at a time.  A power cut may lose the last commits: then records are processed again, and no worker is left to be wrong.
Rule of this file: one connection, used by one thread.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from penstock.consumer.lease import Lease
from penstock.consumer.store import StoreRefused, StoreUnavailable

BUSY_S: Final = 5.0
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS leases (
    application TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (application, key)
) WITHOUT ROWID
"""
SAME: Final = (
    "application = ? AND key = ? AND coalesce(json_extract(body, '$.counter'), 0) = ?"
    " AND json_extract(body, '$.owner') IS ? AND json_extract(body, '$.checkpoint_owner') IS ?"
    " AND json_extract(body, '$.checkpoint.sequence') = ? AND coalesce(json_extract(body, '$.checkpoint.sub'), 0) = ?"
)

Answer = TypeVar("Answer")


class SqliteStore:
    """The leases of one application in a file, which others may share."""

    def __init__(self, path: str | Path, application: str) -> None:
        self._path = Path(path)
        self._application = application
        self._thread = ThreadPoolExecutor(1, "leases")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open or make the file."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except (sqlite3.Error, OSError) as error:
            raise StoreRefused(f"no leases can be kept in {self._path}: {error}") from None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, BUSY_S, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(SCHEMA)
        self._connection = connection

    async def leases(self) -> list[Lease]:
        """All leases."""
        query = "SELECT body FROM leases WHERE application = ? ORDER BY key"
        rows = await self._run(lambda db: db.execute(query, (self._application,)).fetchall())
        return [_decode(row[0]) for row in rows]

    async def get(self, key: str) -> Lease | None:
        """One lease."""
        query = "SELECT body FROM leases WHERE application = ? AND key = ?"
        row = await self._run(lambda db: db.execute(query, (self._application, key)).fetchone())
        return None if row is None else _decode(row[0])

    async def create(self, lease: Lease) -> bool:
        """Add a lease."""
        return await self._write(
            "INSERT OR IGNORE INTO leases VALUES (?, ?, ?)", self._application, lease.key, _encode(lease)
        )

    async def swap(self, old: Lease, new: Lease) -> bool:
        """Replace a lease."""
        statement = f"UPDATE leases SET body = ? WHERE {SAME}"  # noqa: S608  # our own text
        return await self._write(statement, _encode(new), *self._same(old))

    async def delete(self, lease: Lease) -> bool:
        """Take a lease away."""
        statement = f"DELETE FROM leases WHERE {SAME}"  # noqa: S608  # our own text
        return await self._write(statement, *self._same(lease))

    async def attend(self, worker: str, now_s: int) -> bool:
        """Nobody wants to know."""
        return False

    async def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
            self._connection = None
        self._thread.shutdown()

    def _same(self, lease: Lease) -> tuple[str | int | None, ...]:
        at = lease.checkpoint
        return (self._application, lease.key, lease.counter, lease.owner, lease.checkpoint_owner, at.sequence, at.sub)

    async def _write(self, statement: str, *values: str | int | None) -> bool:
        return await self._run(lambda db: db.execute(statement, values).rowcount > 0)

    async def _run(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        connection = self._connection
        if connection is None:
            raise StoreUnavailable(f"{self._path} is not open")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, connection)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error


def _encode(lease: Lease) -> str:
    return msgspec.json.encode(lease).decode()


def _decode(body: str) -> Lease:
    try:
        return msgspec.json.decode(body, type=Lease)
    except msgspec.MsgspecError as error:
        raise StoreUnavailable(f"a lease cannot be read: {error}") from error
