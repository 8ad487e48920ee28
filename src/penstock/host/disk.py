"""The machine's disk, without blocking the event loop.

Theory.  Commits go through a thread of their own, so that no read or settling write stands before them; all else shares a few threads.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from penstock.core.ports import DiskFull

THREADS: Final = 4
PIECES_AT_ONCE: Final = 512  # systems take 1,024
ZEROS: Final = bytes(1 << 20)
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

Result = TypeVar("Result")


class SystemDisk:
    """Files below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._commits = ThreadPoolExecutor(1, "penstock-commit")
        self._others = ThreadPoolExecutor(THREADS, "penstock-disk")

    async def create(self, path: str, size_bytes: int = 0) -> "SystemFile":
        """A new file of really written zeros."""
        return await self._run(self._create, path, size_bytes)

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
        self._commits.shutdown()
        self._others.shutdown()

    async def _run(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await _in(self._others, work, *arguments)

    def _open(self, path: str, flags: int) -> "SystemFile":
        return SystemFile(os.open(self._root / path, flags | os.O_CLOEXEC, 0o600), self._commits, self._others)

    def _create(self, path: str, size_bytes: int) -> "SystemFile":
        file = self._open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            for at in range(0, size_bytes, len(ZEROS)):
                file.write_now(at, ZEROS[: size_bytes - at])
        except OSError:
            file.close_now()
            (self._root / path).unlink()
            raise
        return file

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

    def __init__(self, descriptor: int, commits: ThreadPoolExecutor, others: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._commits = commits
        self._others = others

    @property
    def size_bytes(self) -> int:
        """Its length."""
        return os.fstat(self._descriptor).st_size

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on."""
        return await _in(self._others, self._read, offset, length)

    async def write(self, offset: int, *pieces: bytes) -> None:
        """Write pieces one behind the other."""
        await _in(self._others, self.write_now, offset, *pieces)

    async def sync(self) -> None:
        """Make all that was written durable."""
        await _in(self._others, os.fsync, self._descriptor)

    async def commit(self, offset: int, *pieces: bytes) -> None:
        """Write pieces one behind the other and make them durable."""
        await _in(self._commits, self._commit, offset, pieces)

    async def close(self) -> None:
        """Let go of it."""
        await _in(self._others, self.close_now)

    def close_now(self) -> None:
        """Let go of it, on this thread."""
        os.close(self._descriptor)

    def write_now(self, offset: int, *pieces: bytes) -> None:
        """Write all of some pieces, on this thread."""
        try:
            for first in range(0, len(pieces), PIECES_AT_ONCE):
                offset += self._write_some(offset, pieces[first : first + PIECES_AT_ONCE])
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFull(error.errno, "no space is left on the disk") from None
            raise

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

    def _commit(self, offset: int, pieces: Sequence[bytes]) -> None:
        self.write_now(offset, *pieces)
        os.fdatasync(self._descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _in(pool: ThreadPoolExecutor, work: Callable[..., Result], *arguments: object) -> Result:
    return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
