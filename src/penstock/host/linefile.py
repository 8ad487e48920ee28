"""A file to which lines are appended by a thread of its own, so that a slow disk never holds up the event loop.

Theory.  `append` puts a line into a bounded queue and returns.  The thread writes what has gathered in one go, and syncs at most once in
SYNC_S: what a crash of the machine can take is the last second, what a crash of the process can take is the queue.  Where the queue is
full or the disk refuses, lines are lost, counted, and told in a line of their own as soon as one can be written.
Rules of this file:
  1. Lines are whole: one that the disk took a part of is ended before the next begins.
  2. The file is opened by name again when that name is another file's or nobody's: so it is rotated by renaming it.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

QUEUE_MAX_LINES: Final = 10_000
QUEUE_MAX_BYTES: Final = 32 * 1024 * 1024
BATCH_MAX_LINES: Final = 500
SYNC_S: Final = 1.0


class LineFile:
    """One file of lines."""

    def __init__(self, path: Path, lost_line: Callable[[int], bytes]) -> None:
        """Open the file, for its owner alone if it is new; `lost_line` words how many lines were lost.  Raises OSError."""
        self._path = path
        self._lost_line = lost_line
        self._descriptor = _open(path)
        self._torn = False  # the file's last line has no end
        self._failing = False
        self._queue: deque[bytes] = deque()
        self._queue_bytes = 0
        self._lost = 0
        self._stopping = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def append(self, line: bytes) -> None:
        """Have a line written, without its end; never waits."""
        with self._wake:
            if len(self._queue) >= QUEUE_MAX_LINES or self._queue_bytes + len(line) > QUEUE_MAX_BYTES or self._stopping:
                self._lost += 1
            else:
                self._queue.append(line)
                self._queue_bytes += len(line)
            self._wake.notify()

    def close(self) -> None:
        """Write what is queued, sync, and end the thread; waits for all that."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        synced_s, dirty = time.monotonic(), False
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._lost or self._stopping, SYNC_S if dirty else None)
                lines = [self._queue.popleft() for _ in range(min(BATCH_MAX_LINES, len(self._queue)))]
                self._queue_bytes -= sum(map(len, lines))
                lost, self._lost = self._lost, 0
                ending = self._stopping and not self._queue
            if lines or lost:
                dirty = self._write(lines, lost) or dirty
            if dirty and (ending or time.monotonic() - synced_s >= SYNC_S):
                self._sync()
                synced_s, dirty = time.monotonic(), False
            if ending:
                os.close(self._descriptor)
                return
            if self._failing:
                with self._wake:
                    self._wake.wait_for(lambda: self._stopping, SYNC_S)

    def _write(self, lines: list[bytes], lost: int) -> bool:
        """Write lines; whether they are in the file.  What is lost is counted."""
        if lost:
            lines = [*lines, self._lost_line(lost)]
        written, data, began_torn = 0, b"", False
        try:
            self._follow_name()
            began_torn = self._torn
            data = (b"\n" if began_torn else b"") + b"".join(line + b"\n" for line in lines)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
                self._torn = data[written - 1 : written] != b"\n"
        except OSError as error:
            if not self._failing:
                logger.error("the audit log cannot be written: %s", error)
            self._failing = True
            with self._wake:
                self._lost += lost + len(lines) - bool(lost) - _whole(data[:written], began_torn=began_torn)
            return False
        self._failing = False
        return True

    def _follow_name(self) -> None:
        """Open the file anew if its name was given to another, or to none."""
        held = os.fstat(self._descriptor)
        try:
            named = self._path.stat()
            same = (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
        except FileNotFoundError:
            same = False
        if not same:
            descriptor = _open(self._path)
            self._sync()
            os.close(self._descriptor)
            self._descriptor, self._torn = descriptor, False

    def _sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:  # a pipe, say, or a disk that fails: the next write will tell
            logger.debug("the audit log cannot be synced: %s", error)


def _whole(written: bytes, *, began_torn: bool) -> int:
    """How many lines are whole in the part of a batch that was written; the end of a torn one comes before the first."""
    return max(0, written.count(b"\n") - began_torn)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
