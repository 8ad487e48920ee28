"""A data directory as the tools see it: opened for reading only, whether a server is using it or not.

Theory.  A running server replaces manifests, appends to its last journal file, uses settled ones again under a new number, and deletes
segments that nothing needs.  Each reader here says which of that it withstands; what it cannot is told by None or FileNotFoundError,
and the caller begins again with the newest manifest.
Rule of this file: nothing in a data directory is written, created or locked (but for the moment in which `in_use` looks).
"""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from penstock.engines.local import frame, journal, manifest, settler
from penstock.engines.local.columns import Damaged
from penstock.engines.local.frame import SECTOR_BYTES, Kind
from penstock.engines.local.manifest import Manifest
from penstock.storage.finding import Finding

META_FILE: Final = "meta.sqlite"
LOCK_FILE: Final = "lock"
PIECE_BYTES: Final = 1 << 20
TRIES: Final = 10  # to read what a running server keeps replacing

Advance = Callable[[int], None]  # told how many bytes were read


class NoDataDirectory(Exception):
    """There is nothing that a tool could work on; one line says why."""


class NeverBegun(NoDataDirectory):
    """A directory whose first start was ended before it could take anything; the next start begins it."""


class FoundManifest(NamedTuple):
    """The newest sound manifest, its bytes, and what was wrong with others."""

    manifest: Manifest
    content: bytes
    findings: list[Finding]


class ReadOnlyFile:
    """A file that is only ever read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def size_bytes(self) -> int:
        """Its length."""
        return os.fstat(self._descriptor).st_size

    @property
    def mode(self) -> int:
        """Who may do what with it."""
        return stat.S_IMODE(os.fstat(self._descriptor).st_mode)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on; fewer at the end of the file."""
        pieces: list[bytes] = []
        while length > 0 and (piece := os.pread(self._descriptor, length, offset)):
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return b"".join(pieces)


class DataDirectory:
    """The files of one engine, to be read."""

    def __init__(self, root: Path) -> None:
        """Raises NoDataDirectory."""
        self.root = root
        if not root.is_dir():
            raise NoDataDirectory(f"{root}: no such directory")
        if not (root / manifest.FOLDER).is_dir() and not (root / META_FILE).is_file():
            raise NoDataDirectory(f"{root}: not a Penstock data directory: it has no {manifest.FOLDER}/")

    def in_use(self) -> bool:
        """Whether a server has the directory: it holds the lock."""
        try:
            descriptor = os.open(self.root / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def open(self, path: str) -> Iterator[ReadOnlyFile]:
        """A file.  Raises FileNotFoundError."""
        descriptor = os.open(self.root / path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield ReadOnlyFile(descriptor)
        finally:
            os.close(descriptor)

    def names(self, folder: str) -> list[str]:
        """What a folder holds, sorted; nothing if it does not exist."""
        try:
            return sorted(os.listdir(self.root / folder))  # noqa: PTH208 (a Path each is not wanted)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def size_bytes(self, path: str) -> int:
        """A file's length; 0 if there is none."""
        try:
            return (self.root / path).stat().st_size
        except FileNotFoundError:
            return 0

    def find_manifest(self) -> FoundManifest:
        """The newest sound manifest, whatever a server publishes meanwhile.

        Raises Damaged where none is sound; NeverBegun; NewerFormat.
        """
        for _ in range(TRIES):
            try:
                return self._find_manifest()
            except FileNotFoundError:  # it was replaced since its folder was listed
                continue
        raise Damaged(f"{manifest.FOLDER}/: no manifest that can be read")

    def _find_manifest(self) -> FoundManifest:
        findings: list[Finding] = []
        sound: tuple[Manifest, bytes] | None = None
        for name in reversed(self.names(manifest.FOLDER)):
            path = f"{manifest.FOLDER}/{name}"
            if name.endswith(".new"):
                continue
            with self.open(path) as file:
                content = file.read(0, file.size_bytes)
            try:
                found = manifest.decode(content)
                if manifest.path_of(found.number) != path:
                    raise Damaged(f"a manifest that calls itself number {found.number}")
            except Damaged as error:
                findings.append(Finding(path, str(error), (0, len(content))))
                continue
            sound = sound or (found, content)
        if sound is None:
            if not findings and not self.names(journal.FOLDER) and not self.segment_paths():
                raise NeverBegun(
                    f"{self.root}: no start has come so far as to begin it: it has no manifest, journal or segment"
                )
            raise Damaged("; ".join(found.path + ": " + found.what for found in findings) or "there is no manifest")
        return FoundManifest(*sound, findings)

    def journal_numbers(self, first_file_no: int) -> list[int]:
        """The journal files that a manifest leaves to be replayed, oldest first; without one that has no more than its name yet."""
        numbers = [int(name) for name in self.names(journal.FOLDER) if name.isdecimal() and int(name) >= first_file_no]
        if numbers and self._is_only_named(numbers[-1]):
            numbers.pop()
        return numbers

    def _is_only_named(self, file_no: int) -> bool:
        try:
            with self.open(journal.path_of(file_no)) as file:
                content = file.read(0, 2 * SECTOR_BYTES)
        except FileNotFoundError:  # it was settled and given up meanwhile
            return False
        return _owner(content[:SECTOR_BYTES]) != file_no and not frame.begins(content, SECTOR_BYTES, file_no)

    def read_journal(self, file_no: int, *, live: bool) -> bytes | None:
        """A journal file as it was at one moment, or None if it was settled and given up meanwhile.

        `live`: it is the last one, and may be growing.  It is read backwards, sector by sector: whatever is seen, all that was written
        before it is seen too, so that the content ends in at most one torn group and has no hole.  The header is read last; a server
        that uses the file again overwrites it first, so a header with the old number vouches for the rest.
        """
        try:
            with self.open(journal.path_of(file_no)) as file:
                body = _read_backwards(file) if live else file.read(SECTOR_BYTES, file.size_bytes)
                header = file.read(0, SECTOR_BYTES)
        except FileNotFoundError:
            return None
        return None if _owner(header) > file_no else header + body  # a lower number: it is being taken into use itself

    def segment_paths(self) -> list[str]:
        """Every file below segments/."""
        return [
            f"{settler.FOLDER}/{stream}/{name}"
            for stream in self.names(settler.FOLDER)
            for name in self.names(f"{settler.FOLDER}/{stream}")
        ]


def _read_backwards(file: ReadOnlyFile) -> bytes:
    starts = range(SECTOR_BYTES, file.size_bytes, SECTOR_BYTES)
    return b"".join(reversed([file.read(at, SECTOR_BYTES) for at in reversed(starts)]))


def _owner(sector: bytes) -> int:
    """The number in the header of a journal file; -1 if that is damaged."""
    number = int.from_bytes(sector[16:24], "little")
    found = frame.frame_at(sector, 0, number)
    return number if found is not None and found.kind is Kind.HEADER else -1
