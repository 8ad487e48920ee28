"""The machine's disk, without blocking the event loop.

Theory.  Commits go through a thread of their own, so that no read or settling write stands before them; all else shares a few threads.
What is stored whole goes past the page cache where the file system allows it: there it would cost a second copy and fresh pages, drive
out what is read, and be written back in one stroke that commits have to wait for.
"""

import asyncio
import errno
import fcntl
import mmap
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from penstock.core.ports import DiskFull, FileReader
from penstock.host.threads import WorkThreads
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import FileWriter

THREADS: Final = 4
PIECES_AT_ONCE: Final = 512  # systems take 1,024
ZEROS: Final = bytes(1 << 20)
STORE_STEP_BYTES: Final = 2 << 20  # what `store` hands to the disk at a time: a commit waits behind no more
STORE_UNIT_BYTES: Final = 4096  # of what is written past the page cache
FEED_BYTES: Final = 1 << 20  # what `feed` reads at a time: into memory that was just used, and so needs no fresh pages
SWITCH_S: Final = 0.0005  # Python's own 5 ms are how long a thread whose commit is done may wait to say so
# The C library keeps freed blocks as large as the largest that was ever freed, up to 32 MiB, instead of giving them back at once.  One that
# is never touched costs nothing; without it each answer of many megabytes is written to fresh pages, which takes three times as long.
KEPT_BLOCK_BYTES: Final = 31 << 20
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_TRUNC
_PAST_THE_CACHE: Final = getattr(os, "O_DIRECT", 0)
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

Result = TypeVar("Result")


