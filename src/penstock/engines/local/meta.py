"""The MetaStore in one SQLite file.

Theory.  A table of keys, and one counter that every commit raises: the version of what it writes.  One connection, owned by one thread,
does everything in the order in which it was asked; its answers come back to the loop in that order.  So the watchers hear of commits
in the order in which they became durable, and of a commit before anyone reads what it wrote.  Commits that wait for the thread are carried
out as one transaction, so that they share one sync: each still applies whole or not at all, and is told by itself.
Rules of this file:
  1. The connection is touched on its thread only; the loop never waits for the disk.
  2. A commit is part of one transaction, synced before it is answered.  That also stores the counter, so that no version ever repeats.
  3. Whether a committer still waits or was cancelled, what was committed reaches the watchers, once.
  4. One process has the file: SQLite's exclusive lock keeps others out, whose commits the watchers would not see.
  5. A row that does not match its checksum is never answered.
  6. What one commit fails with, others do not: a transaction of several that fails is undone, and each is tried alone.
  7. The format (APPLICATION_ID, FORMAT, the tables, what the checksums cover) changes only together with FORMAT.
"""

import asyncio
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Final, NamedTuple, Self, TypeVar

from penstock.engines.api import Change, Conflict, MetaUnavailable, MetaUnusable, Versioned, Watcher, Write
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

_T = TypeVar("_T")
_Outcome = Sequence[Change] | Exception


class _Commit(NamedTuple):
    """A commit that waits to be carried out, and who waits for it."""

    writes: Sequence[Write]
    told: asyncio.Future[None]

    def refuse(self, error: Exception) -> None:
        """Tell that it failed; it is nobody's loss if who waited was cancelled."""
        self.told.set_exception(error)
        self.told.exception()


