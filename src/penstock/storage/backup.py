"""`penstock backup` and `penstock restore`: copy a data directory, in use or not, into another that a server could be started on.

Theory.  A backup is an ordinary data directory; `check`, `inspect` and a server take it as it is.  Most of it is immutable: segments are
copied first, as long as that takes, until the newest manifest names none that is not there.  Then, in quick succession: the metadata, the
newest manifest, what it names in addition, and the journal from its `first_file_no` on.  Nothing of the server is held up.

What holds of a complete backup:
  1. Every record, seal and trim that was acknowledged before the backup began is in it.  What was acknowledged while it ran may be.
  2. It may end in a commit that is torn; recovery cuts it, as after a crash: it was not acknowledged when it was copied.
  3. The metadata is that of one moment, and the records are of a LATER one.  Logs are made before the metadata names them, so each shard
     of the metadata has its log - unless its stream was deleted between the two moments, or a shard was sealed and not yet closed, or
     a stream was made and written to.  That is looked for, and both are taken again, up to LOOKS times.
  4. A stream that the metadata calls DELETING may lack its logs: the server ends the deletion when it starts.  Logs that no shard owns
     hold no record (a stream was just being made): the server drops them when it starts.
Buckets in the data directory, the catalog of Iceberg tables and the server's own objects come last: what the metadata calls delivered is in
the copy then, and what was delivered since is delivered again by a server that begins with it, under the same keys.
Rules of this file:
  1. Of the source nothing is changed; of the target nothing is visible under its name before all of it is durable and verified.
  2. A journal file is copied from its oldest on, since that is the next to be settled and used again.  If a server was faster, the
     newest manifest is taken, and only what is new is copied.
"""

import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO, Final

from msgspec.structs import replace

from penstock.core.lakehouse import CATALOG_FILE
from penstock.core.sizes import size_text
from penstock.engine import BUCKETS_FOLDER
from penstock.engines.api import LogId
from penstock.engines.filebuckets import PARTIAL
from penstock.engines.local import journal, manifest
from penstock.engines.local.columns import Damaged
from penstock.engines.local.manifest import Manifest, NewerFormat
from penstock.storage.check import EXIT_DAMAGED, EXIT_SOUND, EXIT_USAGE, Report, check, show, total_bytes
from penstock.storage.directory import META_FILE, PIECE_BYTES, TRIES, Advance, DataDirectory, NoDataDirectory
from penstock.storage.metadata import copy_metadata, open_private, read_copy
from penstock.storage.replay import replay
from penstock.storage.screen import Screen

PARTIAL_SUFFIX: Final = ".partial"
CATALOG_WAIT_S: Final = 30.0
LOOKS: Final = 20  # at metadata and records, while streams are made and deleted
# Folders that are copied as they are: whole files, put in place by renames
_BESIDE: Final = ("tls", "blobs/objects", BUCKETS_FOLDER)


class NotNew(Exception):
    """The target cannot be written to; one line says why."""


