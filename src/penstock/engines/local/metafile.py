"""The file of the MetaStore: its tables, read and written through one connection.

Theory.  A table of keys, and one counter that every commit raises: the version of what it writes.
Rules of this file:
  1. A transaction stores the counter with what it writes, so that no version ever repeats.
  2. One process has the file: SQLite's exclusive lock keeps others out, whose commits the watchers would not see.
  3. A row that does not match its checksum is never answered.
  4. The format (APPLICATION_ID, FORMAT, the tables, what the checksums cover) changes only together with FORMAT.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Final

from penstock.engines.api import Change, Conflict, MetaUnavailable, MetaUnusable, Versioned, Write
from penstock.engines.local.partfile import sync_folder
from penstock.engines.local.sqlitefailure import refusal, translated
from penstock.engines.local.walfile import find_rot

APPLICATION_ID: Final = 0x50454E53  # "PENS", the file's type for SQLite and file(1)
FORMAT: Final = 1

_FIRST: Final = "SELECT key, value, version, crc FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_LAST: Final = _FIRST.replace("ORDER BY key", "ORDER BY key DESC")
_SETTINGS: Final = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: through the drive's cache as well
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)
_SCHEMA: Final = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
    """CREATE TABLE entries (
        key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL, crc INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE TABLE counter (version INTEGER NOT NULL, crc INTEGER NOT NULL)",
)

Outcome = Sequence[Change] | Exception  # of a commit


