"""The MetaStore in one SQLite file: who asks, who is told, and in which order; what is in the file is metafile.py's business.

Theory.  One connection, owned by one thread, does everything in the order in which it was asked; its answers come back to the loop in that
order.  So the watchers hear of commits in the order in which they became durable, and of a commit before anyone reads what it wrote.
Commits that wait for the thread are carried out as one transaction, so that they share one sync: each still applies whole or not at all,
and is told by itself.
Rules of this file:
  1. The connection is touched on its thread only; the loop never waits for the disk.
  2. A commit is part of one transaction, synced before it is answered.
  3. Whether a committer still waits or was cancelled, what was committed reaches the watchers, once.
  4. What one commit fails with, others do not: a transaction of several that fails is undone, and each is tried alone.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from penstock.engines.api import MetaUnavailable, Versioned, Watcher, Write
from penstock.engines.local import metafile
from penstock.engines.local.metafile import Outcome
from penstock.engines.local.sqlitefailure import translated

_T = TypeVar("_T")


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
            connection = await asyncio.get_running_loop().run_in_executor(thread, metafile.connect, path)
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
        return await self._begin(lambda connection: metafile.get(connection, key))

    async def scan(self, prefix: str) -> Sequence[tuple[str, Versioned]]:
        """Every key with a prefix, in order."""
        return await self._begin(lambda connection: metafile.scan(connection, prefix))

    async def page(
        self, start: str, end: str, limit: int, *, backwards: bool = False
    ) -> Sequence[tuple[str, Versioned]]:
        """The first or last keys of a range."""
        return await self._begin(lambda connection: metafile.page(connection, start, end, limit, backwards=backwards))

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
        return await self._begin(metafile.check)

    async def backup(self, target: Path) -> None:
        """Write a copy of this moment to a new file, which `open` takes.  Commits wait meanwhile.

        Raises ValueError if there is such a file (its write-ahead log would be taken for the copy's); MetaUnavailable when it cannot be
        written, and then there is none.
        """
        await self._begin(lambda connection: metafile.backup(connection, target))

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

    def _commit_waiting(self, connection: sqlite3.Connection) -> "list[tuple[_Commit, Outcome]]":
        """Carry out what waits; on the thread."""
        with self._handover:
            commits, self._waiting = self._waiting, []
        try:
            with translated(self._path):
                return list(
                    zip(commits, metafile.commit_all(connection, [commit.writes for commit in commits]), strict=True)
                )
        except Exception as error:  # noqa: BLE001 - it is told to whom it concerns
            if len(commits) == 1:
                return [(commits[0], error)]
        return [(commit, self._commit_alone(commit)) for commit in commits]

    def _commit_alone(self, commit: "_Commit") -> Outcome:
        try:
            return self._do(lambda connection: metafile.commit_all(connection, [commit.writes]))[0]
        except Exception as error:  # noqa: BLE001 - it is told to whom it concerns
            return error

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        with translated(self._path):
            if self._connection.in_transaction:  # what came before failed in the middle of its own
                self._connection.execute("ROLLBACK")
            return work(self._connection)

    def _tell_all(self, done: "asyncio.Future[list[tuple[_Commit, Outcome]]]") -> None:
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
