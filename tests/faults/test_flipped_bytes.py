"""One byte that is not what was written, in each kind of file: the check names it, the engine serves nothing wrong and all the rest."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from data_directory import engine, fill, payload, put, read_all
from disks import SettlingLater
from served import server

from penstock.engines.api import LogId, MetaUnavailable
from penstock.engines.local import frame, journal
from penstock.engines.local.meta import SqliteMeta
from penstock.storage.check import Report, check
from penstock.storage.directory import DataDirectory
from penstock.storage.segments import read_index

BATCH: Final = 100  # records of one commit, which is what a journal frame holds


class Place(NamedTuple):
    """A byte to flip."""

    path: str
    at: int
    lost: int = 0  # records that cannot be served then


def _journal(directory: DataDirectory) -> tuple[str, list[frame.Frame]]:
    [file_no] = directory.journal_numbers(directory.find_manifest().manifest.first_file_no)
    content = directory.read_journal(file_no, live=False)
    assert content is not None
    header = frame.frame_at(content, 0, file_no)
    assert header is not None
    return journal.path_of(file_no), frame.scan(content, file_no, header.group)[0]


def journal_middle(directory: DataDirectory) -> Place:
    path, frames = _journal(directory)
    return Place(path, frames[4].body_at + 5000, BATCH)


def journal_tail(directory: DataDirectory) -> Place:
    path, frames = _journal(directory)
    return Place(path, frames[-1].body_at + 5000, BATCH)


def journal_header(directory: DataDirectory) -> Place:
    return Place(_journal(directory)[0], 10)


def _segment(directory: DataDirectory) -> str:
    return directory.find_manifest().manifest.segments[0].path


def segment_header(directory: DataDirectory) -> Place:
    return Place(_segment(directory), 9)


def segment_block(directory: DataDirectory) -> Place:
    path = _segment(directory)
    with directory.open(path) as file:
        rows, _ = read_index(file)
    return Place(path, rows[0].at + rows[0].length // 2, rows[0].records)


def segment_block_prefix(directory: DataDirectory) -> Place:
    path = _segment(directory)
    with directory.open(path) as file:
        rows, _ = read_index(file)
    return Place(path, rows[1].at - 3)


def segment_index(directory: DataDirectory) -> Place:
    path = _segment(directory)
    with directory.open(path) as file:
        rows, at = read_index(file)
    return Place(path, at + 4, sum(row.records for row in rows))


def segment_trailer(directory: DataDirectory) -> Place:
    return segment_index(directory)._replace(at=directory.size_bytes(_segment(directory)) - 20)


def newest_manifest(directory: DataDirectory) -> Place:
    return Place("manifest/" + directory.names("manifest")[-1], 60)


def older_manifest(directory: DataDirectory) -> Place:
    return Place("manifest/" + directory.names("manifest")[0], 60)


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x10]))


def checked(path: Path) -> Report:
    return check(DataDirectory(path), lambda _count: None)


async def served(path: Path, logs: list[LogId]) -> dict[LogId, dict[int, bytes]]:
    async with engine(path) as log:
        return {name: await read_all(log, name) for name in logs}


def lost_records(path: Path, logs: list[LogId], *, per_log: int) -> int:
    """How many records the engine does not serve; each that it serves is the right one, in its place."""
    found = asyncio.run(served(path, logs))
    for name, records in found.items():
        assert all(data == payload(name, offset) for offset, data in records.items()), "no wrong record"
    return per_log * len(logs) - sum(map(len, found.values()))


PLACES: Final[list[Callable[[DataDirectory], Place]]] = [
    journal_middle, journal_header, segment_header, segment_block, segment_block_prefix, segment_index, segment_trailer,
    newest_manifest, older_manifest,
]  # fmt: skip


@pytest.mark.parametrize("find", PLACES, ids=lambda find: find.__name__)
def test_a_flipped_byte_is_named_and_costs_only_what_it_is_in(
    find: Callable[[DataDirectory], Place], tmp_path: Path
) -> None:
    logs = asyncio.run(fill(tmp_path / "data"))
    path, at, lost = find(DataDirectory(tmp_path / "data"))
    flip(tmp_path / "data" / path, at)

    report = checked(tmp_path / "data")
    spans = [finding.span for finding in report.damage if finding.path == path and finding.span is not None]
    assert any(start <= at < end for start, end in spans), report.damage
    assert {finding.path for finding in report.damage} == {path}

    assert lost_records(tmp_path / "data", logs, per_log=1600) == lost


def test_a_flipped_byte_in_the_last_commit_cannot_be_told_from_a_torn_one(tmp_path: Path) -> None:
    logs = asyncio.run(fill(tmp_path / "data"))
    path, at, lost = journal_tail(DataDirectory(tmp_path / "data"))
    flip(tmp_path / "data" / path, at)
    report = checked(tmp_path / "data")
    assert report.unfinished
    assert not report.damage
    assert lost_records(tmp_path / "data", logs, per_log=1600) == lost


def test_a_flipped_byte_in_the_metadata_is_named_and_refused(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "data"))
    path = tmp_path / "data" / "meta.sqlite"
    flip(path, path.read_bytes().index(b"orders00000000000000-000/000000000001") + 60)
    damage = checked(tmp_path / "data").damage
    assert any(finding.path == "meta.sqlite" and "orders00000000000000-000/" in finding.what for finding in damage)

    async def scan() -> None:
        meta = await SqliteMeta.open(path)
        try:
            await meta.scan("streams/")
        finally:
            await meta.close()

    with pytest.raises(MetaUnavailable, match="damaged"):
        asyncio.run(scan())


def test_a_commit_that_rotted_at_the_end_of_a_file_that_another_follows_is_told_from_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "data"

    async def two_files() -> Path:
        async with engine(path, SettlingLater(path)) as log:
            await log.create([name])
            while len(numbers := DataDirectory(path).journal_numbers(0)) < 2:
                await put(log, name, BATCH)
            return path / journal.path_of(numbers[0])

    name = LogId("orders00000000000000-000/0")
    first = asyncio.run(two_files())
    file_no = int(first.name)
    content = first.read_bytes()
    frames, tail = frame.scan(content, file_no, 0)
    flip(first, frames[-1].body_at + 5000)
    [told, *_] = [finding for finding in checked(path).damage if finding.path == f"journal/{first.name}"]
    assert "its last commits" in told.what
    assert told.span is not None
    assert told.span[0] < frames[-1].body_at + 5000 < tail.end


def test_a_flipped_byte_in_the_log_of_the_metadata_is_named_before_commits_vanish_with_it(tmp_path: Path) -> None:
    """SQLite itself takes a bad frame for the end of its log, and says nothing of the commits behind it."""
    path = tmp_path / "data"
    path.mkdir()
    with server(path) as running:
        running.client().create_stream(StreamName="orders", ShardCount=1)
    assert checked(path).damage == []
    first_page = 32 + 24
    flip(path / "meta.sqlite-wal", first_page + 100)
    [told, *_] = checked(path).damage
    assert told.path == "meta.sqlite-wal"
    assert told.span is not None
    assert told.span[0] < first_page + 100 < told.span[1]
