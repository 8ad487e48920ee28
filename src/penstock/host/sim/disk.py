"""A disk on virtual time that forgets what was not synced, fails when it is told to, and can be full.

Theory.  A SimDisk is one machine's (or one process's) view of an Image.  Each operation takes drawn time and so lets others run.  A crash
comes out of an operation as Crashed, before or after its effect; from then on the view is dead, and whoever opens the image anew opens
another.  A misuse that a real disk might answer with another file's bytes - closing twice, reading what was closed - is noted, and fails
the simulation.
"""

import asyncio
import errno
from collections.abc import Callable, Iterable
from enum import StrEnum
from itertools import chain, islice
from typing import Final

from penstock.core.ports import DiskFull, FileReader
from penstock.host.sim.chance import Chance
from penstock.host.sim.image import Image, Inode

PACES: Final = (0.1, 1.0, 1.0, 1.0, 10.0)  # how slow one kind of operation is in one world; drawn
READ_PIECE_BYTES: Final = 1 << 16
STORE_PIECES: Final = 64  # that `store` asks for at a time


class Kind(StrEnum):
    """Kinds of operations, as faults and paces name them."""

    READ = "read"
    WRITE = "write"
    SYNC = "sync"
    FOLDER = "folder"  # create, open, names, rename, remove, sync of a folder
    CLOSE = "close"


class Crashed(BaseException):
    """The machine is gone.  Not an Exception: nobody may handle it."""


class Faults:
    """What goes wrong, and when."""

    def __init__(self) -> None:
        self.quota_bytes: int | None = None  # more is DiskFull
        self.injected: list[str] = []  # what went wrong
        self.misuse: list[str] = []  # what no program may do
        self._failing: dict[Kind, int] = {}  # the n-th operation of a kind from now on fails

    def fail(self, kind: Kind, nth: int) -> None:
        """Let the n-th operation of a kind from now on end in EIO."""
        assert nth >= 1
        self._failing[kind] = nth

    def clear(self) -> None:
        """From now on all is well."""
        self.quota_bytes = None
        self._failing.clear()

    def due(self, kind: Kind, path: str) -> bool:
        """Count an operation; whether it fails."""
        left = self._failing.get(kind)
        if left is None:
            return False
        if left > 1:
            self._failing[kind] = left - 1
            return False
        del self._failing[kind]
        self.injected.append(f"EIO: {kind} {path}")
        return True


class SimDisk:
    """Files of an image."""

    def __init__(self, image: Image, random: Chance, trace: Callable[[str], None] | None = None) -> None:
        self.image = image
        self.faults = Faults()
        self.operations = 0
        self.open_files = 0
        self.dead = False
        self.on_crash: Callable[[], None] | None = None
        self.random = random
        self._crash_in: int | None = None
        self._crash_kind: Kind | None = None
        self._trace = trace
        self._pace = {kind: random.choice(PACES) for kind in Kind}

    def crash_in(self, points: int, kind: Kind | None = None) -> None:
        """Crash at the n-th point from now on, of one kind or any; an operation has one before it and one before its effect."""
        assert points >= 1
        self._crash_in, self._crash_kind = points, kind

    def crash_now(self) -> None:
        """The machine, or the process, is gone."""
        self.dead = True
        if self.on_crash is not None:
            self.on_crash()

    async def create(self, path: str, size_bytes: int = 0) -> "SimFile":
        """A new file of zeros, or an emptied one."""
        await self.turn(Kind.FOLDER, f"create {path} {size_bytes}")
        self.check(Kind.FOLDER, path)
        fresh = not self.image.has(path)
        inode = self.image.create(path)
        try:
            self.take_room(size_bytes)
            await self.turn(Kind.WRITE, f"fill {path}")
            self.check(Kind.WRITE, path)
            inode.write(0, bytes(size_bytes))
        except OSError:
            if fresh:
                self.image.remove(path)
            raise
        return SimFile(self, inode, path)

    async def store(self, path: str, *parts: Iterable[bytes]) -> None:
        """A file of the pieces of these parts, durable; a process that dies meanwhile leaves a part of it."""
        file = await self.create(path)
        rest, at = chain.from_iterable(parts), 0
        try:
            while data := b"".join(islice(rest, STORE_PIECES)):
                half = len(data) // 2
                await file.write(at, data[:half])
                await file.write(at + half, data[half:])
                at += len(data)
            await file.sync()
        finally:
            await file.close()

    async def open(self, path: str) -> "SimFile":
        """A file that exists."""
        await self.turn(Kind.FOLDER, f"open {path}")
        self.check(Kind.FOLDER, path)
        return SimFile(self, self.image.find(path), path)

    async def names(self, folder: str) -> list[str]:
        """What a folder holds, sorted."""
        await self.turn(Kind.FOLDER, f"names {folder}")
        self.check(Kind.FOLDER, folder)
        return self.image.names(folder)

    async def make_folder(self, path: str) -> None:
        """A folder and those above it, durably."""
        await self.turn(Kind.FOLDER, f"make_folder {path}")
        self.check(Kind.FOLDER, path)
        self.image.make_folder(path)

    async def rename(self, old: str, new: str) -> None:
        """Give a file another name."""
        await self.turn(Kind.FOLDER, f"rename {old} {new}")
        self.check(Kind.FOLDER, old)
        self.image.rename(old, new)

    async def remove(self, path: str) -> None:
        """Delete a file or an empty folder."""
        await self.turn(Kind.FOLDER, f"remove {path}")
        self.check(Kind.FOLDER, path)
        self.image.remove(path)

    async def sync_folder(self, path: str) -> None:
        """Make a folder's changes durable."""
        await self.turn(Kind.FOLDER, f"sync_folder {path}")
        self.check(Kind.FOLDER, path)
        self.image.sync_folder(path)
        await self.turn(Kind.FOLDER, f"synced {path}")

    async def free_bytes(self) -> int:
        """What the quota leaves."""
        await self.turn(Kind.FOLDER, "free_bytes")
        quota = self.faults.quota_bytes
        return 1 << 40 if quota is None else max(0, quota - self.image.used_bytes)

    # What SimFile shares.

    async def turn(self, kind: Kind, what: str) -> None:
        """Take the time of one operation."""
        self._point(kind)
        self.operations += 1
        if self._trace is not None:
            self._trace(what)
        await asyncio.sleep(self._latency_s() * self._pace[kind])
        self._point(kind)

    def check(self, kind: Kind, path: str) -> None:
        """Raise EIO if this operation is the one that fails."""
        if self.faults.due(kind, path):
            if self._trace is not None:
                self._trace(f"EIO at {kind} {path}")
            raise OSError(errno.EIO, f"simulated: {kind} {path}")

    def room(self) -> int | None:
        """Bytes that may still be taken."""
        return None if self.faults.quota_bytes is None else max(0, self.faults.quota_bytes - self.image.used_bytes)

    def take_room(self, size_bytes: int) -> None:
        """Raise DiskFull if there is not as much."""
        room = self.room()
        if room is not None and size_bytes > room:
            self.faults.injected.append(f"ENOSPC: {size_bytes} bytes, {room} left")
            raise DiskFull(errno.ENOSPC, "simulated: no space is left")

    def _point(self, kind: Kind) -> None:
        if self.dead:
            raise Crashed
        if self._crash_in is None or self._crash_kind not in (None, kind):
            return
        self._crash_in -= 1
        if self._crash_in == 0:
            self.crash_now()
            raise Crashed

    def _latency_s(self) -> float:
        """Mostly tens of microseconds, at times milliseconds, seldom a stall."""
        luck = self.random.random()
        if luck < 0.8:
            return luck * 200e-6
        return (luck - 0.8) * 20e-3 if luck < 0.98 else (luck - 0.98) * 2.0