class SystemDisk:
    """Files below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._commits = WorkThreads("penstock-commit", 1)
        self._others = ThreadPoolExecutor(THREADS, "penstock-disk")
        self._steps: list[mmap.mmap] = []  # memory for `store` to use again: fresh pages cost more than the copy
        self._writer = NATIVE.FileWriter(STORE_STEP_BYTES) if NATIVE is not None else None
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
        bytes(KEPT_BLOCK_BYTES)

    async def create(self, path: str, size_bytes: int = 0) -> "SystemFile":
        """A new file of really written zeros."""
        return await self._run(self._create, path, size_bytes)

    async def store(self, path: str, *parts: Iterable[bytes]) -> None:
        """A file of the pieces of these parts, durable."""
        await self._run(self._store, path, parts)

    async def open(self, path: str) -> "SystemFile":
        """A file that exists."""
        return await self._run(self._open, path, os.O_RDWR)

    async def names(self, folder: str) -> list[str]:
        """What a folder holds, sorted."""
        return await self._run(self._names, folder)

    async def make_folder(self, path: str) -> None:
        """A folder and those above it, durably."""
        await self._run(self._make_folder, path)

    async def rename(self, old: str, new: str) -> None:
        """Give a file another name."""
        await self._run(os.replace, self._root / old, self._root / new)

    async def remove(self, path: str) -> None:
        """Delete a file or an empty folder."""
        await self._run(self._remove, path)

    async def sync_folder(self, path: str) -> None:
        """Make a folder's entries durable."""
        await self._run(_sync_folder, self._root / path)

    def close(self) -> None:
        """End the threads."""
        self._commits.close()
        self._others.shutdown()

    async def _run(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await _in(self._others, work, *arguments)

    def _open(self, path: str, flags: int) -> "SystemFile":
        return SystemFile(os.open(self._root / path, flags | os.O_CLOEXEC, 0o600), self._commits, self._others)

    def _create(self, path: str, size_bytes: int) -> "SystemFile":
        if size_bytes:
            try:
                self._store(path, [[ZEROS[: size_bytes - at] for at in range(0, size_bytes, len(ZEROS))]])
            except OSError:
                (self._root / path).unlink(missing_ok=True)
                raise
            return self._open(path, os.O_RDWR)
        return self._open(path, _NEW)

    def _store(self, path: str, parts: Sequence[Iterable[bytes]]) -> None:
        file = self._open(path, _NEW)
        try:
            if self._writer is None or not file.store_by(self._writer, parts):
                self._store_in_steps(file, parts)
        finally:
            file.close_now()

    def _store_in_steps(self, file: "SystemFile", parts: Sequence[Iterable[bytes]]) -> None:
        step = self._steps.pop() if self._steps else mmap.mmap(-1, STORE_STEP_BYTES)
        try:
            with memoryview(step) as memory:
                file.store_now(chain.from_iterable(parts), memory)
        finally:
            self._steps.append(step)

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(found.name for found in (self._root / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _make_folder(self, path: str) -> None:
        folder = self._root
        for part in path.split("/"):
            above, folder = folder, folder / part
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
                _sync_folder(above)

    def _remove(self, path: str) -> None:
        try:
            (self._root / path).unlink()
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):
            (self._root / path).rmdir()


class SystemFile:
    """One open file."""

    def __init__(self, descriptor: int, commits: WorkThreads, others: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._commits = commits
        self._others = others

    @property
    def _path(self) -> str:
        """The file, whatever its name is by now: for who is to open it once more."""
        return f"/dev/fd/{self._descriptor}"

    @property
    def size_bytes(self) -> int:
        """Its length."""
        return os.fstat(self._descriptor).st_size

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on."""
        return await _in(self._others, self._read, offset, length)

    async def feed(self, length: int, reader: FileReader) -> None:
        """Have `reader` take the first `length` bytes, on a thread of the disk."""
        await _in(self._others, self._feed, length, reader)

    async def write(self, offset: int, *pieces: bytes) -> None:
        """Write pieces one behind the other."""
        await _in(self._others, self.write_now, offset, *pieces)

    async def sync(self) -> None:
        """Make all that was written durable."""
        await _in(self._others, os.fsync, self._descriptor)

    async def commit(self, offset: int, *pieces: bytes) -> None:
        """Write pieces one behind the other and make them durable."""
        await self._commits.run(partial(self._commit, offset, pieces))

    async def close(self) -> None:
        """Let go of it."""
        await _in(self._others, self.close_now)

    def close_now(self) -> None:
        """Let go of it, on this thread."""
        os.close(self._descriptor)

    def write_now(self, offset: int, *pieces: bytes) -> None:
        """Write all of some pieces, on this thread."""
        with _telling_full():
            for first in range(0, len(pieces), PIECES_AT_ONCE):
                offset += self._write_some(offset, pieces[first : first + PIECES_AT_ONCE])

    def store_by(self, writer: FileWriter, parts: Sequence[Iterable[bytes]]) -> bool:
        """Have a writer fill the empty file, and make it durable, on this thread; false where it cannot."""
        with _telling_full():
            size_bytes = writer.write(self._path, _PAST_THE_CACHE, parts)
            if size_bytes is None:
                return False
            self._finish(size_bytes)
        return True

    def store_now(self, pieces: Iterable[bytes], step: memoryview) -> None:
        """Fill the empty file with pieces, by way of `step`, and make it durable, on this thread."""
        self._pass_the_cache(True)
        at = 0
        with _telling_full():
            for filled in _in_steps(pieces, step):
                self._write_step(at, step[: filled + -filled % STORE_UNIT_BYTES])
                at += filled
            self._finish(at)

    def _finish(self, size_bytes: int) -> None:
        os.ftruncate(self._descriptor, size_bytes)
        os.fsync(self._descriptor)

    def _write_step(self, at: int, rest: memoryview) -> None:
        while rest:
            try:
                written = os.pwrite(self._descriptor, rest, at)
            except OSError as error:
                if error.errno != errno.EINVAL or not self._pass_the_cache(False):
                    raise
                continue
            at, rest = at + written, rest[written:]

    def _pass_the_cache(self, wanted: bool) -> bool:
        """Write past the page cache from now on, or not; whether that changed.  Not every file system can."""
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        changed = flags | _PAST_THE_CACHE if wanted else flags & ~_PAST_THE_CACHE
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, changed)
        except OSError:
            return False
        return changed != flags

    def _write_some(self, offset: int, pieces: Sequence[bytes]) -> int:
        size = sum(map(len, pieces))
        written = os.pwritev(self._descriptor, pieces, offset)
        rest = memoryview(b"".join(pieces))[written:] if written < size else memoryview(b"")
        while rest:
            more = os.pwrite(self._descriptor, rest, offset + size - len(rest))
            rest = rest[more:]
        return size

    def _read(self, offset: int, length: int) -> bytes:
        pieces: list[bytes] = []
        while length > 0 and (piece := os.pread(self._descriptor, length, offset)):
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _feed(self, length: int, reader: FileReader) -> None:
        if reader.read(self._path, length):
            return
        offset = 0
        while piece := os.pread(self._descriptor, min(FEED_BYTES, length - offset), offset):
            reader.take(piece)
            offset += len(piece)

    def _commit(self, offset: int, pieces: Sequence[bytes]) -> None:
        self.write_now(offset, *pieces)
        os.fdatasync(self._descriptor)


def _in_steps(pieces: Iterable[bytes], step: memoryview) -> Iterator[int]:
    """Lay pieces back to back into `step`; yield, whenever it is full and at the end, how much of it is filled."""
    filled = 0
    for piece in pieces:
        at = 0
        while at < len(piece):
            taken = min(len(piece) - at, len(step) - filled)
            step[filled : filled + taken] = memoryview(piece)[at : at + taken]
            at, filled = at + taken, filled + taken
            if filled == len(step):
                yield filled
                filled = 0
    if filled:
        yield filled


@contextmanager
def _telling_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(error.errno, "no space is left on the disk") from None
        raise


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _in(pool: ThreadPoolExecutor, work: Callable[..., Result], *arguments: object) -> Result:
    return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