def connect(path: Path) -> sqlite3.Connection:
    """Open a file and hold it to be ours."""
    with translated(path):
        if not path.exists():
            # It holds secrets.  The files that SQLite makes beside it inherit the mode.
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        _refuse_rot(path)
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            for setting in _SETTINGS:
                connection.execute(setting)
            new = _is_new(connection, path)
            [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise MetaUnavailable(f"{path}: no write-ahead log can be kept there")
            with _transaction(connection):
                if new:
                    _create(connection)
                # Raises where the file can only be read; BEGIN does not.
                connection.execute("DELETE FROM entries WHERE FALSE")
            sync_folder(path.parent)
            _counter(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _refuse_rot(path: Path) -> None:
    """SQLite would take a rotten byte in its log for the log's end, and silently forget the commits behind it."""
    log = path.with_name(path.name + "-wal")
    if not log.exists():
        return
    with log.open("rb") as file:

        def read(at: int, length: int) -> bytes:
            file.seek(at)
            return file.read(length)

        rotten = find_rot(read, log.stat().st_size)
    if rotten is not None:
        raise MetaUnusable(
            f"{log}: bytes {rotten.start} to {rotten.end - 1} are damaged, and acknowledged changes lie behind them;"
            " restore a backup, or move the file away to go on without them"
        )


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is still empty; raises MetaUnusable unless it is that, or ours and of this format."""
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version, tables) == (0, 0, 0):
        return True
    if application != APPLICATION_ID:
        raise MetaUnusable(f"{path}: a SQLite file, but not Penstock's metadata")
    if version != FORMAT:
        age = "written by a newer Penstock" if version > FORMAT else "not readable"
        raise MetaUnusable(f"{path}: {age} (format {version}; this one reads {FORMAT})")
    return False


def _create(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO counter VALUES (0, ?)", (_crc("", b"", 0),))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction.  One that fails is undone before the connection's next work, and tried again there if that fails as well."""
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _crc(key: str, value: bytes, version: int) -> int:
    """What is stored beside a row: CRC-32 of its version, the length of its key, its key and its value."""
    name = key.encode()
    return zlib.crc32(value, zlib.crc32(b"%d %d %s" % (version, len(name), name)))


def _counter(connection: sqlite3.Connection) -> int:
    """The version of the last commit."""
    rows = connection.execute("SELECT '', x'', version, crc FROM counter").fetchall()
    if len(rows) != 1 or (held := _sound(*rows[0])) is None:
        raise sqlite3.DatabaseError("the commit counter is damaged")
    return held.version


def _sound(key: object, value: object, version: object, crc: object) -> Versioned | None:
    """What a row holds, or None if it is damaged; that may show in the types first."""
    if not (isinstance(key, str) and isinstance(value, bytes) and isinstance(version, int)):
        return None
    return Versioned(value, version) if _crc(key, value, version) == crc else None


def _verified(key: object, value: object, version: object, crc: object) -> Versioned:
    held = _sound(key, value, version, crc)
    if held is None:
        raise sqlite3.DatabaseError(f"the value of {key!r} is damaged")
    return held


def get(connection: sqlite3.Connection, key: str) -> Versioned | None:
    """A key's value."""
    row = connection.execute("SELECT key, value, version, crc FROM entries WHERE key = ?", (key,)).fetchone()
    return None if row is None else _verified(*row)


def scan(connection: sqlite3.Connection, prefix: str) -> Sequence[tuple[str, Versioned]]:
    """Every key with a prefix, in order.

    Keys are compared as UTF-8, which sorts as code points do: those with a prefix stand together, from the prefix itself on.
    """
    rows = connection.execute("SELECT key, value, version, crc FROM entries WHERE key >= ? ORDER BY key", (prefix,))
    with closing(rows):
        return [(row[0], _verified(*row)) for row in takewhile(lambda row: str(row[0]).startswith(prefix), rows)]


def page(
    connection: sqlite3.Connection, start: str, end: str, limit: int, *, backwards: bool
) -> Sequence[tuple[str, Versioned]]:
    """The first keys, or the last, of a range."""
    rows = connection.execute(_LAST if backwards else _FIRST, (start, end, limit))
    with closing(rows):
        return [(row[0], _verified(*row)) for row in rows]


def commit_all(connection: sqlite3.Connection, commits: Sequence[Sequence[Write]]) -> list[Outcome]:
    """Carry out commits in one transaction: the changes of each, or its Conflict."""
    outcomes: list[Outcome] = []
    with _transaction(connection):
        version = begun = _counter(connection)
        for writes in commits:
            conflict = _conflict(connection, writes)
            if conflict is not None:
                outcomes.append(conflict)
                continue
            version += 1
            outcomes.append([_apply(connection, write, version) for write in writes])
        if version > begun:
            connection.execute("UPDATE counter SET version = ?, crc = ?", (version, _crc("", b"", version)))
    return outcomes


def _conflict(connection: sqlite3.Connection, writes: Sequence[Write]) -> Conflict | None:
    """The first key whose version is not the one that its writer expected."""
    for write in writes:
        row = connection.execute("SELECT version FROM entries WHERE key = ?", (write.key,)).fetchone()
        if (row[0] if row is not None else 0) != write.expected:
            return Conflict(write.key)
    return None


def _apply(connection: sqlite3.Connection, write: Write, version: int) -> Change:
    if write.value is None:
        connection.execute("DELETE FROM entries WHERE key = ?", (write.key,))
        return Change(write.key, None)
    connection.execute(
        "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)",
        (write.key, write.value, version, _crc(write.key, write.value, version)),
    )
    return Change(write.key, Versioned(write.value, version))


def check(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with the file, a line each."""
    found: list[str] = []
    try:
        connection.execute("PRAGMA shrink_memory")  # so that pages are read from the file again
        found += [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        newest = _counter(connection)
        for row in connection.execute("SELECT key, value, version, crc FROM entries"):
            held = _sound(*row)
            if held is None:
                found.append(f"the value of {row[0]!r} is damaged")
            elif not 1 <= held.version <= newest:
                found.append(f"{row[0]!r} has version {held.version}; the last commit was {newest}")
    except sqlite3.DatabaseError as error:
        if refusal(error) is not MetaUnusable:
            raise
        found.append(str(error))
    return found


def backup(connection: sqlite3.Connection, target: Path) -> None:
    """Write a copy of this moment to a new file.  Raises ValueError if there is such a file, MetaUnavailable."""
    part = target.with_name(target.name + ".part")
    for taken in (target, target.with_name(target.name + "-wal")):
        if taken.exists():
            raise ValueError(f"{taken}: exists already")
    with translated(target):
        try:
            part.unlink(missing_ok=True)
            descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            try:
                with closing(sqlite3.connect(part)) as copy:
                    copy.execute("PRAGMA journal_mode = OFF")  # a copy that fails is thrown away whole
                    connection.backup(copy)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(target.parent)
