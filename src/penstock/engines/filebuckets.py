"""Buckets as folders, objects as plain files: what `--buckets file:///DIR` is, and the default.

Theory.  A bucket is a folder of DIR, made when it is first written to; an object is the file at the path that objectpath.py gives its
key: for most keys `<bucket>/<key>`, so that any program can read what was delivered.  A file is written under `DIR/.partial/` (no bucket
begins with a dot), synced, and then renamed.
Rules of this file:
  1. The loop never waits for the disk: files are touched on the threads of one pool.  Nothing is made, and no thread started, before
     the first use.
  2. Which of `name` and `name%~` something goes to is decided, and its folders made, under one lock.
  3. A put has synced the file, its folder, and every folder above that this process has not synced before.
  4. Several servers may share DIR: each writes to a folder of its own in `.partial`, locked while it lives.  Who starts removes those
     that nobody has locked.
  5. An ObjectHead is dropped: files have no place for it that copies and archives keep, and nobody reads it here.  So nothing is
     encrypted by `sse`; whoever needs that gives DIR an encrypted file system.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from errno import EACCES, EPERM, EROFS
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import partial
from itertools import chain, count, takewhile
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple, TypeVar

from penstock.engines.buckets import (
    PLAIN,
    Body,
    BucketDenied,
    BucketsUnavailable,
    NoSuchBucket,
    NoSuchObject,
    ObjectEntry,
    ObjectHead,
    ObjectTooLarge,
    check_bucket,
    check_object,
    merged,
)
from penstock.engines.local.partfile import Part, sync_folder
from penstock.engines.objectpath import BESIDE, read_name, segments

THREADS: Final = 8
SETTLED_FOLDERS_MAX: Final = 10_000  # folders remembered as durable; when there are more, each is synced once again
PARTIAL: Final = ".partial"
_ABSENT: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_DENIED: Final = (EACCES, EPERM, EROFS)

_T = TypeVar("_T")


class _Found(NamedTuple):
    """Something in a folder: an object, or a folder (its key ends in `/`) without a size."""

    key: str
    size_bytes: int | None
    path: Path


class FileBuckets:
    """Buckets in a directory, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._threads = ThreadPoolExecutor(THREADS, "penstock-buckets")
        self._numbers = count()
        self._naming = Lock()
        self._settled: set[Path] = set()  # folders whose own names, and those of all above them, are durable
        self._desk: Path | None = None  # where this process writes files that have no name yet
        self._desk_lock = -1

    async def close(self) -> None:
        """Let what was begun come to its end."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        """Store or replace an object, durably; its bucket is made if there is none."""
        check_object(bucket, key)
        part = await self._run(self._new_part)
        try:
            await self._run(self._publish, part, bucket, key, body)
        except BaseException:
            await self._run(part.discard)
            raise

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """An object's bytes."""
        check_object(bucket, key)
        return await self._run(self._read, bucket, key, max_bytes)

    async def list(self, bucket: str, prefix: str) -> AsyncIterator[ObjectEntry]:
        """The objects under a prefix, in order: depth first, as each folder stood when it was reached."""
        check_bucket(bucket)
        waiting = [_Found("", None, self._root / bucket)]
        if not await self._run(waiting[0].path.is_dir):
            raise NoSuchBucket(bucket)
        while waiting:
            key, size_bytes, path = waiting.pop()
            if size_bytes is not None:
                yield ObjectEntry(key, size_bytes)
            else:
                waiting += await self._run(_sorted_inside, path, key, prefix)

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(self._do, work, *arguments))

    def _do(self, work: Callable[..., _T], *arguments: object) -> _T:
        try:
            return work(*arguments)
        except OSError as error:
            refusal = BucketDenied if error.errno in _DENIED else BucketsUnavailable
            raise refusal(f"{self._root}: {error.strerror}") from error

    def _close(self) -> None:
        self._threads.shutdown()
        self._leave_desk()

    def _leave_desk(self) -> None:
        if self._desk is not None:
            shutil.rmtree(self._desk, ignore_errors=True)
            os.close(self._desk_lock)
            self._desk = None

    def _publish(self, part: Part, bucket: str, key: str, body: Body) -> None:
        for piece in merged(body):
            part.write(piece)
        part.finish(b"")
        with self._naming:
            target = self._path(bucket, key)
            self._make(target.parent)
            part.path.replace(target)
        self._settle(target.parent)

    def _new_part(self) -> Part:
        with self._naming:
            if self._desk is None or not self._desk.is_dir():  # a user may have removed everything
                self._leave_desk()
                self._desk = self._take_desk()
            return Part(self._desk / str(next(self._numbers)))

    def _take_desk(self) -> Path:
        """A new folder in `.partial`, locked; those of processes that have ended are removed."""
        desks = self._root / PARTIAL
        desks.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(self._root.parent)
        taking = _lock(desks, LOCK_EX)
        try:
            for desk in desks.iterdir():
                with suppress(OSError):  # somebody has it
                    lock = _lock(desk, LOCK_EX | LOCK_NB)
                    shutil.rmtree(desk, ignore_errors=True)
                    os.close(lock)
            own = Path(tempfile.mkdtemp(dir=desks))
            self._desk_lock = _lock(own, LOCK_EX)
        finally:
            os.close(taking)
        return own

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it."""
        absent = list(takewhile(lambda each: not each.is_dir(), (folder, *folder.parents)))
        for each in reversed(absent):
            each.mkdir(mode=0o700)
            self._settled.discard(each)

    def _settle(self, folder: Path) -> None:
        """Make the names in a folder durable, and the folder's own."""
        sync_folder(folder)
        if len(self._settled) > SETTLED_FOLDERS_MAX:
            self._settled.clear()
        new = []
        while folder != self._root and folder not in self._settled:
            sync_folder(folder.parent)
            new.append(folder)
            folder = folder.parent
        self._settled.update(new)

    def _path(self, bucket: str, key: str) -> Path:
        """Where an object is, or would be put."""
        path = self._root / bucket
        *folders, name = chain.from_iterable(segments(key))
        for folder in folders:
            path = _either(path, folder, wants_folder=True)
        return _either(path, name, wants_folder=False)

    def _read(self, bucket: str, key: str, max_bytes: int) -> bytes:
        try:
            with self._path(bucket, key).open("rb") as file:
                size_bytes = os.fstat(file.fileno()).st_size
                if size_bytes > max_bytes:
                    raise ObjectTooLarge(f"{bucket}/{key} has {size_bytes:,} bytes; more than {max_bytes:,}")
                return file.read(max_bytes)
        except _ABSENT:
            if not (self._root / bucket).is_dir():
                raise NoSuchBucket(bucket) from None
            raise NoSuchObject(f"{bucket}/{key}") from None


