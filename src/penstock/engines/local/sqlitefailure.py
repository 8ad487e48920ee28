"""What a failure of SQLite means for the MetaStore: that it cannot be used now, or that its file is wrong."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from penstock.engines.api import MetaUnavailable, MetaUnusable

# SQLite's reasons that pass; any other says that the file itself is wrong.
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL,
    }
)  # fmt: skip


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite, the file system and our own checks (DatabaseError) raise into one line.  Misuse of SQLite stays as it is."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.DataError):
        raise
    except sqlite3.DatabaseError as error:
        busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        raise refusal(error)(f"{path}: {'in use by another process' if busy else error}") from error
    except OSError as error:
        raise MetaUnavailable(f"{path}: {error.strerror}") from error


def refusal(error: sqlite3.DatabaseError) -> type[MetaUnavailable]:
    """Which of the two an error is."""
    code = getattr(error, "sqlite_errorcode", None)  # our own, and Python's for text that is not UTF-8, have none
    return MetaUnavailable if code is not None and code & 0xFF in _PASSING else MetaUnusable
