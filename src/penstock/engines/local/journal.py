"""The journal: where every record is first made durable.

Theory.  One file is written at a time, group after group; two more lie ready, so that going on to the next costs nothing.  A full file
waits until its records are settled in segments and is then used again.  All files have one size and are really written once before
their first use, so that a commit changes no metadata of the file system.  The next file has its name long before it is needed: a folder
takes the disk several times as long as a commit.
Rules of this file:
  1. One caller at a time writes: `reserve`, then `commit` of what was reserved.
  2. A failed commit ends the journal: nobody knows what the file holds, and nothing is written to it again.
  3. A file is used again only when nobody reads it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from penstock.core.ports import Disk, File
from penstock.engines.local import frame
from penstock.engines.local.frame import SECTOR_BYTES, Kind

FOLDER: Final = "journal"
SPARES: Final = 2
_SPARE_PREFIX: Final = "spare-"


class JournalFile:
    """One file of the journal."""

    __slots__ = ("closed", "end", "file", "file_no", "path", "pins", "retired")

    def __init__(self, file_no: int, path: str, file: File, end: int) -> None:
        self.file_no = file_no
        self.path = path
        self.file = file
        self.end = end  # where the next group goes
        self.pins = 0  # readers at work
        self.retired = False  # settled: to be closed by its last reader
        self.closed = False

    async def read_frame(self, body_at: int, length: int) -> bytes | None:
        """The body of a frame, or None if it is not what was written."""
        self.pins += 1
        try:
            content = await self.file.read(body_at - frame.HEADER_BYTES, frame.HEADER_BYTES + length)
        finally:
            self.pins -= 1
            await self.let_go()
        found = frame.frame_at(content, 0, self.file_no)
        return content[frame.HEADER_BYTES :] if found is not None and found.length == length else None

    async def let_go(self) -> None:
        """Close the file, once, if it is settled and nobody reads it."""
        if self.retired and not self.pins and not self.closed:
            self.closed = True
            await self.file.close()


def path_of(file_no: int) -> str:
    """Where a journal file lies."""
    return f"{FOLDER}/{file_no:016d}"


class _Spare(NamedTuple):
    """A file that is ready to be used."""

    path: str
    file: File


class _Named(NamedTuple):
    """A file with a fresh number, whose name is durable and whose header is not written."""

    file_no: int
    path: str
    file: File


class Journal:
    """The files of the journal."""

    def __init__(self, disk: Disk, data_id: str, file_bytes: int, next_file_no: int, last_group: int) -> None:
        assert file_bytes % SECTOR_BYTES == 0
        self._disk = disk
        self._data_id = data_id
        self._file_bytes = file_bytes
        self._next_file_no = next_file_no
        self._spares: list[_Spare] = []
        self._spare_count = 0
        self._making = asyncio.Lock()
        self._naming = asyncio.Lock()
        self._next: _Named | None = None
        self._next_wanted = asyncio.Event()
        self._failure: OSError | None = None  # of a folder: what it holds is not known any more
        self._current: JournalFile | None = None
        self.group = last_group
        self.full: list[JournalFile] = []  # to be settled, oldest first

    @property
    def largest_group_bytes(self) -> int:
        """What one group may hold."""
        return self._file_bytes - SECTOR_BYTES

    @property
    def used_bytes(self) -> int:
        """What the journal's files take."""
        used = len(self._spares) + len(self.full) + (self._next is not None) + (self._current is not None)
        return self._file_bytes * used

    async def reserve(self, size_bytes: int) -> JournalFile:
        """The file that the next group of `size_bytes`, padding included, goes to.  Raises DiskFull."""
        assert size_bytes <= self.largest_group_bytes
        if self._current is not None and self._current.end + size_bytes > self._file_bytes:
            taken = await self._take_file()
            self.full.append(self._current)
            self._current = taken
        if self._current is None:
            self._current = await self._take_file()
        return self._current

    async def commit(self, file: JournalFile, group: Sequence[bytes]) -> int:
        """Write the group after `group`, durably; answer where it begins in the file."""
        assert file is self._current
        at = file.end
        await file.file.commit(at, *group)
        file.end += sum(map(len, group))
        self.group += 1
        return at

    async def prepare(self) -> None:
        """Make files ready ahead of need.  Raises DiskFull."""
        while self._ready < SPARES:
            async with self._making:  # each by itself: who waits for the first does not wait for the second
                if self._ready < SPARES:
                    await self._make_spare()

    @property
    def _ready(self) -> int:
        return len(self._spares) + (self._next is not None)

    async def run(self) -> None:
        """Have the next file named as soon as one is taken, for ever."""
        while True:
            await self._next_wanted.wait()
            self._next_wanted.clear()
            with suppress(OSError):  # who takes the file tries again, and tells
                await self._name_next()

    async def recycle(self, settled: JournalFile) -> None:
        """Give up a file whose records are settled: it becomes a spare, or is deleted if it is being read or not needed."""
        assert settled is self.full[0]
        self.full.pop(0)
        settled.retired = True
        try:
            if settled.pins or self._ready >= SPARES or settled.file.size_bytes != self._file_bytes:
                await self._disk.remove(settled.path)
            else:
                await self.adopt(settled.path)
        finally:
            await settled.let_go()

    async def adopt_found(self, paths: Sequence[str]) -> None:
        """Take the files that recovery found as spares.  None is given a name that one of them has."""
        numbers = [int(number) for path in paths if (number := path.rpartition(_SPARE_PREFIX)[2]).isdecimal()]
        self._spare_count = max(numbers, default=0)
        for path in paths:
            await self.adopt(path)

    async def adopt(self, path: str) -> None:
        """Take a file of the right size as a spare."""
        self._spare_count += 1
        spare = f"{FOLDER}/{_SPARE_PREFIX}{self._spare_count:06d}"
        await self._disk.rename(path, spare)
        self._spares.append(_Spare(spare, await self._disk.open(spare)))

    async def close(self) -> None:
        """Close every file."""
        written = [*self.full, *([self._current] if self._current is not None else [])]
        files = [*(held.file for held in written), *(spare.file for spare in self._spares)]
        for file in [*files, *([self._next.file] if self._next is not None else [])]:
            await file.close()

    async def _make_spare(self) -> None:
        made = f"{FOLDER}/making"
        file = await self._disk.create(made, self._file_bytes)
        try:
            await file.sync()
        finally:
            await file.close()
        await self.adopt(made)

    async def _take_file(self) -> JournalFile:
        """The next file.  Its name and its header are durable before it is used; a name without the header is a spare's."""
        await self._name_next()
        assert self._next is not None
        [file_no, path, file], self._next = self._next, None
        header = frame.encode(Kind.HEADER, file_no, self.group, [self._data_id.encode()])
        try:
            await file.commit(0, *frame.group([header]))
        except OSError:
            await file.close()
            raise
        self._next_wanted.set()  # not before: only the last file may be without a header
        return JournalFile(file_no, path, file, SECTOR_BYTES)

    async def _name_next(self) -> None:
        """Give a spare the name of the next file, if none has it."""
        async with self._naming:
            if self._failure is not None:
                raise self._failure
            if self._next is not None:
                return
            if not self._spares:
                async with self._making:  # `prepare` may be at it
                    if not self._spares:
                        await self._make_spare()
            path = path_of(self._next_file_no)
            spare = self._spares[0]  # where it stays until its name is durable: `close` may come in between
            await self._disk.rename(spare.path, path)
            try:
                await self._disk.sync_folder(FOLDER)
            except OSError as error:
                self._failure = error
                raise
            self._next = _Named(self._next_file_no, path, spare.file)
            self._next_file_no += 1
            self._spares.pop(0)