class SimFile:
    """One open file."""

    def __init__(self, disk: SimDisk, inode: Inode, path: str) -> None:
        self._disk = disk
        self._inode = inode
        self.path = path
        self._closed = False
        disk.open_files += 1

    @property
    def size_bytes(self) -> int:
        """Its length."""
        self._check_open("size of")
        return len(self._inode.live)

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on."""
        await self._turn(Kind.READ, "read", offset, length)
        if length > READ_PIECE_BYTES:  # what is written meanwhile may be seen in part
            half = length // 2
            return self._read_piece(offset, half) + await self.read(offset + half, length - half)
        return self._read_piece(offset, length)

    async def feed(self, length: int, reader: FileReader) -> None:
        """Have `reader` take the first `length` bytes, in pieces of drawn lengths."""
        offset = 0
        while offset < length:
            piece = await self.read(offset, self._disk.random.randrange(1, length - offset + 1))
            if not piece:
                break
            reader.take(piece)
            offset += len(piece)

    async def write(self, offset: int, *pieces: bytes) -> None:
        """Write bytes; not durable yet."""
        data = b"".join(pieces)
        await self._turn(Kind.WRITE, "write", offset, len(data))
        self._write_now(offset, data)

    async def sync(self) -> None:
        """Make all that was written durable."""
        await self._turn(Kind.SYNC, "sync", 0, len(self._inode.live))
        try:
            self._disk.check(Kind.SYNC, self.path)
        except OSError:
            self._inode.fail_sync(self._disk.random)
            raise
        self._inode.sync()
        await self._turn(Kind.CLOSE, "synced", 0, 0)

    async def commit(self, offset: int, *pieces: bytes) -> None:
        """Write bytes and make them durable."""
        await self.write(offset, *pieces)
        await self.sync()

    async def close(self) -> None:
        """Let go of it."""
        if self._disk.dead:
            return
        self._check_open("close")
        self._closed = True
        self._disk.open_files -= 1
        await self._disk.turn(Kind.CLOSE, f"close {self.path}")

    async def _turn(self, kind: Kind, what: str, offset: int, length: int) -> None:
        self._check_open(what)
        await self._disk.turn(kind, f"{what} {self.path} {offset} {length}")
        self._check_open(f"{what} under way on")

    def _read_piece(self, offset: int, length: int) -> bytes:
        self._check_open("read")
        self._disk.check(Kind.READ, self.path)
        return bytes(self._inode.live[offset : offset + length])

    def _write_now(self, offset: int, data: bytes) -> None:
        """All of it; or, where the disk fails or is full, perhaps a part."""
        disk, random = self._disk, self._disk.random
        growth = offset + len(data) - len(self._inode.live)
        try:
            disk.check(Kind.WRITE, self.path)
            disk.take_room(max(0, growth))
        except DiskFull:
            self._inode.write(offset, data[: max(0, len(data) - growth + (disk.room() or 0))])
            raise
        except OSError:
            self._inode.write(offset, data[: random.randrange(len(data) + 1)])
            raise
        self._inode.write(offset, data)

    def _check_open(self, what: str) -> None:
        if self._closed and not self._disk.dead:
            self._disk.faults.misuse.append(f"{what} {self.path} after it was closed")
            raise OSError(errno.EBADF, f"simulated: {what} {self.path} after it was closed")