def _lock(folder: Path, how: int) -> int:
    """A descriptor that holds a lock on a folder until it is closed.  Raises OSError where it cannot be had."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _either(folder: Path, name: str, *, wants_folder: bool) -> Path:
    """Which of a name and the marked one something of a kind has, or gets: the marked one where the other kind has the name."""
    beside, plain = folder / (name + BESIDE), folder / name
    if beside.is_dir() if wants_folder else beside.is_file():
        return beside
    return beside if plain.exists() and plain.is_dir() != wants_folder else plain


def _sorted_inside(folder: Path, text: str, prefix: str) -> list[_Found]:
    """What a folder holds of a prefix, last key first; a folder sorts as its objects do, with its `/`."""
    return sorted(_inside(folder, text, prefix), reverse=True)


def _inside(folder: Path, text: str, prefix: str) -> Iterator[_Found]:
    """What is in a folder whose keys begin with `text`, as far as keys with `prefix` can be in it."""
    try:
        entries = list(os.scandir(folder))
    except _ABSENT:
        return
    for entry in entries:
        if (named := read_name(entry.name)) is None:
            continue
        key, path = text + named.text, folder / entry.name
        if entry.is_dir():
            below = key if named.goes_on else key + "/"
            if below.startswith(prefix) or prefix.startswith(below):
                yield from _inside(path, below, prefix) if named.goes_on else [_Found(below, None, path)]
        elif key.startswith(prefix) and not named.goes_on and (size_bytes := _size(entry)) is not None:
            yield _Found(key, size_bytes, path)


def _size(entry: "os.DirEntry[str]") -> int | None:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # removed since
        return None
