"""Planted bugs: each takes one promise out of the engine or from under it, and the simulation must notice.

Rules of this file: the product has no flag for any of them; a plant patches a class or a function and puts it back.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from penstock.engines.local import committer, frame, recovery, settler
from penstock.engines.local.journal import Journal, JournalFile
from penstock.engines.local.scatter import Scatter
from penstock.host.sim.disk import SimDisk, SimFile


@contextmanager
def nothing() -> Iterator[None]:
    """The engine as it is."""
    yield


@contextmanager
def acknowledged_before_the_sync() -> Iterator[None]:
    """A commit is a write."""

    async def commit(journal: Journal, file: JournalFile, group: Sequence[bytes]) -> int:
        at = file.end
        await file.file.write(at, *group)
        file.end += sum(map(len, group))
        journal.group += 1
        return at

    with patch.object(Journal, "commit", commit):
        yield


@contextmanager
def _sync_forgotten(folder: str) -> Iterator[None]:
    sound = SimFile.sync

    async def sync(file: SimFile) -> None:
        if not file.path.startswith(folder):
            await sound(file)

    with patch.object(SimFile, "sync", sync):
        yield


@contextmanager
def segments_not_synced() -> Iterator[None]:
    """The journal file is used again before its records are durable in segments."""
    with _sync_forgotten("segments/"):
        yield


@contextmanager
def manifests_not_synced() -> Iterator[None]:
    """A manifest is renamed into place before its content is durable."""
    with _sync_forgotten("manifest/"):
        yield


@contextmanager
def replay_with_gaps() -> Iterator[None]:
    """Recovery leaves out one RECORDS frame in eight."""
    sound = recovery._replay_records

    def replay(found: Any, file: Any, entry: frame.Frame, body: bytes) -> None:
        if zlib.crc32(body) % 8:
            sound(found, file, entry, body)

    with patch.object(recovery, "_replay_records", replay):
        yield


@contextmanager
def seen_before_it_is_durable() -> Iterator[None]:
    """The readers' high-water mark moves before the commit."""
    sound_write, sound_apply = committer.Committer._write, committer.Committer._apply

    async def write(self: Any, file: Any, frames: Any, entries: Any) -> bool:
        at = file.end
        for planned in frames:
            if not isinstance(planned, Scatter):
                sound_apply(self, planned, file, at + frame.HEADER_BYTES)
            at += planned.size_bytes
        with patch.object(committer.Committer, "_apply", lambda *_: None):
            return await sound_write(self, file, frames, entries)

    with patch.object(committer.Committer, "_write", write):
        yield


@contextmanager
def torn_tail_kept() -> Iterator[None]:
    """Recovery takes a frame for good whose header is there, whatever became of its body."""

    def frame_at(content: bytes, at: int, file_no: int) -> frame.Frame | None:
        if at + frame.HEADER_BYTES > len(content):
            return None
        magic, _, length, kind, owner, group = frame._HEADER.unpack_from(content, at)
        if magic != frame.MAGIC or owner != file_no or at + frame.HEADER_BYTES + length > len(content):
            return None
        return frame.Frame(frame.Kind(kind), group, at + frame.HEADER_BYTES, length)

    with patch.object(frame, "frame_at", frame_at):
        yield


@contextmanager
def tail_not_made_durable() -> Iterator[None]:
    """Recovery believes what only the page cache holds: found by this simulation in the engine's first version."""
    sound = recovery._replay_journal

    async def replay(*arguments: Any) -> None:
        with patch.object(SimFile, "commit", _no_commit):
            await sound(*arguments)

    with patch.object(recovery, "_replay_journal", replay):
        yield


async def _no_commit(_file: SimFile, _offset: int, _data: bytes) -> None:
    pass


@contextmanager
def folder_not_synced() -> Iterator[None]:
    """A new manifest's name is not durable when the journal file is used again."""
    sound = SimDisk.sync_folder

    async def sync_folder(disk: SimDisk, path: str) -> None:
        if path != "manifest":
            await sound(disk, path)

    with patch.object(SimDisk, "sync_folder", sync_folder):
        yield


@contextmanager
def journal_name_not_synced() -> Iterator[None]:
    """A group is acknowledged in a journal file whose name is not durable: its header was, and that is only half of it."""
    sound = SimDisk.sync_folder

    async def sync_folder(disk: SimDisk, path: str) -> None:
        if path != "journal":
            await sound(disk, path)

    with patch.object(SimDisk, "sync_folder", sync_folder):
        yield


@contextmanager
def drafted_while_it_is_written() -> Iterator[None]:
    """The segments of the next file are drafted before it is full, and so without its last groups."""
    sound = settler.Settler._draft
    early: dict[JournalFile, Any] = {}

    async def draft(self: Any, file: JournalFile) -> Any:
        drafts = early.pop(file) if file in early else await sound(self, file)
        current = self._journal._current
        if current is not None:
            early[current] = await sound(self, current)
        return drafts

    with patch.object(settler.Settler, "_draft", draft):
        yield


PLANTS: Final[dict[str, Callable[[], Any]]] = {
    plant.__name__: plant
    for plant in (
        acknowledged_before_the_sync,
        segments_not_synced,
        replay_with_gaps,
        seen_before_it_is_durable,
        manifests_not_synced,
        torn_tail_kept,
        tail_not_made_durable,
        folder_not_synced,
        journal_name_not_synced,
        drafted_while_it_is_written,
    )
}
