"""The files of one directory, as the operating system has them.

Rules of this file:
  1. Only regular files are opened, and never so that a pipe could hold anybody up.
  2. Its functions block, as long as the file system does; a thread of the flow's own calls them.
"""

import logging
import os
import stat
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from penstock.agent.pattern import FilePattern
from penstock.agent.tracking import FileKey, Seen

logger = logging.getLogger(__name__)

_MILLISECOND_NS: Final = 1_000_000


def stamp(directory: str) -> int:
    """A number that changes when names come or go in a directory; 0 while there is none."""
    try:
        return os.stat(directory).st_mtime_ns  # noqa: PTH116
    except OSError:
        return 0


def look(pattern: FilePattern, followed: Collection[FileKey]) -> list[Seen]:
    """The files that the pattern covers, and those that are followed, under whatever name.  Raises OSError for the directory."""
    inodes = {key.inode for key in followed}
    seen: dict[FileKey, Seen] = {}
    with os.scandir(pattern.directory) as entries:
        for entry in entries:
            covered = pattern.covers(entry.name)
            if covered or entry.inode() in inodes:
                found = _examine(entry, covered=covered)
                if found is not None and (covered or found.key in followed):
                    known = seen.get(found.key)
                    seen[found.key] = (
                        known if known is not None and known.covered else found
                    )  # of two links, the covered
    return list(seen.values())


def _examine(entry: "os.DirEntry[str]", *, covered: bool) -> Seen | None:
    try:
        facts = entry.stat()
    except OSError:  # gone meanwhile, or a link to nothing
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    key = FileKey(facts.st_dev, facts.st_ino)
    return Seen(entry.name, key, facts.st_size, facts.st_mtime_ns // _MILLISECOND_NS, covered)


def open_file(directory: str, name: str, key: FileKey) -> int | None:
    """A descriptor of a file, or None if the name is another file's by now.  Raises OSError."""
    descriptor = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    facts = os.fstat(descriptor)
    if (facts.st_dev, facts.st_ino) != key or not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        return None
    return descriptor


class Probe(NamedTuple):
    """An open file, and what is known of it."""

    key: FileKey
    descriptor: int
    position: int
    mark_bytes: int
    modified_ms: int


class Moved(NamedTuple):
    """A file of which something else is known now."""

    size: int
    modified_ms: int
    before: bytes  # what stands before the position


def poll(probes: Sequence[Probe]) -> dict[FileKey, Moved]:
    """Those of the open files that may have changed; a file that cannot be asked has not."""
    found: dict[FileKey, Moved] = {}
    for probe in probes:
        try:
            facts = os.fstat(probe.descriptor)
            modified_ms = facts.st_mtime_ns // _MILLISECOND_NS
            if facts.st_size != probe.position or modified_ms != probe.modified_ms:
                before = os.pread(probe.descriptor, probe.mark_bytes, probe.position - probe.mark_bytes)
                found[probe.key] = Moved(facts.st_size, modified_ms, before)
        except OSError as error:
            logger.debug("%s", error)
    return found


def mark(descriptor: int, offset: int, mark_bytes: int) -> bytes:
    """What stands before an offset."""
    begin = max(0, offset - mark_bytes)
    return os.pread(descriptor, offset - begin, begin)


def last_line_end(descriptor: int, size: int, within_bytes: int) -> int:
    """The offset behind the last line end; `size` itself where there is none within so many bytes."""
    begin = max(0, size - within_bytes)
    found = os.pread(descriptor, size - begin, begin).rfind(b"\n")
    return begin + found + 1 if found >= 0 else 0 if begin == 0 else size