def copy_directory(source: DataDirectory, target: Path, advance: Advance) -> Report:
    """Copy a data directory to a place where there is none, and verify the copy; what that found.

    Raises Damaged where the source has no sound manifest, NewerFormat, TimeoutError where a server changes things faster than they can be
    copied, OSError.
    """
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}-", suffix=PARTIAL_SUFFIX, dir=target.parent))
    try:
        _Copy(source, partial, advance).run()
        report = check(DataDirectory(partial), advance)
        partial.chmod(stat.S_IMODE(source.root.stat().st_mode))
        _sync(partial)
        partial.rename(target)  # over an empty directory, or nothing
        _sync_one(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return report


class _Copy:
    """One directory on its way into another."""

    def __init__(self, source: DataDirectory, partial: Path, advance: Advance) -> None:
        self._source = source
        self._partial = partial
        self._advance = advance
        self._lost: set[str] = set()  # segments that the newest manifest names, and that are not there
        self._whole: set[int] = set()  # journal files that nothing is appended to any more, copied

    def run(self) -> None:
        """Copy everything."""
        while self._segments(self._source.find_manifest().manifest):
            pass
        self._settled_moment()
        self._catalog()  # before the tables' files, which it names
        for folder in _BESIDE:
            self._folder(folder)

    def _settled_moment(self) -> None:
        """Take metadata and records until they fit.  If they never do, that is how they are: the verification will say so."""
        for _ in range(LOOKS):
            self._moment()
            if not self._source.in_use() or self._fits():
                return

    def _moment(self) -> None:
        """Copy metadata, then manifest, new segments and journal."""
        for _ in range(TRIES):
            if not copy_metadata(self._source, self._partial / META_FILE):
                (self._partial / META_FILE).unlink(missing_ok=True)
            held = self._source.find_manifest().manifest
            self._segments(held)
            if not self._missing(held) and self._journal(held):
                self._place_manifest(held)
                return
        raise TimeoutError(
            f"{self._source.root}: changes faster than it can be copied; try again when there is less to do"
        )

    def _missing(self, held: Manifest) -> list[str]:
        paths = [row.path for row in held.segments if row.path not in self._lost]
        return [path for path in paths if not (self._partial / path).exists()]

    def _segments(self, held: Manifest) -> bool:
        """Copy the segments that are not there yet; whether there were such."""
        missing = self._missing(held)
        for path in missing:
            try:
                self._file(path)
            except FileNotFoundError:
                if any(row.path == path for row in self._source.find_manifest().manifest.segments):
                    self._lost.add(path)
        return bool(missing)

    def _journal(self, held: Manifest) -> bool:
        """Copy the journal behind a manifest; False if a file of it was settled and used again before it was copied."""
        numbers = self._source.journal_numbers(held.first_file_no)
        settled_no = (
            self._source.find_manifest().manifest.first_file_no
        )  # after the listing: what it lacks, this passes over
        if not self._whole.issuperset(range(held.first_file_no, settled_no)):
            return False
        for file_no in numbers:
            if file_no not in self._whole:
                live = file_no == numbers[-1]
                content = self._source.read_journal(file_no, live=live)
                if content is None:
                    return False
                with _written(self._partial / journal.path_of(file_no)) as target:
                    target.write(content)
                self._advance(len(content))
                if not live:
                    self._whole.add(file_no)
        return True

    def _place_manifest(self, held: Manifest) -> None:
        """Put the manifest in, and take out what it does not name."""
        shutil.rmtree(self._partial / manifest.FOLDER, ignore_errors=True)
        for number in (held.number, held.number + 1):  # twice, as the engine keeps it
            with _written(self._partial / manifest.path_of(number)) as target:
                target.write(manifest.encode(replace(held, number=number)))
        copied = DataDirectory(self._partial)
        named = {row.path for row in held.segments}
        for path in copied.segment_paths():
            if path not in named:
                (self._partial / path).unlink()
        for file_no in copied.journal_numbers(0):
            if file_no < held.first_file_no:
                (self._partial / journal.path_of(file_no)).unlink()

    def _fits(self) -> bool:
        """Whether each shard of the copied metadata has its log in the copy, sealed if it is closed, and each record has a shard."""
        copied = DataDirectory(self._partial)
        metadata = read_copy(self._partial / META_FILE)
        logs = replay(copied, copied.find_manifest().manifest, lambda _count: None).logs
        owned = all(
            name in logs and logs[name].sealed == (shard.closed_ms is not None)
            for name, shard in metadata.shards.items()
            if shard.uid in metadata.streams and metadata.streams[shard.uid].status != "DELETING"
        )
        return owned and all(LogId(log.name) in metadata.shards or log.start == log.end for log in logs.values())

    def _folder(self, name: str) -> None:
        """Copy a folder that may not be there, with all that is below it but what is being written."""
        unfinished = self._source.root / name / PARTIAL
        for path in sorted((self._source.root / name).rglob("*")):
            copied = str(path.relative_to(self._source.root))
            with suppress(FileNotFoundError):  # deleted since it was listed
                if path.is_relative_to(unfinished):
                    continue
                if path.is_file():
                    self._file(copied)
                elif path.is_dir():  # a bucket is one, whether it holds anything or not
                    (self._partial / copied).mkdir(parents=True, exist_ok=True, mode=0o700)
                    (self._partial / copied).chmod(stat.S_IMODE(path.stat().st_mode))

    def _catalog(self) -> None:
        """Copy one moment of the catalog of Iceberg tables, if there is one; who writes to it is waited for."""
        path = self._source.root / CATALOG_FILE
        if not path.is_file():
            return
        target = self._partial / CATALOG_FILE
        open_private(target).close()
        source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=CATALOG_WAIT_S)
        with closing(source) as read, closing(sqlite3.connect(target)) as written:
            read.backup(written)
        target.chmod(stat.S_IMODE(path.stat().st_mode))

    def _file(self, path: str) -> None:
        with self._source.open(path) as read, _written(self._partial / path) as target:
            os.fchmod(target.fileno(), read.mode)
            at = 0
            while piece := read.read(at, PIECE_BYTES):
                target.write(piece)
                at += len(piece)
                self._advance(len(piece))


def _written(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_private(path)


def _sync(folder: Path) -> None:
    """Make a folder and all below it durable."""
    for path in [folder, *folder.rglob("*")]:
        _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def backup(root: Path, target: Path) -> int:
    """The verb `backup`; the exit code."""
    return _run("backup", root, target, empty_is_new=False)


def restore(root: Path, target: Path) -> int:
    """The verb `restore`; the exit code."""
    return _run("restore", root, target, empty_is_new=True)


def _run(verb: str, root: Path, target: Path, *, empty_is_new: bool) -> int:
    screen = Screen()
    target = target.resolve()
    try:
        _check_target(target, empty_is_new=empty_is_new)
        source = DataDirectory(root)
        with screen.bar("Copying", 2 * total_bytes(source)) as advance:
            report = copy_directory(source, target, advance)
    except (NoDataDirectory, NotNew, Damaged, NewerFormat, TimeoutError, OSError, sqlite3.Error) as error:
        screen.complain(error)
        return EXIT_USAGE
    show(screen, report)
    taken = size_text(sum(kind.size_bytes for kind in report.kinds))
    screen.say(f"The {verb} is complete: {target}, {taken}.")
    if report.damage:
        screen.say("What is damaged in it is damaged where it came from; all the rest was copied.")
    return EXIT_DAMAGED if report.damage else EXIT_SOUND


def _check_target(target: Path, *, empty_is_new: bool) -> None:
    if not target.parent.is_dir():
        raise NotNew(f"{target.parent}: no such directory")
    if target.exists() and not (empty_is_new and target.is_dir() and not any(target.iterdir())):
        wanted = "must be a new or empty directory" if empty_is_new else "exists already"
        raise NotNew(f"{target}: {wanted}")
