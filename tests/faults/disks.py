"""The real disk, watched or hindered."""

from collections.abc import Awaitable, Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from penstock.core.ports import DiskFull
from penstock.engines.local import journal, settler
from penstock.host.disk import SystemDisk, SystemFile


class SettlingLater(SystemDisk):
    """A disk on which no segment can be made: what the journal holds stays there."""

    async def store(self, path: str, *parts: Iterable[bytes]) -> None:
        if path.startswith(settler.FOLDER):
            raise DiskFull("no segment now")
        await super().store(path, *parts)


class Counted(SystemDisk):
    """A disk of so many bytes, of which others have taken some."""

    def __init__(self, root: Path, size_bytes: int) -> None:
        super().__init__(root)
        self._folder = root
        self._size_bytes = size_bytes
        self.taken_bytes = 0

    async def create(self, path: str, size_bytes: int = 0) -> SystemFile:
        self._check(size_bytes)
        file = await super().create(path, size_bytes)
        write, commit = file.write, file.commit

        async def counted_write(offset: int, *pieces: bytes) -> None:
            self._check(sum(map(len, pieces)))
            await write(offset, *pieces)

        async def counted_commit(offset: int, *pieces: bytes) -> None:
            self._check(sum(map(len, pieces)))
            await commit(offset, *pieces)

        file.write, file.commit = counted_write, counted_commit  # type: ignore[method-assign]
        return file

    async def store(self, path: str, *parts: Iterable[bytes]) -> None:
        held = list(chain.from_iterable(parts))
        self._check(sum(map(len, held)))
        await super().store(path, held)

    def _check(self, more_bytes: int) -> None:
        used = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        if used + self.taken_bytes + more_bytes > self._size_bytes:
            raise DiskFull("no space is left")


class Commit(NamedTuple):
    """One call of `commit`, on the test's own count of events."""

    began: int
    ended: int
    data: bytes


class Recorder(SystemDisk):
    """A disk that remembers when each commit of the journal began and ended."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.events = 0
        self.commits: list[Commit] = []

    def event(self) -> int:
        """The next moment."""
        self.events += 1
        return self.events

    async def open(self, path: str) -> SystemFile:
        file = await super().open(path)
        if path.startswith(journal.FOLDER):
            file.commit = self._recording(file.commit)  # type: ignore[method-assign, assignment]
        return file

    def _recording(self, commit: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def recorded(offset: int, *pieces: bytes) -> None:
            began = self.event()
            await commit(offset, *pieces)
            self.commits.append(Commit(began, self.event(), b"".join(pieces)))

        return recorded
