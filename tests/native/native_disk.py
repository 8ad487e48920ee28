"""Files that the native part writes are those that Python writes; what it reads of a journal file is what it is given of it."""

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from native_found import finder_of

from penstock.core.ports import DiskFull
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.engines.local import columns, frame
from penstock.engines.local.frame import SECTOR_BYTES, Kind
from penstock.host import disk as host_disk
from penstock.host.disk import STORE_STEP_BYTES, STORE_UNIT_BYTES, SystemDisk
from penstock.host.entropy import SystemEntropy
from penstock.wire.native import NATIVE, Native
from penstock.wire.nativeparts import JoinedBlocks

PATTERN = bytes(range(256)) * 64
PATHS = {"a file that is not there": "/dev/fd/999999", "nothing": ""}


def native() -> Native:
    assert NATIVE is not None
    return NATIVE


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SystemDisk]:
    disk = SystemDisk(tmp_path)
    yield disk
    disk.close()
    assert not disk._steps, "all was written by the native part"


def journal_of(blocks: int, size_bytes: int) -> bytes:
    """A journal file with blocks of one log."""
    content = bytes(SECTOR_BYTES)
    for number in range(blocks):
        data = Column.of([SystemEntropy().bytes(size_bytes)], DATA_WIDTH)
        body = columns.encode_rows(1, number, 7, Column.of([b"k"], KEY_WIDTH), data)
        content += b"".join(frame.group([frame.encode(Kind.RECORDS, 5, number, body)]))
    return content


def joined(content: bytes) -> JoinedBlocks:
    finder = finder_of(len(content), 5, [[1]])
    finder.take(content)
    [(_, blocks)] = finder.segments() or []
    return blocks


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"x"],
        [PATTERN, b"", PATTERN[:100]],
        [PATTERN[:STORE_UNIT_BYTES]],
        [PATTERN * (STORE_STEP_BYTES // len(PATTERN))],
        [b"odd", PATTERN * (2 * STORE_STEP_BYTES // len(PATTERN) + 3), b"end"],
    ],
    ids=["nothing", "a byte", "pieces", "a unit", "a step", "more than two steps"],
)
def test_store_when_it_returns_then_the_file_holds_the_pieces(
    disk: SystemDisk, tmp_path: Path, pieces: list[bytes]
) -> None:
    (tmp_path / "file").write_bytes(bytes(STORE_STEP_BYTES))
    asyncio.run(disk.store("file", pieces[:1], [], pieces[1:]))
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)


@pytest.mark.parametrize(("blocks", "size_bytes"), [(1, 0), (3, 9000), (40, 70_000), (3, 3 << 20)])
def test_store_when_blocks_are_joined_meanwhile_then_the_file_holds_what_their_pieces_are(
    disk: SystemDisk, tmp_path: Path, blocks: int, size_bytes: int
) -> None:
    content = journal_of(blocks, size_bytes)
    asyncio.run(disk.store("file", [b"head"], joined(content), [b"end"]))
    expected = joined(content)
    left = expected.left
    assert (tmp_path / "file").read_bytes() == b"head" + b"".join(expected) + b"end"
    assert (tmp_path / "file").stat().st_size == 4 + left + 3
    assert expected.left == 0


def test_store_when_a_piece_cannot_be_made_then_it_says_so(disk: SystemDisk) -> None:
    def pieces() -> Iterator[bytes]:
        yield PATTERN
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        asyncio.run(disk.store("file", pieces()))
    with pytest.raises(TypeError):
        asyncio.run(disk.store("file", ["text"]))  # type: ignore[list-item]


def test_store_when_the_disk_is_full_then_it_says_so(disk: SystemDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_disk.SystemFile, "_path", "/dev/full")
    with pytest.raises(DiskFull):
        asyncio.run(disk.store("file", [PATTERN]))
    with pytest.raises(DiskFull):
        asyncio.run(disk.store("file", joined(journal_of(2, 100))))


@pytest.mark.parametrize("flags", [0, os.O_DIRECT, os.O_DIRECTORY])
def test_write_when_a_file_takes_no_such_flags_then_it_is_done_without(flags: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert native().FileWriter(1).write(str(path), flags, [[PATTERN, b"end"]]) == len(PATTERN) + 3
    assert path.read_bytes()[: len(PATTERN) + 3] == PATTERN + b"end"


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_files_when_they_cannot_be_opened_then_python_is_left_to_it(path: str) -> None:
    assert native().FileWriter(1 << 20).write(path, 0, [[b"x"]]) is None
    assert not finder_of(0, 5, [[1]]).read(path, 9)


def test_store_when_the_native_part_cannot_open_files_then_python_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_disk.SystemFile, "_path", "/dev/fd/999999")
    disk = SystemDisk(tmp_path)
    asyncio.run(disk.store("file", [b"head"], joined(content := journal_of(9, 70_000))))
    assert (tmp_path / "file").read_bytes() == b"head" + b"".join(joined(content))
    disk.close()


@pytest.mark.parametrize("cut", [0, 1, 3000, SECTOR_BYTES, 5 * 73_728, 600_000])
def test_read_when_a_file_is_whole_or_cut_then_it_is_as_if_it_was_given(cut: int, tmp_path: Path) -> None:
    content = journal_of(20, 70_000)
    path = tmp_path / "file"
    path.write_bytes(content[: len(content) - cut])
    there, here = finder_of(len(content), 5, [[1]]), finder_of(len(content), 5, [[1]])
    there.take(content[: len(content) - cut])
    assert here.read(str(path), len(content))
    made = [finder.segments() for finder in (here, there)]
    pieces = [None if some is None else [b"".join(blocks) for _, blocks in some] for some in made]
    assert pieces[0] == pieces[1]
    assert (pieces[0] is None) == bool(cut % 73_728), "that is what one block takes"


def test_read_when_the_disk_fails_then_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - by its number
        finder_of(9, 5, [[1]]).read(str(tmp_path), 9)
    assert caught.value.errno == errno.EISDIR
