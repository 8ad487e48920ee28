"""Blobs as the files of one directory.

Theory.  An object is the file `objects/<its name>`.  It is written under `partial/`, synced, and then renamed, so that a name always
leads to a whole object; a reader that has opened the old one reads on in it.  A folder exists as long as something is in it.
Rules of this file:
  1. The loop never waits for the disk: files are touched on the threads of one pool.
  2. Names appear and vanish under one lock, so that no folder is removed between its making and its first use.
  3. A put has synced the file, its folder, and every folder above that this process has not synced before.
  4. One process has the directory; what an earlier one left in `partial/` belongs to nobody, and `open` removes it.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final, NamedTuple, Self, TypeVar

from penstock.engines.api import (
    BLOB_PIECE_BYTES,
    BlobEntry,
    BlobsUnavailable,
    NoSuchBlob,
    check_blob_name,
    check_blob_range,
)
from penstock.engines.local.partfile import Part, sync_folder

THREADS: Final = 4
SETTLED_FOLDERS_MAX: Final = 10_000  # folders remembered as durable; when there are more, each is synced once again

_T = TypeVar("_T")


class _Found(NamedTuple):
    """Something in a folder: an object, or a folder (its name ends in `/`) without a size."""

    name: str
    size_bytes: int | None


class DirectoryBlobs:
    """Blobs in a directory.  `open` makes one."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = root / "objects"
        self._partial = root / "partial"
        self._threads = ThreadPoolExecutor(THREADS, "penstock-blobs")
        self._numbers = count()
        self._naming = Lock()
        self._settled: set[Path] = set()  # folders whose own names, and those of all above them, are durable

    @classmethod
    async def open(cls, root: Path) -> Self:
        """Open a directory, made if there is none; the one above it exists.  Raises BlobsUnavailable."""
        blobs = cls(root)
        try:
            await blobs._run(blobs._prepare)
        except BaseException:
            blobs._threads.shutdown(wait=False)
            raise
        return blobs

    async def close(self) -> None:
        """Let what was begun come to its end."""
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    async def put(self, name: str, data: bytes | AsyncIterator[bytes]) -> None:
        """Store or replace an object, durably.  Raises ValueError also where `name` and another's folder are the same."""
        check_blob_name(name)
        part = Part(self._partial / str(next(self._numbers)))
        try:
            last = data if isinstance(data, bytes) else await self._spool(part, data)
            await self._run(self._publish, part, last, name)
        except BaseException:
            await self._run(part.discard)
            raise

    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes [start, end) of an object."""
        check_blob_range(start, end)
        return await self._run(self._read, name, start, end)

    async def stream(self, name: str, start: int = 0) -> AsyncIterator[bytes]:
        """The bytes from `start` on, in pieces."""
        check_blob_range(start, None)
        file = await self._run(self._open, name)
        try:
            await self._run(file.seek, start)
            while piece := await self._run(file.read, BLOB_PIECE_BYTES):
                yield piece
        finally:
            await self._run(file.close)

    async def size(self, name: str) -> int | None:
        """Its size, or None."""
        return await self._run(self._size, name)

    async def list(self, prefix: str = "") -> AsyncIterator[BlobEntry]:
        """The objects under a prefix, in order: depth first, as each folder stood when it was reached."""
        folder, slash, _ = prefix.rpartition("/")
        if slash:
            check_blob_name(folder)
        waiting = [_Found(folder + slash, None)]
        while waiting:
            name, size_bytes = waiting.pop()
            if size_bytes is not None:
                yield BlobEntry(name, size_bytes)
            else:
                waiting += await self._run(self._inside, name, prefix)

    async def delete(self, name: str) -> None:
        """Forget an object."""
        await self._run(self._delete, name)

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(self._do, work, *arguments))

    def _do(self, work: Callable[..., _T], *arguments: object) -> _T:
        try:
            return work(*arguments)
        except OSError as error:
            raise BlobsUnavailable(f"{self._root}: {error.strerror}") from error

    def _prepare(self) -> None:
        for folder in (self._root, self._objects, self._partial):
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)
        for stale in self._partial.iterdir():
            stale.unlink()

    async def _spool(self, part: "Part", data: AsyncIterator[bytes]) -> bytes:
        """Write all but the last of what an iterator gives, about a piece at a time; answer the last."""
        held = bytearray()
        async for piece in data:
            if len(held) >= BLOB_PIECE_BYTES:
                await self._run(part.write, bytes(held))
                held.clear()
            held += piece
        return bytes(held)

    def _publish(self, part: "Part", last: bytes, name: str) -> None:
        part.finish(last)
        target = self._path(name)
        with self._naming, _clashes(name):
            target.parent.mkdir(parents=True, exist_ok=True)
            part.path.replace(target)
            self._settle(target.parent)

    def _settle(self, folder: Path) -> None:
        """Make the names in a folder durable, and the folder's own."""
        sync_folder(folder)
        if len(self._settled) > SETTLED_FOLDERS_MAX:
            self._settled.clear()
        new = []
        while folder != self._objects and folder not in self._settled:
            sync_folder(folder.parent)
            new.append(folder)
            folder = folder.parent
        self._settled.update(new)

    def _delete(self, name: str) -> None:
        path = self._path(name)
        with self._naming:
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
            folder = path.parent
            while folder != self._objects and _emptied(folder):
                self._settled.discard(folder)
                folder = folder.parent
            sync_folder(folder)

    def _path(self, name: str) -> Path:
        check_blob_name(name)
        return self._objects / name

    def _open(self, name: str) -> BinaryIO:
        try:
            return self._path(name).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NoSuchBlob(name) from None

    def _read(self, name: str, start: int, end: int | None) -> bytes:
        with self._open(name) as file:
            file.seek(start)
            return file.read() if end is None else file.read(end - start)

    def _size(self, name: str) -> int | None:
        try:
            with self._open(name) as file:
                return os.fstat(file.fileno()).st_size
        except NoSuchBlob:
            return None

    def _inside(self, folder: str, prefix: str) -> Sequence[_Found]:
        """What a folder holds of a prefix, last name first; a folder sorts as its objects do, with its `/`."""
        try:
            with os.scandir(self._objects / folder) as entries:
                found = [_found(folder, entry) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted((each for each in found if each and each.name.startswith(prefix)), reverse=True)


@contextmanager
def _clashes(name: str) -> Iterator[None]:
    """Say what it means when a file stands where a folder should, or the other way round."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise ValueError(f"blob name that is another's folder, or has another as its folder: {name!r}") from None


def _found(folder: str, entry: "os.DirEntry[str]") -> _Found | None:
    name = folder + entry.name
    try:
        return _Found(name + "/", None) if entry.is_dir(follow_symlinks=False) else _Found(name, entry.stat().st_size)
    except FileNotFoundError:  # deleted since
        return None


def _emptied(folder: Path) -> bool:
    """Remove a folder if nothing is in it."""
    try:
        folder.rmdir()
    except OSError:  # it holds something; ENOTEMPTY or EEXIST, as the system likes
        return False
    return True
