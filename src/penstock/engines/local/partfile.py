"""A file while it is written, before it gets its name, and what makes names durable."""

import os
from errno import ECANCELED
from pathlib import Path
from threading import Lock


class Part:
    """An object while it is written.  Its file is made by the first write.

    Whoever waits for a write may be cancelled while a thread is at it: so the steps exclude each other, and none follows `discard`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._discarded = False
        self._lock = Lock()

    def write(self, data: bytes) -> None:
        """Write more of it."""
        with self._lock:
            self._write(data)

    def finish(self, last: bytes) -> None:
        """Write the last bytes and make all of them durable."""
        with self._lock:
            file = self._write(last)
            os.fsync(file)
            self._close()

    def discard(self) -> None:
        """Remove what was written, if it has not got its name."""
        with self._lock:
            self._discarded = True
            self._close()
            self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> int:
        if self._discarded:
            raise OSError(ECANCELED, os.strerror(ECANCELED))
        if self._file is None:
            self._file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]
        return self._file

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