class SqliteMeta:
    """MetaStore in a file.  `open` makes one; it lives on the loop that it was opened on."""

    def __init__(self, path: Path, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._path = path
        self._connection = connection
        self._thread = thread
        self._watchers: list[tuple[str, Watcher]] = []
        self._gathered: list[
            _Commit
        ] = []  # in this turn of the loop; they are handed over at its end, or before the next read
        self._waiting: list[_Commit] = []  # while there are any, the thread has been asked to carry them out
        self._handover = threading.Lock()  # of `_waiting`, between the loop and the thread
        self._closed = False

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open a file, made if there is none; its folder exists.

        Raises MetaUnusable for a file that is not ours, of a newer format or damaged; MetaUnavailable where it cannot be opened, or
        another process has it.
        """
        thread = ThreadPoolExecutor(1, "penstock-meta")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, _connect, path)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(path, connection, thread)

    async def close(self) -> None:
        """Finish what was begun and let go of the file.  Closing again does nothing; anything else raises MetaUnavailable from now on."""
        if self._closed:
            return
        closed = self._begin(sqlite3.Connection.close)
        self._closed = True
        self._thread.shutdown(wait=False)  # what it was given is still done
        await asyncio.shield(closed)

    async def get(self, key: str) -> Versioned | None:
        """A key's value."""
        return await self._begin(lambda connection: _get(connection, key))

    async def scan(self, prefix: str) -> Sequence[tuple[str, Versioned]]:
        """Every key with a prefix, in order."""
        return await self._begin(lambda connection: _scan(connection, prefix))

    async def page(
        self, start: str, end: str, limit: int, *, backwards: bool = False
    ) -> Sequence[tuple[str, Versioned]]:
        """The first or last keys of a range."""
        return await self._begin(lambda connection: _page(connection, start, end, limit, backwards=backwards))

    async def commit(self, writes: Sequence[Write]) -> None:
        """Apply all writes or none.  One that is cancelled may have been applied; the watchers are told if it was."""
        self._check_open()
        commit = _Commit(writes, asyncio.get_running_loop().create_future())
        self._gathered.append(commit)
        if len(self._gathered) == 1:
            asyncio.get_running_loop().call_soon(self._hand_over)
        await asyncio.shield(commit.told)

    def watch(self, prefix: str, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` with each commit's changes under a prefix.

        Whoever watches before a scan, or after one with no other await between, misses nothing that the scan does not show.
        """
        entry = (prefix, watcher)
        self._watchers.append(entry)
        return lambda: self._watchers.remove(entry)

    async def check(self) -> list[str]:
        """Read the whole file and say what is wrong with it, a line each; nothing is.  Commits wait meanwhile."""
        return await self._begin(_check)

    async def backup(self, target: Path) -> None:
        """Write a copy of this moment to a new file, which `open` takes.  Commits wait meanwhile.

        Raises ValueError if there is such a file (its write-ahead log would be taken for the copy's); MetaUnavailable when it cannot be
        written, and then there is none.
        """
        await self._begin(lambda connection: _backup(connection, target))

    def _begin(self, work: Callable[[sqlite3.Connection], _T]) -> asyncio.Future[_T]:
        """Queue work for the connection's thread, behind the commits that were asked for before."""
        self._check_open()
        self._hand_over()
        return asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    def _hand_over(self) -> None:
        """Give the thread the commits that were gathered; it wakes once for all of them."""
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        with self._handover:
            asked = bool(self._waiting)
            self._waiting += gathered
        if not asked:
            done = asyncio.get_running_loop().run_in_executor(self._thread, self._do, self._commit_waiting)
            done.add_done_callback(self._tell_all)

    def _check_open(self) -> None:
        if self._closed:
            raise MetaUnavailable(f"{self._path}: closed")

    def _commit_waiting(self, connection: sqlite3.Connection) -> "list[tuple[_Commit, _Outcome]]":
        """Carry out what waits; on the thread."""
        with self._handover:
            commits, self._waiting = self._waiting, []
        try:
            with translated(self._path):
                return list(zip(commits, _commit_all(connection, commits), strict=True))
        except Exception as error:  # noqa: BLE001 - it is told to whom it concerns
            if len(commits) == 1:
                return [(commits[0], error)]
        return [(commit, self._commit_alone(commit)) for commit in commits]

    def _commit_alone(self, commit: "_Commit") -> "_Outcome":
        try:
            return self._do(lambda connection: _commit_all(connection, [commit]))[0]
        except Exception as error:  # noqa: BLE001 - it is told to whom it concerns
            return error

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        with translated(self._path):
            if self._connection.in_transaction:  # what came before failed in the middle of its own
                self._connection.execute("ROLLBACK")
            return work(self._connection)

    def _tell_all(self, done: "asyncio.Future[list[tuple[_Commit, _Outcome]]]") -> None:
        """Tell watchers of each commit that was carried out, then its committer.

        Each is told, whatever another raises; that goes to the loop's exception handler.
        """
        with ExitStack() as calls:
            for commit, outcome in reversed(done.result()):
                if isinstance(outcome, Exception):
                    calls.callback(commit.refuse, outcome)
                    continue
                calls.callback(commit.told.set_result, None)
                for prefix, watcher in reversed(self._watchers):
                    seen = [change for change in outcome if change.key.startswith(prefix)]
                    if seen:
                        calls.callback(watcher, seen)


def _connect(path: Path) -> sqlite3.Connection:
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


def _get(connection: sqlite3.Connection, key: str) -> Versioned | None:
    row = connection.execute("SELECT key, value, version, crc FROM entries WHERE key = ?", (key,)).fetchone()
    return None if row is None else _verified(*row)


def _scan(connection: sqlite3.Connection, prefix: str) -> Sequence[tuple[str, Versioned]]:
    """Keys are compared as UTF-8, which sorts as code points do: those with a prefix stand together, from the prefix itself on."""
    rows = connection.execute("SELECT key, value, version, crc FROM entries WHERE key >= ? ORDER BY key", (prefix,))
    with closing(rows):
        return [(row[0], _verified(*row)) for row in takewhile(lambda row: str(row[0]).startswith(prefix), rows)]


def _page(
    connection: sqlite3.Connection, start: str, end: str, limit: int, *, backwards: bool
) -> Sequence[tuple[str, Versioned]]:
    rows = connection.execute(_LAST if backwards else _FIRST, (start, end, limit))
    with closing(rows):
        return [(row[0], _verified(*row)) for row in rows]


def _commit_all(connection: sqlite3.Connection, commits: Sequence[_Commit]) -> list[_Outcome]:
    """Carry out commits in one transaction: the changes of each, or its Conflict."""
    outcomes: list[_Outcome] = []
    with _transaction(connection):
        version = begun = _counter(connection)
        for commit in commits:
            conflict = _conflict(connection, commit.writes)
            if conflict is not None:
                outcomes.append(conflict)
                continue
            version += 1
            outcomes.append([_apply(connection, write, version) for write in commit.writes])
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


def _check(connection: sqlite3.Connection) -> list[str]:
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


def _backup(connection: sqlite3.Connection, target: Path) -> None:
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
