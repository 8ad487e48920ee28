"""The lock of a data directory: one server at a time, whatever becomes of it.

The kernel holds the lock for the process, so that a killed server leaves none behind.
"""

import fcntl
import os
from pathlib import Path


class DirectoryInUse(Exception):
    """Another server has the directory; its text is the one line to show."""


class DirectoryLock:
    """An advisory lock on `<directory>/lock`, which tells the process that holds it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise DirectoryInUse(f"{directory} is in use by another server (process {holder})") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next server in."""
        os.close(self._descriptor)
