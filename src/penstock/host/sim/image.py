"""What lies on a simulated disk: what is durable, and what only the page cache knows.

Theory.  A file has one live content, which everybody reads, and for each sector that was written since the last sync what the medium still
holds there.  A machine that crashes keeps the old or the new content of each such sector, each on its own: writes are lost, torn and
reordered.  A sync that fails may leave sectors that look clean and are not on the medium (what Linux does); they are lost by the next
crash unless they are written again.  Names work alike: a folder's changes are kept or lost until it is synced.
Rules of this file: no time, no waiting; a crash draws from the seed in an order that does not depend on hashes.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from penstock.host.sim.chance import Chance

KEPT_SHARES: Final = (0.0, 0.1, 0.5, 0.9, 1.0)  # of unsynced sectors; a crash draws one


class Inode:
    """A file's content."""

    __slots__ = ("_sector_bytes", "dirty", "durable_bytes", "live", "stranded")

    def __init__(self, sector_bytes: int) -> None:
        self._sector_bytes = sector_bytes
        self.live = bytearray()
        self.durable_bytes = 0  # its length on the medium
        self.dirty: dict[int, bytes] = {}  # what the medium holds of sectors that await a sync
        self.stranded: dict[int, bytes] = {}  # likewise, of sectors that a failed sync left looking clean

    def write(self, at: int, data: bytes) -> None:
        """Change the live content; it grows with zeros."""
        if at > len(self.live):
            self.write(len(self.live), bytes(at - len(self.live)))
        self._touch(at, at + len(data))
        self.live[at : at + len(data)] = data

    def truncate(self) -> None:
        """Empty it."""
        self._touch(0, len(self.live))
        self.live.clear()

    def sync(self) -> None:
        """Make it durable, but for what an earlier sync stranded."""
        self.dirty.clear()
        self.durable_bytes = len(self.live)

    def fail_sync(self, random: Chance) -> None:
        """What a sync that fails leaves: all dirty still, or nothing durable that looks clean, or the old content back."""
        fate = random.randrange(3)
        if fate == 0:
            return
        for sector, held in self.dirty.items():
            if fate == 1:
                self.stranded[sector] = held
            else:
                self._restore(sector, held)
        self.dirty.clear()

    def crash(self, random: Chance) -> None:
        """Keep what a machine that lost its power may find."""
        share = random.choice(KEPT_SHARES)
        size_bytes = random.choice((len(self.live), self.durable_bytes))
        self._resize(max(len(self.live), self.durable_bytes))
        for sector, held in self.dirty.items():
            if random.random() >= share:
                self._restore(sector, held)
        for sector, held in self.stranded.items():
            self._restore(sector, held)
        self._resize(size_bytes)
        self.dirty.clear()
        self.stranded.clear()
        self.durable_bytes = size_bytes

    def _touch(self, start: int, end: int) -> None:
        size = self._sector_bytes
        for sector in range(start // size, -(-end // size)):
            if sector not in self.dirty:
                stranded = self.stranded.pop(sector, None)
                held = bytes(self.live[sector * size : (sector + 1) * size]) if stranded is None else stranded
                self.dirty[sector] = held

    def _restore(self, sector: int, held: bytes) -> None:
        at = sector * self._sector_bytes
        room = max(0, min(self._sector_bytes, len(self.live) - at))
        self.live[at : at + room] = held[:room].ljust(room, b"\0")

    def _resize(self, size_bytes: int) -> None:
        del self.live[size_bytes:]
        self.live.extend(bytes(size_bytes - len(self.live)))


class _Change(NamedTuple):
    """One change of a folder: `gone` no longer names the inode, and `named` does."""

    inode: Inode
    gone: str | None
    named: str | None


class Image:
    """The files of a disk."""

    def __init__(self, sector_bytes: int) -> None:
        self._sector_bytes = sector_bytes
        self._named: dict[str, Inode] = {}
        self._durable: dict[str, Inode] = {}
        self._folders: dict[str, None] = {"": None}
        self._pending: dict[str, list[_Change]] = {}

    @property
    def used_bytes(self) -> int:
        """What all files take."""
        return sum(len(inode.live) for inode in self._named.values())

    def files(self) -> Iterator[str]:
        """Every file's path."""
        return iter(sorted(self._named))

    def find(self, path: str) -> Inode:
        """A file.  Raises FileNotFoundError."""
        found = self._named.get(path)
        if found is None:
            raise FileNotFoundError(path)
        return found

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._named

    def create(self, path: str) -> Inode:
        """A new empty file, or an emptied one."""
        if _folder(path) not in self._folders:
            raise FileNotFoundError(_folder(path))
        found = self._named.get(path)
        if found is not None:
            found.truncate()
            return found
        made = self._named[path] = Inode(self._sector_bytes)
        self._change(_folder(path), _Change(made, None, path))
        return made

    def names(self, folder: str) -> list[str]:
        """What a folder holds, sorted."""
        above = folder + "/" if folder else ""
        held = [*self._named, *self._folders]
        return sorted(
            {path[len(above) :].partition("/")[0] for path in held if path.startswith(above) and path != above}
        )

    def make_folder(self, path: str) -> None:
        """A folder and those above it, durable at once."""
        while path:
            self._folders[path] = None
            path = _folder(path)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name.  Raises FileNotFoundError."""
        inode = self.find(old)
        del self._named[old]
        self._named[new] = inode
        if _folder(old) == _folder(new):
            self._change(_folder(old), _Change(inode, old, new))
        else:
            self._change(_folder(new), _Change(inode, None, new))
            self._change(_folder(old), _Change(inode, old, None))

    def remove(self, path: str) -> None:
        """Delete a file or an empty folder, if it is there."""
        inode = self._named.pop(path, None)
        if inode is not None:
            self._change(_folder(path), _Change(inode, path, None))
        elif path in self._folders:
            if self.names(path):
                raise OSError(f"{path} is not empty")
            del self._folders[path]

    def sync_folder(self, path: str) -> None:
        """Make a folder's changes durable."""
        if path not in self._folders:
            raise FileNotFoundError(path)
        for change in self._pending.pop(path, ()):
            self._apply(change)

    def crash(self, random: Chance) -> None:
        """Become what a machine that lost its power may find."""
        for path, changes in self._pending.items():
            kept = random.randrange(len(changes) + 1)
            in_order = random.random() < 0.5  # a journaling file system; else each file's changes on their own
            lost: list[Inode] = []
            for number, change in enumerate(changes):
                keep = number < kept if in_order else change.inode not in lost and random.random() < 0.5
                if not keep:
                    lost.append(change.inode)
                elif path in self._folders:
                    self._apply(change)
        self._pending.clear()
        self._named = dict(self._durable)
        for inode in dict.fromkeys(self._named.values()):
            inode.crash(random)

    def _change(self, folder: str, change: _Change) -> None:
        self._pending.setdefault(folder, []).append(change)

    def _apply(self, change: _Change) -> None:
        if change.gone is not None and self._durable.get(change.gone) is change.inode:
            del self._durable[change.gone]
        if change.named is not None:
            self._durable[change.named] = change.inode


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
