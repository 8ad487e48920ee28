"""The workplace: where functions' code and temporary files are, outside the data directory; and what this machine can run.

Theory.  Functions run as users who may not enter the data directory, and often not even the folders above it.  So their code lies in a
folder of its own among the system's temporary files (TMPDIR moves it), made when the first function runs and deleted with the server.
Rules of this file:
  1. What is unpacked can be read by everybody and written by nobody but us; an entry that would leave its folder is refused.
  2. A folder appears whole under its name, or not at all.
"""

import hashlib
import io
import os
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

UNZIPPED_MAX_BYTES: Final = 262_144_000  # of Lambda
ENTRIES_MAX: Final = 100_000
SCANNED_MAX: Final = 10_000  # files of a directory that are looked at for changes
_PASSED_OVER: Final = frozenset(("__pycache__", "node_modules", ".git", ".venv", "penstock-data"))
_CLIENTS: Final = ("/usr/local/lib/node_modules", "/usr/lib/node_modules", "/usr/share/nodejs")
_CLIENT: Final = "aws-lambda-ric/bin/index.mjs"


class CannotUnpack(Exception):
    """An archive that is none, or holds what is not taken."""


class Machine(NamedTuple):
    """What this machine can run, and as whom."""

    uid: int
    can_change_user: bool
    python: str
    has_python_client: bool
    node: str | None
    node_client: str | None
    paths: tuple[str, ...]  # of the interpreter and its packages, without links
    bubblewrap: str | None


def survey_machine(node_path: str = "") -> Machine:
    """Look at this machine; `node_path` as NODE_PATH has it.  Cost: 1 ms."""
    uid = os.geteuid() if hasattr(os, "geteuid") else 0
    folders = [*filter(None, node_path.split(":")), *_CLIENTS]
    client = next((path for folder in folders if (path := Path(folder, _CLIENT)).is_file()), None)
    node = shutil.which("node")
    spec = find_spec("awslambdaric")
    homes = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)}
    if spec is not None and spec.origin is not None:
        homes.add(str(Path(spec.origin).parent.parent))
    homes |= {str(Path(each).resolve()) for each in homes}
    return Machine(
        uid=uid,
        can_change_user=uid == 0 and sys.platform == "linux",
        python=sys.executable,
        has_python_client=spec is not None,
        node=node and str(Path(node).resolve()),
        node_client=str(client) if client is not None else None,
        paths=tuple(sorted(homes)),
        bubblewrap=shutil.which("bwrap"),
    )


class Workplace:
    """One server's folder."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._count = 0

    @property
    def path(self) -> str:
        """The folder, made now if it is not there."""
        if self._path is None:
            self._path = os.path.realpath(tempfile.mkdtemp(prefix="penstock-functions-"))
            Path(self._path).chmod(0o711)
            for name in ("code", "temporary"):
                Path(self._path, name).mkdir()
                Path(self._path, name).chmod(0o711)
        return self._path

    def new_temporary(self) -> str:
        """The name of a folder that does not exist yet."""
        self._count += 1
        return f"{self.path}/temporary/{self._count}"

    def unpack(self, sha256: str, archive: bytes) -> str:
        """Unpack an archive, in a thread.  Raises CannotUnpack, OSError."""
        folder = self._folder(sha256)
        new = Path(tempfile.mkdtemp(prefix="new-", dir=folder.parent))
        try:
            _unpack(archive, new)
            new.chmod(0o755)
            new.rename(folder)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            if not folder.is_dir():  # somebody else was quicker
                raise
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return str(folder)

    def delete(self, folder: str) -> None:
        """Delete what was unpacked, in a thread."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Delete it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    def _folder(self, sha256: str) -> Path:
        return Path(self.path, "code", hashlib.sha256(sha256.encode()).hexdigest()[:32])


def _unpack(archive: bytes, folder: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = opened.infolist()
            if len(entries) > ENTRIES_MAX or sum(entry.file_size for entry in entries) > UNZIPPED_MAX_BYTES:
                raise CannotUnpack(f"it is larger than {UNZIPPED_MAX_BYTES} bytes")
            for entry in sorted(entries, key=_is_link):  # links last: nothing is written through one
                _unpack_entry(opened, entry, folder)
    except (zipfile.BadZipFile, EOFError, ValueError, RuntimeError, zlib.error) as problem:
        raise CannotUnpack(str(problem)) from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as problem:
        raise CannotUnpack(f"two entries have one name: {Path(str(problem.filename)).name[:200]!r}") from None
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o755)  # whatever our umask is


def _is_link(entry: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(entry.external_attr >> 16)


def _unpack_entry(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    name = PurePosixPath(entry.filename)
    if name.is_absolute() or ".." in name.parts or "\0" in entry.filename or "\\" in entry.filename:
        raise CannotUnpack(f"{entry.filename[:200]!r} leaves the folder")
    target = folder / name
    (target if entry.is_dir() else target.parent).mkdir(parents=True, exist_ok=True)
    if _is_link(entry):
        _link(target, opened.read(entry).decode(), folder)
    elif not entry.is_dir():
        with opened.open(entry) as packed, target.open("xb") as file:
            shutil.copyfileobj(packed, file)
        target.chmod(0o755 if entry.external_attr >> 16 & 0o111 else 0o644)


def _link(target: Path, text: str, folder: Path) -> None:
    target.symlink_to(text)
    if PurePosixPath(text).is_absolute() or not Path(os.path.realpath(target)).is_relative_to(folder):
        raise CannotUnpack(f"the link {target.name[:200]!r} leaves the folder")


def is_directory(path: str) -> bool:
    """Whether a path is absolute and a directory.  Runs in a thread."""
    try:
        return Path(path).is_absolute() and Path(path).is_dir()
    except (OSError, ValueError):
        return False


def fingerprint(directory: str) -> str | None:
    """What changes when a file in a directory is changed, added or removed; None if it is no directory.  Runs in a thread."""
    seen = hashlib.blake2b(digest_size=16)
    left, folders = SCANNED_MAX, [directory]
    while folders and left > 0:
        try:
            entries = sorted(os.scandir(folders.pop()), key=lambda entry: entry.name)
        except OSError:
            if left == SCANNED_MAX:
                return None
            continue
        for entry in entries:
            left -= 1
            if entry.name in _PASSED_OVER:
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif (facts := _facts(entry)) is not None:
                seen.update(f"{entry.path}\0{facts.st_mtime_ns}\0{facts.st_size}\n".encode("utf-8", "surrogateescape"))
    return seen.hexdigest()


def _facts(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None
